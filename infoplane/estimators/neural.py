"""Variational bounds on mutual information with a trained critic: DV/MINE, NWJ, JS, InfoNCE, SMILE.

The estimators train a critic on half of the pairs and report the bound on held-out pairs only; the
bounds themselves are in :mod:`~infoplane.estimators.neural_bounds`.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast, get_type_hints

import numpy as np
from numpy.typing import NDArray

from infoplane.errors import InputError
from infoplane.estimators.contract import (
    Rng,
    conclude,
    enough,
    entropy_of_counts,
    generator,
    heavy_tailed,
    is_discrete,
    live_columns,
    plain,
    same_length,
    samples,
    symbols,
)
from infoplane.estimators.kept import Origin, digest, kept
from infoplane.estimators.neighbours import standardise
from infoplane.estimators.neural_bounds import (
    MineObjective,
    donsker_varadhan,
    infonce,
    jensen_shannon,
    nwj,
    smile,
    train_infonce,
    train_js,
    train_nwj,
    train_tuba,
    tuba,
)
from infoplane.estimators.neural_critics import Critic, Trained, critic, revive, train
from infoplane.estimators.registry import Bounds, Estimator, check_params, estimator
from infoplane.estimators.shared import Shared
from infoplane.types import Cost, Estimate, FloatArray, Kind, Quantity, Status

TOUCH = 0.05  # share of the ceiling by which chance may pass it
MOST_CLASSES = 256  # labels up to which V enters the critic one-hot

VERSION = 1  # of the critics kept with a run: raised whenever their training changes

Rate = Annotated[float, Bounds(0, 1, open_low=True)]
Width = Annotated[int, Bounds(1, 4096)]


def _side(array: Any, name: str, estimator: str) -> tuple[FloatArray, list[str], float | None]:
    """One variable as standardised columns, its flags, and its entropy when it is discrete."""
    if is_discrete(array):
        codes = symbols(array, name=name, estimator=estimator)
        counts = np.bincount(codes)
        if len(counts) <= MOST_CLASSES and len(counts) <= 0.5 * len(codes):
            single = [] if len(counts) > 1 else ["single_class" if name == "v" else "constant"]
            one_hot = np.eye(len(counts))[codes][:, : 0 if single else None]
            return one_hot, single, entropy_of_counts(counts)
    values = plain(array, name=name)
    if values.dtype.kind not in "biuf":
        values = symbols(array, name=name, estimator=estimator)
    points, flags = live_columns(samples(values, name=name, minimum=2, estimator=estimator))
    marks = [*flags, *heavy_tailed(points)]
    return (standardise(points) if points.shape[1] else points), marks, None


@dataclass(frozen=True, slots=True)
class Recipe:
    """What tells one bound from another.

    Attributes
    ----------
    objective : callable
        Makes what is maximised in one training: it may keep a running mean.
    value : callable
        The bound of a held-out score matrix (B, B).
    first : float
        Score of every pair before the training.
    """

    objective: Callable[[], Callable[[Any], Any]]
    value: Callable[[FloatArray], float]
    first: float = 0.0


def _estimate(
    name: str, v: Any, t: Any, params: dict[str, Any], recipe: Recipe, data: Mapping[str, Any]
) -> Estimate:
    """Train a critic, then report the bound averaged over held-out batches."""
    left, flags_v, entropy_v = _side(v, "v", name)
    right, flags_t, entropy_t = _side(t, "t", name)
    same_length(left, right)
    n = len(right)
    enough(n, 32, estimator=name)
    private = generator(data["rng"])
    common: dict[str, Any] = {
        "estimator": name, "n": n, "d": right.shape[1], "params": params,
        "flags": [*flags_v, *flags_t], "floor": 0.0,
    }  # fmt: skip
    if left.shape[1] == 0 or right.shape[1] == 0:
        return conclude(0.0, status=Status.DEGENERATE, **common)
    model = _start(name, params, recipe, data)
    warm = model is not None and model.fits(left.shape[1], right.shape[1])
    seed = int(private.integers(2**31))
    if not warm:
        split = None if model is None else model.split
        model = _fresh(left.shape[1], right.shape[1], params, recipe, seed, split)
    assert model is not None
    result = _train(left, right, params, recipe, model, private)
    values = [recipe.value(block) for block in result.blocks]
    size = min(len(block) for block in result.blocks)
    # no estimate from n samples is to be trusted beyond log n (McAllester & Stratos 2020)
    ceilings = [c for c in (entropy_v, entropy_t, math.log(n)) if c is not None]
    if name == "mi.infonce":
        ceilings.append(math.log(size))
    if params.get("alpha", 0) > 0:
        ceilings.append(math.log((size - 1) / params["alpha"]) + (params["alpha"] < 1))
    local = np.concatenate([np.diag(block) for block in result.blocks])
    stderr = float(local.std(ddof=1)) / math.sqrt(len(local))
    return conclude(
        float(np.mean(values)),
        stderr=stderr,
        slack=min(3 * stderr, TOUCH * min(ceilings)) + 1e-6,
        ceiling=min(ceilings),
        info={"steps_done": result.steps, "held_out": len(local), "batch_used": size,
              "warm": warm},
        **common,
    )  # fmt: skip


def _fresh(
    d_v: int, d_t: int, params: dict[str, Any], recipe: Recipe, seed: int, split: int | None = None
) -> Critic:
    model = critic(params["critic"], d_v, d_t, params["hidden"], params["embed"], seed, split)
    if recipe.first:
        model.offset.data.fill_(recipe.first)
    return model


def _train(
    left: FloatArray,
    right: FloatArray,
    params: dict[str, Any],
    recipe: Recipe,
    start: Critic,
    rng: np.random.Generator,
) -> Trained:
    def mean(blocks: list[FloatArray]) -> float:
        return float(np.mean([recipe.value(block) for block in blocks]))

    return train(
        left, right, recipe.objective(), mean, start=start, steps=params["steps"],
        batch=params["batch"], rate=params["rate"], rng=rng,
    )  # fmt: skip


def _start(
    name: str, params: dict[str, Any], recipe: Recipe, data: Mapping[str, Any]
) -> Critic | None:
    """Return the critic to go on from: the caller's, or that of another step of the run."""
    start = data["start"]
    if start is None and params["start_step"] is not None:
        raise InputError(
            f"`start_step` of `{name}` names a step of a run, which `evaluate` looks up; on arrays "
            "pass a critic as `start=` (infoplane.estimators.neural.warm makes one)."
        )
    if not isinstance(start, Origin):
        return cast(Critic | None, start)
    content = [
        VERSION,
        name,
        start.identity,
        start.target,
        *(params[key] for key in sorted(params)),
    ]
    seed = int(digest(repr(content).encode())[:15], 16)
    arrays = kept(data["shared"], "critic", content, lambda: _learnt(start, params, recipe, seed))
    return revive(params["critic"], arrays, seed) if arrays else None


