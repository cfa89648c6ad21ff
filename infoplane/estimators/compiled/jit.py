"""The one way in which loops are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from numba import njit


def jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function at its first call; it does not hold the interpreter lock.

    What was compiled is kept beside the file, or in the user's cache, for the next process.
    """
    options = {"nogil": True, "error_model": "numpy"}
    try:
        compiler = njit(cache=True, **options)(function)
    except RuntimeError:  # neither this directory nor the user's cache can be written
        compiler = njit(**options)(function)
    return cast(Callable[..., Any], compiler)
