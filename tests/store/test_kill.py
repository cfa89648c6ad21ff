"""Real deaths: kill -9 in the middle of writing, forks, a full house of writers."""

from __future__ import annotations

import gc
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from infoplane.errors import RunLockedError, StoreError
from infoplane.store import Run, open_run, verify

ROUNDS = 50
WRITER = textwrap.dedent(
    """
    # Waits for "path start", forks a writer for it, says when it is dead. The writer tells what was
    # acknowledged: one line each, in one write, so that a kill cannot mix them.
    import os, signal, sys
    import numpy as np
    from infoplane.store import Run
    from infoplane.types import Measurement, Snapshot

    assert "torch" not in sys.modules

    def say(*words):
        os.write(1, (" ".join(map(str, words)) + "\\n").encode())

    def arrays(step):
        rng = np.random.default_rng(step)
        return {f"layer{i}": rng.random((2048, 12), dtype=np.float32) for i in range(6)}

    def write(path, step):
        run = Run.create(path, resume="allow")
        for step in range(step, step + 40):  # a fast disk must not be filled
            run.write(Snapshot(step, arrays(step), {"loss": step}))
            say("step", step)
            run.record(step, {"accuracy": step})
            say("scalar", step)
            row = Measurement(f"k{step}", step, "layer0", "mi", "Y", "mi.kde", 1, {}, float(step))
            run.measure([row])
            say("row", step)
        signal.pause()

    for line in sys.stdin:
        path, start = line.rsplit(maxsplit=1)
        child = os.fork()
        if not child:
            write(path, int(start))
        say("pid", child)
        os.waitpid(child, 0)
        say("dead", child)
    """
)


