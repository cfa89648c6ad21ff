"""The Calibrate page: what estimators read on twins of a layer whose information is known."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, partial
from typing import Any, Literal

from bokeh.document import Document
from markupsafe import Markup

from infoplane.analysis import standing
from infoplane.analysis.calibration import calibrate_run
from infoplane.analysis.plan import complete, takes
from infoplane.errors import InfoplaneError, InputError
from infoplane.store import Run
from infoplane.types import NATS_TO_BITS, Kind, Quantity
from infoplane.views.compare import label_of
from infoplane.views.desk import Desk
from infoplane.views.explore import BROKEN, UNKNOWN, waiting
from infoplane.views.hub import Hub
from infoplane.views.layer import log_spread
from infoplane.views.opening import open_tail
from infoplane.views.page import Page
from infoplane.views.picker import picker
from infoplane.views.shelf import Shelf
from infoplane.views.state import PageState
from infoplane.views.text import plain

USUAL = ("mi.binning", "mi.adaptive", "mi.kde", "mi.ksg", "mi.kl", "mi.gaussian")
CHOSEN = ("mi.binning", "mi.adaptive", "mi.kde")
TWINS = 3  # for each true information
STEPS = 60  # snapshots offered, log-spaced
PASSING = ("layer", "step", "target")  # what a reader looks through
FULL = 1.0  # bits of bias that fill a cell of the standing table

_BODY = Markup("""
<div class="page wide"><header><h1>Calibrate</h1>{picker}<span class="grow"></span>
<a class="button" href="{explore}">the plane of this run</a></header>
<section aria-labelledby="twins-title"><h2 id="twins-title">Twins of your layer</h2>
<p class="hint">How wrong is an estimator on data shaped like your layer? Twins are drawn with the
same number of samples, dimensions and spectrum as the layer, and with an information that is known.
What is read on them is kept in the run.</p>
<div class="compare"><form id="calibration" aria-label="What to calibrate">
<label class="field"><span>Layer</span><select name="layer">{layers}</select></label>
<label class="field"><span>Step of the snapshot</span><select name="step">{steps}</select></label>
<label class="field"><span>Information about</span><select name="target">{targets}</select></label>
<p class="hint" id="about-target"></p>
<fieldset><legend>Estimators</legend>{estimators}</fieldset>
<button type="submit" class="button go">measure</button>
<p class="error" role="alert" id="refused"></p></form>
<div><p class="hint" id="hint" role="status" aria-live="polite">One moment …</p>
<ul class="alerts verdicts" id="verdicts"></ul>
<div class="figures one" id="readings"></div><div id="reading-table"></div></div></div></section>
<section aria-labelledby="standing-title"><h2 id="standing-title">On tasks with a known truth</h2>
<p class="hint" id="about-standing"></p><div id="standing"></div></section></div>""")


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
    desk = Desk(document, partial(answer, run), receive="infoplane.calibrate", passing=PASSING)
    name = plain(run.name) or "Run"
    return Page(
        heading=f"Calibrate {name}",
        body=_BODY.format(
            picker=picker(shelf, state.page, summary.id),
            explore=PageState(run=summary.id).query(),
            layers=_options(
                ((i, f"T{i + 1} · {layer}") for i, layer in enumerate(run.layers)),
                int(state.layer[1:]) - 1 if re.fullmatch("T[0-9]{1,6}", state.layer) else None,
            ),
            steps=_options(
                ((step, f"{step:,}") for step in reversed(offered_steps(run))),
                max((s for s in offered_steps(run) if s <= state.step), default=None),
            ),
            targets=_options(targets(run).items()),
            estimators=_boxes(run),
        ),
        first={"standing": standing_table()},
        scripts=("calibrate.js",),
        close=desk.close,
    )


def _options(choices: Iterable[tuple[Any, str]], chosen: Any = None) -> Markup:
    return Markup("").join(
        Markup('<option value="{0}"{1}>{2}</option>').format(
            value, Markup(" selected") if value == chosen else "", plain(text, 48)
        )
        for value, text in choices
    )


def _boxes(run: Run) -> Markup:
    box = Markup(
        '<label><input type="checkbox" name="estimator" value="{0}" data-targets="{1}"{2}>'
        "<span>{3}</span></label>"
    )
    return Markup("").join(
        box.format(name, able, Markup(" checked") if name in CHOSEN else "", label_of(name))
        for name, able in offered(run).items()
    )


def offered(run: Run) -> dict[str, str]:
    """Return the estimators that may be calibrated, and for which targets: "Y", "X" or "X Y".

    The usual ones and those that this run has used.
    """
    used = (row.estimator for row in run.measurements() if row.quantity == Quantity.MI)
    able = {}
    for name in dict.fromkeys((*USUAL, *used)):
        try:
            entry = complete(name)[0]
        except InfoplaneError:  # measured by another version
            continue
        sides = {"X": Kind.CONTINUOUS, "Y": Kind.DISCRETE}
        able[name] = " ".join(target for target, kind in sides.items() if takes(entry, kind))
    return able


def offered_steps(run: Run) -> list[int]:
    """Return the steps of snapshots that may be chosen, the first and the last among them."""
    return log_spread(run.steps, STEPS)


def targets(run: Run) -> dict[str, str]:
    """Return what twins may carry information about: classes where the run has them."""
    has_classes = run.probe().y is not None and run.probe().target == "class"
    return ({"Y": "Y, the class"} if has_classes else {}) | {"X": "X, a continuous input"}


def answer(run: Run, question: Mapping[str, Any]) -> dict[str, Any]:
    """Calibrate what a browser asks for, and tell the newest readings of the layer."""
    names, steps = run.layers, run.steps
    index, step, target = (question.get(name) for name in ("layer", "step", "target"))
    if type(index) is not int or not 0 <= index < len(names):
        raise InputError(f"`layer` must be the place of one of {len(names)} layers.")
    if not steps:
        raise InputError("This run holds no activations: its snapshots were not kept.")
    step = steps[-1] if step is None else step
    if type(step) is not int or step not in steps:
        raise InputError(f"`step` must be one of the run's {len(steps)} snapshots.")
    sides = targets(run)
    target = next(iter(sides)) if target is None else target
    if not isinstance(target, str) or target not in sides:
        raise InputError(f"`target` must be one of {', '.join(sides)} in this run.")
    wanted = question.get("estimators")
    if isinstance(wanted, list) and wanted:
        able = offered(run)
        chosen = [name for name in able if name in wanted and target in able[name].split()]
        if not chosen:
            raise InputError("Choose at least one estimator of the list that takes this target.")
        side: Literal["X", "Y"] = "X" if target == "X" else "Y"
        calibrate_run(run, names[index], chosen, step=step, target=side, twins=TWINS)
        run.refresh()
    here = {"layer": names[index], "step": step, "target": target}
    notes = [
        note
        for note in run.annotations("calibration")
        if all(note.get(name) == value for name, value in here.items())
    ]
    place = {"place": [index, step, target]}
    return place | {"here": read_here(run, here)} | (told(notes) if notes else {"readings": []})


def read_here(run: Run, here: Mapping[str, Any]) -> dict[str, float]:
    """Return what the run's estimators read at a place itself, in bits by their labels."""
    return {
        label_of(row.estimator): row.value * NATS_TO_BITS
        for row in run.measurements()
        if row.value is not None
        and row.quantity == Quantity.MI
        and {"layer": row.layer, "step": row.step, "target": row.target} == here
    }


