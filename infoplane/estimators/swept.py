"""Kernels of near pairs from compiled loops."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from infoplane.estimators.compiled import sweeps
from infoplane.estimators.near_leaves import Leaves, leaves
from infoplane.types import FloatArray, IntArray

MANY = 2048  # rows from which numba is worth importing
NARROW = 24  # columns up to which differences are faster than products of matrices
_AXES = 4  # principal axes that decide in single precision which pairs can be near
_SLIP = 4 * float(np.finfo(np.float32).eps)  # of a distance there, in units of the largest entry

Single = NDArray[np.float32]
_LISTS = np.empty(0, np.bool_), np.empty((2, 0), np.int32), np.empty(0, np.float32)


def worthwhile(n: int, d: int) -> bool:
    """Whether sweeps of an (n, d) layer are there and faster than what numpy does."""
    return n >= MANY and d <= NARROW and sweeps("kernels") is not None


@dataclass(frozen=True, slots=True)
class Part:
    """Kernels of one leaf with itself and those after it, every pair once, in single precision.

    Attributes
    ----------
    rows : slice
        Rows of the leaf.
    blocks : list of (slice, ndarray)
        Rows that follow, and their kernels (rows that follow, rows).
    pairs, values : ndarray, (2, k) and (k,)
        Pairs that are listed, and their kernels.
    """

    rows: slice
    blocks: list[tuple[slice, Single]]
    pairs: NDArray[np.int32]
    values: Single


class Swept:
    """A kernel exp(−power ‖t_i − t_j‖²) of the rows of T (n, d)."""

    def __init__(self, t: FloatArray, power: int) -> None:
        self.t, self.power = t, power
        self._kept: list[Part] | None = None

    def sums(
        self, codes: IntArray, count: int = 1, *, keep: bool = False
    ) -> tuple[FloatArray, FloatArray]:
        """Sum over all rows and over those of the own class, shape (count, n) each.

        Of the kernel and of the next ``count`` − 1, each the fourth power of the one before; the
        row itself is in its sums. A kernel that is kept need not be taken anew by :meth:`times`.
        """
        order, leaves = self._leaves.order, len(self._leaves.sizes)
        everyone, own = np.ones((2, count, len(self.t)))
        of_rows = codes[order].astype(np.int64)
        if keep:
            self._kept = list(self._parts(of_rows, everyone, own))
        else:
            kept = np.empty((0, 0), np.float32), *_LISTS
            self._loops.kernel_sums(
                *self._pairs, of_rows, everyone, own, 0, leaves, kept, self._room
            )
        everyone[:, order], own[:, order] = everyone.copy(), own.copy()
        return everyone, own

    def times(self, weights: FloatArray, power: int) -> FloatArray:
        """Return K W with K raised to ``power``, weights W (n, w); to 1e-6 of what others add."""
        order, n, exponent = self._leaves.order, len(weights), power // self.power
        of_rows, product = weights[order].astype(np.float32), np.zeros(weights.shape)
        listed = []
        for part in self._kept or self._anew():
            listed.append((part.values**exponent, part.pairs))
            for columns, kernel in part.blocks:
                raised = kernel if exponent == 1 else kernel**exponent
                product[columns] += raised @ of_rows[part.rows]
                product[part.rows] += raised.T @ of_rows[columns]
        values, pairs = (np.concatenate(some, axis=-1) for some in zip(*listed, strict=True))
        if len(values):
            matrix = csr_array((values, tuple(pairs)), shape=(n, n))
            product += matrix @ of_rows
            product += matrix.T @ of_rows
        product[order] = product.copy()
        return product + weights

    def _anew(self) -> Iterator[Part]:
        n = len(self.t)
        return self._parts(np.zeros(n, np.int64), *np.zeros((2, 1, n)))

    def _parts(self, codes: IntArray, everyone: FloatArray, own: FloatArray) -> Iterator[Part]:
        """Go from leaf to leaf, add to the sums and yield what was added."""
        cut, size = self._leaves, self._leaves.sizes
        ends, widths = np.append(0, cut.stops), (np.triu(cut.near) @ size).tolist()
        bounds = ends.tolist()
        for leaf, (width, rows) in enumerate(zip(widths, size.tolist(), strict=True)):
            out, dense = np.empty((width, rows), np.float32), np.zeros(len(size), np.bool_)
            pairs = np.empty((2, int(self._loops.FEW * out.size) + 1), np.int32)
            values = np.empty(pairs.shape[1], np.float32)
            kept = out, dense, pairs, values
            listed = self._loops.kernel_sums(
                *self._pairs, codes, everyone, own, leaf, leaf + 1, kept, self._room
            )
            blocks = _blocks(out, dense, bounds)
            few = pairs[:, :listed].copy(), values[:listed].copy()
            yield Part(slice(bounds[leaf], bounds[leaf + 1]), blocks, *few)

    @cached_property
    def _pairs(self) -> tuple[Any, ...]:
        """Where the loops find near pairs."""
        cut = self._leaves
        return self._columns, *self._axes, np.append(0, cut.stops), cut.near

    @property  # not shared: another thread may be in the loops as well
    def _room(self) -> tuple[Single, FloatArray]:
        return np.empty(self._leaves.sizes.max(), np.float32), np.empty(self._loops.CHUNK)

    @property
    def _loops(self) -> ModuleType:
        loops = sweeps("kernels")
        assert loops is not None
        return loops

    @cached_property
    def _rows(self) -> FloatArray:
        return math.sqrt(self.power) * self.t

    @cached_property
    def _leaves(self) -> Leaves:
        return leaves(self._rows, np.zeros(len(self.t), np.int64), self._loops.REACH)

    @cached_property
    def _columns(self) -> FloatArray:
        return np.ascontiguousarray(self._rows[self._leaves.order].T)

    @cached_property
    def _axes(self) -> tuple[Single, np.float32]:
        """Leading axes of the rows, and the squared distance there beyond which none is near."""
        cut = self._leaves
        count = _AXES if self.t.shape[1] > _AXES else 0
        axes = np.ascontiguousarray(cut.points[:, :count].T, dtype=np.float32)
        slip = _SLIP * float(np.abs(axes).max(initial=0.0))
        return axes, np.float32((cut.radius + slip) ** 2 * (1 + 1e-5))


def _blocks(out: Single, dense: NDArray[np.bool_], ends: list[int]) -> list[tuple[slice, Single]]:
    """Rows of dense leaves that follow each other, and their part of ``out``."""
    runs: list[tuple[int, int]] = []
    for leaf in np.flatnonzero(dense).tolist():
        start, stop = ends[leaf], ends[leaf + 1]
        if runs and runs[-1][1] == start:
            start = runs.pop()[0]
        runs.append((start, stop))
    places = accumulate((stop - start for start, stop in runs), initial=0)
    return [
        (slice(start, stop), out[place : place + stop - start])
        for (start, stop), place in zip(runs, places, strict=False)
    ]
