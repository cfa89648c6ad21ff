"""Diffusion spectral mutual information (DSMI).

The entropy of each class is compared with that of random subsets of the same size, since S_D grows
with n:

    I_D = Σ_c p(c) [mean over 5 subsets of size n_c of S_D − S_D(class c)].

Liao et al., Assessing Neural Network Representations During Training Using Noise-Resilient
Diffusion Spectral Entropy (2023).
"""

from __future__ import annotations

import math
from random import Random
from typing import Annotated, Any

import numpy as np

from infoplane.errors import InputError
from infoplane.estimators import on_device
from infoplane.estimators.clusters import cluster_codes
from infoplane.estimators.contract import (
    Rng,
    classes,
    conclude,
    generator,
    is_discrete,
    live_columns,
    plain,
    same_length,
    samples,
)
from infoplane.estimators.diffusion import (
    LIMITS,
    REFERENCE,
    Alpha,
    Diffusion,
    Method,
    Sigma,
    Time,
    prepare,
    refuse_too_many,
)
from infoplane.estimators.distances import standing
from infoplane.estimators.registry import Bounds, check_params, estimator
from infoplane.estimators.shared import Shared, serving
from infoplane.estimators.threads import in_runs, threads
from infoplane.types import Cost, Estimate, FloatArray, IntArray, Kind, Quantity

REPLICATES = 5  # random subsets that stand beside each class, as published
SINGLE = 500  # rows of a class from which its eigenvalues are in single precision, at t = 1
RARE = 5  # samples below which a class counts as rare


def diffusion_null(
    v: Any,
    representation: Any,
    /,
    *,
    draws: int,
    rng: Rng = None,
    shared: Shared | None = None,
    **params: Any,
) -> FloatArray:
    """DSMI under shuffled labels, (draws,): the matched subsets are computed once for all draws."""
    params = check_params("mi.diffusion", params)
    shared = serving(shared, representation)
    seed = _seed(rng)
    x, labels, random = _read(v, representation, params, rng, shared)
    diffusion, _ = prepare(x, params, random, shared, SINGLE)
    counts = np.bincount(labels)
    matched = _matched(diffusion, counts, seed)
    shuffled = [random.permutation(labels) for _ in range(draws)]
    return _differences(diffusion, shuffled, counts, matched, random)


