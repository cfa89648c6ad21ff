"""Sums of Gaussian kernels over all rows and over the rows of the own class, in one pass.

A kernel beyond exp(−40) adds nothing to a sum that starts at 1, so most pairs of a layer need no
exponential and many no distance. Rows are split at medians into leaves of one class; pairs of
leaves whose boxes are too far apart are skipped, the others are one product of matrices each, only
for the upper triangle. In a wide layer a few columns decide first which pairs can be near at all.
No (n, n) array exists.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from infoplane.types import FloatArray, IntArray

NEAR = 40.0  # exponent beyond which a kernel counts as 0: 1e4 of them are below 5e-14
LEAF = 64  # rows of a leaf at most
_COLUMNS = 1024  # rows against which a leaf is taken at once: a block stays in the cache
_ROUNDING = 1e-9  # error of an exponent that is tolerated from ‖a‖² + ‖b‖² − 2ab
_SKETCH = 24  # columns that decide which pairs of a wide layer can be near
_WIDE = 4 * _SKETCH  # columns from which that pays
_FEW = 0.1  # share of near pairs up to which their kernels are taken one by one
_FEW_EXACT = 0.02  # the same where distances are taken one by one too
_PAIRS = 1 << 18  # entries of differences held at once


@dataclass(frozen=True, slots=True)
class Sums:
    """Kernel sums of every row, itself included.

    ``everyone`` and ``own`` have one row for each kernel asked for, shape (kernels, n).
    """

    everyone: FloatArray
    own: FloatArray


def kernel_sums(t: FloatArray, codes: IntArray, powers: tuple[int, ...]) -> Sums:
    """Sum exp(−p ‖t_i − t_j‖²) over all j, and over the j with the code of i.

    Parameters
    ----------
    t : ndarray, (n, d)
        Finite rows, small enough that squares do not overflow.
    codes : ndarray, (n,)
        Codes 0 … C−1.
    powers : tuple of int
        p: (4,), or (1, 4), the second from the first by squaring twice.

    Returns
    -------
    Sums
        In the order of ``powers``.
    """
    sizes = np.bincount(codes)
    if t.shape[1] == 0:
        same = np.ones((len(powers), 1))
        return Sums(len(t) * np.repeat(same, len(t), axis=1), sizes[codes] * same)
    if len(sizes) > 1 and len(codes) < LEAF * len(sizes):
        return _many_classes(t, codes, powers)
    pairs = Pairs(t, codes, NEAR / powers[0])
    everyone, own = np.zeros((2, len(powers), len(t)))
    for block in pairs.blocks():
        kernel = block.exponent
        kernel *= powers[0]
        np.exp(kernel, out=kernel)
        for index in range(len(powers)):
            if index:
                np.square(kernel, out=kernel)
                np.square(kernel, out=kernel)
            for sums in (everyone, own) if block.same else (everyone,):
                block.add(sums[index], kernel)
    everyone[:, pairs.order], own[:, pairs.order] = everyone.copy(), own.copy()
    return Sums(everyone, own)


def kernel_products(t: FloatArray, weights: FloatArray, power: int) -> FloatArray:
    """Return K W for K = exp(−power ‖t_i − t_j‖²) and weights W (n, w), shape (n, w)."""
    if t.shape[1] == 0:
        return np.broadcast_to(weights.sum(axis=0), weights.shape)
    pairs = Pairs(t, np.zeros(len(t), np.int64), NEAR / power)
    sorted_weights = np.ascontiguousarray(weights[pairs.order])
    product = np.zeros_like(sorted_weights)
    for block in pairs.blocks():
        kernel = block.exponent
        kernel *= power
        np.exp(kernel, out=kernel)
        block.multiply(product, kernel, sorted_weights)
    product[pairs.order] = product.copy()
    return product


def _many_classes(t: FloatArray, codes: IntArray, powers: tuple[int, ...]) -> Sums:
    """Classes smaller than a leaf: everyone first, then class by class."""
    everyone = kernel_sums(t, np.zeros_like(codes), powers).everyone
    own = np.ones_like(everyone)
    for rows in _classes(codes):
        if len(rows) > 1:
            own[:, rows] = kernel_sums(t[rows], np.zeros(len(rows), np.int64), powers).everyone
    return Sums(everyone, own)


def _classes(codes: IntArray) -> list[IntArray]:
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)


def _leaves(t: FloatArray, rows: IntArray) -> Iterator[IntArray]:
    """Split rows at the median of their widest column until they fit into a leaf."""
    if len(rows) <= LEAF:
        yield rows
        return
    some = t[rows]
    widest = int(np.argmax(some.max(axis=0) - some.min(axis=0)))
    half = len(rows) // 2
    split = rows[np.argpartition(some[:, widest], half)]
    yield from _leaves(t, split[:half])
    yield from _leaves(t, split[half:])


@dataclass(frozen=True, slots=True)
class Block:
    """Near pairs of the rows of one leaf with some columns, every pair once.

    Attributes
    ----------
    rows : slice
        Rows of the leaf.
    columns : ndarray, (k,)
        Rows after it, or the leaf's own.
    exponent : ndarray, (rows, k)
        −‖a − b‖².
    same : bool
        Whether both sides have the same code.
    mirror : bool
        Whether the pairs count for the columns too.
    """

    rows: slice
    columns: IntArray
    exponent: FloatArray
    same: bool
    mirror: bool

    def add(self, sums: FloatArray, kernel: FloatArray) -> None:
        """Add a kernel of this block to the sums (n,) of both sides."""
        sums[self.rows] += kernel.sum(axis=1)
        if self.mirror:
            sums[self.columns] += kernel.sum(axis=0)

    def multiply(self, product: FloatArray, kernel: FloatArray, weights: FloatArray) -> None:
        """Add kernel times weights (n, w) to the product (n, w) of both sides."""
        product[self.rows] += kernel @ weights[self.columns]
        if self.mirror:
            product[self.columns] += kernel.T @ weights[self.rows]


@dataclass(frozen=True, slots=True)
class Few:
    """A block in which so few pairs are near that they are listed; all vectors (pairs,)."""

    rows: IntArray
    columns: IntArray
    exponent: FloatArray
    same: bool
    mirror: bool

    def add(self, sums: FloatArray, kernel: FloatArray) -> None:
        """Add kernels of these pairs to the sums (n,) of both sides."""
        np.add.at(sums, self.rows, kernel)
        if self.mirror:
            np.add.at(sums, self.columns, kernel)

    def multiply(self, product: FloatArray, kernel: FloatArray, weights: FloatArray) -> None:
        """Add kernel times weights (n, w) to the product (n, w) of both sides."""
        np.add.at(product, self.rows, kernel[:, None] * weights[self.columns])
        if self.mirror:
            np.add.at(product, self.columns, kernel[:, None] * weights[self.rows])


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
        self.wide = t.shape[1] > _WIDE
        self.column_order = np.arange(t.shape[1])
        if self.wide:  # columns that spread most come first and decide
            self.column_order = np.argsort(-t.var(axis=0), kind="stable")
            t = t[:, self.column_order]
        head = t[:, :_SKETCH]
        leaves = [leaf for rows in _classes(codes) for leaf in _leaves(head, rows)]
        self.order = np.concatenate(leaves)
        self.t, self.reach = t[self.order], reach
        # exponentials that underflow are many times slower; what is listed is not final yet
        self.lowest = np.inf if listed else 2.5 * reach
        self.sizes = np.array([len(leaf) for leaf in leaves])
        self.stops = np.cumsum(self.sizes)
        self.starts = self.stops - self.sizes
        ordered = codes[self.order]
        self.class_ends = np.searchsorted(ordered, ordered[self.starts], side="right")
        self.left, self.right = _sides(self.t)
        self.sketch = _sides(self.t[:, :_SKETCH]) if self.wide else (self.left, self.right)
        self.slip = 8.0 * np.finfo(float).eps * float(self.right[:, -1].max())
        self.listed = listed and self.slip > _ROUNDING

    def blocks(self) -> Iterator[Block | Few]:
        """Yield every near pair once, and some that are not near."""
        near = self._near_leaves()
        for leaf, (start, stop) in enumerate(zip(self.starts, self.stops, strict=True)):
            rows = slice(int(start), int(stop))
            yield self._block(rows, np.arange(start, stop), same=True, mirror=False)
            others = stop + np.flatnonzero(
                np.repeat(near[leaf, leaf + 1 :], self.sizes[leaf + 1 :])
            )
            split = int(np.searchsorted(others, self.class_ends[leaf]))
            for same, columns in ((True, others[:split]), (False, others[split:])):
                for first in range(0, len(columns), _COLUMNS):
                    part = columns[first : first + _COLUMNS]
                    yield self._block(rows, part, same=same, mirror=True)

    def _near_leaves(self) -> NDArray[np.bool_]:
        """Whether the boxes of two leaves come within reach, shape (leaves, leaves)."""
        head = self.t[:, :_SKETCH]
        low = np.minimum.reduceat(head, self.starts, axis=0)
        high = np.maximum.reduceat(head, self.starts, axis=0)
        distance = np.zeros((len(low), len(low)))
        for a, b in zip(low.T, high.T, strict=True):
            gap = np.maximum(a[:, None] - b, a - b[:, None])
            distance += np.square(np.maximum(gap, 0.0))
        return np.asarray(distance <= self.reach)

    def _block(self, rows: slice, columns: IntArray, *, same: bool, mirror: bool) -> Block | Few:
        if self.wide:
            sketch = self.sketch[0][rows] @ self.sketch[1][columns].T
            near = sketch > -self.reach - self.slip
            if np.count_nonzero(near) <= _FEW_EXACT * near.size:
                i, j = self._pairs(near, rows, columns)
                return Few(i, j, -self._exact(i, j), same, mirror)
        exponent = self.left[rows] @ self.right[columns].T
        near = exponent > -self.reach - self.slip
        few = self.listed or np.count_nonzero(near) <= _FEW * near.size
        if not few and self.slip <= _ROUNDING:
            return Block(rows, columns, np.maximum(exponent, -self.lowest), same, mirror)
        i, j = self._pairs(near, rows, columns)
        listed = -self._exact(i, j) if self.slip > _ROUNDING else exponent[near]
        if few:
            return Few(i, j, listed, same, mirror)
        exponent[near] = listed  # large squares had lost their digits
        return Block(rows, columns, np.maximum(exponent, -self.lowest), same, mirror)

    @staticmethod
    def _pairs(
        near: NDArray[np.bool_], rows: slice, columns: IntArray
    ) -> tuple[IntArray, IntArray]:
        flat = np.flatnonzero(near)
        i = flat // len(columns)
        return rows.start + i, columns[flat - i * len(columns)]

    def _exact(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Squared distances from the differences themselves."""
        result = np.empty(len(rows))
        step = max(1, _PAIRS // self.t.shape[1])
        for first in range(0, len(rows), step):
            pair = slice(first, first + step)
            difference = self.t[rows[pair]] - self.t[columns[pair]]
            result[pair] = np.einsum("ij,ij->i", difference, difference)
        return result


def _sides(t: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Two matrices whose product left @ right.T is −‖a − b‖²; the last of right is ‖b‖²."""
    square = np.einsum("ij,ij->i", t, t)[:, None]
    one = np.ones_like(square)
    return np.hstack([2.0 * t, -square, -one]), np.hstack([t, one, square])
