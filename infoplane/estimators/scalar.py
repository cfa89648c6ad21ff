"""Information of scalar pairs: bins chosen by penalised likelihood, and a fast Fourier density.

For single units against a label, a loss or another unit. Vectors are refused: a sum over units is
no joint information.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, rfft2
from scipy.ndimage import gaussian_filter1d

from infoplane.errors import InputError
from infoplane.estimators.contract import (
    Rng,
    conclude,
    enough,
    entropy_of_counts,
    heavy_tailed,
    is_discrete,
    ranks,
    same_length,
    samples,
    symbols,
)
from infoplane.estimators.histogram import places
from infoplane.estimators.plugin import information, tally
from infoplane.estimators.registry import Bounds, check_params, estimator
from infoplane.estimators.shared import Shared
from infoplane.types import Cost, Estimate, FloatArray, IntArray, Kind, Quantity, Status

BINS = "mi.birge_rozenholc"
LEAST = 2  # bins
MANY = 0.1  # share of the ceiling from which the bias makes it unreliable
FFT = "mi.fft_kde"


def best_bins(column: FloatArray, most: int = 99) -> int:
    """Choose the number D of bins: Σ N_j log N_j + n log D − (D − 1 + (log D)^2.5) is largest.

    At least two, as published: one bin would make every flat column independent of everything.
    """
    n, ordered, counts = len(column), np.sort(column), np.arange(LEAST, most + 1)
    begins = np.cumsum(counts + 1) - (counts + 1)
    count = np.repeat(counts, counts + 1)  # of the bins that an edge belongs to
    number = np.arange(len(count)) - np.repeat(begins, counts + 1)
    edges = number * ((ordered[-1] - ordered[0]) / count) + ordered[0]
    below = np.searchsorted(ordered, edges)
    below[number == count] = n
    filled = np.where(number == count, 0, np.diff(below, append=0))
    in_bins = np.add.reduceat(filled * np.log(np.maximum(filled, 1)), begins)
    penalty = counts - 1 + np.log(counts) ** 2.5
    return int(counts[np.argmax(in_bins + n * np.log(counts) - penalty)])


def equal_bins(column: FloatArray, count: int) -> IntArray:
    """Codes of ``count`` equal bins over the range of a column."""
    return ranks(places(column, column.min(), column.max(), count))


def _scalar(array: Any, name: str, by: str) -> FloatArray | IntArray:
    """Return a column of floats, or the codes of a discrete variable; refuse more columns."""
    if is_discrete(array):
        return symbols(array, name=name, estimator=by)
    points = samples(array, name=name, minimum=4, estimator=by)
    if points.shape[1] > 1:
        raise InputError(
            f"`{name}` of `{by}` must be one column; got {points.shape[1]}. Pass one unit at a "
            "time, or use `mi.ksg` for the whole layer."
        )
    # by a power of two, which rounds nothing
    column = np.ldexp(points[:, 0], -math.frexp(float(np.abs(points).max()))[1])
    if np.ptp(column) < 1e-300:
        return np.zeros(len(column), dtype=np.int64)
    return np.asarray(column)


def _pair(v: Any, t: Any, by: str) -> tuple[Any, Any, list[str], Status]:
    first, second = _scalar(v, "v", by), _scalar(t, "t", by)
    same_length(first, second)
    enough(len(first), 4, estimator=by)
    flags = [flag for one in (first, second) if one.dtype.kind == "f"
             for flag in heavy_tailed(np.asarray(one[:, None], dtype=float))]  # fmt: skip
    if second.dtype.kind == "i" and second.max() == 0:
        return first, second, [*flags, "constant"], Status.DEGENERATE
    if first.dtype.kind == "i" and first.max() == 0:
        return first, second, [*flags, "single_class"], Status.DEGENERATE
    return first, second, flags, Status.OK


_COMMON: dict[str, Any] = {
    "quantity": Quantity.MI,
    "accepts": (
        (Kind.CONTINUOUS, Kind.CONTINUOUS),
        (Kind.DISCRETE, Kind.CONTINUOUS),
        (Kind.CONTINUOUS, Kind.DISCRETE),
        (Kind.DISCRETE, Kind.DISCRETE),
    ),
    "cost": Cost.QUICK,
    "min_samples": 4,
    "max_dim": 2,
    "meaningful_null": ("X", "Y"),
    "needs": "scalar",
}


@estimator(
    id=BINS,
    label="Birgé–Rozenholc bins",
    measures="I(bin(V); bin(t)) of one unit, bins chosen by penalised likelihood, plug-in",
    formula="D = argmax Σ N_j log N_j + n log D − (D − 1 + (log D)^2.5), then counting",
    complexity="n × 99",
    ceiling="min(log D_v, log D_t)",
    assumes=("rows i.i.d.", "bins of equal width suit the unit's density"),
    invariant=("row order", "swap", "label names", "scaling", "shift"),
    limits=(
        "biased up by about (D_v − 1)(D_t − 1)/2n (flag few_samples, unreliable, above a tenth of "
        "the ceiling)",
        "the bins of a column are chosen by its own distribution: a flat one gets two and hides "
        "what it knows (flag few_bins, unreliable)",
        "one unit at a time: the sum over units is no joint information",
    ),
    reference="Birgé & Rozenholc, ESAIM: P&S 10 (2006)",
    tolerance={"gaussian": 0.13, "independent": 0.12, "binary_symmetric": 0.065},
    version=3,
    **_COMMON,
)
def birge_rozenholc(
    v: Any,
    t: Any,
    *,
    most: Annotated[int, Bounds(2, 1000)] = 99,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """I(V;T) of two scalars in nats by counting in bins of penalised-likelihood number.

    Parameters
    ----------
    v, t : array_like, (n,) or (n, 1)
        Scalars; integers are symbols as they are.
    most : int
        Largest number of bins tried.
    rng, shared
        Not used.

    Returns
    -------
    Estimate
        ``info["bins"]`` are the numbers chosen, ``info["bias"]`` the first-order bias
        (D_v − 1)(D_t − 1)/2n, not subtracted.
    """
    params = check_params(BINS, {"most": most})
    first, second, flags, status = _pair(v, t, BINS)
    n = len(first)
    common: dict[str, Any] = {
        "estimator": BINS, "n": n, "d": 1, "params": params, "flags": flags, "status": status,
    }  # fmt: skip
    if status is Status.DEGENERATE:
        return conclude(0.0, **common)
    chosen = [best_bins(side, most) for side in (first, second) if side.dtype.kind == "f"]
    counts = iter(chosen)
    one, two = (
        tally(equal_bins(side, next(counts)) if side.dtype.kind == "f" else side)
        for side in (first, second)
    )
    ceiling = min(one.entropy, two.entropy)
    bins = [len(one.counts), len(two.counts)]
    bias = (bins[0] - 1) * (bins[1] - 1) / (2 * n)
    doubts = [*(["few_bins"] if LEAST in chosen else []),
              *(["few_samples"] if bias > MANY * ceiling else [])]  # fmt: skip
    if doubts:
        common |= {"flags": [*flags, *doubts], "status": Status.UNRELIABLE}
    info = {"bins": bins, "bias": bias}
    return conclude(information(one, two), ceiling=ceiling, floor=0.0, info=info, **common)


def bandwidth(column: FloatArray) -> float:
    """Silverman's 0.9 min(s, IQR/1.349) n^{−1/5}; the deviation alone when the quartiles agree."""
    low, high = (float(q) for q in np.quantile(column, [0.25, 0.75]))
    spread = float(column.std())
    robust = (high - low) / 1.349
    return 0.9 * (min(spread, robust) if robust > 0 else spread) * float(len(column) ** -0.2)


