"""Level of detail: a run of any length becomes O(log n) points, each a mean with its range.

Steps below :data:`EXACT` keep a bin of their own; above, bins are equally wide in log step, so a
curve over a log axis has the same density of points everywhere. The newest point is kept exact by
the caller (:mod:`infoplane.views.builder`), so what a reader sees "now" is never an average.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from infoplane.types import IntArray

EXACT = 32  # steps 0 … 31 are never pooled
PER_DECADE = 64  # bins a factor of ten in steps: finer than a pixel column of the time panels needs


def bin_of(step: ArrayLike) -> IntArray:
    """Return the log bin of each step: ``s`` below EXACT, then EXACT + ⌊64 log10(s / EXACT)⌋."""
    steps = np.asarray(step, dtype=np.float64)
    above = np.log10(np.maximum(steps, EXACT) / EXACT) * PER_DECADE
    # 1e-9: log10 of an exact bin edge may fall one ulp short of the whole number
    return np.where(steps < EXACT, steps, EXACT + np.floor(above + 1e-9)).astype(np.int64)


def bin_at(step: int) -> int:
    """Return the log bin of one step, as :func:`bin_of` does of many."""
    if step < EXACT:
        return step
    return EXACT + math.floor(math.log10(step / EXACT) * PER_DECADE + 1e-9)
