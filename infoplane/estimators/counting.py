"""How many rows are closer than a radius of their own, in the maximum norm, one for each row.

One column is sorted, two are counted by ranks, three in a compiled tree, more are compared inside
windows of one, few rows with all others. All compare |a_c − b_c| as float64 rounds it, so which one
answered cannot be told from the result.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np
from scipy.spatial.distance import cdist

from infoplane.estimators import on_device
from infoplane.estimators.boxes import Boxes
from infoplane.estimators.screen import Screen, compiled
from infoplane.estimators.threads import blocks, in_runs, portions, rows_of
from infoplane.types import FloatArray, IntArray

TREE_DIMS = 3  # up to here a compiled tree is faster than a compiled sweep
WINDOW = 32  # rows compared with one window
FEW = 800  # points of a plane up to which comparing all is faster than ranks
SOME = 2048  # points of more columns up to which it is faster than windows
TIERS = (0.5, 0.9)  # quantiles of the radius that part small, middle and large


def closer(points: FloatArray, radius: FloatArray, workers: int = 1) -> IntArray:
    """How many other rows are strictly closer to row i than ``radius[i]``, (n,)."""
    if points.shape[1] == 1:
        first, last = _run(points[:, 0], radius)[1]
        return np.asarray(np.maximum(last - first - 1, 0))
    if on_device.chosen() is not None:
        return on_device.closer(points, radius)
    (n, d), tree = points.shape, compiled(len(points), "tree")
    if n <= (FEW if d == 2 else SOME) and tree is None:
        return all_closer(points, radius)
    if d == 2:
        return plane_closer(points, radius)
    if d <= TREE_DIMS and tree is not None:
        return Boxes(tree, points).closer(radius, workers)
    return window_closer(points, radius, workers)


def all_closer(points: FloatArray, radius: FloatArray) -> IntArray:
    """Any columns, few rows: all distances are taken."""
    n, some = len(points), list(blocks(len(points)))
    counts, buffer = np.empty(n, dtype=np.int64), np.empty((rows_of(some), n))
    for rows in some:  # new pages for every block would cost more than its distances
        out = buffer[: rows.stop - rows.start]
        cdist(points[rows], points, "chebyshev", out=out)
        counts[rows] = np.count_nonzero(out < radius[rows, None], axis=1)
    return np.maximum(counts - 1, 0)


def _run(column: FloatArray, radius: FloatArray) -> tuple[IntArray, IntArray]:
    """Return the order of a column, and the ends (2, n) in it of the run that is closer to each."""
    order, ends = np.argsort(column), np.empty((2, len(column)), dtype=np.int64)
    values, reach, ranks = column[order], radius[order], compiled(len(column), "ranks")
    if ranks is None:
        ends[:, order] = run_within(values, values, reach)
    else:
        found = np.empty_like(ends)
        ranks.runs(values, reach, *found)
        ends[:, order] = found
    return order, ends


def run_within(
    values: FloatArray, column: FloatArray, radius: FloatArray
) -> tuple[IntArray, IntArray]:
    """Return the run of sorted ``values`` strictly closer to each entry than its radius: its ends.

    |x_j − x_i| as rounded grows with x_j, so the run's ends are where it reaches the radius; the
    search by x_i ± r may be off by a rounding, which the last comparisons set right.
    """
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
    return first, last


def plane_closer(points: FloatArray, radius: FloatArray) -> IntArray:
    """Two columns: a square is a run of ranks in each, counted bit by bit (a wavelet matrix)."""
    n = len(points)
    order, (first, last) = _run(points[:, 0], radius)
    other, limits = _run(points[:, 1], radius)
    rank = np.empty(n, dtype=np.int64)
    rank[other] = np.arange(n)
    first, last = (np.maximum(end, first) for end in (first, last))  # an empty run stays empty
    ranks = compiled(n, "ranks")
    count = _ranks_below if ranks is None else ranks.below
    bottom, top = (count(rank[order], first.copy(), last.copy(), limit) for limit in limits)
    return np.asarray(np.maximum(top - bottom - 1, 0))


def _ranks_below(ranks: IntArray, first: IntArray, last: IntArray, limit: IntArray) -> IntArray:
    """How many of ranks[first:last] are below ``limit``, for many runs at once.

    ``ranks`` is a permutation. From the highest bit down it is split stably into zeros and ones;
    a run stays a run in either half, and the zeros of a limit whose bit is 1 are below it.
    """
    n, count = len(ranks), np.zeros(len(first), dtype=np.int64)
    for bit in reversed(range(n.bit_length())):
        ones = (ranks >> bit) & 1
        zeros = np.concatenate([[0], np.cumsum(1 - ones)])
        start, stop = zeros.take(first), zeros.take(last)
        up = ((limit >> bit) & 1).astype(bool)
        count += np.where(up, stop - start, 0)
        first = np.where(up, zeros[-1] + first - start, start)
        last = np.where(up, zeros[-1] + last - stop, stop)
        ranks = np.concatenate([ranks[ones == 0], ranks[ones == 1]])
    return count


def window_closer(points: FloatArray, radius: FloatArray, workers: int = 1) -> IntArray:
    """More columns: rows in the order of one coordinate are compared with a window of it.

    Rows of small, middle and large radius go by themselves, for the largest sets the window.
    """
    n, d = points.shape
    order = np.argsort(points[:, 0], kind="stable")
    points, radius = points[order], radius[order]
    counts, screen, sweeps = np.empty(n, dtype=np.int64), Screen(points), compiled(n)
    if screen.fine and sweeps is not None:
        return _others(_swept_counts(sweeps, screen, radius, workers), order)
    tree = compiled(n, "tree")
    if tree is not None:
        return _others(Boxes(tree, points).closer(radius, workers) + 1, order)
    first = np.ascontiguousarray(points[:, 0])
    tier = np.searchsorted(np.quantile(radius, TIERS), radius)
    groups = [
        rows[start : start + WINDOW]
        for rows in (np.flatnonzero(tier == level) for level in range(len(TIERS) + 1))
        for start in range(0, len(rows), WINDOW)
    ]

    def work(run: list[IntArray]) -> None:
        kind = np.int16 if screen.fine else np.float64
        buffers = np.empty((2, WINDOW * n), kind)
        for rows in run:
            reach = float(radius[rows].max()) * (1 + 1e-9)  # wider by more than any rounding
            low = int(first.searchsorted(first[rows[0]] - reach, side="left"))
            high = int(first.searchsorted(first[rows[-1]] + reach, side="right"))
            shape = (len(rows), high - low)
            out, spare = (buffer[: shape[0] * shape[1]].reshape(shape) for buffer in buffers)
            if screen.fine:
                screen.largest(range(d), rows, slice(low, high), out, spare)
                counts[rows] = screen.closer(range(d), out, rows, low, radius[rows])
                continue
            cdist(points[rows], points[low:high], "chebyshev", out=out)
            counts[rows] = np.count_nonzero(out < radius[rows, None], axis=1)

    in_runs(work, groups, workers)
    return _others(counts, order)


def _swept_counts(sweeps: ModuleType, screen: Screen, radius: FloatArray, workers: int) -> IntArray:
    counts = np.empty(len(radius), dtype=np.int64)

    def work(run: list[slice]) -> None:
        for rows in run:
            ends = rows.start, rows.stop
            sweeps.closer(screen.points, screen.cells, screen.step, radius, *ends, counts)

    in_runs(work, portions(len(counts)), workers)
    return counts


def _others(counts: IntArray, order: IntArray) -> IntArray:
    """Leave the row itself out of the counts, back in the order of the caller."""
    result = np.empty_like(counts)
    result[order] = np.maximum(counts - 1, 0)
    return result
