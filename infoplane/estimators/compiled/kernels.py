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
FEW = 1 / 64  # share of near pairs up to which they are listed
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
def _exp(exponent: float) -> float:
    """exp(−e) to 1e-13 of it, or 0 beyond the reach.

    exp(−e) = exp(−e/64)⁶⁴: a division of the exponent instead of its whole and broken parts.
    """
    z = exponent * (-1.0 / ROOT)
    p = C1 + z * (C2 + z * (C3 + z * (C4 + z * (C5 + z * (C6 + z * (C7 + z * (C8 + z * C9)))))))
    p = 1.0 + z * p
    p *= p
    p *= p
    p *= p
    p *= p
    p *= p
    p *= p
    return p if exponent <= REACH else 0.0


@jit_sums
def _to_kernel(room: FloatArray, i: int, first: int, last: int, sums: FloatArray) -> None:
    """Replace exponents by kernels and add these to both rows."""
    kernel, to, total = room[: last - first], sums[0, first:last], 0.0
    for j in range(len(kernel)):
        kernel[j] = _exp(kernel[j])
        to[j] += kernel[j]
        total += kernel[j]
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
    """Add kernels to the sums of both rows where these share a class."""
    kernel, there, own = room[: last - first], codes[first:last], codes[i]
    to, total = sums[p, first:last], 0.0
    for j in range(len(kernel)):
        value = kernel[j] if there[j] == own else 0.0
        to[j] += value
        total += value
    sums[p, i] += total


@jit_sums
def _put(room: FloatArray, out: NDArray[np.float32], r: int, first: int, last: int) -> int:
    """Put kernels into a row of ``out``; how many are not 0."""
    kernel, to, count = room[: last - first], out[r, first:last], 0
    for j in range(len(to)):
        to[j] = kernel[j]
        count += kernel[j] > 0
    return count


@jit_sums
def _clear(out: NDArray[np.float32], r: int) -> None:
    to = out[r]
    for j in range(len(to)):
        to[j] = 0


@jit_sums
def _list(
    out: NDArray[np.float32], place: int, first: int, last: int, start: int,
    pairs: IntArray, values: NDArray[np.float32], count: int,
) -> int:  # fmt: skip
    """List the kernels of a block that are not 0 after ``count`` others; how many there are now."""
    for i in range(first, last):
        for j in range(out.shape[1]):
            if out[place + i - first, j] > 0:
                pairs[0, count], pairs[1, count] = i, start + j
                values[count] = out[place + i - first, j]
                count += 1
    return count


@jit_sums
def kernel_sums(
    columns: FloatArray,
    axes: NDArray[np.float32],
    enough: np.float32,
    ends: IntArray,
    near: NDArray[np.bool_],
    codes: IntArray,
    everyone: FloatArray,
    own: FloatArray,
    begin: int,
    end: int,
    kept: tuple[NDArray[np.float32], NDArray[np.bool_], IntArray, NDArray[np.float32]],
    room: tuple[NDArray[np.float32], FloatArray],
) -> int:
    """Add exp(−‖a − b‖²) of near pairs, of some leaves and of these with later ones, to both rows.

    Parameters
    ----------
    columns : ndarray, (d, n)
        Rows in the order of their leaves, column by column.
    axes : ndarray, (a, n)
        The same rows on a few axes; without any, all pairs are measured.
    enough : float
        Squared distance on ``axes`` beyond which no pair is near.
    ends : ndarray, (leaves + 1,)
        Where leaves begin and end.
    near : ndarray, (leaves, leaves)
        Which leaves may hold near pairs.
    codes : ndarray, (n,)
        Classes.
    everyone : ndarray, (p, n)
        Sums over all other rows, of the kernel and then of the fourth power of the one before.
    own : ndarray, (p, n)
        Sums over the other rows of the own class.
    begin, end : int
        The leaves begin … end−1; a single one when kernels are kept.
    kept : ndarrays, (m, rows of the leaf), (leaves,), (2, k) and (k,)
        m = 0 keeps nothing. Else the first becomes the first kernel of the rows of those leaves
        that have many near pairs with this one, the second tells which they are; the others become
        the near pairs of the other leaves and their kernels, for :data:`FEW` of all pairs.
    room : ndarrays
        Work space: as large as the largest leaf, and as :data:`CHUNK`.

    Returns
    -------
    int
        Pairs listed.
    """
    (out, dense, pairs, values), (gaps, kernel) = kept, room
    place, listed, keep = 0, 0, len(out) > 0
    for leaf in range(begin, end):
        start = ends[leaf]
        for other in range(leaf, len(near)):
            if not near[leaf, other]:
                continue
            first, last, count = ends[other], ends[other + 1], 0
            for i in range(first, last):
                stop = min(ends[leaf + 1], i)
                if keep:
                    _clear(out, place + i - first)
                if start == stop or (len(axes) and _squares(axes, i, start, stop, gaps) > enough):
                    continue
                for left in range(start, stop, CHUNK):
                    right = min(left + CHUNK, stop)
                    if len(axes) and _least(gaps, left - start, right - start) > enough:
                        continue
                    if _squares(columns, i, left, right, kernel) > REACH:
                        continue
                    _to_kernel(kernel, i, left, right, everyone)
                    _within(kernel, i, left, right, codes, own, 0)
                    if keep:
                        count += _put(kernel, out, place + i - first, left - start, right - start)
                    for p in range(1, len(everyone)):
                        _to_fourth(kernel, i, left, right, everyone, p)
                        _within(kernel, i, left, right, codes, own, p)
            if keep and count > FEW * (last - first) * (ends[leaf + 1] - start):
                dense[other] = True
                place += last - first
            elif count:
                listed = _list(out, place, first, last, start, pairs, values, listed)
    return listed
