"""Eigenvalues of a large symmetric matrix in single precision, by way of a band matrix.

LAPACK makes a matrix tridiagonal column by column and reads it from memory for each. Here 64
columns together go, in products of matrices, to a band of that width, and the band is made
tridiagonal where it stays in the cache. Needs numba and the BLAS that scipy offers to compiled
code.
"""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infoplane.estimators.compiled import sweeps
from infoplane.estimators.lapack import routine

WIDTH = 64  # of the band
FAR = 1e-9  # a largest entry below this, or above one through it, is brought to 1

Single = NDArray[np.float32]


def ready() -> bool:
    """Whether numba and scipy's BLAS are there."""
    return None not in _blas() and sweeps("banded") is not None


def eigvalsh(matrix: Single) -> Single:
    """Eigenvalues of a symmetric matrix (n, n) in C order, ascending; the matrix is spoilt."""
    loops, n, b = sweeps("banded"), len(matrix), WIDTH
    assert loops is not None
    scale = _power_of_two(matrix)
    band = np.zeros((n + 3 * b, 2 * b), np.float32)
    first = 0
    while n - first >= 2 * b:
        _narrow(matrix[first:, first:], band[first:])
        first += b
    rest = np.zeros((2 * b, 2 * b), np.float32)
    rest[: n - first, : n - first] = matrix[first:, first:]
    _narrow(rest, band[first:])
    for c in range(b):
        band[first + b + c, : b - c] = rest[b + c, b + c :]
    loops.chase(band, n, b)
    return _tridiagonal(band[:n, 0].copy(), band[:n, 1].copy()) * scale


def _power_of_two(matrix: Single) -> np.float32:
    """Bring a matrix to where squares neither over- nor underflow; return what undoes it."""
    largest = max(float(matrix.max(initial=0)), -float(matrix.min(initial=0)))
    if largest == 0 or FAR < largest < 1 / FAR:
        return np.float32(1)
    scale = np.float32(2.0 ** (math.frexp(largest)[1] - 1))
    matrix /= scale
    return scale


def _narrow(matrix: Single, band: Single) -> None:
    """Reflect all but the first b rows so that those have a band; the others become QᵀAQ.

    Q = I − V T Vᵀ and QᵀAQ = A − V Xᵀ − X Vᵀ, X = W − V Tᵀ(VᵀW)/2, W = A V T. Matrices (m, b) are
    held by rows, transposed.
    """
    loops, b = sweeps("banded"), WIDTH
    assert loops is not None
    v, rest = np.ascontiguousarray(matrix[:b, b:]), matrix[b:, b:]
    taus, right = np.zeros(b, np.float32), np.zeros((b, b), np.float32)
    loops.triangle(v, taus, right)
    for c in range(b):
        band[c, : b - c], band[c, b - c : b + 1] = matrix[c, c:b], right[c, : c + 1]
    t = np.linalg.solve(
        np.eye(b, dtype=np.float32) + taus[:, None] * np.triu(v @ v.T, 1), np.diag(taus)
    )
    x = t.T @ _times(rest, v)
    x -= 0.5 * (t.T @ (v @ x.T)).T @ v
    _subtract(rest, v, x)


def _blas() -> tuple[Any, Any, Any]:
    symm = routine("cython_blas", "ssymm", "cciifaiaifai")
    syr2k = routine("cython_blas", "ssyr2k", "cciifaiaifai")
    return symm, syr2k, routine("cython_lapack", "ssterf", "iaai")


def _times(matrix: Single, rows: Single) -> Single:
    """Product of rows (b, m) with a symmetric matrix, of which the upper half is read."""
    (b, m), out = rows.shape, np.empty_like(rows)
    symm, _, _ = _blas()
    sizes = _whole(m), _whole(b)
    symm(b"L", b"L", *sizes, _real(1), *_at(matrix), *_at(rows), _real(0), *_at(out))
    return out


def _subtract(matrix: Single, v: Single, x: Single) -> None:
    """Subtract V Xᵀ + X Vᵀ from the upper half of a symmetric matrix."""
    _, syr2k, _ = _blas()
    sizes = _whole(len(matrix)), _whole(len(v))
    syr2k(b"L", b"N", *sizes, _real(-1), *_at(v), *_at(x), _real(1), *_at(matrix))


def _tridiagonal(diagonal: Single, off: Single) -> Single:
    """Eigenvalues of a tridiagonal matrix, ascending."""
    _, _, sterf = _blas()
    info = _whole(0)
    sterf(_whole(len(diagonal)), diagonal.ctypes.data, off.ctypes.data, info)
    if info.value:
        raise np.linalg.LinAlgError("Eigenvalues did not converge")
    return diagonal


_whole, _real = ctypes.c_int, ctypes.c_float


def _at(array: Single) -> tuple[int, ctypes.c_int]:
    """Where a matrix begins, and how far it is from row to row."""
    return array.ctypes.data, _whole(array.strides[0] // array.itemsize)
