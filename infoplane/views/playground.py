"""The Playground page: choose a task and a network, train, watch; runs are saved like any other."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from bokeh.document import Document
from markupsafe import Markup

from infoplane.views.desk import Desk
from infoplane.views.hub import Hub
from infoplane.views.page import Page
from infoplane.views.state import PageState
from infoplane.views.tail import Shelf
from infoplane.views.text import plain
from infoplane.views.workshop import CHOICES, RANGES, WORKSHOP, Workshop

_TASKS = {
    "szt": "12-bit patterns (Shwartz-Ziv and Tishby)",
    "digits": "handwritten digits, 8 × 8",
    "blobs": "clusters with random labels",
}
_START = {"strength": 0, "lr": 0.0004, "batch": 256, "epochs": 600, "seed": 0, "corruption": 0.2}
_LABELS = {
    "task": "Task",
    "activation": "Activation",
    "regulariser": "Regulariser",
    "optimiser": "Optimiser",
    "widths": "Hidden layers",
    "strength": "Strength of the regulariser",
    "lr": "Learning rate",
    "batch": "Batch size",
    "epochs": "Epochs",
    "seed": "Seed",
    "corruption": "Share of random labels",
}
_BODY = Markup("""
<div class="page wide"><header><h1>Playground</h1>
<p>Trains here, on this machine; at most {limit} at once. Runs are kept in {place}.</p></header>
<div class="compare"><form id="recipe" aria-label="What to train">{fields}
<button type="submit" class="button go">train</button>
<p class="error" role="alert" id="refused"></p></form>
<section aria-labelledby="jobs-title"><h2 id="jobs-title">Trainings</h2>
<p class="hint" id="no-jobs">Nothing was started yet. The plane draws itself
while a network trains.</p>
<ul class="jobs" id="jobs" aria-live="polite"></ul></section></div></div>""")


def build(document: Document, state: PageState, shelf: Shelf, hub: Hub) -> Page:
    """Build the form; trainings are started and told of through the desk."""
    desk = Desk(document, partial(answer, WORKSHOP, shelf), receive="infoplane.playground")
    place = plain(shelf.directory / "playground", 200)
    return Page(
        heading="Playground",
        body=_BODY.format(limit=WORKSHOP.limit, place=place, fields=_fields()),
        first={"numbers": list(RANGES)},
        start=lambda: None,
        close=desk.close,
    )


def answer(workshop: Workshop, shelf: Shelf, question: Mapping[str, Any]) -> dict[str, Any]:
    """Start or cancel what a browser asks for, and tell how all trainings stand."""
    recipe, cancel = question.get("start"), question.get("cancel")
    if isinstance(recipe, dict):
        workshop.start(shelf.directory, recipe)
    if type(cancel) is int:
        workshop.cancel(cancel)
    shelf.poll()
    ids = {str(run.path): run.id for run in shelf.runs()}
    jobs = workshop.jobs()
    for job in jobs:
        job["run"] = ids.get(str(shelf.directory / job["folder"]), "")
    return {"jobs": jobs, "started": isinstance(recipe, dict)}


def _fields() -> Markup:
    lines = []
    for name, values in CHOICES.items():
        choices = Markup("").join(
            Markup('<option value="{0}">{1}</option>').format(value, _TASKS.get(value, value))
            for value in values
        )
        control = Markup('<select name="{0}">{1}</select>').format(name, choices)
        lines.append(_labelled(name, control))
    text = Markup('<input type="text" name="widths" value="10,7,5,4,3" spellcheck="false">')
    lines.insert(1, _labelled("widths", text))
    for name, (low, high) in RANGES.items():
        step = "1" if float(low).is_integer() and name not in ("strength", "corruption") else "any"
        control = Markup(
            '<input type="number" name="{0}" min="{1}" max="{2}" step="{3}" value="{4}" required>'
        ).format(name, f"{low:g}", int(high) if high > 1e6 else f"{high:g}", step, _START[name])
        lines.append(_labelled(name, control))
    return Markup("").join(lines)


def _labelled(name: str, control: Markup) -> Markup:
    return Markup('<label data-field="{0}"><span>{1}</span>{2}</label>').format(
        name, _LABELS[name], control
    )
