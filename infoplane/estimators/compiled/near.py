"""Compiled sweeps over all pairs of rows: what `screen` does in numpy, without its temporaries.

Differences of 16-bit integers sort out who may be near, float64 decides: every answer is that of
the plain version to the last bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import int16
from numpy.typing import NDArray

from infoplane.estimators.compiled.jit import jit
from infoplane.types import FloatArray, IntArray

ROWS = 8  # taken together: the others' coordinates are fetched once for all of them
TILE = 512  # columns whose coordinates stay in the first cache meanwhile
NEAR = 512  # rows on either side that bound how far the nearest are
CHUNK = 64  # columns that are looked at one by one only if their nearest is near enough
TOP = np.int16(32_767)
SLACK = 1.5  # steps by which a difference may be off; as in `screen`
BIN = 5  # binary digits of a gap that its bin leaves out

Cells = NDArray[np.int16]


@jit
def _largest(cells: Cells, rows: Any, others: Any, out: Cells) -> None:
    """Largest difference of every row (start, stop) to the others (start, stop), into ``out``."""
    for left in range(others[0], others[1], TILE):
        right = min(left + TILE, others[1])
        for r in range(rows[1] - rows[0]):
            into = out[r, left - others[0] : right - others[0]]
            for c in range(len(cells)):
                own, there = cells[c, rows[0] + r], cells[c, left:right]
                for j in range(len(into)):
                    high = there[j] if there[j] > own else own
                    low = own if there[j] > own else there[j]
                    gap = int16(high - low)
                    into[j] = gap if c == 0 or gap > into[j] else into[j]


@jit
def _insert(best: NDArray[Any], value: Any) -> None:
    """Let a value take the place of the largest of a heap, which is its first."""
    p, child = 0, 1
    while child < len(best):
        if child + 1 < len(best) and best[child + 1] > best[child]:
            child += 1
        if best[child] <= value:
            break
        best[p] = best[child]
        p, child = child, 2 * child + 1
    best[p] = value


@jit
def _distance(points: FloatArray, i: int, j: int, limit: float) -> float:
    """Largest coordinate difference of two rows, or one that is at least ``limit``."""
    result = 0.0
    for c in range(points.shape[1]):
        gap = abs(points[i, c] - points[j, c])
        if gap > result:
            result = gap
            if result >= limit:
                break
    return result


@jit
def _bound(gaps: Cells, lowest: Cells, near: Cells) -> Any:
    """Smallest gap within which len(near) rows lie; ``lowest`` becomes that of every chunk."""
    near[:] = TOP
    chunks = -(-len(gaps) // CHUNK)
    for m in range(chunks):
        chunk = gaps[m * CHUNK : (m + 1) * CHUNK]
        low = TOP
        for j in range(len(chunk)):
            low = chunk[j] if chunk[j] < low else low
        lowest[m] = low
        if low < near[0]:
            _insert(near, low)
    enough = near[0]  # no row beyond it can be among the nearest
    near[:] = TOP
    for m in range(chunks):
        if lowest[m] <= enough and lowest[m] < near[0]:
            for j in range(m * CHUNK, min((m + 1) * CHUNK, len(gaps))):
                if gaps[j] < near[0]:
                    _insert(near, gaps[j])
    return near[0]


@jit
def _kth(
    points: FloatArray, i: int, start: int, gaps: Cells, lowest: Cells, near: Cells, best: Any
) -> Any:
    """Distance of row i to its len(best)-th nearest other row; gaps are to those from ``start``."""
    reach = _bound(gaps, lowest, near) + 2 * SLACK
    best[:] = np.inf
    for m in range(-(-len(gaps) // CHUNK)):
        if lowest[m] <= reach:
            for j in range(m * CHUNK, min((m + 1) * CHUNK, len(gaps))):
                if gaps[j] <= reach and start + j != i:
                    distance = _distance(points, i, start + j, best[0])
                    if distance < best[0]:
                        _insert(best, distance)
    return best[0]


@jit
def _within(points: FloatArray, i: int, start: int, gaps: Cells, radius: float, step: float) -> int:
    """How many rows from ``start`` on are closer to row i than the radius, itself among them."""
    steps = min(radius / step, 40_000.0)
    sure = int16(min(max(np.ceil(steps - SLACK) - 1, -1), TOP))
    may = int16(min(max(np.ceil(steps + SLACK) - 1, -1), TOP))
    count = 0
    for m in range(0, len(gaps), CHUNK):
        chunk = gaps[m : m + CHUNK]
        inside, perhaps = int16(0), int16(0)
        for j in range(len(chunk)):  # counted in 16 bits too, sixteen at a time
            inside = int16(inside + (int16(1) if chunk[j] <= sure else int16(0)))
            perhaps = int16(perhaps + (int16(1) if chunk[j] <= may else int16(0)))
        count += inside
        if perhaps > inside:
            for j in range(len(chunk)):
                if sure < chunk[j] <= may:
                    count += _distance(points, i, start + m + j, radius) < radius
    return count


@jit
def kth(
    points: FloatArray, cells: Cells, k: int, start: int, stop: int, result: FloatArray
) -> None:
    """Distance of rows start … stop−1 to their k-th nearest other row, into ``result`` (n,).

    Rows ascend in the first column: the nearest of some around a row bound the window of it that
    holds the nearest of all.
    """
    n, column = len(points), cells[0].astype(np.int32)
    gaps, lowest = np.empty((ROWS, n), np.int16), np.empty(-(-n // CHUNK), np.int16)
    near, best = np.empty(k + 1, np.int16), np.empty(k)
    for first in range(start, stop, ROWS):
        last = min(first + ROWS, stop)
        low, high = max(first - NEAR, 0), min(last + NEAR, n)
        _largest(cells, (first, last), (low, high), gaps)
        reach = 0.0
        for r in range(last - first):
            reach = max(reach, _bound(gaps[r, : high - low], lowest, near) + 2 * SLACK)
        left = np.searchsorted(column, column[first] - reach, side="left")
        right = np.searchsorted(column, column[last - 1] + reach, side="right")
        if left < low or right > high:
            low, high = left, right
            _largest(cells, (first, last), (low, high), gaps)
        for i in range(first, last):
            result[i] = _kth(points, i, low, gaps[i - first, : high - low], lowest, near, best)


@jit
def closer(
    points: FloatArray, cells: Cells, step: float, radius: FloatArray, start: int, stop: int,
    counts: IntArray,
) -> None:  # fmt: skip
    """How many rows, the row itself among them, are closer than its radius, into ``counts`` (n,).

    Rows ascend in the first column, so that a window of it holds whoever is near.
    """
    n, column = len(points), points[:, 0].copy()
    gaps = np.empty((ROWS, n), np.int16)
    for first in range(start, stop, ROWS):
        last = min(first + ROWS, stop)
        reach = radius[first:last].max() * (1 + 1e-9)  # wider by more than any rounding
        low = np.searchsorted(column, column[first] - reach, side="left")
        high = np.searchsorted(column, column[last - 1] + reach, side="right")
        _largest(cells, (first, last), (low, high), gaps)
        for i in range(first, last):
            counts[i] = _within(points, i, low, gaps[i - first, : high - low], radius[i], step)


@jit
def _listed(
    points: FloatArray, i: int, gaps: Cells, wanted: int, bins: IntArray,
    rows: IntArray, distance: FloatArray,
) -> tuple[int, int]:  # fmt: skip
    """List ``wanted`` or more of the rows nearest to row i, nearest first: how many, to which gap.

    Gaps are sorted into bins, which leaves little to be put in order.
    """
    bins[:] = 0
    for j in range(len(gaps)):
        bins[gaps[j] >> BIN] += 1
    bins[0] -= 1  # the row itself
    count, used = 0, 0
    while count < wanted:
        size = bins[used]
        bins[used] = count
        count += size
        used += 1
    for j in range(len(gaps)):
        b = gaps[j] >> BIN
        if b < used and j != i:
            rows[bins[b]], distance[bins[b]] = j, _distance(points, i, j, np.inf)
            bins[b] += 1
    for p in range(1, count):
        row, own, q = rows[p], distance[p], p
        while q > 0 and distance[q - 1] > own:
            rows[q], distance[q] = rows[q - 1], distance[q - 1]
            q -= 1
        rows[q], distance[q] = row, own
    return count, (used << BIN) - 1


@jit
def _placed(
    labels: Any, needed: Any, i: int, rows: IntArray, distance: FloatArray, limit: float,
    state: IntArray, places: Any,
) -> bool:  # fmt: skip
    """Place of row i's k-th neighbour of its own class among all, for every draw.

    False when one of them is not below ``limit``, up to which the list is complete. ``state`` keeps
    how many neighbours of the own class each draw has met, and how many that enter at all.
    """
    state[:] = 0
    missing = 0
    for w in range(labels.shape[1]):
        places[i, w] = 0
        missing += labels[i, w] >= 0
    for p in range(len(rows)):
        if missing == 0 or distance[p] >= limit:
            break
        row = rows[p]
        for w in range(labels.shape[1]):
            label = labels[row, w]
            if label >= 0 and label == labels[i, w]:
                state[0, w] += 1
                if state[0, w] == needed[label]:
                    closer, q = state[1, w], p - 1
                    while q >= 0 and distance[q] == distance[p]:  # as far away is not closer
                        closer -= labels[rows[q], w] >= 0
                        q -= 1
                    places[i, w] = closer + 1
                    missing -= 1
            state[1, w] += label >= 0
    return missing == 0


@jit
def class_places(
    points: FloatArray, cells: Cells, step: float, labels: Any, needed: Any, wanted: int,
    start: int, stop: int, places: Any,
) -> None:  # fmt: skip
    """Rank of the k-th neighbour of a row's own class among its neighbours, for many labellings.

    ``labels`` (n, draws) are −1 where a row does not enter, ``needed`` (classes,) say which
    neighbour of the own class counts; rows start … stop−1 of ``places`` (n, draws) get one more
    than the number of rows that are strictly closer. About ``wanted`` nearest rows settle it for
    most, for the others more are looked at.
    """
    n = len(points)
    gaps, bins = np.empty((ROWS, n), np.int16), np.empty((TOP >> BIN) + 1, np.int64)
    rows, distance = np.empty(n, np.int64), np.empty(n)
    state = np.empty((2, labels.shape[1]), np.int64)
    for first in range(start, stop, ROWS):
        last = min(first + ROWS, stop)
        _largest(cells, (first, last), (0, n), gaps)
        for i in range(first, last):
            size, found = wanted, False
            while not found:
                size = min(size, n - 1)
                count, top = _listed(points, i, gaps[i - first], size, bins, rows, distance)
                limit = np.inf if count == n - 1 else (top - SLACK) * step
                found = _placed(
                    labels, needed, i, rows[:count], distance[:count], limit, state, places
                )
                found = found or count == n - 1
                size *= 4
