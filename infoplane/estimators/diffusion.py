"""Diffusion spectral entropy (DSE).

A Gaussian kernel makes the rows of T a graph; its random walk has eigenvalues λ_i, and

    S_D = −Σ α_i log α_i,   α_i = |λ_i|^t / Σ_j |λ_j|^t.

Liao et al., Assessing Neural Network Representations During Training Using Noise-Resilient
Diffusion Spectral Entropy (2023). It is no Shannon quantity: S_D depends on n and on σ against the
scale of the layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from infoplane.errors import RefusedError
from infoplane.estimators.contract import (
    Rng,
    conclude,
    generator,
    heavy_tailed,
    live_columns,
    samples,
)
from infoplane.estimators.distances import Distances, pairwise, standing
from infoplane.estimators.registry import Bounds, check_params, estimator
from infoplane.estimators.shared import Shared, recall, serving
from infoplane.estimators.spectrum import (
    DOUBLE,
    EXACT,
    STEEP,
    STEPS,
    eigenvalues,
    entropy,
    low_rank_eigenvalues,
    quadrature,
    shares,
    walk_eigenvalues,
)
from infoplane.types import Cost, Estimate, Flags, FloatArray, IntArray, Kind, Quantity

SINGLE = 1500  # rows from which the eigenvalues of a plain walk are in single precision
EXACT_ROWS, QUADRATURE_ROWS = 11_000, 16_000  # what fits in 1 GiB: two float32 matrices, or one

Sigma = Annotated[float, Bounds(0, math.inf, open_low=True)] | Literal["median", "sqrt_d"]
Time = Annotated[float, Bounds(0, 1e6, open_low=True)]
Alpha = Annotated[float, Bounds(0, 1)]
Method = Literal["auto", "exact", "quadrature"]

REFERENCE = "Liao et al. 2023, arXiv:2312.04823, Def. IV.1 and IV.2"
LIMITS = (
    "no Shannon entropy: compare at a fixed number of samples only, it grows with n",
    "not scale invariant: σ far below the distances gives log n, far above gives 0",
)


@dataclass(frozen=True, slots=True)
class Diffusion:
    """The entropy of any set of rows under one setting; single precision from some rows on."""

    pairs: Distances
    sigma: float
    t: float
    alpha: float
    method: str
    single: int = SINGLE

    def spectrum(self, among: IntArray | None = None) -> FloatArray | None:
        """Eigenvalues, None where only a quadrature is affordable."""
        return self._solve(*self.operator(among))

    def _solve(self, operator: NDArray[Any], root: NDArray[Any]) -> FloatArray | None:
        """Eigenvalues, if need be after which the operator is spoilt."""
        values = None
        if self.t >= 1 and self.method != "quadrature":  # a t below 1 would see the remainder
            values = low_rank_eigenvalues(operator)
        if values is None and _is_exact(self.method, len(operator)):
            if self.t == 1 and len(operator) >= self.single:
                return walk_eigenvalues(operator, root)
            values = eigenvalues(operator, what="diffusion operator")
        return values

    def operator(self, among: IntArray | None) -> tuple[NDArray[Any], NDArray[Any]]:
        """Symmetric matrix with the eigenvalues of the random walk, and the roots of its degrees.

        α = 0 is the plain walk, 1 the anisotropic one.
        """
        kernel = self.pairs.gaussian(self.sigma, among)
        if self.alpha:
            _divide(kernel, kernel.sum(axis=1) ** self.alpha)
        root = np.sqrt(kernel.sum(axis=1))
        _divide(kernel, root)
        return kernel, root

    def entropy(
        self, rng: np.random.Generator, among: IntArray | None = None
    ) -> tuple[float, float | None]:
        """Return S_D of all rows (or of those ``among``) and its standard error, None if exact."""
        if among is not None and len(among) < 2:
            return 0.0, None
        operator, root = self.operator(among)
        values = self._solve(operator, root)
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

    steps = STEPS if t >= 1 else STEEP
    traces = quadrature(operator, [weight, log_weight], rng=rng, steps=steps)
    z, numerator = traces.mean
    z = max(float(z), 1.0)  # λ₁ = 1 of a random walk alone gives 1
    gradient = np.array([(1 - numerator / z) / z, 1 / z])
    return math.log(z) + float(numerator) / z, traces.stderr(gradient)


def prepare(
    x: FloatArray,
    params: dict[str, Any],
    random: np.random.Generator,
    shared: Shared | None,
    single: int = SINGLE,
) -> tuple[Diffusion, Flags]:
    """Return the walk on the rows of X, and the flags of the data and of the width."""
    pairs = pairwise(x, shared, np.float64 if len(x) <= DOUBLE else np.float32)
    sigma = pairs.width(params["sigma"], random)
    t, alpha, method = params["t"], params["alpha"], params["method"]
    diffusion = Diffusion(pairs, sigma, t, alpha, method, single)
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
    assumes=("σ suits the distances between rows", "values are compared at one n only"),
    invariant=("row order", "rotation", "constant unit"),
    limits=(
        *LIMITS,
        "eigenvalues of 1,500 rows and more in single precision at t = 1: off by 5e-6 nat at most",
        "above 3,000 rows by quadrature with a standard error, unless the kernel has low rank or "
        "method='exact'",
        "refused above 16,000 rows: a subsample would be another quantity",
    ),
    tolerance={"four far clusters, t=50": 1e-9, "quadrature": 0.02, "simplex": 1e-9},
    bound="exact",
    reference=REFERENCE,
    version=3,
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
    refuse_too_many(n, method)
    random = generator(rng)
    diffusion, flags = prepare(x, params, random, shared)
    key = ("diffusion spectrum", diffusion.sigma, alpha, t < 1, method)
    values = recall(shared, key, diffusion.spectrum)
    if values is not None:
        value, stderr = entropy(shares(values**t)), None
    else:
        value, stderr = diffusion.estimate(diffusion.operator(None)[0], random)
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


def refuse_too_many(n: int, method: str) -> None:
    """Raise RefusedError above the rows that fit in 1 GiB."""
    limit = EXACT_ROWS if method == "exact" else QUADRATURE_ROWS
    if n > limit:
        raise RefusedError(
            f"`entropy.diffusion` with method={method!r} takes at most {limit:,} samples within "
            f"1 GiB; got {n:,}. Use a fixed probe set below that: the entropy depends on n, "
            "so a silent subsample would be another quantity."
        )
