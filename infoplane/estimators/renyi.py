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
from typing import Annotated, Any, Literal

import numpy as np

from infoplane.estimators.call import read
from infoplane.estimators.contract import Rng
from infoplane.estimators.gram import gaussian_entropy, read_pair, slack_of
from infoplane.estimators.registry import Bounds, estimator
from infoplane.estimators.shared import Shared
from infoplane.types import Cost, Estimate, FloatArray, Kind, Quantity

Alpha = Annotated[float, Bounds(0, 100, open_low=True)]
Sigma = Annotated[float, Bounds(0, math.inf, open_low=True)] | Literal["scott", "median", "sqrt_d"]
_REFERENCE = "Sánchez Giraldo, Rao and Príncipe 2015; Yu et al. 2021, IEEE TNNLS 32(1)"
PAIRS = ((Kind.DISCRETE, Kind.CONTINUOUS), (Kind.CONTINUOUS, Kind.CONTINUOUS))
_DESCRIBED = ((Kind.CONTINUOUS, Kind.DISCRETE), (Kind.CONTINUOUS, Kind.CONTINUOUS))
LIMITS = (
    "a property of the kernel width and of n, not a Shannon quantity",
    "in high dimension the Gram matrix nears the identity and everything equals log n",
    "above 3,000 samples by quadrature with a standard error (exact for α = 2 or small classes)",
    "refused above 11,000 samples",
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
    assumes=(
        "the kernel width suits the distances between rows",
        "values are compared at one n only",
    ),
    invariant=("row order", "rotation", "constant unit"),
    limits=LIMITS,
    tolerance={"identity": 1e-12, "quadrature": 0.02},
    bound="exact",
    reference=_REFERENCE,
    version=2,
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
    call = read("entropy.renyi", t, {"alpha": alpha, "sigma": sigma}, shared)
    value, stderr, width, flags = gaussian_entropy(call, alpha, sigma, rng)
    return call.conclude(
        value,
        stderr=stderr,
        ceiling=math.log(call.n),
        floor=0.0,
        slack=slack_of(stderr),
        saturates=True,
        flags=flags,
        info={"sigma": width},
    )


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
    assumes=(
        "the kernel width suits the distances between rows",
        "values are compared at one n only",
    ),
    invariant=("row order", "label names", "constant unit"),
    limits=LIMITS,
    bound="exact",
    meaningful_null=(),
    needs="labels",
    tolerance={"simplex": 1e-9},
    reference=_REFERENCE,
    version=2,
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
    given = {"alpha": alpha, "sigma": sigma}
    pair = read_pair("entropy.renyi_joint", y, t, given, rng, shared, first="y")
    return pair.conclude(pair.joint(), info={}, ceiling=math.log(pair.second.pairs.n))


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
    assumes=(
        "the kernel width suits the distances between rows",
        "values are compared at one n only",
    ),
    invariant=("row order", "label names", "constant unit"),
    limits=LIMITS,
    bound="exact",
    meaningful_null=(),
    needs="labels",
    tolerance={"simplex": 1e-9},
    reference=_REFERENCE,
    version=2,
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
    given = {"alpha": alpha, "sigma": sigma}
    pair = read_pair("entropy.renyi_conditional", y, t, given, rng, shared, first="y")
    (condition, whole), joint = pair.marginals(), pair.joint()
    info = {"entropy_t": whole[0], "entropy_y": condition[0], "joint": joint[0]}
    value = (joint[0] - condition[0], joint[1] + condition[1])
    return pair.conclude(value, info=info, ceiling=whole[0], saturates=False)


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
    pair = read_pair("mi.renyi", v, t, params, rng, shared)
    first, second = pair.marginals()
    return first[0] + second[0] - np.array(list(pair.shuffled(draws)))


@estimator(
    id="mi.renyi",
    label="Rényi MI (matrix)",
    quantity=Quantity.MI,
    measures="dependence of two Gram matrices under fixed kernel widths",
    formula="S_α(A) + S_α(B) − S_α(A ∘ B)",
    accepts=PAIRS,
    cost=Cost.STANDARD,
    complexity="n³ up to 3,000 rows; n_c³ a class with labels",
    min_samples=2,
    ceiling="min(S_α(V), S_α(T))",
    assumes=(
        "the kernel width suits the distances between rows",
        "values are compared at one n only",
    ),
    invariant=("row order", "label names", "constant unit"),
    limits=(*LIMITS, "I(T;T) = 2 S(A) − S(A ∘ A) is not S(A)"),
    tolerance={"label entropy": 1e-12},
    bound="exact",
    reference=_REFERENCE,
    version=2,
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
    pair = read_pair("mi.renyi", v, t, {"alpha": alpha, "sigma": sigma}, rng, shared)
    (a, b), joint = pair.marginals(), pair.joint()
    info = {"entropy_v": a[0], "entropy_t": b[0], "joint": joint[0]}
    value = (a[0] + b[0] - joint[0], a[1] + b[1] + joint[1])
    return pair.conclude_information(value, info=info, ceiling=min(a[0], b[0]))
