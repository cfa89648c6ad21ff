"""Sums of Gaussian kernels over the near pairs of rows, every pair once.

Distances come from the differences themselves. Single precision on a few principal axes sorts out
most of the pairs that are too far apart to count.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial
from numpy.typing import NDArray

from infoplane.estimators.compiled.jit import jit_sums
from infoplane.types import FloatArray, IntArray

REACH = 32.0  # exponent up to which :func:`_to_kernel` holds; beyond it a kernel is 0
CHUNK = 64  # columns that are looked at one by one only if their nearest is near enough
ROOT = 64  # the kernel is this power of a polynomial

# exp(z) = 1 + z P(z) to 1e-15 for z from −REACH/ROOT to 0
C1, C2, C3, C4, C5, C6, C7, C8, C9 = (
    Chebyshev.interpolate(lambda z: np.expm1(z) / z, 8, domain=[-REACH / ROOT, 0])
    .convert(domain=[-1, 1], kind=Polynomial, window=[-1, 1])
    .coef.tolist()
)


@jit_sums
def _squares(columns: NDArray[Any], i: int, first: int, last: int, out: NDArray[Any]) -> Any:
    """Squared distances of row i to rows first … last−1, into ``out``; returns the least."""
    out = out[: last - first]
    there, own = columns[0, first:last], columns[0, i]
    for j in range(len(out)):
        gap = there[j] - own
        out[j] = gap * gap
    for c in range(1, len(columns)):
        there, own = columns[c, first:last], columns[c, i]
        for j in range(len(out)):
            gap = there[j] - own
            out[j] += gap * gap
    return _least(out, 0, len(out))


@jit_sums
def _least(values: NDArray[Any], first: int, last: int) -> Any:
    values = values[first:last]
    low = values[0]
    for j in range(len(values)):
        low = values[j] if values[j] < low else low
    return low


@jit_sums
def _to_kernel(room: FloatArray, i: int, first: int, last: int, sums: FloatArray) -> None:
    """Replace e by exp(−e), to 1e-13 of it, or by 0 beyond the reach, and add it to both rows.

    exp(−e) = exp(−e/64)⁶⁴: a division of the exponent instead of its whole and broken parts.
    """
    exponent, to, total = room[: last - first], sums[0, first:last], 0.0
    for j in range(len(exponent)):
        z = exponent[j] * (-1.0 / ROOT)
        p = C1 + z * (C2 + z * (C3 + z * (C4 + z * (C5 + z * (C6 + z * (C7 + z * (C8 + z * C9)))))))
        p = 1.0 + z * p
        p *= p
        p *= p
        p *= p
        p *= p
        p *= p
        p *= p
        p = p if exponent[j] <= REACH else 0.0
        exponent[j] = p
        to[j] += p
        total += p
    sums[0, i] += total


@jit_sums
def _to_fourth(room: FloatArray, i: int, first: int, last: int, sums: FloatArray, p: int) -> None:
    """Replace kernels by their fourth power and add it to both rows."""
    kernel, to, total = room[: last - first], sums[p, first:last], 0.0
    for j in range(len(kernel)):
        square = kernel[j] * kernel[j]
        kernel[j] = square * square
        to[j] += kernel[j]
        total += kernel[j]
    sums[p, i] += total


@jit_sums
def _within(
    room: FloatArray, i: int, first: int, last: int, codes: IntArray, sums: FloatArray, p: int
) -> None:
    """Add kernels to the sums of both rows for every labelling in which these share a class."""
    kernel = room[: last - first]
    for q in range(len(codes)):
        there, own, to, total = codes[q, first:last], codes[q, i], sums[p, q, first:last], 0.0
        for j in range(len(kernel)):
            value = kernel[j] if there[j] == own else 0.0
            to[j] += value
            total += value
        sums[p, q, i] += total


@jit_sums
def kernel_sums(
    columns: FloatArray,
    axes: NDArray[np.float32],
    ends: IntArray,
    near: NDArray[np.bool_],
    enough: np.float32,
    codes: IntArray,
    everyone: FloatArray,
    own: FloatArray,
    gaps: NDArray[np.float32],
    room: FloatArray,
) -> None:
    """Add exp(−‖a − b‖²) of every near pair to the sums of both rows.

    Parameters
    ----------
    columns : ndarray, (d, n)
        Rows in the order of their leaves, column by column.
    axes : ndarray, (a, n)
        The same rows on a few axes; without any, all pairs are measured.
    ends : ndarray, (leaves + 1,)
        Where leaves begin and end.
    near : ndarray, (leaves, leaves)
        Which leaves may hold near pairs.
    enough : float
        Squared distance on ``axes`` beyond which no pair is near.
    codes : ndarray, (q, n)
        Labels, q times.
    everyone : ndarray, (p, n)
        Sums over all other rows, of the kernel and then of the fourth power of the one before.
    own : ndarray, (p, q, n)
        Sums over the other rows of the own class.
    gaps, room : ndarray
        Work space: as large as the largest leaf, and as :data:`CHUNK`.
    """
    for leaf in range(len(near)):
        for other in range(leaf, len(near)):
            if not near[leaf, other]:
                continue
            for i in range(ends[leaf], ends[leaf + 1]):
                first, stop = max(ends[other], i + 1), ends[other + 1]
                if len(axes) and first < stop and _squares(axes, i, first, stop, gaps) > enough:
                    continue
                for left in range(first, stop, CHUNK):
                    right = min(left + CHUNK, stop)
                    if len(axes) and _least(gaps, left - first, right - first) > enough:
                        continue
                    if _squares(columns, i, left, right, room) > REACH:
                        continue
                    for p in range(len(everyone)):
                        if p == 0:
                            _to_kernel(room, i, left, right, everyone)
                        else:
                            _to_fourth(room, i, left, right, everyone, p)
                        _within(room, i, left, right, codes, own, p)
