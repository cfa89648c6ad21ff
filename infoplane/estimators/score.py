"""Information from denoising: MINDE and the score-based total correlations of SΩI.

With x_t = m x + σ ε, m² + σ² = 1, and ε̂ the mean of ε given what is seen, every quantity is half
the integral over the log noise ratio λ = log σ²/m² of a mean squared difference of two ε̂:
I(X;Y) = ½ ∫ ⟨‖ε̂(x_t) − ε̂(x_t|y)‖²⟩ dλ. No noise schedule is left in the formula.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import numpy as np

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
    same_length,
    samples,
    symbols,
)
from infoplane.estimators.interaction import Others, variables
from infoplane.estimators.neighbours import standardise
from infoplane.estimators.registry import Bounds, check_params, estimator
from infoplane.estimators.score_nets import ABSENT, CLEAN, DIFFUSED, mix, predict, train
from infoplane.estimators.shared import Shared
from infoplane.types import Cost, Estimate, FloatArray, Kind, Quantity, Status

MINDE = "mi.minde"
SCORE = "interaction.score"
LEVELS = (-9.0, 10.0)
"""Range of λ: from noise of 1 % of a unit's deviation to nothing but noise."""
MOST = 8  # variables

Denoise = Callable[[FloatArray, FloatArray], FloatArray]


def gap(
    clean: FloatArray,
    first: Denoise,
    second: Denoise,
    rng: np.random.Generator,
    *,
    repeats: int = 10,
    levels: tuple[float, float] = LEVELS,
) -> tuple[float, float]:
    """½ ∫ ⟨‖ε̂₁ − ε̂₂‖²⟩ dλ by Monte Carlo, and its standard error.

    Parameters
    ----------
    clean : ndarray, (n, d)
        What is diffused.
    first, second : callable
        ``denoise(x_t (n, d), level (n, 1)) -> ε̂ (n, d)``, the rows in the order of ``clean``.
    rng : Generator
    repeats : int
        Draws of (λ, ε) for each row; λ is stratified over the repeats.
    levels : (float, float)
        Range of λ.
    """
    n, (low, high) = len(clean), levels
    sums = np.zeros(n)
    for part in range(repeats):
        level = low + (high - low) * (part + rng.random((n, 1))) / repeats
        x = mix(clean, rng.standard_normal(clean.shape), level)
        sums += ((first(x, level) - second(x, level)) ** 2).sum(axis=1)
    local = 0.5 * (high - low) * sums / repeats
    return float(local.mean()), float(local.std(ddof=1) / math.sqrt(n))


def _columns(array: Any, name: str, by: str) -> tuple[FloatArray, list[str], float | None]:
    """Standardised columns of one variable, its flags, and its entropy when discrete."""
    if is_discrete(array):
        codes = symbols(array, name=name, estimator=by)
        counts = np.bincount(codes)
        if len(counts) == 1:
            mark = "single_class" if name == "v" else "constant"
            return np.empty((len(codes), 0)), [mark], 0.0
        if len(counts) <= 64:
            return standardise(np.eye(len(counts))[codes]), [], entropy_of_counts(counts)
        array = codes.astype(float)
    live, flags = live_columns(samples(array, name=name, minimum=2, estimator=by))
    marks = [*flags, *heavy_tailed(live)]
    return (standardise(live) if live.shape[1] else live), marks, None


