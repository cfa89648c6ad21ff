"""How the entries of a layer become bin numbers: the rules behind the binned estimators.

A rule looks at the layer once and gives back an encoder, which is then asked for as many units as
are needed to tell the rows apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infoplane.errors import InputError
from infoplane.estimators.contract import ranks
from infoplane.types import FloatArray, IntArray

Encoder = Callable[[FloatArray, int], IntArray]

_BLOCK = 1 << 17  # entries binned at once: the temporaries stay in the processor's cache
_OUTSIDE = 0.05  # share of entries outside a fixed range from which it is flagged


@dataclass(frozen=True, slots=True)
class Rule:
    """How entries become symbols: ``encode(block (k, n), first unit) -> symbols (k, n)``.

    ``bins`` is the number of symbols between the layer's lowest and highest value.
    """

    encode: Encoder
    bins: int
    info: Mapping[str, Any]
    flags: tuple[str, ...] = ()


RuleMaker = Callable[[FloatArray, NDArray[Any], NDArray[np.bool_], Mapping[str, Any]], Rule]


def columns(values: FloatArray, encode: Encoder) -> Iterator[IntArray]:
    """Symbols of one unit after another, encoded by blocks of units, only as far as asked for."""
    n, d = values.shape
    step = max(1, _BLOCK // n)
    for first in range(0, d, step):
        yield from encode(np.ascontiguousarray(values[:, first : first + step].T), first)


def fixed_rule(
    values: FloatArray,
    levels: NDArray[Any],
    alive: NDArray[np.bool_],
    params: Mapping[str, Any],
) -> Rule:
    """Evenly spaced edges over a range, or floor bins when a width is given."""
    if params["width"] is not None:
        return _floor_rule(values, params["width"])
    bins, where = params["bins"], params["range"]
    if where == "unit":
        low, high = values.min(axis=0)[alive], values.max(axis=0)[alive]
        return Rule(_per_unit(low, high, bins), bins, {})
    lowest, highest = float(values.min()), float(values.max())
    low, high = (lowest, highest) if where == "layer" else _ends(where)
    edges = _spaced(low, high, bins)
    if params["compat"] == "idnns":
        edges = edges.astype(np.float32).astype(np.float64)
    encode = _on_grid(edges)
    span = encode(np.array([[lowest, highest]]), 0)[0]
    share = _outside(values, low, high) if lowest < low or highest > high else 0.0
    return Rule(
        _wrapped(encode, bins) if params["compat"] == "idnns" else encode,
        int(span[1] - span[0]) + 1,
        {"outside_share": share},
        (f"outside_range={share:.2f}",) if share >= _OUTSIDE else (),
    )


def _ends(pair: Any) -> tuple[float, float]:
    numbers = [x for x in pair if isinstance(x, (int, float)) and math.isfinite(x)]
    if len(numbers) != 2 or len(pair) != 2 or not numbers[0] < numbers[1]:
        raise InputError(
            f"`range` of `mi.binning` must be two numbers (low, high) with low < high, 'layer' or "
            f"'unit'; got {pair!r}."
        )
    return float(numbers[0]), float(numbers[1])


def _outside(values: FloatArray, low: float, high: float) -> float:
    return float(((values < low).sum() + (values > high).sum()) / values.size)


def _spaced(low: Any, high: Any, bins: int) -> FloatArray:
    """``bins`` edges from ``low`` to ``high``, one row a unit when these are vectors."""
    with np.errstate(over="ignore", invalid="ignore"):
        edges = np.linspace(low, high, bins, axis=-1)
    if not np.isfinite(edges).all():  # high − low overflows
        edges = np.linspace(low / 2, high / 2, bins, axis=-1) * 2
    return edges


def _searched(edges: FloatArray) -> Encoder:
    """Symbols on any edges, by bisection."""

    def encode(block: FloatArray, first: int) -> IntArray:
        return np.asarray(np.searchsorted(edges, block, side="right"), dtype=np.int64)

    return encode


def _on_grid(edges: FloatArray) -> Encoder:
    """Symbols on evenly spaced edges: a guess by arithmetic, then set right against the edges."""
    count, scale = len(edges), _per_width(edges)
    if not math.isfinite(scale):
        return _searched(edges)
    padded = np.concatenate([[-np.inf], edges, [np.inf]])

    def encode(block: FloatArray, first: int) -> IntArray:
        guess = (np.clip(block, edges[0], edges[-1]) - edges[0]) * scale
        symbol: IntArray = guess.astype(np.int64) + 1
        np.minimum(symbol, count, out=symbol)
        symbol -= block < padded[symbol]
        symbol += block >= padded[symbol + 1]
        return symbol

    return encode


def _per_width(edges: FloatArray) -> float:
    """Bins per unit length, infinite where arithmetic cannot be trusted to one bin."""
    length = float(edges[-1]) - float(edges[0])
    tiny = 1e-14 * len(edges) * float(max(abs(edges[0]), abs(edges[-1]))) + 1e-290
    return (len(edges) - 1) / length if tiny < length < math.inf else math.inf


def _per_unit(low: FloatArray, high: FloatArray, bins: int) -> Encoder:
    def encode(block: FloatArray, first: int) -> IntArray:
        units = slice(first, first + len(block))
        edges = _spaced(low[units], high[units], bins)
        return np.stack([_on_grid(e)(row, 0) for e, row in zip(edges, block, strict=True)])

    return encode


def _wrapped(encode: Encoder, top: int) -> Encoder:
    """Send symbol 0 (below the lowest edge) to the top symbol, as index −1 does in Python."""

    def wrap(block: FloatArray, first: int) -> IntArray:
        symbol = encode(block, first)
        symbol[symbol == 0] = top
        return symbol

    return wrap


def _floor_rule(values: FloatArray, width: float) -> Rule:
    """Symbol ⌊t / width⌋, counted from the layer's lowest."""
    with np.errstate(over="ignore"):
        ends = np.floor(np.array([values.min(), values.max()]) / width)
    if not np.isfinite(ends).all():
        raise InputError(
            f"`width` of `mi.binning` is too small for values up to {np.abs(values).max():.3g}; "
            f"got {width:g}. Choose a width near 1/30 of the layer's range."
        )
    span = ends[1] - ends[0] + 1

    def encode(block: FloatArray, first: int) -> IntArray:
        cells = np.floor(block / width)
        if span >= 1 << 31:  # too many bins to number them all
            return np.stack([ranks(row) for row in cells])
        symbol: IntArray = (cells - ends[0]).astype(np.int64)
        return symbol

    return Rule(encode, int(min(span, len(values) + 1)), {})


