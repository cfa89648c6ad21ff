"""The Playground page: choose a task and a network, train, watch; runs are saved like any other."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from bokeh.document import Document
from markupsafe import Markup

from infoplane.views.compare import label_of
from infoplane.views.desk import Desk
from infoplane.views.hub import Hub
from infoplane.views.intake import MAX_FILE, Intake, idx_files
from infoplane.views.page import Page
from infoplane.views.shelf import Shelf
from infoplane.views.state import PageState
from infoplane.views.text import plain
from infoplane.views.workshop import CHOICES, ESTIMATORS, ONLY, RANGES, WHOLE, WORKSHOP, Workshop

_WORDS = {
    "szt": "12-bit patterns (Shwartz-Ziv and Tishby)",
    "digits": "handwritten digits, 8 × 8",
    "blobs": "clusters with random labels",
    "idx": "images of your own (IDX files, as MNIST)",
    "l2": "L2 (weight decay)",
    "noise": "Gaussian noise on hidden layers",
    "cs_ib": "information bottleneck (Cauchy–Schwarz)",
    "vib": "information bottleneck (variational, VIB)",
    "nib": "information bottleneck (nonlinear, NIB)",
    "sgd": "SGD",
    "momentum": "SGD with momentum",
    "adam": "Adam",
    "whole": "one: the whole task",
    "split": "two: train and test apart",
}
_OBJECTIVES = {
    "none": "Minimises the cross-entropy.",
    "l2": "Minimises cross-entropy + strength × half the squared weights.",
    "dropout": "Minimises the cross-entropy; strength is the share of hidden units left out.",
    "noise": "Minimises the cross-entropy; strength is the standard deviation of noise on each "
    "hidden layer.",
    "cs_ib": "Minimises cross-entropy + strength × normalised Cauchy–Schwarz information of X and "
    "the last hidden layer (0 to 1).",
    "vib": "Minimises cross-entropy + strength × mean KL(N(T, σ²) ‖ N(0, 1)) in nats, which is at "
    "least I(X;T+ε). T is the last hidden layer; it gets noise ε of a learned σ in training.",
    "nib": "Minimises cross-entropy + strength × kernel bound in nats, which is at least I(X;T+ε) "
    "of the batch. T is the last hidden layer; it gets noise ε of a learned σ in training.",
}
_START = {
    "strength": 0, "lr": 0.0004, "batch": 256, "epochs": 600, "seed": 0, "corruption": 0.2,
    "limit": 2000,
}  # fmt: skip
_USUAL = {
    "szt": {"widths": "10,7,5,4,3", "lr": 0.0004, "epochs": 600},
    "digits": {"widths": "24,12,6", "lr": 0.001, "epochs": 100},
    "blobs": {"widths": "32,16,8", "lr": 0.001, "epochs": 200},
    "idx": {"widths": "64,32,16,8", "lr": 0.001, "epochs": 30},
}
_LABELS = {
    "task": "Task",
    "activation": "Activation",
    "regulariser": "Regulariser",
    "optimiser": "Optimiser",
    "probes": "Probe sets",
    "widths": "Hidden layers, units",
    "strength": "Strength of the regulariser",
    "lr": "Learning rate",
    "batch": "Batch size, samples",
    "epochs": "Epochs",
    "seed": "Seed",
    "corruption": "Share of random labels",
    "limit": "Samples used, the first",
    "images": "Images",
    "labels": "Labels",
    "file": "Add an IDX file, plain or .gz",
}
_ORDER = (
    "task", "images", "labels", "file", "limit", "corruption", "widths", "activation", "optimiser",
    "regulariser", "strength", "lr", "batch", "epochs", "seed", "probes",
)  # fmt: skip
_BODY = Markup("""
<div class="page wide"><header><h1>Playground</h1>
<p>Trains on this machine, at most {limit} at once. Runs are kept in {place}.</p></header>
<div class="compare"><form id="recipe" aria-label="What to train">{fields}
<div id="sending" class="wide-field" hidden>
<progress max="1" value="0" aria-label="Sending the file"></progress></div>
<p class="wide-field"><button type="submit" class="button go">train</button></p>
<p class="error wide-field" role="alert" id="refused"></p></form>
<section aria-labelledby="jobs-title"><h2 id="jobs-title">Trainings</h2>
<p class="hint" id="running"></p>
<p class="ip-hidden" id="said" role="status" aria-live="polite"></p>
<div class="hint" id="no-jobs"><p>Nothing was started yet.</p>
<p>Press <b>train</b>: the network trains in a process of its own, its layers are measured beside it
({estimators}), and its plane draws itself in Explore. When it is done it is a run like any other:
compare seeds and settings in Compare.</p></div>
<ul class="jobs" id="jobs"></ul></section></div></div>""")


def build(document: Document, state: PageState, shelf: Shelf, hub: Hub) -> Page:
    """Build the form; trainings are started and told of through the desk."""
    intake = Intake(shelf.directory)
    work = partial(answer, WORKSHOP, shelf, intake=intake)
    desk = Desk(document, work, receive="infoplane.playground")
    place = plain(shelf.directory / "playground", 200)
    return Page(
        heading="Playground",
        body=_BODY.format(
            limit=WORKSHOP.limit,
            place=place,
            fields=_fields(),
            estimators=", ".join(map(label_of, ESTIMATORS)),
        ),
        first={
            "numbers": list(RANGES),
            "only": dict(ONLY),
            "usual": _USUAL,
            "objectives": _OBJECTIVES,
            "limit": WORKSHOP.limit,
            "largest": MAX_FILE,
        },
        start=lambda: None,
        scripts=("playground.js",),
        close=desk.close,
    )


def answer(
    workshop: Workshop, shelf: Shelf, question: Mapping[str, Any], intake: Intake | None = None
) -> dict[str, Any]:
    """Start or cancel what a browser asks for, take what it sends, tell how all trainings stand."""
    recipe, cancel = question.get("start"), question.get("cancel")
    intake = intake or Intake(shelf.directory)
    if "upload" in question:
        intake.begin(question["upload"], question.get("size"), question.get("mark"))
    elif "chunk" in question:
        intake.take(question.get("offset"), question["chunk"])
    if isinstance(recipe, dict):
        workshop.start(shelf.directory, recipe)
    if type(cancel) is int:
        workshop.cancel(cancel)
    shelf.look()
    ids = {str(run.path): run.id for run in shelf.runs()}
    jobs = workshop.jobs()
    for job in jobs:
        job["run"] = ids.get(str(shelf.directory / job["folder"]), "")
    told = {"jobs": jobs, "started": isinstance(recipe, dict), "upload": intake.told()}
    if question.get("list") is True or intake.kept:
        told["files"] = [file.told() for file in idx_files(shelf.directory)]
    return told


def _fields() -> Markup:
    fields = {name: _labelled(name, _control(name)) for name in _ORDER}
    fields["strength"] += Markup('<p class="hint wide-field" id="objective"></p>')
    return Markup("").join(fields.values())


def _control(name: str) -> Markup:
    if name in CHOICES:
        choices = Markup("").join(
            Markup('<option value="{0}">{1}</option>').format(value, _WORDS.get(value, value))
            for value in CHOICES[name]
        )
        return Markup('<select name="{0}">{1}</select>').format(name, choices)
    if name in ("images", "labels"):
        return Markup('<select name="{0}"></select>').format(name)
    if name == "file":
        return Markup('<input type="file" id="file" accept=".gz,.idx,application/gzip">')
    if name == "widths":
        return Markup('<input type="text" name="widths" value="10,7,5,4,3" spellcheck="false">')
    low, high = RANGES[name]
    step = "1" if name in WHOLE else "any"
    return Markup(
        '<input type="number" name="{0}" min="{1}" max="{2}" step="{3}" value="{4}" required>'
    ).format(name, f"{low:g}", int(high) if name in WHOLE else f"{high:g}", step, _START[name])


def _labelled(name: str, control: Markup) -> Markup:
    wide = name in (
        "task",
        "images",
        "labels",
        "file",
        "limit",
        "widths",
        "regulariser",
        "strength",
        "corruption",
        "probes",
    )
    return Markup('<label data-field="{0}"{1}><span>{2}</span>{3}</label>').format(
        name, Markup(' class="wide-field"') if wide else "", _LABELS[name], control
    )
