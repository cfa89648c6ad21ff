import math

import numpy as np
import pytest

from infoplane.types import Layer, Measurement, Null, Verdict
from infoplane.views import shelf
from infoplane.views.shelf import Shelf

WIDTHS = (10, 7, 5, 4, 3, 2)


def make_measurement(step, layer, target, value, estimator="mi.binning", **more):
    given = {"version": 1, "params": {"bins": 30}} | more
    return Measurement(
        key=f"{step}/{layer}/{target}/{estimator}/{given['params']}",
        step=step,
        layer=layer,
        quantity=given.pop("quantity", "mi"),
        target=target,
        estimator=estimator,
        value=value,
        **given,
    )


def make_run(builder, steps, estimators=("mi.binning", "mi.kde"), widths=WIDTHS, n=4096):
    """Feed a builder a run that fits and then compresses, with nulls, ceilings and verdicts."""
    names = [f"net.{i}" for i in range(len(widths))]
    builder.describe(
        [Layer(name, "Tanh", (w,), w, "flatten") for name, w in zip(names, widths, strict=True)],
        name="made up",
    )
    builder.add_probe("probe", n, np.arange(n) % 2)
    for step in steps:
        u = math.log10(1 + step) / 4
        builder.add_scalars(step, {"epoch": step / 10, "loss": 1 - u / 2, "accuracy": 0.5 + u / 2})
        rows = []
        for i, name in enumerate(names):
            wide = i < 2
            for estimator in estimators:
                x = (
                    math.log(n)
                    if wide
                    else (3 + 2 * math.exp(-(((u - 0.5) / 0.2) ** 2))) * (1 - i / 10)
                )
                y = math.log(2) * (0.99 if wide else min(0.98, 0.1 + u))
                rows.append(
                    make_measurement(
                        step,
                        name,
                        "X",
                        x,
                        estimator,
                        ceiling=math.log(n),
                        verdict=Verdict.NOT_USABLE if wide else Verdict.OK,
                        reason="saturated: at log n" if wide else "",
                    )
                )
                null = 0.98 * y if wide else 0.02
                rows.append(
                    make_measurement(
                        step,
                        name,
                        "Y",
                        y,
                        estimator,
                        ceiling=math.log(2),
                        null=Null(null, 0.001, null - 0.002, null, null + 0.002, 20, 0.05),
                        verdict=Verdict.CAUTION if i == 2 else Verdict.OK,
                        reason="few samples a bin" if i == 2 else "",
                    )
                )
        builder.add(rows)
    return builder


@pytest.fixture(scope="session")
def measurement():
    return make_measurement


@pytest.fixture(scope="session")
def fed():
    return make_run


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """A shelf waits for its directory to be read: what a page does after a second is not meant."""
    monkeypatch.setattr(Shelf.look, "__defaults__", (60.0,))
    monkeypatch.setattr(shelf, "GLANCE", 60.0)
