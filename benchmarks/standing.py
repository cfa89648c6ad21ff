"""Measure the standing table of the Calibrate page and write it beside the code that reads it.

    python benchmarks/standing.py [--only mi.ksg] [--out infoplane/analysis/standing.json]

Each cell: one estimator with its usual parameters on a few samples of one task whose mutual
information is known exactly. ``--only`` measures some
estimators again (none, without a name) and keeps the other cells.
"""

from __future__ import annotations

import argparse
import datetime
import json
from pathlib import Path

from infoplane.analysis import standing

HERE = Path(__file__).parents[1] / "infoplane/analysis/standing.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=standing.ESTIMATORS, help="estimators")
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--n", type=int, default=standing.N)
    parser.add_argument("--draws", type=int, default=standing.DRAWS)
    options = parser.parse_args()
    kept = json.loads(options.out.read_text())["cells"] if options.out.exists() else []
    cells = {(cell["task"], cell["estimator"]): standing.Cell(**cell) for cell in kept}
    for estimator in options.only:
        for task in standing.tasks():
            cell = standing.measure(task, estimator, n=options.n, draws=options.draws)
            cells[task.name, estimator] = cell
            print(
                f"{estimator:20} {task.name:45} {task.mi:7.3f} {cell.mean} {cell.seconds:.3f} s",
                flush=True,
            )
        write(options, cells)  # so that an hour's work survives an interruption
    write(options, cells)


def write(options: argparse.Namespace, cells: dict[tuple[str, str], standing.Cell]) -> None:
    order = [(t.name, e) for t in standing.tasks() for e in standing.ESTIMATORS]
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    measured = [cells[place] for place in order if place in cells]
    data = standing.as_data(measured, date=today, n=options.n, draws=options.draws, seed=0)
    lines = [json.dumps(cell, ensure_ascii=False) for cell in data.pop("cells")]
    head = json.dumps(data, ensure_ascii=False, indent=1).removesuffix("\n}")
    options.out.write_text(f'{head},\n "cells": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n")


if __name__ == "__main__":
    main()
