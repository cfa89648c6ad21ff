"""Power cuts, simulated: no image that a disk may legally show loses what was acknowledged."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from twins.disk import RecordingOS, images, materialise

from infoplane.errors import InfoplaneError, NotARunError
from infoplane.store import Run, files, open_run


@pytest.fixture
def log(kit, tmp_path, monkeypatch):
    """Calls of a short run: created, begun, written, measured, restarted, ended."""
    base = tmp_path / "base"
    base.mkdir()
    disk = RecordingOS()
    monkeypatch.setattr(files, "os", disk)
    run = Run.create(base / "run")
    disk.acknowledge("created")
    run.begin((kit.probe(),), kit.layers[:1], {})
    disk.acknowledge("begun")
    for step in (1, 2, 4):
        run.write(small(kit, step))
        disk.acknowledge(("step", step))
        run.record(step, {"accuracy": 0.5})
        run.measure([kit.measurement(f"k{step}", step, layer="net.0")])
        disk.acknowledge(("row", step))
    run._journal.close()
    run._lock.release()
    run = Run.create(base / "run", resume="must")
    with run.annotator() as notes:
        notes.measure([kit.measurement("note", 1)])
        disk.acknowledge("note")
    run.write(small(kit, 7))
    disk.acknowledge(("step", 7))
    run.close()
    disk.acknowledge("finished")
    monkeypatch.undo()
    return disk.log, base


def small(kit, step):
    full = kit.snapshot(step)
    return type(full)(step, {"net.0": full.layers["net.0"][:2, :2]}, full.scalars)


def lost(facts, run, kit):
    """What was acknowledged and is not there, or what is there and wrong."""
    rows = {row.key for row in run.measurements()}
    for fact in facts:
        if fact == "begun" and not np.array_equal(run.probe().x, kit.probe().x):
            return fact
        if fact == "finished" and run.status().state != "finished":
            return fact
        if fact == "note" and "note" not in rows:
            return fact
        if isinstance(fact, tuple) and fact[0] == "step" and fact[1] not in run.steps:
            return fact
        if isinstance(fact, tuple) and fact[0] == "row" and f"k{fact[1]}" not in rows:
            return fact
    for step in run.steps:
        if not np.array_equal(run.load(step, "net.0"), small(kit, step).layers["net.0"]):
            return f"wrong step {step}"
    return None


def check(log, base, kit, target: Path, *, stop_at=None, go_on_every=4):
    """Recover from every image; return how many there were and what was lost."""
    count, losses = 0, []
    for facts, image in images(log, str(base)):
        count += 1
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        materialise(image, str(base), target)
        try:
            fact = lost(facts, open_run(target / "run"), kit)
            if fact is None and count % go_on_every == 0:
                fact = cannot_go_on(target / "run", kit)
        except NotARunError as error:
            fact = repr(error) if "created" in facts else None
        except InfoplaneError as error:
            fact = repr(error)
        if fact is not None:
            losses.append((fact, sorted(map(str, facts))))
            if len(losses) == stop_at:
                break
    return count, losses


def cannot_go_on(path, kit):
    with Run.create(path, resume="allow") as run:
        run.write(small(kit, 9))
    run = open_run(path)
    return None if 9 in run.steps and run.status().state == "finished" else "cannot go on"


def test_nothing_acknowledged_is_lost(log, kit, tmp_path):
    count, losses = check(*log, kit, tmp_path / "image")
    assert losses == []
    assert count > 250, "the simulation has become too small to mean anything"


def without_sync(log, where):
    return [op for op in log if not (op[0] == "sync" and where(op[1]))]


def line_before_rename(log):
    """The journal's line goes to disk before the file that it names is in place."""
    log = list(log)
    for at, op in enumerate(log):
        if op[0] == "rename" and "snapshots" in op[1]:
            assert log[at + 1][0] == "sync"
            rename = log[at : at + 2]
            line = log[at + 2 : at + 4]
            log[at : at + 4] = line + rename
    return log


@pytest.mark.parametrize(
    "bug",
    [
        lambda log: without_sync(log, lambda path: path.endswith(".tmp")),
        lambda log: without_sync(log, lambda path: path.endswith("snapshots")),
        lambda log: without_sync(log, lambda path: path.endswith("run")),
        lambda log: without_sync(log, lambda path: path.endswith("journal")),
        lambda log: without_sync(log, lambda path: path.endswith(".jsonl")),
        line_before_rename,
    ],
    ids=["fsync", "folder", "root", "journal folder", "fdatasync", "order"],
)
def test_the_simulation_catches_bugs(bug, log, kit, tmp_path):
    calls, base = log
    _, losses = check(bug(calls), base, kit, tmp_path / "image", stop_at=1)
    assert losses
