"""Exponentials by the million: torch's are three times as fast as numpy's, in the same digits.

Which of the two answers depends on how many are wanted and on nothing else, so a value never
depends on what ran before it; torch is imported only when it has that much to do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MANY = 1 << 20  # exponentials of one pass from which torch is worth its import
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
