"""The standing table: what each estimator reads on tasks whose information is known exactly.

The numbers were measured by ``benchmarks/standing.py`` with :func:`measure` and lie beside this
file as ``standing.json``, with the version, the date, the sample size and the seed they hold for;
:func:`standing` reads them. Any cell can be measured again from these.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata
from importlib.resources import files
from typing import Any

import numpy as np

from infoplane import truth
from infoplane.analysis.plan import complete, takes
from infoplane.errors import InfoplaneError
from infoplane.truth import Pair, Truth
from infoplane.types import Kind

N = 1000  # samples of a draw
DRAWS = 3
ESTIMATORS = (
    "mi.ksg", "mi.kl", "mi.gaussian", "mi.renyi", "mi.cauchy_schwarz", "mi.infonce",
    "mi.binning", "mi.adaptive", "mi.kde", "mi.kde_adaptive",
)  # fmt: skip
LABELLED: Mapping[str, str] = {
    "blobs": "three clusters in 20 dimensions, every label right",
    "corrupted_blobs": "the same, part of the labels random",
    "random_labels": "the same, all labels random: nothing to find",
    "simplex": "four collapsed classes at the corners of a simplex",
}
"""Tasks whose first variable is a class, as Y is for a layer; all others are continuous."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What one estimator reads on one task, in nats: mean and standard deviation over draws.

    ``seconds`` is the time of one call; ``note`` says why there is no reading.
    """

    task: str
    estimator: str
    mean: float | None
    spread: float | None
    seconds: float
    note: str = ""


def tasks() -> list[Truth]:
    """Return the tasks of the table: the 40 of "Beyond Normal" and four with classes."""
    return [*truth.tasks(), *(truth.get(name) for name in LABELLED)]


def measure(task: Truth, estimator: str, *, n: int = N, draws: int = DRAWS, seed: int = 0) -> Cell:
    """Read an estimator, with its usual parameters, on ``draws`` samples of a task.

    The same seed gives every estimator the same samples, and the same cell on every call.
    """
    entry, params, _ = complete(estimator)
    if not takes(entry, kind_of(task)):
        note = f"it does not take a {kind_of(task).value} first variable"
        return Cell(task.name, estimator, None, None, 0.0, note)
    assert entry.function is not None
    values, seconds = [], 0.0
    for i in range(draws):
        v, t = _sample(task, n, np.random.default_rng([seed, i]))
        start = time.perf_counter()
        try:
            values.append(entry.function(v, t, **params, rng=i).value)
        except InfoplaneError as error:
            return Cell(task.name, estimator, None, None, 0.0, str(error))
        seconds += time.perf_counter() - start
    spread = float(np.std(values, ddof=1)) if draws > 1 else 0.0
    return Cell(task.name, estimator, float(np.mean(values)), spread, seconds / draws)


def kind_of(task: Truth) -> Kind:
    """Return what the first variable is: classes, where either of the two is discrete."""
    return Kind.DISCRETE if Kind.DISCRETE in task.kinds else Kind.CONTINUOUS


def _sample(task: Truth, n: int, rng: np.random.Generator) -> Pair:
    """Draw (v, t), the classes first as estimators want them: information is symmetric."""
    x, y = task.sample(n, rng)
    return (y, x) if task.kinds == (Kind.CONTINUOUS, Kind.DISCRETE) else (x, y)


def as_data(cells: Iterable[Cell], *, date: str, n: int, draws: int, seed: int) -> dict[str, Any]:
    """Return measured cells as plain data, with all that is needed to measure them again."""
    return {
        "software": f"infoplane {metadata.version('infoplane')}, numpy {metadata.version('numpy')}",
        "date": date,
        "n": n,
        "draws": draws,
        "seed": seed,
        "tasks": [
            {
                "name": task.name,
                "about": LABELLED.get(task.name, task.about),
                "truth": task.mi,
                "of": kind_of(task).value,
            }
            for task in tasks()
        ],
        "estimators": list(ESTIMATORS),
        "cells": [_rounded(asdict(cell)) for cell in cells],
    }


def _rounded(cell: Mapping[str, Any]) -> dict[str, Any]:
    return {k: round(v, 6) if isinstance(v, float) else v for k, v in cell.items()}


@cache
def standing() -> dict[str, Any]:
    """Return the shipped table: software, date, n, draws, seed, tasks, estimators and cells."""
    text = files("infoplane.analysis").joinpath("standing.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


def ranked(table: Mapping[str, Any], of: str) -> Sequence[str]:
    """Return the estimators that read tasks of one kind, smallest median error first.

    A task without a reading counts as an infinite error.
    """
    truths = {task["name"]: task["truth"] for task in table["tasks"] if task["of"] == of}
    errors: dict[str, list[float]] = {}
    for cell in table["cells"]:
        if cell["task"] in truths:
            mean = np.inf if cell["mean"] is None else cell["mean"]
            errors.setdefault(cell["estimator"], []).append(abs(mean - truths[cell["task"]]))
    readable = [name for name, found in errors.items() if np.isfinite(found).any()]
    return sorted(readable, key=lambda name: float(np.quantile(errors[name], 0.5, method="higher")))
