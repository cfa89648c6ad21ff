"""How several variables hang together: total correlation, dual total correlation, O-information.

Over layers (or over the units of one) in closed form: for continuous variables that of a Gaussian
with the observed covariance, for integers that of the counts.
TC = Σ h(X_i) − h(X), DTC = h(X) − Σ h(X_i|X_−i), Ω = TC − DTC (positive: redundancy outweighs
synergy), S = TC + DTC.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from scipy.special import digamma

from infoplane.errors import InputError
from infoplane.estimators.contract import (
    Rng,
    column_ends,
    conclude,
    enough,
    entropy_of_counts,
    fold,
    heavy_tailed,
    is_discrete,
    live_columns,
    plain,
    same_length,
    samples,
    symbols,
)
from infoplane.estimators.neighbours import standardise
from infoplane.estimators.projection import principal_axes
from infoplane.estimators.registry import Bounds, Estimator, check_params, estimator
from infoplane.estimators.shared import Shared
from infoplane.types import Cost, Estimate, Flags, FloatArray, IntArray, Kind, Quantity, Status

TOLERATED = 0.1  # nats of bias from few samples that go without a flag
LEAST = 1e-9  # smallest variance of a direction, in units of the columns' own
MOST = 64  # variables up to which all sums are taken


Others = tuple[str, ...] | None
"""Names of layers of a run, or None."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Entropies that all four quantities are made of, in nats (differential up to a constant).

    ``each`` h(X_i), ``without`` h(X_−i), ``joint`` h(X). ``flags``: what the data could not tell.
    """

    each: FloatArray
    without: FloatArray
    joint: float
    flags: tuple[str, ...] = ()

    @property
    def total(self) -> float:
        """TC = Σ h(X_i) − h(X) ≥ 0."""
        return float(self.each.sum()) - self.joint

    @property
    def dual(self) -> float:
        """DTC = Σ h(X_−i) − (N−1) h(X) ≥ 0."""
        return float(self.without.sum()) - (len(self.each) - 1) * self.joint


def gaussian_parts(covariance: FloatArray, sizes: list[int]) -> Parts:
    """Entropies ½ log det of the blocks of a covariance; ``sizes`` are the variables' widths.

    Variances below 1e-9 are cut there and flagged ``linear_function``.
    """
    ends = np.cumsum(sizes)
    blocks = [np.arange(end - size, end) for end, size in zip(ends, sizes, strict=True)]
    everything = np.arange(ends[-1])

    def half_log_det(columns: IntArray) -> float:
        values = np.linalg.eigvalsh(covariance[np.ix_(columns, columns)])
        return 0.5 * float(np.log(np.maximum(values, LEAST)).sum()) if len(columns) else 0.0

    return Parts(
        np.array([half_log_det(block) for block in blocks]),
        np.array([half_log_det(np.setdiff1d(everything, block)) for block in blocks]),
        half_log_det(everything),
        ("linear_function",) if np.linalg.eigvalsh(covariance)[0] < LEAST else (),
    )


def sampling_bias(n: int, sizes: list[int]) -> Parts:
    """Mean of what n samples add to each of the Gaussian entropies: exact, by Wishart's law.

    For p columns E ½ log det is that of Σ and ½ Σ_{i≤p} ψ((n − i)/2) + p/2 log 2/n.
    """
    widths = np.array(sizes)
    steps = 0.5 * (digamma((n - np.arange(1, widths.sum() + 1)) / 2) + math.log(2 / n))
    of = np.concatenate([[0.0], np.cumsum(steps)])
    total = int(widths.sum())
    return Parts(of[widths], of[total - widths], float(of[total]))


def discrete_parts(codes: list[IntArray]) -> Parts:
    """Plug-in entropies of code vectors (n,).

    When most samples are a symbol of their own, ``few_samples``: all entropies are near log n.
    """
    n = len(codes[0])

    def entropy(of: list[IntArray]) -> float:
        return entropy_of_counts(np.bincount(fold(of, n))) if of else 0.0

    return Parts(
        np.array([entropy([one]) for one in codes]),
        np.array([entropy(codes[:i] + codes[i + 1 :]) for i in range(len(codes))]),
        entropy(codes),
        ("few_samples",) if 2 * int(fold(codes, n).max()) >= n else (),
    )


def on_arrays(t: Any, other_layers: Others, name: str) -> None:
    """Refuse names of layers beside one array: only ``evaluate`` can look them up."""
    if other_layers is not None and not isinstance(t, (list, tuple, Mapping)):
        raise InputError(
            f"`other_layers` of `{name}` names layers of a run, which `evaluate` looks up; on "
            "arrays pass all layers as a list."
        )


def variables(t: Any, name: str, other_layers: Others = None) -> list[Any]:
    """Split what was given: a sequence or mapping of layers, or the columns of one array.

    A list of arrays is one of variables, be they vectors; a list of lists is one array, row by row.
    """
    on_arrays(t, other_layers, name)
    if isinstance(t, Mapping):
        return list(t.values())
    if isinstance(t, (list, tuple)) and len(t) and all(np.ndim(one) >= 1 for one in t):
        arrays = [plain(one, name="t") for one in t]
        if any(one.ndim > 1 for one in arrays) or all(hasattr(one, "shape") for one in t):
            for one in arrays[1:]:
                same_length(arrays[0], one, first="t[0]", second="t[i]")
            return arrays
    if is_discrete(t):
        array = plain(t, name="t")
        enough(len(array), 4, estimator=name)
        return list(array.reshape(len(array), -1).T)
    return [column[:, None] for column in samples(t, minimum=4, estimator=name).T]


def column_marks(given: list[Any]) -> Flags:
    """Flag ``heavy_tail`` of continuous variables, and ``dead=k`` columns that never vary."""
    tails, dead = Flags(), 0
    for one in given:
        if is_discrete(one):
            dead += int(symbols(one, name="t").max() == 0)
        else:
            points = samples(one, minimum=1)
            low, high = column_ends(points)
            tails, dead = Flags([*tails, *heavy_tailed(points)]), dead + int((low == high).sum())
    return Flags([*tails, *([f"dead={dead}"] if dead else [])])


def compressed(layer: Any, dim: int, name: str) -> FloatArray:
    """Leading principal components of a standardised layer, at most ``dim``."""
    live, _ = live_columns(samples(layer, minimum=4, estimator=name))
    if live.shape[1] == 0:
        return live
    live = standardise(live)
    return live if live.shape[1] <= dim else standardise(live @ principal_axes(live, dim)[0])


def _parts(
    given: list[Any], dim: int, shrinkage: float, name: str
) -> tuple[Parts, Parts | None] | None:
    """Entropies and what sampling adds to them, where that is known; None when nothing varies."""
    n = len(given[0])
    enough(n, 4, estimator=name)
    if len(given) > MOST:
        raise InputError(
            f"`{name}` takes at most {MOST} variables; got {len(given)}. Pass layers as a list of "
            "arrays, or select columns."
        )
    if all(is_discrete(one) for one in given):
        codes = [symbols(one, name="t") for one in given]
        codes = [one for one in codes if one.max() > 0]
        return (discrete_parts(codes), None) if codes else None
    layers = [compressed(one, dim, name) for one in given]
    layers = [one for one in layers if one.shape[1]]
    if not layers:
        return None
    joint = np.hstack(layers)
    covariance = (1 - shrinkage) * joint.T @ joint / n + shrinkage * np.eye(joint.shape[1])
    sizes = [one.shape[1] for one in layers]
    known = shrinkage == 0 and n > joint.shape[1]
    return gaussian_parts(covariance, sizes), sampling_bias(n, sizes) if known else None


def _conclude(name: str, t: Any, pick: str, asked: dict[str, Any]) -> Estimate:
    params = check_params(name, asked)
    given = variables(t, name, params["other_layers"])
    found = _parts(given, params["dim"], params["shrinkage"], name)
    common: dict[str, Any] = {
        "estimator": name, "n": len(given[0]), "d": len(given), "params": params,
    }  # fmt: skip
    if found is None:
        return conclude(0.0, flags=["constant"], status=Status.DEGENERATE, **common)
    parts, bias = found
    values = four(parts)
    info = {"variables": len(parts.each), **values}
    flags = [*column_marks(given), *parts.flags]
    if bias is not None:
        info["bias"] = four(bias)[pick]
        allowed = max(TOLERATED, 0.1 * abs(values[pick]))
        flags += ["few_samples"] if abs(info["bias"]) > allowed else []
    doubtful = bool({"linear_function", "few_samples"} & set(flags))
    return conclude(
        values[pick],
        floor=None if pick == "o" else 0.0,
        slack=1e-6,
        flags=flags,
        status=Status.UNRELIABLE if doubtful else Status.OK,
        info=info,
        **common,
    )


def four(parts: Parts) -> dict[str, float]:
    """TC, DTC, Ω and S."""
    total, dual = parts.total, parts.dual
    return {"tc": total, "dtc": dual, "o": total - dual, "s": total + dual}


_COMMON: dict[str, Any] = {
    "quantity": Quantity.INTERACTION,
    "accepts": (Kind.CONTINUOUS, Kind.DISCRETE),
    "cost": Cost.QUICK,
    "complexity": "n (N dim)² + N (N dim)³ for N variables",
    "min_samples": 4,
    "invariant": ("row order", "scaling", "unit order"),
    "assumes": ("rows i.i.d.", "jointly Gaussian (continuous), counts representative (discrete)"),
    "needs": "layers",
    "meaningful_null": (),
}
_LIMITS = (
    "linear dependence only; sees the leading `dim` components of each layer",
    "a layer that is a linear function of others, or as many columns as samples, makes it "
    "infinite: variances are cut at 1e-9 (flag linear_function, unreliable)",
    "few samples add to TC and DTC: info['bias'] says how much under a Gaussian (flag few_samples)",
)
Dim = Annotated[int, Bounds(1, 64)]
Shrinkage = Annotated[float, Bounds(0, 1)]


_READS = """

