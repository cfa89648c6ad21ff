"""The null of the Gaussian information: what a shuffled pairing leaves as it is, computed once.

Labels: the moments of all shuffled classes are one product of matrices. Points: whitened on both
sides once, each pairing is a product across and its singular values.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infoplane.estimators.nulls import Shuffles
from infoplane.types import FloatArray, IntArray

NARROW = 16  # columns up to which the moments of all draws are taken together
_ROWS = 1024  # whose features are held at once
_CLASSES = 512  # shuffled classes of one product


def of_labels(
    t: FloatArray, shrinkage: float | None, least: float, shuffles: Shuffles
) -> FloatArray:
    """½ log det Σ − ½ Σ_c p_c log det Σ_c for every draw, (draws,).

    Parameters
    ----------
    t : ndarray, (n, d)
        Centred rows.
    shrinkage : float or None
        Share of the identity; None for that of Ledoit and Wolf, averaged over the classes.
    least : float
        What every eigenvalue counts at least.
    shuffles : Shuffles
        Of the labels, each there at least twice.
    """
    weights = shuffles.sizes / len(t)
    whole = np.linalg.eigvalsh(t.T @ t / len(t))
    values = np.empty(len(shuffles.labels))
    for some, members in shuffles.parts(_CLASSES):
        moments = _of_classes(_sums(t, members), shuffles.sizes)
        covariance, intensity = _shrinking(moments, t.shape[1], shuffles.sizes)
        own = intensity @ weights
        delta = own if shrinkage is None else np.full_like(own, shrinkage)
        inside = np.linalg.eigvalsh(covariance)  # (draws, classes, d)
        values[some] = _log_det(whole, delta, least) - (
            _log_det(inside, delta[:, None], least) @ weights
        )
    return 0.5 * values


def _log_det(eigenvalues: NDArray[Any], delta: FloatArray, least: float) -> FloatArray:
    """Return log det of covariances shrunk to the identity of their own mean variance."""
    mean, delta = eigenvalues.mean(axis=-1, keepdims=True), delta[..., None]
    shrunk = (1 - delta) * np.maximum(eigenvalues, 0.0) + delta * mean
    return np.asarray(np.log(np.maximum(shrunk, least)).sum(axis=-1))


def _sums(t: FloatArray, members: FloatArray) -> FloatArray:
    """Sum x, x xᵀ, q x, q and q² over the members, q = ‖x‖², shape (features, columns)."""
    total: Any = 0.0
    for first in range(0, len(t), _ROWS):
        x = t[first : first + _ROWS]
        q = np.einsum("ij,ij->i", x, x)[:, None]
        square = (x[:, :, None] * x[:, None, :]).reshape(len(x), -1)
        total = total + np.hstack([x, square, q * x, q, q * q]).T @ members[first : first + _ROWS]
    return np.asarray(total)


def _of_classes(sums: FloatArray, sizes: IntArray) -> FloatArray:
    """Mean features of every class of every draw, (draws, classes, features)."""
    told = len(sizes) - 1
    each = sums[:, 1:].reshape(len(sums), -1, told)
    last = sums[:, :1] - each.sum(axis=2)
    every = np.concatenate([each, last[:, :, None]], axis=2)
    return np.moveaxis(every, 0, 2) / sizes[:, None]


def _shrinking(moments: FloatArray, d: int, sizes: IntArray) -> tuple[FloatArray, FloatArray]:
    """Covariances (draws, classes, d, d) and their intensities of Ledoit and Wolf."""
    mean, square, along, q, q2 = np.split(
        moments, [d, d + d * d, 2 * d + d * d, 2 * d + d * d + 1], axis=2
    )
    square, length = square.reshape(*mean.shape, d), (mean**2).sum(axis=2)
    covariance = square - mean[..., :, None] * mean[..., None, :]
    stretch = np.einsum("abi,abij,abj->ab", mean, square, mean)
    # mean of ‖x − μ‖⁴, expanded
    fourth = q2[..., 0] + 4 * stretch + 2 * length * q[..., 0] - 3 * length**2
    fourth -= 4 * (mean * along).sum(axis=2)
    squared = (covariance**2).sum(axis=(2, 3))
    distance = squared - np.trace(covariance, axis1=2, axis2=3) ** 2 / d
    spread = np.maximum((fourth - squared) / sizes, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        intensity = np.where(distance > 0, np.minimum(spread / distance, 1.0), 1.0)
    return covariance, intensity


def of_points(
    x: FloatArray, t: FloatArray, shrinkage: float | None, orders: list[IntArray]
) -> Iterator[FloatArray]:
    """Yield the canonical correlations for every order of the rows of X.

    Parameters
    ----------
    x, t : ndarray, (n, d_x) and (n, d_t)
        Standardised columns, n ≥ d_x + d_t.
    shrinkage : float or None
        Share of the identity; None for that of Ledoit and Wolf.
    orders : list of ndarray, (n,)
        Orders of the rows of X.
    """
    n, p = len(x), x.shape[1] + t.shape[1]
    of_x, of_t = _axes(x), _axes(t)
    rotated = x @ of_x[1], t @ of_t[1]
    lengths = [np.einsum("ij,ij->i", side, side) for side in (x, t)]
    inside = sum(float((values**2).sum()) for values, _ in (of_x, of_t))
    mean = float(lengths[0].sum() + lengths[1].sum()) / (n * p)
    for order in orders:
        across = rotated[0][order].T @ rotated[1] / n
        squared = inside + 2 * float((across**2).sum())
        delta = shrinkage
        if delta is None:
            fourth = float(((lengths[0][order] + lengths[1]) ** 2).sum()) / n
            distance = squared - p * mean**2
            spread = max((fourth - squared) / n, 0.0)
            delta = min(1.0, spread / distance) if distance > 0 else 1.0
        roots = [_inverse_root((1 - delta) * values + delta) for values, _ in (of_x, of_t)]
        whitened = (1 - delta) * roots[0][:, None] * across * roots[1]
        yield np.asarray(np.linalg.svd(whitened, compute_uv=False))


def _axes(points: FloatArray) -> tuple[FloatArray, FloatArray]:
    values, axes = np.linalg.eigh(points.T @ points / len(points))
    return values, axes


def _inverse_root(values: FloatArray) -> FloatArray:
    """1/√λ, 0 for directions without variance."""
    kept = values > values[-1] * len(values) * np.finfo(float).eps * 10
    return np.where(kept, 1.0 / np.sqrt(np.where(kept, values, 1.0)), 0.0)
