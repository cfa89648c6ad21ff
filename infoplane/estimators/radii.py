"""Euclidean distances to the nearest rows of a whitened cloud.

A k-d tree in few dimensions. In more, products in single precision say who may be near, and the
differences themselves how near.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from infoplane.estimators.screen import lowest_of_groups
from infoplane.estimators.threads import threads
from infoplane.types import FloatArray, IntArray

TREE_DIMS = 6  # up to here a tree is faster at any n; one more for every doubling from MANY on
MANY = 16_384
ROWS = 64  # whose products with all rows are taken at once
ENTRIES = 1 << 20  # of differences held at once
ROUNDING = 16 * float(np.finfo(np.float32).eps)  # of the largest ‖a‖²: error of half a ‖a − b‖²


def nearest_radii(points: FloatArray, k: int) -> FloatArray:
    """Distances of each row to its k nearest other rows, ascending, (n, k).

    Parameters
    ----------
    points : ndarray, (n, d)
        Centred rows of unit covariance; n > k.
    """
    n, d = points.shape
    if d <= TREE_DIMS or n >= MANY << (d - TREE_DIMS):
        return np.asarray(cKDTree(points).query(points, k + 1, workers=threads(n))[0][:, 1:])
    return _by_products(points, k)


def _by_products(points: FloatArray, k: int) -> FloatArray:
    squares = np.einsum("ij,ij->i", points, points)
    ones = np.ones((len(points), 1))
    left = np.hstack([points, ones]).astype(np.float32)
    right = np.hstack([-points, 0.5 * squares[:, None]]).astype(np.float32).T
    slip = 2 * ROUNDING * float(squares.max())
    result = np.empty((len(points), k))
    for start in range(0, len(points), ROWS):
        rows = slice(start, start + ROWS)
        half = left[rows] @ right  # ½‖a − b‖² − ½‖a‖²
        lowest = lowest_of_groups(half, k + 1)
        lowest.partition(k, axis=1)
        may = half <= lowest[:, k, None] + np.float32(slip)
        i, j = np.divmod(np.flatnonzero(may), len(points))
        counts = may.sum(axis=1)
        table = np.full((len(half), counts.max()), np.inf)
        place = np.arange(len(i)) - np.repeat(np.cumsum(counts) - counts, counts)
        table[i, place] = _squared(points, start + i, j)
        table.partition(k, axis=1)  # the row itself is at distance 0
        result[rows] = np.sqrt(np.sort(table[:, : k + 1], axis=1)[:, 1:])
    return result


def _squared(points: FloatArray, i: IntArray, j: IntArray) -> FloatArray:
    """Measure ‖a − b‖² of listed pairs by their differences."""
    result = np.empty(len(i))
    step = max(1, ENTRIES // points.shape[1])
    for start in range(0, len(i), step):
        pairs = slice(start, start + step)
        difference = points[i[pairs]]
        difference -= points[j[pairs]]
        result[pairs] = np.einsum("ij,ij->i", difference, difference)
    return result
