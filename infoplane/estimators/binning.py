"""Mutual information of a binned layer: fixed bins, floor bins and adaptive bins (EBAB).

Every unit is cut into bins, a row of bin numbers is one symbol, and the information between the
symbols and V is that of the counts. For a deterministic network with distinct inputs I(X;bin(T)) is
simply H(bin(T)): it says how many inputs the bins tell apart, not what the network has forgotten.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from infoplane.errors import InputError
from infoplane.estimators.contract import (
    Rng,
    conclude,
    entropy_of_counts,
    fold,
    generator,
    heavy_tailed,
    plain,
    ranks,
    same_length,
    samples,
    symbols,
)
from infoplane.estimators.plugin import information, shuffled
from infoplane.estimators.registry import Bounds, check_params, estimator
from infoplane.estimators.shared import Shared, recall, serving
from infoplane.types import Cost, Estimate, Flags, FloatArray, IntArray, Kind, Quantity, Status

FIXED = "mi.binning"
ADAPTIVE = "mi.adaptive"

_BLOCK = 1 << 17  # entries binned at once: the temporaries stay in the processor's cache
_SINGLETONS = 0.5  # share of rows alone in their bin from which `singleton_bins` is flagged
_PER_BIN = 5.0  # samples per occupied bin below which `few_samples_per_bin` is flagged
_OUTSIDE = 0.05  # share of entries outside a fixed range from which it is flagged


Encoder = Callable[[FloatArray, int], IntArray]


@dataclass(frozen=True, slots=True)
class Cells:
    """A binned layer: which symbol each row has, and how the bins were filled.

    Attributes
    ----------
    codes : ndarray, (n,)
        Symbols 0 … C−1 of the rows.
    counts : ndarray, (C,)
        Rows in each.
    d : int
        Units.
    dead : int
        Units of zero variance.
    bins_used : int
        Largest number of bins that could be filled in one unit.
    info, flags
        Whatever the binning rule adds.
    """

    codes: IntArray
    counts: IntArray
    d: int
    dead: int
    bins_used: int
    info: Mapping[str, Any]
    flags: Flags


_COMMON: dict[str, Any] = {
    "quantity": Quantity.MI,
    "accepts": (
        (Kind.DISCRETE, Kind.CONTINUOUS),
        (Kind.DISCRETE, Kind.DISCRETE),
    ),
    "cost": Cost.QUICK,
    "min_samples": 2,
    "ceiling": "min(log n, H(V), units × log bins)",
    "bound": "neither",
    "meaningful_null": ("Y",),
}


def _null(name: str) -> Callable[..., FloatArray]:
    def null(
        v: Any, t: Any, *, draws: int, rng: Rng = None, shared: Shared | None = None, **params: Any
    ) -> FloatArray:
        cells = _cells(name, t, check_params(name, params), shared)
        return shuffled(_paired(name, v, cells), cells.codes, draws, generator(rng))

    return null


@estimator(
    id=FIXED,
    label="fixed bins",
    measures="I(V; bin(T)) on the same bins for every unit, plug-in; H(bin(T)) when V is X",
    formula="I = H(B) + H(V) − H(B,V),  B = (bin(t_1), …, bin(t_d)),  H = −Σ p log p of the counts",
    complexity="n d + n log n",
    invariant=("row order", "label names", "duplicated unit", "unit order"),
    limits=(
        "reaches log n as soon as every row has its own bin: wide layers always do",
        "I(T;Y) is H(Y) for such a layer even on random labels: read it against its null",
        "changes when a unit is rescaled, though the function computed is the same",
        "values beyond the range share one bin: [−1, 1] says little about ReLU layers",
    ),
    reference="Shwartz-Ziv & Tishby, arXiv:1703.00810; floor bins: Saxe et al., ICLR 2018",
    tolerance={"discrete": 1e-12},
    null=_null(FIXED),
    **_COMMON,
)
def binning(
    v: Any,
    t: Any,
    *,
    bins: Annotated[int, Bounds(2, 65536)] = 30,
    range: tuple[float, float] | Literal["layer", "unit"] = (-1.0, 1.0),
    width: Annotated[float, Bounds(0, math.inf, open_low=True)] | None = None,
    compat: Literal["idnns"] | None = None,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """I(V; bin(T)) in nats with fixed bins, by counting.

    With edges e_1 < … < e_bins evenly spaced over ``range``, a value has symbol i in [e_i, e_i+1),
    the last symbol from e_bins on (a saturated tanh has its own), and symbol 0 below e_1:
    ``bins`` edges make ``bins`` − 1 intervals and two open ends.

    Parameters
    ----------
    v : array_like, (n,) or (n, k)
        Discrete variable asked about: labels Y or inputs X, each distinct row a symbol.
    t : array_like, (n, d)
        Representation. Integer or boolean arrays are discrete already and are not binned.
    bins : int
        Number of edges.
    range : (low, high), "layer" or "unit"
        Ends of the edges; or the layer's, or each unit's own, minimum and maximum.
    width : float, optional
        Floor binning instead: symbol ⌊t / width⌋, no range (0.07 in Saxe et al., 0.5 for MNIST).
    compat : "idnns", optional
        Reproduce the published code: edges in float32, and values below the range wrap around to
        the symbol of the highest edge.
    rng, shared
        Not random; intermediates of the same layer.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError

    References
    ----------
    Shwartz-Ziv & Tishby, arXiv:1703.00810. Saxe et al., ICLR 2018.
    """
    params = check_params(FIXED, {"bins": bins, "range": range, "width": width, "compat": compat})
    return _conclude(FIXED, v, _cells(FIXED, t, params, shared), params)


@estimator(
    id=ADAPTIVE,
    label="adaptive bins (EBAB)",
    measures="I(V; bin(T)) on bins of equal numbers of the layer's own levels, plug-in",
    formula=(
        "edges: min(T), then every ⌊|u|/bins⌋-th of the sorted distinct levels u above it, max(T); "
        "I = H(B) + H(V) − H(B,V)"
    ),
    complexity="n d log(n d)",
    invariant=("row order", "label names", "scaling", "unit order"),
    limits=(
        "blind to growing weights: the same for any increasing map of the whole layer",
        "reaches log n for layers of about seven units or more at n = 4096",
        "distinct levels depend on the precision the layer is stored in",
        "I(T;Y) is H(Y) for a saturated layer even on random labels: read it against its null",
    ),
    reference="Chelombiev, Houghton & O'Donnell, ICLR 2019, arXiv:1902.09037",
    tolerance={"discrete": 1e-12},
    null=_null(ADAPTIVE),
    **_COMMON,
)
def adaptive(
    v: Any,
    t: Any,
    *,
    bins: Annotated[int, Bounds(2, 65536)] = 30,
    equal: Literal["levels", "values"] = "levels",
    compat: Literal["published"] | None = None,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """I(V; bin(T)) in nats with entropy-based adaptive bins (EBAB), by counting.

    The edges are taken from the layer's own values, all units pooled: the minimum (exact zeros of a
    ReLU) and the maximum have a symbol each, between them ``bins`` bins hold equal numbers of
    distinct levels. They are the same for every unit and new for every step.

    Parameters
    ----------
    v : array_like, (n,) or (n, k)
        Discrete variable asked about: labels Y or inputs X, each distinct row a symbol.
    t : array_like, (n, d)
        Representation. Integer or boolean arrays are discrete already and are not binned.
    bins : int
        Number of bins between the two ends.
    equal : "levels" or "values"
        What every bin holds equally many of: distinct levels (the published code), or values with
        their repeats. They differ by up to 2.6 bit on layers with many repeated values.
    compat : "published", optional
        Reproduce the published code: edges in float32 and the lowest edge at −1.000001 (0 when
        nothing is negative) instead of the layer's minimum.
    rng, shared
        Not random; intermediates of the same layer.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError

    References
    ----------
    Chelombiev, Houghton & O'Donnell, ICLR 2019, arXiv:1902.09037.
    """
    params = check_params(ADAPTIVE, {"bins": bins, "equal": equal, "compat": compat})
    return _conclude(ADAPTIVE, v, _cells(ADAPTIVE, t, params, shared), params)


def _conclude(name: str, v: Any, cells: Cells, params: Mapping[str, Any]) -> Estimate:
    codes = _paired(name, v, cells)
    n, h_v = len(codes), entropy_of_counts(np.bincount(codes))
    alone = float((cells.counts == 1).sum() / n)
    per_bin = n / len(cells.counts)
    flags = list(cells.flags)
    if alone >= _SINGLETONS:
        flags.append("singleton_bins")
    if per_bin < _PER_BIN:
        flags.append("few_samples_per_bin")
    if h_v == 0.0:
        flags.append("single_class")
    trivial = h_v == 0.0 or cells.dead == cells.d
    capacity = (cells.d - cells.dead) * math.log(cells.bins_used)
    return conclude(
        information(codes, cells.codes),
        estimator=name,
        n=n,
        d=cells.d,
        params=params,
        ceiling=min(math.log(n), h_v, capacity),
        floor=0.0,
        flags=flags,
        status=Status.DEGENERATE if trivial else Status.OK,
        info={
            "occupied": len(cells.counts),
            "singleton_share": alone,
            "samples_per_bin": per_bin,
            "bins_used": cells.bins_used,
            "dead": cells.dead,
            "log_n": math.log(n),
            "entropy_t": entropy_of_counts(cells.counts),
            "entropy_v": h_v,
            **cells.info,
        },
    )


def _paired(name: str, v: Any, cells: Cells) -> IntArray:
    codes = symbols(v, estimator=name)
    same_length(codes, cells.codes)
    return codes


def _cells(name: str, t: Any, params: Mapping[str, Any], shared: Shared | None) -> Cells:
    shared = serving(shared, t)
    rule = _fixed if name == FIXED else _adaptive
    key = (name, *sorted(params.items()))
    return recall(shared, key, lambda: _bin_layer(name, t, rule, params, shared))


def _bin_layer(
    name: str, t: Any, rule: RuleMaker, params: Mapping[str, Any], shared: Shared | None
) -> Cells:
    raw = plain(t, name="t")
    values = recall(shared, "samples", lambda: samples(t, minimum=2, estimator=name))
    n, d = values.shape
    alive = values.max(axis=0) > values.min(axis=0)
    dead = d - int(alive.sum())
    if dead == d:
        return Cells(np.zeros(n, np.int64), np.array([n]), d, d, 1, {}, Flags(["constant"]))
    flags = [f"dead={dead}"] if dead else []
    if raw.dtype.kind in "biu":
        codes = fold((ranks(column) for column in np.ascontiguousarray(raw.reshape(n, d).T)), n)
        return Cells(codes, np.bincount(codes), d, dead, n, {}, Flags([*flags, "discrete"]))
    levels = raw.reshape(n, d) if raw.dtype.kind == "f" else values
    made = rule(values, levels, alive, params)
    codes = fold(_columns(values if not dead else values[:, alive], made.encode), n)
    flags += [*heavy_tailed(values), *made.flags]
    return Cells(codes, np.bincount(codes), d, dead, made.bins, made.info, Flags(flags))


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


def _columns(values: FloatArray, encode: Encoder) -> Iterator[IntArray]:
    """Symbols of one unit after another, encoded by blocks of units, only as far as asked for."""
    n, d = values.shape
    step = max(1, _BLOCK // n)
    for first in range(0, d, step):
        yield from encode(np.ascontiguousarray(values[:, first : first + step].T), first)


def _fixed(
    values: FloatArray,
    levels: NDArray[Any],
    alive: NDArray[np.bool_],
    params: Mapping[str, Any],
) -> Rule:
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
            f"`range` of `{FIXED}` must be two numbers (low, high) with low < high, 'layer' or "
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
            f"`width` of `{FIXED}` is too small for values up to {np.abs(values).max():.3g}; "
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


def _adaptive(
    values: FloatArray,
    levels: NDArray[Any],
    alive: NDArray[np.bool_],
    params: Mapping[str, Any],
) -> Rule:
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
            f"compat='published' of `{ADAPTIVE}` puts the lowest edge at {low}; got a layer that "
            f"goes down to {lowest:.3g}. Leave `compat` out."
        )
    return low