def intervals(
    values: FloatArray,
    levels: NDArray[Any],
    alive: NDArray[np.bool_],
    params: Mapping[str, Any],
) -> Rule:
    """Symbol ⌊(t − min) / size⌋ with ``bins`` intervals between the layer's minimum and maximum."""
    low, high = float(values.min()) / 2, float(values.max()) / 2  # halves: high − low is finite
    size = (high - low) / params["bins"]
    if size == 0.0:  # a denormal range
        return Rule(_searched(np.unique(values)), params["bins"] + 1, {})

    def encode(block: FloatArray, first: int) -> IntArray:
        symbol: IntArray = np.floor((block / 2 - low) / size).astype(np.int64)
        return np.clip(symbol, 0, params["bins"], out=symbol)

    return Rule(encode, params["bins"] + 1, {})


def adaptive_rule(
    values: FloatArray,
    levels: NDArray[Any],
    alive: NDArray[np.bool_],
    params: Mapping[str, Any],
) -> Rule:
    """Edges at equal numbers of the layer's own levels (EBAB), or of its values."""
    published = params["compat"] == "published"
    low = _published_low(float(values.min())) if published else float(values.min())
    above = _sorted_above(levels, low)
    if params["equal"] == "levels":
        above = above[np.concatenate([[True], above[1:] != above[:-1]])]
    cuts = np.arange(params["bins"]) * len(above) // params["bins"]
    edges = np.concatenate([[low], above[cuts], above[-1:]]).astype(np.float64)
    if published:
        edges = edges.astype(np.float32).astype(np.float64)
    edges = np.unique(edges)

    encode = _searched(edges)
    info = {"levels": len(above)} if params["equal"] == "levels" else {}
    return Rule(_wrapped(encode, len(edges)) if published else encode, len(edges), info)


def _sorted_above(levels: NDArray[Any], low: float) -> NDArray[Any]:
    """All entries but those at ``low``, sorted, in the precision they came in."""
    entries = levels.reshape(-1)
    return np.sort(entries[entries != low])


def _published_low(lowest: float) -> float:
    low = -1.000001 if lowest < 0 else 0.0
    if lowest < low:
        raise InputError(
            f"compat='published' of `mi.adaptive` puts the lowest edge at {low}; got a layer that "
            f"goes down to {lowest:.3g}. Leave `compat` out."
        )
    return low
