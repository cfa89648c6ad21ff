"""Usable information: what a linear probe gets out of a layer, on samples it has not seen.

I(V;T) ≥ H(V) − CE(probe), in expectation on held-out samples; with ``given``, the drop of the
cross-entropy when T joins what is already known: discriminative conditional information.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

import numpy as np
from scipy.optimize import minimize

from infoplane.errors import InputError
from infoplane.estimators.contract import (
    Rng,
    classes,
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
)
from infoplane.estimators.neighbours import standardise
from infoplane.estimators.registry import Bounds, check_params, estimator
from infoplane.estimators.shared import Shared
from infoplane.types import Cost, Estimate, FloatArray, IntArray, Kind, Quantity, Status

USABLE = "mi.usable"
SWEEPS = 200  # iterations of the optimiser
IMPRECISE = 0.5  # nats of standard error from which it is unreliable
OVERFIT = -0.1  # nats on held-out rows below which the probe has learned noise
MOST = 0.5  # nats below zero, or above H(V), that chance excuses
CLIP = 30.0  # largest standardised entry that a probe sees


def logistic(x: FloatArray, y: IntArray, count: int, ridge: float) -> FloatArray:
    """Weights (d+1, C) that minimise mean cross-entropy + ridge/2 ‖W‖², the bias free."""
    ones = np.hstack([x, np.ones((len(x), 1))])
    hot = np.eye(count)[y]

    def loss(flat: FloatArray) -> tuple[float, FloatArray]:
        weights = flat.reshape(-1, count)
        log_p = log_softmax(ones @ weights)
        slope = ones.T @ (np.exp(log_p) - hot) / len(x)
        slope[:-1] += ridge * weights[:-1]
        value = -float((hot * log_p).sum()) / len(x) + 0.5 * ridge * float(
            (weights[:-1] ** 2).sum()
        )
        return value, slope.ravel()

    start = np.zeros(ones.shape[1] * count)
    options = {"maxiter": SWEEPS, "gtol": 1e-6}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
    return np.asarray(found.x.reshape(-1, count))


def log_softmax(logits: FloatArray) -> FloatArray:
    """Rows of log probabilities."""
    logits = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))


def classified(x: FloatArray, y: IntArray, fold: IntArray, ridge: float) -> FloatArray:
    """Log-probability of each row's own class from a probe that has not seen its fold, (n,)."""
    count = int(y.max()) + 1
    result = np.empty(len(y))
    for held in np.unique(fold):
        out, rest = fold == held, fold != held
        if x.shape[1]:
            weights = logistic(x[rest], y[rest], count, ridge)
            log_p = log_softmax(x[out] @ weights[:-1] + weights[-1])
        else:  # nothing known: the shares of the other folds, each class seen half a time more
            share = np.bincount(y[rest], minlength=count) + 0.5
            log_p = np.broadcast_to(np.log(share / share.sum()), (int(out.sum()), count))
        result[out] = log_p[np.arange(len(log_p)), y[out]]
    return result


def regressed(x: FloatArray, v: FloatArray, fold: IntArray, ridge: float) -> FloatArray:
    """Gaussian log-density of each row of V (n, d_v) by a ridge probe of the other folds."""
    result = np.empty(len(v))
    for held in np.unique(fold):
        out, rest = fold == held, fold != held
        middle, centre = x[rest].mean(axis=0), v[rest].mean(axis=0)
        known = x[rest] - middle
        gram = known.T @ known / len(known) + ridge * np.eye(x.shape[1])
        slope = np.linalg.solve(gram, known.T @ (v[rest] - centre) / len(known))
        left = v[rest] - centre - known @ slope
        spread = left.T @ left / len(left) + 1e-12 * np.eye(v.shape[1])
        miss = v[out] - centre - (x[out] - middle) @ slope
        distance = np.einsum("ij,ij->i", miss, np.linalg.solve(spread, miss.T).T)
        constant = np.linalg.slogdet(spread)[1] + v.shape[1] * math.log(2 * math.pi)
        result[out] = -0.5 * (distance + constant)
    return result


def folds(n: int, count: int, y: IntArray | None, rng: np.random.Generator) -> IntArray:
    """Fold of each row, the classes spread evenly over the folds."""
    order = rng.permutation(n)
    if y is not None:
        order = order[np.argsort(y[order], kind="stable")]
    result = np.empty(n, dtype=np.int64)
    result[order] = np.arange(n) % count
    return result


def _inputs(array: Any, name: str) -> tuple[FloatArray, list[str]]:
    live, flags = live_columns(samples(array, name=name, minimum=2, estimator=USABLE))
    if live.shape[1] == 0:
        return live, list(flags)
    return np.clip(standardise(live), -CLIP, CLIP), [*flags, *heavy_tailed(live)]


