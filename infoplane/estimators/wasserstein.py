"""Wasserstein dependency: how far the joint distribution is from the product, as transport cost."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from scipy.optimize import linear_sum_assignment, linprog
from scipy.spatial.distance import cdist

from infoplane.estimators.contract import (
    Rng,
    conclude,
    enough,
    generator,
    heavy_tailed,
    is_discrete,
    live_columns,
    same_length,
    samples,
    symbols,
)
from infoplane.estimators.neighbours import standardise
from infoplane.estimators.plugin import tally
from infoplane.estimators.registry import Bounds, check_params, estimator
from infoplane.estimators.shared import Shared
from infoplane.types import Cost, Estimate, FloatArray, Kind, Quantity, Status

WASSERSTEIN = "distance.wasserstein"
CELLS = 64  # |V| |T| up to which the discrete problem is solved exactly


def exact_table(joint: FloatArray) -> float:
    """W₁ between a table p(a, b) and p(a)p(b); symbols are at distance 1, ℓ2 jointly."""
    a, b = np.divmod(np.arange(joint.size), joint.shape[1])
    cost = np.sqrt((a[:, None] != a) * 1.0 + (b[:, None] != b))
    product = np.outer(joint.sum(axis=1), joint.sum(axis=0)).ravel()
    cells = joint.size
    leave = np.kron(np.eye(cells), np.ones(cells))
    arrive = np.kron(np.ones(cells), np.eye(cells))
    solved = linprog(
        cost.ravel(),
        A_eq=np.vstack([leave, arrive[:-1]]),  # the last one follows from the others
        b_eq=np.concatenate([joint.ravel(), product[:-1]]),
    )
    return float(solved.fun)


def transport(a: FloatArray, b: FloatArray) -> float:
    """W₁ between two samples of equal size: the cheapest pairing of their rows."""
    cost = cdist(a, b)
    rows, columns = linear_sum_assignment(cost)
    return float(cost[rows, columns].mean())


def _columns(array: Any, name: str) -> tuple[FloatArray, list[str]]:
    """Standardised columns, or symbols as corners at mutual distance 1."""
    if is_discrete(array):
        codes = symbols(array, name=name, estimator=WASSERSTEIN)
        size = int(codes.max()) + 1
        if size <= 256:
            mark = [] if size > 1 else ["single_class" if name == "v" else "constant"]
            return np.eye(size)[codes][:, : 0 if size == 1 else None] / np.sqrt(2), mark
        array = codes.astype(float)[:, None]
    live, flags = live_columns(samples(array, name=name, estimator=WASSERSTEIN))
    marks = [*flags, *heavy_tailed(live)]
    return (standardise(live) if live.shape[1] else live), marks


@estimator(
    id=WASSERSTEIN,
    label="Wasserstein dependency",
    quantity=Quantity.DISTANCE,
    measures="W₁(p(v,t), p(v)p(t)) in standardised units, less what chance alone shows",
    formula="W₁(joint sample, shuffled sample) − W₁(shuffled, shuffled again)",
    accepts=((Kind.CONTINUOUS, Kind.CONTINUOUS), (Kind.DISCRETE, Kind.CONTINUOUS)),
    cost=Cost.THOROUGH,
    complexity="pairs³",
    assumes=("rows i.i.d.", "distances in standardised units mean something"),
    min_samples=16,
    unit="1",
    invariant=("scaling", "label names", "constant unit"),
    deterministic=False,
    limits=(
        "in the units of the data, not in nats; changes under a one-to-one map, unlike information",
        "samples of n points are about n^(−1/d) apart: weak in many dimensions",
        "the contrastive loss with gradient penalty often trained instead is another number",
    ),
    reference="Ozair et al., Wasserstein dependency measure, NeurIPS 2019",
    tolerance={"independent": 0.09, "random_labels": 0.14},
    meaningful_null=("X", "Y"),
)
def wasserstein(
    v: Any,
    t: Any,
    *,
    pairs: Annotated[int, Bounds(16, 4000)] = 400,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """Transport distance W₁ between the joint distribution of (V, T) and the product.

    Two small discrete variables: exact, of the empirical table. Otherwise W₁ between ``pairs`` true
    pairs and as many shuffled ones, minus W₁ between two shuffled sets.

    Parameters
    ----------
    v : array_like, (n,) or (n, d_v)
        Variable asked about; integers are symbols at mutual distance 1.
    t : array_like, (n, d)
        Representation, each column standardised.
    pairs : int
        Largest number of pairs; more rows are thinned at random and flagged.
    rng
        For the thinning and the shuffles.
    shared
        Not used.

    Returns
    -------
    Estimate
        ``info["raw"]`` and ``info["floor"]`` are the two distances; ``value`` their difference.
    """
    params = check_params(WASSERSTEIN, {"pairs": pairs})
    rng = generator(rng)
    left, flags_v = _columns(v, "v")
    right, flags_t = _columns(t, "t")
    same_length(left, right)
    n = len(left)
    enough(n, 16, estimator=WASSERSTEIN)
    flags = [*flags_v, *flags_t]
    common: dict[str, Any] = {
        "estimator": WASSERSTEIN, "n": n, "d": right.shape[1], "params": params,
    }  # fmt: skip
    if left.shape[1] == 0 or right.shape[1] == 0:
        return conclude(0.0, flags=flags, status=Status.DEGENERATE, **common)
    if is_discrete(v) and is_discrete(t):
        one, two = (tally(symbols(a, name="v")) for a in (v, t))
        if len(one.counts) * len(two.counts) <= CELLS:
            table = np.zeros((len(one.counts), len(two.counts)))
            np.add.at(table, (one.codes, two.codes), 1 / n)
            return conclude(exact_table(table), flags=flags, info={"exact": True}, **common)
    if n > pairs:
        flags.append(f"thinned={pairs}")
    rows = rng.permutation(n)[:pairs]
    left, right = left[rows], right[rows]

    def apart() -> FloatArray:
        return np.hstack([left, right[rng.permutation(len(right))]])

    raw = transport(np.hstack([left, right]), apart())
    floor = transport(apart(), apart())
    info = {"raw": raw, "floor": floor, "exact": False}
    return conclude(raw - floor, flags=flags, info=info, **common)