def grid_density(
    first: FloatArray, second: FloatArray, size: int, factor: float
) -> NDArray[np.float64]:
    """Mass of a Gaussian kernel density of pairs on a (size, size) grid, by Fourier transform.

    The pairs are shared linearly among the four nearest nodes, the transform is multiplied by that
    of the kernel, with room of four bandwidths around so that nothing wraps over.
    """
    places, widths = [], []
    for column in (first, second):
        h = factor * bandwidth(column)
        low, high = column.min() - 4 * h, column.max() + 4 * h
        places.append((column - low) / (high - low) * (size - 1))
        widths.append(h / (high - low) * (size - 1))
    grid = np.zeros((size, size))
    at = [np.minimum(place.astype(np.int64), size - 2) for place in places]
    part = [place - node for place, node in zip(places, at, strict=True)]
    for i in (0, 1):
        for j in (0, 1):
            weight = (part[0] if i else 1 - part[0]) * (part[1] if j else 1 - part[1])
            np.add.at(grid, (at[0] + i, at[1] + j), weight)
    waves = 2 * np.pi * np.fft.fftfreq(size)[:, None], 2 * np.pi * np.fft.rfftfreq(size)[None]
    kernel = np.exp(-0.5 * ((waves[0] * widths[0]) ** 2 + (waves[1] * widths[1]) ** 2))
    smooth = np.maximum(irfft2(rfft2(grid) * kernel, s=grid.shape), 0.0)
    return np.asarray(smooth / smooth.sum())


