"""Small runs on disk, and Datasets made by hand, for the tests of the analysis room."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from infoplane.store import Run, open_run
from infoplane.types import Layer, ProbeData, Snapshot


@pytest.fixture
def record(tmp_path: Path) -> Callable[..., Run]:
    """Return a function that writes a run and opens it for reading."""

    def make(
        snapshots: Mapping[int, Mapping[str, np.ndarray]],
        *,
        y: np.ndarray | None = None,
        x: np.ndarray | None = None,
        target: str = "class",
        name: str = "run",
        scalars: Mapping[int, Mapping[str, float]] | None = None,
        table: Sequence[Layer] = (),
    ) -> Run:
        first = next(iter(snapshots.values()))
        n = len(next(iter(first.values())))
        inputs = np.arange(n)[:, None].astype(float) if x is None else x
        layers = table or [
            Layer(layer, "Tanh", (t.shape[1],), t.shape[1], "flatten") for layer, t in first.items()
        ]
        with Run.create(tmp_path / name) as run:
            run.begin((ProbeData(inputs, y, target),), tuple(layers), {})
            for step, arrays in snapshots.items():
                run.write(Snapshot(step, arrays, (scalars or {}).get(step, {})))
        return open_run(tmp_path / name)

    return make


@pytest.fixture
def dataset() -> Callable[..., xr.Dataset]:
    """Return a function that makes a Dataset from curves: {(estimator, target): (step, layer)}."""

    def make(
        steps: Sequence[int],
        layers: Sequence[str],
        curves: Mapping[tuple[str, str], Any],
        *,
        verdict: Any = 0,
        null: float = np.nan,
        p: float = np.nan,
        stderr: float = np.nan,
        reason: str = "",
        **attrs: Any,
    ) -> xr.Dataset:
        estimators = list(dict.fromkeys(name for name, _ in curves))
        targets = list(dict.fromkeys(target for _, target in curves))
        dims = ("step", "layer", "estimator", "target")
        mi = np.full((len(steps), len(layers), len(estimators), len(targets)), np.nan)
        for (name, target), values in curves.items():
            mi[:, :, estimators.index(name), targets.index(target)] = values
        verdicts = np.where(np.isnan(mi), -1, np.broadcast_to(verdict, mi.shape)).astype(np.int8)
        data = {
            "mi": mi,
            "mi_stderr": np.full(mi.shape, stderr),
            "mi_low": np.full(mi.shape, np.nan),
            "mi_high": np.full(mi.shape, np.nan),
            "mi_null": np.full(mi.shape, null),
            "mi_null_q95": np.full(mi.shape, null),
            "mi_null_p": np.full(mi.shape, p),
            "verdict": verdicts,
            "reason": np.where(verdicts == 2, reason, "").astype(object),
        }
        coords = {
            "step": np.asarray(steps),
            "layer": np.asarray(layers, dtype=object),
            "estimator": np.asarray(estimators, dtype=object),
            "target": np.asarray(targets, dtype=object),
        }
        ds = xr.Dataset({name: (dims, values) for name, values in data.items()}, coords)
        return ds.assign_attrs(attrs)

    return make
