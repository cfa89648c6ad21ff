"""How many directions a layer uses: Vendi score, effective rank, participation ratio and relatives.

All are functions of one spectrum, that of the Gram matrix of the rows, taken on the smaller of the
sample side and the unit side. They differ in whether rows are centred and brought to unit length:

    Vendi_q = exp H_q(λ / Σλ)        rows of unit length, not centred
    erank   = exp H_1                rows centred, then of unit length: Vendi_1 of centred rows
    matrix entropy = H_1 / log d     the same spectrum
    participation = (Σλ)² / Σλ²      rows centred only: no eigenvalues needed
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import numpy as np

from infoplane.errors import InputError
from infoplane.estimators.contract import Rng, conclude, live_columns, same_length, samples
from infoplane.estimators.distances import standing
from infoplane.estimators.registry import Bounds, check_params, estimator
from infoplane.estimators.renyi import gaussian_entropy
from infoplane.estimators.shared import Shared, recall, serving
from infoplane.estimators.spectrum import covariance_side, eigenvalues, entropy, shares, unit_rows
from infoplane.types import Cost, Estimate, Flags, FloatArray, Kind, Quantity

_GROWS = "grows with n until n is far above it: compare at a fixed number of samples"


def _unit_spectrum(
    t: FloatArray, shared: Shared | None, *, centre: bool
) -> tuple[FloatArray, Flags]:
    """Trace-one spectrum of the Gram matrix of unit-length rows."""

    def compute() -> tuple[FloatArray, Flags]:
        rows, flags = unit_rows(t, centre=centre)
        return shares(covariance_side(rows)), flags

    return recall(shared, ("unit spectrum", centre), compute)


def _conclude(
    name: str,
    value: float,
    t: FloatArray,
    params: dict[str, Any],
    flags: Flags,
    *,
    ceiling: float | None,
    floor: float = 0.0,
    info: dict[str, Any] | None = None,
    stderr: float | None = None,
) -> Estimate:
    dead = live_columns(t)[1]
    return conclude(
        value,
        estimator=name,
        n=t.shape[0],
        d=t.shape[1],
        params=params,
        ceiling=ceiling,
        floor=floor,
        slack=1e-6 if stderr is None else 4 * stderr,
        saturates=t.shape[0] - 1 < t.shape[1] or stderr is not None or "sigma" in (info or {}),
        stderr=stderr,
        flags=(*dead, *flags),
        status=standing(flags, trivial="constant" in dead),
        info=info,
    )


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
    unit="1",
    invariant=("row order", "rotation", "scaling"),
    limits=(
        _GROWS,
        "without centring one mean direction dominates ReLU layers (score near 1)",
    ),
    tolerance={"identity": 1e-9, "equal blocks": 1e-9},
    bound="exact",
    meaningful_null=(),
    reference="Friedman and Dieng 2023, The Vendi Score, TMLR",
)
def vendi(
    t: Any,
    *,
    order: Annotated[float, Bounds(0, 1000, open_low=True)] | Literal["inf"] = 1.0,
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
    order : float or "inf"
        q of the Rényi entropy; "inf" weighs the leading direction only.
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
    name = "diversity.vendi"
    params = check_params(
        name,
        {"order": order, "kernel": kernel, "sigma": sigma, "centre": centre},
    )
    shared = serving(shared, t)
    x = samples(t, estimator=name)
    ceiling = float(len(x))
    info: dict[str, Any] = {}
    q = math.inf if order == "inf" else float(order)
    stderr = None
    if kernel == "cosine":
        p, flags = _unit_spectrum(x, shared, centre=centre)
        h, ceiling = entropy(p, q), float(min(x.shape))
    else:
        h, stderr, info["sigma"], flags = gaussian_entropy(name, x, q, sigma, rng, shared)
    value = math.exp(h)
    stderr = None if stderr is None else value * stderr
    return _conclude(
        name, value, x, params, flags, ceiling=ceiling, floor=1.0, info=info, stderr=stderr
    )


_MATRIX = "Wei et al. 2024, Large Language Model Evaluation via Matrix Entropy / Diff-eRank"


@estimator(
    id="rank.effective",
    label="Effective rank",
    quantity=Quantity.RANK,
    measures="effective number of directions of the centred, unit-length rows",
    formula="exp(−Σ λ log λ), λ of ZᵀZ/n, Z centred and row-normalised",
    accepts=(Kind.CONTINUOUS,),
    cost=Cost.QUICK,
    complexity="n d min(n, d)",
    min_samples=2,
    ceiling="min(n − 1, d)",
    unit="1",
    invariant=("row order", "rotation", "scaling", "constant unit"),
    limits=(_GROWS, "not RankMe, which takes singular values of Z, not their squares"),
    tolerance={"equal to Vendi of centred rows": 1e-12},
    bound="exact",
    meaningful_null=(),
    reference=_MATRIX,
)
def effective_rank(t: Any, *, rng: Rng = None, shared: Shared | None = None) -> Estimate:
    """Effective rank exp H(λ) of a layer's centred, row-normalised representation.

    Rows equal to the mean have no direction and are left out (flag ``zero_rows``). ``info`` has the
    entropy in nats.

    Parameters
    ----------
    t : array, (n, d)
        T.
    rng : Generator or seed
        Not used: the value is exact.
    shared : Shared, optional
        Memo of this representation's spectra.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError
    """
    name = "rank.effective"
    shared = serving(shared, t)
    x = samples(t, estimator=name)
    p, flags = _unit_spectrum(x, shared, centre=True)
    h = entropy(p)
    value = math.exp(h) if p.any() else 0.0
    ceiling = float(min(x.shape[0] - 1, x.shape[1]))
    return _conclude(name, value, x, {}, flags, ceiling=ceiling, info={"entropy": h})


@estimator(
    id="entropy.matrix",
    label="Matrix entropy",
    quantity=Quantity.ENTROPY,
    measures="log effective rank as a share of its maximum log d (or in nats)",
    formula="−Σ λ log λ / log d, λ of ZᵀZ/n, Z centred and row-normalised",
    accepts=(Kind.CONTINUOUS,),
    cost=Cost.QUICK,
    complexity="n d min(n, d)",
    min_samples=2,
    ceiling="1 (log min(n − 1, d) / log d)",
    unit="1",
    invariant=("row order", "rotation", "scaling"),
    limits=(_GROWS, "a constant unit changes log d", "two samples always give 0"),
    tolerance={"isotropic": 0.01},
    bound="exact",
    meaningful_null=(),
    reference=_MATRIX,
)
def matrix_entropy(
    t: Any, *, normalised: bool = True, rng: Rng = None, shared: Shared | None = None
) -> Estimate:
    """Matrix entropy of a layer: H(λ) / log d as published, or H(λ) in nats.

    Parameters
    ----------
    t : array, (n, d)
        T.
    normalised : bool
        Divide by log d. ``info["entropy"]`` has the nats in any case.
    rng : Generator or seed
        Not used: the value is exact.
    shared : Shared, optional
        Memo of this representation's spectra.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError
    """
    name = "entropy.matrix"
    params = check_params(name, {"normalised": normalised})
    shared = serving(shared, t)
    x = samples(t, estimator=name)
    n, d = x.shape
    p, flags = _unit_spectrum(x, shared, centre=True)
    h = entropy(p)
    unit = math.log(d) if normalised and d > 1 else 1.0
    ceiling = math.log(min(n - 1, d)) / unit
    return _conclude(name, h / unit, x, params, flags, ceiling=ceiling, info={"entropy": h})


@estimator(
    id="rank.participation",
    label="Participation ratio",
    quantity=Quantity.RANK,
    measures="number of directions among which the variance is spread",
    formula="(tr C)² / tr C², C the covariance",
    accepts=(Kind.CONTINUOUS,),
    cost=Cost.QUICK,
    complexity="n d min(n, d)",
    min_samples=2,
    ceiling="min(n − 1, d)",
    unit="1",
    invariant=("row order", "rotation", "scaling", "constant unit"),
    limits=(_GROWS, "dominated by the units of largest variance"),
    tolerance={"isotropic": 1e-9},
    bound="exact",
    meaningful_null=(),
    reference="Gao et al. 2017; exp of the Rényi-2 entropy of the covariance spectrum",
)
def participation_ratio(t: Any, *, rng: Rng = None, shared: Shared | None = None) -> Estimate:
    """Participation ratio (tr C)² / tr C² of a layer's covariance, without eigenvalues.

    Parameters
    ----------
    t : array, (n, d)
        T.
    rng, shared
        Not used: the value is exact and needs no intermediate.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError

    Examples
    --------
    >>> round(participation_ratio([[1, 0], [-1, 0], [0, 1], [0, -1]]).value, 9)
    2.0
    """
    name = "rank.participation"
    x = samples(t, estimator=name)
    n, d = x.shape
    z = x / max(float(np.abs(x).max()), np.finfo(np.float64).tiny)
    z -= z.mean(axis=0)
    gram = z.T @ z if d < n else z @ z.T
    square = float(np.vdot(gram, gram))
    alive = float(np.abs(z).max()) > 1e-15 and square > 0
    value = float(np.trace(gram)) ** 2 / square if alive else 0.0
    return _conclude(name, value, x, {}, Flags(), ceiling=float(min(n - 1, d)))


@estimator(
    id="norm.nuclear",
    label="Matrix nuclear norm",
    quantity=Quantity.NORM,
    measures="nuclear norm of the centred, row-normalised rows, or its column approximation",
    formula="Σ of the min(n, d) largest column norms; exact: Σ singular values",
    accepts=(Kind.CONTINUOUS,),
    cost=Cost.QUICK,
    complexity="n d; exact: n d min(n, d)",
    min_samples=2,
    ceiling="√(n min(n, d))",
    unit="1",
    invariant=("row order", "scaling", "constant unit"),
    limits=(
        "the column form is not rotation invariant, and no upper bound when n < d (flag truncated)",
        "grows with √n",
    ),
    tolerance={"one live column": 1e-9},
    bound="upper",
    meaningful_null=(),
    reference="Li et al. 2024, Large Language Model Evaluation via Matrix Nuclear-Norm",
)
def nuclear_norm(
    t: Any,
    *,
    method: Literal["columns", "exact"] = "columns",
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """Nuclear norm ‖Z‖_* of a layer, Z centred with rows of unit length.

    Parameters
    ----------
    t : array, (n, d)
        T.
    method : {"columns", "exact"}
        The published approximation by the largest column norms (not divided by n), or the sum of
        the singular values.
    rng : Generator or seed
        Not used: the value is exact.
    shared : Shared, optional
        Memo of this representation's spectra.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError
    """
    name = "norm.nuclear"
    params = check_params(name, {"method": method})
    shared = serving(shared, t)
    x = samples(t, estimator=name)
    n, d = x.shape
    if method == "exact":
        p, flags = _unit_spectrum(x, shared, centre=True)
        rows = n - int(flags.value("zero_rows") or 0)
        value = math.sqrt(rows) * float(np.sqrt(p).sum())
    else:
        z, flags = unit_rows(x, centre=True)
        norms = np.sort(np.linalg.norm(z, axis=0))[::-1]
        value = float(norms[: min(n, d)].sum())
        if np.count_nonzero(norms[min(n, d) :]):
            flags = Flags([*flags, "truncated"])
    ceiling = math.sqrt(n * min(n, d))
    return _conclude(name, value, x, params, flags, ceiling=ceiling)
