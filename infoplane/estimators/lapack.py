"""Routines of BLAS and LAPACK that scipy offers to compiled code, called from Python.

Unlike scipy.linalg's own functions they leave the interpreter unlocked, and work in place.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

_FORMS: dict[str, Any] = {
    "c": ctypes.c_char_p,
    "i": ctypes.POINTER(ctypes.c_int),
    "f": ctypes.POINTER(ctypes.c_float),
    "a": ctypes.c_void_p,
}


@cache
def routine(module: str, name: str, arguments: str) -> Callable[..., None] | None:
    """Return a routine of scipy.linalg's ``cython_blas`` or ``cython_lapack``.

    Parameters
    ----------
    module, name : str
        Such as ``"cython_lapack"``, ``"ssyev"``.
    arguments : str
        A letter each: c for text, i for a whole number, f for a single-precision one, a for the
        address of an array. Numbers are handed over as ``ctypes.c_int`` and ``ctypes.c_float``.

    Returns
    -------
    callable or None
        None where it takes other than 32-bit integers.
    """
    capsule = import_module(f"scipy.linalg.{module}").__pyx_capi__[name]
    name_of = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)
    pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
    signature = name_of(("PyCapsule_GetName", ctypes.pythonapi))(capsule)
    if signature.count(b"int *") != arguments.count("i") or ctypes.sizeof(ctypes.c_int) != 4:
        return None
    form = ctypes.CFUNCTYPE(None, *(_FORMS[letter] for letter in arguments))
    address = pointer_of(("PyCapsule_GetPointer", ctypes.pythonapi))(capsule, signature)
    function: Callable[..., None] = form(address)
    return function
