"""The limits as tables, for the page and for the documentation.

Bits here, for people; :mod:`.limits` keeps nats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from infoplane.analysis.limits import (
    CHANGES,
    CLOSE,
    DIAGNOSTICS,
    ESTIMATORS,
    FULL,
    PAIRS,
    SIZES,
    UNITS,
    WIDTHS,
    N,
    limits,
    truths,
)
from infoplane.estimators.page import BOUNDS, escaped, families
from infoplane.estimators.registry import Card, card
from infoplane.types import NATS_TO_BITS, Verdict

TITLE = "When not to believe it"
LEAD = (
    "A deterministic network with continuous activations keeps everything about its input: I(X;T) "
    "is infinite, and over a probe set of distinct inputs it is log n, whatever the weights are. "
    "Every estimator reports something else instead. Here is what that number does when nothing "
    "changes that the network keeps or computes, from when on it only says how many samples there "
    "are, and how many samples it takes."
)
MARKS = {Verdict.CAUTION: "?", Verdict.NOT_USABLE: "✕"}
HINT = "The next layer can undo every change but the last: the network computes the same."


@dataclass(frozen=True, slots=True)
class Cell:
    """One entry: its text, how far it is from what it should be in bits, and more to say on it."""

    text: str
    shift: float = 0.0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a title, a sentence before it, and one row an estimator.

    ``head`` has the name of each column and what it means; ``rows`` hold a card and its cells.
    """

    title: str
    words: str
    head: tuple[tuple[str, str], ...]
    rows: tuple[tuple[Card, tuple[Cell, ...]], ...]


def tables() -> tuple[Table, ...]:
    """Return the tables: changes of I(X;T), of I(T;Y), of diagnostics; what an estimate needs."""
    sheets: Mapping[str, Any] = limits()["sheets"]
    known = {target: value * NATS_TO_BITS for target, value in truths().items()}
    names = tuple((change.name, change.about) for change in CHANGES)
    return (
        Table(
            "I(X;T) of the same network",
            f"A layer of {UNITS} tanh units that sees {N:,} distinct inputs. {HINT} Bits; colour: "
            "how far from “as it is”; ? caution, ✕ not usable, by the checks of an evaluation. "
            f"Over these inputs I(X;T) is log n = {known['X']:.2f}.",
            names,
            _each(sheets, ESTIMATORS, partial(_changes, "X")),
        ),
        Table(
            "I(T;Y) of the same network",
            f"Its classes are a function of the layer: I(T;Y) is H(Y) = {known['Y']:.2f} bits.",
            names,
            _each(sheets, ESTIMATORS, partial(_changes, "Y")),
        ),
        Table(
            "Other quantities of the same network",
            "Each in its own unit, entropies and rates in bits.",
            names,
            _each(sheets, DIAGNOSTICS, partial(_changes, "")),
        ),
        Table(
            "How much is enough",
            f"Log n: the width from which I(X;T) of {N:,} distinct inputs reads {FULL:.0%} of "
            f"log n (tanh layers of up to {WIDTHS[-1]} units). The other columns: samples from "
            f"which the mean of three draws is within {CLOSE * NATS_TO_BITS:.1f} bits of a known "
            f"information, of up to {SIZES[-1]:,}; else how far it still is. Half of the "
            "labels are random.",
            (("log n", "from so many units"), *((pair, "from so many samples") for pair in PAIRS)),
            _each(sheets, ESTIMATORS, _enough),
        ),
    )


def _each(
    sheets: Mapping[str, Any], names: Sequence[str], cells: Callable[..., Iterator[Cell]]
) -> tuple[tuple[Card, tuple[Cell, ...]], ...]:
    return tuple((card(name), tuple(cells(name, sheets[name]))) for name in names)


def _changes(target: str, name: str, sheet: Mapping[str, Any]) -> Iterator[Cell]:
    found = sheet["changes"].get(target, {})
    scale = NATS_TO_BITS if card(name).unit == "nat" else 1.0
    start = found.get(CHANGES[0].name, {}).get("value")
    for change in CHANGES:
        cell = found.get(change.name)
        if cell is None or cell["value"] is None:
            yield Cell("–", note=cell["reason"] if cell else "It cannot be asked about this.")
            continue
        value = cell["value"] * scale
        mark = MARKS.get(Verdict(cell["verdict"]), "")
        text = (f"{value:.2f}" if abs(value) < 100 else f"{value:,.0f}").replace("-", "−")
        shift = 0.0 if start is None else value - start * scale
        yield Cell(f"{text} {mark}".rstrip(), shift, cell["reason"])


def _enough(name: str, sheet: Mapping[str, Any]) -> Iterator[Cell]:
    width, most = sheet["width"]["from"], sheet["width"]["most"]
    if width is not None:
        yield Cell(_units(width), note=f"at most {most * NATS_TO_BITS:.2f} bits")
    else:
        least = "" if most is None else f"its largest is {most * NATS_TO_BITS:.2f} bits"
        yield Cell("never" if most is not None else "–", note=least)
    for task in PAIRS:
        found = sheet["samples"][task]
        if "I(" not in card(name).measures:
            yield Cell("other unit", note="It is no Shannon information: nothing to compare with.")
        elif found["note"]:
            yield Cell("–", note=found["note"])
        elif found["from"] is not None:
            yield Cell(f"{found['from']:,}")
        else:
            bias = found["bias"] * NATS_TO_BITS
            yield Cell(f"{bias:+.2f}".replace("-", "−"), bias, f"bits off at {SIZES[-1]:,} samples")


def _units(width: int) -> str:
    return "1 unit" if width == 1 else f"{width} units"


def facts(one: Card) -> Sequence[tuple[str, str]]:
    """Return what a card says against its number, as (name, text)."""
    return [
        ("Its value", BOUNDS[one.bound]),
        *([("Ceiling", one.ceiling)] if one.ceiling else []),
        *([("Dimensions", f"made for at most {one.max_dim} joint ones")] if one.max_dim else []),
        ("Samples", f"refuses fewer than {one.min_samples}"),
        *(("Assumes", words) for words in one.assumes),
        *(("Limit", words) for words in one.limits),
    ]


def markdown() -> str:
    """Return the page as Markdown."""
    found = limits()
    parts = [
        f"# {TITLE}\n\n<!-- Written by `infoplane catalogue --limits`. Change the cards or measure "
        f"again with benchmarks/limits.py, not this file. -->\n\n{LEAD}\n\nMeasured on "
        f"{found['date']} with {found['software']}. The page *Limits* of the app shows the same."
    ]
    for table in tables():
        head = ("estimator", *(name for name, _ in table.head))
        parts += [f"\n## {table.title}\n\n{table.words}\n"]
        parts += ["| " + " | ".join(head) + " |", "|---|" + "---:|" * len(table.head)]
        parts += [
            f"| {one.label} (`{one.id}`) | " + " | ".join(cell.text for cell in cells) + " |"
            for one, cells in table.rows
        ]
    meanings = (f"- *{change.name}*: {change.about}" for change in CHANGES[1:])
    parts += ["\nThe changes:\n", *meanings, "\n## Estimator by estimator"]
    for title, _, cards in families():
        parts.append(f"\n### {title}")
        for one in cards:
            parts += [f"\n**{one.label}** (`{one.id}`): {escaped(one.measures)}\n"]
            parts += [f"- {name}: {escaped(text)}" for name, text in facts(one)]
    return "\n".join(parts) + "\n"
