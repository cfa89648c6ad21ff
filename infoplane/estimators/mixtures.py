"""A mixture of Gaussians, one a row: divergences in closed form, integrals by sampling.

Z given row i is N(μ_i, diag σ_i²), so p(z) is the mean of n Gaussians and every information of a
noisy layer is a mean log ratio of mixtures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from infoplane.estimators.contract import heavy_tailed, live_columns
from infoplane.estimators.noise_sums import noise_products, noise_sums
from infoplane.types import Flags, FloatArray, IntArray

_BLOCK = 1 << 18  # log ratios held at once
_HIGHEST = 600.0  # log ratios are cut there where their exponential is needed
_FAR = 1e140  # beyond it means grow as their logarithm, in units of the deviation
_ROUNDING = 1e-9  # error of an exponent that is tolerated from products of matrices
_NEAR = 45.0  # log ratio below minus which a component does not count


@dataclass(frozen=True, slots=True)
class Mixture:
    """Gaussians N(mean_i, diag deviation_i²), one a row.

    Attributes
    ----------
    mean, deviation : ndarray, (n, d′)
        Columns in which all means and deviations are equal are left out: they tell nothing.
    d : int
        Units, left-out ones included.
    flags : Flags
    """

    mean: FloatArray
    deviation: FloatArray
    d: int
    flags: Flags


def in_units(x: FloatArray, unit: FloatArray) -> FloatArray:
    """Columns divided by their units; beyond 1e140 only the order and the distinctness are kept."""
    with np.errstate(over="ignore"):
        result = x / unit
    far = np.abs(result) > _FAR
    if far.any():
        logs = np.log(np.abs(x[far])) - np.log(np.broadcast_to(unit, x.shape)[far])
        result[far] = np.sign(x[far]) * _FAR * (1.0 + logs - np.log(_FAR))
    return np.asarray(result)


def from_median(x: FloatArray, unit: FloatArray) -> FloatArray:
    """Columns about their medians, in their units: a cloud far from 0 keeps its digits."""
    half = 0.5 * x  # no difference of halves overflows
    return in_units(half - np.median(half, axis=0), 0.5 * unit)


def within_noise(points: FloatArray) -> list[str]:
    """Flag ``sigma_high`` where all rows, in units of σ, lie within a tenth of each other."""
    with np.errstate(over="ignore"):
        return ["sigma_high"] if (np.ptp(points, axis=0) ** 2).sum() < 0.01 else []


def equal_noise(values: FloatArray, sigma: float) -> Mixture:
    """One deviation for all: means in its unit, deviations 1."""
    live, flags = live_columns(values)
    mean = from_median(live, np.full(live.shape[1], sigma))
    flags = Flags([*flags, *heavy_tailed(values), *(within_noise(mean) if mean.size else [])])
    return Mixture(mean, np.ones((1, mean.shape[1])), values.shape[1], flags)


def own_noise(mean: FloatArray, spread: FloatArray) -> Mixture:
    """Leave out columns that tell nothing; the others in units of their largest deviation."""
    d = mean.shape[1]
    alive = (np.ptp(mean / 2, axis=0) > 0) | (np.ptp(spread / 2, axis=0) > 0)
    mean, spread = mean[:, alive], spread[:, alive]
    dead = d - mean.shape[1]
    flags = [] if not dead else ["constant"] if dead == d else [f"dead={dead}"]
    flags += heavy_tailed(mean)
    unit = spread.max(axis=0)
    return Mixture(from_median(mean, unit), spread / unit, d, Flags(flags))


def jensen(mixture: Mixture, codes: IntArray, conditional: bool) -> float:
    """Mean pairwise divergence within the classes; or that of all rows less it."""
    within = _mean_divergence(mixture, codes)
    if conditional:
        return within
    return _mean_divergence(mixture, np.zeros_like(codes)) - within


def _mean_divergence(mixture: Mixture, codes: IntArray) -> float:
    """Σ_c p(c) mean_{i,j∈c} KL(N_i‖N_j), through the moments of every class: n d operations."""
    sizes = np.bincount(codes)
    order = np.argsort(codes, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    deviation = np.broadcast_to(mixture.deviation, mixture.mean.shape)[order]

    def class_means(column: FloatArray) -> FloatArray:
        return np.asarray(np.add.reduceat(column, starts, axis=0) / sizes[:, None])

    mean = mixture.mean[order]
    mean = mean - class_means(mean)[codes[order]]
    weight = deviation**-2.0
    spread = class_means(deviation**2 + mean**2) * class_means(weight)
    pairs = 0.5 * (spread + class_means(mean**2 * weight) - 1.0).sum(axis=1)
    return float((sizes * pairs).sum() / len(codes))


def monte_carlo(
    mixture: Mixture, codes: IntArray, params: Mapping[str, Any], rng: np.random.Generator
) -> FloatArray:
    """One term for every draw and row, shape (draws, n); their mean is the estimate."""
    if len(mixture.deviation) == 1:
        return _near_terms(mixture, codes, params, rng)
    n, sizes = len(codes), np.bincount(codes)
    order = np.argsort(codes, kind="stable")
    starts, codes = np.cumsum(sizes) - sizes, codes[order]
    mean, deviation = mixture.mean[order], mixture.deviation[order]
    terms = np.zeros((params["draws"], n))
    for draw in range(params["draws"]):
        for block, ratio, top in _ratios(mean, deviation, rng.standard_normal(mean.shape)):
            mine = codes[block]
            sums = np.add.reduceat(ratio, starts, axis=1)[np.arange(len(mine)), mine]
            own = sums / sizes[mine]
            everyone = ratio.mean(axis=1)
            terms[draw, block] = (
                -np.log(own) - top if params["conditional"] else np.log(own) - np.log(everyone)
            )
    return terms


def _near_terms(
    mixture: Mixture, codes: IntArray, params: Mapping[str, Any], rng: np.random.Generator
) -> FloatArray:
    """Do the same for one deviation: only components near a row count."""
    n, sizes = len(codes), np.bincount(codes)
    groups = np.zeros_like(codes) if len(sizes) == n else codes
    terms = np.empty((params["draws"], n))
    for draw in range(params["draws"]):
        sums = noise_sums(mixture.mean, groups, rng.standard_normal(mixture.mean.shape))
        own = np.ones(n) if len(sizes) == n else sums.own / sizes[codes]
        terms[draw] = -np.log(own)
        if not params["conditional"]:
            terms[draw] = np.log(own) - np.log(sums.everyone / n)
    return terms


def _ratios(
    mean: FloatArray, deviation: FloatArray, noise: FloatArray
) -> Iterator[tuple[slice, FloatArray, FloatArray]]:
    """Yield (rows i, N_j(z_i) / N_i(z_i) · exp(−top_i), top_i), by blocks of rows."""
    step = max(1, _BLOCK // len(mean))
    for start in range(0, len(mean), step):
        block = slice(start, min(start + step, len(mean)))
        ratio = _log_ratios(mean, deviation, noise[block], block)
        top = ratio.max(axis=1)
        ratio -= top[:, None]
        yield block, np.exp(ratio, out=ratio), top


def _log_ratios(
    mean: FloatArray, deviation: FloatArray, noise: FloatArray, block: slice
) -> FloatArray:
    """Log N_j(z_i) − log N_i(z_i) for z_i = μ_i + σ_i noise_i, i in the block, all j."""
    spread = np.broadcast_to(deviation, mean.shape)[block]
    z = mean[block] + spread * noise
    weight = deviation**-2.0
    weighted = mean * weight
    own = 0.5 * (noise * noise).sum(axis=1) + np.log(spread).sum(axis=1)
    constant = 0.5 * (mean * weighted).sum(axis=1) + np.log(deviation).sum(axis=1)
    result = z @ weighted.T
    square = (z * z) @ weight.T
    largest = max(float(square.max()), 2 * float((mean * weighted).sum(axis=1).max()))
    square *= 0.5
    result -= square
    result -= constant
    result += own[:, None]
    slip = 8.0 * np.finfo(float).eps * largest
    if slip > _ROUNDING:  # differences of large numbers: take near pairs one by one
        _refine(result, z, mean, deviation, own, slip)
    inside = np.arange(len(noise))
    result[inside, inside + block.start] = 0.0
    return result


def _refine(
    result: FloatArray,
    z: FloatArray,
    mean: FloatArray,
    deviation: FloatArray,
    own: FloatArray,
    slip: float,
) -> None:
    """Replace log ratios that may be above −45 by sums of squared differences, in place."""
    rows, columns = np.nonzero(result > -_NEAR - slip)
    step = max(1, _BLOCK // max(1, mean.shape[1]))
    everyone = np.broadcast_to(deviation, mean.shape)
    for start in range(0, len(rows), step):
        i, j = rows[start : start + step], columns[start : start + step]
        standard = (z[i] - mean[j]) / everyone[j]
        density = -0.5 * (standard * standard).sum(axis=1) - np.log(everyone[j]).sum(axis=1)
        result[i, j] = density + own[i]


def products(mixture: Mixture, weights: FloatArray, noise: FloatArray) -> FloatArray:
    """Σ_j W_jw N_j(z_i) / N_i(z_i), shape (n, w)."""
    if len(mixture.deviation) == 1:
        return noise_products(mixture.mean, weights, noise)
    product = np.empty_like(weights)
    for block, ratio, top in _ratios(mixture.mean, mixture.deviation, noise):
        product[block] = (ratio @ weights) * np.exp(np.minimum(top, _HIGHEST))[:, None]
    return product
