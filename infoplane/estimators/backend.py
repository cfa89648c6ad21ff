"""What torch does faster than numpy on the CPU, in the same digits: exponentials, eigenvalues.

Which of the two answers depends on the size of the work and on nothing else, so a value never
depends on what ran before it; torch is imported only when it has that much to do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from infoplane.estimators import on_device

MANY = 1 << 24  # exponentials of one pass: below, importing torch costs more than a run saves
LARGE = 1500  # rows of a float32 matrix from which its eigenvalues take torch half the time
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


def eigvalsh(matrix: NDArray[Any]) -> NDArray[Any]:
    """Eigenvalues of a symmetric matrix (m, m), ascending, in its precision.

    Both let go of the interpreter lock; in float64 neither is faster than the other.
    """
    if on_device.chosen() is not None:
        return on_device.eigvalsh(matrix)
    if matrix.dtype != np.float32 or len(matrix) < LARGE:
        return np.asarray(np.linalg.eigvalsh(matrix))
    import torch

    return np.asarray(torch.linalg.eigvalsh(torch.from_numpy(matrix)).numpy())
