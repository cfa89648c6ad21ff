"""Variational bounds on mutual information with a trained critic: DV/MINE, NWJ, JS, InfoNCE, SMILE.

The bounds themselves are functions of a score matrix f (B, B), f_ij = f(v_i, t_j), the joint pairs
on the diagonal, in plain numpy. The estimators train a critic on half of the pairs and report the
bound on held-out pairs only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any, Literal

import numpy as np
from scipy.special import logsumexp

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
from infoplane.estimators.neural_critics import Critic, Trained, critic, train
from infoplane.estimators.registry import Bounds, check_params, estimator
from infoplane.estimators.shared import Shared
from infoplane.types import Cost, Estimate, FloatArray, Kind, Quantity, Status

MOST_CLASSES = 256  # labels up to which V enters the critic one-hot

# ------------------------------------------------------------------ bounds of a score matrix


def _off(f: FloatArray) -> FloatArray:
    """Scores of the pairs that do not belong together, (B(B−1),)."""
    return f[~np.eye(len(f), dtype=bool)]


def _log_mean_exp(scores: FloatArray) -> float:
    return float(logsumexp(scores)) - math.log(scores.size)


def donsker_varadhan(f: FloatArray) -> float:
    """Value of DV, and of MINE: ⟨f_ii⟩ − log ⟨e^{f_ij}⟩_{i≠j}; best at f = log ratio + constant."""
    return float(np.diag(f).mean()) - _log_mean_exp(_off(f))


def nwj(f: FloatArray) -> float:
    """⟨f_ii⟩ − e^{−1} ⟨e^{f_ij}⟩_{i≠j}; best at f = 1 + log ratio, never above DV of the same f."""
    with np.errstate(over="ignore"):
        partition = np.exp(_log_mean_exp(_off(f)) - 1.0)
    return float(np.diag(f).mean() - partition)


def jensen_shannon(f: FloatArray) -> float:
    """NWJ of f + 1: a JS-trained critic is the log ratio itself, where NWJ wants one more."""
    return nwj(f + 1.0)


def infonce(f: FloatArray) -> float:
    """Log B + ⟨f_ii − log Σ_j e^{f_ij}⟩ ≤ log B, the sum with the diagonal."""
    return math.log(len(f)) + float((np.diag(f) - logsumexp(f, axis=1)).mean())


def smile(f: FloatArray, clip: float = 5.0) -> float:
    """⟨f_ii⟩ − log ⟨e^{clip(f_ij, −τ, τ)}⟩_{i≠j}: less spread than DV, and no longer a bound."""
    return float(np.diag(f).mean()) - _log_mean_exp(np.clip(_off(f), -clip, clip))


# ------------------------------------------------------------------ what is trained (torch)


def _off_mask(f: Any) -> Any:
    import torch

    return ~torch.eye(len(f), dtype=torch.bool)


def _train_dv(f: Any) -> Any:
    off = f[_off_mask(f)]
    return f.diagonal().mean() - (off.logsumexp(0) - math.log(off.numel()))


class _MineObjective:
    """DV whose gradient divides by a running mean of the partition, not by the batch's own."""

    def __init__(self, momentum: float = 0.9) -> None:
        self.momentum = momentum
        self.log_mean: float | None = None

    def __call__(self, f: Any) -> Any:
        off = f[_off_mask(f)]
        log_mean = off.logsumexp(0) - math.log(off.numel())
        now = float(log_mean.detach())
        if self.log_mean is None:
            self.log_mean = now
        old = math.log(self.momentum) + self.log_mean
        self.log_mean = float(np.logaddexp(old, math.log1p(-self.momentum) + now))
        return f.diagonal().mean() - (log_mean - self.log_mean).clamp(max=10.0).exp()


def _train_nwj(f: Any) -> Any:
    off = f[_off_mask(f)]
    return f.diagonal().mean() - (off.logsumexp(0) - math.log(off.numel()) - 1).clamp(max=20).exp()


def _train_js(f: Any) -> Any:
    from torch.nn.functional import softplus

    return -softplus(-f.diagonal()).mean() - softplus(f[_off_mask(f)]).mean()


def _train_infonce(f: Any) -> Any:
    return (f.diagonal() - f.logsumexp(1)).mean()


