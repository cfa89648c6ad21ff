"""The Explore page: the plane of one run, live while it grows."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Mapping
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bokeh.document import Document
from markupsafe import Markup

from infoplane import analysis
from infoplane.errors import InfoplaneError, InputError
from infoplane.store import Run
from infoplane.views import layer, plane
from infoplane.views.desk import Desk
from infoplane.views.feed import SessionFeed
from infoplane.views.hub import Hub
from infoplane.views.opening import open_tail
from infoplane.views.page import Page, in_script
from infoplane.views.shelf import Shelf
from infoplane.views.state import PageState
from infoplane.views.tail import RunTail
from infoplane.views.text import plain

PASSING = ("layer", "step", "probe")  # what a reader scrubs through

FILES = ("txt", "bib", "tex", "csv")
"""What a page gives beside its figures: methods, references, a table, all measurements."""
MOST_ROWS = 100_000

_NO_RUN = Markup("""
<div class="note"><h1>No run here yet</h1>
<p>This page shows the runs in <b>{directory}</b>. As soon as there is one, it appears here by
itself.</p>
<p>See one now: this trains a small network and opens its page.</p><pre>infoplane demo</pre>
<p>Or attach your own training loop:</p><pre>import infoplane as ip

run = ip.Run.create("{directory}/mine")
with ip.watch(model, ip.Probe(x, y), run) as watcher:
    for step, batch in enumerate(loader):
        ...                      # your training step, unchanged
        watcher.step(step, loss=loss)</pre></div>""")

UNKNOWN = Markup("""
<div class="note"><h1>That run is not here</h1>
<p>No run in <b>{directory}</b> has the id in this address. It may have been moved or belong to
another directory.</p><p><a href="?page=runs">All runs of this directory</a></p></div>""")

BROKEN = Markup("""
<div class="note"><h1>This run cannot be opened</h1><p>{reason}</p>
<p>The other runs are not affected:
<a href="?page=runs">all runs of this directory</a></p></div>""")


_LAYER = Markup("""
<aside class="layer" id="layer" aria-label="Layer" hidden>
<header><h2></h2><span class="grow"></span>
<button type="button" class="button" value="-1" aria-label="Layer before">‹</button>
<button type="button" class="button" value="1" aria-label="Layer after">›</button>
<a class="button" id="calibrate" title="On data shaped like this layer, with a known information">
how wrong are the estimators here?</a>
<button type="button" class="button" value="0">close</button></header>
<div><dl></dl><p class="error" role="status"></p></div>{figures}</aside>""").format(
    figures=layer.FIGURES
)

_READING = Markup("""
<aside class="reading" id="reading" aria-labelledby="reading-title" hidden>
<header><h2 id="reading-title">What can be concluded</h2><span class="grow"></span>
<button type="button" class="button">close</button></header>
<div class="prose" tabindex="0" aria-live="polite"></div></aside>""")


def build(document: Document, state: PageState, shelf: Shelf, hub: Hub) -> Page:
    """Build the plane of the run in the address, or of the newest; words when there is none."""
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
    return _plane(document, state, summary.id, key, tail, hub)


def _plane(
    document: Document, state: PageState, run_id: str, key: Hashable, tail: RunTail, hub: Hub
) -> Page:
    first, place = tail.message(None)
    feed = SessionFeed(document, tail, place, receive="infoplane.frame")
    desk = Desk(document, partial(_look_at, tail.run), receive="infoplane.layer", passing=PASSING)

    def close() -> None:
        feed.close()
        desk.close()

    return Page(
        heading=plain(tail.run.name) or "Run",
        body=_LAYER + _READING,
        figures=kit(),
        scripts=("layer.js",),
        first={"run": run_id, "frame": first, "view": _view(state), "defaults": {"unit": "bits"}},
        start=lambda: feed.start(hub, key),
        close=close,
    )


def _look_at(run: Run, question: Mapping[str, Any]) -> dict[str, Any]:
    """Answer the panels. The question comes from a browser: anything may stand in it."""
    if question.get("reading") is True:
        return {"reading": _read(run)}
    if (kind := question.get("file")) is not None:
        return _file(run, kind)
    names = run.layers
    index, step, probe = (question.get(name) for name in ("layer", "step", "probe"))
    if type(index) is not int or not 0 <= index < len(names):
        raise InputError(f"`layer` must be the place of one of {len(names)} layers.")
    probe = probe if isinstance(probe, str) and probe in run.probes else None
    steps = run.steps_of(probe)
    if not steps:
        raise InputError("This run holds no activations: its snapshots were not kept.")
    last = step if isinstance(step, int | float) and step == step else steps[-1]
    at = bisect_right(steps, last) - 1
    answer = layer.picture(run, names[index], steps[max(at, 0)], probe)
    if question.get("history") is True:
        answer["history"] = layer.history(run, names[index], probe)
    return answer


def _file(run: Run, kind: Any) -> dict[str, str]:
    """Return what goes with a figure as one of :data:`FILES`."""
    if kind not in FILES:
        raise InputError(f"`file` must be one of {', '.join(FILES)}.")
    if kind == "txt":
        return {"file": kind, "text": analysis.methods(run)}
    if kind == "csv" and len(run.measurements()) > MOST_ROWS:
        raise InputError(
            f"More than {MOST_ROWS:,} measurements are too many for a page: use `infoplane export`."
        )
    with TemporaryDirectory() as folder:
        written = analysis.export(run, Path(folder) / f"run.{kind}")
        return {"file": kind, "text": written.read_text(encoding="utf-8")}


def _read(run: Run) -> list[list[str]]:
    """Return what can be concluded from a run: sections, each a title and its paragraphs."""
    parts = (
        ("", analysis.conclusion(run)),
        ("In detail", analysis.findings(run)),
        ("Methods", analysis.methods(run)),
    )
    return [
        [title, *(plain(line, 4000) for line in text.splitlines() if line.strip())]
        for title, text in parts
    ]


@cache
def kit() -> Markup:
    """Return the empty view as JSON, made once a process.

    Everything in it happens in the browser, so it is no part of the session's document: building
    and walking its 400 models for each visitor would cost a second, for nothing that differs.
    """
    holder = Document(title="")
    holder.add_root(plane.PlaneKit().layout())
    return in_script(holder.to_json(deferred=False))


def _view(state: PageState) -> dict[str, list[Any]]:
    """Tell the controller what the address asks for."""
    chosen = {
        "estimator": state.estimator or None,
        "unit": state.unit,
        "minus": state.minus == "1",
        "overlay": state.overlay == "1",
        "heat": state.heat == "1",
        "probe": state.probe or None,
        "step": state.step if state.step >= 0 else None,
        "layer": state.layer or None,
    }
    return {name: [chosen[name]] for name in plane.VIEW_COLUMNS}


def waiting(document: Document, shelf: Shelf, hub: Hub) -> Page:
    """Build a page that reloads itself as soon as the directory holds a run."""
    version = shelf.version
    known = None if shelf.newest() else version  # of a run that came just now the page is told
    feed = SessionFeed(document, shelf, known, receive="infoplane.reload")
    return Page(
        "No run yet",
        body=_NO_RUN.format(directory=plain(shelf.directory, 200)),
        start=lambda: feed.start(hub, shelf.key),
        close=feed.close,
    )
