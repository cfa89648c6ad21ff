"""Every call to the system fails once, in every way: only declared errors, nothing told is lost."""

from __future__ import annotations

import errno
import gc
import os

import pytest

from infoplane.errors import StoreError
from infoplane.store import Run, files, open_run

CALLS = ("open", "write", "fsync", "fdatasync", "replace", "fstat", "lstat", "listdir", "mkdir")


class FaultyOS:
    """Stands in for `os`; the call number `at` fails."""

    def __init__(self, at: int, error: int | None) -> None:
        self.at, self.error, self.count = at, error, 0

    def __getattr__(self, name):
        real = getattr(os, name)
        return (lambda *args, **named: self._call(real, *args, **named)) if name in CALLS else real

    def _call(self, real, *args, **named):
        self.count += 1
        if self.count != self.at:
            return real(*args, **named)
        if self.error is not None:
            raise OSError(self.error, os.strerror(self.error))
        if real is os.write:  # a full disk takes a part and says nothing
            return os.write(args[0], bytes(args[1])[: len(args[1]) // 2])
        return real(*args, **named)


def live_through(path, kit, told):
    """A run in which every step may fail; the user goes on, as capture does."""

    def attempt(fact, call, *args):
        try:
            call(*args)
        except StoreError:
            return
        told.add(fact)

    try:
        run = Run.create(path)
    except StoreError:
        run = Run.create(path, resume="allow")
    attempt("begun", run.begin, (kit.probe(),), kit.layers, {})
    for step in (0, 1, 2):
        attempt(("step", step), run.write, kit.snapshot(step))
        attempt(("scalar", step), run.record, step, {"accuracy": 1.0})
    attempt("row", run.measure, [kit.measurement("row")])
    with run.annotator() as notes:
        attempt("note", notes.annotate, "a", {"text": "note"})
    attempt("closed", run.close)


def check(path, kit, told):
    assert not list(path.rglob("*.tmp"))
    run = open_run(path)
    for fact in told:
        match fact:
            case ("step", step):
                assert step in run.steps
                assert (
                    run.load(step, "net.2").tolist() == kit.snapshot(step).layers["net.2"].tolist()
                )
            case ("scalar", step):
                assert run.scalars()["accuracy"][step] == 1.0
            case "row":
                assert "row" in [row.key for row in run.measurements()]
            case "note":
                assert run.annotations("a") == [{"text": "note"}]
            case "begun":
                assert (run.probe().x == kit.probe().x).all()
            case "closed":
                assert run.status().state == "finished"
    for step in run.steps:
        run.snapshot(step)


@pytest.mark.parametrize(
    ("error", "stride"),
    [(errno.ENOSPC, 1), (None, 4), (errno.EACCES, 5), (errno.EIO, 6), (errno.EINTR, 7)],
)
def test_each_call_fails_once(error, stride, kit, tmp_path, monkeypatch):
    gc.collect()  # what other tests have left to be closed is no matter of this one
    at, descriptors = 1, len(os.listdir("/dev/fd"))
    while True:
        path, told = tmp_path / f"run{at}", set()
        faulty = FaultyOS(at, error)
        monkeypatch.setattr(files, "os", faulty)
        live_through(path, kit, told)
        monkeypatch.undo()
        check(path, kit, told)
        if faulty.count < at:
            break
        assert len(told) >= 5, "one fault must not cost more than what it hits"
        with Run.create(path, resume="allow") as run:
            run.write(kit.snapshot(3))
        check(path, kit, {*told - {"closed"}, ("step", 3)})
        at += stride
    assert at > 60
    assert len(told) == 10
    gc.collect()
    assert len(os.listdir("/dev/fd")) <= descriptors


def test_a_disk_that_stays_full_and_then_is_freed(kit, record, monkeypatch):
    run = record()
    run.write(kit.snapshot(0))

    def full(fd, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "write_all", full)
    for step in (1, 2):
        with pytest.raises(StoreError, match=r"write the snapshot .*: No space left on device"):
            run.write(kit.snapshot(step))
    monkeypatch.undo()
    run.write(kit.snapshot(3))
    assert run.steps == [0, 3]
    assert len(list((run.path / "snapshots").iterdir())) == 3  # probe and two snapshots


def test_an_end_that_cannot_be_written_is_told_once_and_tried_again(kit, record, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    run = record()
    run.write(kit.snapshot(0))
    with monkeypatch.context() as patch:
        patch.setattr(files, "write_once", full)
        with pytest.raises(StoreError, match="No space left"):
            run.end("failed")
        run.close()  # a training that goes on to save its model must not die here
    assert open_run(run.path).status().state == "stalled"
    run = record(resume="must")
    run.write(kit.snapshot(1))
    with monkeypatch.context() as patch:
        patch.setattr(files, "write_once", full)
        with pytest.raises(StoreError, match="No space left"):
            run.end("failed")
    run.close()
    assert open_run(run.path).status().state == "failed"


def test_a_journal_line_that_the_disk_takes_half(kit, record, monkeypatch):
    run = record()
    real = files.write_once
    monkeypatch.setattr(
        files, "write_once", lambda fd, data: real(fd, data[: len(data) // 2]) and False
    )
    with pytest.raises(StoreError, match="the disk is full, it took only a part of the line"):
        run.write(kit.snapshot(0))
    assert len(list((run.path / "snapshots").iterdir())) == 1  # no file that nobody can name
    monkeypatch.undo()
    run.record(2, {"loss": 2.0})
    read = open_run(run.path)
    assert read.scalars() == {"loss": {2: 2.0}}
    assert read.status().reason == ""  # an unacknowledged half line is no damage
