"""Measure what the Limits page tells and write it beside the code that reads it.

    python benchmarks/limits.py [--only mi.ksg] [--out infoplane/analysis/limits.json]

For each estimator: one layer rescaled, turned, doubled and with fewer samples; the width from which
an estimate is log n; the samples until it is close to a known information. ``--only`` measures some
estimators again and keeps the others.
"""

from __future__ import annotations

import argparse
import datetime
import json
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from infoplane.analysis import limits

ALL = (*limits.ESTIMATORS, *limits.DIAGNOSTICS)
HERE = Path(__file__).parents[1] / "infoplane/analysis/limits.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=ALL, help="estimators")
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    sheets = json.loads(options.out.read_text())["sheets"] if options.out.exists() else {}
    for estimator in options.only:
        start = time.process_time()
        sheets[estimator] = limits.sheet(estimator)
        write(options.out, sheets)  # so that an hour's work survives an interruption
        print(f"{estimator:20} {time.process_time() - start:.0f} s", flush=True)


def write(out: Path, sheets: dict[str, Any]) -> None:
    data = {
        "software": f"infoplane {metadata.version('infoplane')}, numpy {metadata.version('numpy')}",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "sheets": {name: sheets[name] for name in ALL if name in sheets},
    }
    out.write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