def _learnt(
    origin: Origin, params: dict[str, Any], recipe: Recipe, seed: int
) -> dict[str, NDArray[Any]]:
    """Train a critic at another step; nothing when there is nothing to learn there."""
    (left, *_), (right, *_) = (_side(side, "v", "start") for side in origin.load())
    if not left.shape[1] or not right.shape[1]:
        return {}
    rng = np.random.default_rng(seed)
    weights = int(rng.integers(2**31))
    model = _fresh(left.shape[1], right.shape[1], params, recipe, weights, seed)
    return _train(left, right, params, recipe, model, rng).critic.arrays()


def _common(
    *,
    steps: Annotated[int, Bounds(1, 1_000_000)] = 1500,
    batch: Annotated[int, Bounds(4, 4096)] = 128,
    rate: Rate = 1e-3,
    critic: Literal["separable", "joint"] = "separable",
    hidden: Width = 64,
    embed: Width = 16,
    start_step: Annotated[int, Bounds(0, math.inf)] | None = None,
    start: Any = None,
    rng: Rng = None,
    shared: Shared | None = None,
) -> None:
    """Keywords that every bound has."""


_DOC = """

Parameters
----------
v : array_like, (n,) or (n, d_v)
    Variable asked about; up to 256 symbols enter one-hot.
t : array_like, (n, d)
    Representation.
{own}steps, batch, rate
    Most updates, pairs in each, and Adam's rate. Training stops early when the value on a quarter
    of the pairs no longer grows.
critic : {{"separable", "joint"}}
    g(v)·h(t), or one network on every pair.
hidden, embed : int
    Widths of the two hidden layers and of the embedding.
start_step : int or None
    In a run: the step whose critic the training goes on from at every other step (a warm start).
    It is trained once, kept with the run, and scored on the same held-out pairs everywhere, so
    that no value depends on the order of the steps or on who measures them.
start : Critic or None
    On arrays: the critic to go on from, as :func:`warm` makes it.
rng
    For weights, split and batches.
shared
    Keeps the critic of ``start_step``.

Returns
-------
Estimate
    The mean over held-out batches. ``stderr`` is the spread of the held-out joint scores over √m,
    without the partition's own; ``info["steps_done"]`` and ``info["warm"]`` tell of the training.
"""


