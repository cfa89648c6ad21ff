"""When not to believe a number: what moves it although the network computes the same.

Three experiments, the same for every estimator with its usual parameters:

- *change*: one layer of a fixed network is rescaled, turned, doubled, or looked at with fewer
  samples. Whatever reads it can undo that, so nothing the network keeps or computes has changed.
- *width*: a layer of ever more units that see every input: where does the estimate only say how
  many samples there are?
- *samples*: pairs of known information: how many samples until the estimate is within `CLOSE`?

``benchmarks/limits.py`` made them with the functions here; the answers lie beside this file as
``limits.json`` with the version, the date and the seed, and :func:`limits` reads them. Each can be
measured again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from scipy.special import entr

from infoplane import truth
from infoplane.analysis.plan import Job, asks_for
from infoplane.analysis.standing import measure
from infoplane.analysis.work import Bench, Settings
from infoplane.truth import Truth
from infoplane.types import NATS_TO_BITS, FloatArray, Measurement, ProbeData

ESTIMATORS = (
    "mi.binning", "mi.adaptive", "mi.kde", "mi.kde_adaptive", "mi.ksg", "mi.kl", "mi.compressed",
    "mi.gaussian", "mi.renyi", "mi.cauchy_schwarz", "mi.diffusion", "mi.infonce",
)  # fmt: skip
DIAGNOSTICS = (
    "entropy.diffusion", "entropy.matrix", "diversity.vendi", "rank.effective",
    "rank.participation", "dimension.lid", "norm.nuclear", "rate.coding", "rate.reduction",
    "collapse.nc1", "collapse.cdnv",
)  # fmt: skip
N = 1000  # samples of the network
INPUTS, HIDDEN, UNITS, CLASSES = 10, 16, 2, 3
WIDTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64)
FULL = 0.99  # of log n: from there an estimate says how many samples there are
SIZES = (100, 200, 500, 1000, 2000)
CLOSE = 0.1 / NATS_TO_BITS  # nats: a tenth of a bit
SEED = 0


@dataclass(frozen=True, slots=True)
class Change:
    """Something done to a layer that the next weights can undo, or to the probe set.

    ``apply`` takes the layer (n, d); every ``stride``-th sample is kept.
    """

    name: str
    about: str
    apply: Callable[[FloatArray], FloatArray]
    stride: int = 1


def _turned(t: FloatArray) -> FloatArray:
    turn, _ = np.linalg.qr(np.random.default_rng(SEED).standard_normal((t.shape[1],) * 2))
    return np.ascontiguousarray(t @ turn)


CHANGES = (
    Change("as it is", "the layer", lambda t: t),
    Change("× 10", "every unit ten times as large, the next weights a tenth", lambda t: 10 * t),
    Change("÷ 10", "every unit a tenth as large, the next weights ten times", lambda t: t / 10),
    Change("turned", "the layer turned by a rotation that the next weights undo", _turned),
    Change(
        "doubled",
        "every unit given twice, the next weights halved",
        lambda t: np.concatenate([t, t], axis=1),
    ),
    Change("half the samples", "the same layer on every second sample", lambda t: t, 2),
)
PAIRS: Mapping[str, Truth] = {
    "3 classes, 3 units": truth.blobs(3, 3, 0.5),
    "3 classes, 50 units": truth.blobs(3, 50, 0.5),
    "1 and 1 units": truth.gaussian(0.75, 1),
    "5 and 5 units": truth.gaussian(0.6, 5),
}
"""Pairs of known information: classes, half of them random, and Gaussian variables."""


def network(n: int = N, units: int = UNITS) -> tuple[ProbeData, FloatArray]:
    """Return a probe set and a layer (n, units) of a fixed tanh network that sees it.

    Inputs are distinct and the classes are a function of the layer, so that over these samples
    I(X;T) is log n and I(T;Y) is H(Y), exactly.
    """
    rng = np.random.default_rng(SEED)
    x = rng.standard_normal((n, INPUTS))
    hidden = np.tanh(x @ rng.standard_normal((INPUTS, HIDDEN)) / math.sqrt(INPUTS))
    t = np.tanh(hidden @ rng.standard_normal((HIDDEN, units)) * 2 / math.sqrt(HIDDEN))
    y = np.argmax(t @ rng.standard_normal((units, CLASSES)), axis=1)
    return ProbeData(x, y, "class", "probe"), t


def truths() -> dict[str, float]:
    """Return what is known of the network over its samples, in nats: log n and H(Y)."""
    probe, _ = network()
    shares = np.bincount(np.asarray(probe.y)) / N
    return {"X": math.log(N), "Y": float(entr(shares).sum())}


def changed(estimator: str, change: Change, *, null: int = 20) -> dict[str, Measurement]:
    """Measure the network's layer after a change, as `evaluate` does.

    By target: "X" and "Y", or "" for a quantity of the layer alone.
    """
    probe, t = network()
    rows = slice(None, None, change.stride)
    kept = replace(probe, x=probe.x[rows], y=np.asarray(probe.y)[rows])
    return _measured(estimator, kept, change.apply(t)[rows], null)


def _measured(
    estimator: str, probe: ProbeData, t: FloatArray, null: int, targets: Sequence[str] = ("X", "Y")
) -> dict[str, Measurement]:
    asks, _ = asks_for([estimator], targets, probe, ["layer"])
    bench = Bench(lambda *_: t, lambda _: probe, Settings(seed=SEED, null=null))
    rows = bench.do(Job(0, "layer", probe.name, tuple((ask.target, ask) for ask in asks)))
    return {row.target: row for row in rows}


def filled(estimator: str, n: int = N) -> tuple[int | None, float | None]:
    """Return from how many units on I(X;T) is at least `FULL` of log n, and its largest value.

    None, when no width of `WIDTHS` is enough.
    """
    values = {}
    for units in WIDTHS:
        probe, t = network(n, units)
        row = _measured(estimator, probe, t, 0, ("X",)).get("X")
        if row is not None and row.value is not None:
            values[units] = row.value
    full = [units for units, value in values.items() if value >= FULL * math.log(n)]
    return (min(full) if full else None), max(values.values(), default=None)


def needed(estimator: str, task: Truth) -> tuple[int | None, float | None, str]:
    """Return from how many samples on the bias stays within `CLOSE`, and the bias at the most.

    The bias is that of the mean of three draws. None, when `SIZES` has no such number; the last
    is why there is no value at all, or empty.
    """
    biases: dict[int, float] = {}
    for n in SIZES:
        cell = measure(task, estimator, n=n, seed=SEED)
        if cell.mean is None:
            return None, None, cell.note
        biases[n] = cell.mean - task.mi
    far = [n for n, bias in biases.items() if abs(bias) > CLOSE]
    enough = [n for n in SIZES if not far or n > max(far)]
    return (min(enough) if enough else None), biases[SIZES[-1]], ""


def sheet(name: str) -> dict[str, Any]:
    """Measure one estimator or diagnostic, as plain data: nats, or a diagnostic's own unit.

    A diagnostic has no information that could be known: for it there are the changes only.
    """
    readings = {change.name: changed(name, change) for change in CHANGES}
    targets = [target for target in ("X", "Y", "") if target in readings[CHANGES[0].name]]
    changes = {
        target: {name: _told(rows[target]) for name, rows in readings.items()} for target in targets
    }
    if name in DIAGNOSTICS:
        return {"changes": changes}
    width, most = filled(name)
    samples = {}
    for about, task in PAIRS.items():
        enough, bias, note = needed(name, task)
        samples[about] = {"from": enough, "bias": _rounded(bias), "note": note}
    return {
        "changes": changes,
        "width": {"from": width, "most": _rounded(most)},
        "samples": samples,
    }


def _told(row: Measurement) -> dict[str, Any]:
    return {"value": _rounded(row.value), "verdict": int(row.verdict), "reason": row.reason}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


@cache
def limits() -> dict[str, Any]:
    """Return the shipped answers: software, date, and a sheet for each estimator."""
    text = files("infoplane.analysis").joinpath("limits.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found
