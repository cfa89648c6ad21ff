"""DiME, the difference of matrix entropies: joint entropy of random pairs less the true one."""

from __future__ import annotations

import math
from typing import Annotated, Any

import numpy as np

from infoplane.estimators.contract import Rng
from infoplane.estimators.gram import read_pair
from infoplane.estimators.registry import Bounds, estimator
from infoplane.estimators.renyi import LIMITS, PAIRS, Alpha, Sigma
from infoplane.estimators.shared import Shared
from infoplane.types import Cost, Estimate, FloatArray, Quantity


def dime_null(
    v: Any,
    t: Any,
    *,
    draws: int,
    rng: Rng = None,
    shared: Shared | None = None,
    **params: Any,
) -> FloatArray:
    """DiME under shuffled pairing, (draws,): all draws share one mean over permutations."""
    pair = read_pair("mi.dime", v, t, params, rng, shared)
    count = pair.params["permutations"]
    joints = np.array(list(pair.shuffled(count + draws)))
    return np.asarray(joints[:count].mean() - joints[count:])


@estimator(
    id="mi.dime",
    label="DiME",
    quantity=Quantity.MI,
    measures="how much lower the joint matrix entropy is than under random pairing",
    formula="E_P[S_α(A ∘ P B Pᵀ)] − S_α(A ∘ B)",
    accepts=PAIRS,
    cost=Cost.STANDARD,
    complexity="11 n³ up to 3,000 rows; 11 n_c³ a class with labels",
    min_samples=2,
    ceiling="log n",
    assumes=("rows i.i.d.", "the kernel width suits the distances between rows"),
    invariant=("label names", "constant unit"),
    deterministic=False,
    limits=(*LIMITS, "may be slightly negative: its mean is 0 under independence"),
    tolerance={"independent": 0.045},
    reference="Skean, Hoyos Osorio, Brockmeier and Sánchez Giraldo 2023, DiME",
    version=2,
    meaningful_null=("X", "Y"),
    null=dime_null,
)
def dime(
    v: Any,
    t: Any,
    *,
    alpha: Alpha = 1.01,
    sigma: Sigma = "scott",
    permutations: Annotated[int, Bounds(2, 10_000)] = 10,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """Difference of matrix entropies (DiME) between V and T, in nats.

    Parameters
    ----------
    v : array, (n,) or (n, p)
        Discrete (integers, text) or continuous.
    t : array, (n, d)
        T.
    alpha, sigma
        As for ``entropy.renyi``.
    permutations : int
        Random pairings averaged over.
    rng : Generator or seed
        For the pairings.
    shared : Shared, optional
        Memo of T's distances.

    Returns
    -------
    Estimate
        ``stderr`` is that of the mean over the pairings.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError, RefusedError
    """
    given = {"alpha": alpha, "sigma": sigma, "permutations": permutations}
    pair = read_pair("mi.dime", v, t, given, rng, shared)
    joint, shuffled = pair.joint(), np.array(list(pair.shuffled(permutations)))
    variance = float(shuffled.var(ddof=1)) / permutations + joint[1]
    info = {"joint": joint[0], "shuffled": float(shuffled.mean())}
    return pair.conclude_information(
        (info["shuffled"] - joint[0], variance),
        info=info,
        ceiling=math.log(pair.second.pairs.n),
        floor=None,
    )
