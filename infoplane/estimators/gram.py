"""Gram matrices of variables and their Rényi entropies: marginal, joint, by blocks of labels.

A variable is a Gaussian kernel over rows, or labels, whose matrix of equal labels has the histogram
as its spectrum. The joint matrix A ∘ B of labels and a kernel is block diagonal, so that it costs
the eigenvalues of the classes only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infoplane.errors import RefusedError
from infoplane.estimators.call import Call, column_flags
from infoplane.estimators.contract import (
    Rng,
    conclude,
    generator,
    heavy_tailed,
    is_discrete,
    plain,
    same_length,
    samples,
    symbols,
)
from infoplane.estimators.distances import Distances, pairwise, standing
from infoplane.estimators.registry import check_params
from infoplane.estimators.shared import Shared, recall, serving
from infoplane.estimators.spectrum import (
    DOUBLE,
    EXACT,
    LOG_DOMAIN,
    ORDER_ONE,
    STEEP,
    STEPS,
    eigenvalues,
    entropy,
    log_power_sum,
    low_rank_eigenvalues,
    purity,
    quadrature,
)
from infoplane.types import Estimate, Flags, FloatArray, IntArray

LIMIT = 11_000  # rows of which two float32 Gram matrices fit in 1 GiB

Uncertain = tuple[float, float]  # a value and its variance (0 when exact)


@dataclass(frozen=True, slots=True)
class Gaussian:
    """A continuous variable: Gram matrices exp(−‖·‖²/2σ²) of any of its rows."""

    pairs: Distances
    sigma: float
    shared: Shared | None = None

    def matrix(self, among: IntArray | None = None) -> NDArray[Any]:
        """Gram matrix of all rows, or of those ``among``."""
        return self.pairs.gaussian(self.sigma, among)

    def marginal(self, alpha: float, rng: np.random.Generator) -> Uncertain:
        """S_α(A), exact wherever the eigenvalues are affordable."""
        n = self.pairs.n
        if alpha == 2.0:
            purity = ("gaussian purity", self.sigma)
            return recall(self.shared, purity, lambda: _entropy([self.matrix()], n, 2.0, rng))
        spectrum = ("gaussian spectrum", self.sigma, alpha < 1)
        values = recall(self.shared, spectrum, lambda: _solve(self.matrix(), alpha))
        if values is not None:
            return entropy(values / n, alpha), 0.0
        return _entropy([self.matrix()], n, alpha, rng)


@dataclass(frozen=True, slots=True)
class Labels:
    """A discrete variable: the matrix of equal labels, whose spectrum is its histogram."""

    codes: IntArray

    def marginal(self, alpha: float, rng: np.random.Generator) -> Uncertain:
        """S_α of the histogram."""
        return entropy(np.bincount(self.codes) / len(self.codes), alpha), 0.0


Variable = Gaussian | Labels


def joint_entropy(
    a: Variable,
    b: Gaussian,
    alpha: float,
    rng: np.random.Generator,
    order: IntArray | None = None,
) -> Uncertain:
    """Return S_α(A ∘ B), with the samples of A in another ``order`` when one is given."""
    n = b.pairs.n
    if isinstance(a, Labels):
        codes = a.codes if order is None else a.codes[order]
        return _entropy((b.matrix(rows) for rows in _members(codes)), n, alpha, rng)
    product = b.matrix()
    product *= a.matrix(order)
    return _entropy([product], n, alpha, rng)


def _members(codes: IntArray) -> Iterator[IntArray]:
    ordered = np.argsort(codes, kind="stable")
    yield from np.split(ordered, np.cumsum(np.bincount(codes))[:-1])


def _entropy(blocks: Any, n: int, alpha: float, rng: np.random.Generator) -> Uncertain:
    """S_α of the block-diagonal matrix with these unit-diagonal blocks, divided by n.

    The blocks add up in Σ λ (λ^{α−1} − 1), which is tr A^α − 1 without cancellation; far above
    order 1, where tr A^α is nearly 0, in its logarithm.
    """
    if alpha >= LOG_DOMAIN and alpha != 2.0:
        return _far_entropy([_log_power(block, n, alpha, rng) for block in blocks], alpha)
    total = variance = 0.0
    for block in blocks:
        value, spread = _excess(block, n, alpha, rng)
        total += value
        variance += spread
    if abs(alpha - 1.0) < ORDER_ONE:
        return -total, variance
    return math.log1p(total) / (1.0 - alpha), variance / ((1.0 - alpha) * (1.0 + total)) ** 2


def _far_entropy(parts: list[Uncertain], alpha: float) -> Uncertain:
    """S_α from log tr A_b^α of the blocks and the relative variances of those traces."""
    logs, spreads = np.array(parts).T
    top = logs.max()
    weights = np.exp(logs - top)
    total = weights.sum()
    variance = float((np.square(weights / total) * spreads).sum())
    return float(top + np.log(total)) / (1.0 - alpha), variance / (1.0 - alpha) ** 2


def _log_power(block: NDArray[Any], n: int, alpha: float, rng: np.random.Generator) -> Uncertain:
    """Return log Σ (λ/n)^α of a block, and the relative variance of that sum."""
    values = _solve(block, alpha)
    if values is not None:
        return log_power_sum(values[values > 0] / n, alpha), 0.0
    # of the order of the largest eigenvalue and not below it, so that no power over- or underflows
    scale = len(block) * math.sqrt(purity(block))
    found = quadrature(
        block.astype(np.float32, copy=False), [lambda values: (values / scale) ** alpha], rng=rng
    )
    trace = max(float(found.mean[0]), np.finfo(np.float64).tiny)
    logarithm = alpha * math.log(scale / n) + math.log(trace)
    return logarithm, (found.stderr(np.ones(1)) / trace) ** 2


def _solve(block: NDArray[Any], alpha: float) -> FloatArray | None:
    """Eigenvalues of a Gram matrix, None where only a quadrature is affordable."""
    values = low_rank_eigenvalues(block) if alpha >= 1 else None
    if values is None and len(block) <= EXACT:
        values = eigenvalues(block, what="Gram matrix")
    return values


def _excess(block: NDArray[Any], n: int, alpha: float, rng: np.random.Generator) -> Uncertain:
    if alpha == 2.0:
        square = np.einsum("ij,ij->i", block, block).sum(dtype=np.float64)
        return float(square) / n**2 - len(block) / n, 0.0

    def function(values: FloatArray) -> FloatArray:
        share = values / n
        logs = np.log(np.maximum(share, 1e-300))
        one = abs(alpha - 1.0) < ORDER_ONE
        return np.asarray(share * (logs if one else np.expm1((alpha - 1.0) * logs)))

    values = _solve(block, alpha)
    if values is not None:
        return float(function(values).sum()), 0.0
    steps = STEPS if alpha >= 1 else STEEP
    trace = quadrature(block.astype(np.float32, copy=False), [function], rng=rng, steps=steps)
    return float(trace.mean[0]), trace.stderr(np.ones(1)) ** 2


def continuous(
    array: FloatArray,
    sigma: float | str,
    rng: np.random.Generator,
    shared: Shared | None = None,
) -> Gaussian:
    """Return the Gaussian kernel over rows (n, d), its width by number or rule."""
    # eigenvalues are wanted to the last digit; the quadrature of many rows is content with less
    pairs = pairwise(array, shared, np.float64 if len(array) <= DOUBLE else np.float32)
    return Gaussian(pairs, pairs.width(sigma, rng), shared)


def gaussian_entropy(
    call: Call, alpha: float, sigma: float | str, rng: Rng
) -> tuple[float, float | None, float, Flags]:
    """Return S_α of the Gaussian Gram matrix of X, its standard error, the width and its flags.

    Raises
    ------
    RefusedError
        Above 11,000 samples, or for α = ∞ where the eigenvalues are not computed.
    """
    refuse_too_many(call.name, call.n)
    if math.isinf(alpha) and call.n > EXACT:
        raise RefusedError(
            f"`{call.name}` of order 'inf' needs all eigenvalues and takes at most {EXACT:,} "
            f"samples; got {call.n:,}. Use order 2, or fewer samples."
        )
    random = generator(rng)
    variable = continuous(call.x, sigma, random, call.shared)
    value, variance = variable.marginal(alpha, random)
    stderr = math.sqrt(variance) if variance else None
    return value, stderr, variable.sigma, variable.pairs.at_an_end(variable.sigma)


@dataclass(frozen=True, slots=True)
class Pair:
    """One call about two variables: both with their kernels, and how to conclude it."""

    name: str
    params: Mapping[str, Any]
    first: Variable
    second: Gaussian
    flags: Flags
    rng: np.random.Generator

    @property
    def alpha(self) -> float:
        """Order of the entropy."""
        return float(self.params["alpha"])

    def marginals(self) -> tuple[Uncertain, Uncertain]:
        """Return S_α of the first variable and of the layer."""
        first = self.first.marginal(self.alpha, self.rng)
        return first, self.second.marginal(self.alpha, self.rng)

    def joint(self) -> Uncertain:
        """Return S_α(A ∘ B)."""
        return joint_entropy(self.first, self.second, self.alpha, self.rng)

    def shuffled(self, draws: int) -> Iterator[float]:
        """Yield S_α(A ∘ B) under random pairings."""
        for _ in range(draws):
            order = self.rng.permutation(self.second.pairs.n)
            yield joint_entropy(self.first, self.second, self.alpha, self.rng, order)[0]

    def conclude(self, value: Uncertain, *, info: Mapping[str, float], **more: Any) -> Estimate:
        """Build the Estimate from a value and its variance."""
        trivial = "constant" in self.flags or "single_class" in self.flags
        stderr = math.sqrt(value[1]) if value[1] else None
        more.setdefault("floor", 0.0)
        return conclude(
            value[0],
            estimator=self.name,
            n=self.second.pairs.n,
            d=self.second.pairs.d,
            params=self.params,
            slack=slack_of(stderr),
            stderr=stderr,
            flags=self.flags,
            status=standing(self.flags, trivial=trivial),
            info={"sigma": self.second.sigma, **info},
            **more,
        )

    def conclude_information(self, value: Uncertain, **more: Any) -> Estimate:
        """Build the Estimate of an information: exactly 0 where one side is constant."""
        trivial = "constant" in self.flags or "single_class" in self.flags
        return self.conclude((0.0, 0.0) if trivial else value, **more)


def read_pair(
    name: str,
    v: Any,
    t: Any,
    params: Mapping[str, Any],
    rng: Rng,
    shared: Shared | None,
    *,
    first: str = "v",
) -> Pair:
    """Open a call about V, discrete or continuous, and the layer T.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError, RefusedError
    """
    params, random = check_params(name, params), generator(rng)
    sigma, shared = params["sigma"], serving(shared, t)
    x = samples(t, estimator=name)
    same_length(plain(v, name=first), x, first=first)
    refuse_too_many(name, len(x))
    layer = continuous(x, sigma, random, shared)
    flags = [*column_flags(x), *layer.pairs.at_an_end(layer.sigma)]
    if not is_discrete(v):
        other = samples(v, name=first)
        flags += heavy_tailed(other)
        return Pair(name, params, continuous(other, sigma, random), layer, Flags(flags), random)
    codes = symbols(v, name=first, estimator=name)
    count = int(codes.max()) + 1
    if count in (1, len(codes)):
        flags.append("single_class" if count == 1 else "all_distinct")
    return Pair(name, params, Labels(codes), layer, Flags(flags), random)


def slack_of(stderr: float | None) -> float:
    """Return by how much an entropy may pass a bound without a flag."""
    return 1e-7 if stderr is None else 4 * stderr + 1e-5


def refuse_too_many(name: str, n: int) -> None:
    """Raise RefusedError above the rows whose two Gram matrices fit in memory."""
    if n > LIMIT:
        raise RefusedError(
            f"`{name}` takes at most {LIMIT:,} samples within 1 GiB; got {n:,}. Use a fixed probe "
            "set below that: the entropy depends on n, so a silent subsample would mislead."
        )
