"""Sums of Gaussian components at noisy samples, when all have the same deviation.

With rows in units of σ and z_i = s_i + ε the ratio N_j(z_i) / N_i(z_i) is
exp(ε·(s_j − s_i) − ‖s_j − s_i‖²/2): beyond a distance of about twenty σ no component counts, so
only near pairs are looked at.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from infoplane.estimators.near_leaves import LEAF
from infoplane.estimators.near_pairs import Block, Few, Pairs
from infoplane.types import FloatArray, IntArray

_REACH = 204.0  # δ²/2 from which exp(ε δ − δ²/2) is below exp(−40) for noise up to eight σ
_ROOT = math.sqrt(2.0)
_PAIRS = 1 << 18  # entries of differences held at once


@dataclass(frozen=True, slots=True)
class NoiseSums:
    """Σ_j N_j(z_i) / N_i(z_i) over all j, and over the j with the code of i; (n,) each, ≥ 1."""

    everyone: FloatArray
    own: FloatArray


def noise_sums(rows: FloatArray, codes: IntArray, noise: FloatArray) -> NoiseSums:
    """Sum the components at one noisy sample of every row.

    Parameters
    ----------
    rows : ndarray, (n, d)
        Means in units of σ.
    codes : ndarray, (n,)
        Codes 0 … C−1.
    noise : ndarray, (n, d)
        ε, standard normal.
    """
    n, sizes = len(rows), np.bincount(codes)
    if rows.shape[1] == 0:
        return NoiseSums(np.full(n, float(n)), sizes[codes].astype(np.float64))
    if len(sizes) > 1 and n < LEAF * len(sizes):
        return _many_classes(rows, codes, noise)
    pairs = Pairs(rows / _ROOT, codes, _REACH, listed=True)
    noise = _ROOT * noise[pairs.order][:, pairs.column_order]
    everyone, own = np.zeros((2, n))
    for block in pairs.blocks():
        forward, backward = _ratios(block, pairs.t, noise)
        for sums in (everyone, own) if block.same else (everyone,):
            _add(sums, block, forward, backward)
    everyone[pairs.order], own[pairs.order] = everyone.copy(), own.copy()
    return NoiseSums(everyone, own)


def noise_products(rows: FloatArray, weights: FloatArray, noise: FloatArray) -> FloatArray:
    """Return Σ_j W_jw N_j(z_i) / N_i(z_i) for weights W (n, w), shape (n, w)."""
    if rows.shape[1] == 0:
        return np.broadcast_to(weights.sum(axis=0), weights.shape)
    pairs = Pairs(rows / _ROOT, np.zeros(len(rows), np.int64), _REACH, listed=True)
    noise = _ROOT * noise[pairs.order][:, pairs.column_order]
    weights = weights[pairs.order]
    product = np.zeros_like(weights)
    for block in pairs.blocks():
        forward, backward = _ratios(block, pairs.t, noise)
        if isinstance(block, Few):
            np.add.at(product, block.rows, forward[:, None] * weights[block.columns])
            if backward is not None:
                np.add.at(product, block.columns, backward[:, None] * weights[block.rows])
            continue
        product[block.rows] += forward @ weights[block.columns]
        if backward is not None:
            product[block.columns] += backward.T @ weights[block.rows]
    product[pairs.order] = product.copy()
    return product


def _many_classes(rows: FloatArray, codes: IntArray, noise: FloatArray) -> NoiseSums:
    """Classes smaller than a leaf: everyone first, then class by class."""
    everyone = noise_sums(rows, np.zeros_like(codes), noise).everyone
    own = np.ones_like(everyone)
    order = np.argsort(codes, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1):
        if len(members) > 1:
            one = np.zeros(len(members), dtype=np.int64)
            own[members] = noise_sums(rows[members], one, noise[members]).everyone
    return NoiseSums(everyone, own)


def _ratios(
    block: Block | Few, t: FloatArray, noise: FloatArray
) -> tuple[FloatArray, FloatArray | None]:
    """Density ratios of the column's component at the row's sample, and the other way round."""
    if isinstance(block, Few):
        forward = np.exp(block.exponent + _along(noise, block.rows, block, t))
        if not block.mirror:
            return forward, None
        return forward, np.exp(block.exponent - _along(noise, block.columns, block, t))
    here, there, at_rows = t[block.rows], t[block.columns], noise[block.rows]
    shift = at_rows @ there.T - np.einsum("ij,ij->i", at_rows, here)[:, None]
    forward = _exp(block.exponent + shift)
    if not block.mirror:
        return forward, None
    at_columns = noise[block.columns]
    shift = here @ at_columns.T - np.einsum("ij,ij->i", at_columns, there)
    return forward, _exp(block.exponent + shift)


def _exp(exponent: FloatArray) -> FloatArray:
    """Exponential in place, cut at exp(−600): what underflows is many times slower."""
    np.maximum(exponent, -600.0, out=exponent)
    return np.asarray(np.exp(exponent, out=exponent))


def _along(noise: FloatArray, at: IntArray, block: Few, t: FloatArray) -> FloatArray:
    """ε·(t_column − t_row) of every listed pair, with the noise of the rows ``at``."""
    result = np.empty(len(at))
    step = max(1, _PAIRS // t.shape[1])
    for first in range(0, len(at), step):
        some = slice(first, first + step)
        difference = t[block.columns[some]] - t[block.rows[some]]
        result[some] = np.einsum("ij,ij->i", noise[at[some]], difference)
    return result


def _add(
    sums: FloatArray, block: Block | Few, forward: FloatArray, backward: FloatArray | None
) -> None:
    if isinstance(block, Few):
        np.add.at(sums, block.rows, forward)
        if backward is not None:
            np.add.at(sums, block.columns, backward)
        return
    sums[block.rows] += forward.sum(axis=1)
    if backward is not None:
        sums[block.columns] += backward.sum(axis=0)