Parameters
----------
t : sequence or mapping of (n,) or (n, d_i) arrays, or one array (n, N)
    The variables: layers, or the columns of one array. Integers are counted.
dim : int
    Principal components kept of each layer.
shrinkage : float in [0, 1]
    Share of the identity mixed into the covariance.
other_layers : tuple of str or None
    In a run: the layers beside T, at the same step.
rng, shared
    Not used.

Returns
-------
Estimate
    ``info`` holds all four of tc, dtc, o and s, and of Gaussians the ``bias`` that n samples give
    the value (not subtracted); above 0.1 nat and a tenth of the value it is unreliable.
"""


def _of_layers(name: str, pick: str, summary: str, *, limit: str = "", **card: Any) -> Estimator:
    """Register one of the four quantities, which differ in what they pick of the same parts."""

    def quantity(
        t: Any,
        *,
        dim: Dim = 4,
        shrinkage: Shrinkage = 0.0,
        other_layers: Others = None,
        rng: Rng = None,
        shared: Shared | None = None,
    ) -> Estimate:
        asked = {"dim": dim, "shrinkage": shrinkage, "other_layers": other_layers}
        return _conclude(name, t, pick, asked)

    quantity.__doc__ = summary + _READS
    limits = (*_LIMITS, *([limit] if limit else []))
    return estimator(id=name, limits=limits, **card, **_COMMON)(quantity)


total_correlation = _of_layers(
    "interaction.total_correlation",
    "tc",
    "Total correlation TC = Σ h(X_i) − h(X) of several layers, in nats.",
    label="total correlation",
    measures="TC of layers as Gaussians (or of integer codes, counted)",
    formula="TC = Σ h(X_i) − h(X)",
    reference="Watanabe, IBM J. Res. Dev. 4 (1960)",
    tolerance={"gaussian": 0.08, "gaussian_2d": 0.125, "independent": 0.002},
)
dual_total_correlation = _of_layers(
    "interaction.dual_total_correlation",
    "dtc",
    "Dual total correlation DTC = h(X) − Σ h(X_i|X_−i) of several layers, in nats.",
    label="dual total correlation",
    measures="DTC of layers as Gaussians (or of integer codes, counted)",
    formula="DTC = h(X) − Σ h(X_i|X_−i)",
    reference="Han, Inf. Control 36 (1978)",
    tolerance={"gaussian": 0.08, "gaussian_2d": 0.125, "independent": 0.002},
)
o_information = _of_layers(
    "interaction.o_information",
    "o",
    "O-information Ω = TC − DTC of several layers, in nats; positive when redundancy outweighs.",
    label="O-information",
    measures="Ω of layers as Gaussians: redundancy minus synergy",
    formula="Ω = TC − DTC",
    limit="a small Ω may hide large redundancy and synergy that cancel",
    reference="Rosas et al., Phys. Rev. E 100, 032305 (2019)",
    tolerance={"xor": 0.004, "gaussian_2d": 1e-9},
)
s_information = _of_layers(
    "interaction.s_information",
    "s",
    "S-information TC + DTC = Σ I(X_i; X_−i) of several layers, in nats.",
    label="S-information",
    measures="S of layers as Gaussians: all dependence, redundant and synergistic",
    formula="S = TC + DTC = Σ I(X_i; X_−i)",
    reference="Rosas et al., Phys. Rev. E 100, 032305 (2019)",
    tolerance={"gaussian": 0.16, "gaussian_2d": 0.25, "independent": 0.004},
)
