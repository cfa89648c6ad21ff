"""Gaussian kernels of low rank: layers whose rows are all within a few σ, or on a line.

A pivoted Cholesky factor of r rows gives all sums and all products in n r² instead of n²
exponentials. It stops when no sum over a row can be off by more than 1e-9, or gives up early.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from infoplane.types import FloatArray, IntArray

MOST = 160  # rows of a factor, beyond which it costs what it saves
ROWS = 1024  # rows of a layer from which it is tried
_PROBE = 16  # rows that tell whether it is worth trying
_WORTH = 1 / 16  # mean square of the kernel from which it is
_ERROR = 1e-9  # of a sum over a row


@dataclass(frozen=True, slots=True)
class LowRank:
    """A kernel exp(−power ‖t_i − t_j‖²) = LᵀL, L (r, n)."""

    power: int
    factor: FloatArray

    def times(self, weights: FloatArray, power: int) -> FloatArray:
        """Return K W for weights W (n, w), shape (n, w)."""
        assert power == self.power
        return np.asarray(self.factor.T @ (self.factor @ weights))

    def own(self, codes: IntArray) -> FloatArray:
        """Sum over the rows of the own class, (n,)."""
        members = codes[:, None] == np.arange(int(codes.max()) + 1)
        of_class = self.factor @ members.astype(np.float64)
        return np.asarray(np.einsum("ri,ri->i", self.factor, of_class[:, codes]))


def low_rank(t: FloatArray, power: int) -> LowRank | None:
    """Return the kernel of the rows of T (n, d) when its rank is low, else None."""
    t = math.sqrt(power) * t
    some = _rows(t, t[:: len(t) // _PROBE])
    factor = _factor(t) if float(np.square(some).mean()) >= _WORTH else None
    return None if factor is None else LowRank(power, factor)


def _rows(t: FloatArray, some: FloatArray) -> FloatArray:
    """Kernel of some rows with all, from the differences themselves."""
    exponent = cdist(some, t, "sqeuclidean")
    return np.asarray(np.exp(-np.minimum(exponent, 700.0, out=exponent)))


def _factor(t: FloatArray) -> FloatArray | None:
    left = np.ones(len(t))
    rows, goal = np.empty((MOST, len(t))), _ERROR / len(t)
    for r in range(MOST):
        pivot = int(left.argmax())
        top = float(left[pivot])
        error = math.sqrt(top) * float(np.sqrt(left).mean())  # |E_ij|² is at most left_i left_j
        if error <= goal:
            return rows[:r]
        # while clusters are still being found it falls slowly, then about as a straight line
        behind = 0.3 if r < MOST // 2 else 0.95
        if r >= MOST // 8 and error > goal ** (behind * r / MOST):
            return None
        rows[r] = _rows(t, t[pivot : pivot + 1])[0]
        rows[r] -= rows[:r, pivot] @ rows[:r]
        rows[r] /= math.sqrt(top)
        left = np.maximum(left - np.square(rows[r]), 0.0)
        left[pivot] = 0.0
    return None