@estimator(
    id=MINDE,
    label="MINDE",
    quantity=Quantity.MI,
    measures="I(V;T) of the joint density from a small trained denoiser of T with and without V",
    formula="½ ∫ ⟨‖ε̂(t_λ) − ε̂(t_λ|v)‖²⟩ dλ,  λ = log σ²/m²",
    accepts=((Kind.CONTINUOUS, Kind.CONTINUOUS), (Kind.DISCRETE, Kind.CONTINUOUS)),
    cost=Cost.THOROUGH,
    complexity="steps × 256 × width² to train",
    min_samples=32,
    max_dim=20,
    ceiling="min(log n, H(V))",
    assumes=("rows i.i.d.", "the denoiser is rich enough and trained enough"),
    invariant=("label names", "constant unit"),
    deterministic=False,
    limits=(
        "the published size (100,000 samples, hours on a GPU) is not this one: read it as a check",
        "form='scores' cannot be negative and reads the network's own error as information",
        "structure finer than 1 % of a unit's deviation is not seen",
        "no estimate from n samples is to be trusted beyond log n: there it is flagged",
    ),
    version=2,
    reference="Franzese, Bounoua & Michiardi, MINDE, ICLR 2024",
    tolerance={"gaussian": 0.18, "independent": 0.03},
    meaningful_null=("X", "Y"),
)
def minde(
    v: Any,
    t: Any,
    *,
    steps: Annotated[int, Bounds(1, 1_000_000)] = 1500,
    repeats: Annotated[int, Bounds(1, 1000)] = 20,
    form: Literal["scores", "losses"] = "scores",
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """I(V;T) = ½ ∫ ⟨‖ε̂(t_λ) − ε̂(t_λ|v)‖²⟩ dλ in nats, from one small denoiser.

    Trained on three quarters of the rows, evaluated on the rest.

    Parameters
    ----------
    v : array_like, (n,) or (n, d_v)
        What the denoiser is told; up to 64 symbols enter one-hot.
    t : array_like, (n, d)
        What is diffused.
    steps : int
        Updates of the network.
    repeats : int
        Noise draws for each held-out row.
    form : {"scores", "losses"}
        The published squared difference, or the difference of the two squared errors, which can
        be negative and carries no error of the network as information.
    rng
        For weights, split and noise.
    shared
        Not used.

    Returns
    -------
    Estimate
        ``info`` holds both forms.

    References
    ----------
    Franzese, Bounoua & Michiardi, MINDE: Mutual information neural diffusion estimation, ICLR 2024.
    """
    params = check_params(MINDE, {"steps": steps, "repeats": repeats, "form": form})
    left, flags_v, entropy_v = _columns(v, "v", MINDE)
    right, flags_t, entropy_t = _columns(t, "t", MINDE)
    same_length(left, right)
    n, d = right.shape
    enough(n, 32, estimator=MINDE)
    flags = [*flags_v, *flags_t]
    common: dict[str, Any] = {"estimator": MINDE, "n": n, "d": d, "params": params}
    if d == 0 or left.shape[1] == 0:
        return conclude(0.0, flags=flags, status=Status.DEGENERATE, **common)
    rng = generator(rng)
    order = rng.permutation(n)
    fit, held = order[: 3 * n // 4], order[3 * n // 4 :]
    data, sizes = np.hstack([left, right]), (left.shape[1], d)
    questions = np.array([[ABSENT, DIFFUSED], [CLEAN, DIFFUSED]])
    model = train(data[fit], sizes, questions, LEVELS, steps, rng)
    told = left[held]

    def with_state(state: Sequence[float]) -> Denoise:
        return lambda x, level: predict(model, np.hstack([told, x]), state, level)[:, sizes[0] :]

    both = {"scores": [0.0, 0.0], "losses": [0.0, 0.0]}
    seed = int(rng.integers(2**31))
    alone, given = with_state((ABSENT, DIFFUSED)), with_state((CLEAN, DIFFUSED))
    both["scores"] = list(
        gap(right[held], alone, given, np.random.default_rng(seed), repeats=repeats)
    )
    both["losses"] = list(_loss_gap(right[held], alone, given, seed, repeats))
    value, stderr = both[form]
    flags += [f"high_dimension={d}"] if d > 20 else []
    return conclude(
        value,
        stderr=stderr,
        ceiling=min(c for c in (entropy_v, entropy_t, math.log(n)) if c is not None),
        floor=0.0,
        slack=3 * stderr + 0.05,
        flags=flags,
        info={name: pair[0] for name, pair in both.items()} | {"held_out": len(held)},
        **common,
    )


def _loss_gap(
    clean: FloatArray, alone: Denoise, given: Denoise, seed: int, repeats: int
) -> tuple[float, float]:
    """½ ∫ ⟨‖ε − ε̂(x)‖² − ‖ε − ε̂(x|y)‖²⟩ dλ and its standard error."""
    rng, (low, high) = np.random.default_rng(seed), LEVELS
    n = len(clean)
    sums = np.zeros(n)
    for part in range(repeats):
        level = low + (high - low) * (part + rng.random((n, 1))) / repeats
        noise = rng.standard_normal(clean.shape)
        x = mix(clean, noise, level)
        misses = [((noise - denoise(x, level)) ** 2).sum(axis=1) for denoise in (alone, given)]
        sums += misses[0] - misses[1]
    local = 0.5 * (high - low) * sums / repeats
    return float(local.mean()), float(local.std(ddof=1) / math.sqrt(n))


def states_of(count: int) -> dict[str, FloatArray]:
    """States of the questions behind TC and DTC: all together, each alone, each given the rest."""
    eye = np.eye(count, dtype=bool)
    return {
        "joint": np.full((1, count), DIFFUSED),
        "alone": np.where(eye, DIFFUSED, ABSENT),
        "given": np.where(eye, DIFFUSED, CLEAN),
    }


@estimator(
    id=SCORE,
    label="score interaction (SΩI)",
    quantity=Quantity.INTERACTION,
    measures="TC, DTC, Ω or S of several variables from one small trained denoiser",
    formula="TC = ½∫⟨‖ε̂_joint − [ε̂_i]‖²⟩dλ,  DTC = ½∫⟨‖ε̂_joint − [ε̂_i given the rest]‖²⟩dλ",
    accepts=(Kind.CONTINUOUS, Kind.DISCRETE),
    cost=Cost.THOROUGH,
    complexity="steps × 256 × width² to train",
    assumes=("rows i.i.d.", "the denoiser is rich enough and trained enough"),
    min_samples=32,
    invariant=(),
    deterministic=False,
    limits=(
        "TC and DTC carry errors that cancel in Ω: never read them without their spread",
        "published with 100,000 samples; at this size a check of the Gaussian closed form",
    ),
    reference="Bounoua, Franzese & Michiardi, SΩI: Score-based O-information estimation, ICML 2024",
    tolerance={"independent": 0.06},
    needs="layers",
    meaningful_null=(),
)
def score(
    t: Any,
    *,
    part: Literal["o", "tc", "dtc", "s"] = "o",
    steps: Annotated[int, Bounds(1, 1_000_000)] = 2000,
    repeats: Annotated[int, Bounds(1, 1000)] = 20,
    other_layers: Others = None,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """Interaction of several variables in nats, from the scores of one small denoiser.

    Parameters
    ----------
    t : sequence or mapping of (n,) or (n, d_i) arrays, or one array (n, N)
        Two to eight variables: layers (a few columns each), or the columns of one array.
    part : {"o", "tc", "dtc", "s"}
        O-information, total correlation, dual total correlation or their sum; all in ``info``.
    steps, repeats : int
        Updates of the network, and noise draws for each held-out row.
    other_layers : tuple of str or None
        In a run: the layers beside T, at the same step.
    rng
        For weights, split and noise.
    shared
        Not used.

    References
    ----------
    Bounoua, Franzese & Michiardi, ICML 2024.
    """
    asked = {"part": part, "steps": steps, "repeats": repeats, "other_layers": other_layers}
    params = check_params(SCORE, asked)
    given = [_columns(one, "t", SCORE) for one in variables(t, SCORE, params["other_layers"])]
    n, count = len(given[0][0]), len(given)
    enough(n, 32, estimator=SCORE)
    columns = [one for one, _, _ in given if one.shape[1]]
    flags = sorted({flag for _, marks, _ in given for flag in marks if flag != "constant"})
    common: dict[str, Any] = {"estimator": SCORE, "n": n, "d": count, "params": params}
    if len(columns) < 2:
        return conclude(0.0, flags=["constant"], status=Status.DEGENERATE, **common)
    if len(columns) > MOST:
        raise InputError(
            f"`{SCORE}` takes at most {MOST} variables; got {len(columns)}. Use "
            "`interaction.o_information` for more."
        )
    rng = generator(rng)
    sizes = [one.shape[1] for one in columns]
    data = np.hstack(columns)
    order = rng.permutation(n)
    fit, held = order[: 3 * n // 4], order[3 * n // 4 :]
    states = states_of(len(columns))
    model = train(data[fit], sizes, np.vstack(list(states.values())), LEVELS, steps, rng)
    clean, ends = data[held], np.cumsum(sizes)
    blocks = [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]

    def joint(x: FloatArray, level: FloatArray) -> FloatArray:
        return predict(model, x, states["joint"][0], level)

    def one_by_one(kind: str) -> Denoise:
        def denoise(x: FloatArray, level: FloatArray) -> FloatArray:
            result = np.empty_like(x)
            for state, block in zip(states[kind], blocks, strict=True):
                seen = clean.copy()
                seen[:, block] = x[:, block]
                result[:, block] = predict(model, seen, state, level)[:, block]
            return result

        return denoise

    seed = int(rng.integers(2**31))
    found = {
        name: gap(clean, joint, one_by_one(kind), np.random.default_rng(seed), repeats=repeats)
        for name, kind in (("tc", "alone"), ("dtc", "given"))
    }
    (tc, sd_tc), (dtc, sd_dtc) = found["tc"], found["dtc"]
    values = {"tc": tc, "dtc": dtc, "o": tc - dtc, "s": tc + dtc}
    spread = {"tc": sd_tc, "dtc": sd_dtc}.get(part, math.hypot(sd_tc, sd_dtc))
    return conclude(values[part], stderr=spread, flags=flags, info=values, **common)
