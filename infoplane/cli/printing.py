"""How answers are printed: as JSON for a machine, as a table for a person."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infoplane.types import NATS_TO_BITS, Verdict

if TYPE_CHECKING:
    from infoplane.estimators import Card
    from infoplane.reproduce import Reproduction
    from infoplane.store import Run, RunSummary

VERDICT_WORDS = {Verdict.OK: "ok", Verdict.CAUTION: "caution", Verdict.NOT_USABLE: "not usable"}


def show(options: argparse.Namespace, data: Any, plain: Callable[[], None]) -> None:
    """Print ``data`` as JSON when that was asked for, else call ``plain``."""
    if options.json:
        print(json.dumps(data, indent=2, default=str, ensure_ascii=False, allow_nan=False))
    else:
        plain()


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows in aligned columns under their head."""
    widths = [max(len(str(row[i])) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        cells = (f"{cell!s:<{width}}" for cell, width in zip(row, widths, strict=True))
        print(printable("  ".join(cells)).rstrip())


def printable(text: str) -> str:
    """Replace control characters: names come from disk and could drive the reader's terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def bits(nats: float | None) -> str:
    """Write an amount of information in bits; a dash where there is none."""
    return "–" if nats is None else f"{nats * NATS_TO_BITS:.3f}"


def run_table(runs: Sequence[RunSummary], directory: Path) -> None:
    """Print the runs below a directory, or how to make one."""
    if not runs:
        print(f"no runs below {directory}; `infoplane demo` makes one")
        return
    table(
        ("run", "name", "status", "snapshots", "path"),
        [
            (run.id[:8], run.name, f"{run.status.state} {run.status.reason}".strip(),
             str(run.steps), str(run.path))
            for run in runs
        ],
    )  # fmt: skip


def summary_of_run(run: RunSummary) -> dict[str, Any]:
    """Return what ``list --json`` says of a run."""
    return {
        "id": run.id, "name": run.name, "status": run.status.state, "reason": run.status.reason,
        "created": run.created, "snapshots": run.steps, "path": str(run.path),
    }  # fmt: skip


def description_of_run(run: Run) -> dict[str, Any]:
    """Return what ``show --json`` says of a run, its measurements apart."""
    return {
        "id": run.uuid, "name": run.name, "status": run.status().state,
        "reason": run.status().reason, "steps": run.steps, "layers": run.layers,
        "config": run.config, "path": str(run.path),
    }  # fmt: skip


def last_rows(run: Run) -> list[dict[str, Any]]:
    """Return the last measurement of each layer, estimator and target, in layer order."""
    last: dict[tuple[str, ...], Any] = {}
    for row in sorted(run.measurements(), key=lambda row: row.step):
        params = json.dumps(dict(row.params), sort_keys=True, default=str)
        last[row.layer, row.estimator, params, row.target, row.probe] = row
    order = {layer: i for i, layer in enumerate(run.layers)}
    rows = sorted(last.values(), key=lambda r: (r.estimator, order.get(r.layer, -1), r.target))
    return [
        {
            "layer": row.layer, "estimator": row.estimator, "params": dict(row.params),
            "target": row.target, "probe": row.probe, "step": row.step, "value": row.value,
            "unit": row.unit, "null": row.null.mean if row.null else None,
            "ceiling": row.ceiling, "verdict": VERDICT_WORDS[row.verdict], "reason": row.reason,
        }
        for row in rows
    ]  # fmt: skip


def card_as_data(card: Card) -> dict[str, Any]:
    """Return a card as plain data."""
    return {
        "id": card.id, "label": card.label, "quantity": str(card.quantity),
        "measures": card.measures, "formula": card.formula, "unit": card.unit,
        "cost": str(card.cost), "complexity": card.complexity, "ceiling": card.ceiling,
        "bound": card.bound, "min_samples": card.min_samples, "max_dim": card.max_dim,
        "assumes": list(card.assumes), "limits": list(card.limits),
        "invariant": list(card.invariant), "reference": card.reference, "version": card.version,
        "params": {
            name: {"default": param.default, "must_be": param.describe()}
            for name, param in card.params.items()
        },
    }  # fmt: skip


def card_page(card: Card) -> None:
    """Print a card for a person."""
    print(f"{card.id}  {card.label}\n{card.summary}\n")
    facts = card_as_data(card)
    for name in ("measures", "formula", "unit", "cost", "complexity", "ceiling", "bound",
                 "min_samples", "max_dim", "reference"):  # fmt: skip
        if facts[name] not in (None, ""):
            print(f"  {name.replace('_', ' '):<12}{facts[name]}")
    for name in ("assumes", "limits"):
        for line in facts[name]:
            print(f"  {name:<12}{line}")
    for name, param in facts["params"].items():
        print(f"  parameter   {name} = {param['default']!r}: {param['must_be']}")


def claims(outcome: Reproduction) -> None:
    """Print each claim of a paper with what was measured and whether it holds."""
    print(f"{outcome.paper.reference}\n{outcome.seeds} seeds of {outcome.epochs} epochs\n")
    for claim, finding in outcome.findings:
        print(f"{finding.decision.upper():>14}  {claim.statement}\n{'':16}{finding.measured}\n")
    for line in outcome.paper.left_out:
        print(f"{'NOT TRIED':>14}  {line}")
