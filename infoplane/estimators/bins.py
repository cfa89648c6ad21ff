"""How the entries of a layer become bin numbers: the rules behind the binned estimators.

A rule looks at the layer once and gives back an encoder, which is then asked for as many units as
are needed to tell the rows apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infoplane.errors import InputError
from infoplane.estimators.contract import fold, ranks
from infoplane.estimators.plugin import starts
from infoplane.types import FloatArray, IntArray

Encoder = Callable[[NDArray[Any], int], NDArray[Any]]
"""``encode(block (k, n) of k units, number of the first) -> symbols (k, n)``, 0 ≤ symbol < bins."""

_NARROW = 64  # units below which numpy is several times faster along each of them
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
    columns : ndarray, (d, n), or None
        The same unit by unit, for narrow layers.
    low, high : ndarray, (d,)
        Smallest and largest of every unit, float64.
    alive : ndarray, (d,)
        Which units vary.
    lowest, highest : float
        Of all units.
    """

    values: NDArray[Any]
    columns: NDArray[Any] | None
    low: FloatArray
    high: FloatArray
    alive: NDArray[np.bool_]
    lowest: float
    highest: float

    def units(self, which: IntArray) -> NDArray[Any]:
        """Return some units, contiguous, (k, n)."""
        if self.columns is None:
            return np.ascontiguousarray(self.values[:, which].T)
        return self.columns if len(which) == len(self.columns) else self.columns[which]


def entries(values: NDArray[Any]) -> Entries:
    """Look at a layer (n, d) once; a NaN or an infinite entry shows in the ends of its unit."""
    columns = None
    if values.shape[1] < _NARROW:
        columns = np.ascontiguousarray(values.T)
        low, high = columns.min(axis=1), columns.max(axis=1)
    else:
        low, high = values.min(axis=0), values.max(axis=0)
    alive = high > low  # as they came: large integers may be one in float64
    low, high = low.astype(np.float64), high.astype(np.float64)
    return Entries(values, columns, low, high, alive, float(low.min()), float(high.max()))


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


def row_keys(entries: Entries, rule: Rule) -> tuple[IntArray, int]:
    """Integers ≥ 0 that tell the rows apart, (n,), and a number that all are below."""
    units = np.flatnonzero(entries.alive)
    together = _fitting(rule.radix)
    if len(units) <= together:
        return _packed(entries, rule, units, 0), rule.radix ** len(units)
    groups = (
        _packed(entries, rule, units[first : first + together], first)
        for first in range(0, len(units), together)
    )
    keys = fold(groups, len(entries.values))
    return keys, int(keys.max()) + 1


def _fitting(radix: int) -> int:
    """How many symbols below ``radix`` a key has room for, one at least."""
    together = max(1, int(math.log(_EXACT) / math.log(radix)))
    while radix**together >= _EXACT and together > 1:
        together -= 1
    return together


