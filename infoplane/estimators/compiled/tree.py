"""A compiled tree of rows in leaves of 16, in boxes: the k-th neighbour, counts within a radius.

Rows are halved along the widest column until a leaf holds them; sixteen leaves that follow each
other make a group. A leaf asks for the neighbours of all its rows at once: groups and leaves whose
boxes are too far away are passed by. Rounding keeps order, so what the corners of a box say of the
rows in it is exact, and every distance is that of the plain version to the last bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from infoplane.estimators.compiled.jit import jit
from infoplane.types import FloatArray, IntArray

LEAF = 16  # rows of a leaf, leaves of a group


@jit
def _halve(values: FloatArray, order: IntArray, start: int, stop: int, middle: int) -> None:
    """Bring the smallest before ``middle``, values and order alike (Hoare's selection)."""
    low, high = start, stop - 1
    while low < high:
        a, b, c = values[low], values[(low + high) // 2], values[high]
        pivot = max(min(a, b), min(max(a, b), c))
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                order[i], order[j] = order[j], order[i]
                i += 1
                j -= 1
        if middle <= j:
            high = j
        elif middle >= i:
            low = i
        else:
            return


@jit
def _widest(columns: FloatArray, rows: IntArray) -> int:
    """Return the column in which some rows spread most."""
    result, most = 0, -1.0
    for c in range(len(columns)):
        low, high = np.inf, -np.inf
        for i in rows:
            value = columns[c, i]
            low = value if value < low else low
            high = value if value > high else high
        if high - low > most:
            result, most = c, high - low
    return result


@jit
def leaf_order(columns: FloatArray) -> IntArray:
    """Order in which the rows of ``columns`` (d, n) fill the leaves."""
    n = columns.shape[1]
    order, values = np.arange(n), np.empty(n)
    stack, size = np.empty((64, 2), np.int64), 1
    stack[0, 0], stack[0, 1] = 0, -(-n // LEAF)
    while size:
        size -= 1
        left, right = stack[size, 0], stack[size, 1]  # leaves
        if right - left < 2:
            continue
        unit = LEAF if right - left > LEAF else 1  # whole groups on either side
        middle = left + (-(-(right - left) // unit) + 1) // 2 * unit
        start, stop = left * LEAF, min(right * LEAF, n)
        widest = _widest(columns, order[start:stop])
        for i in range(start, stop):
            values[i] = columns[widest, order[i]]
        _halve(values, order, start, stop, middle * LEAF)
        stack[size, 0], stack[size, 1] = left, middle
        stack[size + 1, 0], stack[size + 1, 1] = middle, right
        size += 2
    return order


@jit
def _apart(lows: Any, highs: Any, g: int, b: int, low: Any, high: Any, h: int, gaps: Any) -> None:
    """Smallest distance of box b of g to every box of h, into ``gaps``; below 0 where they meet."""
    for c in range(lows.shape[1]):
        bottom, top = lows[g, c, b], highs[g, c, b]
        for j in range(len(gaps)):
            gap = max(low[h, c, j] - top, bottom - high[h, c, j])
            gaps[j] = gap if c == 0 or gap > gaps[j] else gaps[j]


@jit
def _outside(leaves: Any, own: int, lows: Any, highs: Any, g: int, b: int, gaps: Any) -> None:
    """Smallest distance of every row of a leaf to box b of g, into ``gaps``."""
    for c in range(leaves.shape[1]):
        bottom, top = lows[g, c, b], highs[g, c, b]
        for j in range(LEAF):
            value = leaves[own, c, j]
            gap = max(value - top, bottom - value)
            gaps[j] = gap if c == 0 or gap > gaps[j] else gaps[j]


@jit
def _distances(leaves: Any, own: int, i: int, there: int, gaps: Any) -> None:
    """Distance of row i of a leaf to every row of another, into ``gaps``."""
    for c in range(leaves.shape[1]):
        value = leaves[own, c, i]
        for j in range(LEAF):
            gap = abs(leaves[there, c, j] - value)
            gaps[j] = gap if c == 0 or gap > gaps[j] else gaps[j]


@jit
def _keep(best: FloatArray, i: int, value: float) -> None:
    """Let a value take the place of the largest of row i, which is a heap: the largest is first."""
    p, child, k = 0, 1, best.shape[1]
    while child < k:
        if child + 1 < k and best[i, child + 1] > best[i, child]:
            child += 1
        if best[i, child] <= value:
            break
        best[i, p] = best[i, child]
        p, child = child, 2 * child + 1
    best[i, p] = value


@jit
def _visit(
    leaves: Any, own: int, there: int, lows: Any, highs: Any,
    away: Any, gaps: Any, best: Any, rows: int,
) -> float:  # fmt: skip
    """Put the rows of a leaf among the nearest of the ``rows`` rows of ``own`` where they belong.

    Return the largest of these rows' distances to their k-th nearest so far.
    """
    reach = 0.0
    _outside(leaves, own, lows, highs, there // LEAF, there % LEAF, away)
    for i in range(rows):
        if away[i] < best[i, 0]:
            _distances(leaves, own, i, there, gaps)
            if there == own:
                gaps[i] = np.inf
            for j in range(LEAF):
                if gaps[j] < best[i, 0]:
                    _keep(best, i, gaps[j])
        reach = max(reach, best[i, 0])
    return reach


@jit
def kth(
    leaves: Any, lows: Any, highs: Any, low: Any, high: Any,
    k: int, start: int, stop: int, result: FloatArray,
) -> None:  # fmt: skip
    """Distance of the rows of leaves start … stop−1 to their k-th nearest other row.

    ``leaves`` (leaves, d, 16) are the rows, ``lows`` and ``highs`` (groups, d, 16) the corners of
    the leaves, ``low`` and ``high`` (1, d, groups) those of the groups; ``result`` is (n,), in the
    order of the leaves.
    """
    groups, n = len(lows), len(result)
    away, gaps, best = np.empty(LEAF), np.empty(LEAF), np.empty((LEAF, k))
    near, far = np.empty(LEAF), np.empty(groups)
    for own in range(start, stop):
        home, place, rows = own // LEAF, own % LEAF, min(LEAF, n - own * LEAF)
        best[:] = np.inf
        reach = _visit(leaves, own, own, lows, highs, away, gaps, best, rows)
        _apart(lows, highs, home, place, low, high, 0, far)
        for turn in range(-1, groups):
            group = turn if turn >= 0 else home  # its own group first
            if turn == home or far[group] >= reach:
                continue
            _apart(lows, highs, home, place, lows, highs, group, near)
            for b in range(LEAF):
                there = group * LEAF + b
                if near[b] < reach and there != own:
                    reach = _visit(leaves, own, there, lows, highs, away, gaps, best, rows)
        for i in range(rows):
            result[own * LEAF + i] = best[i, 0]


@jit
def _across(lows: Any, highs: Any, g: int, b: int, low: Any, high: Any, h: int, gaps: Any) -> None:
    """Largest distance within box b of g and every box of h, into ``gaps``."""
    for c in range(lows.shape[1]):
        bottom, top = lows[g, c, b], highs[g, c, b]
        for j in range(len(gaps)):
            gap = max(high[h, c, j] - bottom, top - low[h, c, j])
            gaps[j] = gap if c == 0 or gap > gaps[j] else gaps[j]


@jit
def closer(
    leaves: Any, lows: Any, highs: Any, low: Any, high: Any,
    radius: FloatArray, start: int, stop: int, counts: IntArray,
) -> None:  # fmt: skip
    """How many rows, the row itself among them, are closer than its radius, as in :func:`kth`.

    Boxes that are inside the smallest radius of a leaf as a whole are counted as a whole.
    """
    groups, n = len(lows), len(radius)
    away, gaps, near, far = np.empty(LEAF), np.empty(LEAF), np.empty(LEAF), np.empty(LEAF)
    first, last = np.empty(groups), np.empty(groups)
    for own in range(start, stop):
        home, place, rows = own // LEAF, own % LEAF, min(LEAF, n - own * LEAF)
        reach = radius[own * LEAF : own * LEAF + rows]
        mine = counts[own * LEAF : own * LEAF + rows]
        least, most, whole = reach.min(), reach.max(), 0
        mine[:] = 0
        _apart(lows, highs, home, place, low, high, 0, first)
        _across(lows, highs, home, place, low, high, 0, last)
        for group in range(groups):
            if first[group] >= most:
                continue
            if last[group] < least:
                whole += min(LEAF * LEAF, n - group * LEAF * LEAF)
                continue
            _apart(lows, highs, home, place, lows, highs, group, near)
            _across(lows, highs, home, place, lows, highs, group, far)
            for b in range(LEAF):
                there = group * LEAF + b
                if near[b] >= most:
                    continue
                if far[b] < least:
                    whole += min(LEAF, n - there * LEAF)
                    continue
                _outside(leaves, own, lows, highs, group, b, away)
                for i in range(rows):
                    if away[i] < reach[i]:
                        _distances(leaves, own, i, there, gaps)
                        inside = 0
                        for j in range(LEAF):
                            inside += gaps[j] < reach[i]
                        mine[i] += inside
        mine += whole
