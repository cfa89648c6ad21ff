"""The pairs of rows that are near each other, block by block, every pair once.

In leaves that are not too far apart a product in single precision finds out which pairs can be
near: few are listed and measured from their differences, many are one product of matrices in
double precision. In a wide layer a few columns decide first. No (n, n) array exists.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from infoplane.estimators.near_leaves import LEAF, WIDE, leaves
from infoplane.types import FloatArray, IntArray

_SCREENED = 2048  # rows that a leaf is screened against at once
_COLUMNS = 256  # rows against which its exponents are taken at once: a block stays in the cache
_ROUNDING = 1e-9  # error of an exponent that is tolerated from ‖a‖² + ‖b‖² − 2ab
_SKETCH = 24  # columns that decide which pairs of a wide layer can be near
_FEW = 0.1  # share of near pairs up to which they are listed
_FEW_EXACT = 0.02  # the same in a wide layer, where a distance costs more
_PAIRS = 1 << 18  # entries of differences held at once
_LISTED = 1 << 17  # pairs that are listed together


@dataclass(frozen=True, slots=True)
class Block:
    """Pairs of the rows of one leaf with some columns.

    Attributes
    ----------
    rows : slice
        Rows of the leaf.
    columns : ndarray, (k,)
        Rows after it, or the leaf's own.
    exponent : ndarray, (rows, k)
        −‖a − b‖²; the next block takes its place.
    same : bool
        Whether both sides have the same code.
    mirror : bool
        Whether the pairs count for the columns too.
    """

    rows: slice
    columns: IntArray
    exponent: NDArray[Any]
    same: bool
    mirror: bool

    @property
    def diagonal(self) -> NDArray[np.bool_]:
        """Which pairs are a row with itself."""
        return np.asarray(np.arange(self.rows.start, self.rows.stop)[:, None] == self.columns)

    def holding(self, exponent: NDArray[Any]) -> Block:
        """Return the same pairs with other values."""
        return Block(self.rows, self.columns, exponent, self.same, self.mirror)

    def add(self, kernel: FloatArray, *sums: FloatArray) -> None:
        """Add a kernel of this block to the sums (n,) of both sides."""
        to_rows = kernel.sum(axis=1)
        to_columns = kernel.sum(axis=0) if self.mirror else 0.0
        for one in sums:
            one[self.rows] += to_rows
            if self.mirror:
                one[self.columns] += to_columns

    def multiply(
        self, product: FloatArray, kernel: NDArray[np.floating], weights: NDArray[np.floating]
    ) -> None:
        """Add kernel times weights (n, w) to the product (n, w) of both sides."""
        product[self.rows] += kernel @ weights[self.columns]
        if self.mirror:
            product[self.columns] += kernel.T @ weights[self.rows]


@dataclass(frozen=True, slots=True)
class Few:
    """Pairs that are listed; all vectors (pairs,)."""

    rows: IntArray
    columns: IntArray
    exponent: NDArray[Any]
    same: bool
    mirror: bool

    @property
    def diagonal(self) -> NDArray[np.bool_]:
        """Which pairs are a row with itself."""
        return np.asarray(self.rows == self.columns)

    def holding(self, exponent: NDArray[Any]) -> Few:
        """Return the same pairs with other values."""
        return Few(self.rows, self.columns, exponent, self.same, self.mirror)

    def add(self, kernel: FloatArray, *sums: FloatArray) -> None:
        """Add kernels of these pairs to the sums (n,) of both sides."""
        for one in sums:
            one += np.bincount(self.rows, kernel, len(one))
            if self.mirror:
                one += np.bincount(self.columns, kernel, len(one))

    def multiply(
        self, product: FloatArray, kernel: NDArray[np.floating], weights: NDArray[np.floating]
    ) -> None:
        """Add kernel times weights (n, w) to the product (n, w) of both sides."""
        n = len(weights)
        matrix = csr_array((kernel, (self.rows, self.columns)), shape=(n, n))
        product += matrix @ weights
        if self.mirror:
            product += matrix.T @ weights


@dataclass(slots=True)
class _List:
    """Pairs found in block after block, until there are enough to go together."""

    rows: list[IntArray] = field(default_factory=list)
    columns: list[IntArray] = field(default_factory=list)
    size: int = 0

    def add(self, rows: IntArray, columns: IntArray) -> None:
        self.rows.append(rows)
        self.columns.append(columns)
        self.size += len(rows)


class Pairs:
    """The near pairs of a layer, block by block.

    Parameters
    ----------
    t : ndarray, (n, d)
        Rows; d ≥ 1.
    codes : ndarray, (n,)
        Classes, which leaves do not mix.
    reach : float
        Squared distance up to which a pair is near.
    listed : bool
        For callers who add to the exponents: these are not cut, and near pairs are listed wherever
        products of matrices lose digits.

    Attributes
    ----------
    order : ndarray, (n,)
        Original number of each row as sorted here: by class, then by leaf.
    column_order : ndarray, (d,)
        Original number of each column.
    """

    def __init__(
        self, t: FloatArray, codes: IntArray, reach: float, *, listed: bool = False
    ) -> None:
        self.wide = t.shape[1] > WIDE
        self.column_order = np.arange(t.shape[1])
        if self.wide:  # columns that spread most come first and decide
            self.column_order = np.argsort(-t.var(axis=0), kind="stable")
            t = t[:, self.column_order]
        cut = leaves(t, codes, reach)
        self.order, self.sizes, self.near_leaves = cut.order, cut.sizes, cut.near
        self.starts, self.stops = cut.starts, cut.stops
        self.t, self.reach = t[self.order], reach
        # exponentials that underflow are many times slower; what is listed is not final yet
        self.lowest = np.inf if listed else max(2.5 * reach, 100.0)
        ordered = codes[self.order]
        self.ends = np.searchsorted(ordered, ordered, side="right")  # of the class of each row
        self.class_ends = self.ends[self.starts]
        self.left, self.right = _sides(self.t)
        self.slip = _slip(self.right)
        self.listed = listed and self.slip > _ROUNDING
        self.few = _FEW_EXACT if self.wide else _FEW
        self._sketch()

    def _sketch(self) -> None:
        """Sides of a product that finds the near pairs, in single precision where it can tell."""
        sides = self.left, self.right
        if self.t.shape[1] > _SKETCH:
            sides = _sides(self.t[:, :_SKETCH])
        single = _slip(sides[1], np.float32) < 0.1 * self.reach
        kind = np.float32 if single else np.float64
        self.sketch = [side.astype(kind) for side in sides]
        self.near = -self.reach - _slip(sides[1], kind)
        # new pages for every block would cost more than its distances
        width = max(LEAF, min(len(self.t), _SCREENED))
        self.buffers: dict[str, NDArray[Any]] = {
            "sketch": np.empty(LEAF * width, kind),
            "near": np.empty(LEAF * width, np.bool_),
            "exact": np.empty(LEAF * min(width, _COLUMNS)),
        }

    def blocks(self) -> Iterator[Block | Few]:
        """Yield every near pair once, and some that are not near."""
        own, others = _List(), _List()
        for leaf, (start, stop) in enumerate(zip(self.starts, self.stops, strict=True)):
            yield from self._screened(leaf, np.arange(start, stop), own, mirror=False)
            after = np.repeat(self.near_leaves[leaf, leaf + 1 :], self.sizes[leaf + 1 :])
            columns = stop + np.flatnonzero(after)
            for first in range(0, len(columns), _SCREENED):
                part = columns[first : first + _SCREENED]
                yield from self._screened(leaf, part, others, mirror=True)
            for waiting, mirror in ((own, False), (others, True)):
                if waiting.size >= _LISTED:
                    yield from self._few(waiting, mirror)
        yield from self._few(own, False)
        yield from self._few(others, True)

    def _screened(
        self, leaf: int, columns: IntArray, waiting: _List, *, mirror: bool
    ) -> Iterator[Block | Few]:
        """Yield exponents of the columns with many near pairs; the others' go on the list."""
        rows = slice(int(self.starts[leaf]), int(self.stops[leaf]))
        near = self._seem_near(rows, columns)
        if not self.listed:
            counts = np.add.reduce(near.view(np.uint8), axis=0, dtype=np.uint8)
            if not mirror:  # a leaf with itself is taken whole: its pairs are there both ways
                counts[:] = counts.mean()
            dense = counts > self.few * len(near)
            many = columns[dense]
            split = int(np.searchsorted(many, self.class_ends[leaf]))
            for same, some in ((True, many[:split]), (False, many[split:])):
                for first in range(0, len(some), _COLUMNS):
                    part = some[first : first + _COLUMNS]
                    block = self._block(rows, part, waiting, same, mirror)
                    if block is not None:
                        yield block
            if len(many):
                np.greater(near, dense, out=near)
        waiting.add(*_where(near, rows, columns))

    def _block(
        self, rows: slice, columns: IntArray, waiting: _List, same: bool, mirror: bool
    ) -> Block | Few | None:
        """Exponents of one block; None when its near pairs were put on the waiting list."""
        right = self.right.take(columns, axis=0)
        exponent = _product(self.left[rows], right, self.buffers["exact"])
        if self.wide or self.slip > _ROUNDING:
            near = exponent > -self.reach - self.slip
            i, j = _where(near, rows, columns)
            many = len(i) > _FEW * near.size
            if self.slip <= _ROUNDING and not many:
                return Few(i, j, exponent[near], same, mirror)
            if self.slip > _ROUNDING and not many:
                waiting.add(i, j)
                return None
            if self.slip > _ROUNDING:  # large squares had lost their digits
                exponent[near] = -self._exact(i, j)
        return Block(rows, columns, np.maximum(exponent, -self.lowest, out=exponent), same, mirror)

    def _seem_near(self, rows: slice, columns: IntArray) -> NDArray[np.bool_]:
        """Which pairs of a block can be near, by the sketch."""
        left, right = self.sketch
        exponent = _product(left[rows], right.take(columns, axis=0), self.buffers["sketch"])
        out = self.buffers["near"][: exponent.size].reshape(exponent.shape)
        return np.asarray(np.greater(exponent, self.near, out=out))

    def _few(self, waiting: _List, mirror: bool) -> Iterator[Few]:
        """Measure the pairs on a waiting list and empty it."""
        if not waiting.size:
            return
        i, j = np.concatenate(waiting.rows), np.concatenate(waiting.columns)
        waiting.rows, waiting.columns, waiting.size = [], [], 0
        exponent = -self._exact(i, j)
        if not self.listed:
            np.maximum(exponent, -self.lowest, out=exponent)
        same = j < self.ends.take(i)
        for kind in (True, False):
            these = np.flatnonzero(same == kind)
            if len(these):
                yield Few(i.take(these), j.take(these), exponent.take(these), kind, mirror)

    def _exact(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Squared distances from the differences themselves."""
        if self.t.shape[1] <= _SKETCH:
            return self._exact_by_column(rows, columns)
        result = np.empty(len(rows))
        step = max(1, _PAIRS // self.t.shape[1])
        for first in range(0, len(rows), step):
            pair = slice(first, first + step)
            difference = self.t[rows[pair]] - self.t[columns[pair]]
            result[pair] = np.einsum("ij,ij->i", difference, difference)
        return result

    def _exact_by_column(self, rows: IntArray, columns: IntArray) -> FloatArray:
        result = np.zeros(len(rows))
        for column in np.ascontiguousarray(self.t.T):
            difference = column.take(rows)
            difference -= column.take(columns)
            difference *= difference
            result += difference
        return result


def members(codes: IntArray) -> list[IntArray]:
    """Rows of each code 0 … C−1."""
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)


def _where(near: NDArray[np.bool_], rows: slice, columns: IntArray) -> tuple[IntArray, IntArray]:
    """Row and column numbers of the near pairs of a block."""
    i, at = np.divmod(np.flatnonzero(near), len(columns))
    i += rows.start
    return i, columns.take(at)


def _product(left: NDArray[Any], right: NDArray[Any], buffer: NDArray[Any]) -> NDArray[Any]:
    """Return left @ right.T, in the buffer."""
    shape = (len(left), len(right))
    return np.matmul(left, right.T, out=buffer[: shape[0] * shape[1]].reshape(shape))


def _sides(t: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Two matrices whose product left @ right.T is −‖a − b‖²; the last of right is ‖b‖²."""
    square = np.einsum("ij,ij->i", t, t)[:, None]
    one = np.ones_like(square)
    return np.hstack([2.0 * t, -square, -one]), np.hstack([t, one, square])


def _slip(right: FloatArray, kind: type[np.floating] = np.float64) -> float:
    """Largest error of an exponent from the product of two sides."""
    return 8.0 * float(np.finfo(kind).eps) * float(right[:, -1].max())