# ------------------------------------------------------------------ the estimators

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
    params: dict[str, Any],
    objective: Callable[[Any], Any],
    bound: Callable[[FloatArray], float],
    rng: Rng,
    start: Critic | None,
) -> Estimate:
    """Train a critic, then report ``bound`` averaged over held-out batches."""
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
        if bound is nwj:
            start.offset.data.fill_(1.0)  # "independent" in NWJ's terms

    def mean(blocks: list[FloatArray]) -> float:
        return float(np.mean([bound(block) for block in blocks]))

    result: Trained = train(
        left, right, objective, mean, start=start, steps=params["steps"], batch=params["batch"],
        rate=params["rate"], rng=private,
    )  # fmt: skip
    values = [bound(block) for block in result.blocks]
    size = min(len(block) for block in result.blocks)
    ceilings = [c for c in (entropy_v, entropy_t) if c is not None]
    if name == "mi.infonce":
        ceilings.append(math.log(size))
    local = np.concatenate([np.diag(block) for block in result.blocks])
    stderr = float(local.std(ddof=1)) / math.sqrt(len(local))
    return conclude(
        float(np.mean(values)),
        stderr=stderr,
        slack=3 * stderr + 1e-6,
        ceiling=min(ceilings) if ceilings else None,
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
    "invariant": ("scaling", "constant unit"),
    "deterministic": False,
    "assumes": ("rows i.i.d.", "the critic is rich enough and trained enough"),
    "tolerance": {"gaussian": 0.15, "independent": 0.08},
    "meaningful_null": ("X", "Y"),
}
_LIMITS = (
    "no lower bound from n samples can exceed O(log n) with confidence",
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
    params = check_params("mi.mine", {"steps": steps, "batch": batch, "rate": rate,
        "critic": critic, "hidden": hidden, "embed": embed, "momentum": momentum})  # fmt: skip
    objective = _MineObjective(momentum)
    return _estimate("mi.mine", v, t, params, objective, donsker_varadhan, rng, start)


@estimator(
    id="mi.nwj",
    label="NWJ",
    measures="NWJ lower bound on I(V;T) that a small trained critic reaches on held-out pairs",
    formula="max_f ⟨f(v,t)⟩ − e^{−1} ⟨e^{f(v,t')}⟩",
    limits=(*_LIMITS, "can fall without limit when the critic overshoots"),
    reference="Nguyen, Wainwright & Jordan, IEEE Trans. Inf. Theory 56 (2010)",
    bound="lower",
    **_COMMON,
)
def nwj_bound(
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
    """NWJ lower bound in nats on held-out pairs of a trained critic.

    Parameters
    ----------
    v, t
        As in ``mi.mine``.
    steps, batch, rate, critic, hidden, embed, start, rng, shared
        As in ``mi.mine``.
    """
    params = check_params("mi.nwj", {"steps": steps, "batch": batch, "rate": rate,
        "critic": critic, "hidden": hidden, "embed": embed})  # fmt: skip
    return _estimate("mi.nwj", v, t, params, _train_nwj, nwj, rng, start)


@estimator(
    id="mi.js",
    label="JS",
    measures="NWJ lower bound on I(V;T) of a critic trained on the Jensen–Shannon objective",
    formula="f = argmax −⟨softplus(−f)⟩ − ⟨softplus(f')⟩, then NWJ of f + 1",
    limits=(*_LIMITS, "evaluated without the +1, as in published code, it reads I − 1/e"),
    reference="Hjelm et al., ICLR 2019; Poole et al., ICML 2019",
    bound="lower",
    **_COMMON,
)
def js(
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
    """NWJ lower bound in nats of a critic trained on the Jensen–Shannon objective.

    Parameters
    ----------
    v, t
        As in ``mi.mine``.
    steps, batch, rate, critic, hidden, embed, start, rng, shared
        As in ``mi.mine``.
    """
    params = check_params("mi.js", {"steps": steps, "batch": batch, "rate": rate,
        "critic": critic, "hidden": hidden, "embed": embed})  # fmt: skip
    return _estimate("mi.js", v, t, params, _train_js, jensen_shannon, rng, start)


@estimator(
    id="mi.infonce",
    label="InfoNCE",
    measures="InfoNCE lower bound on I(V;T) that a small trained critic reaches on held-out pairs",
    formula="log B + max_f ⟨f_ii − log Σ_j e^{f_ij}⟩",
    ceiling="log batch",
    limits=(*_LIMITS, "cannot pass log batch"),
    reference="van den Oord, Li & Vinyals, arXiv:1807.03748",
    bound="lower",
    **_COMMON,
)
def infonce_bound(
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
    """InfoNCE lower bound in nats on held-out pairs, at most log batch.

    Parameters
    ----------
    v, t
        As in ``mi.mine``.
    steps, batch, rate, critic, hidden, embed, start, rng, shared
        As in ``mi.mine``.
    """
    params = check_params("mi.infonce", {"steps": steps, "batch": batch, "rate": rate,
        "critic": critic, "hidden": hidden, "embed": embed})  # fmt: skip
    return _estimate("mi.infonce", v, t, params, _train_infonce, infonce, rng, start)


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
    params = check_params("mi.smile", {"steps": steps, "batch": batch, "rate": rate,
        "critic": critic, "hidden": hidden, "embed": embed, "clip": clip})  # fmt: skip

    def bound(f: FloatArray) -> float:
        return smile(f, clip)

    return _estimate("mi.smile", v, t, params, _train_js, bound, rng, start)


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
