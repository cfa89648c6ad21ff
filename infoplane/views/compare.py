"""The Compare page: seeds with bands, settings side by side, compression against test accuracy."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from bokeh.document import Document
from markupsafe import Markup

from infoplane import store
from infoplane.analysis import trajectories
from infoplane.analysis.agreement import compare_estimators, reading
from infoplane.analysis.naming import measures, quantities
from infoplane.errors import InfoplaneError, UnknownEstimatorError
from infoplane.estimators import registry
from infoplane.store import RunSummary
from infoplane.types import FloatArray
from infoplane.views.desk import Desk
from infoplane.views.explore import waiting
from infoplane.views.feed import SessionFeed
from infoplane.views.hub import Hub
from infoplane.views.page import Page
from infoplane.views.replicates import (
    ALL,
    SINGLE,
    Told,
    besides_seed,
    curve,
    gathered,
    groups,
    settings,
    varying,
)
from infoplane.views.shelf import Shelf
from infoplane.views.state import PageState
from infoplane.views.text import plain

MOST = 24  # runs compared at once
PATIENCE = 0.6  # seconds of reading after which a page is told how far it is
LASTS = 20  # times as long as reading a growing run took, it is not read again
FEWEST = 4  # runs from which a rank correlation is told
PASSING = ("runs", "read", "estimator", "key", "layer", "run")  # the newest choice counts
_DRAWS = 1000  # bootstrap draws of its interval
_KEPT = 64  # Datasets of ended runs kept in memory

_BODY = Markup("""
<div class="page wide"><header><h1>Compare</h1><p class="hint" id="hint" role="status"></p></header>
<div class="compare"><form id="chooser" aria-label="Runs to compare">
<input type="search" id="search" placeholder="name, folder, status" aria-label="Search runs">
<p class="controls">
<button type="button" class="button" id="choose-shown">choose those shown</button>
<button type="button" class="button" id="choose-none">none</button></p>
<fieldset id="runs-to-choose"><legend>Runs</legend></fieldset></form>
<div id="compared" hidden><div class="controls">
<label>Estimator <select id="estimator"></select></label>
<label>One cell for each <select id="key"></select></label></div>
<p class="hint" id="about-estimator"></p>
<p class="ip-hidden" id="summary" role="status" aria-live="polite"></p>
<section aria-labelledby="planes-title"><h2 id="planes-title">Information planes</h2>
<p class="hint" id="about-groups"></p><p class="hint caution" id="mixed"></p>
<div class="figures" id="planes"></div></section>
<section aria-labelledby="curves-title"><h2 id="curves-title">Over training</h2>
<div class="figures" id="groups"></div></section>
<div class="beside"><section aria-labelledby="scatter-title">
<h2 id="scatter-title">Compression and accuracy</h2>
<p class="controls"><label>Layer <select id="layer-choice"></select></label></p>
<p class="hint" id="about-scatter"></p><div id="scatter"></div></section>
<section aria-labelledby="agreement-title"><h2 id="agreement-title">Do the estimators agree?</h2>
<p class="controls"><label>Run <select id="agreement-run"></select></label></p>
<p class="hint" id="about-agreement"></p><div id="agreement"></div></section></div></div>
</div></div>""")


def build(document: Document, state: PageState, shelf: Shelf, hub: Hub) -> Page:
    """Build the page; the browser asks for what it shows."""
    if not shelf.runs():
        return waiting(document, shelf, hub)
    desk = Desk(document, partial(answer, shelf), receive="infoplane.compare", passing=PASSING)
    feed = SessionFeed(document, shelf, shelf.version, receive="infoplane.choices")

    def close() -> None:
        feed.close()
        desk.close()

    return Page(
        heading="Compare",
        body=_BODY,
        first={"runs": shelf.rows(), "chosen": state.runs.split(",") if state.runs else []},
        scripts=("compare.js",),
        start=lambda: feed.start(hub, shelf.key),
        close=close,
    )


def answer(shelf: Shelf, question: Mapping[str, Any]) -> dict[str, Any]:
    """Compare the runs in a question from a browser: ids, an estimator, a setting, a layer.

    Where reading the runs takes long, the answer says how many are read; the page asks again.
    """
    ids = question.get("runs")
    wanted = [word for word in ids if isinstance(word, str)] if isinstance(ids, list) else []
    chosen = [run for word in wanted[:MOST] if (run := shelf.find(word)) is not None]
    known = question.get("read")
    sets, problems, read = _datasets(chosen, known if type(known) is int else 0)
    if read < len(chosen):
        return {"reading": [read, len(chosen)]}
    names = list(dict.fromkeys(str(name) for ds, _ in sets for name in ds["estimator"].values))
    told: dict[str, Any] = {
        "estimators": [[name, label_of(name)] for name in names],
        "problems": problems,
        "groups": [],
    }
    if not names:
        return told
    estimator = _one_of(question.get("estimator"), names, names[0])
    usable = [(ds, config) for ds, config in sets if estimator in ds["estimator"].values]
    configs = [config for _, config in usable]
    keys = varying(configs)
    differing = besides_seed(configs)
    usual = ALL if len(differing) > 1 else "".join(differing)
    key = _one_of(question.get("key"), ["", SINGLE, ALL, *keys], usual)
    layers = max(ds.sizes["layer"] for ds, _ in usable)
    place, which = (question.get(name) for name in ("layer", "run"))
    place = place if type(place) is int and 0 <= place < layers else layers - 1
    if type(which) is not int or not 0 <= which < len(sets):
        which = max(range(len(sets)), key=lambda i: _comparable(sets[i][0]))
    return told | {
        "estimator": estimator,
        "titles": quantities(estimator),
        "measures": measures(estimator),
        "keys": keys,
        "key": key,
        "layers": [f"T{i + 1}" for i in range(layers)],
        "layer": place,
        "groups": groups(usable, estimator, key),
        "scatter": scatter(usable, estimator, place, key),
        "names": [plain(ds.attrs.get("run", ""), 60) for ds, _ in sets],
        "run": which,
        "agreement": agreement(sets[which][0]),
    }


def agreement(ds: xr.Dataset) -> dict[str, Any]:
    """Tell how far the estimators of one run agree: a matrix, I(X;T) above its diagonal."""
    pairs = [
        replace(pair, first=label_of(pair.first), second=label_of(pair.second))
        for pair in compare_estimators(ds)
    ]
    return {
        "words": plain(reading(pairs), 600),
        "estimators": [label_of(str(name)) for name in ds["estimator"].values],
        "pairs": [
            {
                "first": p.first,
                "second": p.second,
                "target": p.target,
                "rho": _number(p.mean),
                "layers": {plain(name, 40): _number(rho) for name, rho in p.direction.items()},
            }
            for p in pairs
        ],
    }


def _comparable(ds: xr.Dataset) -> tuple[bool, int]:
    """Rank a run by whether its estimators can be compared, and on how many steps."""
    return ds.sizes["estimator"] > 1, ds.sizes["step"]


def _one_of(value: Any, choices: Sequence[str], usual: str) -> str:
    return value if isinstance(value, str) and value in choices else usual


def label_of(estimator: str) -> str:
    """Return an estimator's label for people, with its settings where they are not the usual."""
    name, _, settings = estimator.partition("(")
    try:
        label = registry.card(name).label
    except UnknownEstimatorError:
        label = name
    return plain(f"{label} ({settings}" if settings else label, 60)