@estimator(
    id="mi.diffusion",
    label="DSMI",
    quantity=Quantity.MI,
    measures="diffusion spectral entropy of a random subset minus that of a class of the same size",
    formula="Σ_c p(c) [mean over 5 subsets of size n_c of S_D − S_D(class c)]",
    accepts=((Kind.DISCRETE, Kind.CONTINUOUS), (Kind.CONTINUOUS, Kind.CONTINUOUS)),
    cost=Cost.STANDARD,
    complexity="n_c³ a class",
    min_samples=4,
    ceiling="Σ p(c) log n_c",
    assumes=(
        "rows i.i.d.",
        "σ suits the distances between rows",
        "clusters stand for X where V is continuous",
    ),
    invariant=("row order", "label names", "rotation", "constant unit"),
    deterministic=False,
    limits=(
        *LIMITS,
        "may be negative, and is not symmetric",
        "classes of 500 rows and more in single precision at t = 1: off by 5e-6 nat at most",
        "a continuous X is replaced by its spectral clusters, whose number is a choice",
    ),
    tolerance={"independent": 0.008},
    reference=REFERENCE,
    meaningful_null=("X", "Y"),
    null=diffusion_null,
    version=4,
)
def diffusion_mi(
    v: Any,
    representation: Any,
    /,
    *,
    sigma: Sigma = 10.0,
    t: Time = 1.0,
    alpha: Alpha = 0.0,
    method: Method = "auto",
    clusters: Annotated[int, Bounds(2, 1000)] = 10,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """Diffusion spectral mutual information of T with a discrete variable, in nats; never clipped.

    Parameters
    ----------
    v : array, (n,) or (n, p)
        Integers (or text) are classes. Floats of several columns are replaced by ``clusters``
        spectral clusters (found once per array), a single float column by bins of equal width.
    representation : array, (n, d)
        T.
    sigma, t, alpha, method
        As for ``entropy.diffusion``; the width is one for all classes.
    clusters : int
        Number of clusters or bins of a continuous ``v``.
    rng : Generator or seed
        For the random subsets: without one, or with a seed, those of the published code under the
        same seed. Classes of the same size are compared with the same subsets.
    shared : Shared, optional
        Memo of this representation's distances.

    Returns
    -------
    Estimate
        ``stderr`` is that of the choice of subsets alone.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError, RefusedError
    """
    name = "mi.diffusion"
    params = check_params(
        name, {"sigma": sigma, "t": t, "alpha": alpha, "method": method, "clusters": clusters}
    )
    shared = serving(shared, representation)
    seed = _seed(rng)
    x, labels, random = _read(v, representation, params, rng, shared)
    diffusion, flags = prepare(x, params, random, shared, SINGLE)
    counts = np.bincount(labels)
    matched = _matched(diffusion, counts, seed)
    value = float(_differences(diffusion, [labels], counts, matched, random)[0])
    dead = live_columns(x)[1]
    rare = int((counts < RARE).sum())
    marks = [f"rare_class={rare}"] if rare else []
    trivial = len(counts) == 1 or "constant" in dead
    weights = counts / counts.sum()
    return conclude(
        0.0 if trivial else value,
        estimator=name,
        n=len(x),
        d=x.shape[1],
        params=params,
        ceiling=float((weights * np.log(counts)).sum()),
        stderr=None if trivial else _subset_error(counts, matched),
        flags=(*dead, *flags, *marks, *(["single_class"] if len(counts) == 1 else [])),
        status=standing(flags, trivial=trivial),
        info={"sigma": diffusion.sigma, "classes": len(counts), "stderr_of": "random subsets"},
    )


def _read(
    v: Any, representation: Any, params: dict[str, Any], rng: Rng, shared: Shared | None
) -> tuple[FloatArray, IntArray, np.random.Generator]:
    x = samples(representation, name="t", minimum=4, estimator="mi.diffusion")
    same_length(plain(v, name="v"), x)
    refuse_too_many(len(x), "auto")
    if not is_discrete(v):
        return x, _compact(cluster_codes(v, params["clusters"], shared=shared)), generator(rng)
    try:
        return x, classes(v, name="v", estimator="mi.diffusion"), generator(rng)
    except InputError as error:
        raise InputError(
            f"{error} For I(X;T) pass X as floats: `mi.diffusion` then takes its spectral clusters."
        ) from None


def _compact(codes: IntArray) -> IntArray:
    return np.unique(codes, return_inverse=True)[1].reshape(-1)


def _seed(rng: Rng) -> int:
    """Return the seed given, also that of a generator from which nothing was drawn yet."""
    random = generator(rng)
    if not isinstance(rng, np.random.Generator):
        return int(rng or 0)
    given = getattr(rng.bit_generator.seed_seq, "entropy", None)
    if isinstance(given, int):
        fresh = np.random.default_rng(given).bit_generator.state
        if fresh == rng.bit_generator.state:
            return given
    return int(random.integers(1 << 62))


def _matched(diffusion: Diffusion, counts: IntArray, seed: int) -> dict[int, FloatArray]:
    """Entropies of random subsets of each class size, (replicates,), drawn as the published code.

    It sets Python's generator to its seed at every class; here each size has one of its own.
    """
    n, subsets = diffusion.pairs.n, {}
    for size in sorted({int(count) for count in counts}):
        stream = Random(seed)
        replicates = REPLICATES if size < n else 1
        subsets[size] = [np.array(stream.sample(range(n), size)) for _ in range(replicates)]
    entropies = iter(
        _entropies(diffusion, [rows for some in subsets.values() for rows in some], seed)
    )
    return {size: np.array([next(entropies) for _ in some]) for size, some in subsets.items()}


def _differences(
    diffusion: Diffusion,
    labellings: list[IntArray],
    counts: IntArray,
    matched: dict[int, FloatArray],
    rng: np.random.Generator,
) -> FloatArray:
    """I_D of each labelling, all with these class sizes."""
    classes = [
        np.flatnonzero(labels == label) for labels in labellings for label in range(len(counts))
    ]
    inside = _entropies(diffusion, classes, int(rng.integers(1 << 62)))
    outside = np.array([matched[int(count)].mean() for count in counts])
    gaps = outside - inside.reshape(len(labellings), len(counts))
    return np.asarray(gaps @ (counts / counts.sum()))


def _entropies(diffusion: Diffusion, subsets: list[IntArray], seed: int) -> FloatArray:
    """S_D of each set of rows, in threads; a quadrature's probes come from a stream for each."""
    values = np.empty(len(subsets))

    def work(numbers: list[int]) -> None:
        for number in numbers:
            stream = np.random.default_rng([seed, number])
            values[number] = diffusion.entropy(stream, subsets[number])[0]

    rows = sum(len(subset) for subset in subsets)
    alone = on_device.chosen() is not None  # a device is chosen for one thread
    in_runs(work, list(range(len(subsets))), 1 if alone else threads(rows))
    return values


def _subset_error(counts: IntArray, matched: dict[int, FloatArray]) -> float:
    """Return the standard error from the spread of the subsets.

    Those of all sizes come from one seed and share most of their rows: their errors add up.
    """
    error = 0.0
    for size, values in matched.items():
        weight = size * int((counts == size).sum()) / counts.sum()
        error += weight * (
            float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else 0.0
        )
    return error
