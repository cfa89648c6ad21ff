"""Sums of Gaussian kernels over all rows and over the rows of the own class, in one pass.

A kernel beyond exp(−32) adds nothing to a sum that starts at 1, so most pairs of a layer need no
exponential and many no distance; where nearly all are near, the kernel is often of low rank. The
near ones may be kept in single precision: a null multiplies
them with many weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from infoplane.estimators import on_device
from infoplane.estimators.backend import exp
from infoplane.estimators.low_rank import ROWS, LowRank, low_rank
from infoplane.estimators.near_leaves import LEAF
from infoplane.estimators.near_pairs import Block, Few, Pairs, members
from infoplane.estimators.swept import Swept, worthwhile
from infoplane.types import FloatArray, IntArray

NEAR = 32.0  # exponent beyond which a kernel counts as 0: 1e4 of them are below 2e-10
KEPT = range(1024, 8193)  # rows for which a kernel is worth keeping, in 128 MiB at most
_ROOM = 1 << 21  # entries of a kept kernel that are allocated at once


@dataclass(slots=True)
class Kernel:
    """Near pairs of a layer, with exp(−power ‖t_i − t_j‖²) in single precision as the exponent.

    A row's kernel with itself is left out: next to it small ones would lose their digits.
    """

    power: int
    order: IntArray
    blocks: list[Block | Few] = field(default_factory=list)
    room: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))

    def keep(self, block: Block | Few, kernel: FloatArray) -> None:
        """Keep one block."""
        if self.room.size < kernel.size:  # few large allocations: new pages cost more than a copy
            self.room = np.empty(max(_ROOM, kernel.size), np.float32)
        copy = self.room[: kernel.size].reshape(kernel.shape)
        copy[...] = kernel
        if not block.mirror:
            copy[block.diagonal] = 0.0
        self.room = self.room[kernel.size :]
        self.blocks.append(block.holding(copy))

    def times(self, weights: FloatArray, power: int) -> FloatArray:
        """Return K W with K raised to ``power``, weights W (n, w); to 1e-6 of what others add."""
        sorted_weights = weights[self.order].astype(np.float32)
        product = np.zeros(weights.shape)
        for block in self.blocks:
            kernel = block.exponent
            if power != self.power:
                kernel = kernel ** (power // self.power)
            block.multiply(product, kernel, sorted_weights)
        product[self.order] = product.copy()
        return product + weights


@dataclass(frozen=True, slots=True)
class Sums:
    """Kernel sums of every row, itself included; (n,) each.

    ``kernel`` is what further sums can be had from, None where nothing is kept.
    """

    everyone: FloatArray
    own: FloatArray
    kernel: Kernel | LowRank | Swept | None = None


def kernel_sums(
    t: FloatArray, codes: IntArray, powers: tuple[int, ...], *, keep: bool = False
) -> dict[int, Sums]:
    """Sum exp(−p ‖t_i − t_j‖²) over all j, and over the j with the code of i.

    Parameters
    ----------
    t : ndarray, (n, d)
        Finite rows, small enough that squares do not overflow.
    codes : ndarray, (n,)
        Codes 0 … C−1.
    powers : tuple of int
        p: (1,), (4,), or (1, 4), where one pass serves both: a fourth power is squared twice.
    keep : bool
        Whether to keep the kernel, where that pays (:data:`KEPT`).

    Returns
    -------
    dict
        The sums of each power.
    """
    sizes = np.bincount(codes)
    if t.shape[1] == 0:
        whole = np.full(len(t), float(len(t)))
        return dict.fromkeys(powers, Sums(whole, sizes[codes].astype(np.float64)))
    if on_device.chosen() is not None:
        return _of_rows(powers, *on_device.kernel_sums(t, codes, powers))
    if len(sizes) > 1 and len(codes) < LEAF * len(sizes):
        return _many_classes(t, codes, powers, keep)
    found = _of_low_rank(t, codes, powers)
    left = tuple(power for power in powers if power not in found)
    return found | (_of_near_pairs(t, codes, left, keep) if left else {})


def _of_rows(
    powers: tuple[int, ...],
    everyone: FloatArray,
    own: FloatArray,
    kernels: Iterable[Kernel | Swept | None] = repeat(None),
) -> dict[int, Sums]:
    each = zip(powers, everyone, own, kernels, strict=False)
    return {power: Sums(*sums) for power, *sums in each}


def _of_low_rank(t: FloatArray, codes: IntArray, powers: tuple[int, ...]) -> dict[int, Sums]:
    """Return the sums of those kernels that are of low rank."""
    found = {}
    if len(t) >= ROWS and t.shape[1] < LEAF:
        for power in powers:
            whole = low_rank(t, power)
            if whole is not None:
                everyone = whole.times(np.ones((len(t), 1)), power)[:, 0]
                found[power] = Sums(everyone, whole.own(codes), whole)
    return found


def _of_near_pairs(
    t: FloatArray, codes: IntArray, powers: tuple[int, ...], keep: bool
) -> dict[int, Sums]:
    if worthwhile(*t.shape):
        swept = Swept(t, powers[0])
        sums = swept.sums(codes, len(powers), keep=keep and len(t) in KEPT)
        return _of_rows(powers, *sums, repeat(swept))
    pairs, many = Pairs(math.sqrt(powers[0]) * t, codes, NEAR), len(t) ** 2 // 2
    kept = Kernel(powers[0], pairs.order) if keep and len(t) in KEPT else None
    everyone, own = np.zeros((2, len(powers), len(t)))
    for block in pairs.blocks():
        kernel = exp(block.exponent, many)
        if kept is not None:
            kept.keep(block, kernel)
        for index in range(len(powers)):
            if index:
                np.square(kernel, out=kernel)
                np.square(kernel, out=kernel)
            block.add(
                kernel, *((everyone[index], own[index]) if block.same else (everyone[index],))
            )
    everyone[:, pairs.order], own[:, pairs.order] = everyone.copy(), own.copy()
    return _of_rows(powers, everyone, own, repeat(kept))


def _many_classes(
    t: FloatArray, codes: IntArray, powers: tuple[int, ...], keep: bool
) -> dict[int, Sums]:
    """Classes smaller than a leaf: everyone first, then class by class."""
    if worthwhile(*t.shape):
        return _of_near_pairs(t, codes, powers, keep)
    whole = kernel_sums(t, np.zeros_like(codes), powers, keep=keep)
    own = {power: np.ones(len(t)) for power in powers}
    for rows in members(codes):
        if len(rows) > 1:
            inside = kernel_sums(t[rows], np.zeros(len(rows), np.int64), powers)
            for power in powers:
                own[power][rows] = inside[power].everyone
    return {power: replace(whole[power], own=own[power]) for power in powers}


def kernel_products(t: FloatArray, weights: FloatArray, power: int) -> FloatArray:
    """Return K W for K = exp(−power ‖t_i − t_j‖²) and weights W (n, w), shape (n, w)."""
    if t.shape[1] == 0:
        return np.broadcast_to(weights.sum(axis=0), weights.shape)
    if on_device.chosen() is not None:
        return on_device.kernel_products(t, weights, power)
    pairs = Pairs(math.sqrt(power) * t, np.zeros(len(t), np.int64), NEAR)
    sorted_weights = np.ascontiguousarray(weights[pairs.order])
    product = np.zeros_like(sorted_weights)
    for block in pairs.blocks():
        block.multiply(product, exp(block.exponent, len(t) ** 2 // 2), sorted_weights)
    product[pairs.order] = product.copy()
    return product
