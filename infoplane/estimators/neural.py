"""Variational bounds on mutual information with a trained critic: DV/MINE, NWJ, JS, InfoNCE, SMILE.

The estimators train a critic on half of the pairs and report the bound on held-out pairs only; the
bounds themselves are in :mod:`~infoplane.estimators.neural_bounds`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any, Literal

import numpy as np

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
from infoplane.estimators.neural_critics import Critic, Trained, critic, train
from infoplane.estimators.registry import Bounds, Estimator, check_params, estimator
from infoplane.estimators.shared import Shared
from infoplane.types import Cost, Estimate, FloatArray, Kind, Quantity, Status

TOUCH = 0.05  # share of the ceiling by which chance may pass it
MOST_CLASSES = 256  # labels up to which V enters the critic one-hot

Steps = Annotated[int, Bounds(1, 1_000_000)]
Batch = Annotated[int, Bounds(4, 4096)]
Rate = Annotated[float, Bounds(0, 1, open_low=True)]
Width = Annotated[int, Bounds(1, 4096)]
Shape = Literal["separable", "joint"]


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


def _estimate(
    name: str,
    v: Any,
    t: Any,
    given: dict[str, Any],
    objective: Callable[[Any], Any],
    bound: Callable[[FloatArray], float],
    rng: Rng,
    start: Critic | None,
) -> Estimate:
    """Train a critic, then report ``bound`` averaged over held-out batches."""
    params = check_params(name, given)
    left, flags_v, entropy_v = _side(v, "v", name)
    right, flags_t, entropy_t = _side(t, "t", name)
    same_length(left, right)
    n = len(right)
    enough(n, 32, estimator=name)
    common: dict[str, Any] = {
        "estimator": name, "n": n, "d": right.shape[1], "params": params,
        "flags": [*flags_v, *flags_t], "floor": 0.0,
    }  # fmt: skip
    if left.shape[1] == 0 or right.shape[1] == 0:
        return conclude(0.0, status=Status.DEGENERATE, **common)
    private = generator(rng)
    seed = int(private.integers(2**31))
    if start is None or not start.fits(left.shape[1], right.shape[1]):
        sizes = (params["hidden"], params["embed"])
        start = critic(params["critic"], left.shape[1], right.shape[1], *sizes, seed)
        if name in ("mi.nwj", "mi.tuba"):
            start.offset.data.fill_(1.0)  # "independent" in NWJ's terms

    def mean(blocks: list[FloatArray]) -> float:
        return float(np.mean([bound(block) for block in blocks]))

    result: Trained = train(
        left, right, objective, mean, start=start, steps=params["steps"], batch=params["batch"],
        rate=params["rate"], rng=private,
    )  # fmt: skip
    values = [bound(block) for block in result.blocks]
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
        info={"steps_done": result.steps, "held_out": len(local), "batch_used": size},
        **common,
    )


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
    "invariant": ("scaling", "constant unit"),
    "deterministic": False,
    "assumes": ("rows i.i.d.", "the critic is rich enough and trained enough"),
    "tolerance": {"gaussian": 0.15, "independent": 0.08},
    "meaningful_null": ("X", "Y"),
}
_LIMITS = (
    "no lower bound from n samples can exceed O(log n) with confidence: beyond log n it is flagged",
    "blind to how much of a deterministic layer's information is there: only what a critic finds",
)


@estimator(
    id="mi.mine",
    label="MINE",
    measures="DV lower bound on I(V;T) that a small trained critic reaches on held-out pairs",
    formula="max_f ⟨f(v,t)⟩ − log ⟨e^{f(v,t')}⟩",
    limits=(*_LIMITS, "over-estimates and spreads widely for large information"),
    reference="Belghazi et al., ICML 2018; Donsker & Varadhan (1975)",
    bound="lower",
    **_COMMON,
)
def mine(
    v: Any,
    t: Any,
    *,
    steps: Steps = 1500,
    batch: Batch = 128,
    rate: Rate = 2e-3,
    critic: Shape = "separable",
    hidden: Width = 64,
    embed: Width = 16,
    momentum: Annotated[float, Bounds(0.01, 0.99)] = 0.9,
    start: Any = None,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """DV lower bound in nats on held-out pairs, the gradient corrected by a running mean (MINE).

    Parameters
    ----------
    v : array_like, (n,) or (n, d_v)
        Variable asked about; up to 256 symbols enter one-hot.
    t : array_like, (n, d)
        Representation.
    steps, batch, rate
        Most updates, pairs in each, and Adam's rate. Training stops early when the value on a
        quarter of the pairs no longer grows.
    critic : {"separable", "joint"}
        g(v)·h(t), or one network on every pair.
    hidden, embed : int
        Widths of the two hidden layers and of the embedding.
    momentum : float
        Weight of the past in the running mean of the partition function.
    start : Critic or None
        Critic to go on from (a warm start across steps), as :func:`warm` makes it.
    rng
        For weights, split and batches.
    shared
        Not used.

    Returns
    -------
    Estimate
        ``stderr`` is the spread of the held-out joint scores over √m, without the partition's own.

    References
    ----------
    Belghazi et al., Mutual Information Neural Estimation, ICML 2018.
    """
    given = {"steps": steps, "batch": batch, "rate": rate, "critic": critic, "hidden": hidden,
             "embed": embed, "momentum": momentum}  # fmt: skip
    objective = MineObjective(momentum)
    return _estimate("mi.mine", v, t, given, objective, donsker_varadhan, rng, start)


def _plain_bound(
    name: str,
    summary: str,
    objective: Callable[[Any], Any],
    value: Callable[[FloatArray], float],
    **card: Any,
) -> Estimator:
    """Register a bound whose only parameters are those of its training."""

    def bound(
        v: Any,
        t: Any,
        *,
        steps: Steps = 1500,
        batch: Batch = 128,
        rate: Rate = 1e-3,
        critic: Shape = "separable",
        hidden: Width = 64,
        embed: Width = 16,
        start: Any = None,
        rng: Rng = None,
        shared: Shared | None = None,
    ) -> Estimate:
        given = {"steps": steps, "batch": batch, "rate": rate, "critic": critic, "hidden": hidden,
                 "embed": embed}  # fmt: skip
        return _estimate(name, v, t, given, objective, value, rng, start)

    bound.__doc__ = summary + _AS_MINE
    return estimator(id=name, bound="lower", **{**_COMMON, **card})(bound)


_AS_MINE = """

