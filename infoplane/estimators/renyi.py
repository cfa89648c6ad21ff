"""Matrix-based Rényi entropy: marginal, joint, conditional, mutual information, and DiME.

    S_α(A) = log tr(A^α) / (1 − α),   A = K / tr K,
    S_α(A, B) = S_α(A ∘ B / tr(A ∘ B)),   I_α(A; B) = S_α(A) + S_α(B) − S_α(A, B),

with Gaussian Gram matrices K for continuous variables and K_ij = 1[y_i = y_j] for discrete ones.
α → 1 is the von Neumann entropy, α = 2 needs no eigenvalues. With labels the joint matrix is block
diagonal, so that it costs the eigenvalues of the classes only. Sánchez Giraldo, Rao and Príncipe
(2015); Yu et al. (2019, 2021); DiME: Skean et al. (2023).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
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
    is_discrete,
    live_columns,
    plain,
    same_length,
    samples,
    symbols,
)
from infoplane.estimators.distances import Distances, pairwise, standing
from infoplane.estimators.registry import Bounds, card, check_params, estimator
from infoplane.estimators.shared import Shared, recall, serving
from infoplane.estimators.spectrum import (
    DOUBLE,
    EXACT,
    ORDER_ONE,
    eigenvalues,
    entropy,
    low_rank_eigenvalues,
    quadrature,
)
from infoplane.types import Cost, Estimate, Flags, FloatArray, IntArray, Kind, Quantity

LIMIT = 11_000  # rows of which two float32 Gram matrices fit in 1 GiB

Alpha = Annotated[float, Bounds(0, 100, open_low=True)]
Sigma = Annotated[float, Bounds(0, math.inf, open_low=True)] | Literal["scott", "median", "sqrt_d"]
Uncertain = tuple[float, float]  # a value and its variance (0 when exact)

_REFERENCE = "Sánchez Giraldo, Rao and Príncipe 2015; Yu et al. 2021, IEEE TNNLS 32(1)"
_PAIRS = ((Kind.DISCRETE, Kind.CONTINUOUS), (Kind.CONTINUOUS, Kind.CONTINUOUS))
_DESCRIBED = ((Kind.CONTINUOUS, Kind.DISCRETE), (Kind.CONTINUOUS, Kind.CONTINUOUS))
_LIMITS = (
    "a property of the kernel width and of n, not a Shannon quantity",
    "in high dimension the Gram matrix nears the identity and everything equals log n",
    "above 3,000 samples by quadrature with a standard error (exact for α = 2 or small classes)",
    "refused above 11,000 samples",
)


@dataclass(frozen=True, slots=True)
class _Gaussian:
    """A continuous variable: Gram matrices exp(−‖·‖²/2σ²) of any of its rows."""

    pairs: Distances
    sigma: float
    shared: Shared | None = None

    def matrix(self, among: IntArray | None = None) -> NDArray[Any]:
        return self.pairs.gaussian(self.sigma, among)

    def marginal(self, alpha: float, rng: np.random.Generator) -> Uncertain:
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
class _Labels:
    """A discrete variable: the matrix of equal labels, whose spectrum is its histogram."""

    codes: IntArray

    def marginal(self, alpha: float, rng: np.random.Generator) -> Uncertain:
        return entropy(np.bincount(self.codes) / len(self.codes), alpha), 0.0


Variable = _Gaussian | _Labels


def _joint(
    a: Variable,
    b: _Gaussian,
    alpha: float,
    rng: np.random.Generator,
    order: IntArray | None = None,
) -> Uncertain:
    """Return S_α(A ∘ B), with the samples of A in another ``order`` when one is given."""
    n = b.pairs.n
    if isinstance(a, _Labels):
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

    The blocks add up in Σ λ (λ^{α−1} − 1), which is tr A^α − 1 without cancellation.
    """
    total = variance = 0.0
    for block in blocks:
        value, spread = _excess(block, n, alpha, rng)
        total += value
        variance += spread
    if abs(alpha - 1.0) < ORDER_ONE:
        return -total, variance
    return math.log1p(total) / (1.0 - alpha), variance / ((1.0 - alpha) * (1.0 + total)) ** 2


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
    trace = quadrature(block.astype(np.float32, copy=False), [function], rng=rng)
    return float(trace.mean[0]), trace.stderr(np.ones(1)) ** 2


