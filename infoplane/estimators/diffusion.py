"""Diffusion spectral entropy (DSE) and diffusion spectral mutual information (DSMI).

A Gaussian kernel makes the rows of T a graph; its random walk has eigenvalues λ_i, and

    S_D = −Σ α_i log α_i,   α_i = |λ_i|^t / Σ_j |λ_j|^t.

DSMI compares the entropy of each class with that of random subsets of the same size, since S_D
grows with n. Liao et al., Assessing Neural Network Representations During Training Using
Noise-Resilient Diffusion Spectral Entropy (2023). They are no Shannon quantities: S_D depends on n
and on σ against the scale of the layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from infoplane.errors import InputError, RefusedError
from infoplane.estimators.clusters import cluster_codes
from infoplane.estimators.contract import (
    Rng,
    classes,
    conclude,
    generator,
    heavy_tailed,
    is_discrete,
    live_columns,
    plain,
    same_length,
    samples,
)
from infoplane.estimators.distances import Distances, pairwise, standing
from infoplane.estimators.registry import Bounds, check_params, estimator
from infoplane.estimators.shared import Shared, recall, serving
from infoplane.estimators.spectrum import (
    DOUBLE,
    EXACT,
    eigenvalues,
    entropy,
    low_rank_eigenvalues,
    quadrature,
    shares,
)
from infoplane.types import Cost, Estimate, Flags, FloatArray, IntArray, Kind, Quantity

EXACT_ROWS, QUADRATURE_ROWS = 11_000, 16_000  # what fits in 1 GiB: two float32 matrices, or one
REPLICATES = 5  # random subsets that stand beside each class, as published
RARE = 5  # samples below which a class counts as rare

Sigma = Annotated[float, Bounds(0, math.inf, open_low=True)] | Literal["median", "sqrt_d"]
Time = Annotated[float, Bounds(0, 1e6, open_low=True)]
Alpha = Annotated[float, Bounds(0, 1)]
Method = Literal["auto", "exact", "quadrature"]

_REFERENCE = "Liao et al. 2023, arXiv:2312.04823, Def. IV.1 and IV.2"
_LIMITS = (
    "no Shannon entropy: compare at a fixed number of samples only, it grows with n",
    "not scale invariant: σ far below the distances gives log n, far above gives 0",
)


@dataclass(frozen=True, slots=True)
class _Diffusion:
    """The entropy of any set of rows under one setting."""

    pairs: Distances
    sigma: float
    t: float
    alpha: float
    method: str

    def spectrum(self, among: IntArray | None = None) -> FloatArray | None:
        """Eigenvalues, None where only a quadrature is affordable."""
        return self._solve(self.operator(among))

    def _solve(self, operator: NDArray[Any]) -> FloatArray | None:
        values = None
        if self.t >= 1 and self.method != "quadrature":  # a t below 1 would see the remainder
            values = low_rank_eigenvalues(operator)
        if values is None and _is_exact(self.method, len(operator)):
            values = eigenvalues(operator, what="diffusion operator")
        return values

    def operator(self, among: IntArray | None) -> NDArray[Any]:
        """Symmetric matrix with the eigenvalues of the random walk (α = 0 plain, 1 anisotropic)."""
        kernel = self.pairs.gaussian(self.sigma, among)
        if self.alpha:
            _divide(kernel, kernel.sum(axis=1) ** self.alpha)
        _divide(kernel, np.sqrt(kernel.sum(axis=1)))
        return kernel

    def entropy(
        self, rng: np.random.Generator, among: IntArray | None = None
    ) -> tuple[float, float | None]:
        """Return S_D of all rows (or of those ``among``) and its standard error, None if exact."""
        if among is not None and len(among) < 2:
            return 0.0, None
        operator = self.operator(among)
        values = self._solve(operator)
        if values is not None:
            return entropy(shares(values**self.t)), None
        return self.estimate(operator, rng)

    def estimate(
        self, operator: NDArray[Any], rng: np.random.Generator
    ) -> tuple[float, float | None]:
        """Return S_D by quadrature, for which float32 is enough, and its standard error."""
        return _estimated(operator.astype(np.float32, copy=False), self.t, rng)


def _is_exact(method: str, n: int) -> bool:
    return method == "exact" or (method == "auto" and n <= EXACT)


def _divide(kernel: NDArray[Any], weight: NDArray[Any]) -> None:
    kernel /= weight[:, None]
    kernel /= weight


def _estimated(operator: NDArray[Any], t: float, rng: np.random.Generator) -> tuple[float, float]:
    """S = log Z + N / Z with Z = Σ λ^t and N = −Σ λ^t log λ^t, both traces, by quadrature."""

    def weight(values: FloatArray) -> FloatArray:
        return np.asarray(values**t)

    def log_weight(values: FloatArray) -> FloatArray:
        return np.asarray(-weight(values) * t * np.log(np.maximum(values, 1e-300)))

    traces = quadrature(operator, [weight, log_weight], rng=rng)
    z, numerator = traces.mean
    z = max(float(z), 1.0)  # λ₁ = 1 of a random walk alone gives 1
    gradient = np.array([(1 - numerator / z) / z, 1 / z])
    return math.log(z) + float(numerator) / z, traces.stderr(gradient)


def _prepare(
    x: FloatArray,
    params: dict[str, Any],
    random: np.random.Generator,
    shared: Shared | None,
) -> tuple[_Diffusion, Flags]:
    pairs = pairwise(x, shared, np.float64 if len(x) <= DOUBLE else np.float32)
    sigma = pairs.width(params["sigma"], random)
    diffusion = _Diffusion(pairs, sigma, params["t"], params["alpha"], params["method"])
    return diffusion, Flags([*heavy_tailed(x), *pairs.at_an_end(sigma)])


@estimator(
    id="entropy.diffusion",
    label="DSE",
    quantity=Quantity.ENTROPY,
    measures="diffusion spectral entropy: spread of the eigenvalues of a random walk on the rows",
    formula="−Σ α log α, α = |λ|^t / Σ|λ|^t, λ of the walk with kernel exp(−‖·‖²/2σ²)",
    accepts=(Kind.CONTINUOUS,),
    cost=Cost.STANDARD,
    complexity="n³ up to 3,000 rows, n² beyond",
    min_samples=2,
    ceiling="log n",
    invariant=("row order", "rotation", "constant unit"),
    limits=(
        *_LIMITS,
        "above 3,000 rows by quadrature with a standard error, unless the kernel has low rank or "
        "method='exact'",
        "refused above 16,000 rows: a subsample would be another quantity",
    ),
    tolerance={"four far clusters, t=50": 1e-9, "quadrature": 0.02},
    bound="exact",
    reference=_REFERENCE,
)
def diffusion_entropy(
    representation: Any,
    /,
    *,
    sigma: Sigma = 10.0,
    t: Time = 1.0,
    alpha: Alpha = 0.0,
    method: Method = "auto",
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """Diffusion spectral entropy S_D(T) of a representation, in nats.

    Parameters
    ----------
    representation : array, (n, d)
        T.
    sigma : float or "median" or "sqrt_d"
        Width of the Gaussian kernel, in the layer's unit; the median distance; √d.
    t : float
        Diffusion time: larger ones keep the slow eigenvalues, the clusters.
    alpha : float in [0, 1]
        Density correction of the kernel. 0 is the spectrum that the published code has, the plain
        random walk; 0.5 is the anisotropic one that its text describes.
    method : {"auto", "exact", "quadrature"}
        Exact eigenvalues up to 3,000 rows and quadrature beyond; or one of them always.
    rng : Generator or seed
        For the probes of the quadrature and the rows of the median.
    shared : Shared, optional
        Memo of this representation's distances and spectra.

    Returns
    -------
    Estimate
        ``ceiling`` is log n; ``stderr`` is None when exact; ``info`` has the width used.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError, RefusedError

    Examples
    --------
    >>> import numpy as np
    >>> far = np.repeat(np.arange(4)[:, None] * 1000.0, 25, axis=0)
    >>> round(diffusion_entropy(far).bits, 9)
    2.0
    """
    name = "entropy.diffusion"
    params = check_params(name, {"sigma": sigma, "t": t, "alpha": alpha, "method": method})
    shared = serving(shared, representation)
    x = samples(representation, name="t", estimator=name)
    n, d = x.shape
    _refuse_too_many(n, method)
    random = generator(rng)
    diffusion, flags = _prepare(x, params, random, shared)
    key = ("diffusion spectrum", diffusion.sigma, alpha, t < 1, method)
    values = recall(shared, key, diffusion.spectrum)
    if values is not None:
        value, stderr = entropy(shares(values**t)), None
    else:
        value, stderr = diffusion.estimate(diffusion.operator(None), random)
    dead = live_columns(x)[1]
    return conclude(
        value,
        estimator=name,
        n=n,
        d=d,
        params=params,
        ceiling=math.log(n),
        floor=0.0,
        slack=1e-9 if stderr is None else 4 * stderr + 1e-5,
        stderr=stderr,
        flags=(*dead, *flags),
        status=standing(flags, trivial="constant" in dead),
        info={
            "sigma": diffusion.sigma,
            "method": "exact" if stderr is None else "quadrature",
            "dtype": diffusion.pairs.points.dtype.name,
        },
    )


def sweep(
    representation: Any,
    sigmas: Sequence[float],
    *,
    t: float = 1.0,
    alpha: float = 0.0,
    method: Method = "auto",
    rng: Rng = None,
) -> list[Estimate]:
    """Diffusion spectral entropy at several widths, from one pass over the distances.

    Parameters
    ----------
    representation : array, (n, d)
        T.
    sigmas : sequence of float
        Widths.
    t, alpha, method, rng
        As for ``entropy.diffusion``.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError, RefusedError

    Examples
    --------
    >>> [round(e.bits, 3) for e in sweep([[0.0], [1.0], [5.0], [6.0]], [0.1, 1.0, 100.0])]
    [2.0, 1.715, 0.008]
    """
    shared = Shared(representation)
    setting: dict[str, Any] = {"t": t, "alpha": alpha, "method": method, "rng": rng}
    return [
        diffusion_entropy(representation, sigma=sigma, shared=shared, **setting) for sigma in sigmas
    ]


def _refuse_too_many(n: int, method: str) -> None:
    limit = EXACT_ROWS if method == "exact" else QUADRATURE_ROWS
    if n > limit:
        raise RefusedError(
            f"`entropy.diffusion` with method={method!r} takes at most {limit:,} samples within "
            f"1 GiB; got {n:,}. Use a fixed probe set below that: the entropy depends on n, "
            "so a silent subsample would be another quantity."
        )


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
    x, labels, random = _read(v, representation, params, rng)
    diffusion, _ = _prepare(x, params, random, shared)
    counts = np.bincount(labels)
    matched = _matched(diffusion, counts, random)
    return np.array(
        [
            _difference(diffusion, random.permutation(labels), counts, matched, random)
            for _ in range(draws)
        ]
    )


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
    invariant=("row order", "label names", "rotation", "constant unit"),
    deterministic=False,
    limits=(
        *_LIMITS,
        "may be negative, and is not symmetric",
        "a continuous X is replaced by its spectral clusters, whose number is a choice",
    ),
    tolerance={"independent": 0.05},
    reference=_REFERENCE,
    meaningful_null=("X", "Y"),
    null=diffusion_null,
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
        For the random subsets. Classes of the same size are compared with the same subsets.
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
    x, labels, random = _read(v, representation, params, rng)
    diffusion, flags = _prepare(x, params, random, shared)
    counts = np.bincount(labels)
    matched = _matched(diffusion, counts, random)
    value = _difference(diffusion, labels, counts, matched, random)
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
    v: Any, representation: Any, params: dict[str, Any], rng: Rng
) -> tuple[FloatArray, IntArray, np.random.Generator]:
    x = samples(representation, name="t", minimum=4, estimator="mi.diffusion")
    same_length(plain(v, name="v"), x)
    if len(x) > QUADRATURE_ROWS:
        _refuse_too_many(len(x), params["method"])
    if not is_discrete(v):
        return x, _compact(cluster_codes(v, params["clusters"])), generator(rng)
    try:
        return x, classes(v, name="v", estimator="mi.diffusion"), generator(rng)
    except InputError as error:
        raise InputError(
            f"{error} For I(X;T) pass X as floats: `mi.diffusion` then takes its spectral clusters."
        ) from None


def _compact(codes: IntArray) -> IntArray:
    return np.unique(codes, return_inverse=True)[1].reshape(-1)


def _matched(
    diffusion: _Diffusion, counts: IntArray, rng: np.random.Generator
) -> dict[int, FloatArray]:
    """Entropies of random subsets of each class size, (replicates,), from a stream per size."""
    seed = int(rng.integers(1 << 62))
    result = {}
    for size in sorted({int(count) for count in counts}):
        stream = np.random.default_rng([seed, size])
        result[size] = np.array(
            [
                diffusion.entropy(stream, stream.choice(diffusion.pairs.n, size, replace=False))[0]
                for _ in range(REPLICATES if size < diffusion.pairs.n else 1)
            ]
        )
    return result


def _difference(
    diffusion: _Diffusion,
    labels: IntArray,
    counts: IntArray,
    matched: dict[int, FloatArray],
    rng: np.random.Generator,
) -> float:
    total = 0.0
    for label, count in enumerate(counts):
        inside = diffusion.entropy(rng, np.flatnonzero(labels == label))[0]
        total += count / len(labels) * (float(matched[int(count)].mean()) - inside)
    return total


def _subset_error(counts: IntArray, matched: dict[int, FloatArray]) -> float:
    """Return the standard error from the spread of the subsets; equal classes share theirs."""
    variance = 0.0
    for size, values in matched.items():
        weight = size * int((counts == size).sum()) / counts.sum()
        variance += weight**2 * (values.var(ddof=1) / len(values) if len(values) > 1 else 0.0)
    return math.sqrt(variance)
