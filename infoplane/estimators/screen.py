"""Largest coordinate differences in 16-bit integers: which rows are near, before any is measured.

Coordinates in steps of 1/32,000 of the widest column give every Chebyshev distance to within a
step, several times faster than in float64. Who is surely nearer than a radius is counted from them,
who may be is measured: the answer is that of float64 to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infoplane.estimators.compiled import sweeps
from infoplane.types import FloatArray, IntArray

STEPS = 32_000  # in the widest column: differences fit into 16 bits
SLACK = 1.5  # steps by which a difference may be off
FINE = 64  # steps that a column must spread over, or too many pairs would be in doubt
GROUP = 64  # rows of which the nearest one counts when the k-th distance is bounded

MANY = 1024  # rows from which compiled sweeps are worth importing numba

Cells = NDArray[np.int16]


def compiled(n: int, family: str = "near") -> ModuleType | None:
    """Return the compiled loops for n rows; None without numba (extra ``fast``) or for few."""
    return sweeps(family) if n >= MANY else None


class Screen:
    """Rows (n, d) in small integers.

    Attributes
    ----------
    fine : bool
        Whether the steps tell the rows apart: an outlier may squeeze all others into a few.
    """

    def __init__(self, points: FloatArray) -> None:
        low, high = points.min(axis=0), points.max(axis=0)
        with np.errstate(over="ignore"):
            self.step = float((high - low).max()) / STEPS
        self.step = self.step or 1.0  # all rows alike: a class of saturated units
        self.points, self.columns = points, np.ascontiguousarray(points.T)
        steps = (points - np.median(points, axis=0)) / self.step
        lost = np.finfo(float).eps * float(np.abs(points).max()) / self.step
        self.fine = bool(
            lost < 0.1 and np.isfinite(self.step) and (np.abs(steps).mean(axis=0) >= FINE).all()
        )
        steps = np.rint(steps, out=steps) if self.fine else np.zeros_like(steps)
        self.cells = np.ascontiguousarray(steps.T, dtype=np.int16)

    def largest(
        self, dims: Sequence[int], rows: Any, others: slice, out: Cells, spare: Cells
    ) -> Cells:
        """Largest difference over ``dims`` of some rows to others, in steps, into ``out``."""
        for place, c in enumerate(dims):
            into = spare if place else out
            np.subtract(self.cells[c, others], self.cells[c, rows][:, None], out=into)
            np.abs(into, out=into)
            if place:
                np.maximum(out, spare, out=out)
        return out

    def exact(self, dims: Sequence[int], i: IntArray, j: IntArray) -> FloatArray:
        """Largest difference over ``dims`` of listed pairs, in float64."""
        result = np.zeros(len(i))
        for c in dims:
            difference = self.columns[c].take(i)
            difference -= self.columns[c].take(j)
            np.maximum(result, np.abs(difference, out=difference), out=result)
        return result

    def closer(
        self, dims: Sequence[int], cells: Cells, rows: IntArray, first: int, radius: FloatArray
    ) -> IntArray:
        """How many of a block are strictly closer than the radius of their row, (rows,).

        ``cells`` are the largest differences of ``rows`` to the rows from ``first`` on.
        """
        steps = radius / self.step
        sure, may = (
            np.clip(np.ceil(steps + slack) - 1, -1, STEPS + 1).astype(np.int16)[:, None]
            for slack in (-SLACK, SLACK)
        )
        inside = cells <= sure
        counts = np.array([np.count_nonzero(row) for row in inside])
        i, j = np.divmod(np.flatnonzero(inside != (cells <= may)), cells.shape[1])
        near = self.exact(dims, rows.take(i), j + first) < radius.take(i)
        return counts + np.bincount(i[near], minlength=len(rows))

    def kth(self, dims: Sequence[int], cells: Cells, rows: IntArray, k: int) -> FloatArray:
        """Distance of some rows to their k-th nearest other row, from their differences to all."""
        lowest = lowest_of_groups(cells, k + 1)
        lowest.partition(k, axis=1)
        enough = lowest[:, k] + np.int16(2 * SLACK)  # STEPS + 3 fits
        i, j = np.divmod(np.flatnonzero(cells <= enough[:, None]), cells.shape[1])
        counts = np.bincount(i, minlength=len(rows))
        table = np.full((len(rows), counts.max()), np.inf)
        place = np.arange(len(i)) - np.repeat(np.cumsum(counts) - counts, counts)
        table[i, place] = self.exact(dims, rows.take(i), j)
        table.partition(k, axis=1)  # the row itself is at distance 0
        return table[:, k]


def lowest_of_groups(block: NDArray[Any], k: int) -> NDArray[Any]:
    """Smallest entry of each of k or more groups of columns, (rows, groups).

    The k-th smallest of them bounds the k-th smallest of a row from above, and closely: near
    neighbours seldom share a group. A few last columns may be in none.
    """
    rows, n = block.shape
    size = max(1, min(GROUP, n // (4 * k)))
    count = n // size
    return np.asarray(block[:, : size * count].reshape(rows, size, count).min(axis=1))
