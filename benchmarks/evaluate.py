"""Evaluation after the fact: how long it takes, what the null costs, what workers bring.

    python benchmarks/evaluate.py --snapshots 100

writes runs of the tanh network on the 12-bit task into a temporary folder and measures them with
binning, adaptive binning and the kernel bound, I(X;T) and I(T;Y), with and without the null, in
this process, in two threads and in two worker processes. Then, for one layer, what the null of each
estimator costs as a ratio to the plain estimate (``--ratios`` names the estimators), and what an
evaluation spends beside its estimators.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from arena import WIDTHS, task_layers

from infoplane.analysis import evaluate, hands
from infoplane.analysis.null import null_values
from infoplane.analysis.work import Bench
from infoplane.estimators import Card, Shared, card
from infoplane.store import Run
from infoplane.tasks import szt
from infoplane.types import Layer, ProbeData, Snapshot

ESTIMATORS = ("mi.binning", "mi.adaptive", "mi.kde")
RATIOS = (*ESTIMATORS, "mi.kde_adaptive", "mi.ksg", "mi.kl", "mi.gaussian", "mi.renyi",
          "mi.cauchy_schwarz")  # fmt: skip
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
    parser.add_argument("--ratios", nargs="*", default=RATIOS, help="estimators")
    options = parser.parse_args()
    y, taken = task_layers(snapshots=options.snapshots)
    _ratios(y, taken[-1][3], options.ratios, options.null)
    _overhead(taken)
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


def _ratios(y: np.ndarray, t: np.ndarray, names: list[str], draws: int) -> None:
    """Print what the null of I(T;Y) costs beside one estimate, on a layer of the 12-bit task."""
    t = t[:1024].astype(np.float64)
    y = y[:1024]
    print(f"null of {draws} draws, n = {len(t)}, d = {t.shape[1]}")
    print(f"{'':20}{'estimate':>12}{'null':>12}{'ratio':>8}   form")
    for name in names:
        entry = card(name)
        plain = _least(entry.function, y, t, rng=0)
        null = _least(_null, entry, y, t, draws)
        form = "one pass" if entry.null is not None else "a call a draw"
        print(f"{name:20}{1e3 * plain:9.2f} ms{1e3 * null:9.2f} ms{null / plain:8.2f}   {form}")


def _null(entry: Card, y: np.ndarray, t: np.ndarray, draws: int) -> None:
    """Draw a null as an evaluation does, beside an estimate that left its intermediates."""
    shared = Shared(t, y)
    given = {"shared": shared}
    null_values(entry, y, t, {}, draws=draws, rng=np.random.default_rng(0), given=given)


def _least(call: Callable[..., Any], *args: Any, **kwargs: Any) -> float:
    times = []
    for _ in range(3):
        start = time.process_time()
        call(*args, **kwargs)
        times.append(time.process_time() - start)
    return min(times)


class TimedBench(Bench):
    """A bench that counts the CPU seconds of estimates and nulls."""

    spent = 0.0

    def _answer(self, *args: Any) -> Any:
        start = time.process_time()
        answer = super()._answer(*args)
        TimedBench.spent += time.process_time() - start
        return answer


def _overhead(taken: list[list[np.ndarray]]) -> None:
    """Print what an evaluation spends beside estimates and nulls, in CPU seconds."""
    hands.Bench = TimedBench
    for names in (ESTIMATORS[:1], ESTIMATORS):
        TimedBench.spent = 0.0
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder) / "run", taken)
            start = time.process_time()
            evaluate(Path(folder) / "run", names, progress=False)
            whole = time.process_time() - start
        beside = 100 * (whole - TimedBench.spent) / TimedBench.spent
        print(f"{', '.join(names)}: {whole:.2f} s CPU, {beside:.0f} % beside estimates and nulls")
    hands.Bench = Bench


def _cpu() -> float:
    """CPU seconds of this process and its ended children."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


if __name__ == "__main__":
    main()
