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
    """Put a value below the last of an ascending list where it belongs; the last drops out."""
    p = len(best) - 1
    while p > 0 and best[p - 1] > value:
        best[p] = best[p - 1]
        p -= 1
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
        if low < near[-1]:
            _insert(near, low)
    enough = near[-1]  # no row beyond it can be among the nearest
    near[:] = TOP
    for m in range(chunks):
        if lowest[m] <= enough and lowest[m] < near[-1]:
            for j in range(m * CHUNK, min((m + 1) * CHUNK, len(gaps))):
                if gaps[j] < near[-1]:
                    _insert(near, gaps[j])
    return near[-1]


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
                    distance = _distance(points, i, start + j, best[-1])
                    if distance < best[-1]:
                        _insert(best, distance)
    return best[-1]


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
