"""Rows in the leaves of a compiled tree: the k-th neighbour and counts within a radius."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from infoplane.estimators.threads import in_runs, portions
from infoplane.types import FloatArray, IntArray


class Boxes:
    """Rows (n, d) put into leaves, and the corners of the boxes around leaves and groups of them.

    Parameters
    ----------
    tree : module
        The compiled loops, ``compiled(n, "tree")``.
    points : ndarray, (n, d)
    """

    def __init__(self, tree: ModuleType, points: FloatArray) -> None:
        (n, d), leaf = points.shape, tree.LEAF
        columns, groups = np.ascontiguousarray(points.T), -(-n // leaf**2)
        self.tree, self.order = tree, tree.leaf_order(columns)
        corners = np.full((2, d, groups * leaf**2), [[[np.inf]], [[-np.inf]]])  # beyond the rows
        corners[:, :, :n] = columns.take(self.order, axis=1)
        rows, tops = corners.reshape(2, d, groups, leaf, leaf)
        lows, highs = rows.min(axis=-1), tops.max(axis=-1)  # of leaves
        self.boxes = [
            np.ascontiguousarray(rows.reshape(d, -1, leaf).swapaxes(0, 1)),
            np.ascontiguousarray(lows.swapaxes(0, 1)),
            np.ascontiguousarray(highs.swapaxes(0, 1)),
            lows.min(axis=-1)[None],  # of groups
            highs.max(axis=-1)[None],
        ]

    def kth(self, k: int, workers: int) -> FloatArray:
        """Distance of each row to its k-th nearest other row, (n,)."""
        kept = np.empty(len(self.order))

        def work(run: list[slice]) -> None:
            for rows in run:
                self.tree.kth(*self.boxes, k, *self._ends(rows), kept)

        in_runs(work, portions(len(kept)), workers)
        result = np.empty_like(kept)
        result[self.order] = kept
        return result

    def closer(self, radius: FloatArray, workers: int) -> IntArray:
        """How many other rows are strictly closer to row i than ``radius[i]``, (n,)."""
        reach, counts = radius[self.order], np.empty(len(radius), dtype=np.int64)

        def work(run: list[slice]) -> None:
            for rows in run:
                self.tree.closer(*self.boxes, reach, *self._ends(rows), counts)

        in_runs(work, portions(len(counts)), workers)
        result = np.empty_like(counts)
        result[self.order] = np.maximum(counts - 1, 0)
        return result

    def _ends(self, rows: slice) -> tuple[int, int]:
        leaf = self.tree.LEAF
        return rows.start // leaf, -(-rows.stop // leaf)