def _bound(own: str = "", **entry: Any) -> Callable[[Callable[..., Recipe]], Estimator]:
    """Make an estimator of a function that makes a recipe of a bound's own parameters.

    The estimator's keywords are those of the function and those of :func:`_common`; ``own``
    documents the former.
    """

    def make(recipe: Callable[..., Recipe]) -> Estimator:
        given = inspect.signature(recipe).parameters
        keyword = inspect.Parameter.KEYWORD_ONLY
        known = {**given, **inspect.signature(_common).parameters, **given}

        def bound(v: Any, t: Any, **settings: Any) -> Estimate:
            arguments = signature.bind(v, t, **settings)
            arguments.apply_defaults()
            values = dict(arguments.arguments)
            data = {name: values.pop(name) for name in ("start", "rng", "shared")}
            params = check_params(entry["id"], {k: x for k, x in values.items() if k in known})
            made = recipe(**{name: params[name] for name in given})
            return _estimate(entry["id"], v, t, params, made, data)

        sides = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in "vt"]
        signature = inspect.Signature(
            [*sides, *(parameter.replace(kind=keyword) for parameter in known.values())]
        )
        hints = {**get_type_hints(_common, include_extras=True)}
        hints |= get_type_hints(recipe, include_extras=True)
        functools.update_wrapper(bound, recipe, assigned=("__module__", "__name__", "__qualname__"))
        del bound.__wrapped__  # type: ignore[attr-defined]
        bound.__doc__ = f"{inspect.getdoc(recipe)}{_DOC.format(own=own)}"
        bound.__signature__ = signature  # type: ignore[attr-defined]
        bound.__annotations__ = {**hints, "v": Any, "t": Any, "return": Estimate}
        return estimator(**{**_COMMON, **entry})(bound)

    return make


_COMMON: dict[str, Any] = {
    "quantity": Quantity.MI,
    "accepts": (
        (Kind.CONTINUOUS, Kind.CONTINUOUS),
        (Kind.DISCRETE, Kind.CONTINUOUS),
        (Kind.DISCRETE, Kind.DISCRETE),
    ),
    "cost": Cost.THOROUGH,
    "complexity": "steps × batch² (joint) or steps × batch (separable)",
    "min_samples": 32,
    "ceiling": "log n",
    "bound": "lower",
    "invariant": ("scaling", "constant unit"),
    "deterministic": False,
    "assumes": ("rows i.i.d.", "the critic is rich enough and trained enough"),
    "tolerance": {"gaussian": 0.15, "independent": 0.03},
    "meaningful_null": ("X", "Y"),
}
_LIMITS = (
    "no lower bound from n samples can exceed O(log n) with confidence: beyond log n it is flagged",
    "blind to how much of a deterministic layer's information is there: only what a critic finds",
)


@_bound(
    id="mi.mine",
    label="MINE",
    measures="DV lower bound on I(V;T) that a small trained critic reaches on held-out pairs",
    formula="max_f ⟨f(v,t)⟩ − log ⟨e^{f(v,t')}⟩",
    limits=(*_LIMITS, "over-estimates and spreads widely for large information"),
    reference="Belghazi et al., ICML 2018; Donsker & Varadhan (1975)",
    own="""momentum : float
    Weight of the past in the running mean of the partition function.
""",
)
def mine(*, rate: Rate = 2e-3, momentum: Annotated[float, Bounds(0.01, 0.99)] = 0.9) -> Recipe:
    """DV lower bound in nats on held-out pairs, the gradient corrected by a running mean (MINE)."""
    return Recipe(lambda: MineObjective(momentum), donsker_varadhan)