Parameters
----------
v, t
    As in ``mi.mine``.
steps, batch, rate, critic, hidden, embed, start, rng, shared
    As in ``mi.mine``.
"""

nwj_bound = _plain_bound(
    "mi.nwj",
    "NWJ lower bound in nats on held-out pairs of a trained critic.",
    train_nwj,
    nwj,
    label="NWJ",
    measures="NWJ lower bound on I(V;T) that a small trained critic reaches on held-out pairs",
    formula="max_f ⟨f(v,t)⟩ − e^{−1} ⟨e^{f(v,t')}⟩",
    limits=(*_LIMITS, "can fall without limit when the critic overshoots"),
    reference="Nguyen, Wainwright & Jordan, IEEE Trans. Inf. Theory 56 (2010)",
)

js = _plain_bound(
    "mi.js",
    "NWJ lower bound in nats of a critic trained on the Jensen–Shannon objective.",
    train_js,
    jensen_shannon,
    label="JS",
    measures="NWJ lower bound on I(V;T) of a critic trained on the Jensen–Shannon objective",
    formula="f = argmax −⟨softplus(−f)⟩ − ⟨softplus(f')⟩, then NWJ of f + 1",
    limits=(*_LIMITS, "evaluated without the +1, as in published code, it reads I − 1/e"),
    reference="Hjelm et al., ICLR 2019; Poole et al., ICML 2019",
)

infonce_bound = _plain_bound(
    "mi.infonce",
    "InfoNCE lower bound in nats on held-out pairs, at most log batch.",
    train_infonce,
    infonce,
    label="InfoNCE",
    measures="InfoNCE lower bound on I(V;T) that a small trained critic reaches on held-out pairs",
    formula="log B + max_f ⟨f_ii − log Σ_j e^{f_ij}⟩",
    ceiling="log batch",
    limits=(*_LIMITS, "cannot pass log batch"),
    reference="van den Oord, Li & Vinyals, arXiv:1807.03748",
)


@estimator(
    id="mi.tuba",
    label="α-TUBA",
    measures="interpolated lower bound I_α on I(V;T) that a small trained critic reaches on "
    "held-out pairs",
    formula="1 + ⟨f_ii − b_i⟩ − ⟨e^{f_ji − b_i}⟩_{j≠i},  b_i = log(α ⟨e^{f_ji}⟩_j + (1 − α) e)",
    limits=(*_LIMITS, "the baseline a(t) of TUBA is left to the critic, which can hold it"),
    reference="Poole, Ozair, van den Oord, Alemi & Tucker, ICML 2019",
    bound="lower",
    **{**_COMMON, "ceiling": "min(log n, 1 + log(batch / α))"},
)
def tuba_bound(
    v: Any,
    t: Any,
    *,
    alpha: Annotated[float, Bounds(0, 1)] = 0.5,
    steps: Steps = 1500,
    batch: Batch = 128,
    rate: Rate = 1e-3,
    critic: Shape = "separable",
    hidden: Width = 64,
    embed: Width = 16,
    start: Any = None,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """Interpolated lower bound I_α in nats on held-out pairs: NWJ at α = 0, InfoNCE at α = 1.

    Parameters
    ----------
    v, t
        As in ``mi.mine``.
    alpha : float in [0, 1]
        Weight of the batch's own partition: large, less spread and a ceiling of 1 + log(batch / α);
        small, no ceiling and the spread of NWJ.
    steps, batch, rate, critic, hidden, embed, start, rng, shared
        As in ``mi.mine``.
    """
    given = {"alpha": alpha, "steps": steps, "batch": batch, "rate": rate, "critic": critic,
             "hidden": hidden, "embed": embed}  # fmt: skip

    def bound(f: FloatArray) -> float:
        return tuba(f, alpha)

    return _estimate("mi.tuba", v, t, given, train_tuba(alpha), bound, rng, start)


@estimator(
    id="mi.smile",
    label="SMILE",
    measures="DV with clipped partition on held-out pairs: an estimate of I(V;T), not a bound",
    formula="⟨f_ii⟩ − log ⟨e^{clip(f_ij, −τ, τ)}⟩, f trained on the Jensen–Shannon objective",
    limits=(*_LIMITS, "a small τ over-estimates; τ = ∞ is DV"),
    reference="Song & Ermon, ICLR 2020",
    bound="neither",
    **_COMMON,
)
def smile_estimate(
    v: Any,
    t: Any,
    *,
    steps: Steps = 1500,
    batch: Batch = 128,
    rate: Rate = 1e-3,
    critic: Shape = "separable",
    hidden: Width = 64,
    embed: Width = 16,
    clip: Annotated[float, Bounds(0, 1e6, open_low=True)] = 5.0,
    start: Any = None,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """SMILE estimate in nats on held-out pairs, the partition clipped.

    Parameters
    ----------
    v, t
        As in ``mi.mine``.
    steps, batch, rate, critic, hidden, embed, start, rng, shared
        As in ``mi.mine``.
    clip : float
        τ: scores of unpaired rows enter the partition clipped to [−τ, τ].
    """
    given = {"steps": steps, "batch": batch, "rate": rate, "critic": critic, "hidden": hidden,
             "embed": embed, "clip": clip}  # fmt: skip

    def bound(f: FloatArray) -> float:
        return smile(f, clip)

    return _estimate("mi.smile", v, t, given, train_js, bound, rng, start)


def warm(
    d_v: int,
    d_t: int,
    *,
    kind: Shape = "separable",
    hidden: int = 64,
    embed: int = 16,
    seed: int = 0,
) -> Critic:
    """Make a critic to hand to ``start=`` of one step after the other: it keeps what it has learnt.

    ``d_v`` and ``d_t`` are the widths after dead units are dropped and labels made one-hot; a
    critic that does not fit is replaced by a fresh one.
    """
    return critic(kind, d_v, d_t, hidden, embed, seed)