def _packed(entries: Entries, rule: Rule, units: IntArray, first: int) -> IntArray:
    """Exact keys of some units, which begin with the live one numbered ``first``.

    A product of a vector and a matrix, which is exact below 2⁵³.
    """
    n = len(entries.values)
    step = max(1, _BLOCK // n)
    keys = np.zeros(n)
    for start in range(0, len(units), step):
        symbols = rule.encode(entries.units(units[start : start + step]), first + start)
        weights = float(rule.radix) ** np.arange(start, start + len(symbols))
        keys += weights @ symbols.astype(np.float64, copy=False)
    return keys.astype(np.int64)


def fixed_rule(entries: Entries, params: Mapping[str, Any]) -> Rule:
    """Evenly spaced edges over a range, or floor bins when a width is given."""
    if params["width"] is not None:
        return _floor_rule(entries, params["width"])
    bins, where = params["bins"], params["range"]
    if where == "unit":
        return _unit_rule(entries, bins)
    lowest, highest = entries.lowest, entries.highest
    low, high = (lowest, highest) if where == "layer" else _ends(where)
    edges, encode = _grid(low, high, bins, params["compat"] == "idnns")
    span = np.searchsorted(edges, [lowest, highest], side="right")
    share = _outside(entries.values, low, high) if lowest < low or highest > high else 0.0
    return Rule(
        _wrapped(encode, bins) if params["compat"] == "idnns" else encode,
        bins + 1,
        int(span[1]) - int(span[0]) + 1,
        {"outside_share": share},
        (f"outside_range={share:.2f}",) if share >= _OUTSIDE else (),
    )


@lru_cache(maxsize=64)
def _grid(low: float, high: float, bins: int, single: bool) -> tuple[FloatArray, Encoder]:
    """Evenly spaced edges, rounded to single precision if asked for, and their encoder."""
    edges = _spaced(low, high, bins)
    if single:
        edges = edges.astype(np.float32).astype(np.float64)
    edges.setflags(write=False)
    return edges, _on_grid(edges)


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
    """Symbols on evenly spaced edges, by arithmetic, which may be one too high: then one less.

    Rounding never turns the order of two entries round. So where each edge itself comes out as its
    number or less than one above, an entry from it up to the next one does so or is one too high.
    """
    count, numbers = len(edges), np.arange(1, len(edges) + 1)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        scale = (count - 1) / (edges[-1] - edges[0])
        offset = 1.0 - edges[0] * scale
        offset += 2 * np.abs(edges * scale + offset - numbers).max()
        places = edges * scale + offset - numbers
    if not (places >= 0).all() or not (places < 1).all():
        return lambda block, first: np.searchsorted(edges, block, side="right")
    begins = np.concatenate([[-np.inf], edges])

    def encode(block: NDArray[Any], first: int) -> NDArray[Any]:
        place = block.astype(np.float64)
        with np.errstate(over="ignore"):
            place *= scale
        place += offset
        np.maximum(place, 0.0, out=place)
        np.minimum(place, count, out=place)
        symbols = place.astype(np.intp)
        begins.take(symbols, out=place, mode="clip")
        symbols -= block < place
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
    cuts, levels = _cuts(entries.values, low, params["bins"], params["equal"] == "levels")
    edges = np.concatenate([[low], cuts, [entries.highest]]).astype(np.float64)
    if published:
        edges = edges.astype(np.float32).astype(np.float64)
    edges = edges[starts(edges)]
    encode = _searched(edges)
    info = {"levels": levels} if params["equal"] == "levels" else {}
    encode = _wrapped(encode, len(edges)) if published else encode
    return Rule(encode, len(edges) + 1, len(edges), info)


def _cuts(values: NDArray[Any], low: float, bins: int, distinct: bool) -> tuple[NDArray[Any], int]:
    """Sort the entries above ``low``; return the first of ``bins`` equal shares, and how many.

    Shares of the distinct levels, or of the entries with their repeats.
    """
    ordered, least = np.sort(values, axis=None), values.dtype.type(low)
    if float(least) == low:  # sooner than leaving them out before
        ordered = ordered[np.searchsorted(ordered, least, side="right") :]
    if not distinct:
        return ordered[np.arange(bins) * len(ordered) // bins], len(ordered)
    new = starts(ordered)
    blocks = [slice(i, i + _BLOCK) for i in range(0, len(new), _BLOCK)]
    before = np.cumsum([0, *(np.count_nonzero(new[block]) for block in blocks)])
    levels = int(before[-1])
    ranks = np.arange(bins) * levels // bins
    where = np.searchsorted(before, ranks, side="right") - 1
    cuts = np.empty(bins, values.dtype)
    for i in np.unique(where):
        here = where == i
        cuts[here] = ordered[blocks[i]][new[blocks[i]]][ranks[here] - before[i]]
    return cuts, levels


def _published_low(lowest: float) -> float:
    low = -1.000001 if lowest < 0 else 0.0
    if lowest < low:
        raise InputError(
            f"compat='published' of `mi.adaptive` puts the lowest edge at {low}; got a layer that "
            f"goes down to {lowest:.3g}. Leave `compat` out."
        )
    return low