def scatter(sets: Sequence[Told], estimator: str, place: int, key: str = "") -> dict[str, Any]:
    """Return bits lost since the peak of I(X;T) and final test accuracy, a point each run.

    ``rho`` is Spearman's rank correlation with its 95 % bootstrap interval, from four runs on.
    """
    points = []
    for title, members in gathered(sets, key).items():
        for ds in members:
            accuracy = next((name for name in ("test_accuracy", "accuracy") if name in ds), "")
            if place >= ds.sizes["layer"] or not accuracy:
                continue
            values = curve(ds, estimator, "X", place)[1]
            final = np.asarray(ds[accuracy].values, dtype=np.float64)
            final = final[np.isfinite(final)]
            if len(values) and len(final):
                point = {"name": plain(ds.attrs.get("run", "")), "of": accuracy, "group": title}
                points.append(
                    point | {"x": float(values.max() - values[-1]), "y": float(final[-1])}
                )
    told: dict[str, Any] = {"points": points}
    if len(points) >= FEWEST:
        told |= rank_correlation(np.array([[p["x"], p["y"]] for p in points]))
    return told


def rank_correlation(points: FloatArray) -> dict[str, Any]:
    """Return Spearman's ρ of points (n, 2) and its 95 % percentile bootstrap interval."""
    rho = _spearman(points)
    if rho is None:
        return {}
    rng = np.random.default_rng(0)
    draws = (_spearman(points[rng.integers(len(points), size=len(points))]) for _ in range(_DRAWS))
    kept = [draw for draw in draws if draw is not None]
    low, high = np.quantile(kept, [0.025, 0.975])
    return {"rho": rho, "low": float(low), "high": float(high)}


