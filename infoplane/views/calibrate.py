"""The Calibrate page: what estimators read on twins of a layer whose information is known."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from bokeh.document import Document
from markupsafe import Markup

from infoplane.analysis.calibration import calibrate_run
from infoplane.errors import InfoplaneError, InputError
from infoplane.store import Run
from infoplane.types import NATS_TO_BITS, Quantity
from infoplane.views.compare import label_of
from infoplane.views.desk import Desk
from infoplane.views.explore import BROKEN, UNKNOWN, waiting
from infoplane.views.hub import Hub
from infoplane.views.page import Page
from infoplane.views.state import PageState
from infoplane.views.tail import Shelf, open_tail
from infoplane.views.text import plain

USUAL = ("mi.binning", "mi.adaptive", "mi.kde", "mi.ksg")
TWINS = 3  # for each true information

_BODY = Markup("""
<div class="page wide"><header><h1>Calibrate</h1><p>{name}</p><span class="grow"></span>
<a class="button" href="{explore}">the plane of this run</a></header>
<p class="hint">How wrong is an estimator on data shaped like your layer? Twins are drawn with the
same number of samples, dimensions, spectrum and class sizes as the layer at its last snapshot, and
with an information about the label that is known. What is read on them is kept in the run.</p>
<div class="compare"><form id="calibration" aria-label="What to calibrate">
<label class="field"><span>Layer</span><select name="layer">{layers}</select></label>
<fieldset><legend>Estimators</legend>{estimators}</fieldset>
<button type="submit" class="button go">measure</button>
<p class="error" role="alert" id="refused"></p></form>
<div><p class="hint" id="hint" role="status" aria-live="polite"></p>
<div class="figures" id="readings"></div><div id="reading-table"></div></div></div></div>""")


def build(document: Document, state: PageState, shelf: Shelf, hub: Hub) -> Page:
    """Build the form; twins are drawn and read in a worker thread when asked for."""
    summary = shelf.find(state.run) if state.run else shelf.newest()
    where = plain(shelf.directory, 200)
    if summary is None and state.run:
        return Page("Unknown run", body=UNKNOWN.format(directory=where))
    if summary is None:
        return waiting(document, shelf, hub)
    try:
        run = open_tail(summary, hub)[1].run
    except InfoplaneError as error:
        return Page("Broken run", body=BROKEN.format(reason=plain(error, 400)))
    desk = Desk(document, partial(answer, run), receive="infoplane.calibrate")
    layers = Markup("").join(
        Markup('<option value="{0}">T{1} {2}</option>').format(i, i + 1, plain(name, 40))
        for i, name in enumerate(run.layers)
    )
    boxes = Markup("").join(
        Markup('<label><input type="checkbox" name="estimator" value="{0}"{1}>{2}</label>').format(
            name, Markup(" checked") if name != "mi.ksg" else "", label_of(name)
        )
        for name in offered(run)
    )
    name = plain(run.name) or "Run"
    return Page(
        heading=f"Calibrate {name}",
        body=_BODY.format(
            name=name,
            explore=PageState(run=summary.id).query(),
            layers=layers,
            estimators=boxes,
        ),
        close=desk.close,
    )


def offered(run: Run) -> list[str]:
    """Return the estimators that may be calibrated: the usual ones and those this run has used."""
    used = (row.estimator for row in run.measurements() if row.quantity == Quantity.MI)
    return list(dict.fromkeys((*USUAL, *used)))


def answer(run: Run, question: Mapping[str, Any]) -> dict[str, Any]:
    """Calibrate what a browser asks for, and tell the newest readings of the layer."""
    names = run.layers
    index = question.get("layer")
    if type(index) is not int or not 0 <= index < len(names):
        raise InputError(f"`layer` must be the place of one of {len(names)} layers.")
    wanted = question.get("estimators")
    if isinstance(wanted, list) and wanted:
        known = offered(run)
        chosen = [name for name in known if name in wanted]
        if not chosen or not run.steps:
            raise InputError("Choose at least one estimator of the list; the run needs a snapshot.")
        calibrate_run(run, names[index], chosen, twins=TWINS)
        run.refresh()
    notes = [
        note
        for note in run.annotations("calibration")
        if note.get("layer") == names[index] and note.get("target") == "Y"
    ]
    return told(notes[-1]) if notes else {"readings": []}


def told(note: Mapping[str, Any]) -> dict[str, Any]:
    """Turn a kept calibration into bits and labels; it comes from a file: anything may be in it."""
    rows = [row for row in note.get("readings") or [] if isinstance(row, Mapping)]
    return {
        "about": {name: plain(note.get(name, ""), 60) for name in ("step", "n", "d")},
        "readings": [
            {
                "estimator": label_of(str(row.get("estimator", ""))),
                "seconds": _float(row.get("seconds")),
                "note": plain(row.get("note", ""), 200),
            }
            | {name: _bits(row.get(name)) for name in ("truth", "mean", "bias", "spread")}
            for row in rows[:200]
        ],
    }


def _float(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) and abs(value) < 1e300 else None


def _bits(value: Any) -> float | None:
    number = _float(value)
    return None if number is None else round(number * NATS_TO_BITS, 4)
