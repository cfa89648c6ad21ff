"""Mutual information after compressing both sides to a few coordinates (Butakov et al., ICLR 2024).

I(E(V); E(T)) with E a principal-component projection, an autoencoder, a random projection or any
function: never more than I(V;T), and low-dimensional enough for nearest neighbours.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import blake2b
from threading import Lock
from typing import Annotated, Any, Literal

import numpy as np

from infoplane.errors import InputError
from infoplane.estimators.autoencoder import encode
from infoplane.estimators.call import column_flags
from infoplane.estimators.contract import (
    Rng,
    enough,
    generator,
    is_discrete,
    plain,
    same_length,
    samples,
)
from infoplane.estimators.registry import Bounds, card, check_params, estimator, get
from infoplane.estimators.shared import Shared, recall, serving
from infoplane.types import Cost, Estimate, Flags, FloatArray, Kind, Quantity

COMPRESSED = "mi.compressed"
KEPT = 8  # compressed inputs kept in memory: the same X meets every layer of every step

Compressor = Literal["pca", "autoencoder", "random"] | Callable[[FloatArray], Any]

_codes: OrderedDict[Any, tuple[FloatArray, float]] = OrderedDict()
_lock = Lock()


def principal_axes(centred: FloatArray, dim: int) -> tuple[FloatArray, float]:
    """Return the ``dim`` leading axes (d, dim) of centred rows, and their share of the variance.

    Eigenvectors on the smaller side; the largest loading of each axis is positive.
    """
    n, d = centred.shape
    if d <= n:
        values, axes = np.linalg.eigh(centred.T @ centred)
    else:
        values, left = np.linalg.eigh(centred @ centred.T)
        axes = centred.T @ left
    kept = np.flatnonzero(values > values[-1] * 1e-12)[-dim:][::-1]
    axes = axes[:, kept] / np.linalg.norm(axes[:, kept], axis=0)
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(len(kept))])
    return axes, float(values[kept].sum() / np.maximum(values, 0).sum())


def random_axes(d: int, dim: int, seed: int) -> FloatArray:
    """Gaussian projection (d, dim) of a private seed."""
    return np.random.default_rng(seed).standard_normal((d, dim)) / math.sqrt(dim)


def compress(
    t: FloatArray, reference: FloatArray, params: Mapping[str, Any]
) -> tuple[FloatArray, float]:
    """Codes (n, dim) of ``t`` by the compressor fitted on ``reference``, and the share kept."""
    compressor, dim = params["compressor"], params["dim"]
    if callable(compressor):
        return _called(compressor, t), math.nan
    live = reference.max(axis=0) > reference.min(axis=0)
    if live.sum() <= dim:
        return t[:, live], 1.0
    t, reference = t[:, live], reference[:, live]
    scale = np.abs(reference).max()
    t, reference = t / scale, reference / scale
    centre = reference.mean(axis=0)
    if compressor == "autoencoder":
        (codes,), share = encode(reference, (t,), dim, params["steps"], params["seed"])
        return codes, share
    if compressor == "random":
        axes = random_axes(t.shape[1], dim, params["seed"])
        projected = ((reference - centre) @ np.linalg.qr(axes)[0]) ** 2
        share = float(projected.sum() / ((reference - centre) ** 2).sum())
    else:
        axes, share = principal_axes(reference - centre, dim)
    return (t - centre) @ axes, share


def _called(compressor: Callable[[FloatArray], Any], t: FloatArray) -> FloatArray:
    codes = samples(compressor(t.copy()), name="compressor(t)", estimator=COMPRESSED)
    if len(codes) != len(t):
        raise InputError(
            f"`compressor` of `{COMPRESSED}` must return one row a sample; "
            f"got {len(codes)} rows for {len(t)} samples."
        )
    return codes


def remembered(t: FloatArray, params: Mapping[str, Any]) -> tuple[FloatArray, float]:
    """Like :func:`compress` fitted on ``t`` itself, remembered by content.

    A pure memo of the last few arrays: an input X is compressed (its autoencoder trained) once,
    however many layers and steps it is compared with.
    """
    if callable(params["compressor"]):
        return compress(t, t, params)
    digest = blake2b(t.tobytes(), digest_size=16).digest()
    key = (digest, t.shape, *(params[name] for name in ("compressor", "dim", "steps", "seed")))
    with _lock:
        if key in _codes:
            _codes.move_to_end(key)
            return _codes[key]
    result = compress(t, t, params)
    with _lock:
        _codes[key] = result
        while len(_codes) > KEPT:
            _codes.popitem(last=False)
    return result


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
    left: Any = v
    if not is_discrete(v):
        left = samples(v, name="v", minimum=2, estimator=COMPRESSED)
        left, info["kept_v"] = remembered(left, params)
    if is_discrete(t):
        return left, t, info, Flags()
    flags = column_flags(right)
    if "constant" in flags:
        return left, right, info, flags
    right = noisy(right, params, rng)
    if reference is not None:
        base = samples(reference, name="reference", minimum=2, estimator=COMPRESSED)
        if base.shape[1] != right.shape[1]:
            raise InputError(
                f"`reference` of `{COMPRESSED}` must have the columns of `t`, {right.shape[1]}; "
                f"got {base.shape[1]}."
            )
        right, kept = compress(right, base, params)
    elif params["noise"] == 0 and not callable(params["compressor"]):
        names = ("compressor", "dim", "steps", "seed")
        key = ("compressed", *(params[name] for name in names))
        right, kept = recall(shared, key, lambda: compress(right, right, params))
    else:
        right, kept = compress(right, right, params)
    info["kept_t"] = kept
    return left, right, {k: x for k, x in info.items() if not math.isnan(x)}, flags


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
    tolerance={"gaussian": 0.06, "gaussian_2d": 0.08, "gaussian_images": 0.15, "blobs": 0.05,
               "independent": 0.05},
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
    reference : array_like, (m, d), or None
        Representation on which the compressor of T is fitted, to keep it fixed over steps (the
        last snapshot, say). None: refitted on ``t``.
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
        },
    )  # fmt: skip
    if inner == COMPRESSED:
        raise InputError(f"`inner` of `{COMPRESSED}` must be another estimator; got itself.")
    rng = generator(rng)
    left, right, info, flags = _sides(v, t, params, reference, rng, serving(shared, t))
    settings = inner_params or {}
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