def _spearman(points: FloatArray) -> float | None:
    ranks = np.array([_ranks(column) for column in points.T])
    if (np.ptp(ranks, axis=1) == 0).any():
        return None
    return float(np.corrcoef(ranks)[0, 1])


def _ranks(values: FloatArray) -> FloatArray:
    """Return ranks, ties sharing their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def _number(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), 3)


@dataclass(frozen=True, slots=True)
class _Reading:
    """A run's Dataset and settings, as of when."""

    stamp: str
    at: float
    took: float
    told: tuple[xr.Dataset, dict[str, Any]]

    def holds(self, stamp: str) -> bool:
        """Whether it still stands: nothing was written since, or reading anew is not worth it."""
        return self.stamp == stamp or time.monotonic() - self.at < LASTS * self.took


_readings: OrderedDict[str, _Reading] = OrderedDict()


def _datasets(
    chosen: Sequence[RunSummary], known: int
) -> tuple[list[tuple[xr.Dataset, dict[str, Any]]], list[str], int]:
    """Read the chosen runs; what cannot be read or was not measured is told instead.

    After `PATIENCE` it ends, but not before one run more than the `known` first ones was read. The
    last that is returned is how many were.
    """
    found: list[tuple[xr.Dataset, dict[str, Any]]] = []
    problems: list[str] = []
    begun = time.monotonic()
    for read, summary in enumerate(chosen):
        if read > known and time.monotonic() - begun > PATIENCE:
            return found, problems, read
        try:
            ds, config = _dataset(summary)
        except InfoplaneError as error:
            problems.append(plain(f"{summary.name}: {error}", 200))
            continue
        if ds.sizes.get("estimator", 0) and ds.sizes.get("step", 0):
            found.append((ds, config))
        else:
            problems.append(plain(f"{summary.name}: nothing was estimated yet", 200))
    return found, problems, len(chosen)


def _dataset(summary: RunSummary) -> tuple[xr.Dataset, dict[str, Any]]:
    journals = (summary.path / "journal").glob("*.jsonl")
    stamp = str(sorted((file.name, file.stat().st_size) for file in journals))
    key, begun = f"{summary.id} {summary.path}", time.monotonic()
    if key not in _readings or not _readings[key].holds(stamp):
        run = store.open_run(summary.path)
        told = trajectories(run), settings(run.config)
        now = time.monotonic()
        _readings[key] = _Reading(stamp, now, now - begun, told)
        while len(_readings) > _KEPT:
            _readings.popitem(last=False)
    _readings.move_to_end(key)
    return _readings[key].told
