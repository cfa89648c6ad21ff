"""Embeddings on the unit sphere: von Mises–Fisher entropy, entropy-reconstruction bound."""

from __future__ import annotations

import math
from typing import Annotated, Any

import numpy as np
from scipy.special import gammaln, logsumexp

from infoplane.errors import InputError
from infoplane.estimators.contract import Rng, conclude, enough, heavy_tailed, same_length, samples
from infoplane.estimators.registry import Bounds, check_params, estimator
from infoplane.estimators.shared import Shared
from infoplane.types import Cost, Estimate, FloatArray, Kind, Quantity, Status

ENTROPY = "entropy.sphere"
BOUND = "mi.reconstruction"
BLOCK = 1 << 21  # entries of one block of inner products

Kappa = Annotated[float, Bounds(0, 1e5, open_low=True)]


def log_bessel(order: float, kappa: float) -> float:
    """Log I_ν(κ) by its series, Σ (κ²/4)^m / (m! Γ(ν+m+1)): no overflow, no underflow."""
    m = np.arange(int(kappa) + 200, dtype=float)
    half = math.log(kappa / 2)
    return float(logsumexp((2 * m + order) * half - gammaln(m + 1) - gammaln(order + m + 1)))


def log_normaliser(d: int, kappa: float) -> float:
    """Log C_d(κ) = (d/2−1) log κ − (d/2) log 2π − log I_{d/2−1}(κ), von Mises–Fisher."""
    order = d / 2 - 1
    return order * math.log(kappa) - d / 2 * math.log(2 * math.pi) - log_bessel(order, kappa)


def sphere_entropy(d: int) -> float:
    """Entropy log(2 π^{d/2} / Γ(d/2)) of the uniform distribution on the sphere in d dimensions."""
    return math.log(2) + d / 2 * math.log(math.pi) - float(gammaln(d / 2))


def unit_rows(t: FloatArray, name: str, by: str) -> FloatArray:
    """Rows divided by their length; a row of zeros is refused."""
    t = t / max(float(np.abs(t).max()), np.finfo(float).tiny)
    lengths = np.linalg.norm(t, axis=1, keepdims=True)
    if (lengths == 0).any():
        raise InputError(
            f"`{name}` of `{by}` has {int((lengths == 0).sum())} rows of zeros, which have no "
            "direction. Drop them, or use another estimator for this layer."
        )
    return np.asarray(t / lengths)


