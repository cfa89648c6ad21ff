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

Encoder = Callable[[NDArray[Any], int], NDArray[Any]]
"""``encode(block (k, n) of k units, number of the first) -> symbols (k, n)``, 0 ≤ symbol < bins."""

_BLOCK = 1 << 15  # entries binned at once: the temporaries stay in the processor's cache
_OUTSIDE = 0.05  # share of entries outside a fixed range from which it is flagged
_COMPARED = 64  # edges up to which entries are compared with each, which is faster than bisection
_EXACT = 1 << 53  # integers below are exact in float64


@dataclass(frozen=True, slots=True)
class Entries:
    """The entries of a layer as the rules need them.

    Attributes
    ----------
    values : ndarray, (n, d)
        In float32 if they came so, else float64: comparisons are exact either way.
    low, high : ndarray, (d,)
        Smallest and largest of every unit, float64.
    alive : ndarray, (d,)
        Which units vary.
    """

    values: NDArray[Any]
    low: FloatArray
    high: FloatArray
    alive: NDArray[np.bool_]

    @property
    def lowest(self) -> float:
        """Smallest entry of the layer."""
        return float(self.low.min())

    @property
    def highest(self) -> float:
        """Largest entry of the layer."""
        return float(self.high.max())


@dataclass(frozen=True, slots=True)
class Rule:
    """How entries become symbols.

    ``radix`` bounds the symbols, ``bins`` is their number between the layer's lowest and highest
    value.
    """

    encode: Encoder
    radix: int
    bins: int
    info: Mapping[str, Any]
    flags: tuple[str, ...] = ()


RuleMaker = Callable[[Entries, Mapping[str, Any]], Rule]


