"""Phases: where a layer's trajectory turns, with a confidence, or a refusal with the reason.

A trajectory on the log-step axis is smoothed; a rise or a fall counts when it is larger than what
noise of the same size makes in 95 % of flat curves with the same steps (family-wise, by simulation
of the whole procedure), larger than the spread over replicates where that is known, and larger than
a floor below which nobody should care. Several phases are allowed, each with its onset.

Noise is read off neighbouring points, and off the wander of the curve about a smoother one, which
is more where neighbours share their noise: up to what a correlation of 0.5 between snapshots makes.
A curve that wanders more than that for its roughness is a trend. Below 30 points nothing tells
wander from trend, and noise is taken as independent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from infoplane.errors import InputError
from infoplane.types import NATS_TO_BITS, FloatArray

if TYPE_CHECKING:
    import xarray as xr

LEVEL = 0.05  # chance of a phase in a flat noisy curve
FLOOR = 0.05 / NATS_TO_BITS  # nats: changes below 0.05 bit are nobody's phase
FEWEST = 8  # usable points below which nothing is said
_WIDTH = 0.04  # kernel width as a share of the log-step range
_READS_WANDER = 30  # points below which wander and trend cannot be told apart
_WIDER = 3.0  # the smoother curve that wander is measured about
_MOST = 2.7  # √(long-run variance ÷ variance seen by second differences) of AR(1) noise at 0.5
_MEDIAN_TO_DEVIATION = 1 / 0.6745  # of the absolute value of a Gaussian variable
_DRAWS = 2000

Direction = Literal["rise", "fall"]


@dataclass(frozen=True, slots=True)
class Phase:
    """One monotone stretch of a trajectory.

    Attributes
    ----------
    direction : str
        "rise" or "fall".
    onset, end : int
        Steps between which it happens.
    onset_low, onset_high : int
        Steps among which the turning point lies: the smoothed curve is within its noise there.
    amount : float
        Height in nats between the medians of the three measured points at either end, which takes
        less off a sharp peak than the smoothed curve does.
    confidence : float
        1 − p, where p is the chance of a swing this large in a flat curve with this noise.
    """

    direction: Direction
    onset: int
    end: int
    onset_low: int
    onset_high: int
    amount: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Phases:
    """The phases of one trajectory, or why none is named.

    ``noise`` is the standard deviation of independent noise with as much wander as the points have
    about the smoothed curve, ``threshold`` the swing that counts, both in nats.
    """

    found: tuple[Phase, ...] = ()
    refusal: str = ""
    noise: float = 0.0
    threshold: float = 0.0
    swings: dict[str, float] = field(default_factory=dict)

    def largest(self, direction: Direction) -> Phase | None:
        """Return the largest rise or fall found."""
        same = [phase for phase in self.found if phase.direction == direction]
        return max(same, key=lambda phase: phase.amount, default=None)


def find_phases(
    steps: ArrayLike,
    values: ArrayLike,
    *,
    spread: float = 0.0,
    stderr: ArrayLike | None = None,
    floor: float = FLOOR,
) -> Phases:
    """Find the rises and falls of a trajectory.

    Parameters
    ----------
    steps, values : array_like, (n,)
        Steps and values in nats; points that are NaN are left out.
    spread : float
        Standard deviation over replicates, where known: a swing must exceed twice √2 of it, since
        a swing is a difference of two points of one run.
    stderr : array_like, (n,), optional
        Standard errors of the points; the noise is at least their median.
    floor : float
        Changes below it are not named.

    Raises
    ------
    InputError
        If steps and values do not match.
    """
    at, curve = np.asarray(steps, dtype=float), np.asarray(values, dtype=float)
    if at.shape != curve.shape or at.ndim != 1:
        raise InputError(
            f"`steps` and `values` must be vectors of one length; got {at.shape} and {curve.shape}."
        )
    kept = np.isfinite(curve)
    at, curve = at[kept], curve[kept]
    if len(at) < FEWEST:
        return Phases(
            refusal=f"not read: {len(at)} usable points, and at least {FEWEST} are needed"
        )
    order = np.argsort(at)
    at, curve = at[order], curve[order]
    errors = np.asarray(stderr, dtype=float)[kept] if stderr is not None else np.array([])
    smooth = _smoother(tuple(at)) @ curve
    noise = max(
        _noise(at, curve), float(np.nanmedian(errors)) if np.isfinite(errors).any() else 0.0
    )
    swings = _null_swings(tuple(at))
    critical = float(np.quantile(swings, 1 - LEVEL))
    threshold = max(critical * noise, 2 * math.sqrt(2) * spread, floor)
    found = _zigzag(at, curve, smooth, threshold, noise, swings)
    largest = {"rise": _largest_rise(smooth), "fall": _largest_rise(-smooth)}
    refusal = "" if found else _refusal(largest, threshold, critical * noise, floor)
    return Phases(found, refusal, noise, threshold, largest)


def _refusal(swings: dict[str, float], threshold: float, noise: float, floor: float) -> str:
    name, swing = max(swings.items(), key=lambda item: item[1])
    largest = f"none found: the largest {name} of {swing * NATS_TO_BITS:.2f} bits is inside"
    if threshold == floor:
        return f"{largest} the {floor * NATS_TO_BITS:.2f} bits below which no change is named"
    bits = threshold * NATS_TO_BITS
    if threshold > noise:
        return f"{largest} {bits:.2f} bits, the spread over replicates"
    return f"{largest} {bits:.2f} bits, what noise of this size makes in a flat curve"


def _noise(at: FloatArray, curve: FloatArray) -> float:
    """Return the standard deviation of independent noise that would smooth to as much wander."""
    return float(_noises(tuple(at), curve[None])[0])


def _noises(at: tuple[float, ...], curves: FloatArray) -> FloatArray:
    """Estimate the noise of each curve, (m, n) to (m,).

    From its second differences, whose variance is 6 σ² where noise is independent; with enough
    points from its wander where that says more, up to ``_MOST`` times as much.
    """
    second = curves[:, :-2] - 2 * curves[:, 1:-1] + curves[:, 2:]
    rough = np.sqrt(np.mean(second**2, axis=1) / 6.0)
    if len(at) < _READS_WANDER:
        return np.asarray(rough)
    wander = np.median(np.abs(curves @ _wander(at).T), axis=1) * _MEDIAN_TO_DEVIATION
    return np.asarray(np.clip(wander, rough, _MOST * rough))


@lru_cache(maxsize=64)
def _wander(at: tuple[float, ...]) -> FloatArray:
    """Smooth minus smoother, (n, n): each row has unit norm, so unit noise gives unit variance."""
    matrix = _smoother(at) - _smoother(at, _WIDER)
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    return np.asarray(matrix / np.maximum(norms, 1e-9))


@lru_cache(maxsize=64)
def _smoother(at: tuple[float, ...], wider: float = 1.0) -> FloatArray:
    """Return the matrix of a locally linear Gaussian kernel on log(1 + step), (n, n)."""
    axis = np.log1p(np.asarray(at))
    gaps = axis[:, None] - axis[None, :]
    narrow = max(_WIDTH * float(np.ptp(axis)), 1.5 * float(np.median(np.diff(axis))), 1e-9)
    width = wider * narrow
    weights = np.exp(-0.5 * (gaps / width) ** 2)
    mean = (weights * -gaps).sum(axis=1, keepdims=True) / weights.sum(axis=1, keepdims=True)
    offset = -gaps - mean
    square = (weights * offset**2).sum(axis=1, keepdims=True)
    slope = np.where(square > 1e-12, -mean * offset / np.maximum(square, 1e-12), 0.0)
    matrix: FloatArray = weights * (1.0 / weights.sum(axis=1, keepdims=True) + slope)
    return matrix


@lru_cache(maxsize=64)
def _null_swings(at: tuple[float, ...]) -> FloatArray:
    """Largest swing over estimated noise in flat curves of Gaussian noise, sorted, (draws,)."""
    rng = np.random.default_rng(20240)
    curves = rng.standard_normal((_DRAWS, len(at)))
    smooth = curves @ _smoother(at).T
    swing = np.maximum(_rises(smooth), _rises(-smooth))
    return np.sort(swing / _noises(at, curves))


def _rises(curves: FloatArray) -> FloatArray:
    return np.asarray((curves - np.minimum.accumulate(curves, axis=1)).max(axis=1))


def _largest_rise(curve: FloatArray) -> float:
    return float(_rises(curve[None])[0])


def _zigzag(
    at: FloatArray,
    curve: FloatArray,
    smooth: FloatArray,
    threshold: float,
    noise: float,
    swings: FloatArray,
) -> tuple[Phase, ...]:
    """Cut the curve at turning points whose swings on both sides reach the threshold."""
    pivots = _pivots(smooth, threshold)
    phases = []
    for start, end in pairwise(pivots):
        swing = float(abs(smooth[end] - smooth[start]))
        if swing < threshold:
            continue
        rises = bool(smooth[end] > smooth[start])
        reached = float((swings >= swing / noise).mean()) if noise > 0 else 0.0
        low, high = _around(smooth, start, noise * _gain(at, start), end)
        phases.append(
            Phase(
                "rise" if rises else "fall",
                int(at[start]),
                int(at[end]),
                int(at[low]),
                int(at[high]),
                abs(_level(curve, end) - _level(curve, start)),
                1.0 - max(reached, 1.0 / len(swings)),
            )
        )
    return tuple(phases)


def _level(curve: FloatArray, i: int) -> float:
    """Median of the measured points next to a turning point."""
    return float(np.median(curve[max(i - 1, 0) : i + 2]))


def _pivots(curve: FloatArray, threshold: float) -> list[int]:
    """Return the alternating extremes whose swings reach the threshold, ends included."""
    pivots: list[int] = []
    low = high = 0
    direction = 0
    for i in range(1, len(curve)):
        low = i if curve[i] < curve[low] else low
        high = i if curve[i] > curve[high] else high
        if direction <= 0 and curve[i] - curve[low] >= threshold:
            pivots.append(low)
            direction, high = 1, i
        elif direction >= 0 and curve[high] - curve[i] >= threshold:
            pivots.append(high)
            direction, low = -1, i
    if direction:
        pivots.append(high if direction > 0 else low)
    return pivots


def _gain(at: FloatArray, i: int) -> float:
    """Return the standard deviation of the smoothed curve at i for points of unit noise."""
    return float(np.linalg.norm(_smoother(tuple(at))[i]))


def _around(curve: FloatArray, i: int, noise: float, end: int) -> tuple[int, int]:
    """Stretch around a turning point on which the curve is within twice its noise of it."""
    near = np.abs(curve - curve[i]) <= 2 * noise
    low = high = i
    while low > 0 and near[low - 1]:
        low -= 1
    while high < end and near[high + 1]:
        high += 1
    return low, high


def phases_of(
    ds: xr.Dataset, layer: str, estimator: str, target: str, *, spread: float = 0.0
) -> Phases:
    """Find the phases of one layer in a Dataset, from its usable points only.

    Refuses when more than half of the measured points are not usable, naming their reason.
    """
    at = {"layer": layer, "estimator": estimator, "target": target}
    values, verdict = ds["mi"].sel(at).values, ds["verdict"].sel(at).values
    measured, bad = verdict >= 0, verdict == 2
    if bad.sum() > measured.sum() / 2:
        reason = _commonest(ds["reason"].sel(at).values[bad])
        return Phases(
            refusal=f"not read: {bad.sum()} of {measured.sum()} points are not usable ({reason})"
        )
    usable = np.where(bad, np.nan, values)
    stderr = ds["mi_stderr"].sel(at).values
    return find_phases(ds["step"].values, usable, spread=spread, stderr=stderr)


def _commonest(reasons: Sequence[str]) -> str:
    heads = [str(reason).partition(":")[0].partition(" at ")[0] for reason in reasons]
    return max(set(heads), key=heads.count)


def add_phases(ds: xr.Dataset) -> xr.Dataset:
    """Add the largest rise and fall of every trajectory to the Dataset, or the refusal.

    ``fall``, ``fall_onset``, ``fall_confidence``, the same for ``rise``, and ``phase_note``, over
    (layer, estimator, target).
    """
    dims = ("layer", "estimator", "target")
    shape = tuple(ds.sizes[dim] for dim in dims)
    data: dict[str, Any] = {}
    for direction in ("rise", "fall"):
        for name in ("", "_onset", "_confidence"):
            data[direction + name] = np.full(shape, np.nan)
    note = np.full(shape, "", dtype=object)
    for at in np.ndindex(*shape):
        where = [str(ds[dim].values[i]) for dim, i in zip(dims, at, strict=True)]
        phases = phases_of(ds, *where)
        note[at] = phases.refusal
        for direction in ("rise", "fall"):
            phase = phases.largest(direction)  # type: ignore[arg-type]
            if phase is not None:
                data[direction][at] = phase.amount
                data[f"{direction}_onset"][at] = phase.onset
                data[f"{direction}_confidence"][at] = phase.confidence
    variables: dict[Any, Any] = {name: (dims, values) for name, values in data.items()}
    return ds.assign({**variables, "phase_note": (dims, note)})


def fastest_loss_decrease(ds: xr.Dataset, name: str = "loss") -> int | None:
    """Return the step at which the loss falls fastest per log step.

    None when it was not recorded or shows no fall beyond its noise.
    """
    if name not in ds or "step" not in ds[name].dims:
        return None
    loss, at = ds[name].values, ds["step"].values.astype(float)
    kept = np.isfinite(loss)
    if kept.sum() < FEWEST:
        return None
    at, loss = at[kept], loss[kept]
    fall = find_phases(at, loss, floor=0.0).largest("fall")
    if fall is None:
        return None
    slope = np.gradient(_smoother(tuple(at)) @ loss, np.log1p(at))
    slope[(at < fall.onset) | (at > fall.end)] = 0.0
    return int(at[int(slope.argmin())])


def gradient_transition(ds: xr.Dataset, name: str) -> int | None:
    """Return the first step from which a recorded gradient signal-to-noise ratio stays below 1.

    None when it was not recorded or never drops for good ("drift" to "diffusion").
    """
    if name not in ds:
        return None
    snr, at = ds[name].values, ds["step"].values
    kept = np.isfinite(snr)
    above = np.flatnonzero(snr[kept] >= 1.0)
    if not kept.any() or not len(above) or above[-1] == kept.sum() - 1:
        return None
    return int(at[kept][above[-1] + 1])
