"""Online estimation gives the numbers of a stored run without storing an activation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import infoplane as ip
from infoplane.analysis import online
from infoplane.capture import MemorySink
from infoplane.cli import main
from infoplane.errors import InputError
from infoplane.types import Layer, ProbeData, Snapshot, Status

ESTIMATORS = ["mi.binning", ("mi.kde", {"variance": 0.1})]


def train(sink, numbers=range(4)):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(60, 4, generator=generator)
    y = (x[:, 0] > 0).long()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.5)
    with ip.watch(model, ip.Probe(x, y), sink, every=2, on_backpressure="block") as watcher:
        for step in numbers:
            loss = nn.functional.cross_entropy(model(x), y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            watcher.step(step, loss=loss)


def by_place(rows):
    return {(r.step, r.layer, r.target, r.estimator): (r.value, r.null, r.verdict) for r in rows}


def test_the_numbers_are_those_of_a_stored_run(tmp_path):
    with ip.Run.create(tmp_path / "stored") as stored:
        train(stored)
    ip.evaluate(stored.path, ESTIMATORS, progress=False)
    wanted = by_place(ip.open_run(stored.path).measurements())
    with ip.Run.create(tmp_path / "online") as run:
        sink = online(ESTIMATORS, run=run)
        train(sink)
    assert len(wanted) == 3 * 2 * 2 * 2
    assert by_place(sink.measurements) == wanted
    read = ip.open_run(run.path)
    assert by_place(read.measurements()) == wanted
    assert read.steps == []
    assert read.status().state == "finished"
    assert sorted(read.scalars()["loss"]) == [1, 2, 3, 4]
    assert not [f for f in (run.path / "snapshots").iterdir() if f.stat().st_size > 60 * 5 * 4 * 3]
    trajectory = ip.trajectories(read)
    assert trajectory.mi.sel(target="X", estimator="mi.binning").dims == ("step", "layer")
    assert np.isfinite(trajectory.mi).all()


def snapshot(step):
    return Snapshot(step, {"a": np.random.default_rng(step).normal(size=(30, 3))})


def begun(sink):
    probe = ProbeData(np.arange(30)[:, None], np.arange(30) % 3)
    sink.begin((probe,), (Layer("a", "Linear", (3,), 3, "flatten"),), {})
    return sink


def test_without_a_run_the_numbers_stay_in_memory_and_a_dead_worker_is_replaced():
    sink = begun(online(["mi.binning"]))
    try:
        sink.write(snapshot(0))
        sink._process.kill()
        sink._process.wait()
        sink.write(snapshot(1))
        sink.record(1, {"loss": 0.5})
        sink.report("dropped", {"step": 3})
    finally:
        sink.end("finished")
    assert [(row.step, row.target) for row in sink.measurements] == [
        (0, "X"), (0, "Y"), (1, "X"), (1, "Y"),
    ]  # fmt: skip
    assert all(row.status is not Status.FAILED for row in sink.measurements)
    assert sink._process is None


def test_a_snapshot_that_kills_the_worker_is_given_up(tmp_path, monkeypatch):
    (tmp_path / "deadly.py").write_text(
        "import os, infoplane.analysis.work as work\nwork.Bench.do = lambda *a: os._exit(3)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    sink = begun(online(["mi.binning"], modules=["deadly"]))
    try:
        sink.write(snapshot(0))
    finally:
        sink.end("failed")
    assert [row.status for row in sink.measurements] == [Status.FAILED] * 2
    assert "died" in sink.measurements[0].note


def test_a_worker_that_hangs_is_replaced_and_its_snapshot_given_up(tmp_path, monkeypatch):
    (tmp_path / "endless.py").write_text(
        "import time, infoplane.analysis.work as work\nwork.Bench.do = lambda *a: time.sleep(999)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with ip.Run.create(tmp_path / "run") as run:
        sink = begun(online(["mi.binning"], run=run, modules=["endless"], timeout=0.2))
        sink.write(snapshot(0))
        sink.end("finished")
    assert [row.status for row in sink.measurements] == [Status.FAILED] * 2
    assert "took longer than 0.2 s" in sink.measurements[0].note
    (event,) = ip.open_run(run.path).events()
    assert event["event"] == "worker replaced"
    with pytest.raises(InputError, match="`timeout` must be"):
        online(timeout=0)


def test_a_resumed_run_keeps_what_was_measured_before(tmp_path, capsys):
    with ip.Run.create(tmp_path / "run") as run:
        train(online(["mi.binning"], run=run), range(8))
    with ip.Run.create(tmp_path / "run", resume="must") as run:
        train(online(["mi.binning"], run=run), range(4, 10))  # a checkpoint of 4 updates
    read = ip.open_run(run.path)
    assert sorted({row.step for row in read.measurements()}) == [0, 2, 4, 6, 8, 10]
    assert main(["show", str(run.path)]) == 0
    assert "no snapshots kept, measured online at 6 steps" in capsys.readouterr().out
    assert sorted(read.scalars()["loss"]) == list(range(1, 11))


def test_what_cannot_be_asked_is_said_at_once():
    sink = online(["mi.binning"], targets=("Z",))
    with pytest.raises(InputError, match="the target must be 'X', 'Y'"):
        begun(sink)
    memory = MemorySink()
    assert isinstance(memory, ip.types.Sink)
    assert isinstance(sink, ip.types.Sink)
