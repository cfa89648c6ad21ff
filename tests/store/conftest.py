"""A small run, and the pieces to make others."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from infoplane.store import Run
from infoplane.types import (
    Flags,
    Layer,
    Measurement,
    Null,
    ProbeData,
    Snapshot,
    Status,
    Verdict,
)

LAYERS = (
    Layer("net.0", "Linear", (10,), 10, "flatten"),
    Layer("net.2", "Linear", (7,), 7, "flatten"),
    Layer("<img onerror=x> ../../../etc", "Linear", (3,), 3, "flatten"),
)


def probe(name: str = "probe") -> ProbeData:
    rng = np.random.default_rng(0)
    return ProbeData(rng.integers(0, 2, (16, 12)), np.arange(16) % 2, "class", name)


def snapshot(step: int, name: str = "probe", salt: int = 0) -> Snapshot:
    """A snapshot whose content follows from its step."""
    rng = np.random.default_rng((step, salt))
    layers = {
        layer.name: rng.standard_normal((16, layer.width), dtype=np.float32) for layer in LAYERS
    }
    return Snapshot(step, layers, {"loss": 1 / (1 + step)}, {"seconds": 0.5}, name)


def measurement(key: str = "k", step: int = 0, **changes: object) -> Measurement:
    fields = {
        "key": key,
        "step": step,
        "layer": "net.0",
        "quantity": "mi",
        "target": "Y",
        "estimator": "mi.binning",
        "version": 1,
        "params": {"bins": 30, "range": (-1, 1)},
        "value": 0.5,
    }
    return Measurement(**{**fields, **changes})


FULL = measurement(
    "full",
    3,
    stderr=0.1,
    low=0.4,
    high=0.6,
    null=Null(0.1, 0.01, 0.08, 0.1, 0.12, 20, 1 / 21),
    ceiling=np.log(2),
    verdict=Verdict.CAUTION,
    reason="97 % singleton bins",
    flags=Flags(["dead=3", "saturated"]),
    n=4096,
    d=10,
    seconds=0.01,
    status=Status.SATURATED,
    note="é \ud800 \u2028",
    unit="bit",
    info={"spectrum": [1.0, 2.0], "nested": {"a": None, "b": True}},
    probe="test",
    snapshot=7,
)


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """A fresh folder, in memory where the system has enough: a sync there costs nothing."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK) or shutil.disk_usage(memory).free < 1 << 30:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def kit() -> SimpleNamespace:
    """Pieces: `layers`, `probe()`, `snapshot(step)`, `measurement(key, step)`, `full`."""
    return SimpleNamespace(
        layers=LAYERS, probe=probe, snapshot=snapshot, measurement=measurement, full=FULL
    )


@pytest.fixture
def record(tmp_path: Path) -> Callable[..., Run]:
    """Start a run in a fresh folder, or resume one, and begin it."""
    runs: list[Run] = []

    def start(path: Path | str = "run", **options: object) -> Run:
        run = Run.create(tmp_path / path, **options)
        run.begin((probe(),), LAYERS, {"reduce": "flatten"})
        runs.append(run)
        return run

    yield start
    for run in runs:
        run.close()


@pytest.fixture
def abandon() -> Callable[[Run], Path]:
    """Let go of a run as a killed process would: no end, lock free."""

    def leave(run: Run) -> Path:
        run._journal.close()
        run._lock.release()
        run._to_end = False
        return run.path

    return leave
