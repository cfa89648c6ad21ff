"""Distances, Gaussian kernels and nearest rows from products of matrices, every entry touched once.

Distances are those of the plain version to the last bit, exponentials within 4e-16 of it (1e-7 in
single precision). Below −708 (−87) an exponential is 0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infoplane.estimators.compiled.jit import jit, jit_fused
from infoplane.types import IntArray

CHUNK = 64  # columns that are looked at one by one only if their least is small enough
TILE = 8  # rows and columns that are turned over together: a line of the cache

LOG2E = math.log2(math.e)
# log 2 in two parts, the first so short that its product with an exponent is exact
HIGH, LOW = float.fromhex("0x1.62e42feep-1"), float.fromhex("0x1.a39ef35793c76p-33")
HIGH_32, LOW_32 = np.float32(0.693359375), np.float32(-2.12194440e-4)
LOG2E_32 = np.float32(LOG2E)
# adding it leaves a whole number in the last bits
WHOLE, WHOLE_32 = 1.5 * 2**52, np.float32(1.5 * 2**23)
F1, F2, F3, F4, F5, F6, F7, F8, F9, F10, F11, F12 = (1 / math.factorial(m) for m in range(1, 13))
S1, S2, S3, S4, S5, S6, S7 = (np.float32(1 / math.factorial(m)) for m in range(1, 8))
ONE_32, NONE_32, LEAST_32 = np.float32(1), np.float32(0), np.float32(-87)


@jit_fused
def _double(x: float) -> float:
    """Exponential of x ≤ 0: 2^k by its bits times a polynomial on (−log 2 / 2, log 2 / 2)."""
    bits = x * LOG2E + WHOLE
    k = bits - WHOLE
    r = x - k * HIGH - k * LOW
    p = F6 + r * (F7 + r * (F8 + r * (F9 + r * (F10 + r * (F11 + r * F12)))))
    p = 1.0 + r * (F1 + r * (F2 + r * (F3 + r * (F4 + r * (F5 + r * p)))))
    power = np.int64((np.float64(bits).view(np.int64) + 1023) << 52).view(np.float64)
    return p * power if x > -708.0 else 0.0


@jit_fused
def _single(x: Any) -> Any:
    bits = x * LOG2E_32 + WHOLE_32
    k = bits - WHOLE_32
    r = x - k * HIGH_32 - k * LOW_32
    p = ONE_32 + r * (S1 + r * (S2 + r * (S3 + r * (S4 + r * (S5 + r * (S6 + r * S7))))))
    whole = np.int32(np.float32(bits).view(np.int32) + np.int32(127))
    power = np.int32(whole << np.int32(23)).view(np.float32)
    return p * power if x > LEAST_32 else NONE_32


@jit_fused
def decay(matrix: NDArray[Any], rows: Any, left: int, rate: float) -> None:
    """Replace squares of rows (start, stop), from column ``left`` on, by exp(−rate · squares)."""
    for i in range(rows[0], rows[1]):
        row = matrix[i, left:]
        for j in range(len(row)):
            row[j] = _double(-rate * row[j])


@jit_fused
def decay_single(matrix: NDArray[Any], rows: Any, left: int, rate: Any) -> None:
    """Do the same in single precision."""
    for i in range(rows[0], rows[1]):
        row = matrix[i, left:]
        for j in range(len(row)):
            row[j] = _single(-rate * row[j])


@jit
def squared(
    matrix: NDArray[Any], rows: Any, left: int, norms: NDArray[Any], others: NDArray[Any]
) -> None:
    """Turn products of rows (start, stop), from column ``left`` on, into squared distances."""
    none = matrix.dtype.type(0)
    for i in range(rows[0], rows[1]):
        row, own = matrix[i, left:], norms[i - rows[0]]
        for j in range(len(row)):
            distance = own - (row[j] + row[j]) + others[j]
            row[j] = distance if distance > none else none


@jit
def mirror(matrix: NDArray[Any], rows: Any) -> None:
    """Copy rows (start, stop), from the diagonal on, into the columns below it."""
    start, stop, n = rows[0], rows[1], len(matrix)
    for top in range(start, stop, TILE):
        for first in range(top, n, TILE):
            for j in range(first, min(first + TILE, n)):
                for i in range(top, min(top + TILE, stop, j)):
                    matrix[j, i] = matrix[i, j]


@jit
def _insert(best: NDArray[Any], where: IntArray, value: Any, column: int) -> None:
    """Put a value and its column where they belong in an ascending list; the last drops out."""
    p = len(best) - 1
    while p > 0 and best[p - 1] > value:
        best[p], where[p] = best[p - 1], where[p - 1]
        p -= 1
    best[p], where[p] = value, column


@jit
def nearest(squares: NDArray[Any], first: int, values: NDArray[Any], columns: IntArray) -> None:
    """Values and columns (m, k), ascending, of the smallest of each row; row i is column first + i.

    The row itself does not count; of equal values the first columns are taken.
    """
    for i in range(len(squares)):
        row, best, where = squares[i], values[i], columns[i]
        best[:] = np.inf
        for left in range(0, len(row), CHUNK):
            chunk = row[left : left + CHUNK]
            low = chunk[0]
            for j in range(len(chunk)):
                low = chunk[j] if chunk[j] < low else low
            if low < best[-1]:
                for j in range(len(chunk)):
                    if chunk[j] < best[-1] and left + j != first + i:
                        _insert(best, where, chunk[j], left + j)