@_bound(
    id="mi.nwj",
    label="NWJ",
    measures="NWJ lower bound on I(V;T) that a small trained critic reaches on held-out pairs",
    formula="max_f ⟨f(v,t)⟩ − e^{−1} ⟨e^{f(v,t')}⟩",
    limits=(*_LIMITS, "can fall without limit when the critic overshoots"),
    reference="Nguyen, Wainwright & Jordan, IEEE Trans. Inf. Theory 56 (2010)",
)
def nwj_bound() -> Recipe:
    """NWJ lower bound in nats on held-out pairs of a trained critic."""
    return Recipe(lambda: train_nwj, nwj, first=1.0)  # 1 is "independent" in its terms


@_bound(
    id="mi.js",
    label="JS",
    measures="NWJ lower bound on I(V;T) of a critic trained on the Jensen–Shannon objective",
    formula="f = argmax −⟨softplus(−f)⟩ − ⟨softplus(f')⟩, then NWJ of f + 1",
    limits=(*_LIMITS, "evaluated without the +1, as in published code, it reads I − 1/e"),
    reference="Hjelm et al., ICLR 2019; Poole et al., ICML 2019",
)
def js() -> Recipe:
    """NWJ lower bound in nats of a critic trained on the Jensen–Shannon objective."""
    return Recipe(lambda: train_js, jensen_shannon)


@_bound(
    id="mi.infonce",
    label="InfoNCE",
    measures="InfoNCE lower bound on I(V;T) that a small trained critic reaches on held-out pairs",
    formula="log B + max_f ⟨f_ii − log Σ_j e^{f_ij}⟩",
    ceiling="log batch",
    limits=(*_LIMITS, "cannot pass log batch"),
    reference="van den Oord, Li & Vinyals, arXiv:1807.03748",
)
def infonce_bound() -> Recipe:
    """InfoNCE lower bound in nats on held-out pairs, at most log batch."""
    return Recipe(lambda: train_infonce, infonce)


@_bound(
    id="mi.tuba",
    label="α-TUBA",
    measures="interpolated lower bound I_α on I(V;T) that a small trained critic reaches on "
    "held-out pairs",
    formula="1 + ⟨f_ii − b_i⟩ − ⟨e^{f_ji − b_i}⟩_{j≠i},  b_i = log(α ⟨e^{f_ji}⟩_j + (1 − α) e)",
    limits=(*_LIMITS, "the baseline a(t) of TUBA is left to the critic, which can hold it"),
    reference="Poole, Ozair, van den Oord, Alemi & Tucker, ICML 2019",
    ceiling="min(log n, 1 + log(batch / α))",
    own="""alpha : float in [0, 1]
    Weight of the batch's own partition: large, less spread and a ceiling of 1 + log(batch / α);
    small, no ceiling and the spread of NWJ.
""",
)
def tuba_bound(*, alpha: Annotated[float, Bounds(0, 1)] = 0.5) -> Recipe:
    """Interpolated lower bound I_α in nats on held-out pairs: NWJ at α = 0, InfoNCE at α = 1."""
    return Recipe(lambda: train_tuba(alpha), lambda f: tuba(f, alpha), first=1.0)


@_bound(
    id="mi.smile",
    label="SMILE",
    measures="DV with clipped partition on held-out pairs: an estimate of I(V;T), not a bound",
    formula="⟨f_ii⟩ − log ⟨e^{clip(f_ij, −τ, τ)}⟩, f trained on the Jensen–Shannon objective",
    limits=(*_LIMITS, "a small τ over-estimates; τ = ∞ is DV"),
    reference="Song & Ermon, ICLR 2020",
    bound="neither",
    own="""clip : float
    τ: scores of unpaired rows enter the partition clipped to [−τ, τ].
""",
)
def smile_estimate(*, clip: Annotated[float, Bounds(0, 1e6, open_low=True)] = 5.0) -> Recipe:
    """SMILE estimate in nats on held-out pairs, the partition clipped."""
    return Recipe(lambda: train_js, lambda f: smile(f, clip))


def warm(
    d_v: int,
    d_t: int,
    *,
    kind: Literal["separable", "joint"] = "separable",
    hidden: int = 64,
    embed: int = 16,
    seed: int = 0,
) -> Critic:
    """Make a critic to hand to ``start=`` of one step after the other: it keeps what it has learnt.

    It is trained and scored on the same halves of the pairs at every step. ``d_v`` and ``d_t`` are
    the widths after dead units are dropped and labels made one-hot; a critic that does not fit is
    replaced by a fresh one.
    """
    return critic(kind, d_v, d_t, hidden, embed, seed, split=seed)
