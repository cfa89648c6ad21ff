"""Mutual information of a binned layer: fixed bins, floor bins and adaptive bins (EBAB).

Every unit is cut into bins, a row of bin numbers is one symbol, and the information between the
symbols and V is that of the counts. For a deterministic network with distinct inputs I(X;bin(T)) is
simply H(bin(T)): it says how many inputs the bins tell apart, not what the network has forgotten.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np

from infoplane.estimators.bins import (
    Entries,
    RuleMaker,
    adaptive_rule,
    entries,
    fixed_rule,
    intervals,
    row_keys,
)
from infoplane.estimators.contract import (
    Rng,
    conclude,
    generator,
    heavy_tailed,
    plain,
    reals,
    row_codes,
    same_length,
    samples,
    symbols,
)
from infoplane.estimators.plugin import Tally, information, joint_entropy, shuffled, tally
from infoplane.estimators.registry import CHANNELS, Bounds, check_params, estimator
from infoplane.estimators.shared import Shared, recall, serving
from infoplane.types import Cost, Estimate, Flags, FloatArray, Kind, Quantity, Status

FIXED = "mi.binning"
ADAPTIVE = "mi.adaptive"
GIVEN = "mi.binning_given"

_RULES: dict[str, RuleMaker] = {FIXED: fixed_rule, ADAPTIVE: adaptive_rule, GIVEN: intervals}

_SINGLETONS = 0.5  # share of rows alone in their bin from which `singleton_bins` is flagged
_PER_BIN = 5.0  # samples per occupied bin below which `few_samples_per_bin` is flagged


@dataclass(frozen=True, slots=True)
class Cells:
    """A binned layer: which symbol each row has, and how the bins were filled.

    Attributes
    ----------
    tally : Tally
        Symbols of the rows and their counts.
    d, dead : int
        Units, and those of zero variance.
    bins_used : int
        Symbols between the layer's lowest and highest value.
    info, flags
        Whatever the binning rule adds.
    """

    tally: Tally
    d: int
    dead: int
    bins_used: int
    info: Mapping[str, Any]
    flags: Flags

    @property
    def capacity(self) -> float:
        """Largest entropy that the live units' bins can hold."""
        return (self.d - self.dead) * math.log(self.bins_used)


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
        return shuffled(_paired(name, v, cells), cells.tally, draws, generator(rng))

    return null


