"""Nearest neighbours in the maximum norm: distances to the k-th, counts within a radius, lists.

A tree finds neighbours in few dimensions, blocks of distances in many, screened in 16-bit integers
where these can tell rows apart, all compiled where numba is installed. All compare the largest
|a_c − b_c| in float64, so which one answered cannot be told from the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import ModuleType

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from infoplane.estimators import on_device
from infoplane.estimators.boxes import Boxes
from infoplane.estimators.counting import closer
from infoplane.estimators.screen import Screen, compiled
from infoplane.estimators.threads import blocks, in_runs, portions, rows_of
from infoplane.types import FloatArray, IntArray

TREE_DIMS = 6  # up to here a tree is faster at any n; two more from LARGE points on
LARGE = 32_768
ONE_PASS = 600  # rows for each joint dimension beyond four up to which one pass beats a tree
JITTER = 1e-10  # of a column's scale
HEAVY = 1e4  # largest deviation over the quartile range from which quartiles set the scale

Work = Callable[[list[slice]], None]


def chebyshev(a: FloatArray, b: FloatArray, out: FloatArray | None = None) -> FloatArray:
    """Distances max_c |a_ic − b_jc|, (len(a), len(b)), into ``out`` when given."""
    return np.asarray(cdist(a, b, "chebyshev", out=out))


def use_tree(n: int, d: int) -> bool:
    """Whether a tree beats blocks for n points in d dimensions."""
    return d <= TREE_DIMS or (n >= LARGE and d <= TREE_DIMS + 2)


def standardise(t: FloatArray, *, wild_rows: bool = True) -> FloatArray:
    """Centre each column and divide by its standard deviation, safe from overflow at 1e±300.

    With ``wild_rows`` a column whose largest deviation is over 10⁴ times its quartile range is
    divided by that range (over 1.349) instead, so that one wild row does not squeeze all the others
    together.
    """
    columns = np.ascontiguousarray(t.T)  # along which numpy is several times faster
    columns = columns / np.maximum(np.abs(columns).max(axis=1), np.finfo(float).tiny)[:, None]
    columns -= columns.mean(axis=1)[:, None]
    scale = columns.std(axis=1)
    if wild_rows:
        low, middle, high = np.quantile(columns, [0.25, 0.5, 0.75], axis=1)
        largest = np.abs(columns - middle[:, None]).max(axis=1)
        wild = (high > low) & (largest > HEAVY * (high - low))
        scale = np.where(wild, (high - low) / 1.349, scale)
    columns /= scale[:, None]
    return np.ascontiguousarray(columns.T)


def jittered(points: FloatArray, *order: FloatArray | IntArray) -> FloatArray:
    """Add seeded noise of 1e-10 of a column's scale, alike for the same rows in any order.

    ``order`` holds what travels with the rows (the other variable); rows alike in all of it are
    interchangeable.
    """
    keys = [column for item in order for column in np.atleast_2d(item.T)] + list(points.T)
    rank = np.lexsort(keys)
    scale = np.abs(points - np.median(points, axis=0)).mean(axis=0)
    result = points.copy()
    result[rank] += JITTER * scale * np.random.default_rng(0).standard_normal(points.shape)
    return result


def untied(points: FloatArray, k: int, *order: FloatArray | IntArray) -> tuple[FloatArray, int]:
    """Return the points, jittered where values repeat, and how many rows share a value (or 0).

    A value that many rows share (the zeros of a ReLU, the levels of a quantised unit) puts many
    rows at one distance. Those at the distance of the k-th neighbour itself are not closer than it,
    so that a count leaves out all of them, where k − 1 of any continuous variable would be in.
    Up to k rows are let be: single precision repeats a few values by chance.
    """
    ties = max(_repeats(column) for column in points.T)
    return (jittered(points, *order), ties) if ties > k else (points, 0)


def _repeats(column: FloatArray) -> int:
    """Entries that have an equal one."""
    ordered = np.sort(column)
    same = ordered[1:] == ordered[:-1]
    return int(np.count_nonzero(same) + np.count_nonzero(same & ~np.r_[False, same[:-1]]))


def kth_distance(points: FloatArray, k: int, workers: int = 1) -> FloatArray:
    """Distance of each row to its k-th nearest other row, (n,)."""
    if on_device.chosen() is not None:
        return on_device.kth_distance(points, k)
    if use_tree(*points.shape):
        return _tree_kth(points, k, workers)
    return _block_kth(points, k, workers)


def _tree_kth(points: FloatArray, k: int, workers: int) -> FloatArray:
    grown = compiled(len(points), "tree")
    if grown is not None:
        return Boxes(grown, points).kth(k, workers)
    tree = cKDTree(points)
    result = np.empty(len(points))
    asked = points[tree.indices]  # in the order of the tree: what a query touches is in the cache
    result[tree.indices] = tree.query(asked, [k + 1], p=np.inf, workers=workers)[0][:, 0]
    return result


def _block_kth(points: FloatArray, k: int, workers: int) -> FloatArray:
    n, d = points.shape
    result, screen, sweeps = np.empty(n), Screen(points), compiled(n)
    if sweeps is not None:
        return (
            _swept_kth(sweeps, points, k, workers) if screen.fine else _tree_kth(points, k, workers)
        )

    def screened(run: list[slice]) -> None:
        buffers = np.empty((2, rows_of(run), n), np.int16)
        for rows in run:
            out, spare = (buffer[: rows.stop - rows.start] for buffer in buffers)
            cells = screen.largest(range(d), rows, slice(None), out, spare)
            result[rows] = screen.kth(range(d), cells, np.arange(rows.start, rows.stop), k)

    def plain(run: list[slice]) -> None:
        buffer = np.empty((rows_of(run), n))
        for rows in run:
            distances = chebyshev(points[rows], points, buffer[: rows.stop - rows.start])
            distances.partition(k, axis=1)  # the row itself is at distance 0
            result[rows] = distances[:, k]

    _over_blocks(screened, plain, screen.fine, n, workers)
    return result


def _swept_kth(sweeps: ModuleType, points: FloatArray, k: int, workers: int) -> FloatArray:
    order = np.argsort(points[:, 0], kind="stable")
    points, result, kept = points[order], np.empty(len(points)), np.empty(len(points))
    cells = Screen(points).cells

    def work(run: list[slice]) -> None:
        for rows in run:
            sweeps.kth(points, cells, k, rows.start, rows.stop, kept)

    in_runs(work, portions(len(points)), workers)
    result[order] = kept
    return result


def _over_blocks(screened: Work, plain: Work, fine: bool, n: int, workers: int) -> None:
    """Run over blocks of rows in small integers, or in float64 where these cannot tell."""
    in_runs(screened if fine else plain, list(blocks(n, 2 if fine else 8)), workers)


def joint_counts(
    x: FloatArray, t: FloatArray, k: int, workers: int = 1
) -> tuple[FloatArray, IntArray, IntArray]:
    """Distance to the k-th neighbour in the joint space, and how many are closer in x and in t.

    Returns
    -------
    radius, n_x, n_t : ndarray, (n,)
    """
    if on_device.chosen() is not None:
        return on_device.joint_counts(x, t, k)
    n, d = len(x), x.shape[1] + t.shape[1]
    if compiled(n) is not None or (use_tree(n, d) and n > ONE_PASS * (d - 4)):
        radius = kth_distance(np.hstack([x, t]), k, workers)
        return radius, closer(x, radius, workers), closer(t, radius, workers)
    screen, in_both = Screen(np.hstack([x, t])), range(d)
    of_x, of_t = in_both[: x.shape[1]], in_both[x.shape[1] :]
    radius, n_x, n_t = np.empty(n), np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)

    def screened(run: list[slice]) -> None:  # one pass over the distances serves all three
        buffers = np.empty((3, rows_of(run), n), np.int16)
        for rows in run:
            in_x, in_t, joint = (buffer[: rows.stop - rows.start] for buffer in buffers)
            some = np.arange(rows.start, rows.stop)
            screen.largest(of_x, rows, slice(None), in_x, joint)
            screen.largest(of_t, rows, slice(None), in_t, joint)
            np.maximum(in_x, in_t, out=joint)
            radius[rows] = reach = screen.kth(in_both, joint, some, k)
            n_x[rows] = screen.closer(of_x, in_x, some, 0, reach)
            n_t[rows] = screen.closer(of_t, in_t, some, 0, reach)

    def plain(run: list[slice]) -> None:
        buffers = np.empty((3, rows_of(run), n))
        for rows in run:
            in_x, in_t, joint = (buffer[: rows.stop - rows.start] for buffer in buffers)
            chebyshev(x[rows], x, in_x)
            chebyshev(t[rows], t, in_t)
            np.maximum(in_x, in_t, out=joint).partition(k, axis=1)
            radius[rows] = joint[:, k]
            n_x[rows] = np.count_nonzero(in_x < joint[:, k, None], axis=1)
            n_t[rows] = np.count_nonzero(in_t < joint[:, k, None], axis=1)

    _over_blocks(screened, plain, screen.fine, n, workers)
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

    in_runs(work, list(blocks(n)), workers)
    return result


def class_places(
    points: FloatArray, labellings: Iterable[IntArray], k_of: IntArray, size: int, workers: int = 1
) -> Iterator[IntArray] | None:
    """Yield, for each labelling, one more than how many rows are closer than the k-th of the class.

    ``k_of`` (classes,) says which neighbour of the own class is the k-th; rows of a class that has
    none do not enter and are left out. None where no compiled loop can tell: nothing was asked of
    ``labellings`` then. ``size`` is how many neighbours settle it for most rows.
    """
    sweeps, screen = compiled(len(points)), Screen(points)
    if sweeps is None or not screen.fine:
        return None
    labels = np.stack(list(labellings), axis=1).astype(np.int32)
    labels[k_of.take(labels) < 1] = -1
    places = np.empty_like(labels)

    def work(run: list[slice]) -> None:
        for rows in run:
            ends = rows.start, rows.stop
            sweeps.class_places(
                points, screen.cells, screen.step, labels, k_of, size, *ends, places
            )

    in_runs(work, portions(len(points)), workers)
    return (place[place > 0] for place in places.T)
