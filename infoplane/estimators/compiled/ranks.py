"""Compiled counting by ranks: what `counting` does in numpy for one and two columns."""

from __future__ import annotations

import numpy as np

from infoplane.estimators.compiled.jit import jit
from infoplane.types import FloatArray, IntArray


@jit
def runs(values: FloatArray, radius: FloatArray, first: IntArray, last: IntArray) -> None:
    """Find the run of ascending ``values`` strictly closer to each than its radius: its two ends.

    |v_j − v_i| as rounded grows with j on either side: steps that double find a place beyond the
    end, halving it the end.
    """
    n = len(values)
    for i in range(n):
        value, reach = values[i], radius[i]
        inside, outside = i, i - 1
        while outside >= 0 and value - values[outside] < reach:
            inside, outside = outside, 2 * outside - i
        outside = max(outside, -1)
        while inside - outside > 1:
            middle = (inside + outside) // 2
            if value - values[middle] < reach:
                inside = middle
            else:
                outside = middle
        first[i] = inside
        inside, outside = i, i + 1
        while outside < n and values[outside] - value < reach:
            inside, outside = outside, 2 * outside - i
        outside = min(outside, n)
        while outside - inside > 1:
            middle = (inside + outside) // 2
            if values[middle] - value < reach:
                inside = middle
            else:
                outside = middle
        last[i] = inside + 1 if reach > 0 else first[i]


@jit
def below(ranks: IntArray, first: IntArray, last: IntArray, limit: IntArray) -> IntArray:
    """How many of ranks[first:last] are below ``limit``, for many runs at once.

    ``ranks`` is a permutation; it, ``first`` and ``last`` are overwritten.
    """
    n = len(ranks)
    count, zeros, ones = np.zeros(n, np.int64), np.empty(n + 1, np.int64), np.empty(n, np.int64)
    bits = 0
    while n >> bits:
        bits += 1
    for bit in range(bits - 1, -1, -1):
        low, high = 0, 0
        for i in range(n):
            zeros[i], rank = low, ranks[i]
            if rank >> bit & 1:
                ones[high] = rank
                high += 1
            else:
                ranks[low] = rank
                low += 1
        zeros[n] = low
        ranks[low:] = ones[:high]
        for i in range(n):
            start, stop = zeros[first[i]], zeros[last[i]]
            if limit[i] >> bit & 1:
                count[i] += stop - start
                first[i] += low - start
                last[i] += low - stop
            else:
                first[i], last[i] = start, stop
    return count
