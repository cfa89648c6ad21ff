"""Mutual information after compressing both sides to a few coordinates (Butakov et al., ICLR 2024).

I(E(V); E(T)) with E a principal-component projection, an autoencoder, a random projection or any
function: never more than I(V;T), and low-dimensional enough for nearest neighbours.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from inspect import signature
from threading import Lock
from typing import Annotated, Any, Literal

import numpy as np

from infoplane.errors import InputError
from infoplane.estimators.call import column_flags
from infoplane.estimators.contract import (
    Rng,
    enough,
    generator,
    is_discrete,
    live_columns,
    plain,
    same_length,
    samples,
)
from infoplane.estimators.kept import Origin, digest, kept
from infoplane.estimators.projection import Projection, fit
from infoplane.estimators.registry import Bounds, card, check_params, estimator, get
from infoplane.estimators.shared import Shared, recall, serving
from infoplane.types import Cost, Estimate, Flags, FloatArray, Kind, Quantity

COMPRESSED = "mi.compressed"
VERSION = 1  # of what is kept with a run: raised whenever the compressors' numbers change
FITTING = ("compressor", "dim", "steps", "seed")  # parameters on which a fitted compressor depends
KEPT = 8  # compressed inputs kept in memory: the same X meets every layer of every step

Compressor = Literal["pca", "autoencoder", "random"] | Callable[[FloatArray], Any]

_codes: OrderedDict[Any, tuple[FloatArray, float]] = OrderedDict()
_lock = Lock()


def _called(compressor: Callable[[FloatArray], Any], t: FloatArray) -> FloatArray:
    codes = samples(compressor(t.copy()), name="compressor(t)", estimator=COMPRESSED)
    if len(codes) != len(t):
        raise InputError(
            f"`compressor` of `{COMPRESSED}` must return one row a sample; "
            f"got {len(codes)} rows for {len(t)} samples."
        )
    return codes


def fitted_codes(t: FloatArray, params: Mapping[str, Any]) -> tuple[FloatArray, float]:
    """Codes (n, dim) of ``t`` by a compressor fitted on ``t`` itself, and the share kept."""
    if callable(params["compressor"]):
        return _called(params["compressor"], t), math.nan
    projection = fit(t, params)
    return projection.codes(t), projection.share


def codes_of_input(
    x: FloatArray, params: Mapping[str, Any], shared: Shared | None
) -> tuple[FloatArray, float]:
    """Like :func:`fitted_codes`, remembered by content.

    The last few are remembered in this process; an autoencoder, which takes long and comes out a
    little different on another machine, is trained once for a run and its codes kept there.
    """
    if callable(params["compressor"]):
        return fitted_codes(x, params)
    settings = [params[name] for name in FITTING]
    key = (digest(x.tobytes()), x.shape, *settings)
    with _lock:
        if key in _codes:
            _codes.move_to_end(key)
            return _codes[key]
    result = _kept_codes(x, key, params, shared)
    with _lock:
        _codes[key] = result
        while len(_codes) > KEPT:
            _codes.popitem(last=False)
    return result


def _kept_codes(
    x: FloatArray, key: Any, params: Mapping[str, Any], shared: Shared | None
) -> tuple[FloatArray, float]:
    if params["compressor"] != "autoencoder":
        return fitted_codes(x, params)

    def make() -> dict[str, Any]:
        codes, share = fitted_codes(x, params)
        return {"codes": codes, "share": np.array([share])}

    arrays = kept(shared, "codes", [VERSION, *key], make)
    return np.asarray(arrays["codes"]), float(arrays["share"][0])


def _fixed(
    reference: Any, width: int, params: Mapping[str, Any], shared: Shared | None
) -> Projection:
    """Return the projection fitted on a reference, which may be another step of a run."""

    def make(array: Any) -> Projection:
        base = samples(array, name="reference", minimum=2, estimator=COMPRESSED)
        if base.shape[1] != width:
            raise InputError(
                f"`reference` of `{COMPRESSED}` must have the columns of `t`, {width}; "
                f"got {base.shape[1]}."
            )
        if not live_columns(base)[0].shape[1]:
            raise InputError(
                f"`reference` of `{COMPRESSED}` is constant: nothing can be fitted on it. Take "
                "another step."
            )
        return fit(base, params)

    if not isinstance(reference, Origin):
        return make(reference)
    settings = [params[name] for name in FITTING]
    content = [VERSION, reference.identity, *settings]
    return Projection(
        kept(shared, "projection", content, lambda: make(reference.load()[-1]).arrays)
    )


def noisy(t: FloatArray, params: Mapping[str, Any], rng: np.random.Generator) -> FloatArray:
    """T + σε or T(1 + σε), ε standard normal."""
    if params["noise"] == 0:
        return t
    noise = params["noise"] * rng.standard_normal(t.shape)
    return np.asarray(t * (1 + noise) if params["noise_kind"] == "multiplicative" else t + noise)


def _sides(
    v: Any, t: Any, params: Mapping[str, Any], reference: Any, rng: Any, shared: Shared | None
) -> tuple[Any, Any, dict[str, Any], Flags]:
    """Both sides compressed, what was kept of them, and the flags."""
    info: dict[str, Any] = {}
    values = plain(v, name="v")
    right = samples(t, name="t", minimum=1, estimator=COMPRESSED)
    same_length(values, right)
    enough(len(right), 7, estimator=COMPRESSED)
    _check_reference(reference, params)
    left: Any = v
    if not is_discrete(v):
        left = samples(v, name="v", minimum=2, estimator=COMPRESSED)
        left, info["kept_v"] = codes_of_input(left, params, shared)
    if is_discrete(t):
        return left, t, info, Flags()
    flags = column_flags(right)
    if "constant" in flags:
        return left, right, info, flags
    right = noisy(right, params, rng)
    if reference is not None:
        projection = _fixed(reference, right.shape[1], params, shared)
        right, info["kept_t"] = projection.codes(right), projection.share
    elif params["noise"] == 0 and not callable(params["compressor"]):
        key = ("compressed", *(params[name] for name in FITTING))
        right, info["kept_t"] = recall(shared, key, lambda: fitted_codes(right, params))
    else:
        right, info["kept_t"] = fitted_codes(right, params)
    return left, right, {k: x for k, x in info.items() if not math.isnan(x)}, flags


def _check_inner(inner: str, settings: Mapping[str, Any]) -> None:
    if inner == COMPRESSED:
        raise InputError(f"`inner` of `{COMPRESSED}` must be another estimator; got itself.")
    if card(inner).quantity is not Quantity.MI:
        raise InputError(
            f"`inner` of `{COMPRESSED}` must be an estimator of information; got {inner!r}, a "
            f"measure of {card(inner).quantity.value}."
        )
    known = signature(get(inner)).parameters
    check_params(inner, {name: value for name, value in settings.items() if name not in known})


def _check_reference(reference: Any, params: Mapping[str, Any]) -> None:
    if reference is not None and callable(params["compressor"]):
        raise InputError(
            f"`reference` of `{COMPRESSED}` is what a compressor is fitted on, and a callable "
            "is used as it comes. Leave `reference` out."
        )
    if reference is None and params["reference_step"] is not None:
        raise InputError(
            f"`reference_step` of `{COMPRESSED}` names a step of a run, which `evaluate` looks up; "
            "on arrays pass the representation itself as `reference=`."
        )


def _null(
    v: Any,
    t: Any,
    *,
    draws: int,
    rng: Rng = None,
    shared: Shared | None = None,
    reference: Any = None,
    **params: Any,
) -> FloatArray:
    """Compress once, then the inner estimator's own null."""
    params = check_params(COMPRESSED, params)
    rng = generator(rng)
    left, right, _, _ = _sides(v, t, params, reference, rng, serving(shared, t))
    inner, settings = params["inner"], params["inner_params"] or {}
    fast = card(inner).null
    if fast is not None:
        return np.asarray(fast(left, right, draws=draws, rng=rng, **settings))
    left = np.asarray(left)
    shuffles = (left[rng.permutation(len(left))] for _ in range(draws))
    return np.array([get(inner)(one, right, rng=rng, **settings).value for one in shuffles])


