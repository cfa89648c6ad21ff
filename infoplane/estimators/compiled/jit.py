"""How loops are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from numba import njit

ANY_ORDER = frozenset({"contract", "reassoc", "nnan", "nsz"})


def jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function at its first call; it does not hold the interpreter lock.

    What was compiled is kept beside the file, or in the user's cache, for the next process.
    """
    return _compiled(function)


def jit_sums(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function whose sums may be taken in any order, so that they fill a register.

    It must never meet a NaN.
    """
    return _compiled(function, fastmath=set(ANY_ORDER))


def jit_fused(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function that may add a product in one rounding where the machine can."""
    return _compiled(function, fastmath={"contract"})


def _compiled(function: Callable[..., Any], **more: Any) -> Callable[..., Any]:
    options = {"nogil": True, "error_model": "numpy", **more}
    try:
        compiler = njit(cache=True, **options)(function)
    except RuntimeError:  # neither this directory nor the user's cache can be written
        compiler = njit(**options)(function)
    return cast(Callable[..., Any], compiler)
