"""Vendi score: how many different samples a layer tells apart under a similarity kernel.

Vendi_q = exp H_q(λ / Σλ), λ the eigenvalues of the Gram matrix of the rows, by default of
unit-length rows that are not centred, taken on the smaller of the sample and the unit side.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import numpy as np

from infoplane.errors import InputError
from infoplane.estimators.call import read
from infoplane.estimators.contract import Rng, same_length, samples
from infoplane.estimators.gram import gaussian_entropy
from infoplane.estimators.registry import Bounds, estimator
from infoplane.estimators.shared import Shared
from infoplane.estimators.spectrum import eigenvalues, entropy, shares, unit_spectrum
from infoplane.types import Cost, Estimate, Kind, Quantity

GROWS = "grows with n until n is far above it: compare at a fixed number of samples"


def vendi_of_kernel(kernel: Any, *, order: float = 1.0, weights: Any = None) -> float:
    """Vendi score of any similarity matrix K.

    Parameters
    ----------
    kernel : array, (n, n)
        Similarities, positive semi-definite with ones on the diagonal.
    order : float
        q, also ``math.inf``.
    weights : array, (n,), optional
        Probability p of each sample: K ∘ √p √pᵀ instead of K / n.

    Raises
    ------
    InputError, NonFiniteError

    Examples
    --------
    >>> round(vendi_of_kernel([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]]), 4)
    2.1573
    """
    k = samples(kernel, name="kernel", minimum=1)
    if k.shape[0] != k.shape[1] or not np.allclose(k, k.T) or not np.allclose(np.diag(k), 1.0):
        raise InputError(
            "`kernel` must be square and symmetric with ones on its diagonal; got shape "
            f"{k.shape}. Divide K_ij by √(K_ii K_jj)."
        )
    if weights is not None:
        root = np.sqrt(samples(weights, name="weights", minimum=1)[:, 0])
        same_length(root, k, first="weights", second="kernel")
        k = k * root[:, None] * root
    return math.exp(entropy(shares(eigenvalues(k, what="kernel")), order))


@estimator(
    id="diversity.vendi",
    label="Vendi score",
    quantity=Quantity.DIVERSITY,
    measures="effective number of different samples under a similarity kernel",
    formula="exp H_q(λ), λ the eigenvalues of K/n",
    accepts=(Kind.CONTINUOUS,),
    cost=Cost.QUICK,
    complexity="n d min(n, d) for the cosine kernel, n³ for the Gaussian one",
    min_samples=2,
    ceiling="min(n, d) for the cosine kernel, n for the Gaussian one",
    assumes=("similarity of samples is that of the kernel: the angle from the origin",),
    unit="1",
    invariant=("row order", "rotation", "scaling"),
    limits=(
        GROWS,
        "without centring one mean direction dominates ReLU layers (score near 1)",
    ),
    tolerance={"identity": 1e-9, "equal blocks": 1e-9, "simplex": 1e-9},
    bound="exact",
    meaningful_null=(),
    reference="Friedman and Dieng 2023, The Vendi Score, TMLR",
    version=2,
)
def vendi(
    t: Any,
    *,
    q: Annotated[float, Bounds(0, 1000, open_low=True)] | Literal["inf"] = 1.0,
    kernel: Literal["cosine", "gaussian"] = "cosine",
    sigma: Annotated[float, Bounds(0, math.inf, open_low=True)]
    | Literal["scott", "median", "sqrt_d"] = "median",
    centre: bool = False,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """Vendi score exp H_q of a layer: how many distinct samples it tells apart.

    Parameters
    ----------
    t : array, (n, d)
        T.
    q : float or "inf"
        Order of the Rényi entropy; "inf" weighs the leading direction only.
    kernel : {"cosine", "gaussian"}
        Similarity of two rows.
    sigma : float or rule
        Width of the Gaussian kernel (ignored with "cosine").
    centre : bool
        Subtract the mean row first; the published code does not.
    rng : Generator or seed
        For the quadrature that the Gaussian kernel takes above 3,000 samples.
    shared : Shared, optional
        Memo of this representation's spectra.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError, RefusedError

    Examples
    --------
    >>> round(vendi([[1, 0], [0, 1], [1, 0], [0, 1]]).value, 9)
    2.0
    """
    given = {"q": q, "kernel": kernel, "sigma": sigma, "centre": centre}
    call = read("diversity.vendi", t, given, shared)
    ceiling, stderr = float(call.n), None
    info: dict[str, Any] = {}
    order = math.inf if q == "inf" else float(q)
    if kernel == "cosine":
        p, flags = unit_spectrum(call.x, call.shared, centre=centre)
        h, ceiling = entropy(p, order), float(min(call.x.shape))
    else:
        h, stderr, info["sigma"], flags = gaussian_entropy(call, order, sigma, rng)
    value = math.exp(h)
    stderr = None if stderr is None else value * stderr
    return call.conclude(
        value,
        ceiling=ceiling,
        floor=1.0,
        slack=1e-6 if stderr is None else 4 * stderr,
        stderr=stderr,
        saturates=call.n - 1 < call.d or kernel == "gaussian",
        flags=flags,
        info=info,
    )
