"""Equal bins of columns, an entry on an edge where `numpy.histogram` has it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from infoplane.types import FloatArray, IntArray


def places(x: FloatArray, low: ArrayLike, high: ArrayLike, count: int) -> IntArray:
    """Bin 0 … count − 1 of each entry of columns (n, d) from ``low`` to ``high`` < ∞, each (d,).

    The quotient alone would put quantised values that lie on an edge below or above it as its
    rounding falls. Entries outside fall into the nearest bin.
    """
    low, high = np.broadcast_to(low, x.shape[1:]), np.broadcast_to(high, x.shape[1:])
    edges = np.linspace(low, high, count + 1)  # (count + 1, d)
    span = np.maximum(high - low, np.finfo(np.float64).tiny)
    place = np.clip((x - low) / span * count, 0, count - 1).astype(np.int64)
    place -= (x < np.take_along_axis(edges, place, axis=0)) & (place > 0)
    place += (x >= np.take_along_axis(edges, place + 1, axis=0)) & (place < count - 1)
    return np.asarray(place, dtype=np.int64)
