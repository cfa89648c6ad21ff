"""Kolchinsky–Tracey bounds on the information of a layer with Gaussian noise added for analysis.

T̃ = T + ε, ε ~ N(0, σ² I), is a mixture of n Gaussians, one on each row of T. Its entropy has an
upper bound (from the Kullback–Leibler divergence of the components) and a lower one (from the
Bhattacharyya distance); the noise entropy cancels in the information. The noise is not in the
network: σ² is an assumption, and the number moves with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np

from infoplane.estimators.contract import (
    Rng,
    conclude,
    entropy_of_counts,
    generator,
    heavy_tailed,
    live_columns,
    same_length,
    samples,
    symbols,
)
from infoplane.estimators.kernel_sums import KEPT, Sums, kernel_products, kernel_sums
from infoplane.estimators.mixtures import from_median, within_noise
from infoplane.estimators.nulls import Shuffles
from infoplane.estimators.registry import CHANNELS, Bounds, check_params, estimator
from infoplane.estimators.shared import Shared, recall, serving
from infoplane.estimators.swept import worthwhile
from infoplane.types import Cost, Estimate, Flags, FloatArray, IntArray, Kind, Quantity, Status

FIXED = "mi.kde"
ADAPTIVE = "mi.kde_adaptive"

_POWERS = {"lower": 1, "upper": 4}  # of the kernel that a bound sums
_WEIGHTS = 512  # classes × draws of a null that one pass over the kernel serves
_ALONE = 1e-3  # kernel mass of all other rows below which a row counts as isolated
_ISOLATED = 0.5  # share of isolated rows from which `isolated` is flagged


@dataclass(frozen=True, slots=True)
class Layer:
    """A representation ready for kernels.

    Attributes
    ----------
    t : ndarray, (n, d′)
        Live columns, centred, in units of √8 σ: squared distances are the exponents of the lower
        bound.
    sigma : float
        σ of the noise.
    d : int
        Units, dead ones included.
    flags : Flags
    """

    t: FloatArray
    sigma: float
    d: int
    flags: Flags


_COMMON: dict[str, Any] = {
    "quantity": Quantity.MI,
    "formula": (
        "upper: I = −mean_i log mean_j exp(−D_ij/2σ²) + Σ_v p(v) mean_{i∈v} log mean_{j∈v} "
        "exp(−D_ij/2σ²),  D_ij = ‖t_i − t_j‖²; lower: 8σ² for 2σ²; the second sum is 0 for V = X"
    ),
    "accepts": ((Kind.DISCRETE, Kind.CONTINUOUS),),
    "cost": Cost.STANDARD,
    "complexity": "n² d",
    "min_samples": 2,
    "ceiling": "min(log n, H(V))",
    "bound": "neither",
    "meaningful_null": ("Y",),
}


def _null(name: str) -> Callable[..., FloatArray]:
    def null(
        v: Any, t: Any, *, draws: int, rng: Rng = None, shared: Shared | None = None, **params: Any
    ) -> FloatArray:
        checked = check_params(name, params)
        layer, codes = _prepared(name, v, t, checked, shared)
        memo = serving(shared, t)
        return _shuffled(layer, codes, checked["bound"], draws, generator(rng), memo)

    return null


@estimator(
    id=FIXED,
    label="KDE bounds",
    measures="I(V; T + ε), ε ~ N(0, σ² I) added for analysis: a bound for V = X, else a difference",
    assumes=("rows i.i.d.", "noise of the stated variance on every unit, there for analysis only"),
    invariant=("row order", "label names", "rotation", "constant unit", "shift"),
    limits=(
        "σ² is chosen, not measured: rescaling the layer is the same as changing it",
        "reaches log n when no two rows are within a few σ of each other",
        "for V = X the two bounds bracket I(X;T+ε); for labels the number is a difference of two "
        "bounds and bounds nothing (it never exceeds H(Y))",
        "its null may sum kernels in single precision (1,024 to 8,192 rows): off by 1e-7 nat",
    ),
    reference="Kolchinsky & Tracey, Entropy 19(7) 2017, arXiv:1706.02419; Saxe et al., ICLR 2018",
    tolerance={"mixture": 1e-8, **CHANNELS},
    null=_null(FIXED),
    **_COMMON,
)
def kde(
    v: Any,
    t: Any,
    *,
    variance: Annotated[float, Bounds(0, math.inf, open_low=True)] = 1e-3,
    bound: Literal["upper", "lower"] = "upper",
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """I(V; T + ε) in nats, bounded through the pairwise distances of T.

    Parameters
    ----------
    v : array_like, (n,) or (n, k)
        Discrete variable asked about: labels Y or inputs X, each distinct row a symbol.
    t : array_like, (n, d)
        Representation.
    variance : float
        σ² of the noise added to each unit, a variance (1e-3 for the 12-bit task, 1e-1 for MNIST in
        Saxe et al.).
    bound : "upper" or "lower"
        Which bound on the entropies.
    rng, shared
        Not random; intermediates of the same layer.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError

    References
    ----------
    Kolchinsky & Tracey, Entropy 19(7), 2017.
    """
    params = check_params(FIXED, {"variance": variance, "bound": bound})
    return _estimate(FIXED, v, t, params, shared)


@estimator(
    id=ADAPTIVE,
    label="adaptive KDE",
    measures="I(V; T + ε), ε ~ N(0, scale · max|T|² I): noise in proportion to activity",
    assumes=(
        "rows i.i.d.",
        "noise in proportion to the layer's largest activity, there for analysis only",
    ),
    invariant=("row order", "label names", "scaling", "constant unit"),
    limits=(
        "the noise follows the largest activation: one outlier changes every number",
        "reaches log n when no two rows are within a few σ of each other",
        "for labels a difference of two bounds: itself no bound (it never exceeds H(Y))",
    ),
    reference=(
        "Chelombiev, Houghton & O'Donnell, ICLR 2019, arXiv:1902.09037 (idea; their released code "
        "does not adapt)"
    ),
    tolerance={"mixture": 1e-8, **CHANNELS},
    null=_null(ADAPTIVE),
    **_COMMON,
)
def kde_adaptive(
    v: Any,
    t: Any,
    *,
    scale: Annotated[float, Bounds(0, math.inf, open_low=True)] = 1e-3,
    bound: Literal["upper", "lower"] = "upper",
    power: Annotated[int, Bounds(1, 2)] = 2,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """I(V; T + ε) in nats with σ² = scale · max|T|², bounded through the pairwise distances of T.

    The noise grows with the layer, so the number does not change when the layer is rescaled. A tanh
    layer in saturation has max|T| = 1 and the default is then that of ``mi.kde``.

    Parameters
    ----------
    v : array_like, (n,) or (n, k)
        Discrete variable asked about: labels Y or inputs X, each distinct row a symbol.
    t : array_like, (n, d)
        Representation.
    scale : float
        Noise variance in units of the largest squared activation of the units that vary.
    bound : "upper" or "lower"
        Which bound on the entropies.
    power : 2 or 1
        1: in units of the largest activation itself, σ² = scale · max|T|, as in published code
        (Kawaguchi et al., ICML 2023); the number then changes when the layer is rescaled.
    rng, shared
        Not random; intermediates of the same layer.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError
    """
    params = check_params(ADAPTIVE, {"scale": scale, "bound": bound, "power": power})
    return _estimate(ADAPTIVE, v, t, params, shared)


def _estimate(
    name: str, v: Any, t: Any, params: Mapping[str, Any], shared: Shared | None
) -> Estimate:
    layer, codes = _prepared(name, v, t, params, shared)
    n, h_v = len(codes), entropy_of_counts(np.bincount(codes))
    keep = shared is not None and shared.nulls
    sums = _sums(layer, codes, params["bound"], serving(shared, t), keep=keep)
    of_bound = sums[_POWERS[params["bound"]]]
    value = _gap(of_bound.everyone, of_bound.own, np.bincount(codes)[codes])
    alone = float((sums[_POWERS["upper"]].everyone < 1 + _ALONE).mean())
    flags = list(layer.flags)
    if alone >= _ISOLATED:
        flags.append("isolated")
    if h_v == 0.0:
        flags.append("single_class")
    trivial = h_v == 0.0 or layer.t.shape[1] == 0
    distinct = len(np.bincount(codes)) == n
    return conclude(
        value,
        estimator=name,
        n=n,
        d=layer.d,
        params=params,
        ceiling=min(math.log(n), h_v),
        floor=0.0,
        flags=flags,
        status=Status.DEGENERATE if trivial else Status.OK,
        fragile=name == ADAPTIVE,
        info={
            "sigma": layer.sigma,
            "isolated_share": alone,
            "bound": params["bound"] if distinct else "difference of bounds",
            "dead": layer.d - layer.t.shape[1],
            "log_n": math.log(n),
            "entropy_v": h_v,
        },
    )


def _gap(everyone: FloatArray, within: FloatArray, sizes: IntArray) -> float:
    """Return mean_i [log mean_{j∈v(i)} K − log mean_j K]."""
    n = len(everyone)
    return float(np.mean(np.log(within / sizes) - np.log(everyone / n)))


def _prepared(
    name: str, v: Any, t: Any, params: Mapping[str, Any], shared: Shared | None
) -> tuple[Layer, IntArray]:
    shared = serving(shared, t)
    values = recall(shared, "samples", lambda: samples(t, minimum=2, estimator=name))
    codes = symbols(v, estimator=name)
    same_length(codes, values)
    key = (name, params.get("variance"), params.get("scale"), params.get("power"))
    return recall(shared, key, lambda: _layer(values, params)), codes


def _layer(values: FloatArray, params: Mapping[str, Any]) -> Layer:
    live, flags = live_columns(values)
    if "variance" in params:
        sigma = math.sqrt(params["variance"])
    else:
        activity = float(np.abs(live).max(initial=0.0))
        sigma = math.sqrt(params["scale"]) * activity ** (params["power"] / 2)
    flags = Flags([*flags, *heavy_tailed(values)])
    if not live.shape[1]:
        return Layer(live, sigma, values.shape[1], flags)
    scaled = from_median(live, np.full(live.shape[1], math.sqrt(8.0) * sigma))
    flags = Flags([*flags, *within_noise(math.sqrt(8.0) * scaled)])
    return Layer(scaled, sigma, values.shape[1], flags)


def _sums(
    layer: Layer, codes: IntArray, bound: str, shared: Shared | None, *, keep: bool
) -> dict[int, Sums]:
    """Kernel sums of every row for each power that the bound asks for.

    One pass brings both powers, the one with labels serves X as well, and the null takes the kernel
    that was kept.
    """
    distinct = int(codes.max()) + 1 == len(codes)
    groups = np.zeros_like(codes) if distinct else codes
    known = None if shared is None else shared.labels
    if distinct and known is not None and known.dtype.kind in "biu":
        groups = symbols(known, name="labels")
    key = ("kernel sums", layer.sigma, groups.tobytes())
    powers = tuple(_POWERS.values()) if bound == "lower" else (_POWERS[bound],)
    new = tuple(power for power in powers if shared is None or (*key, power) not in shared)
    found = kernel_sums(layer.t, groups, new, keep=keep) if new else {}
    sums = {
        power: recall(shared, (*key, power), partial(found.__getitem__, power)) for power in powers
    }
    if distinct:
        return {power: replace(one, own=np.ones_like(one.own)) for power, one in sums.items()}
    return sums


def _shuffled(
    layer: Layer,
    codes: IntArray,
    bound: str,
    draws: int,
    rng: np.random.Generator,
    shared: Shared | None,
) -> FloatArray:
    """Estimates for ``draws`` shuffled pairings, many at once by one pass over the kernel."""
    n, sizes, power = len(codes), np.bincount(codes), _POWERS[bound]
    if len(sizes) == n:  # pairing distinct inputs anew changes nothing
        sums = _sums(layer, codes, bound, shared, keep=False)[power]
        return np.full(draws, _gap(sums.everyone, sums.own, np.ones(n, np.int64)))
    shuffles, kernel = Shuffles(codes, draws, rng), None
    if n in KEPT or worthwhile(*layer.t.shape):
        sums = _sums(layer, codes, bound, shared, keep=True)[power]
        kernel = sums.kernel
    if len(sizes) > _WEIGHTS:  # many small classes: their own pairs are few
        passes = ((row, kernel_sums(layer.t, row, (power,))[power]) for row in shuffles.labels)
        return np.array([_gap(one.everyone, one.own, sizes[row]) for row, one in passes])
    values = np.empty(draws)
    for some, weights in shuffles.parts(_WEIGHTS):
        if kernel is None:
            sums_of = kernel_products(layer.t, weights, power)
        else:
            sums_of = kernel.times(weights, power)
        everyone, own = shuffles.means(some, sums_of)
        values[some] = np.mean(np.log(own) - np.log(everyone), axis=1)
    return values
