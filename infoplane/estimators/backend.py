"""What torch, scipy's LAPACK or products of matrices do faster than numpy, in the same digits.

Which of them answers depends on the size of the work and on nothing else, so a value never
depends on what ran before it; torch is imported only when it has that much to do.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infoplane.estimators import banded, on_device
from infoplane.estimators.lapack import routine

MANY = 1 << 24  # exponentials of one pass: below, importing torch costs more than a run saves
LARGE = 3000  # rows of a float32 matrix from which LAPACK's eigenvalues wait for the memory
BANDED = 2048  # the same beside numba: one call takes as long as LAPACK's, two at once less
_COLUMNS = 66  # of work space that ssyev is given: more than its block size
_GRAIN = 1 << 15  # entries a call: up to here torch starts no threads of its own


def exp(array: NDArray[Any], many: int | None = None) -> NDArray[Any]:
    """Replace a C-contiguous float array by its exponential and return it.

    Parameters
    ----------
    array : ndarray of float32 or float64
        Changed in place. Entries below −700 are many times slower: cut them first.
    many : int, optional
        Exponentials of the whole pass of which this array is a part; its own size by default.
    """
    if (array.size if many is None else many) < MANY:
        return np.asarray(np.exp(array, out=array))
    import torch

    flat = torch.from_numpy(array.reshape(-1))
    for start in range(0, array.size, _GRAIN):
        flat[start : start + _GRAIN].exp_()
    return array


def eigvalsh(matrix: NDArray[Any], *, spoil: bool = False) -> NDArray[Any]:
    """Eigenvalues of a symmetric matrix (m, m), ascending, in its precision.

    A matrix that may be spoilt, in C order, is not copied where that can be helped.
    All let go of the interpreter lock; in float64 none is faster than the others. In float32
    scipy's library takes half as long as numpy's; where a matrix is far larger than the cache
    :mod:`.banded` takes two thirds of that, or torch, without numba, four fifths.
    """
    if on_device.chosen() is not None:
        return on_device.eigvalsh(matrix)
    if matrix.dtype != np.float32:
        return np.asarray(np.linalg.eigvalsh(matrix))
    if len(matrix) >= BANDED and banded.ready():
        return banded.eigvalsh(matrix if spoil else np.array(matrix, order="C"))
    if len(matrix) < LARGE:
        return _single(matrix if spoil else np.array(matrix, order="C"))
    import torch

    return np.asarray(torch.linalg.eigvalsh(torch.from_numpy(matrix)).numpy())


def _single(matrix: NDArray[np.float32]) -> NDArray[Any]:
    """Eigenvalues of a matrix in C order, which is spoilt."""
    ssyev = _ssyev()
    if ssyev is None or not len(matrix):
        return np.asarray(np.linalg.eigvalsh(matrix))
    n, size, info = (ctypes.c_int(m) for m in (len(matrix), _COLUMNS * len(matrix), 0))
    values, work = np.empty(n.value, np.float32), np.empty(size.value, np.float32)
    data = [array.ctypes.data for array in (matrix, values, work)]
    ssyev(b"N", b"U", n, data[0], n, *data[1:], size, info)
    if info.value:
        raise np.linalg.LinAlgError("Eigenvalues did not converge")
    return values


def _ssyev() -> Callable[..., None] | None:
    return routine("cython_lapack", "ssyev", "cciaiaaii")
