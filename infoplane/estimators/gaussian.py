"""Mutual information of a Gaussian of the same covariance: canonical correlations."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np

from infoplane.estimators.contract import (
    Rng,
    classes,
    conclude,
    enough,
    entropy_of_counts,
    generator,
    heavy_tailed,
    is_discrete,
    live_columns,
    plain,
    row_codes,
    same_length,
    samples,
    symbols,
)
from infoplane.estimators.gaussian_null import NARROW, of_labels, of_points
from infoplane.estimators.neighbours import standardise
from infoplane.estimators.nulls import Shuffles
from infoplane.estimators.registry import Bounds, check_params, estimator
from infoplane.estimators.shared import Shared
from infoplane.types import Cost, Estimate, FloatArray, IntArray, Kind, Quantity, Status

GAUSSIAN = "mi.gaussian"
LARGEST = 1 - 1e-12  # canonical correlation from which T is a linear function of V
FEW = 0.1  # share of H(V) from which the bias of the classes' covariances makes it unreliable
LOST = 0.25  # nats that shrinkage takes from the first correlation before it is told
RIDGE = 1e-9  # of the mean variance: the least a direction of a collapsed class counts

Shrinkage = Annotated[float, Bounds(0, 1)] | Literal["auto"]


def ledoit_wolf(centred: FloatArray) -> float:
    """Intensity δ in [0, 1] of shrinking the covariance of unit-variance columns to the identity.

    δ = min(b², d²)/d² with d² = ‖S − mI‖² and b² = Σ_i ‖x_i x_iᵀ − S‖² / n², m = tr S / p, all
    computed without an array larger than (min(n, p), min(n, p)).
    """
    n, p = centred.shape
    gram = centred @ centred.T if n < p else centred.T @ centred
    squared = float((gram**2).sum()) / n**2  # ‖S‖²
    mean = float((centred**2).sum()) / (n * p)
    distance = squared - p * mean**2
    lengths = np.einsum("ij,ij->i", centred, centred)
    spread = max((float((lengths**2).sum()) / n - squared) / n, 0.0)
    return min(1.0, spread / distance) if distance > 0 else 1.0


def log_det(centred: FloatArray, share: float, ridge: float, least: float = 0.0) -> float:
    """Return log det(share · S + ridge · I), S the covariance of centred rows (n, p).

    Computed on the smaller side: the eigenvalues of S beyond the n-th are zero. No eigenvalue of
    the sum counts as less than ``least``.
    """
    n, p = centred.shape
    gram = centred @ centred.T if n < p else centred.T @ centred
    values = np.maximum(np.linalg.eigvalsh(gram) / n, 0.0)
    extra = (p - n) * math.log(max(ridge, least)) if p > n else 0.0
    return float(np.log(np.maximum(share * values + ridge, least)).sum()) + extra


def canonical_correlations(covariance: FloatArray, d_x: int) -> FloatArray:
    """Correlations r_1 ≥ r_2 ≥ … of X (the first d_x columns) and the rest."""
    x, t = covariance[:d_x, :d_x], covariance[d_x:, d_x:]
    half_x, half_t = _inverse_root(x), _inverse_root(t)
    across = half_x @ covariance[:d_x, d_x:] @ half_t
    return np.asarray(np.linalg.svd(across, compute_uv=False))


def _inverse_root(matrix: FloatArray) -> FloatArray:
    """Pseudo-inverse square root: directions without variance are left out."""
    values, axes = np.linalg.eigh(matrix)
    kept = values > values[-1] * len(values) * np.finfo(float).eps * 10
    return np.asarray(axes[:, kept] / np.sqrt(values[kept]) @ axes[:, kept].T)


def _null(
    v: Any, t: Any, *, draws: int, rng: Rng = None, shared: Shared | None = None, **params: Any
) -> FloatArray:
    """Shuffle V: moments, or whitened points, are shared by all draws where they are few."""
    shrinkage, rng = check_params(GAUSSIAN, params)["shrinkage"], generator(rng)
    v, t = _label_first(v, t)
    right = live_columns(samples(t, name="t", minimum=2, estimator=GAUSSIAN))[0]
    same_length(plain(v, name="v"), right)
    fixed = None if isinstance(shrinkage, str) else float(shrinkage)
    if right.shape[1] == 0:
        return np.zeros(draws)
    right = standardise(right)
    if is_discrete(v):
        codes = classes(v, name="v", estimator=GAUSSIAN)
        counts = np.bincount(codes)
        if len(counts) == 1:
            return np.zeros(draws)
        shuffles = Shuffles(codes, draws, rng)
        if counts.min() == 1 or right.shape[1] > NARROW:
            return np.array([_of_labels(row, right, shrinkage)[0] for row in shuffles.labels])
        right = right - right.mean(axis=0)
        return of_labels(right, fixed, RIDGE * float((right**2).mean()), shuffles)
    left = live_columns(samples(v, name="v", minimum=2, estimator=GAUSSIAN))[0]
    if left.shape[1] == 0:
        return np.zeros(draws)
    left, orders = standardise(left), [rng.permutation(len(right)) for _ in range(draws)]
    if left.shape[1] + right.shape[1] > len(right):
        return np.array([_of_points(left[order], right, shrinkage)[0] for order in orders])
    correlations = of_points(left, right, fixed, orders)
    return np.array([_information(r) for r in correlations])


@estimator(
    id=GAUSSIAN,
    label="Gaussian (CCA)",
    quantity=Quantity.MI,
    measures="I(V;T) of a Gaussian with the observed covariance: linear dependence only",
    formula="I = −½ Σ log(1 − r_i²);  V discrete: ½ log det Σ − ½ Σ_c p_c log det Σ_c",
    accepts=((Kind.CONTINUOUS, Kind.CONTINUOUS), (Kind.DISCRETE, Kind.CONTINUOUS)),
    cost=Cost.QUICK,
    complexity="n d² + d³",
    min_samples=4,
    ceiling="log n; H(V) when V is discrete",
    invariant=("row order", "swap", "label names", "scaling", "constant unit"),
    assumes=("rows i.i.d.", "jointly Gaussian (given the class)"),
    limits=(
        "shrinkage keeps correlations below 1 − its intensity: it hides a near-perfect one of few "
        "columns (flag shrunk; shrinkage=0 shows it)",
        "blind to dependence that is not linear: 0 for a Student pair that shares its scale",
        "a T of a few values is no Gaussian in any class (flag discrete, unreliable)",
        "for labels it compares one Gaussian with a mixture: it can pass H(Y), which is flagged",
        "biased up by about d_v d_t / 2n, for labels (C − 1) d² / 4n, without shrinkage",
    ),
    reference="Kay, Signal Process. 27 (1992); Ledoit & Wolf, J. Multivariate Anal. 88 (2004)",
    tolerance={"gaussian": 0.08, "gaussian_2d": 0.13, "gaussian_5d": 0.17, "independent": 5e-4,
               "autoregressive": 0.1},
    meaningful_null=("X", "Y"),
    null=_null,
    version=4,
)  # fmt: skip
def gaussian(
    v: Any,
    t: Any,
    *,
    shrinkage: Shrinkage = "auto",
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """I(V;T) = −½ Σ_i log(1 − r_i²) in nats, r_i the canonical correlations.

    With V discrete: ½ log det Σ − ½ Σ_c p_c log det Σ_c of T, each class taken as Gaussian.

    Parameters
    ----------
    v : array_like, (n,) or (n, d_v)
        Variable asked about; integers are class labels.
    t : array_like, (n, d)
        Representation.
    shrinkage : float in [0, 1] or "auto"
        Share of the identity mixed into the covariance of the standardised columns. "auto" is the
        intensity of Ledoit and Wolf: near 0 for n ≫ d, and what keeps d ≥ n finite. For labels,
        the mean intensity of the classes, used for all.
    rng, shared
        Not used.

    Returns
    -------
    Estimate
        For a continuous V ``info["shrinkage"]``, ``info["correlations"]`` and, by the delta method,
        ``stderr`` = √(Σ r_i² / n). For labels ``info["bias"]`` = (C − 1) d(d + 1) / 4n, the bias
        without shrinkage, not subtracted: above a tenth of H(V) the estimate is unreliable and
        flagged ``few_per_class``.

    References
    ----------
    Kay, Signal Process. 27, 91 (1992). Ledoit & Wolf, J. Multivariate Anal. 88, 365 (2004).
    """
    params = check_params(GAUSSIAN, {"shrinkage": shrinkage})
    v, t = _label_first(v, t)
    right = samples(t, name="t", minimum=2, estimator=GAUSSIAN)
    n = len(right)
    same_length(plain(v, name="v"), right)
    enough(n, 4, estimator=GAUSSIAN)
    right, dead = live_columns(right)
    flags = [*dead, *heavy_tailed(right)]
    common: dict[str, Any] = {
        "estimator": GAUSSIAN, "n": n, "d": right.shape[1], "params": params, "floor": 0.0,
        "fragile": True,
    }  # fmt: skip
    if right.shape[1] == 0:
        return conclude(0.0, flags=flags, status=Status.DEGENERATE, **common)
    if is_discrete(v):
        codes = classes(v, name="v", estimator=GAUSSIAN)
        few = int(row_codes(right).max()) + 1 <= max(2, n // 10)
        estimate = _conclude_labels(
            codes, standardise(right), shrinkage, [*flags, *(["discrete"] if few else [])], common
        )
        trivial = estimate.status is Status.DEGENERATE
        return replace(estimate, status=Status.UNRELIABLE) if few and not trivial else estimate
    left, dead_left = live_columns(samples(v, name="v", minimum=2, estimator=GAUSSIAN))
    flags += heavy_tailed(left)
    if left.shape[1] == 0:
        return conclude(0.0, flags=[*flags, *dead_left], status=Status.DEGENERATE, **common)
    value, delta, r = _of_points(standardise(left), standardise(right), shrinkage)
    info: dict[str, Any] = {"shrinkage": delta}
    common["ceiling"] = math.log(n)  # beyond it no sample of n can be trusted
    if r is None:
        return conclude(value, flags=flags, info=info, **common)
    linear = bool(r[0] >= LARGEST)
    lost = _information(r[:1] / (1 - delta)) - _information(r[:1]) if delta < 1 else 0.0
    shrunk = lost > LOST and n >= 4 * (left.shape[1] + right.shape[1])
    return conclude(
        value,
        flags=[*flags, *(["linear_function"] if linear else ["shrunk"] if shrunk else [])],
        stderr=math.sqrt(float((np.minimum(r, LARGEST) ** 2).sum()) / n),
        status=Status.UNRELIABLE if linear else Status.SATURATED if shrunk else Status.OK,
        info={**info, "correlations": [float(min(value, LARGEST)) for value in r[:16]]},
        **common,
    )


def _label_first(v: Any, t: Any) -> tuple[Any, Any]:
    """Exchange the two where T is the one with labels: the labels condition."""
    return (t, v) if is_discrete(t) and not is_discrete(v) and _repeats(t) else (v, t)


def _repeats(t: Any) -> bool:
    """Whether integers are labels rather than quantised activations."""
    codes = symbols(t, name="t", estimator=GAUSSIAN)
    return int(codes.max()) + 1 <= 0.5 * len(codes)


def _of_points(
    x: FloatArray, t: FloatArray, shrinkage: float | str
) -> tuple[float, float, FloatArray | None]:
    """Information, shrinkage, and the canonical correlations unless they would cost p³."""
    joint = np.hstack([x, t])
    n, p = joint.shape
    delta = ledoit_wolf(joint) if isinstance(shrinkage, str) else float(shrinkage)
    if delta > 0 and p > n:
        of_x, of_t, of_both = (log_det(part, 1 - delta, delta) for part in (x, t, joint))
        return 0.5 * (of_x + of_t - of_both), delta, None
    covariance = (1 - delta) * joint.T @ joint / n + delta * np.eye(p)
    r = canonical_correlations(covariance, x.shape[1])
    return _information(r), delta, r


def _information(r: FloatArray) -> float:
    """−½ Σ log(1 − r²)."""
    return -0.5 * float(np.log1p(-(np.minimum(r, LARGEST) ** 2)).sum())


def _conclude_labels(
    codes: IntArray, t: FloatArray, shrinkage: float | str, flags: list[str], common: dict[str, Any]
) -> Estimate:
    counts = np.bincount(codes)
    if len(counts) == 1:
        marks = [*flags, "single_class"]
        return conclude(0.0, flags=marks, status=Status.DEGENERATE, **common)
    kept = counts > 1
    if not kept.all():
        flags = [*flags, f"rare_class={int((~kept).sum())}"]
    value, delta = _of_labels(codes, t, shrinkage)
    ceiling = entropy_of_counts(counts[kept])
    d = t.shape[1]
    bias = (int(kept.sum()) - 1) * d * (d + 1) / (4 * int(counts[kept].sum()))
    few = bias > FEW * ceiling
    return conclude(
        value,
        ceiling=ceiling,
        flags=[*flags, f"few_per_class={bias:.2g}"] if few else flags,
        slack=0.02,
        status=Status.UNRELIABLE if few else Status.OK,
        info={"shrinkage": delta, "bias": bias},
        **common,
    )


def _of_labels(codes: IntArray, t: FloatArray, shrinkage: float | str) -> tuple[float, float]:
    """Information and shrinkage, classes of a single sample left out."""
    counts = np.bincount(codes)
    kept = counts > 1
    rows = kept[codes]
    codes, t = codes[rows], t[rows] - t[rows].mean(axis=0)
    groups = [t[codes == label] for label in np.flatnonzero(kept)]
    groups = [group - group.mean(axis=0) for group in groups]
    weights = np.array([len(group) for group in groups]) / len(t)
    # one intensity for all: with its own for each, the smaller sample is shrunk more and the
    # difference of the log determinants measures that; so it also cannot be negative
    auto = isinstance(shrinkage, str)
    delta = float(weights @ [ledoit_wolf(group) for group in groups]) if auto else float(shrinkage)
    least = RIDGE * float((t**2).mean())
    inside = [_shrunk_log_det(group, delta, least) for group in groups]
    return 0.5 * (_shrunk_log_det(t, delta, least) - float(weights @ inside)), delta


def _shrunk_log_det(centred: FloatArray, delta: float, least: float) -> float:
    """Return log det of a covariance shrunk to the identity of its own mean variance."""
    return log_det(centred, 1 - delta, delta * float((centred**2).mean()), least)
