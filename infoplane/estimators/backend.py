"""What torch or scipy's LAPACK does faster than numpy, in the same digits.

Which of them answers depends on the size of the work and on nothing else, so a value never
depends on what ran before it; torch is imported only when it has that much to do.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infoplane.estimators import on_device

MANY = 1 << 24  # exponentials of one pass: below, importing torch costs more than a run saves
LARGE = 3000  # rows of a float32 matrix from which torch's eigenvalues are the fastest
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
    scipy's library takes half as long as numpy's, and torch's four fifths of that where a matrix
    is far larger than the cache.
    """
    if on_device.chosen() is not None:
        return on_device.eigvalsh(matrix)
    if matrix.dtype != np.float32:
        return np.asarray(np.linalg.eigvalsh(matrix))
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


@cache
def _ssyev() -> Callable[..., None] | None:
    """LAPACK's ssyev as scipy offers it to compiled code, which leaves the interpreter unlocked.

    scipy.linalg's own functions hold its lock. None where it takes other than 32-bit integers.
    """
    from scipy.linalg import cython_lapack

    capsule = cython_lapack.__pyx_capi__["ssyev"]
    name_of = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)
    pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
    signature = name_of(("PyCapsule_GetName", ctypes.pythonapi))(capsule)
    if signature.count(b"int *") != 4 or ctypes.sizeof(ctypes.c_int) != 4:
        return None
    text, array, number = ctypes.c_char_p, ctypes.c_void_p, ctypes.POINTER(ctypes.c_int)
    form = ctypes.CFUNCTYPE(None, text, text, number, array, number, array, array, number, number)
    address = pointer_of(("PyCapsule_GetPointer", ctypes.pythonapi))(capsule, signature)
    function: Callable[..., None] = form(address)
    return function
