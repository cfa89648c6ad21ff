"""Other systems and file systems: no locks, targets held open, limits."""

from __future__ import annotations

import errno
import os
import time
import weakref

import numpy as np
import pytest

from infoplane.errors import InputError, RunLockedError, StoreError
from infoplane.store import Run, files, lock, open_run, snapshots, status, view
from infoplane.types import Snapshot


def test_a_file_system_without_locks(kit, tmp_path, monkeypatch):
    """Lustre without ``-o flock`` says ENOLCK: one warning, and the run is recorded."""

    def flock(fd, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock.fcntl, "flock", flock)
    with pytest.warns(UserWarning, match="keeps no locks .* one process only writes this run"):
        run = Run.create(tmp_path / "run")
    run.write(kit.snapshot(0))
    read = open_run(run.path)
    assert read.status().state == "live"  # its journal has grown just now
    monkeypatch.setattr(status, "_FRESH_SECONDS", -1.0)
    assert read.status().state == "stalled"
    run.close()
    assert read.status().state == "finished"


def test_a_run_that_ends_while_it_is_asked_about_is_not_called_stalled(kit, record, monkeypatch):
    run = record()
    run.write(kit.snapshot(0))

    def meanwhile(path):
        run.close()
        return lock.look_at(path)

    read = open_run(run.path)
    monkeypatch.setattr(view, "look_at", meanwhile)
    assert read.status().state == "finished"


def test_a_writer_that_holds_on_without_a_sign_of_life_is_stalled_until_the_next(
    kit, record, monkeypatch
):
    """What SIGSTOP and a suspended machine look like from outside."""
    run = record()
    monkeypatch.setattr(lock, "_HELD", weakref.WeakSet())  # its thread gives no sign meanwhile
    run.write(kit.snapshot(0))
    read = open_run(run.path)
    assert read.status().state == "live"
    long_ago = time.time() - status.SILENT_SECONDS - 1
    os.utime(run.path / "lock", (long_ago, long_ago))
    told = read.status()
    assert (told.state, told.growing) == ("stalled", True)
    assert "no sign of life for more than 90 seconds" in told.reason
    run._lock.beat()
    assert read.status().state == "live"
    os.utime(run.path / "lock", (long_ago, long_ago))
    (run.path / "lock").write_text("process 1 of a version that gives no signs\n")
    os.utime(run.path / "lock", (long_ago, long_ago))
    assert read.status().state == "live"
    run.close()
    assert read.status().state == "finished"


def test_a_thread_beats_for_every_lock_that_is_held_and_ends_with_the_last(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "BEAT", 0.001)
    monkeypatch.setattr(lock, "_HELD", weakref.WeakSet())  # what other tests have left open
    monkeypatch.setattr(lock, "_PULSE", pulse := lock._Pulse())
    locks = [lock.RunLock(tmp_path / name) for name in "ab"]
    for name in "ab":
        os.utime(tmp_path / name, (1, 1))
    until(lambda: all((tmp_path / name).stat().st_mtime > 1 for name in "ab"))
    for held in locks:
        held.release()
    until(lambda: not pulse._beating)
    again = lock.RunLock(tmp_path / "a")
    os.utime(tmp_path / "a", (1, 1))
    until(lambda: (tmp_path / "a").stat().st_mtime > 1)
    again.release()
    until(lambda: not pulse._beating)


def until(true):
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.002)


def test_a_strange_lock_file(kit, record):
    run = record()
    run.write(kit.snapshot(0))
    path = run.path / "lock"
    assert path.read_text().startswith(f"process {os.getpid()} on ")
    with pytest.raises(RunLockedError, match="is being written by process "):
        Run.create(run.path, resume="must")
    path.write_bytes(b"\x1b[31m<b>")
    with pytest.raises(RunLockedError, match="is being written by another process"):
        Run.create(run.path, resume="must")
    run._journal.close()
    run._lock.release()
    run._to_end = False
    assert path.read_bytes() == b""  # a run that is passed on names no machine
    path.unlink()
    os.mkfifo(path)
    assert open_run(run.path).status().state in ("live", "stalled")
    with pytest.raises(StoreError, match="must be a regular file"):
        Run.create(run.path, resume="must")


class Windows:
    """Stands in for `os`: somebody holds the target open for the first three tries."""

    name = "nt"

    def __init__(self, tries: int) -> None:
        self.left = tries

    def __getattr__(self, name):
        return getattr(os, name)

    def replace(self, source, target):
        self.left -= 1
        if self.left >= 0:
            raise PermissionError(13, "Access is denied")
        os.replace(source, target)


def test_replacing_is_tried_again_on_windows(tmp_path, monkeypatch):
    waited = []
    monkeypatch.setattr(files, "os", Windows(3))
    monkeypatch.setattr(files.time, "sleep", waited.append)
    files.write_durably(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert waited == [0.01, 0.02, 0.04]
    monkeypatch.setattr(files, "os", Windows(100))
    with pytest.raises(PermissionError):
        files.write_durably(tmp_path / "a", b"newer")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_limits_are_told_before_anything_is_written(record, monkeypatch):
    run = record()
    monkeypatch.setattr(snapshots, "TENSOR_CAP", 100)
    with pytest.raises(InputError, match=r"at most 100 bytes; got 400 for shape \(10, 10\)"):
        run.write(Snapshot(0, {"a": np.zeros((10, 10))}))
    monkeypatch.undo()
    monkeypatch.setattr(snapshots, "COUNT_CAP", 1)
    with pytest.raises(InputError, match="at most 1 layers"):
        run.write(Snapshot(0, {"a": np.zeros((1, 1)), "b": np.zeros((1, 1))}))
    monkeypatch.setattr(snapshots, "FILE_CAP", snapshots.HEADER_CAP + 10)
    with pytest.raises(InputError, match="and 10 bytes"):
        run.write(Snapshot(0, {"a": np.zeros((9, 9))}))
    assert run.steps == []


def test_a_reader_writes_nothing(kit, record):
    run = record()
    run.write(kit.snapshot(0))
    read = open_run(run.path)
    for call in (
        lambda: read.begin((), (), {}),
        lambda: read.write(kit.snapshot(1)),
        lambda: read.record(1, {}),
        lambda: read.report("x"),
        lambda: read.measure([]),
        lambda: read.forget(0),
        lambda: read.end("failed"),
    ):
        with pytest.raises(StoreError, match="open for reading only, or closed"):
            call()
    read.close()
    assert read.steps == [0]
