"""What numba compiles where it is installed (``pip install infoplane[fast]``).

A module of this package holds the inner loops of one family, without the temporaries that numpy
needs; beside each stands the plain version, which runs without numba, on few rows, and in the tests
against it. Callers ask :func:`sweeps` for a module and take their plain way when there is none.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from types import ModuleType


@cache
def sweeps(family: str) -> ModuleType | None:
    """Return the compiled loops of a family (``"near"``); None without numba.

    Importing numba takes half a second and a first call compiles for seconds, kept for later
    processes: callers ask only for work that takes longer without.
    """
    try:
        return import_module(f"infoplane.estimators.compiled.{family}")
    except (ImportError, OSError):  # not installed, too old for this numpy, or without its library
        return None
