"""Nearest neighbours in the maximum norm: distances to the k-th, counts within a radius, lists.

A k-d tree finds neighbours in few dimensions, blocks of plain distances in many; counts come from a
sorted column or from windows of one. All compare the largest |a_c − b_c| in float64, so which one
answered cannot be told from the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from infoplane.types import FloatArray, IntArray

TREE_DIMS = 6  # up to here a tree is faster at any n; two more from LARGE points on
LARGE = 8192
WINDOW = 32  # rows compared with one window
TIERS = (0.5, 0.9)  # quantiles of the radius that part small, middle and large
BLOCK = 1 << 20  # bytes of one block of distances: it stays in the cache
JITTER = 1e-10  # of a column's scale
P = TypeVar("P")

HEAVY = 1e4  # largest deviation over the quartile range from which quartiles set the scale


def chebyshev(a: FloatArray, b: FloatArray, out: FloatArray | None = None) -> FloatArray:
    """Distances max_c |a_ic − b_jc|, (len(a), len(b)), into ``out`` when given."""
    return np.asarray(cdist(a, b, "chebyshev", out=out))


def use_tree(n: int, d: int) -> bool:
    """Whether a tree beats blocks for n points in d dimensions."""
    return d <= TREE_DIMS or (n >= LARGE and d <= TREE_DIMS + 2)


def standardise(t: FloatArray) -> FloatArray:
    """Centre each column and divide by its standard deviation, safe from overflow at 1e±300.

    A column whose largest deviation is over 10⁴ times its quartile range is divided by that range
    (over 1.349) instead, so that one wild row does not squeeze all the others together.
    """
    t = t / np.maximum(np.abs(t).max(axis=0), np.finfo(float).tiny)
    t -= t.mean(axis=0)
    low, middle, high = np.quantile(t, [0.25, 0.5, 0.75], axis=0)
    wild = (high > low) & (np.abs(t - middle).max(axis=0) > HEAVY * (high - low))
    t /= np.where(wild, (high - low) / 1.349, t.std(axis=0))
    return t


def jittered(points: FloatArray, *order: FloatArray | IntArray) -> FloatArray:
    """Add seeded noise of 1e-10 of a column's scale, alike for the same rows in any order.

    ``order`` holds what travels with the rows (the other variable); rows alike in all of it are
    interchangeable.
    """
    keys = [column for item in order for column in np.atleast_2d(item.T)] + list(points.T)
    rank = np.lexsort(keys)
    result = points.copy()
    result[rank] += JITTER * np.random.default_rng(0).standard_normal(points.shape)
    return result


def kth_distance(points: FloatArray, k: int, workers: int = 1) -> FloatArray:
    """Distance of each row to its k-th nearest other row, (n,)."""
    if use_tree(*points.shape):
        return _tree_kth(points, k, workers)
    return _block_kth(points, k, workers)


def _tree_kth(points: FloatArray, k: int, workers: int) -> FloatArray:
    return np.asarray(cKDTree(points).query(points, [k + 1], p=np.inf, workers=workers)[0][:, 0])


def _block_kth(points: FloatArray, k: int, workers: int) -> FloatArray:
    n = len(points)
    result = np.empty(n)

    def work(run: list[slice]) -> None:
        buffer = np.empty((rows_of(run), n))
        for rows in run:
            distances = chebyshev(points[rows], points, buffer[: rows.stop - rows.start])
            distances.partition(k, axis=1)  # the row itself is at distance 0
            result[rows] = distances[:, k]

    over_blocks(work, n, workers)
    return result


def closer(points: FloatArray, radius: FloatArray, workers: int = 1) -> IntArray:
    """How many other rows are strictly closer to row i than ``radius[i]``, (n,)."""
    if points.shape[1] == 1:
        return _sorted_closer(points[:, 0], radius)
    return _window_closer(points, radius, workers)


def _sorted_closer(column: FloatArray, radius: FloatArray) -> IntArray:
    """One dimension: the rows within the radius are a run of the sorted column.

    |x_j − x_i| as rounded grows with x_j, so the run's ends are where it reaches the radius; the
    search by x_i ± r may be off by a rounding, which the last comparisons set right.
    """
    values = np.sort(column)
    n = len(values)
    first = np.searchsorted(values, column - radius, side="right")
    last = np.searchsorted(values, column + radius, side="left")
    while (off := (first > 0) & (column - values[first - 1] < radius)).any():
        first -= off
    while (off := (first < n) & ~(column - values[np.minimum(first, n - 1)] < radius)).any():
        first += off
    while (off := (last < n) & (values[np.minimum(last, n - 1)] - column < radius)).any():
        last += off
    while (off := (last > 0) & ~(values[last - 1] - column < radius)).any():
        last -= off
    return np.asarray(np.maximum(last - first - 1, 0))


def _window_closer(points: FloatArray, radius: FloatArray, workers: int) -> IntArray:
    """More dimensions: rows in the order of one coordinate are compared with a window of it.

    Rows of small, middle and large radius go by themselves, for the largest sets the window.
    """
    n = len(points)
    order = np.argsort(points[:, 0], kind="stable")
    points, radius = points[order], radius[order]
    first = np.ascontiguousarray(points[:, 0])
    tier = np.searchsorted(np.quantile(radius, TIERS), radius)
    groups = [
        rows[start : start + WINDOW]
        for rows in (np.flatnonzero(tier == level) for level in range(len(TIERS) + 1))
        for start in range(0, len(rows), WINDOW)
    ]
    counts = np.empty(n, dtype=np.int64)

    def work(run: list[IntArray]) -> None:
        buffer = np.empty(WINDOW * n)
        for rows in run:
            reach = float(radius[rows].max()) * (1 + 1e-9)  # wider by more than any rounding
            low = first.searchsorted(first[rows[0]] - reach, side="left")
            high = first.searchsorted(first[rows[-1]] + reach, side="right")
            shape = (len(rows), int(high - low))
            out = buffer[: shape[0] * shape[1]].reshape(shape)
            near = chebyshev(points[rows], points[low:high], out) < radius[rows, None]
            counts[rows] = np.count_nonzero(near, axis=1)

    in_runs(work, groups, workers)
    result = np.empty(n, dtype=np.int64)
    result[order] = np.maximum(counts - 1, 0)
    return result


def joint_counts(
    x: FloatArray, t: FloatArray, k: int, workers: int = 1
) -> tuple[FloatArray, IntArray, IntArray]:
    """Distance to the k-th neighbour in the joint space, and how many are closer in x and in t.

    Returns
    -------
    radius, n_x, n_t : ndarray, (n,)
    """
    if use_tree(len(x), x.shape[1] + t.shape[1]):
        radius = _tree_kth(np.hstack([x, t]), k, workers)
        return radius, closer(x, radius, workers), closer(t, radius, workers)
    n = len(x)
    radius, n_x, n_t = np.empty(n), np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)

    def work(run: list[slice]) -> None:  # one pass over the distances serves all three
        buffers = np.empty((3, rows_of(run), n))
        for rows in run:
            in_x, in_t, joint = (buffer[: rows.stop - rows.start] for buffer in buffers)
            chebyshev(x[rows], x, in_x)
            chebyshev(t[rows], t, in_t)
            np.maximum(in_x, in_t, out=joint).partition(k, axis=1)
            radius[rows] = joint[:, k]
            n_x[rows] = np.count_nonzero(in_x < joint[:, k, None], axis=1)
            n_t[rows] = np.count_nonzero(in_t < joint[:, k, None], axis=1)

    over_blocks(work, n, workers)
    return radius, np.maximum(n_x - 1, 0), np.maximum(n_t - 1, 0)


def neighbour_lists(points: FloatArray, size: int, workers: int = 1) -> IntArray:
    """Return the indices of the ``size`` nearest other rows, nearest first, (n, size)."""
    n = len(points)
    if use_tree(n, points.shape[1]) and size < n // 4:
        near = cKDTree(points).query(points, size + 1, p=np.inf, workers=workers)[1]
        itself = near == np.arange(n)[:, None]
        itself[~itself.any(axis=1), -1] = True  # lost among exact copies: drop the farthest
        return np.asarray(near[~itself].reshape(n, size))
    result = np.empty((n, size), dtype=np.int64)

    def work(run: list[slice]) -> None:
        for rows in run:
            distances = chebyshev(points[rows], points)
            distances[np.arange(len(distances)), np.arange(n)[rows]] = np.inf
            near = np.argpartition(distances, size - 1, axis=1)[:, :size]
            order = np.argsort(np.take_along_axis(distances, near, axis=1), axis=1, kind="stable")
            result[rows] = np.take_along_axis(near, order, axis=1)

    over_blocks(work, n, workers)
    return result


def blocks(n: int) -> Iterator[slice]:
    """Cut n rows into runs whose distances to all n fill one block."""
    step = max(1, BLOCK // (8 * n))
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def rows_of(run: list[slice]) -> int:
    """Rows of the largest block of a run."""
    return max(int(rows.stop - rows.start) for rows in run)


def over_blocks(work: Callable[[list[slice]], None], n: int, workers: int) -> None:
    """Call ``work`` on runs of blocks of rows."""
    in_runs(work, list(blocks(n)), workers)


def in_runs(work: Callable[[list[P]], None], pieces: list[P], workers: int) -> None:
    """Call ``work`` on runs of pieces, one run for each of ``workers`` threads.

    A run keeps its buffers: new pages for every piece would cost more than the distances.
    """
    if workers == 1:
        work(pieces)
        return
    runs = [pieces[i::workers] for i in range(min(workers, len(pieces)))]
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, runs))