@estimator(
    id=FIXED,
    label="fixed bins",
    measures="I(V; bin(T)) on the same bins for every unit, plug-in; H(bin(T)) when V is X",
    formula="I = H(B) + H(V) − H(B,V),  B = (bin(t_1), …, bin(t_d)),  H = −Σ p log p of the counts",
    complexity="n d + n log n",
    assumes=(
        "rows i.i.d.",
        "nothing finer than the bins counts: they stand for the precision of a unit",
    ),
    invariant=("row order", "label names", "duplicated unit", "unit order"),
    limits=(
        "reaches log n as soon as every row has its own bin: wide layers always do",
        "I(T;Y) is H(Y) for such a layer even on random labels: read it against its null",
        "changes when a unit is rescaled, though the function computed is the same",
        "values beyond the range share one bin: [−1, 1] says little about ReLU layers",
    ),
    reference="Shwartz-Ziv & Tishby, arXiv:1703.00810; floor bins: Saxe et al., ICLR 2018",
    tolerance={"discrete": 1e-12, **CHANNELS},
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
    assumes=("rows i.i.d.", "nothing finer than an equal share of the layer's levels counts"),
    invariant=("row order", "label names", "scaling", "unit order"),
    limits=(
        "blind to growing weights: the same for any increasing map of the whole layer",
        "reaches log n for layers of about seven units or more at n = 4096",
        "distinct levels depend on the precision the layer is stored in",
        "I(T;Y) is H(Y) for a saturated layer even on random labels: read it against its null",
    ),
    reference="Chelombiev, Houghton & O'Donnell, ICLR 2019, arXiv:1902.09037",
    tolerance={"discrete": 1e-12, **CHANNELS},
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


@estimator(
    id=GIVEN,
    label="binned, given V",
    quantity=Quantity.MI,
    measures="I(X; bin(T) | V) of distinct inputs: what the bins tell apart within a class",
    formula="I = Σ_v p(v) H(B | V = v),  B = ⌊(t − min T) / size⌋,  size = (max T − min T) / bins",
    accepts=((Kind.DISCRETE, Kind.CONTINUOUS), (Kind.DISCRETE, Kind.DISCRETE)),
    cost=Cost.QUICK,
    complexity="n d + n log n",
    min_samples=2,
    ceiling="min(H(X|V), units × log bins)",
    assumes=("the inputs are distinct",),
    bound="exact",
    invariant=("row order", "label names", "scaling", "unit order", "duplicated unit"),
    limits=(
        "reaches H(X|V) as soon as every row has its own bin",
        "takes every row for a different input",
    ),
    reference="Kawaguchi, Deng, Ji & Huang, ICML 2023, arXiv:2305.18887",
    tolerance={"discrete": 1e-12},
    meaningful_null=("Y",),
)
def binning_given(
    v: Any,
    t: Any,
    *,
    bins: Annotated[int, Bounds(1, 65536)] = 10,
    compat: Literal["published"] | None = None,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """I(X; bin(T) | V) in nats for distinct inputs X, by counting.

    ``bins`` equal intervals between the layer's minimum and maximum; the maximum has a symbol of
    its own. What is left of the layer's bits once V is known: superfluous information when V is Y.

    Parameters
    ----------
    v : array_like, (n,) or (n, k)
        Discrete variable that is given, usually the labels Y.
    t : array_like, (n, d)
        Representation; every row is taken for a different input.
    bins : int
        Intervals between minimum and maximum.
    compat : "published", optional
        Reproduce the published code: every class is binned over its own range, and the classes
        count alike whatever their size. That is no conditional entropy: it can exceed H(bin(T)).
    rng, shared
        Not random; intermediates of the same layer.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError

    References
    ----------
    Kawaguchi, Deng, Ji & Huang, ICML 2023, arXiv:2305.18887.
    """
    params = check_params(GIVEN, {"bins": bins, "compat": compat})
    cells = _cells(GIVEN, t, params, shared)
    given = _paired(GIVEN, v, cells)
    n = len(given.codes)
    value = joint_entropy(given, cells.tally) - given.entropy
    ceiling: float | None = min(math.log(n) - given.entropy, cells.capacity)
    if compat == "published":
        value, ceiling = _mean_of_classes(t, given, params), None
    return conclude(
        value,
        estimator=GIVEN,
        n=n,
        d=cells.d,
        params=params,
        ceiling=ceiling,
        floor=0.0,
        flags=[*cells.flags, *(["single_class"] if len(given.counts) == 1 else [])],
        status=Status.DEGENERATE if cells.dead == cells.d else Status.OK,
        fragile=True,
        info={"occupied": len(cells.tally.counts), "dead": cells.dead, "log_n": math.log(n)},
    )


def _mean_of_classes(t: Any, given: Tally, params: Mapping[str, Any]) -> float:
    rows = plain(t, name="t")
    members = (rows[given.codes == c] for c in range(len(given.counts)))
    entropies = [
        _cells(GIVEN, part, params, None).tally.entropy if len(part) > 1 else 0.0
        for part in members
    ]
    return float(np.mean(entropies))


def _conclude(name: str, v: Any, cells: Cells, params: Mapping[str, Any]) -> Estimate:
    asked, binned = _paired(name, v, cells), cells.tally
    n, occupied = len(binned.codes), len(binned.counts)
    alone = np.count_nonzero(binned.counts == 1) / n
    flags = list(cells.flags)
    if alone >= _SINGLETONS:
        flags.append("singleton_bins")
    if n / occupied < _PER_BIN:
        flags.append("few_samples_per_bin")
    if len(asked.counts) == 1:
        flags.append("single_class")
    if occupied == 1 and cells.dead < cells.d:
        flags.append("one_bin")
    trivial = len(asked.counts) == 1 or occupied == 1
    return conclude(
        information(asked, binned),
        estimator=name,
        n=n,
        d=cells.d,
        params=params,
        ceiling=min(math.log(n), asked.entropy, cells.capacity),
        floor=0.0,
        flags=flags,
        status=Status.DEGENERATE if trivial else Status.OK,
        fragile=params.get("width") is None and params.get("range") in ("layer", "unit"),
        info={
            "occupied": occupied,
            "singleton_share": alone,
            "samples_per_bin": n / occupied,
            "bins_used": cells.bins_used,
            "dead": cells.dead,
            "log_n": math.log(n),
            "entropy_t": binned.entropy,
            "entropy_v": asked.entropy,
            **cells.info,
        },
    )


def _paired(name: str, v: Any, cells: Cells) -> Tally:
    asked = tally(symbols(v, estimator=name))
    same_length(asked.codes, cells.tally.codes)
    return asked


def _cells(name: str, t: Any, params: Mapping[str, Any], shared: Shared | None) -> Cells:
    shared = serving(shared, t)
    key = (name, *sorted(params.items()))
    return recall(shared, key, lambda: _bin_layer(name, t, params, shared))


def _bin_layer(name: str, t: Any, params: Mapping[str, Any], shared: Shared | None) -> Cells:
    layer = recall(shared, "entries", lambda: _entries(name, t))
    n, d = layer.values.shape
    dead = d - int(layer.alive.sum())
    if dead == d:
        return Cells(tally(np.zeros(n, np.int64)), d, d, 1, {}, Flags(["constant"]))
    flags = [f"dead={dead}"] if dead else []
    if layer.values.dtype.kind in "biu":
        codes = row_codes(layer.values)
        return Cells(tally(codes), d, dead, n, {}, Flags([*flags, "discrete"]))
    rule = _RULES[name](layer, params)
    binned = tally(*row_keys(layer, rule))
    flags += [*heavy_tailed(layer.values, max(-layer.lowest, layer.highest)), *rule.flags]
    return Cells(binned, d, dead, rule.bins, rule.info, Flags(flags))


def _entries(name: str, t: Any) -> Entries:
    """Return the layer in float32 or float64, or its integers; every entry is finite."""
    values = reals(t, minimum=2, estimator=name)
    if values.dtype == np.float16:
        values = values.astype(np.float32)
    elif values.dtype.kind == "f" and values.dtype not in (np.float32, np.float64):
        values = samples(t, minimum=2, estimator=name)
    layer = entries(np.ascontiguousarray(values))
    if not (math.isfinite(layer.lowest) and math.isfinite(layer.highest)):
        samples(t, minimum=2, estimator=name)  # says how many are not, and where
    return layer
