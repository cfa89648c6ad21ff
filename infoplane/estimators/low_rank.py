"""Gaussian kernels of low rank: layers whose rows are on a line, or all within a few σ.

A factor of r rows gives all products in n r instead of n² exponentials. On a line (one unit, or the
softmax of two) it is a Fourier series, elsewhere a pivoted Cholesky factor, which costs n r² and
stops when no sum over a row can be off by more than 1e-9, or gives up early.
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
_SAMPLE = 512  # rows whose factor is tried first
_WORTH = 1 / 16  # mean square of the kernel from which it is
_ERROR = 1e-9  # of a sum over a row
_OFF_LINE = 1e-11  # squared distance from a line up to which a row counts as on it
_LONGEST = 120.0  # of a line: beyond, few pairs are near
_PERIOD, _HIGHEST = 5.7, 10.8  # how far the series repeats beyond the line, and its last frequency


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
    line = _line(t)
    if line is not None and np.ptp(line) <= _LONGEST:
        return LowRank(power, _series(line))
    some = t[:: max(1, len(t) // _SAMPLE)]
    kernel = _rows(some, some[:: len(some) // _PROBE])
    if float(np.square(kernel).mean()) < _WORTH or _factor(some) is None:
        return None
    factor = _factor(t)
    return None if factor is None else LowRank(power, factor)


def _line(t: FloatArray) -> FloatArray | None:
    """Positions of the rows along a line, None when they are not on one."""
    away = t - t[0]
    length = np.einsum("ij,ij->i", away, away)
    end = int(length.argmax())
    if length[end] == 0.0:
        return np.zeros(len(t))
    axis = away[end] / math.sqrt(length[end])
    along = away @ axis
    away -= along[:, None] * axis
    off = np.einsum("ij,ij->i", away, away).max()
    return along if off <= _OFF_LINE else None


def _series(x: FloatArray) -> FloatArray:
    """Factor of exp(−(x_i − x_j)²) = Σ_k w_k cos(k h (x_i − x_j)), error below 1e-13 a pair.

    w_k = h/√π exp(−(k h)²/4), half of it for k = 0: the trapezoid rule on the Fourier transform,
    whose error is the kernel one period 2π/h further and what is beyond the highest frequency.
    """
    step = 2.0 * math.pi / (float(np.ptp(x)) + _PERIOD)
    waves = np.empty((int(_HIGHEST / step) + 2, len(x)), dtype=np.complex128)
    waves[0], turn = 1.0, np.exp(1j * step * (x - x.mean()))
    for k in range(1, len(waves)):
        np.multiply(waves[k - 1], turn, out=waves[k])
    weight = step / math.sqrt(math.pi) * np.exp(-np.square(step * np.arange(len(waves))) / 4)
    weight[0] /= 2
    waves *= np.sqrt(weight)[:, None]
    return np.concatenate([waves.real, waves.imag[1:]])


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
