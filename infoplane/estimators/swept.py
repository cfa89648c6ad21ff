"""Kernels that compiled loops take anew in every pass: nothing of size n² is kept."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from infoplane.estimators.compiled import sweeps
from infoplane.estimators.leaves import Leaves, leaves
from infoplane.types import FloatArray, IntArray

MANY = 2048  # rows from which numba is worth importing
NARROW = 24  # columns up to which differences are faster than products of matrices
_AXES = 4  # principal axes that decide in single precision which pairs can be near
_TOGETHER = 64  # labellings of one pass
_SLIP = 4 * float(np.finfo(np.float32).eps)  # of a distance there, in units of the largest entry


def worthwhile(n: int, d: int) -> bool:
    """Whether sweeps of an (n, d) layer are there and faster than what numpy does."""
    return n >= MANY and d <= NARROW and sweeps("kernels") is not None


class Swept:
    """A kernel exp(−power ‖t_i − t_j‖²) of the near pairs of T (n, d)."""

    def __init__(self, t: FloatArray, power: int) -> None:
        self.t, self.power = t, power

    def sums(self, codes: IntArray, count: int = 1) -> tuple[FloatArray, FloatArray]:
        """Sum over all rows (count, n) and over those of the own class (count, q, n).

        Of the kernel and of the next ``count`` − 1, each the fourth power of the one before; the
        row itself is in its sums. Codes are (q, n).
        """
        loops, cut = sweeps("kernels"), self._leaves
        assert loops is not None
        n = len(self.t)
        everyone, own = np.ones((count, n)), np.ones((count, len(codes), n))
        sorted_codes = np.ascontiguousarray(codes[:, cut.order], dtype=np.int64)
        axes, enough = self._axes
        ends = np.append(0, cut.stops)
        room = np.empty(cut.sizes.max(), np.float32), np.empty(loops.CHUNK)
        loops.kernel_sums(
            self._columns, axes, ends, cut.near, enough, sorted_codes, everyone, own, *room
        )
        everyone[:, cut.order], own[..., cut.order] = everyone.copy(), own.copy()
        return everyone, own

    def own(self, codes: IntArray) -> FloatArray:
        """Sum over the rows of the own class for many labellings (q, n), shape (q, n)."""
        parts = np.split(codes, range(_TOGETHER, len(codes), _TOGETHER))
        return np.concatenate([self.sums(part)[1][0] for part in parts])

    @cached_property
    def _rows(self) -> FloatArray:
        return math.sqrt(self.power) * self.t

    @cached_property
    def _leaves(self) -> Leaves:
        loops = sweeps("kernels")
        assert loops is not None
        return leaves(self._rows, np.zeros(len(self.t), np.int64), loops.REACH)

    @cached_property
    def _columns(self) -> FloatArray:
        return np.ascontiguousarray(self._rows[self._leaves.order].T)

    @cached_property
    def _axes(self) -> tuple[NDArray[np.float32], np.float32]:
        """Leading axes of the rows, and the squared distance there beyond which none is near."""
        cut = self._leaves
        count = _AXES if self.t.shape[1] > _AXES else 0
        axes = np.ascontiguousarray(cut.points[:, :count].T, dtype=np.float32)
        slip = _SLIP * float(np.abs(axes).max(initial=0.0))
        return axes, np.float32((cut.radius + slip) ** 2 * (1 + 1e-5))