def told(notes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Turn kept calibrations of one place into bits and labels, each estimator's newest.

    They come from a file: anything may be in them.
    """
    newest: dict[str, list[Mapping[str, Any]]] = {}
    for note in notes:
        found = note.get("readings")
        rows = [row for row in found if isinstance(row, Mapping)] if isinstance(found, list) else []
        for name in dict.fromkeys(str(row.get("estimator", "")) for row in rows):
            newest[name] = [row for row in rows if str(row.get("estimator", "")) == name]
    shown = [row for rows in newest.values() for row in rows][:200]
    twins = [row["twins"] for row in shown if type(row.get("twins")) is int and row["twins"] > 0]
    return {
        "about": {name: plain(notes[-1].get(name, ""), 60) for name in ("step", "n", "d")},
        "twins": max(twins, default=0),
        "readings": [
            {
                "estimator": label_of(str(row.get("estimator", ""))),
                "seconds": _float(row.get("seconds")),
                "note": plain(row.get("note", ""), 200),
            }
            | {name: _bits(row.get(name)) for name in ("truth", "mean", "bias", "spread")}
            for row in shown
        ],
    }


@cache
def standing_table() -> dict[str, Any]:
    """Return the standing table in bits, split by what the first variable is."""
    table = standing.standing()
    cells = {(cell["task"], cell["estimator"]): cell for cell in table["cells"]}
    parts = (
        ("discrete", "Classes and a layer", "What I(T;Y) asks: the first variable is a class."),
        (
            "continuous",
            "Two continuous variables",
            "The 40 tasks of “Beyond Normal” (Czyż et al., NeurIPS 2023), made from their "
            "closed forms. Binning and KDE bounds are missing here: they need a discrete first "
            "variable.",
        ),
    )
    told = []
    for of, title, words in parts:
        names = standing.ranked(table, of)
        rows = [
            {
                "name": task["name"],
                "about": task["about"],
                "truth": task["truth"] * NATS_TO_BITS,
                "cells": [_cell(cells.get((task["name"], name)), task["truth"]) for name in names],
            }
            for task in table["tasks"]
            if task["of"] == of
        ]
        labels = [label_of(name) for name in names]
        told.append({"title": title, "words": words, "estimators": labels, "rows": rows})
    about = (
        f"Bias of each estimator with its usual parameters, in bits: read minus true, mean of "
        f"{table['draws']} draws of {table['n']:,} samples. Columns: smallest median error first. "
        f"Measured on {table['date']} with {table['software']}, seed {table['seed']}; "
        "hover a number for its spread and cost."
    )
    return {"about": about, "full": FULL, "tables": told}


def _cell(cell: Mapping[str, Any] | None, truth: float) -> dict[str, Any]:
    if cell is None or cell["mean"] is None:
        return {"bias": None, "note": plain(cell["note"], 200) if cell else "not measured"}
    told = {name: round(cell[name] * NATS_TO_BITS, 4) for name in ("mean", "spread")}
    bias = round((cell["mean"] - truth) * NATS_TO_BITS, 4)
    return told | {"bias": bias, "seconds": cell["seconds"]}


def _float(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) and abs(value) < 1e300 else None


def _bits(value: Any) -> float | None:
    number = _float(value)
    return None if number is None else round(number * NATS_TO_BITS, 4)
