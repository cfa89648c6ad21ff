"""The Diagnostics page: every quantity that was measured beyond the plane, and alerts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from bokeh.document import Document
from markupsafe import Markup

from infoplane.analysis import capture_cost, naming
from infoplane.errors import InfoplaneError, UnknownEstimatorError
from infoplane.estimators import registry
from infoplane.store import Run
from infoplane.types import NATS_TO_BITS, Measurement, Quantity
from infoplane.views import alerts
from infoplane.views.desk import Desk
from infoplane.views.explore import BROKEN, UNKNOWN, waiting
from infoplane.views.feed import SessionFeed
from infoplane.views.hub import Hub
from infoplane.views.layer import log_spread
from infoplane.views.opening import open_tail
from infoplane.views.page import Page
from infoplane.views.picker import picker
from infoplane.views.shelf import Shelf
from infoplane.views.state import PageState
from infoplane.views.tail import Nudge
from infoplane.views.text import plain
from infoplane.views.workshop import WORKSHOP, Workshop

POINTS = 200  # of a curve, log-spaced

CHECKED = (
    "values that are not finite, dead layers and units, collapse to one direction, memorising, "
    "planes of train and test that diverge, layers at the ceiling, estimates without a value, "
    "lost snapshots"
)
_BODY = Markup("""
<div class="page wide"><header><h1>Diagnostics</h1>{picker}<span class="grow"></span>
<p class="state" role="status" aria-live="polite"></p>
<a class="button" href="{explore}">the plane of this run</a></header>
<p class="error" role="alert" id="hint"></p>
<section aria-labelledby="alerts-title"><h2 id="alerts-title">Alerts</h2>
<p class="hint"><b id="about-alerts" role="status" aria-live="polite">Looking …</b>
Looked for: {checked}.</p>
<ul class="alerts" id="alerts"></ul>
<p class="keep"><button type="button" class="button" id="keep" hidden>store the alerts in the run
</button></p></section>
<section aria-labelledby="training-title" hidden><h2 id="training-title">Training</h2>
<p class="hint" id="about-training"></p>
<div class="figures" id="training"></div></section>
<section aria-labelledby="quantities-title"><h2 id="quantities-title">Quantities of each layer</h2>
<p class="hint" id="about-quantities"></p><div class="figures" id="quantities"></div>
<div id="unmeasured" hidden><p class="hint">No quantity beyond the plane was measured in this
run.</p><p><button type="button" class="button" id="measure">measure the usual ones now</button>
<span class="hint" id="measuring" role="status" aria-live="polite"></span></p>
<p class="hint">Or, with any estimator of <code>infoplane catalogue</code>:</p>
<pre class="command">infoplane evaluate {path} {usual}</pre></div></section></div>""")
USUAL = ("rank.effective", "sparsity.zero", "collapse.nc1", "dimension.lid")


def build(document: Document, state: PageState, shelf: Shelf, hub: Hub) -> Page:
    """Build the page; the browser asks for its content, again whenever the run has grown."""
    summary = shelf.find(state.run) if state.run else shelf.newest()
    where = plain(shelf.directory, 200)
    if summary is None and state.run:
        return Page("Unknown run", body=UNKNOWN.format(directory=where))
    if summary is None:
        return waiting(document, shelf, hub)
    try:
        key, tail = open_tail(summary, hub)
    except InfoplaneError as error:
        return Page("Broken run", body=BROKEN.format(reason=plain(error, 400)))
    desk = Desk(document, partial(answer, tail.run), receive="infoplane.diagnostics")
    feed = SessionFeed(document, Nudge(tail), None, receive="infoplane.nudge")

    def close() -> None:
        feed.close()
        desk.close()

    name = plain(tail.run.name) or "Run"
    return Page(
        heading=f"Diagnostics of {name}",
        body=_BODY.format(
            picker=picker(shelf, state.page, summary.id),
            explore=PageState(run=summary.id).query(),
            checked=CHECKED,
            path=plain(summary.path, 300),
            usual=" ".join(USUAL),
        ),
        first={"run": summary.id},
        start=lambda: feed.start(hub, key, tail),
        scripts=("diagnostics.js",),
        close=close,
    )


def answer(run: Run, question: Mapping[str, Any], workshop: Workshop = WORKSHOP) -> dict[str, Any]:
    """Tell alerts and curves.

    With ``{"keep": True}`` the alerts are written into the run first, with ``{"measure": True}``
    the usual quantities are estimated in a process of their own.
    """
    if question.get("measure") is True:
        workshop.measure(run.path, USUAL)
    found = alerts.alerts(run)
    if question.get("keep") is True:
        alerts.keep(run, found)
    known = [dict(note) for note in run.annotations(alerts.KIND)]
    labels = {name: f"T{i + 1}" for i, name in enumerate(run.layers)}
    told = [
        {name: plain(value, 300) if isinstance(value, str) else value for name, value in a.items()}
        | {"label": labels.get(str(a["layer"]), ""), "kept": a in known}
        for a in map(asdict, found)
    ]
    rows = run.measurements()
    return {
        "alerts": told,
        "measured": bool(rows),
        "measuring": workshop.measuring(run.path),
        "refusal": workshop.refusal(run.path),
        "training": training(run.scalars()),
        "cost": plain(capture_cost(run.events()), 400),
        "quantities": [*planes(rows, labels), *quantities(rows, labels)],
    }


def training(scalars: Mapping[str, Mapping[int, float]]) -> list[dict[str, Any]]:
    """Gather what was recorded in training: train and test of one thing in one figure."""
    figures: dict[str, list[dict[str, Any]]] = {}
    for name, values in scalars.items():
        finite = {step: value for step, value in values.items() if math.isfinite(value)}
        if name == "epoch" or not finite:
            continue
        part, _, thing = name.partition("_")
        split = part in ("train", "test", "val", "valid", "validation") and bool(thing)
        kind, about = (part, thing) if split else ("train", name)
        steps = log_spread(sorted(finite), POINTS)
        curve = {"label": kind, "kind": kind, "x": steps, "y": [finite[step] for step in steps]}
        figures.setdefault(about, []).append(curve)
    return [
        _figure(about.replace("_", " "), "as recorded", "", "", sorted(curves, key=_train_first))
        for about, curves in figures.items()
    ]


def planes(rows: Sequence[Measurement], labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """Gather I(X;T) and I(T;Y) where they were measured on more than one probe set."""
    mi = [row for row in rows if row.quantity == Quantity.MI and row.target in ("X", "Y")]
    found = []
    for axis, target in enumerate("XY"):
        for estimator in sorted({row.estimator for row in mi}):
            chosen = [row for row in mi if (row.target, row.estimator) == (target, estimator)]
            if len({row.probe for row in chosen}) > 1:
                name = naming.quantities(estimator)[axis]
                found += [
                    dict(figure, name=f"{name}, {figure['name']}", beyond=False)
                    for figure in gathered(chosen, labels)
                ]
    return found


def quantities(rows: Sequence[Measurement], labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """Gather curves: one entry a quantity, in it one series a layer and probe."""
    return gathered([row for row in rows if row.quantity != Quantity.MI], labels)


def gathered(rows: Sequence[Measurement], labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """Gather rows by estimator and parameters, in each by layer and probe set."""
    groups: dict[tuple[str, str], dict[tuple[str, str], dict[int, Measurement]]] = {}
    for row in rows:
        if row.value is not None and math.isfinite(row.value):
            given = {name: value for name, value in row.params.items() if value is not None}
            params = ", ".join(n if v is True else f"{n} = {v}" for n, v in given.items())
            series = groups.setdefault((row.estimator, params), {})
            series.setdefault((row.layer, row.probe), {})[row.step] = row
    return [_quantity(*key, series, labels) for key, series in sorted(groups.items())]


def _quantity(
    estimator: str,
    params: str,
    series: Mapping[tuple[str, str], Mapping[int, Measurement]],
    labels: Mapping[str, str],
) -> dict[str, Any]:
    unit = next(iter(next(iter(series.values())).values())).unit
    scale = NATS_TO_BITS if unit == "nat" else 1.0
    curves = []
    for (layer, probe), at in series.items():
        steps = log_spread(sorted(at), POINTS)
        values = [float(at[step].value or 0.0) * scale for step in steps]
        label = labels.get(layer, plain(layer, 24))
        curves.append({"label": label, "kind": plain(probe, 40), "x": steps, "y": values})
    name, measures = _words(estimator)
    told_unit = "bit" if unit == "nat" else plain(unit, 20)
    curves.sort(key=lambda curve: (_train_first(curve), len(curve["label"]), curve["label"]))
    return _figure(name, measures, told_unit, plain(params, 100), curves)


def _figure(
    name: str, measures: str, unit: str, params: str, curves: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "name": plain(name, 60),
        "measures": measures,
        "unit": unit,
        "params": params,
        "curves": curves,
        "beyond": True,
    }


def _train_first(curve: Mapping[str, Any]) -> tuple[bool, str]:
    return curve["kind"] != "train", str(curve["kind"])


def _words(estimator: str) -> tuple[str, str]:
    try:
        card = registry.card(estimator)
    except UnknownEstimatorError:
        return plain(estimator), ""
    return card.label, card.measures
