"""Steps of an eigenvalue computation by way of a band matrix that are no products of matrices.

Symmetric matrices are given by their rows from the diagonal on. A reflection is I − τ v vᵀ.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from infoplane.estimators.compiled.jit import jit_sums

Single = NDArray[np.float32]


@jit_sums
def _reflect(x: Single) -> Any:
    """Replace x by the v of a reflection that takes it to (β, 0, …); return τ and β."""
    rest, first = np.float32(0), x[0]
    for i in range(1, len(x)):
        rest += x[i] * x[i]
    x[0] = np.float32(1)
    if rest == 0:
        return np.float32(0), first
    length = np.sqrt(first * first + rest)
    beta = -length if first > 0 else length
    scale = np.float32(1) / (first - beta)
    for i in range(1, len(x)):
        x[i] *= scale
    return (beta - first) / beta, beta


@jit_sums
def _dot(x: Single, y: Single) -> Any:
    total = np.float32(0)
    for i in range(len(x)):
        total += x[i] * y[i]
    return total


@jit_sums
def triangle(rows: Single, taus: Single, right: Single) -> None:
    """Factor rows (b, m), m ≥ b, of which the columns are Q R: Q as reflections, R transposed.

    ``rows`` become their v, ``taus`` (b,) their τ and ``right`` (b, b) the lower triangle Rᵀ.
    """
    for c in range(len(rows)):
        right[c, :c], rows[c, :c] = rows[c, :c], 0
        v = rows[c, c:]
        taus[c], right[c, c] = _reflect(v)
        for q in range(c + 1, len(rows)):
            row = rows[q, c:]
            share = taus[c] * _dot(v, row)
            for i in range(len(v)):
                row[i] -= share * v[i]


@jit_sums
def _both_sides(block: Single, tau: Any, v: Single, w: Single) -> None:
    """Reflect b columns of a band from the left and the right, and from the right what is below.

    ``block`` (b, 2 b) has column c from its diagonal on. v and w, of 3 b entries, are zero from b
    and 2 b on. Every loop is over b or 2 b entries, so that none has a remainder.
    """
    b = len(block)
    w[:] = 0
    for c in range(b):
        column, to = block[c], w[c : c + 2 * b]
        for k in range(2 * b):
            to[k] += column[k] * v[c]
        w[c] += _dot(column[:b], v[c : c + b]) - column[0] * v[c]
    w[2 * b :] = 0
    half = np.float32(0.5) * tau * tau * _dot(w[:b], v[:b])
    for k in range(2 * b):
        w[k] = tau * w[k] - half * v[k]
    for c in range(b):
        column, there, other = block[c], v[c : c + 2 * b], w[c : c + 2 * b]
        for k in range(2 * b):
            column[k] -= there[k] * w[c] + other[k] * v[c]


@jit_sums
def _from_left(block: Single, v: Single) -> Any:
    """Reflect what is below b columns of a band so that its first column is (β, 0, …); return τ."""
    b = len(block)
    column = block[0, b:]
    v[:b] = column
    tau, beta = _reflect(v[:b])
    column[:] = 0
    column[0] = beta
    for c in range(1, b):
        column = block[c, b - c : 2 * b - c]
        share = tau * _dot(v[:b], column)
        for k in range(b):
            column[k] -= share * v[k]
    return tau


@jit_sums
def chase(band: Single, n: int, b: int) -> None:
    """Make a band matrix (n, n) tridiagonal, in place.

    ``band`` (n + 3 b, 2 b) has column j from its diagonal on, zero beyond the b-th below it and
    beyond n. Every column's reflection pushes a bulge down the band that the next ones take out.
    """
    v, w = np.zeros(3 * b, np.float32), np.zeros(3 * b, np.float32)
    for i in range(n - 2):
        column = band[i, 1 : b + 1]
        v[:b] = column
        tau, beta = _reflect(v[:b])
        column[:] = 0
        column[0] = beta
        for start in range(i + 1, n, b):
            block = band[start : start + b]
            _both_sides(block, tau, v, w)
            tau = _from_left(block, v)