def _continuous(
    array: FloatArray,
    sigma: float | str,
    rng: np.random.Generator,
    shared: Shared | None = None,
) -> _Gaussian:
    # eigenvalues are wanted to the last digit; the quadrature of many rows is content with less
    pairs = pairwise(array, shared, np.float64 if len(array) <= DOUBLE else np.float32)
    return _Gaussian(pairs, pairs.width(sigma, rng), shared)


def gaussian_entropy(
    name: str,
    x: FloatArray,
    alpha: float,
    sigma: float | str,
    rng: Rng,
    shared: Shared | None,
) -> tuple[float, float | None, float, Flags]:
    """Return S_α of the Gaussian Gram matrix of X, its standard error, the width and its flags.

    Raises
    ------
    RefusedError
        Above 11,000 samples, or for α = ∞ where the eigenvalues are not computed.
    """
    _refuse_too_many(name, len(x))
    if math.isinf(alpha) and len(x) > EXACT:
        raise RefusedError(
            f"`{name}` of order 'inf' needs all eigenvalues and takes at most {EXACT:,} samples; "
            f"got {len(x):,}. Use order 2, or fewer samples."
        )
    random = generator(rng)
    variable = _continuous(x, sigma, random, shared)
    value, variance = variable.marginal(alpha, random)
    stderr = math.sqrt(variance) if variance else None
    return value, stderr, variable.sigma, variable.pairs.at_an_end(variable.sigma)


def _read(
    name: str,
    v: Any,
    t: Any,
    sigma: float | str,
    random: np.random.Generator,
    shared: Shared | None,
    *,
    first: str = "v",
) -> tuple[Variable, _Gaussian, Flags]:
    """Both variables with their kernels, and the flags of the data."""
    shared = serving(shared, t)
    x = samples(t, estimator=name)
    same_length(plain(v, name=first), x, first=first)
    _refuse_too_many(name, len(x))
    second = _continuous(x, sigma, random, shared)
    flags = [*live_columns(x)[1], *heavy_tailed(x), *second.pairs.at_an_end(second.sigma)]
    if not is_discrete(v):
        return _continuous(samples(v, name=first), sigma, random), second, Flags(flags)
    codes = symbols(v, name=first, estimator=name)
    count = int(codes.max()) + 1
    if count in (1, len(codes)):
        flags.append("single_class" if count == 1 else "all_distinct")
    return _Labels(codes), second, Flags(flags)


def _refuse_too_many(name: str, n: int) -> None:
    if n > LIMIT:
        raise RefusedError(
            f"`{name}` takes at most {LIMIT:,} samples within 1 GiB; got {n:,}. Use a fixed probe "
            "set below that: the entropy depends on n, so a silent subsample would mislead."
        )


def _finish(
    name: str,
    value: Uncertain,
    params: dict[str, Any],
    flags: Flags,
    second: _Gaussian,
    info: dict[str, float],
    *,
    ceiling: float,
    floor: float | None = 0.0,
    saturates: bool = True,
) -> Estimate:
    trivial = "constant" in flags or "single_class" in flags
    if trivial and card(name).quantity is Quantity.MI:
        value = (0.0, 0.0)
    stderr = math.sqrt(value[1]) if value[1] else None
    return conclude(
        value[0],
        estimator=name,
        n=second.pairs.n,
        d=second.pairs.d,
        params=params,
        ceiling=ceiling,
        floor=floor,
        slack=1e-7 if stderr is None else 4 * stderr + 1e-5,
        stderr=stderr,
        saturates=saturates,
        flags=flags,
        status=standing(flags, trivial=trivial),
        info={"sigma": second.sigma, **info},
    )