def row_keys(entries: Entries, rule: Rule) -> Iterator[IntArray]:
    """Exact integer keys of several units at a time, as far as asked for.

    As many units as fit into 53 bits are packed by one product of a matrix and a vector.
    """
    values = entries.values if entries.alive.all() else entries.values[:, entries.alive]
    n, d = values.shape
    together = max(1, int(math.log(_EXACT) / math.log(rule.radix)))
    while rule.radix**together >= _EXACT and together > 1:
        together -= 1
    step = max(1, _BLOCK // n)
    for first in range(0, d, together):
        units = values[:, first : first + together].T
        keys = np.zeros(n)
        for start in range(0, len(units), step):
            block = np.ascontiguousarray(units[start : start + step])
            symbols = rule.encode(block, first + start)
            weights = float(rule.radix) ** np.arange(start, start + len(block))
            keys += weights @ symbols.astype(np.float64)
        yield keys.astype(np.int64)


def fixed_rule(entries: Entries, params: Mapping[str, Any]) -> Rule:
    """Evenly spaced edges over a range, or floor bins when a width is given."""
    if params["width"] is not None:
        return _floor_rule(entries, params["width"])
    bins, where = params["bins"], params["range"]
    if where == "unit":
        return _unit_rule(entries, bins)
    lowest, highest = entries.lowest, entries.highest
    low, high = (lowest, highest) if where == "layer" else _ends(where)
    edges = _spaced(low, high, bins)
    if params["compat"] == "idnns":
        edges = edges.astype(np.float32).astype(np.float64)
    encode = _on_grid(edges)
    span = encode(np.array([[lowest, highest]]), 0)[0]
    share = _outside(entries.values, low, high) if lowest < low or highest > high else 0.0
    return Rule(
        _wrapped(encode, bins) if params["compat"] == "idnns" else encode,
        bins + 1,
        int(span[1]) - int(span[0]) + 1,
        {"outside_share": share},
        (f"outside_range={share:.2f}",) if share >= _OUTSIDE else (),
    )


def _ends(pair: Any) -> tuple[float, float]:
    numbers = [x for x in pair if isinstance(x, (int, float)) and math.isfinite(x)]
    if len(numbers) != 2 or len(pair) != 2 or not numbers[0] < numbers[1]:
        raise InputError(
            "`range` of `mi.binning` must be two numbers (low, high) with low < high, 'layer' or "
            f"'unit'; got {pair!r}."
        )
    return float(numbers[0]), float(numbers[1])


def _outside(values: NDArray[Any], low: float, high: float) -> float:
    return float(((values < low).sum() + (values > high).sum()) / values.size)


def _spaced(low: float, high: float, bins: int) -> FloatArray:
    with np.errstate(over="ignore", invalid="ignore"):
        edges = np.linspace(low, high, bins)
    if not np.isfinite(edges).all():  # high − low overflows
        edges = np.linspace(low / 2, high / 2, bins) * 2
    return edges


def _searched(edges: FloatArray) -> Encoder:
    """Symbols on any edges: how many are ≤ the entry."""
    if len(edges) > _COMPARED:
        return lambda block, first: np.searchsorted(edges, block, side="right")

    def encode(block: NDArray[Any], first: int) -> NDArray[Any]:
        symbols = np.zeros(block.shape, dtype=np.uint8)
        above = np.empty(block.shape, dtype=np.bool_)
        for edge in edges.astype(block.dtype):
            np.greater_equal(block, edge, out=above)
            symbols += above.view(np.uint8)
        return symbols

    return encode


def _on_grid(edges: FloatArray) -> Encoder:
    """Symbols on evenly spaced edges, by arithmetic; entries next to an edge by bisection."""
    count = len(edges)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        scale = (count - 1) / (edges[-1] - edges[0])
        offset = 1.0 - edges[0] * scale
        slip = np.abs(edges * scale + offset - np.arange(1, count + 1)).max()
    doubt = 0.5 - 4.0 * slip - 1e-14 * (count + abs(offset))  # rounding cannot move an entry more
    if not doubt > 0.4:
        return lambda block, first: np.searchsorted(edges, block, side="right")

    def encode(block: NDArray[Any], first: int) -> NDArray[Any]:
        place = block.astype(np.float64)
        with np.errstate(over="ignore"):
            place *= scale
        place += offset
        np.clip(place, 0.0, count, out=place)
        symbols = place.astype(np.int32)
        place -= symbols
        place -= 0.5
        np.abs(place, out=place)
        near = np.flatnonzero(place.ravel() > doubt)
        if len(near):
            symbols.ravel()[near] = np.searchsorted(edges, block.ravel()[near], side="right")
        return symbols

    return encode


def _unit_rule(entries: Entries, bins: int) -> Rule:
    low, high = entries.low[entries.alive], entries.high[entries.alive]

    def encode(block: NDArray[Any], first: int) -> NDArray[Any]:
        grids = (
            _on_grid(_spaced(low[first + i], high[first + i], bins)) for i in range(len(block))
        )
        return np.stack([grid(row, 0) for grid, row in zip(grids, block, strict=True)])

    return Rule(encode, bins + 1, bins, {})


def _wrapped(encode: Encoder, top: int) -> Encoder:
    """Send symbol 0 (below the lowest edge) to the top symbol, as index −1 does in Python."""

    def wrap(block: NDArray[Any], first: int) -> NDArray[Any]:
        symbols = encode(block, first)
        symbols[symbols == 0] = top
        return symbols

    return wrap


def _floor_rule(entries: Entries, width: float) -> Rule:
    """Symbol ⌊t / width⌋, counted from the layer's lowest."""
    with np.errstate(over="ignore"):
        ends = np.floor(np.array([entries.lowest, entries.highest]) / width)
    if not np.isfinite(ends).all():
        raise InputError(
            f"`width` of `mi.binning` is too small for values between {entries.lowest:.3g} and "
            f"{entries.highest:.3g}; got {width:g}. Choose a width near 1/30 of the layer's range."
        )
    span = int(ends[1] - ends[0]) + 1
    rows = len(entries.values)

    def encode(block: NDArray[Any], first: int) -> NDArray[Any]:
        cells = np.floor(block.astype(np.float64) / width)
        if span > _EXACT:  # too many bins to number them all
            return np.stack([ranks(row) for row in cells])
        cells -= ends[0]
        return cells

    return Rule(encode, min(span, _EXACT) if span > 1 else 2, min(span, rows + 1), {})


def intervals(entries: Entries, params: Mapping[str, Any]) -> Rule:
    """Symbol ⌊(t − min) / size⌋ with ``bins`` intervals between the layer's minimum and maximum."""
    low, high = entries.lowest / 2, entries.highest / 2  # halves: high − low is finite
    size, bins = (high - low) / params["bins"], params["bins"]
    if size == 0.0:  # a denormal range
        levels = np.unique(entries.values).astype(np.float64)
        return Rule(_searched(levels), len(levels) + 1, len(levels), {})

    def encode(block: NDArray[Any], first: int) -> NDArray[Any]:
        cells = np.floor((block.astype(np.float64) / 2 - low) / size)
        return np.asarray(np.clip(cells, 0, bins))

    return Rule(encode, bins + 1, bins + 1, {})


def adaptive_rule(entries: Entries, params: Mapping[str, Any]) -> Rule:
    """Edges at equal numbers of the layer's own levels (EBAB), or of its values."""
    published = params["compat"] == "published"
    low = _published_low(entries.lowest) if published else entries.lowest
    above = _sorted_above(entries.values, low)
    if params["equal"] == "levels":
        above = above[np.concatenate([[True], above[1:] != above[:-1]])]
    cuts = np.arange(params["bins"]) * len(above) // params["bins"]
    edges = np.concatenate([[low], above[cuts], above[-1:]]).astype(np.float64)
    if published:
        edges = edges.astype(np.float32).astype(np.float64)
    edges = np.unique(edges)
    encode = _searched(edges)
    info = {"levels": len(above)} if params["equal"] == "levels" else {}
    encode = _wrapped(encode, len(edges)) if published else encode
    return Rule(encode, len(edges) + 1, len(edges), info)


def _sorted_above(values: NDArray[Any], low: float) -> NDArray[Any]:
    """All entries but those at ``low``, sorted, in the precision they came in."""
    entries = values.reshape(-1)
    return np.sort(entries[entries != low])


def _published_low(lowest: float) -> float:
    low = -1.000001 if lowest < 0 else 0.0
    if lowest < low:
        raise InputError(
            f"compat='published' of `mi.adaptive` puts the lowest edge at {low}; got a layer that "
            f"goes down to {lowest:.3g}. Leave `compat` out."
        )
    return low
