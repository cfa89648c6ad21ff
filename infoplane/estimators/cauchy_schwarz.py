"""Cauchy–Schwarz quadratic mutual information and the conditional Cauchy–Schwarz divergence.

Both replace the logarithm inside an integral by the angle between two densities, which kernel sums
give in closed form. They are zero exactly at independence (at equal conditionals) but are no
Shannon information: not bounded by H(V) or log n, and comparable only at equal kernel widths.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import numpy as np

from infoplane.errors import InputError
from infoplane.estimators.call import column_flags
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
from infoplane.estimators.distances import HELD, Distances, standing
from infoplane.estimators.nulls import Shuffles
from infoplane.estimators.registry import Bounds, check_params, estimator
from infoplane.estimators.shared import Shared, recall, serving
from infoplane.types import Cost, Estimate, Flags, FloatArray, IntArray, Kind, Quantity

QMI = "mi.cauchy_schwarz"
CONDITIONAL = "divergence.cauchy_schwarz_conditional"

_BLOCK = 1 << 20  # kernel entries held at once
_WEIGHTS = 512  # classes × draws of a null that one pass over the kernel serves
_REFERENCE = "Yu, Yu, Løkse, Jenssen & Príncipe, ICLR 2024, arXiv:2404.17951"

Kernel = Callable[[slice | IntArray], FloatArray]
"""Rows of a Gram matrix: ``kernel(rows)`` has shape (rows, n)."""

Sigma = Annotated[float, Bounds(0, math.inf, open_low=True)]


def _null(
    v: Any, t: Any, *, draws: int, rng: Rng = None, shared: Shared | None = None, **params: Any
) -> FloatArray:
    """Shuffle V: the kernels, their row means and self-informations stay, ⟨K∘Q⟩ is summed anew."""
    checked, rng = check_params(QMI, params), generator(rng)
    sigma, normalised = checked["sigma"], checked["normalised"]
    n = len(samples(t, minimum=2, estimator=QMI))
    same_length(plain(v, name="v"), plain(t, name="t"))
    kernel_v, kernel_t = _kernel_of(v, "v", sigma)[0], _kernel_of(t, "t", sigma)[0]
    joint, (first, second) = _one_pass(kernel_v, kernel_t, n, own=normalised)
    if first.min() == 1.0 or second.min() == 1.0:
        return np.zeros(draws)
    codes = symbols(v, estimator=QMI) if is_discrete(v) else None
    if codes is not None and draws * int(codes.max()) <= _WEIGHTS:
        paired = list(_shuffled_classes(Shuffles(codes, draws, rng), kernel_t, n))
    else:
        orders = [rng.permutation(n) for _ in range(draws)]
        joints = _shuffled_rows(orders, kernel_v, kernel_t)
        paired = [(first[order], both) for order, both in zip(orders, joints, strict=True)]
    values = np.array([_qmi(both, means, second) for means, both in paired])
    return values / _own(joint, first, second) if normalised else values


def _shuffled_classes(
    shuffles: Shuffles, kernel: Kernel, n: int
) -> Iterator[tuple[FloatArray, float]]:
    """Yield the row means of K and ⟨K∘Q⟩ for every draw, from one pass over the kernel of T."""
    for some, weights in shuffles.parts(_WEIGHTS):
        sums = np.vstack([kernel(rows) @ weights for rows in _blocks(n)])
        _, own = shuffles.means(some, sums)
        for labels, each in zip(shuffles.labels[some], own, strict=True):
            share = shuffles.sizes.take(labels) / n
            yield share, float(share @ each) / n


def _shuffled_rows(orders: list[IntArray], kernel_v: Kernel, kernel_t: Kernel) -> list[float]:
    """⟨K∘Q⟩ for every order of the rows of V; the kernel of V is held where it fits."""
    n, sums = len(orders[0]), np.zeros(len(orders))
    held = kernel_v(slice(0, n)) if 8 * n * n <= HELD else None
    for rows in _blocks(n):
        q = kernel_t(rows)
        for draw, order in enumerate(orders):
            some = order[rows]
            k = kernel_v(some) if held is None else held[some]
            sums[draw] += np.vdot(k.take(order, axis=1), q)
    return [float(each) / n**2 for each in sums]


@estimator(
    id=QMI,
    label="CS-QMI",
    quantity=Quantity.MI,
    measures="Cauchy–Schwarz divergence of p(v, t) from p(v) p(t), both smoothed: no Shannon nats",
    formula=(
        "log ⟨K∘Q⟩ + log ⟨K⟩⟨Q⟩ − 2 log mean_i K̄_i Q̄_i,  K, Q = exp(−‖·‖²/2σ²) on V and T; "
        "normalised: divided by √(QMI(v,v) QMI(t,t))"
    ),
    accepts=((Kind.CONTINUOUS, Kind.CONTINUOUS), (Kind.DISCRETE, Kind.CONTINUOUS)),
    cost=Cost.STANDARD,
    complexity="n² d",
    assumes=("rows i.i.d.", "σ suits the distances between rows"),
    min_samples=2,
    bound="exact",
    invariant=("row order", "swap", "label names", "rotation", "shift", "constant unit"),
    limits=(
        "not in the units of I(V;T): compare only with itself at the same σ",
        "σ = 1 on many standardised units makes Q nearly the identity",
        "the normalised form is not bounded by 1",
    ),
    reference=_REFERENCE,
    tolerance={"independent": 0.001},
    meaningful_null=("X", "Y"),
    null=_null,
)
def cauchy_schwarz(
    v: Any,
    t: Any,
    *,
    sigma: Sigma = 1.0,
    normalised: bool = False,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """Cauchy–Schwarz quadratic mutual information of V and T (natural logarithm).

    Parameters
    ----------
    v : array_like, (n,), (n, k)
        Variable asked about. Integers are symbols: their kernel is 1 for equal and 0 for different
        ones. Floats have a Gaussian kernel; a vector counts as one column.
    t : array_like, (n, d)
        Representation; integers are symbols here too.
    sigma : float
        Width of both Gaussian kernels.
    normalised : bool
        Divide by the geometric mean of the self-informations, as in the published training loss.
    rng, shared
        Not random; intermediates of the same layer.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError

    References
    ----------
    Yu et al., ICLR 2024, Proposition 2.
    """
    params = check_params(QMI, {"sigma": sigma, "normalised": normalised})
    serves = serving(shared, t)
    values = recall(serves, "samples", lambda: samples(t, minimum=2, estimator=QMI))
    (kernel_v, ends_v), (kernel_t, ends_t) = _kernel_of(v, "v", sigma), _kernel_of(t, "t", sigma)
    same_length(plain(v, name="v"), values)
    n, flags = len(values), Flags([*column_flags(values), *ends_v, *ends_t])
    joint, means = _one_pass(kernel_v, kernel_t, n, own=normalised)
    value = _qmi(float(joint[0]), means[0], means[1])
    if normalised:
        value /= _own(joint, *means)
    if means[0].min() == 1.0:
        flags = Flags([*flags, "single_class"])
    trivial = bool({"constant", "single_class"} & set(flags))
    return conclude(
        0.0 if trivial else value,
        estimator=QMI,
        n=n,
        d=values.shape[1],
        params=params,
        floor=0.0,
        flags=flags,
        status=standing(flags, trivial=trivial),
    )


@estimator(
    id=CONDITIONAL,
    label="conditional CS divergence",
    quantity=Quantity.DISTANCE,
    measures="Cauchy–Schwarz divergence of p(ŷ|x) from p(y|x), both smoothed",
    formula=(
        "log Σ_j s_j(L¹) + log Σ_j s_j(L²) − 2 log Σ_j s_j(L²¹),  "
        "s_j(L) = Σ_i K_ji L_ji / (Σ_i K_ji)²"
    ),
    accepts=((Kind.CONTINUOUS, Kind.CONTINUOUS),),
    cost=Cost.STANDARD,
    complexity="n² d",
    assumes=("rows i.i.d.", "σ suits the distances between inputs and between targets"),
    min_samples=2,
    unit="1",
    bound="exact",
    invariant=("row order", "rotation", "shift"),
    limits=(
        "may be slightly negative on finite samples",
        "the released training code divides by Σ K² and, for one-axis targets, reduces to a sum of "
        "squared errors; this is the published proposition, and targets are columns always",
    ),
    tolerance={"perfect prediction": 1e-12},
    reference=_REFERENCE,
    needs="layers",
    meaningful_null=(),
)
def cauchy_schwarz_conditional(
    x: Any,
    y: Any,
    prediction: Any,
    *,
    sigma: Sigma = 1.0,
    prediction_layer: str | None = None,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """Conditional Cauchy–Schwarz divergence D(p(ŷ|x); p(y|x)) of predictions from targets.

    Parameters
    ----------
    x : array_like, (n, d)
        Inputs, or the representation that the prediction is made from.
    y : array_like, (n,) or (n, k)
        Targets.
    prediction : array_like, (n,) or (n, k)
        Predictions ŷ.
    sigma : float
        Width of all Gaussian kernels.
    prediction_layer : str or None
        In a run: the layer that holds the predictions of a real-valued Y, at the same step.
    rng, shared
        Not random; not used.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError

    References
    ----------
    Yu et al., ICLR 2024, Proposition 1.
    """
    params = check_params(CONDITIONAL, {"sigma": sigma, "prediction_layer": prediction_layer})
    inputs = samples(x, name="x", minimum=2, estimator=CONDITIONAL)
    targets = samples(y, name="y", minimum=2, estimator=CONDITIONAL)
    guesses = samples(prediction, name="prediction", minimum=2, estimator=CONDITIONAL)
    same_length(inputs, targets, first="x", second="y")
    if targets.shape != guesses.shape:
        raise InputError(
            f"`prediction` of `{CONDITIONAL}` must have the shape of `y`, {targets.shape}; got "
            f"{guesses.shape}."
        )
    both_sides = np.concatenate([targets, guesses])
    flags = [
        flag
        for side in (inputs, both_sides)
        for flag in (*heavy_tailed(side), *Distances(side).at_an_end(sigma))
    ]
    n, same, both = len(inputs), _gaussian(inputs, sigma), _gaussian(both_sides, sigma)
    sums = np.zeros(3)
    for rows in _blocks(n):
        weight = same(rows)
        weight /= weight.sum(axis=1, keepdims=True) ** 2
        to_target, to_guess = both(rows), both(slice(rows.start + n, rows.stop + n))
        sums += [
            float((weight * to_target[:, :n]).sum()),
            float((weight * to_guess[:, n:]).sum()),
            float((weight * to_guess[:, :n]).sum()),
        ]
    if sums[2] == 0.0:
        raise InputError(
            f"`{CONDITIONAL}` is infinite on these data: no prediction is within reach of a target "
            f"at sigma={sigma:g}. Standardise y, or raise `sigma`."
        )
    return conclude(
        float(np.log(sums[0]) + np.log(sums[1]) - 2 * np.log(sums[2])),
        estimator=CONDITIONAL,
        n=n,
        d=inputs.shape[1],
        params=params,
        flags=flags,
        status=standing(flags, trivial=False),
    )


def _qmi(joint: float, first: FloatArray, second: FloatArray) -> float:
    """CS-QMI from the mean of K∘Q and the row means of K and Q."""
    product = float((first * second).mean())
    return (
        math.log(joint)
        + math.log(float(first.mean()) * float(second.mean()))
        - 2 * math.log(product)
    )


def _own(joint: FloatArray, first: FloatArray, second: FloatArray) -> float:
    """√(QMI(v,v) QMI(t,t)), infinite where a side tells nothing apart."""
    own = _qmi(float(joint[1]), first, first) * _qmi(float(joint[2]), second, second)
    return math.sqrt(own) if own > 0.0 else math.inf


def _one_pass(
    kernel_v: Kernel, kernel_t: Kernel, n: int, *, own: bool
) -> tuple[FloatArray, FloatArray]:
    """Means of K∘Q, and of K∘K and Q∘Q when asked; and the row means of K and of Q, (2, n)."""
    joint, means = np.zeros(3), np.empty((2, n))
    for rows in _blocks(n):
        k, q = kernel_v(rows), kernel_t(rows)
        means[:, rows] = k.mean(axis=1), q.mean(axis=1)
        joint[0] += np.vdot(k, q)
        joint[1:] += [np.vdot(k, k), np.vdot(q, q)] if own else 0.0
    return joint / (n * n), means


def _blocks(n: int) -> Iterator[slice]:
    step = max(1, _BLOCK // n)
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def _kernel_of(v: Any, name: str, sigma: float) -> tuple[Kernel, Flags]:
    """Kernel of a variable, and the flag of a width under which it tells nothing apart."""
    if not is_discrete(v):
        live = live_columns(samples(v, name=name, minimum=2, estimator=QMI))[0]
        ends = Distances(live).at_an_end(sigma) if live.shape[1] else Flags()
        return _gaussian(live, sigma), ends
    codes = symbols(v, name=name, estimator=QMI)
    return lambda rows: (codes[rows, None] == codes).astype(np.float64), Flags()


def _gaussian(points: FloatArray, sigma: float) -> Kernel:
    distances = Distances(points)
    rate = 0.5 * min(distances.scale / sigma, 1e150) ** 2

    def rows_of(rows: slice | IntArray) -> FloatArray:
        with np.errstate(over="ignore", under="ignore"):
            kernel: FloatArray = distances.squared(rows) * -rate
            np.exp(kernel, out=kernel)
        return kernel

    return rows_of
