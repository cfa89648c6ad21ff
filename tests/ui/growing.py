"""A run that grows: ``python growing.py PATH STEPS PER_SECOND [STAY]``; also makes finished ones.

Its numbers are drawn from smooth curves, not estimated: what is tested is the page.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from infoplane.store import Run
from infoplane.types import Layer, Measurement, Null, ProbeData, Snapshot, Verdict

ESTIMATORS = ("mi.binning", "mi.kde")
N = 128
NULL = Null(0.03, 0.01, 0.02, 0.03, 0.05, draws=20, p=0.05)


def rows(step: int, layers: list[str]) -> list[Measurement]:
    made = []
    for e, estimator in enumerate(ESTIMATORS):
        for i, layer in enumerate(layers):
            time_ = np.log10(step + 1)
            rise = 1 / (1 + np.exp(-2 * (time_ - 1)))
            x = 4.6 - 0.5 * i - 0.3 * max(0.0, time_ - 1.5) * i - 0.2 * e
            y = 0.69 * (1 - (1 - rise) * (0.1 + 0.15 * i))
            for target, value, ceiling in (("X", x, np.log(N)), ("Y", y, np.log(2))):
                made.append(
                    Measurement(
                        key=f"{step}-{estimator}-{i}-{target}",
                        step=step,
                        layer=layer,
                        quantity="mi",
                        target=target,
                        estimator=estimator,
                        version=1,
                        params={},
                        value=float(value),
                        null=NULL if target == "Y" else None,
                        ceiling=float(ceiling),
                        verdict=Verdict.OK if i else Verdict.CAUTION,
                        reason="" if i else f"{layer} is at 99 % of log n",
                        n=N,
                        d=4,
                    )
                )
    return made


def write(path, steps: int, per_second: float = 0, *, layers=(), name="test run", stay=False):
    layers = list(layers) or [f"net.{i}" for i in range(4)]
    rng = np.random.default_rng(0)
    run = Run.create(path, name=name, config={"task": "test", "widths": [4, 4, 4]})
    probe = ProbeData(rng.normal(size=(N, 3)).astype(np.float32), np.arange(N) % 2)
    table = tuple(Layer(layer, "Linear", (4,), 4, "flatten") for layer in layers)
    run.begin((probe,), table, {})
    for step in range(steps):
        acts = {layer: np.tanh(rng.normal(size=(N, 4))).astype(np.float32) for layer in layers}
        run.write(Snapshot(step, acts, {"loss": 1 / (1 + step), "accuracy": 1 - 0.5 / (1 + step)}))
        run.measure(rows(step, layers))
        if per_second:
            time.sleep(1 / per_second)
    if stay:
        time.sleep(3600)
    run.close()


if __name__ == "__main__":
    target, steps, rate = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    name = f"test run {Path(target).name}"
    write(target, steps, rate, name=name, stay=len(sys.argv) > 4)
