"""Coding rate of a layer, its reduction by the classes, and the rate over transformer heads.

    R(Z) = ½ log det(I + d/(n ε²) ZᵀZ)
    R_c(Z, Y) = Σ_j n_j/(2n) log det(I + d/(n_j ε²) Z_jᵀ Z_j),      ΔR = R − R_c ≥ 0

Rows have unit length. ``eps2`` is ε², which published code calls ``eps``. The determinant is taken
on the smaller side. Yu et al., Maximal Coding Rate Reduction (2020); Yu et al., CRATE (2023).
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from infoplane.errors import InputError
from infoplane.estimators.call import Call, read, read_labelled
from infoplane.estimators.contract import Rng
from infoplane.estimators.registry import Bounds, estimator
from infoplane.estimators.shared import Shared
from infoplane.estimators.spectrum import unit_rows
from infoplane.types import Cost, Estimate, Flags, FloatArray, IntArray, Kind, Quantity

Precision = Annotated[float, Bounds(0, 1e6, open_low=True)]
LARGEST = 1e140  # entry whose squares can still be summed
PRODUCT = 1e7  # trace up to which the product of matrices keeps nine digits of log det
PENALTY = 0.1  # λ of ‖Z‖₀ in the sparse rate reduction, as published


def log_det(z: FloatArray, factor: float) -> float:
    """½ log det(I + factor · ZᵀZ), from ZᵀZ or Z Zᵀ, whichever is smaller.

    From the singular values of Z where the product would lose the identity beside itself.
    """
    n, d = z.shape
    if factor * float(np.vdot(z, z)) > PRODUCT:
        sizes = np.maximum(np.linalg.svd(z, compute_uv=False), np.finfo(np.float64).tiny)
        return 0.5 * float(np.logaddexp(0.0, np.log(factor) + 2 * np.log(sizes)).sum())
    gram = z.T @ z if d < n else z @ z.T
    gram *= factor
    gram.flat[:: len(gram) + 1] += 1.0
    return float(np.log(np.diag(np.linalg.cholesky(gram))).sum())


def coding_rate_of(z: FloatArray, eps2: float) -> float:
    """R(Z) of rows (n, d) as they are."""
    n, d = z.shape
    return log_det(z, d / (n * eps2))


def class_rate_of(z: FloatArray, codes: IntArray, eps2: float) -> float:
    """R_c(Z, Y) of rows (n, d) as they are, with codes 0 … C−1."""
    return sum(
        len(part) / len(z) * coding_rate_of(part, eps2)
        for part in (z[codes == label] for label in range(int(codes.max()) + 1))
    )


def unit_length(x: FloatArray) -> tuple[FloatArray, Flags]:
    """Rows of unit length; a zero row stays: it has no direction and needs no code."""
    z, missing = unit_rows(x, centre=False)
    full = np.zeros_like(x)
    full[np.abs(x).max(axis=1) > 0] = z
    return full, missing


def _rows(call: Call) -> tuple[FloatArray, Flags]:
    if call.params["normalise"]:
        return unit_length(call.x)
    if call.scale > LARGEST:
        raise InputError(
            f"`{call.name}` overflows on entries above {LARGEST:g}; use normalise=True, or rescale."
        )
    return call.x, Flags()


def _ceiling(n: int, d: int, eps2: float) -> float:
    """Rate of rows of unit length spread evenly over min(n, d) directions."""
    sides = min(n, d)
    return 0.5 * sides * float(np.log1p(d / (sides * eps2)))


_LIMITS = ("set by ε against unit length: a rate at a precision, not an entropy",)


@estimator(
    id="rate.coding",
    label="Coding rate",
    quantity=Quantity.RATE,
    measures="nats a sample to code the rows up to ε, as if Gaussian",
    formula="½ log det(I + d/(n ε²) ZᵀZ), rows of unit length",
    accepts=(Kind.CONTINUOUS,),
    cost=Cost.QUICK,
    complexity="n d min(n, d)",
    min_samples=2,
    ceiling="½ m log(1 + d/(m ε²)), m = min(n, d)",
    assumes=("the rows are Gaussian as far as a precision ε can tell",),
    invariant=("row order", "rotation", "scaling"),
    limits=(*_LIMITS, "d enters the formula: a constant unit changes it"),
    tolerance={"isotropic": 1e-9, "simplex": 1e-9},
    bound="upper",
    meaningful_null=(),
    reference="Yu, Chan, You, Song and Ma 2020, NeurIPS",
)
def coding_rate(
    t: Any,
    *,
    eps2: Precision = 0.5,
    normalise: bool = True,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """Coding rate R(T) of a layer at precision ε, in nats a sample.

    Parameters
    ----------
    t : array, (n, d)
        T.
    eps2 : float
        ε², the squared precision.
    normalise : bool
        Bring rows to unit length first, as the formula supposes.
    rng, shared
        Not used: the value is exact and needs no intermediate.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError

    Examples
    --------
    >>> import numpy as np
    >>> round(coding_rate(np.vstack([np.eye(8), -np.eye(8)])).value, 3)
    4.394
    """
    call = read("rate.coding", t, {"eps2": eps2, "normalise": normalise})
    z, flags = _rows(call)
    ceiling = _ceiling(call.n, call.d, eps2) if normalise else None
    return call.conclude(coding_rate_of(z, eps2), ceiling=ceiling, floor=0.0, flags=flags)


@estimator(
    id="rate.reduction",
    label="Rate reduction",
    quantity=Quantity.RATE,
    measures="nats a sample saved by coding each class by itself",
    formula="ΔR = R(Z) − Σ_j n_j/n R(Z_j)",
    accepts=((Kind.CONTINUOUS, Kind.DISCRETE),),
    cost=Cost.QUICK,
    complexity="n d min(n, d)",
    min_samples=2,
    ceiling="R(Z)",
    assumes=("each class is Gaussian as far as a precision ε can tell",),
    invariant=("row order", "label names", "rotation", "scaling"),
    limits=(*_LIMITS, "0 when all classes have the same second moments, even if they are apart"),
    tolerance={"orthogonal classes": 1e-9, "simplex": 1e-9},
    bound="exact",
    meaningful_null=(),
    needs="labels",
    reference="Yu, Chan, You, Song and Ma 2020, NeurIPS",
)
def rate_reduction(
    t: Any,
    y: Any,
    *,
    eps2: Precision = 0.5,
    normalise: bool = True,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """Rate reduction ΔR(T, Y) = R − R_c of a layer by its classes, in nats a sample.

    Parameters
    ----------
    t : array, (n, d)
        T.
    y : array, (n,)
        Class labels.
    eps2 : float
        ε², the squared precision.
    normalise : bool
        Bring rows to unit length first, as the formula supposes.
    rng, shared
        Not used: the value is exact and needs no intermediate.

    Returns
    -------
    Estimate
        ``info`` has R and R_c.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError
    """
    call = read_labelled("rate.reduction", t, y, {"eps2": eps2, "normalise": normalise})
    z, flags = _rows(call)
    whole = coding_rate_of(z, eps2)
    parts = whole if call.trivial else class_rate_of(z, call.codes, eps2)
    info = {"rate": whole, "class_rate": parts}
    return call.conclude(whole - parts, ceiling=whole, floor=0.0, flags=flags, info=info)


@estimator(
    id="rate.sparse",
    label="CRATE rate",
    quantity=Quantity.RATE,
    measures="coding rate of the layer's heads, each by itself: the compression term of CRATE",
    formula="R^c = Σ_h ½ log det(I + p/(n ε²) Z_hᵀ Z_h), p = d/heads, rows of unit length in each",
    accepts=(Kind.CONTINUOUS,),
    cost=Cost.QUICK,
    complexity="n d p",
    min_samples=2,
    ceiling="Σ over heads of ½ m log(1 + p/(m ε²)), m = min(n, p)",
    assumes=("the rows are tokens of one sequence, the heads consecutive columns",),
    invariant=("row order", "scaling"),
    limits=(
        *_LIMITS,
        "heads are consecutive blocks of columns",
        "the published curve is a mean over images: call it on the tokens of one image",
    ),
    tolerance={"isotropic": 1e-9, "simplex": 1e-9},
    bound="upper",
    meaningful_null=(),
    reference="Yu et al. 2023, White-Box Transformers via Sparse Rate Reduction, NeurIPS",
)
def sparse_rate(
    t: Any,
    *,
    heads: Annotated[int, Bounds(1, 4096)] = 1,
    eps2: Precision = 0.01,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """CRATE's coding rate R^c of a layer over its heads, in nats a token.

    Parameters
    ----------
    t : array, (n, d)
        T, one token a row; ``heads`` consecutive blocks of d/heads columns.
    heads : int
        Number of heads.
    eps2 : float
        ε², the squared precision.
    rng, shared
        Not used: the value is exact and needs no intermediate.

    Returns
    -------
    Estimate
        ``info`` has the rate R of the whole layer, the share of exact zeros, and the sparse rate
        reduction R − R^c − λ‖Z‖₀/n with the published λ = 0.1.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError
    """
    call = read("rate.sparse", t, {"heads": heads, "eps2": eps2})
    n, d = call.x.shape
    if d % heads:
        raise InputError(
            f"`heads` of `{call.name}` must divide the number of columns, {d}; got {heads}."
        )
    width = d // heads
    blocks = (call.x[:, start : start + width] for start in range(0, d, width))
    value = sum(coding_rate_of(unit_length(block)[0], eps2) for block in blocks)
    whole, flags = unit_length(call.x)
    rate, zeros = coding_rate_of(whole, eps2), float((call.x == 0).mean())
    reduction = rate - value - PENALTY * (1 - zeros) * d
    info = {"rate": rate, "zeros": zeros, "sparse_rate_reduction": reduction}
    ceiling = heads * _ceiling(n, width, eps2)
    return call.conclude(value, ceiling=ceiling, floor=0.0, flags=flags, info=info)
