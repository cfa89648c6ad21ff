"""The report: a run as one offline HTML file that can be mailed to a colleague.

It holds the interactive Explore view, what was found in plain words, the methods paragraph, the
verdict on every estimate at the last step, and what the layers are. Everything below the view is
plain HTML, complete without a script and when printed.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from infoplane import __version__
from infoplane.analysis import findings, methods
from infoplane.analysis.naming import quantities
from infoplane.errors import InfoplaneError
from infoplane.store import Run, open_run
from infoplane.types import NATS_TO_BITS, Measurement, Quantity, Verdict
from infoplane.views import layer as inside
from infoplane.views import offline
from infoplane.views.frame import Live, Rows
from infoplane.views.plane import PlaneKit, ViewState, resource
from infoplane.views.tail import RunTail
from infoplane.views.text import label
from infoplane.views.theme import FONT, TOKENS, variables

PICTURED = 24  # layers whose pictures are in a report
_WORDS = {Verdict.OK: "ok", Verdict.CAUTION: "caution", Verdict.NOT_USABLE: "not usable"}


def report(
    run: Run | str | os.PathLike[str],
    path: str | os.PathLike[str] = "report.html",
    *,
    mode: str = "auto",
    full: bool = False,
) -> Path:
    """Write a run's report and return its path.

    Parameters
    ----------
    run : Run or path
        The run; it may still be growing, the report then shows what is there now.
    path : path
        Where to write; an existing file is replaced only by a complete new one.
    mode : str
        "auto" (as the reader's system is set), "light" or "dark".
    full : bool
        Put every measured step into the interactive view, instead of means over log-spaced bins:
        about twice the size where there are thousands of steps.

    Raises
    ------
    NotARunError, CorruptRunError, StoreError
    """
    if isinstance(run, Run):
        return offline.write(html(run, mode=mode, full=full), path)
    with open_run(run) as opened:
        return offline.write(html(opened, mode=mode, full=full), path)


def html(run: Run, *, mode: str = "auto", full: bool = False, view: ViewState | None = None) -> str:
    """Return the text of a run's report."""
    delta, live = RunTail(run).now(every_row=full)
    pictures = _pictures(run)
    rows, delta = delta.rows.packed, replace(delta, rows=Rows(delta.rows.packed[:0]))
    kit = PlaneKit(delta, Live(live.state, live.reason, None, live.step), mode=mode, view=view)
    return offline.page(
        kit.layout(),
        title=f"{run.name} · infoplane",
        style=_style(mode),
        after=_words(run, pictures),
        scripts=_scripts(pictures),
        rows=rows,
        mode=mode,
    )


def _style(mode: str) -> str:
    tokens = f":root{{{variables('dark' if mode == 'dark' else 'light')}--ip-font:{FONT}}}"
    if mode == "auto":
        tokens += f"@media(prefers-color-scheme:dark){{:root{{{variables('dark')}}}}}"
    for name in TOKENS:
        tokens += f":root[data-theme={name}]{{{variables(name)}}}"
    return tokens + resource("report.css") + resource("charts.css")


def _words(run: Run, pictures: Sequence[Mapping[str, Any]]) -> str:
    everything = run.measurements()
    measurements = [m for m in everything if m.quantity == Quantity.MI]
    others = [m for m in everything if m.quantity != Quantity.MI and m.value is not None]
    names = {layer.name: f"T{i + 1}" for i, layer in enumerate(run.layer_table)}
    parts = [
        _section("What this run shows", _paragraphs(findings(run), names)),
        _section("Methods", _paragraphs(methods(run), {})),
        _section(
            "Every estimate at the last step, and what it is good for",
            _verdicts(measurements, names),
        ),
        _section("Other quantities at the last step", _others(others, names)) if others else "",
        _section("The layers", _layers(run)),
        _section("Inside the layers, at the last step", _inside(pictures)) if pictures else "",
        f"<footer>Run {label(run.name)} · {label(run.uuid)} · made {label(run.created)} · "
        f"written by infoplane {label(__version__)}. "
        "This file asks nothing of any network.</footer>",
    ]
    return f'<main class="words">{"".join(parts)}</main>'


def _section(title: str, body: str) -> str:
    return f"<section><h2>{label(title)}</h2>{body}</section>"


def _paragraphs(text: str, names: Mapping[str, str]) -> str:
    """Return lines as paragraphs; one that begins with a layer's name gets its label in bold."""

    def paragraph(line: str) -> str:
        name, colon, rest = line.partition(": ")
        if colon and name in names:
            return f"<p><b>{label(names[name])} {label(name)}</b>: {label(rest, 4000)}</p>"
        return f"<p>{label(line, 4000)}</p>"

    return f"<div class=prose>{''.join(paragraph(x) for x in text.splitlines() if x.strip())}</div>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], numeric: frozenset[int]) -> str:
    """Return a table; the cells must be escaped already."""

    def cells(row: Sequence[str], tag: str) -> str:
        return "".join(
            f"<{tag}{' class=n' if i in numeric else ''}>{cell}</{tag}>"
            for i, cell in enumerate(row)
        )

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    top = f"<thead><tr>{cells(head, 'th')}</tr></thead>"
    return f"<div class=scroll><table>{top}<tbody>{body}</tbody></table></div>"


def _verdicts(measurements: list[Measurement], names: Mapping[str, str]) -> str:
    if not measurements:
        return "<p>Nothing has been estimated yet.</p>"
    last: dict[tuple[str, str, str, str], Measurement] = {}
    counts: dict[tuple[str, str, str, str], Counter[Verdict]] = {}
    for m in measurements:
        key = (m.estimator, m.probe, m.layer, m.target)
        counts.setdefault(key, Counter())[m.verdict] += 1
        if key not in last or m.step >= last[key].step:
            last[key] = m
    head = [
        "estimator",
        "quantity",
        "layer",
        "step",
        "bits",
        "null, 95 %",
        "ceiling",
        "verdict",
        "why",
        "over all steps",
    ]
    order = {name: i for i, name in enumerate(names)}
    rows = sorted(
        last.values(), key=lambda m: (m.estimator, m.probe, m.target, order.get(m.layer, 0))
    )
    return _table(
        head,
        (_verdict(m, names, counts[m.estimator, m.probe, m.layer, m.target]) for m in rows),
        frozenset({3, 4, 5, 6}),
    )


def _verdict(m: Measurement, names: Mapping[str, str], counts: Counter[Verdict]) -> list[str]:
    told = dict(zip("XY", quantities(m.estimator), strict=True))
    quantity = told.get(m.target, f"I({m.target};T)")
    shares = ", ".join(f"{counts[v]} {_WORDS[v]}" for v in Verdict if counts[v])
    return [
        label(m.estimator),
        label(quantity if m.probe == "probe" else f"{quantity} on {m.probe}"),
        f"<b>{label(names.get(m.layer, ''))}</b> {label(m.layer)}",
        f"{m.step:,}",
        _bits(m.value),
        _bits(m.null.q95 if m.null else None),
        _bits(m.ceiling),
        f'<span class="chip" data-v="{int(m.verdict)}">{_WORDS[m.verdict]}</span>',
        f'<div class="why">{label(m.reason or m.note, 400)}</div>',
        f'<div class="why">{label(shares)}</div>',
    ]


def _bits(nats: float | None) -> str:
    return "–" if nats is None else f"{nats * NATS_TO_BITS:.3f}".replace("-", "−")


def _others(measurements: Sequence[Measurement], names: Mapping[str, str]) -> str:
    """Return quantities of one layer alone: a row a layer, a column a quantity."""
    last: dict[tuple[str, str], Measurement] = {}
    for m in measurements:
        key = (m.layer, m.estimator if m.probe == "probe" else f"{m.estimator} on {m.probe}")
        if key not in last or m.step >= last[key].step:
            last[key] = m
    columns = sorted({column for _, column in last})
    units = {column: "bits" if m.unit == "nat" else "" for (_, column), m in last.items()}
    head = ["layer", *(label(f"{c} [{units[c]}]" if units[c] else c) for c in columns)]
    rows = (
        [f"<b>{label(names[layer])}</b> {label(layer)}"]
        + [_number(last.get((layer, column))) for column in columns]
        for layer in names
    )
    return _table(head, rows, frozenset(range(1, len(head))))


def _number(m: Measurement | None) -> str:
    if m is None or m.value is None:
        return "–"
    if m.unit == "nat":
        return _bits(m.value)
    return f"{m.value:.4g}".replace("-", "−")


def _layers(run: Run) -> str:
    rows = (
        [
            f"<b>T{i + 1}</b>",
            label(layer.name),
            label(layer.kind),
            label(" × ".join(map(str, layer.shape)) or "1"),
            f"{layer.width:,}",
            label(layer.reduce),
            label(layer.dtype),
        ]
        for i, layer in enumerate(run.layer_table)
    )
    head = ["", "name", "module", "shape of one sample", "d", "reduced by", "stored as"]
    return _table(head, rows, frozenset({4}))


def _pictures(run: Run) -> list[dict[str, Any]]:
    """Return what the Layer panel shows of each layer at the last step, and over training."""
    steps, found = run.steps_of(None), []
    for i, layer in enumerate(run.layer_table[:PICTURED] if steps else ()):
        try:
            answer = inside.picture(run, layer.name, steps[-1], points=200)
            past = inside.history(run, layer.name, moments=32)
        except InfoplaneError:  # a snapshot that is damaged or gone: the rest is told all the same
            continue
        words = " · ".join(filter(None, (layer.name, layer.kind, f"{layer.width} units")))
        found.append({"label": f"T{i + 1}", "words": words, "answer": answer, "past": past})
    return found


def _inside(pictures: Sequence[Mapping[str, Any]]) -> str:
    """Return a row of pictures a layer, which the script draws; its numbers need none."""
    head = [
        "layer",
        "samples",
        "effective rank",
        "dead units",
        "at its extremes",
        "alone in a cell",
    ]
    rows = (
        [f"<b>{picture['label']}</b> {label(picture['words'])}", *_numbers(picture["answer"])]
        for picture in pictures
    )
    drawn = (
        f'<article class="layer" data-layer="{i}"><h3>{picture["label"]} '
        f"<span>{label(picture['words'])}</span></h3>{inside.FIGURES}</article>"
        for i, picture in enumerate(pictures)
        if "spectrum" in picture["answer"]
    )
    return _table(head, rows, frozenset(range(1, 6))) + "".join(drawn)


def _numbers(answer: Mapping[str, Any]) -> list[str]:
    facts = answer["facts"]
    if "rank" not in facts:
        return [f"{facts['n']:,}", "–", "–", "–", "–"]
    return [
        f"{facts['n']:,}",
        f"{facts['rank']:.1f} of {facts['d']}",
        f"{facts['dead']} of {facts['looked_at'][1]}",
        f"{facts['extreme']:.1%}",
        f"{facts['single']:.1%}",
    ]


def _scripts(pictures: Sequence[Mapping[str, Any]]) -> str:
    """Return the script that draws the pictures; a report is complete without it."""
    parts = [resource(name) for name in ("saving.js", "charts.js", "layer.js")]
    return "\n".join(parts) + _DRAW.replace("PICTURES", json.dumps(pictures, allow_nan=False))


_DRAW = """
for (const [i, {answer, past}] of PICTURES.entries()) {
  const host = document.querySelector(`article.layer[data-layer="${i}"] .figures`)
  if (host) infoplaneLayer.draw(host, answer, past)
}
"""


class _Module(ModuleType):
    # `infoplane.report` is both this module and the function of the façade: whichever Python binds
    # to the name, calling it writes the report.
    def __call__(self, run: Any, path: Any = "report.html", **options: Any) -> Path:
        return report(run, path, **options)


sys.modules[__name__].__class__ = _Module