def log_mean_kernels(z: FloatArray, kappa: float) -> FloatArray:
    """Log (1/n) Σ_j exp(κ z_i·z_j) for each row, the row itself included, (n,)."""
    n = len(z)
    step = max(1, BLOCK // n)
    parts = [logsumexp(kappa * z[i : i + step] @ z.T, axis=1) for i in range(0, n, step)]
    return np.concatenate(parts) - math.log(n)


@estimator(
    id=ENTROPY,
    label="sphere entropy",
    quantity=Quantity.ENTROPY,
    measures="entropy of the row directions smoothed by a von Mises–Fisher kernel",
    formula="−⟨log (1/n) Σ_j C_d(κ) e^{κ z_i·z_j}⟩",
    accepts=(Kind.CONTINUOUS,),
    cost=Cost.STANDARD,
    complexity="n² d",
    min_samples=2,
    ceiling="that of the uniform distribution on the sphere",
    assumes=("rows i.i.d.", "lengths carry nothing"),
    invariant=("row order", "rotation", "scaling", "unit order"),
    limits=(
        "each row meets itself: at most log n above the collapsed value",
        "lengths of the rows are thrown away",
    ),
    reference="Galvez et al., The role of entropy and reconstruction in multi-view self-supervised "
    "learning, ICML 2023",
    tolerance={"ball": 0.05},
    meaningful_null=(),
)
def entropy_on_sphere(
    t: Any, *, kappa: Kappa = 10.0, rng: Rng = None, shared: Shared | None = None
) -> Estimate:
    """Entropy in nats of the directions of the rows, by a von Mises–Fisher kernel density.

    Parameters
    ----------
    t : array_like, (n, d)
        Representation, d ≥ 2; rows are scaled to unit length.
    kappa : float
        Concentration κ of the kernel.
    rng, shared
        Not used.

    Returns
    -------
    Estimate
        ``info["uniform"]`` is the entropy of the whole sphere, ``info["share"]`` how far between
        collapse (0) and log n above it (1).
    """
    params = check_params(ENTROPY, {"kappa": kappa})
    points = samples(t, minimum=2, estimator=ENTROPY)
    n, d = points.shape
    common: dict[str, Any] = {"estimator": ENTROPY, "n": n, "d": d, "params": params}
    if d < 2:
        raise InputError(f"`t` of `{ENTROPY}` needs at least two columns; got 1.")
    log_c = log_normaliser(d, kappa)
    constant = bool((points.max(axis=0) == points.min(axis=0)).all())
    if constant:
        return conclude(-kappa - log_c, flags=["constant"], status=Status.DEGENERATE, **common)
    local = -log_mean_kernels(unit_rows(points, "t", ENTROPY), kappa)
    value = float(local.mean()) - log_c
    info = {"uniform": sphere_entropy(d), "share": (float(local.mean()) + kappa) / math.log(n)}
    common |= {"flags": heavy_tailed(points), "info": info}
    return conclude(value, stderr=float(local.std(ddof=1)) / math.sqrt(n), **common)


@estimator(
    id=BOUND,
    label="entropy + reconstruction",
    quantity=Quantity.MI,
    measures="lower bound of I(V;T) of two views' directions, up to the kernel's smoothing",
    formula="Ĥ(T) + ⟨log q(t|v)⟩ = κ⟨v_i·t_i⟩ − ⟨log (1/n) Σ_j e^{κ t_i·t_j}⟩",
    accepts=((Kind.CONTINUOUS, Kind.CONTINUOUS),),
    cost=Cost.STANDARD,
    complexity="n² d",
    min_samples=2,
    ceiling="log n",
    assumes=("rows i.i.d.", "T is von Mises–Fisher about V's direction, of concentration κ"),
    invariant=("row order", "scaling"),
    limits=(
        "V and T must live in one space: two views, or two checkpoints of one layer",
        "cannot pass log n; changes when only one side is rotated",
        "below 0 it says nothing (flag vacuous, unreliable)",
    ),
    version=2,
    reference="Galvez et al., ICML 2023",
    tolerance={"simplex against itself": 1e-5},
    bound="lower",
    needs="views",
    meaningful_null=("X", "Y"),
)
def reconstruction(
    v: Any, t: Any, *, kappa: Kappa = 10.0, rng: Rng = None, shared: Shared | None = None
) -> Estimate:
    """Bound I(V;T) ≥ Ĥ(T) + ⟨log q(t|v)⟩ in nats, q von Mises–Fisher about v.

    Parameters
    ----------
    v : array_like, (n, d)
        Embedding of one view.
    t : array_like, (n, d)
        Embedding of the other view, or of another checkpoint.
    kappa : float
        Concentration κ of kernel and decoder.
    rng, shared
        Not used.
    """
    params = check_params(BOUND, {"kappa": kappa})
    left = samples(v, name="v", minimum=1, estimator=BOUND)
    right = samples(t, name="t", minimum=1, estimator=BOUND)
    same_length(left, right)
    enough(len(right), 2, estimator=BOUND)
    n, d = right.shape
    if left.shape[1] != d:
        raise InputError(
            f"`v` and `t` of `{BOUND}` must have the same columns; got {left.shape[1]} and {d}."
        )
    common: dict[str, Any] = {"estimator": BOUND, "n": n, "d": d, "params": params}
    if any((side.max(axis=0) == side.min(axis=0)).all() for side in (left, right)):
        return conclude(0.0, flags=["constant"], status=Status.DEGENERATE, **common)
    one, two = unit_rows(left, "v", BOUND), unit_rows(right, "t", BOUND)
    local = kappa * (one * two).sum(axis=1) - log_mean_kernels(two, kappa)
    stderr = float(local.std(ddof=1)) / math.sqrt(n)
    value = float(local.mean())
    vacuous = value < 0  # a bound below zero says nothing
    return conclude(
        value,
        ceiling=math.log(n),
        stderr=stderr,
        flags=[*heavy_tailed(left), *heavy_tailed(right), *(["vacuous"] if vacuous else [])],
        status=Status.UNRELIABLE if vacuous else Status.OK,
        **common,
    )
