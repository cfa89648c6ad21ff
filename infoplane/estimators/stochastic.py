"""Information of a layer with Gaussian noise: a mixture of n Gaussians, by Monte Carlo or Jensen.

Z given row i is N(μ_i, diag σ_i²), so p(z) is the mean of n Gaussians and every information is a
mean log ratio of mixtures. `mi.noisy` takes one σ for all (noise added to a representation, or the
noise of Goldfeld's noisy networks), `mi.stochastic` the means and deviations that a stochastic
layer puts out (Kawaguchi et al.).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import numpy as np

from infoplane.errors import InputError
from infoplane.estimators.contract import (
    Rng,
    conclude,
    entropy_of_counts,
    generator,
    plain,
    same_length,
    samples,
    symbols,
)
from infoplane.estimators.mixtures import (
    Mixture,
    equal_noise,
    jensen,
    monte_carlo,
    own_noise,
    products,
)
from infoplane.estimators.nulls import Shuffles
from infoplane.estimators.registry import CHANNELS, Bounds, check_params, estimator
from infoplane.estimators.shared import Shared, recall, serving
from infoplane.types import Cost, Estimate, FloatArray, IntArray, Kind, Quantity, Status

NOISY = "mi.noisy"
STOCHASTIC = "mi.stochastic"

_WEIGHTS = 128  # classes × draws of a null that one pass over the components serves
_SMALLEST = 1e-10  # published floor of a deviation
_LARGEST_LOG = 600.0  # of a log variance: e^300 still has a square

Spread = Literal["deviation", "variance", "log_variance"]

_ACCEPTS = ((Kind.DISCRETE, Kind.CONTINUOUS),)
_FORMULA = (
    "monte_carlo: I = mean_i E_{z∼N_i} [log mean_{j∈v(i)} N_j(z) − log mean_j N_j(z)], "
    "conditional: I(X;Z|V) = mean_i E_{z∼N_i} [log N_i(z) − log mean_{j∈v(i)} N_j(z)]; "
    "jensen: mean-log for log-mean, mean_ij KL(N_i‖N_j)"
)


def _null(name: str) -> Callable[..., FloatArray]:
    def null(
        v: Any, t: Any, *, draws: int, rng: Rng = None, shared: Shared | None = None, **params: Any
    ) -> FloatArray:
        deviation = params.pop("deviation", None)
        checked = check_params(name, params)
        mixture, codes = _prepared(name, v, t, checked, deviation, shared)
        return _shuffled(mixture, codes, checked, draws, generator(rng))

    return null


@estimator(
    id=NOISY,
    label="noisy layer",
    quantity=Quantity.MI,
    measures="I(V; T + ε), ε ~ N(0, σ² I) added to the rows, by Monte Carlo",
    formula=_FORMULA,
    accepts=_ACCEPTS,
    cost=Cost.STANDARD,
    complexity="n² d draws",
    min_samples=2,
    ceiling="min(log n, H(V)); H(X|V) when conditional; none for jensen",
    assumes=(
        "rows i.i.d.",
        "the noise is the network's own, or stated as the precision that counts",
    ),
    bound="exact",
    invariant=("row order", "label names", "constant unit", "shift"),
    deterministic=False,
    limits=(
        "σ is chosen unless the network itself has this noise",
        "reaches log n when no two rows are within a few σ of each other",
        "jensen grows without limit as σ shrinks: far above log n it only ranks layers",
    ),
    reference="Goldfeld et al., ICML 2019, arXiv:1810.05728; Kawaguchi et al., ICML 2023",
    tolerance={"mixture": 0.02, **CHANNELS},
    meaningful_null=("Y",),
    null=_null(NOISY),
)
def noisy(
    v: Any,
    t: Any,
    *,
    sigma: Annotated[float, Bounds(0, math.inf, open_low=True)] = 0.1,
    bound: Literal["monte_carlo", "jensen"] = "monte_carlo",
    conditional: bool = False,
    draws: Annotated[int, Bounds(2, 10_000)] = 4,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """I(V; T + ε) in nats, ε ~ N(0, σ² I), of the Gaussian mixture whose centres are the rows.

    In a noisy network (noise in training and evaluation) take several noise draws of the earlier
    layers for every input, stack them as rows of T and give V the number of the input: the result
    is Goldfeld's I(X;T_ℓ), the entropy of all less the mean entropy of each input's own mixture.

    Parameters
    ----------
    v : array_like, (n,) or (n, k)
        Discrete variable asked about: labels Y or inputs X, each distinct row a symbol.
    t : array_like, (n, d)
        Representation before the noise.
    sigma : float
        Standard deviation of the noise (0.1; Goldfeld's networks have about 0.005 to 0.01).
    bound : "monte_carlo" or "jensen"
        The integral by sampling, unbiased; or the mean pairwise divergence, an upper bound for
        V = X and for the conditional form, in closed form.
    conditional : bool
        I(X; T + ε | V) instead: what the layer tells of the input beyond V.
    draws : int
        Noise samples of every row.
    rng
        Generator or seed of the noise samples.
    shared
        Intermediates of the same layer.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError

    References
    ----------
    Goldfeld et al., ICML 2019, arXiv:1810.05728.
    """
    params = check_params(
        NOISY, {"sigma": sigma, "bound": bound, "conditional": conditional, "draws": draws}
    )
    mixture, codes = _prepared(NOISY, v, t, params, None, shared)
    return _estimate(NOISY, mixture, codes, params, generator(rng))


@estimator(
    id=STOCHASTIC,
    label="stochastic layer",
    quantity=Quantity.MI,
    measures="I(V; Z) of a layer that samples Z ~ N(μ(x), σ²(x)): the network's own noise",
    formula=_FORMULA,
    accepts=_ACCEPTS,
    cost=Cost.STANDARD,
    complexity="n² d draws",
    min_samples=2,
    ceiling="min(log n, H(V)); H(X|V) when conditional; none for jensen",
    assumes=("rows i.i.d.", "units are Gaussian and independent given the input"),
    bound="exact",
    invariant=("row order", "label names"),
    deterministic=False,
    limits=(
        "monte_carlo cannot pass log n: use many more rows than the training set",
        "jensen may exceed H(X) by far",
    ),
    reference="Kawaguchi, Deng, Ji & Huang, ICML 2023, arXiv:2305.18887",
    tolerance={"mixture": 0.02},
    meaningful_null=("Y",),
    needs="stochastic",
    null=_null(STOCHASTIC),
)
def stochastic(
    v: Any,
    t: Any,
    *,
    bound: Literal["monte_carlo", "jensen"] = "monte_carlo",
    conditional: bool = False,
    draws: Annotated[int, Bounds(2, 10_000)] = 4,
    spread: Spread = "deviation",
    mean_layer: str | None = None,
    deviation_layer: str | None = None,
    deviation: Any = None,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """I(V; Z) or I(X; Z | V) in nats of a layer that samples Z ~ N(μ(x), diag σ²(x)).

    Parameters
    ----------
    v : array_like, (n,) or (n, k)
        Discrete variable asked about, or given: labels Y or inputs X, each distinct row a symbol.
    t : array_like, (n, 2 d) or (n, d)
        Means and standard deviations side by side, [μ, σ], as such a layer puts them out; or the
        means alone when ``deviation`` is given.
    bound : "monte_carlo" or "jensen"
        The integral by sampling; or the mean pairwise divergence, an upper bound of I(X;Z) and
        I(X;Z|V), in closed form.
    conditional : bool
        I(X; Z | V) instead of I(V; Z): with V = Y the term of the generalisation bound.
    draws : int
        Samples of Z for every row.
    spread : {"deviation", "variance", "log_variance"}
        What the second half of ``t``, or ``deviation``, holds: σ (a softplus layer), σ², or
        log σ² (as variational autoencoders put it out).
    mean_layer, deviation_layer : str or None
        In a run: the layers that put out μ and the spread, two modules of the model that were both
        watched; ``mean_layer`` alone when one layer puts out both side by side.
    deviation : array_like, (n, d), (n,) or a number, optional
        On arrays: the spread, when ``t`` holds the means alone. Standard deviations below 1e-10
        are raised to it, as published.
    rng
        Generator or seed of the samples.
    shared
        Intermediates of the same layer.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError

    Examples
    --------
    An encoder with the modules ``mean`` and ``softplus``, recorded by ``watch``, is measured by
    ``evaluate(run, [("mi.stochastic", {"mean_layer": "mean", "deviation_layer": "softplus"})])``.
    On arrays, eight inputs far apart are told from each other:

    >>> import numpy as np
    >>> inputs = np.arange(8)
    >>> mean, deviation = 100.0 * inputs[:, None], np.ones((8, 1))
    >>> round(stochastic(inputs, mean, deviation=deviation).value, 3)  # log 8
    2.079

    References
    ----------
    Kawaguchi, Deng, Ji & Huang, ICML 2023, arXiv:2305.18887.
    """
    given = {
        "bound": bound, "conditional": conditional, "draws": draws, "spread": spread,
        "mean_layer": mean_layer, "deviation_layer": deviation_layer,
    }  # fmt: skip
    params = check_params(STOCHASTIC, given)
    if deviation is None and deviation_layer is not None:
        raise InputError(
            f"`deviation_layer` of `{STOCHASTIC}` names a layer of a run, which `evaluate` looks "
            "up; on arrays pass what it puts out as `deviation=`."
        )
    mixture, codes = _prepared(STOCHASTIC, v, t, params, deviation, shared)
    return _estimate(STOCHASTIC, mixture, codes, params, generator(rng))


def _prepared(
    name: str,
    v: Any,
    t: Any,
    params: Mapping[str, Any],
    deviation: Any,
    shared: Shared | None,
) -> tuple[Mixture, IntArray]:
    shared = serving(shared, t)
    values = recall(shared, "samples", lambda: samples(t, minimum=2, estimator=name))
    codes = symbols(v, estimator=name)
    same_length(codes, values)
    if name == NOISY:
        return equal_noise(values, params["sigma"]), codes
    return _own(values, deviation, params["spread"]), codes


def _own(values: FloatArray, deviation: Any, kind: str) -> Mixture:
    n, d = values.shape
    if deviation is None:
        if d % 2:
            raise InputError(
                f"`t` of `{STOCHASTIC}` must hold means and standard deviations side by side, an "
                f"even number of columns; got {d}. Or pass `deviation=`."
            )
        mean, spread = values[:, : d // 2], values[:, d // 2 :]
    else:
        mean, spread = values, _spread(deviation, n, d)
    return own_noise(mean, np.maximum(_deviations(spread, kind), _SMALLEST))


def _deviations(spread: FloatArray, kind: str) -> FloatArray:
    """Return the standard deviations of what a layer puts out as its spread."""
    if kind == "log_variance":
        if (np.abs(spread) > _LARGEST_LOG).any():
            raise InputError(
                f"log variances of `{STOCHASTIC}` must be within ±{_LARGEST_LOG:g}; got one of "
                f"size {np.abs(spread).max():.3g}. Is it a layer of log variances?"
            )
        return np.asarray(np.exp(spread / 2))
    if (spread < 0).any():
        raise InputError(
            f"standard deviations and variances of `{STOCHASTIC}` must be positive; got "
            f"{spread.min():.3g}. Pass softplus or exp of what the layer puts out, or "
            "spread='log_variance' if these are logarithms."
        )
    return np.asarray(np.sqrt(spread)) if kind == "variance" else spread


def _spread(deviation: Any, n: int, d: int) -> FloatArray:
    number = isinstance(deviation, (int, float))
    array = plain([deviation] if number else deviation, name="deviation")
    if array.shape == (n,):
        array = array[:, None]
    if array.shape not in ((1,), (n, 1), (n, d)):
        raise InputError(
            f"`deviation` of `{STOCHASTIC}` must be ({n}, {d}), ({n},) or a number; got shape "
            f"{array.shape}."
        )
    return np.broadcast_to(samples(array, name="deviation", minimum=1), (n, d))


def _estimate(
    name: str,
    mixture: Mixture,
    codes: IntArray,
    params: Mapping[str, Any],
    rng: np.random.Generator,
) -> Estimate:
    n, h_v = len(codes), entropy_of_counts(np.bincount(codes))
    left = math.log(n) - h_v
    ceiling: float | None = max(left, 0.0) if params["conditional"] else min(math.log(n), h_v)
    stderr: float | None = None
    slack = 1e-9
    if params["bound"] == "jensen":
        value, ceiling = jensen(mixture, codes, params["conditional"]), None
    else:
        terms = monte_carlo(mixture, codes, params, rng)
        value = float(terms.mean())
        stderr = float(np.sqrt((terms.var(axis=0, ddof=1) / len(terms)).sum())) / n
        slack += 4 * stderr
    single = h_v == 0.0 and not params["conditional"]
    return conclude(
        value,
        estimator=name,
        n=n,
        d=mixture.d,
        params=params,
        ceiling=ceiling,
        floor=0.0,
        slack=slack,
        stderr=stderr,
        flags=[*mixture.flags, *(["single_class"] if h_v == 0.0 else [])],
        status=Status.DEGENERATE if single or not mixture.mean.shape[1] else Status.OK,
        info={"log_n": math.log(n), "entropy_v": h_v, "entropy_x_given_v": max(left, 0.0)},
    )


def _shuffled(
    mixture: Mixture,
    codes: IntArray,
    params: Mapping[str, Any],
    draws: int,
    rng: np.random.Generator,
) -> FloatArray:
    """Estimates for ``draws`` shuffled pairings, all from the same noise samples."""
    conditional = params["conditional"]
    if params["bound"] == "jensen":
        return np.array(
            [jensen(mixture, rng.permutation(codes), conditional) for _ in range(draws)]
        )
    if int(codes.max()) + 1 == len(codes):  # pairing distinct inputs anew changes nothing
        return np.full(draws, monte_carlo(mixture, codes, params, rng).mean())
    shuffles = Shuffles(codes, draws, rng)
    if len(shuffles.sizes) > _WEIGHTS:
        return np.array([monte_carlo(mixture, r, params, rng).mean() for r in shuffles.labels])
    values: FloatArray = np.zeros(draws)
    for _ in range(params["draws"]):
        noise = rng.standard_normal(mixture.mean.shape)
        for some, weights in shuffles.parts(_WEIGHTS):
            everyone, own = shuffles.means(some, products(mixture, weights, noise))
            terms = -np.log(own) if conditional else np.log(own) - np.log(everyone)
            values[some] += terms.mean(axis=1)
    values /= params["draws"]
    return values
