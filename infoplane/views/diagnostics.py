"""The Diagnostics page: every quantity that was measured beyond the plane, and alerts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from bokeh.document import Document
from markupsafe import Markup

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
from infoplane.views.page import Page
from infoplane.views.state import PageState
from infoplane.views.tail import Nudge, Shelf, open_tail
from infoplane.views.text import plain

POINTS = 200  # of a curve, log-spaced

_BODY = Markup("""
<div class="page wide"><header><h1>Diagnostics</h1><p>{name}</p><span class="grow"></span>
<p class="state" role="status" aria-live="polite"></p>
<a class="button" href="{explore}">the plane of this run</a></header>
<section aria-labelledby="alerts-title"><h2 id="alerts-title">Alerts</h2>
<ul class="alerts" id="alerts"></ul>
<p class="keep"><button type="button" class="button" id="keep" hidden>keep in the run</button></p>
</section>
<section aria-labelledby="quantities-title"><h2 id="quantities-title">Quantities</h2>
<p class="hint" id="hint"></p><div class="figures" id="quantities"></div></section></div>""")


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
        body=_BODY.format(name=name, explore=PageState(run=summary.id).query()),
        first={"run": summary.id},
        start=lambda: feed.start(hub, key, tail),
        close=close,
    )


def answer(run: Run, question: Mapping[str, Any]) -> dict[str, Any]:
    """Tell alerts and curves; with ``{"keep": True}`` the alerts are written into the run first."""
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
    return {"alerts": told, "quantities": quantities(run.measurements(), labels)}


def quantities(rows: list[Measurement], labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """Gather curves: one entry a quantity, in it one series a layer and probe."""
    groups: dict[tuple[str, str], dict[tuple[str, str], dict[int, Measurement]]] = {}
    for row in rows:
        if row.quantity != Quantity.MI and row.value is not None:
            params = ", ".join(f"{name}={value}" for name, value in row.params.items())
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
        curves.append({"label": label, "probe": plain(probe, 40), "x": steps, "y": values})
    name, measures = _words(estimator)
    return {
        "name": name,
        "measures": measures,
        "unit": "bit" if unit == "nat" else plain(unit, 20),
        "params": plain(params, 100),
        "curves": sorted(curves, key=lambda curve: (len(curve["label"]), curve["label"])),
    }


def _words(estimator: str) -> tuple[str, str]:
    try:
        card = registry.card(estimator)
    except UnknownEstimatorError:
        return plain(estimator), ""
    return card.label, card.measures