def class_density(
    codes: IntArray, column: FloatArray, size: int, factor: float
) -> NDArray[np.float64]:
    """Mass of (class, unit) on a (classes, size) grid, one bandwidth for all classes."""
    h = factor * bandwidth(column)
    low, high = column.min() - 4 * h, column.max() + 4 * h
    place = (column - low) / (high - low) * (size - 1)
    node = np.minimum(place.astype(np.int64), size - 2)
    grid = np.zeros((int(codes.max()) + 1, size))
    np.add.at(grid, (codes, node), 1 - (place - node))
    np.add.at(grid, (codes, node + 1), place - node)
    width = max(h / (high - low) * (size - 1), 1e-3)  # in nodes; an outlier may leave next to none
    smooth = gaussian_filter1d(grid, width, axis=1, mode="constant")
    return np.asarray(smooth / smooth.sum())


def table_information(mass: NDArray[np.float64]) -> float:
    """I of a table of masses."""
    outside = mass.sum(axis=1, keepdims=True) * mass.sum(axis=0, keepdims=True)
    kept = (mass > 1e-300) & (outside > 1e-300)
    return float((mass[kept] * np.log(mass[kept] / outside[kept])).sum())


@estimator(
    id=FFT,
    label="FFT density",
    measures="I(V;t) of one unit's kernel density on a grid: oversmoothed, so mostly low",
    formula="Σ p̂ log(p̂ / p̂_v p̂_t) on a grid, p̂ = counts ∗ Gaussian by fast Fourier transform",
    complexity="n + size² log size",
    assumes=("rows i.i.d.", "a smooth density of the one unit"),
    invariant=("row order", "swap", "label names", "scaling", "shift"),
    limits=(
        "smoothing loses 14 to 22 % of the information of a Gaussian pair at n = 2000",
        "one unit at a time: the sum over units is no joint information",
    ),
    reference="Silverman, Appl. Statist. 31 (1982); Wand, J. Comput. Graph. Stat. 3 (1994)",
    tolerance={"gaussian": 0.1, "independent": 0.04},
    **_COMMON,
)
def fft_kde(
    v: Any,
    t: Any,
    *,
    size: Annotated[int, Bounds(16, 4096)] = 256,
    factor: Annotated[float, Bounds(0, 100, open_low=True)] = 1.0,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """I(V;T) of two scalars in nats from a Gaussian kernel density on a grid.

    Parameters
    ----------
    v, t : array_like, (n,) or (n, 1)
        Scalars; integers are symbols (a density for each).
    size : int
        Nodes of the grid on each axis.
    factor : float
        Multiplies Silverman's bandwidth.
    rng, shared
        Not used.
    """
    params = check_params(FFT, {"size": size, "factor": factor})
    first, second, flags, status = _pair(v, t, FFT)
    common: dict[str, Any] = {
        "estimator": FFT, "n": len(first), "d": 1, "params": params, "flags": flags,
        "status": status,
    }  # fmt: skip
    if status is Status.DEGENERATE:
        return conclude(0.0, **common)
    discrete = [one for one in (first, second) if one.dtype.kind == "i"]
    if len(discrete) == 2:
        value = information(tally(first), tally(second))
    elif discrete:
        column = second if discrete[0] is first else first
        value = table_information(class_density(discrete[0], column, size, factor))
    else:
        value = table_information(grid_density(first, second, size, factor))
    ceiling = min((entropy_of_counts(np.bincount(one)) for one in discrete), default=None)
    return conclude(value, ceiling=ceiling, floor=0.0, slack=1e-6, **common)