@estimator(
    id=COMPRESSED,
    label="compressed",
    quantity=Quantity.MI,
    measures="I(E(V);E(T)) of compressed codes: a lower bound of I(V;T) before the inner "
    "estimator's own error",
    formula="Î(E_v(V); E_t(T)),  E: principal components, autoencoder, random projection",
    accepts=((Kind.CONTINUOUS, Kind.CONTINUOUS), (Kind.DISCRETE, Kind.CONTINUOUS)),
    cost=Cost.STANDARD,
    complexity="n d min(n, d), then the inner estimator",
    min_samples=7,
    ceiling="that of the inner estimator",
    invariant=("row order", "label names", "constant unit"),
    deterministic=False,
    assumes=("rows i.i.d.", "little of the information lies outside the codes"),
    limits=(
        "information outside the kept directions is lost without a trace in the number",
        "multiplicative noise leaves dead units without noise: infinite information there",
        "an autoencoder differs from run to run of its training; principal components do not",
    ),
    reference="Butakov et al., ICLR 2024 (information-bottleneck analysis by lossy compression)",
    tolerance={"gaussian": 0.08, "gaussian_2d": 0.14, "gaussian_images": 0.17, "blobs": 0.005,
               "independent": 0.06},
    meaningful_null=("X", "Y"),
    null=_null,
)  # fmt: skip
def compressed(
    v: Any,
    t: Any,
    *,
    compressor: Compressor = "pca",
    dim: Annotated[int, Bounds(1, 64)] = 4,
    inner: str = "mi.ksg",
    inner_params: dict[str, Any] | None = None,
    noise: Annotated[float, Bounds(0, math.inf)] = 0.0,
    noise_kind: Literal["additive", "multiplicative"] = "additive",
    error: Literal["analytic", "bootstrap"] = "analytic",
    steps: Annotated[int, Bounds(1, 1_000_000)] = 600,
    seed: Annotated[int, Bounds(0, 2**31)] = 0,
    reference_step: Annotated[int, Bounds(0, math.inf)] | None = None,
    reference: Any = None,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """I(E(V);E(T)) in nats: both sides compressed to ``dim`` coordinates, then an inner estimator.

    Parameters
    ----------
    v : array_like, (n,) or (n, d_v)
        Variable asked about; integers are symbols and stay as they are.
    t : array_like, (n, d)
        Representation.
    compressor : {"pca", "autoencoder", "random"} or callable
        How arrays of more than ``dim`` live columns are compressed; a callable gets (n, d) and
        returns (n, anything).
    dim : int
        Coordinates kept.
    inner, inner_params
        Id of the estimator used on the codes, and its parameters.
    noise, noise_kind
        σ of Gaussian noise put on T first: T + σε, or T(1 + σε).
    error : {"analytic", "bootstrap"}
        Where ``stderr`` comes from: the inner estimator, or the spread over 20 random halves
        (without replacement: repeated rows would break nearest neighbours).
    steps, seed : int
        Training steps of the autoencoder, and the seed of its weights or of the projection.
    reference_step : int or None
        In a run: the step on whose snapshot the compressor of T is fitted, once and for all steps;
        the projection is kept with the run. None: refitted at every step.
    reference : array_like, (m, d), or None
        On arrays: the representation on which the compressor of T is fitted.
    rng
        For the noise and the halves.
    shared
        Spares compressing T again for another target.

    Returns
    -------
    Estimate
        ``info["kept_t"]`` and ``info["kept_v"]``: share of variance the codes keep.

    References
    ----------
    Butakov et al., Information Bottleneck Analysis of Deep Neural Networks via Lossy Compression,
    ICLR 2024.
    """
    params = check_params(
        COMPRESSED,
        {
            "compressor": compressor, "dim": dim, "inner": inner, "inner_params": inner_params,
            "noise": noise, "noise_kind": noise_kind, "error": error, "steps": steps, "seed": seed,
            "reference_step": reference_step,
        },
    )  # fmt: skip
    settings = inner_params or {}
    _check_inner(inner, settings)
    rng = generator(rng)
    left, right, info, flags = _sides(v, t, params, reference, rng, serving(shared, t))
    estimate = get(inner)(left, right, rng=rng, **settings)
    stderr = estimate.stderr
    if error == "bootstrap" and estimate.value != 0:
        stderr = _halves(get(inner), left, right, settings, rng)
    return replace(
        estimate,
        stderr=stderr,
        d=samples(t, name="t", minimum=1).shape[1],
        params=params,
        flags=Flags([*flags, *estimate.flags]),
        info={**estimate.info, **info, "inner": inner, "dim": right.shape[-1]},
    )


def _halves(
    inner: Callable[..., Estimate], left: Any, right: Any, settings: Any, rng: np.random.Generator
) -> float:
    """Spread of the estimate over random halves: the delete-half jackknife."""
    left = np.asarray(left)
    rows = [rng.permutation(len(left))[: len(left) // 2] for _ in range(20)]
    return float(np.std([inner(left[i], right[i], **settings).value for i in rows], ddof=1))