def test_kill_9_loses_nothing_acknowledged(tmp_path_factory):
    """Everything acknowledged is readable after each of 50 kills, and the run can go on."""
    path = tmp_path_factory.mktemp("killed") / "run"  # on a real disk
    rng = random.Random(0)
    acknowledged: dict[str, set[int]] = {"step": set(), "scalar": set(), "row": set()}
    with subprocess.Popen(
        [sys.executable, "-c", WRITER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        for number in range(ROUNDS):
            start = 1 + max(acknowledged["step"], default=0)
            facts = one_death(parent, path, start, rng.uniform(0, 0.03))
            for kind, step in facts:
                acknowledged[kind].add(step)
            check(path, acknowledged, facts, every_byte=number % 10 == 9)
        parent.stdin.close()
    assert len(acknowledged["step"]) >= ROUNDS
    with Run.create(path, resume="must") as run:
        run.record(10**6, {"loss": 0.0})
    assert open_run(path).status().state == "finished"


def one_death(parent, path, start, delay):
    """Start a writer, kill it a moment after its first acknowledgement; return all of them."""
    parent.stdin.write(f"{path} {start}\n")
    parent.stdin.flush()
    facts, pid = [], None
    for line in parent.stdout:
        word, number = line.split()
        if word == "dead":
            return facts
        if word == "pid":
            pid = int(number)
        else:
            facts.append((word, int(number)))
        if pid and facts:
            time.sleep(delay)
            os.kill(pid, signal.SIGKILL)
            pid = None
    raise AssertionError("the writers' parent died")


def check(path, acknowledged, facts, *, every_byte):
    run = open_run(path)
    assert acknowledged["step"] <= set(run.steps)
    assert acknowledged["scalar"] <= set(run.scalars()["accuracy"])
    assert {f"k{step}" for step in acknowledged["row"]} <= {row.key for row in run.measurements()}
    assert run.status().state == "stalled"
    for step in {step for kind, step in facts if kind == "step"}:
        expected = np.random.default_rng(step).random((2048, 12), dtype=np.float32)
        np.testing.assert_array_equal(run.load(step, "layer0"), expected)
    if every_byte:
        assert verify(path).problems == ()


def test_second_writer_is_refused_until_the_first_is_dead(tmp_path):
    path = tmp_path / "run"
    code = (
        "import sys\nfrom infoplane.store import Run\n"
        "run = Run.create(sys.argv[1]); print('up', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "up\n"
        with pytest.raises(RunLockedError, match=f"process {other.pid} on .*annotator"):
            Run.create(path, resume="allow")
        assert open_run(path).status().state == "live"
        other.kill()
    Run.create(path, resume="must").close()


def test_two_writers_in_one_process(record):
    run = record()
    with pytest.raises(RunLockedError):
        Run.create(run.path, resume="allow")
    run.close()
    record(resume="must")


def in_child(task):
    """Run a task in a forked child; return what it sends back."""
    receive, send = os.pipe()
    child = os.fork()
    if not child:
        try:
            words = str(task())
        except BaseException as error:
            words = repr(error)
        os.write(send, words.encode())
        os._exit(0)
    os.close(send)
    with open(receive) as file:
        words = file.read()
    assert os.waitpid(child, 0)[1] == 0
    return words


pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_copy_does_nothing(kit, record):
    run = record()
    run.write(kit.snapshot(0))
    notes = run.annotator()
    notes.annotate("a", {})
    size = sum(file.stat().st_size for file in run.path.rglob("*"))

    def task():
        run.begin((kit.probe(),), kit.layers, {})
        run.write(kit.snapshot(1))
        run.record(2, {"loss": 1.0})
        run.report("dropped", {})
        run.measure([kit.measurement()])
        run.forget(0)
        run.end("failed")
        run.close()
        return run.steps, run.load(0, "net.2").shape

    assert in_child(task) == "([0], (16, 7))"
    assert sum(file.stat().st_size for file in run.path.rglob("*")) == size
    assert "belongs to another process" in in_child(lambda: notes.annotate("b", {}))
    run.write(kit.snapshot(1))
    assert run.steps == [0, 1]
    assert open_run(run.path).status().state == "live"


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_keeps_no_lock(record):
    """A DataLoader worker that outlives its killed parent must not lock the run."""
    run = record()
    receive, send = os.pipe()
    child = os.fork()
    if not child:
        os.close(send)
        os.read(receive, 1)  # until the parent lets go
        os._exit(0)
    try:
        run._lock.release()
        Run.create(run.path, resume="must").close()
    finally:
        os.close(send)
        os.close(receive)
        os.waitpid(child, 0)


ANNOTATOR = textwrap.dedent(
    """
    import sys
    from infoplane.store import open_run
    from infoplane.types import Measurement
    path, name = sys.argv[1:]
    with open_run(path).annotator() as notes:
        for i in range(30):
            notes.measure([
                Measurement(f"{name}-{i}-{j}", i, "net.0", "mi", "Y", "mi.kde", 1, {}, float(j))
                for j in range(5)
            ])
    """
)


def test_four_annotators_and_a_writer_and_readers(kit, record):
    """Each of 600 rows is there; a reader and a tail beside them saw no damage on the way."""
    run = record()
    workers = [
        subprocess.Popen([sys.executable, "-c", ANNOTATOR, run.path, name]) for name in "abcd"
    ]
    reader, tail, seen, step = open_run(run.path), run.tail(), 0, 0
    while any(worker.poll() is None for worker in workers):
        run.write(kit.snapshot(step))
        step += 1
        reader.refresh()
        seen += sum(len(record.get("rows", [])) for record in tail.poll())
        assert reader._follower.damaged == reader._index.rejected == 0
        for at in reader.steps[-1:]:
            np.testing.assert_array_equal(
                reader.load(at, "net.2"), kit.snapshot(at).layers["net.2"]
            )
    assert [worker.wait() for worker in workers] == [0] * 4
    seen += sum(len(record.get("rows", [])) for record in tail.poll())
    reader.refresh()
    expected = {f"{name}-{i}-{j}" for name in "abcd" for i in range(30) for j in range(5)}
    assert {row.key for row in reader.measurements()} == expected
    assert seen == len(expected)
    assert reader.steps == list(range(step))
    assert verify(run.path).problems == ()


LIVE_WRITER = textwrap.dedent(
    """
    import select, sys
    import numpy as np
    from infoplane.store import Run
    from infoplane.types import Snapshot
    with Run.create(sys.argv[1]) as run:
        step = 0
        while not select.select([sys.stdin], [], [], 0)[0]:  # until the reader has seen enough
            run.write(Snapshot(step, {"a": np.full((500, 8), step)}, {"loss": step}))
            step += 1
    print(step)
    """
)


def test_live_reader_beside_a_writer(tmp_path_factory):
    path = tmp_path_factory.mktemp("live") / "run"
    with subprocess.Popen(
        [sys.executable, "-c", LIVE_WRITER, path],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as writer:  # fmt: skip
        while not (path / "run.json").exists():
            assert writer.poll() is None
            time.sleep(0.005)
        run, grown = open_run(path), 0
        while grown < 10:
            before = len(run.steps)
            run.refresh()
            grown += len(run.steps) > before
            for step in run.steps[-3:]:
                assert (run.load(step, "a") == step).all()
            fresh = open_run(path)
            assert len(fresh.steps) >= len(run.steps)
            assert fresh._follower.damaged == fresh._index.rejected == 0
            assert writer.poll() is None
        written = int(writer.communicate("enough")[0])
    run.refresh()
    assert run.steps == list(range(written))
    assert run.status().state == "finished"


def test_no_descriptor_is_left_open(kit, tmp_path):
    def descriptors():
        gc.collect()  # what other tests have left to be closed is no matter of this one
        return len(os.listdir("/dev/fd"))

    def use():
        with Run.create(tmp_path / "run", resume="allow") as run:
            run.begin((kit.probe(),), kit.layers, {})
            run.write(kit.snapshot(0))
            with run.annotator() as notes:
                notes.annotate("a", {})
        read = open_run(tmp_path / "run")
        read.snapshot(0)
        read.tail().poll()
        read.status()
        with pytest.raises(StoreError):
            Run.create(tmp_path / "run")

    use()
    before = descriptors()
    for _ in range(3):
        use()
    assert descriptors() <= before


def test_a_hundred_snapshots_are_listed_without_reading_them(kit, record):
    run = record()
    for step in range(100):
        run.write(kit.snapshot(step))
    for file in (run.path / "snapshots").iterdir():
        file.unlink()
    assert len(open_run(run.path).steps) == 100


def test_read_only_folder_can_be_read(kit, record):
    run = record()
    run.write(kit.snapshot(0))
    run.close()
    paths: list[Path] = [run.path, *run.path.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        read = open_run(run.path)
        assert read.snapshot(0).step == 0
        assert read.status().state == "finished"
        if os.geteuid():
            with pytest.raises(StoreError, match="Permission denied"):
                read.annotator().annotate("a", {})
            with pytest.raises(StoreError, match="Permission denied"):
                Run.create(run.path, resume="allow")
    finally:
        for path in paths:
            path.chmod(0o755 if path.is_dir() else 0o644)
