"""The information-bottleneck bound: the largest I(T;Y) that any T with a given I(X;T) can have.

F(r) = max { I(T;Y) : I(X;T) ≤ r, T − X − Y a Markov chain }. For labels that are a function of the
input the curve is known, F(r) = min(r, H(Y)). Otherwise Blahut–Arimoto iterations trace it,

    p(t|x) ∝ p(t) exp(−β KL(p(y|x) ‖ p(y|t)))

from large β to small (deterministic annealing in reverse), from several starts. Inputs with equal
p(y|x) are merged first: they share their fate in every optimal T, and the curve stays the same.
When more than 256 different p(y|x) are left, nearly equal ones are merged too; the information so
lost is reported.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from infoplane.errors import InputError
from infoplane.estimators.contract import Rng, generator, row_codes
from infoplane.types import FloatArray

_TINY = 1e-300
_INPUTS = 256  # different p(y|x) up to which none are merged
_GRIDS = (1e-12, 1e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2)


@dataclass(frozen=True)
class Bound:
    """An information-bottleneck curve in nats, and how it was found.

    Attributes
    ----------
    i_x, i_y : ndarray, (k,)
        The curve, I(X;T) rising from 0; concave, and constant beyond its last point.
    information : float
        I(X;Y), the curve's height.
    method : str
        "closed form" or "annealing".
    beta : ndarray
        Trade-offs visited by the annealing (empty for the closed form).
    iterations : int
        Largest number of iterations at one β.
    residual : float
        Largest change of the Lagrangian in the last iteration at any β, nats.
    spread : float
        Largest difference in the Lagrangian between starts, in nats: 0 when all agree.
    converged : bool
        Whether every β reached the tolerance.
    lost : float
        I(X;Y) lost by merging inputs of nearly equal p(y|x), nats: the curve may lie lower by it.
    """

    i_x: FloatArray
    i_y: FloatArray
    information: float
    method: str
    beta: FloatArray
    iterations: int = 0
    residual: float = 0.0
    spread: float = 0.0
    converged: bool = True
    lost: float = 0.0

    def __call__(self, i_x: ArrayLike) -> NDArray[np.float64]:
        """Return F(I(X;T)) in nats for one or many values."""
        return np.asarray(np.interp(np.asarray(i_x, dtype=float), self.i_x, self.i_y))

    def distance(self, i_x: ArrayLike, i_y: ArrayLike) -> NDArray[np.float64]:
        """Return F(I(X;T)) − I(T;Y): information about Y that T could still have at its size.

        Negative for estimates that lie above the bound, which no true pair does.
        """
        return np.asarray(self(i_x) - np.asarray(i_y, dtype=float))


def ib_bound(
    joint: ArrayLike,
    *,
    points: int = 60,
    starts: int = 2,
    clusters: int = 32,
    tolerance: float = 1e-8,
    iterations: int = 2000,
    rng: Rng = 0,
) -> Bound:
    """Return the information-bottleneck curve of a discrete joint distribution.

    Parameters
    ----------
    joint : array_like, (x, y)
        p(x, y) or counts, non-negative.
    points : int
        Values of β.
    starts : int
        Annealing paths: one from the finest T, the others from it with the encoder perturbed.
    clusters : int
        Largest number of values of T.
    tolerance, iterations
        A path has converged when an iteration changes I(T;Y) − I(X;T)/β by at most ``tolerance``.
    rng
        Seed of the perturbations.

    Raises
    ------
    InputError
        If ``joint`` is not a table of finite non-negative numbers with a positive sum.
    """
    p_x, p_y_x, lost = _merged(_checked(joint))
    information = _information(p_x, p_y_x) + lost
    if bool(((p_y_x < 1e-12) | (p_y_x > 1 - 1e-12)).all()):
        ends = np.array([0.0, information])
        return Bound(ends, ends, information, "closed form", np.array([]))
    size = min(len(p_x) + 1, clusters)
    encoders = _finest(p_x, p_y_x, size, starts)  # (starts, x, t)
    betas = _betas(p_x, p_y_x, points)
    return _anneal(p_x, p_y_x, betas, encoders, tolerance, iterations, generator(rng), lost)


def _checked(joint: ArrayLike) -> FloatArray:
    """Return the table as probabilities, without empty rows and columns."""
    table = np.asarray(joint, dtype=np.float64)
    if table.ndim != 2 or not np.isfinite(table).all() or (table < 0).any() or table.sum() <= 0:
        raise InputError(
            "`joint` must be a table (x, y) of finite numbers ≥ 0 with a positive sum; got shape "
            f"{table.shape}. Pass counts or probabilities."
        )
    kept: FloatArray = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    shares: FloatArray = kept / kept.sum()
    return shares


def _merged(table: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """Return p(x) and p(y|x) with inputs of (nearly) equal p(y|x) merged, and what that lost."""
    p_x = table.sum(axis=1)
    p_y_x = table / p_x[:, None]
    for grid in _GRIDS:
        codes = row_codes(np.round(p_y_x / grid))
        if codes.max() < _INPUTS:
            break
    weights: FloatArray = np.bincount(codes, weights=p_x).astype(np.float64)
    merged = np.zeros((len(weights), table.shape[1]))
    np.add.at(merged, codes, table)
    merged /= weights[:, None]
    return weights, merged, max(_information(p_x, p_y_x) - _information(weights, merged), 0.0)


def _information(p_x: FloatArray, p_y_x: FloatArray) -> float:
    """I(X;Y) = Σ p(x) Σ p(y|x) log(p(y|x) / p(y)), nats."""
    return float((p_x[:, None] * (xlogy(p_y_x, p_y_x) - xlogy(p_y_x, p_x @ p_y_x))).sum())


def _anneal(
    p_x: FloatArray,
    p_y_x: FloatArray,
    betas: FloatArray,
    encoders: FloatArray,
    tolerance: float,
    iterations: int,
    rng: np.random.Generator,
    lost: float,
) -> Bound:
    information = _information(p_x, p_y_x)
    found: list[tuple[float, float]] = [(0.0, 0.0)]
    most, residual, spread = 0, 0.0, 0.0
    for beta in betas:
        # A nudge lets merged clusters part again where the optimum asks for it.
        encoders[1:] *= rng.uniform(0.9, 1.1, size=encoders[1:].shape)
        encoders /= encoders.sum(axis=2, keepdims=True)
        encoders, used, change = _iterate(p_x, p_y_x, beta, encoders, tolerance, iterations)
        i_x, i_y = _plane(p_x, p_y_x, encoders)
        gain = i_y - i_x / beta
        spread = max(spread, float(gain.max() - gain.min()))
        most, residual = max(most, used), max(residual, change)
        found += list(zip(i_x.tolist(), i_y.tolist(), strict=True))
    entropy = float(-xlogy(p_x, p_x).sum())
    curve = _concave(np.array([*found, (entropy, information)]), information)
    return Bound(
        i_x=curve[:, 0],
        i_y=curve[:, 1],
        information=information + lost,
        method="annealing",
        beta=betas,
        iterations=most,
        residual=residual,
        spread=spread,
        converged=residual <= tolerance,
        lost=lost,
    )


def _betas(p_x: FloatArray, p_y_x: FloatArray, points: int) -> FloatArray:
    """Return β from fine to coarse, ending where the trivial T becomes optimal.

    Below β_c = 1 / λ₂, with λ₂ the squared maximal correlation of X and Y, only T = const is
    locally optimal; the curve's slope is 1 / β.
    """
    p_y = p_x @ p_y_x
    scaled = np.sqrt(p_x)[:, None] * p_y_x / np.sqrt(p_y)
    second = np.linalg.svd(scaled, compute_uv=False)[1] if min(scaled.shape) > 1 else 1.0
    lowest = max(1.0, 0.9 / max(float(second) ** 2, 1e-6))
    return 1.0 + np.geomspace(max(lowest - 1.0, 1e-3), 1e3 * lowest, points)[::-1]


def _finest(p_x: FloatArray, p_y_x: FloatArray, size: int, starts: int) -> FloatArray:
    """Return encoders that keep X, or group it by neighbouring p(y|x) where T has fewer values."""
    order = np.lexsort(p_y_x.T)
    mass = np.cumsum(p_x[order]) - p_x[order] / 2
    group = np.empty(len(p_x), dtype=int)
    if len(p_x) < size:
        group[order] = np.arange(len(p_x))
    else:
        group[order] = np.minimum((mass * size).astype(int), size - 1)
    encoder = np.full((len(p_x), size), 1e-3 / size)
    encoder[np.arange(len(p_x)), group] += 1.0
    return np.repeat((encoder / encoder.sum(axis=1, keepdims=True))[None], starts, axis=0)


def _iterate(
    p_x: FloatArray,
    p_y_x: FloatArray,
    beta: float,
    encoders: FloatArray,
    tolerance: float,
    iterations: int,
) -> tuple[FloatArray, int, float]:
    """Repeat the self-consistent equations at one β, all starts at once."""
    weighted = p_x[:, None] * p_y_x  # p(x, y)
    gain = np.full(len(encoders), -np.inf)
    change, used = np.inf, 0
    while used < iterations and change > tolerance:
        p_t = np.maximum(p_x @ encoders, _TINY)  # (starts, t)
        p_y_t = np.maximum(encoders.transpose(0, 2, 1) @ weighted / p_t[..., None], _TINY)
        # log p(t) − β KL(p(y|x) ‖ p(y|t)), up to a term of x alone that normalising removes
        encoders = np.log(p_t)[:, None, :] + beta * (p_y_x @ np.log(p_y_t).transpose(0, 2, 1))
        encoders -= encoders.max(axis=2, keepdims=True)
        np.exp(encoders, out=encoders)
        encoders /= encoders.sum(axis=2, keepdims=True)
        used += 1
        if used % 5 == 0:
            i_x, i_y = _plane(p_x, p_y_x, encoders)
            change = float(np.abs(i_y - i_x / beta - gain).max()) / 5
            gain = i_y - i_x / beta
    return encoders, used, change


def _plane(
    p_x: FloatArray, p_y_x: FloatArray, encoders: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """I(X;T) and I(T;Y) of each encoder, nats, shape (starts,)."""
    p_t, p_y = p_x @ encoders, p_x @ p_y_x
    joint = encoders.transpose(0, 2, 1) @ (p_x[:, None] * p_y_x)  # (starts, t, y)
    h_t = -xlogy(p_t, p_t).sum(axis=1)
    i_x = h_t + xlogy(encoders, encoders).sum(axis=2) @ p_x
    i_y = h_t + xlogy(joint, joint).sum(axis=(1, 2)) - xlogy(p_y, p_y).sum()
    return i_x, i_y


def _concave(points: FloatArray, information: float) -> FloatArray:
    """Return the upper concave hull: mixing two encoders reaches every point between them."""
    points = points[np.lexsort((-points[:, 1], points[:, 0]))]
    points = np.maximum(points, 0.0)
    points[:, 1] = np.minimum(points[:, 1], np.minimum(points[:, 0], information))
    hull: list[NDArray[np.float64]] = []
    for point in points:
        if hull and point[1] <= hull[-1][1] + 1e-12:
            continue
        while len(hull) > 1 and _below(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    return np.array(hull)


def _below(a: FloatArray, b: FloatArray, c: FloatArray) -> bool:
    """Whether b lies on or below the line from a to c."""
    return bool((b[1] - a[1]) * (c[0] - a[0]) <= (c[1] - a[1]) * (b[0] - a[0]))
