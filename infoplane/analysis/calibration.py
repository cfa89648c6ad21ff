"""Calibration: how wrong is an estimator on twins of a layer, whose information is known.

A twin has the layer's n, d, spectrum and (when the layer has no atoms) each unit's own marginal,
but an information that is known exactly:

* about labels: classes of the run's sizes sit at equal distances on a random direction of the
  whitened space, I(T;Y) = h(mixture) − h(Gaussian), one integral, the distance solved for it;
* about a continuous V of k dimensions: ρ-coupled Gaussian pairs, I(V;T) = −(k/2) log(1 − ρ²).

Rotation, scaling and strictly increasing maps of single units change no information.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize
from scipy.special import logsumexp

from infoplane.analysis.case import bits
from infoplane.analysis.plan import Request, complete, takes
from infoplane.analysis.portrait import Portrait, Variables
from infoplane.errors import InfoplaneError, InputError
from infoplane.estimators.contract import Rng, entropy_of_counts, generator
from infoplane.types import FloatArray, IntArray, Kind

if TYPE_CHECKING:
    from infoplane.store import Run

_ATOMS = 0.01  # share of repeated entries from which a unit's marginal is not imposed
_GRID, _TAILS = 0.1, 10.0  # of the integral, in standard deviations
_REACH = 60.0  # largest distance of neighbouring class means, in standard deviations

Side = Literal["labels", "continuous"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What one estimator reads on twins of one true information, in nats.

    ``bias`` is mean − truth, ``spread`` the standard deviation over twins, ``seconds`` the time of
    one call; ``note`` says why there is no reading.
    """

    estimator: str
    side: Side
    truth: float
    mean: float | None
    bias: float | None
    spread: float | None
    seconds: float
    twins: int
    note: str = ""

    def __str__(self) -> str:
        if self.mean is None:
            return f"{self.estimator} has no reading: {self.note}"
        return (
            f"on data shaped like this, {self.estimator} reads {bits(self.mean)} where "
            f"{bits(self.truth)} is true (spread {bits(self.spread or 0.0)})"
        )


def calibrate(
    t: ArrayLike,
    estimators: Sequence[Request],
    *,
    labels: ArrayLike | None = None,
    truths: Sequence[float] | None = None,
    twins: int = 5,
    dim: int = 2,
    rng: Rng = 0,
) -> list[Reading]:
    """Return bias, spread and cost of estimators on twins of a layer over a grid of true MI.

    Parameters
    ----------
    t : array_like, (n, d)
        The layer.
    estimators : sequence
        Ids or (id, parameters).
    labels : array_like, (n,), optional
        Classes: then the twins relate T to classes of the same sizes, and truths are below H(Y).
    truths : sequence of float, optional
        Informations in nats; by default 0, 10 %, 30 %, 60 % and 90 % of H(Y), or 0, 0.5, 1, 2, 3.
    twins : int
        Twins for each truth.
    dim : int
        Dimensions of the continuous V.
    rng
        Seed.
    """
    private = generator(rng)
    portrait = Portrait(np.asarray(t))
    side: Side = "continuous" if labels is None else "labels"
    counts = None if labels is None else np.unique(np.asarray(labels), return_counts=True)[1]
    grid = _grid(counts) if truths is None else tuple(float(truth) for truth in truths)
    readings = []
    for truth in grid:
        made = [_twin(portrait, counts, truth, dim, private) for _ in range(twins)]
        readings += [_read(request, side, truth, made) for request in estimators]
    return readings


def calibrate_run(
    run: Run,
    layer: str,
    estimators: Sequence[Request],
    *,
    step: int | None = None,
    target: Literal["X", "Y"] = "Y",
    twins: int = 5,
    rng: Rng = 0,
) -> list[Reading]:
    """Calibrate on twins of one layer of a run, and keep the result in the run.

    The latest step by default. ``target="X"`` uses a continuous V. The readings are annotated under
    "calibration"; ``run.annotations("calibration")`` returns them.
    """
    at = run.steps[-1] if step is None else step
    t = run.load(at, layer)
    labels = Variables(run.probe()).y_codes if target == "Y" else None
    if target == "Y" and labels is None:
        raise InputError("the run has no classes; calibrate with target='X'.")
    readings = calibrate(t, estimators, labels=labels, twins=twins, rng=rng)
    note = {"layer": layer, "step": at, "target": target, "n": len(t), "d": t.shape[1]}
    with run.annotator() as writer:
        writer.annotate("calibration", {**note, "readings": [asdict(r) for r in readings]})
    return readings


def _grid(counts: IntArray | None) -> tuple[float, ...]:
    if counts is None:
        return (0.0, 0.5, 1.0, 2.0, 3.0)
    entropy = entropy_of_counts(counts)
    return tuple(share * entropy for share in (0.0, 0.1, 0.3, 0.6, 0.9))


