"""Evaluation after the fact: how long it takes, what the null costs, what workers bring.

    python benchmarks/evaluate.py --snapshots 100

writes runs of the tanh network on the 12-bit task into a temporary folder and measures them with
binning, adaptive binning and the kernel bound, I(X;T) and I(T;Y), with and without the null, in
this process, in two threads and in two worker processes.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from arena import WIDTHS, task_layers

from infoplane.analysis import evaluate
from infoplane.store import Run
from infoplane.tasks import szt
from infoplane.types import Layer, ProbeData, Snapshot

ESTIMATORS = ("mi.binning", "mi.adaptive", "mi.kde")
WAYS = {
    "this process": {},
    "two threads": {"workers": 2, "backend": "thread"},
    "two processes": {"workers": 2},
}


def write(path: Path, taken: list[list[np.ndarray]]) -> None:
    x, y = (np.asarray(array) for array in szt())
    table = tuple(Layer(f"layer{i}", "Tanh", (w,), w, "flatten") for i, w in enumerate(WIDTHS))
    with Run.create(path) as run:
        run.begin((ProbeData(x, y),), table, {})
        for step, layers in enumerate(taken):
            named = {layer.name: t for layer, t in zip(table, layers, strict=True)}
            run.write(Snapshot(step, named))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--snapshots", type=int, default=20)
    parser.add_argument("--null", type=int, default=20)
    options = parser.parse_args()
    _, taken = task_layers(snapshots=options.snapshots)
    print(
        f"{len(taken)} snapshots × {len(WIDTHS)} layers × {len(ESTIMATORS)} estimators × 2 targets"
    )
    print(f"{'':16}{'estimates':>12}{'with null':>12}{'ratio':>8}{'CPU':>9}")
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, how) in enumerate(WAYS.items()):
            seconds, cpu = [], 0.0
            for null in (0, options.null):
                path = Path(folder) / f"{number}-{null}"
                write(path, taken)
                start, busy = time.perf_counter(), _cpu()
                evaluate(path, ESTIMATORS, null=null, progress=False, **how)
                seconds.append(time.perf_counter() - start)
                cpu = _cpu() - busy
            plain, full = seconds
            print(f"{name:16}{plain:10.2f} s{full:10.2f} s{full / plain:8.2f}{cpu:7.2f} s")


def _cpu() -> float:
    """CPU seconds of this process and its ended children."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


if __name__ == "__main__":
    main()