@estimator(
    id=USABLE,
    label="usable information",
    quantity=Quantity.MI,
    measures="held-out gain of a linear probe about V from T, or from T beyond what is given",
    formula="CE(V) − CE(V|probe(T)), both on held-out folds, CE(V) that of the class shares of the "
    "others;  with given: CE(V|probe(G)) − CE(V|probe(G,T))",
    accepts=((Kind.DISCRETE, Kind.CONTINUOUS), (Kind.CONTINUOUS, Kind.CONTINUOUS)),
    cost=Cost.STANDARD,
    complexity="folds × sweeps × n d C",
    min_samples=10,
    ceiling="log n; H(V) when V is discrete",
    invariant=("label names", "scaling", "constant unit"),
    deterministic=False,
    assumes=("rows i.i.d.", "a linear probe is what reads the layer next"),
    limits=(
        "only what a linear probe can use; a function of T can be more usable than T",
        "far below zero the probe over-fits (d large against n): flag overfit, unreliable",
    ),
    reference="Xu et al., A theory of usable information, ICLR 2020; Gadgil et al., ICLR 2024",
    bound="lower",
    version=2,
    tolerance={"gaussian": 0.08, "gaussian_2d": 0.125, "independent": 0.003, "random_labels": 0.04,
               "blobs": 0.01, "corrupted_blobs": 0.09},
    meaningful_null=("X", "Y"),
)  # fmt: skip
def usable(
    v: Any,
    t: Any,
    *,
    given: Any = None,
    ridge: Annotated[float, Bounds(0, 1e6, open_low=True)] = 1e-3,
    parts: Annotated[int, Bounds(2, 20)] = 5,
    given_layer: str | None = None,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """Usable information about V in T, in nats, of a cross-fitted linear probe.

    Parameters
    ----------
    v : array_like, (n,) or (n, d_v)
        What the probe predicts: integer labels (softmax regression) or floats (ridge regression
        with Gaussian residuals).
    t : array_like, (n, d)
        Representation.
    given : array_like, (n, d_g), or None
        What is known already, an earlier layer say: the value becomes the extra log-likelihood
        that T brings beyond it. 0 in truth when T is a function of it; positive says that T makes
        the label easier to read.
    ridge : float
        L2 penalty on the weights.
    parts : int
        Folds.
    given_layer : str or None
        In a run: the layer that is known already, at the same step.
    rng
        For the folds.
    shared
        Not used.

    Returns
    -------
    Estimate
        Below −0.1 nat the probe has learned noise (flag ``overfit``, unreliable), as has a standard
        error above half a nat (``imprecise``). ``info["cross_entropy"]`` and ``info["base"]``, its
        value without T, in nats; ``stderr`` is the spread of the log-likelihood ratios over √n.
    """
    params = check_params(USABLE, {"ridge": ridge, "parts": parts, "given_layer": given_layer})
    if given is None and given_layer is not None:
        raise InputError(
            f"`given_layer` of `{USABLE}` names a layer of a run, which `evaluate` looks up; on "
            "arrays pass the representation itself as `given=`."
        )
    x, flags = _inputs(t, "t")
    same_length(plain(v, name="v"), x)
    n, d = x.shape
    enough(n, max(10, 2 * parts), estimator=USABLE)
    known = np.empty((n, 0))
    if given is not None:
        known, _ = _inputs(given, "given")
        same_length(known, x, first="given")
    rng = generator(rng)
    common: dict[str, Any] = {"estimator": USABLE, "n": n, "d": d, "params": params}
    ceiling = None
    if is_discrete(v):
        y = classes(v, name="v", estimator=USABLE)
        if y.max() == 0 or d == 0:
            marks = flags if y.max() else [*flags, "single_class"]
            return conclude(0.0, flags=marks, status=Status.DEGENERATE, **common)
        ceiling = entropy_of_counts(np.bincount(y))
        fold = folds(n, parts, y, rng)
        base = classified(known, y, fold, ridge)
        full = classified(np.hstack([known, x]), y, fold, ridge)
    else:
        targets, flags_v = _inputs(v, "v")
        ceiling = math.log(n)  # beyond it no sample of n can be trusted
        if targets.shape[1] == 0 or d == 0:
            return conclude(0.0, flags=[*flags, *flags_v], status=Status.DEGENERATE, **common)
        fold = folds(n, parts, None, rng)
        base = regressed(known, targets, fold, ridge)
        full = regressed(np.hstack([known, x]), targets, fold, ridge)
    gain = full - base
    stderr = float(gain.std(ddof=1)) / math.sqrt(n)
    info = {"cross_entropy": -float(full.mean()), "base": -float(base.mean())}
    value = float(gain.mean())
    doubts = [*([f"imprecise={stderr:.2g}"] if stderr > IMPRECISE else []),
              *(["overfit"] if value < OVERFIT else [])]  # fmt: skip
    return conclude(
        value, ceiling=ceiling, floor=0.0, slack=min(3 * stderr, MOST) + 0.05, stderr=stderr,
        flags=[*flags, *doubts], info=info,
        status=Status.UNRELIABLE if doubts else Status.OK, **common,
    )  # fmt: skip