def _twin(
    portrait: Portrait, counts: IntArray | None, truth: float, dim: int, rng: np.random.Generator
) -> tuple[Any, FloatArray]:
    """Return (v, t) with the layer's shape and a known information."""
    if counts is not None:
        labels, white = classes(counts, portrait.d, truth, rng)
        return labels, dressed(white, portrait, rng)
    v, white = coupled(portrait.n, portrait.d, dim, truth, rng)
    return v, dressed(white, portrait, rng)


def coupled(
    n: int, d: int, dim: int, truth: float, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Return Gaussian V (n, k) and white T (n, d) with I(V;T) = truth, k = min(dim, d)."""
    k = min(dim, d)
    rho = float(np.sqrt(-np.expm1(-2.0 * truth / k)))
    t = rng.standard_normal((n, d))
    v = rho * t[:, :k] + np.sqrt(1 - rho**2) * rng.standard_normal((n, k))
    return v, t


def classes(
    counts: IntArray, d: int, truth: float, rng: np.random.Generator
) -> tuple[IntArray, FloatArray]:
    """Return labels Y of those class sizes and T (n, d) with I(T;Y) = truth nats.

    Within a class T is white; the class means lie on the first axis.
    """
    distance = _distance(counts / counts.sum(), truth)
    labels = np.repeat(np.arange(len(counts)), counts)
    labels = rng.permutation(labels)
    t = rng.standard_normal((len(labels), d))
    t[:, 0] += distance * labels
    t[:, 0] = (t[:, 0] - t[:, 0].mean()) / t[:, 0].std()
    return labels.astype(np.int64), t


def information_at(shares: FloatArray, distance: float) -> float:
    """I(T;Y) in nats for unit Gaussians of those shares at 0, Δ, 2Δ …, by one integral.

    The trapezoidal rule converges exponentially for so smooth an integrand: a step of 0.1 standard
    deviations leaves no error in double precision.
    """
    means = distance * np.arange(len(shares))
    x = np.arange(-_TAILS, means[-1] + _TAILS, _GRID)
    log_parts = np.log(shares) - 0.5 * (x[:, None] - means) ** 2 - 0.5 * np.log(2 * np.pi)
    log_mixture = logsumexp(log_parts, axis=1)
    entropy = -_GRID * float((np.exp(log_mixture) * log_mixture).sum())
    return entropy - 0.5 * float(np.log(2 * np.pi * np.e))


def _distance(shares: FloatArray, truth: float) -> float:
    """Return the distance Δ of neighbouring class means that gives the information asked for."""
    if truth <= 0:
        return 0.0
    entropy = float(-(shares * np.log(shares)).sum())
    if truth >= 0.999 * entropy:
        raise InputError(
            f"`truths` must be below H(Y) = {entropy:.3g} nats for labels; got {truth:.3g}."
        )
    gap = lambda distance: information_at(shares, distance) - truth  # noqa: E731
    return float(optimize.brentq(gap, 0.0, _REACH, xtol=1e-6))


def dressed(white: FloatArray, portrait: Portrait, rng: np.random.Generator) -> FloatArray:
    """Rotate and scale white data to the layer's covariance, then give each unit its marginal.

    A unit with repeated values keeps the Gaussian marginal: an atom would destroy information.
    """
    layer = portrait.t - portrait.t.mean(axis=0)
    _, scales, axes = np.linalg.svd(layer, full_matrices=False)
    d = portrait.d
    turn = np.linalg.qr(rng.standard_normal((d, d)))[0]
    scales = np.pad(scales / np.sqrt(portrait.n), (0, d - len(scales)))
    # A flat direction would destroy information as an atom does: it keeps a sliver of variance.
    scales = np.maximum(scales, 1e-6 * max(float(scales.max()), 1e-12))
    if len(axes) < d:
        axes = np.linalg.qr(np.vstack([axes, rng.standard_normal((d - len(axes), d))]).T)[0].T
    twin: FloatArray = white @ turn * scales @ axes
    for j in range(d):
        column = np.sort(portrait.t[:, j])
        if (np.diff(column) == 0).mean() <= _ATOMS:
            twin[np.argsort(twin[:, j], kind="stable"), j] = column
        else:
            twin[:, j] += portrait.t[:, j].mean()
    return twin


def _read(
    request: Request, side: Side, truth: float, made: Sequence[tuple[Any, FloatArray]]
) -> Reading:
    entry, params, label = complete(request)
    kind = Kind.DISCRETE if side == "labels" else Kind.CONTINUOUS
    if not takes(entry, kind):
        note = f"it does not take a {kind.value} first variable"
        return Reading(label, side, truth, None, None, None, 0.0, 0, note)
    assert entry.function is not None
    start = time.perf_counter()
    try:
        values = np.array([entry.function(v, t, **params).value for v, t in made])
    except InfoplaneError as error:
        return Reading(label, side, truth, None, None, None, 0.0, 0, str(error))
    seconds = (time.perf_counter() - start) / len(made)
    mean = float(values.mean())
    spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return Reading(label, side, truth, mean, mean - truth, spread, seconds, len(made))
