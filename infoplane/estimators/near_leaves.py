"""Rows cut into leaves that lie close together, and which leaves can hold near pairs.

The cut goes across the principal axes of the rows: pairs of leaves whose boxes are too far apart
are skipped as a whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from infoplane.types import FloatArray, IntArray

LEAF = 128  # rows of a leaf at most
WIDE = 96  # columns from which the first few, which spread most, stand for all
_AXES = 8  # principal axes across which rows are cut into leaves
_MARGIN = 1e-13  # of the largest entry: what a rotation may move a row by, and much more


@dataclass(frozen=True, slots=True)
class Leaves:
    """Leaves of a layer; the rows of one follow each other.

    Attributes
    ----------
    order : ndarray, (n,)
        Original number of each row as sorted here: by class, then by leaf.
    sizes : ndarray, (leaves,)
        Rows of each leaf.
    near : ndarray of bool, (leaves, leaves)
        Whether rows of two leaves can be within the radius of each other.
    points : ndarray, (n, axes)
        The sorted rows on their principal axes, the longest first.
    radius : float
        The radius there.
    """

    order: IntArray
    sizes: IntArray
    near: NDArray[np.bool_]
    points: FloatArray
    radius: float

    @property
    def stops(self) -> IntArray:
        """Where each leaf ends."""
        return np.cumsum(self.sizes)

    @property
    def starts(self) -> IntArray:
        """Where each leaf begins."""
        return self.stops - self.sizes


def leaves(t: FloatArray, codes: IntArray, reach: float) -> Leaves:
    """Cut the rows of T (n, d ≥ 1) into leaves of one class each.

    Of more than :data:`WIDE` columns those that spread most must come first.

    Parameters
    ----------
    t : ndarray, (n, d)
        Finite rows.
    codes : ndarray, (n,)
        Codes 0 … C−1.
    reach : float
        Squared distance up to which a pair is near.
    """
    turned, largest = _turned(t)
    radius = min(math.sqrt(reach) / largest, 1e6)  # boxes are of order 1: all are near then
    order, sizes = _leaves(turned, codes, radius)
    points = turned[order]
    return Leaves(
        order, sizes, _near_leaves(points, np.cumsum(sizes) - sizes, radius), points, radius
    )


def _turned(t: FloatArray) -> tuple[FloatArray, float]:
    """Rows on their leading principal axes, in units of the largest entry, and that entry.

    Of a wide layer, whose first columns spread most, they are these columns.
    """
    wide = t.shape[1] > WIDE
    rows = t[:, :_AXES] if wide else t
    largest = float(np.abs(rows).max()) or 1.0
    rows = rows / largest
    if wide:
        return rows, largest
    rows -= rows.mean(axis=0)
    axes = np.linalg.eigh(rows.T @ rows)[1]
    return rows @ axes[:, : -_AXES - 1 : -1], largest


def _leaves(points: FloatArray, codes: IntArray, radius: float) -> tuple[IntArray, IntArray]:
    """Order of the rows and the sizes of their leaves: slabs as thick as the radius, axis by axis.

    Boxes cut across all axes in turn would touch nearly all others in more than a few dimensions.
    """
    group = codes.copy()
    for axis in range(points.shape[1]):
        order = np.lexsort((points[:, axis], group))
        sizes = np.bincount(group)
        leaves, ends = -(-sizes // LEAF), np.cumsum(sizes)
        along = points[order, axis]
        slabs = leaves
        if axis < points.shape[1] - 1:
            extent = along[ends - 1] - along[ends - sizes]
            slabs = np.clip(extent / radius, 1, leaves).astype(np.int64)
        rank = np.arange(len(order)) - np.repeat(ends - sizes, sizes)
        slab = rank // LEAF * np.repeat(slabs, sizes) // np.repeat(leaves, sizes)
        group[order] = slab + np.repeat(np.cumsum(slabs) - slabs, sizes)
        if np.array_equal(slabs, leaves):
            break
    return order, np.bincount(group)


def _near_leaves(points: FloatArray, starts: IntArray, radius: float) -> NDArray[np.bool_]:
    """Whether the boxes of two leaves come within the radius, shape (leaves, leaves)."""
    low = np.minimum.reduceat(points, starts, axis=0)
    high = np.maximum.reduceat(points, starts, axis=0) + _MARGIN
    distance = np.zeros((len(low), len(low)))
    for a, b in zip(low.T, high.T, strict=True):
        gap = np.maximum(a[:, None] - b, a - b[:, None])
        distance += np.square(np.maximum(gap, 0.0))
    return np.asarray(distance <= radius**2)