@estimator(
    id="entropy.renyi",
    label="Rényi entropy (matrix)",
    quantity=Quantity.ENTROPY,
    measures="Rényi entropy of the eigenvalues of the layer's Gram matrix",
    formula="log tr(A^α) / (1 − α), A = K/n, K = exp(−‖·‖²/2σ²)",
    accepts=(Kind.CONTINUOUS,),
    cost=Cost.STANDARD,
    complexity="n³ up to 3,000 rows, n² beyond and for α = 2",
    min_samples=2,
    ceiling="log n",
    invariant=("row order", "rotation", "constant unit"),
    limits=_LIMITS,
    tolerance={"identity": 1e-12, "quadrature": 0.02},
    bound="exact",
    reference=_REFERENCE,
)
def renyi_entropy(
    t: Any,
    *,
    alpha: Alpha = 1.01,
    sigma: Sigma = "scott",
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """Matrix-based Rényi entropy S_α(T), in nats.

    Parameters
    ----------
    t : array, (n, d)
        T.
    alpha : float
        Order; 1 is the von Neumann entropy, 2 needs no eigenvalues.
    sigma : float or "scott" or "median" or "sqrt_d"
        Kernel width in the layer's unit; √(total variance) n^{−1/(4+d)}, which is
        √d n^{−1/(4+d)} for standardised columns; the median distance; √d.
    rng : Generator or seed
        For the quadrature above 3,000 samples and the rows of the median.
    shared : Shared, optional
        Memo of this representation's distances and spectra.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError, RefusedError

    Examples
    --------
    >>> far = [[0.0], [100.0], [200.0], [300.0]]
    >>> round(renyi_entropy(far, sigma=1.0).bits, 9)
    2.0
    """
    name = "entropy.renyi"
    params = check_params(name, {"alpha": alpha, "sigma": sigma})
    shared = serving(shared, t)
    x = samples(t, estimator=name)
    _refuse_too_many(name, len(x))
    random = generator(rng)
    variable = _continuous(x, sigma, random, shared)
    value = variable.marginal(alpha, random)
    flags = Flags(
        [*live_columns(x)[1], *heavy_tailed(x), *variable.pairs.at_an_end(variable.sigma)]
    )
    return _finish(name, value, params, flags, variable, {}, ceiling=math.log(len(x)))


@estimator(
    id="entropy.renyi_joint",
    label="Rényi joint entropy (matrix)",
    quantity=Quantity.ENTROPY,
    measures="Rényi entropy of the Hadamard product of the Gram matrices of T and Y",
    formula="S_α(A ∘ B / tr(A ∘ B))",
    accepts=_DESCRIBED,
    cost=Cost.STANDARD,
    complexity="n³ up to 3,000 rows; n_c³ a class with labels",
    min_samples=2,
    ceiling="log n",
    invariant=("row order", "label names", "constant unit"),
    limits=_LIMITS,
    bound="exact",
    meaningful_null=(),
    needs="labels",
    reference=_REFERENCE,
)
def renyi_joint(
    t: Any,
    y: Any,
    *,
    alpha: Alpha = 1.01,
    sigma: Sigma = "scott",
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """Matrix-based Rényi joint entropy S_α(T, Y), in nats.

    Parameters
    ----------
    t : array, (n, d)
        T.
    y : array, (n,) or (n, p)
        Discrete (integers, text) or continuous.
    alpha, sigma, rng, shared
        As for ``entropy.renyi``.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError, RefusedError
    """
    name = "entropy.renyi_joint"
    params = check_params(name, {"alpha": alpha, "sigma": sigma})
    random = generator(rng)
    other, layer, flags = _read(name, y, t, sigma, random, shared, first="y")
    value = _joint(other, layer, alpha, random)
    return _finish(name, value, params, flags, layer, {}, ceiling=math.log(layer.pairs.n))


@estimator(
    id="entropy.renyi_conditional",
    label="Rényi conditional entropy (matrix)",
    quantity=Quantity.ENTROPY,
    measures="what is left of the layer's matrix entropy within the classes",
    formula="S_α(T | Y) = S_α(A ∘ B) − S_α(B)",
    accepts=_DESCRIBED,
    cost=Cost.STANDARD,
    complexity="n³ up to 3,000 rows; n_c³ a class with labels",
    min_samples=2,
    ceiling="S_α(T)",
    invariant=("row order", "label names", "constant unit"),
    limits=_LIMITS,
    bound="exact",
    meaningful_null=(),
    needs="labels",
    reference=_REFERENCE,
)
def renyi_conditional(
    t: Any,
    y: Any,
    *,
    alpha: Alpha = 1.01,
    sigma: Sigma = "scott",
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """Matrix-based Rényi conditional entropy S_α(T | Y), in nats.

    Parameters
    ----------
    t : array, (n, d)
        T.
    y : array, (n,) or (n, p)
        Discrete (integers, text) or continuous.
    alpha, sigma, rng, shared
        As for ``entropy.renyi``.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError, RefusedError
    """
    name = "entropy.renyi_conditional"
    params = check_params(name, {"alpha": alpha, "sigma": sigma})
    random = generator(rng)
    other, layer, flags = _read(name, y, t, sigma, random, shared, first="y")
    condition, whole = other.marginal(alpha, random), layer.marginal(alpha, random)
    joint = _joint(other, layer, alpha, random)
    info = {"entropy_t": whole[0], "entropy_y": condition[0], "joint": joint[0]}
    value = (joint[0] - condition[0], joint[1] + condition[1])
    return _finish(name, value, params, flags, layer, info, ceiling=whole[0], saturates=False)


def renyi_null(
    v: Any,
    t: Any,
    *,
    draws: int,
    rng: Rng = None,
    shared: Shared | None = None,
    **params: Any,
) -> FloatArray:
    """I_α under shuffled pairing, (draws,): the marginals and their kernels are computed once."""
    params = check_params("mi.renyi", params)
    random = generator(rng)
    first, second, _ = _read("mi.renyi", v, t, params["sigma"], random, shared)
    alpha = params["alpha"]
    both = first.marginal(alpha, random)[0] + second.marginal(alpha, random)[0]
    return np.array([both - joint for joint in _shuffled(first, second, alpha, draws, random)])


def _shuffled(
    first: Variable, second: _Gaussian, alpha: float, draws: int, rng: np.random.Generator
) -> Iterator[float]:
    """Joint entropies under random pairings."""
    for _ in range(draws):
        yield _joint(first, second, alpha, rng, rng.permutation(second.pairs.n))[0]


@estimator(
    id="mi.renyi",
    label="Rényi MI (matrix)",
    quantity=Quantity.MI,
    measures="dependence of two Gram matrices under fixed kernel widths",
    formula="S_α(A) + S_α(B) − S_α(A ∘ B)",
    accepts=_PAIRS,
    cost=Cost.STANDARD,
    complexity="n³ up to 3,000 rows; n_c³ a class with labels",
    min_samples=2,
    ceiling="min(S_α(V), S_α(T))",
    invariant=("row order", "label names", "constant unit"),
    limits=(*_LIMITS, "I(T;T) = 2 S(A) − S(A ∘ A) is not S(A)"),
    tolerance={"label entropy": 1e-12},
    bound="exact",
    reference=_REFERENCE,
    meaningful_null=("X", "Y"),
    null=renyi_null,
)
def renyi_mi(
    v: Any,
    t: Any,
    *,
    alpha: Alpha = 1.01,
    sigma: Sigma = "scott",
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """Matrix-based Rényi mutual information I_α(V; T), in nats.

    Parameters
    ----------
    v : array, (n,) or (n, p)
        Integers (or text) are discrete and enter as the matrix of equal labels, floats through a
        Gaussian kernel.
    t : array, (n, d)
        T.
    alpha, sigma
        As for ``entropy.renyi``; a rule sets the width of each variable by itself.
    rng : Generator or seed
        For the quadrature above 3,000 samples and the rows of the median.
    shared : Shared, optional
        Memo of T's distances and spectra.

    Returns
    -------
    Estimate
        ``info`` has the three entropies; ``ceiling`` is the smaller marginal.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError, RefusedError
    """
    name = "mi.renyi"
    params = check_params(name, {"alpha": alpha, "sigma": sigma})
    random = generator(rng)
    first, second, flags = _read(name, v, t, sigma, random, shared)
    a, b = first.marginal(alpha, random), second.marginal(alpha, random)
    joint = _joint(first, second, alpha, random)
    info = {"entropy_v": a[0], "entropy_t": b[0], "joint": joint[0]}
    value = (a[0] + b[0] - joint[0], a[1] + b[1] + joint[1])
    return _finish(name, value, params, flags, second, info, ceiling=min(a[0], b[0]))


def dime_null(
    v: Any,
    t: Any,
    *,
    draws: int,
    rng: Rng = None,
    shared: Shared | None = None,
    **params: Any,
) -> FloatArray:
    """DiME under shuffled pairing, (draws,): all draws share one mean over permutations."""
    params = check_params("mi.dime", params)
    random = generator(rng)
    first, second, _ = _read("mi.dime", v, t, params["sigma"], random, shared)
    joints = np.array(
        list(_shuffled(first, second, params["alpha"], params["permutations"] + draws, random))
    )
    return np.asarray(joints[: params["permutations"]].mean() - joints[params["permutations"] :])


@estimator(
    id="mi.dime",
    label="DiME",
    quantity=Quantity.MI,
    measures="how much lower the joint matrix entropy is than under random pairing",
    formula="E_P[S_α(A ∘ P B Pᵀ)] − S_α(A ∘ B)",
    accepts=_PAIRS,
    cost=Cost.STANDARD,
    complexity="11 n³ up to 3,000 rows; 11 n_c³ a class with labels",
    min_samples=2,
    ceiling="log n",
    invariant=("label names", "constant unit"),
    deterministic=False,
    limits=(*_LIMITS, "may be slightly negative: its mean is 0 under independence"),
    tolerance={"independent": 0.02},
    reference="Skean, Hoyos Osorio, Brockmeier and Sánchez Giraldo 2023, DiME",
    meaningful_null=("X", "Y"),
    null=dime_null,
)
def dime(
    v: Any,
    t: Any,
    *,
    alpha: Alpha = 1.01,
    sigma: Sigma = "scott",
    permutations: Annotated[int, Bounds(2, 10_000)] = 10,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """Difference of matrix entropies (DiME) between V and T, in nats.

    Parameters
    ----------
    v : array, (n,) or (n, p)
        Discrete (integers, text) or continuous.
    t : array, (n, d)
        T.
    alpha, sigma
        As for ``entropy.renyi``.
    permutations : int
        Random pairings averaged over.
    rng : Generator or seed
        For the pairings.
    shared : Shared, optional
        Memo of T's distances.

    Returns
    -------
    Estimate
        ``stderr`` is that of the mean over the pairings.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError, RefusedError
    """
    name = "mi.dime"
    params = check_params(name, {"alpha": alpha, "sigma": sigma, "permutations": permutations})
    random = generator(rng)
    first, second, flags = _read(name, v, t, sigma, random, shared)
    joint = _joint(first, second, alpha, random)
    shuffled = np.array(list(_shuffled(first, second, alpha, permutations, random)))
    value = (
        float(shuffled.mean()) - joint[0],
        float(shuffled.var(ddof=1)) / permutations + joint[1],
    )
    info = {"joint": joint[0], "shuffled": float(shuffled.mean())}
    ceiling = math.log(second.pairs.n)
    return _finish(name, value, params, flags, second, info, ceiling=ceiling, floor=None)
