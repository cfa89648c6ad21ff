"""The Limits page: when not to believe a number, from the cards and from what was measured."""

from __future__ import annotations

from itertools import starmap

from bokeh.document import Document
from markupsafe import Markup

from infoplane.analysis.limits import limits
from infoplane.analysis.limits_page import LEAD, TITLE, Cell, Table, facts, tables
from infoplane.estimators.page import families
from infoplane.estimators.registry import Card
from infoplane.views.hub import Hub
from infoplane.views.page import Page
from infoplane.views.shelf import Shelf
from infoplane.views.state import PageState

FULL = 4.0  # bits of change that fill a cell

_BODY = Markup("""
<div class="page wide limits"><header><h1>{title}</h1></header>
<p class="hint">{lead}</p>{tables}
<p class="hint">Measured on {date} with {software}, seed 0. How an estimator does on data shaped
like your own layer: <a href="{calibrate}">Calibrate</a>.</p>
<section aria-labelledby="each-title"><h2 id="each-title">Estimator by estimator</h2>
{families}</section></div>""")
_TABLE = Markup("""
<section><h2>{title}</h2><p class="hint">{words}</p>
<div class="scroller" tabindex="0" role="region" aria-label="{title}">
<table class="list standing"><thead><tr><th scope="col">estimator</th>{head}</tr></thead>
<tbody>{rows}</tbody></table></div></section>""")
_CARD = Markup("""
<details><summary><b>{label}</b> <code>{id}</code> {measures}</summary>
<dl id="{id}">{facts}</dl></details>""")


def build(document: Document, state: PageState, shelf: Shelf, hub: Hub) -> Page:
    """Build the page as plain HTML; it depends on no run."""
    found = limits()
    return Page(
        heading="Limits",
        body=_BODY.format(
            title=TITLE,
            lead=LEAD,
            tables=Markup("").join(map(_table, tables())),
            date=found["date"],
            software=found["software"],
            calibrate=PageState(page="calibrate", run=state.run).query(),
            families=Markup("").join(_family(title, cards) for title, _, cards in families()),
        ),
    )


def _table(table: Table) -> Markup:
    row = Markup('<tr><th scope="row"><a href="#{0}">{1}</a></th>{2}</tr>')
    column = Markup('<th scope="col">{0}<small>{1}</small></th>')
    return _TABLE.format(
        title=table.title,
        words=table.words,
        head=Markup("").join(starmap(column.format, table.head)),
        rows=Markup("").join(row.format(one.id, one.label, Markup("").join(map(_cell, cells)))
                             for one, cells in table.rows),
    )  # fmt: skip


def _cell(cell: Cell) -> Markup:
    size, sign = min(1.0, abs(cell.shift) / FULL), "minus" if cell.shift < 0 else "plus"
    return Markup(
        '<td><span class="bias" data-sign="{0}" style="--size:{1}" title="{2}">{3}</span></td>'
    ).format(sign, f"{size:.3f}", cell.note, cell.text)


def _family(title: str, cards: list[Card]) -> Markup:
    return Markup("<h3>{0}</h3>{1}").format(title, Markup("").join(map(_card, cards)))


def _card(one: Card) -> Markup:
    pair = Markup("<dt>{0}</dt><dd>{1}</dd>")
    told = Markup("").join(pair.format(name, text) for name, text in facts(one))
    return _CARD.format(id=one.id, label=one.label, measures=one.measures, facts=told)
