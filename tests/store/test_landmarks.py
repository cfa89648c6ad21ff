"""A list reads a long journal from its landmarks, and tells the same as from all of it."""

import numpy as np
import pytest

from infoplane.store import Run, files, journal, landmarks, list_runs
from infoplane.store.line import frame
from infoplane.types import Snapshot


def snapshot(step):
    return Snapshot(step, {"a": np.zeros((2, 2), np.float32)}, {"loss": 1.0})


def record(path, rng, sessions=3):
    """Some sessions: scalars, snapshots, events whose words look like ours, thinned snapshots."""
    step = 0
    for _ in range(sessions):
        run = Run.create(path, resume="allow", config={"back": 3, "kind": "scalars"})
        run.begin()
        step = int(rng.integers(0, step + 1))
        for _ in range(int(rng.integers(0, 40))):
            step += int(rng.integers(0, 3))
            for _ in range(int(rng.integers(0, 4))):
                run.record(step, {"loss": float(rng.random())})
            if rng.random() < 0.2:
                run.write(snapshot(step))
                if rng.random() < 0.3:
                    run.forget(step)
            if rng.random() < 0.1:
                run.report("note", {"back": -1, "kind": "scalars", "text": '"back":'})
        if rng.random() < 0.5:
            run.close()
        else:  # killed
            run._to_end = False
            run.close()
        if rng.random() < 0.3:
            with (path / "journal" / "w0.jsonl").open("ab") as file:
                file.write(b'0000 {"seq":9,"kind":"snapshot","back":1')


@pytest.fixture
def small(monkeypatch):
    """Any journal is long, any gap is wide, and a read is short."""
    monkeypatch.setattr(journal, "_LONG", 0)
    monkeypatch.setattr(landmarks, "_NEAR", 0)
    monkeypatch.setattr(landmarks, "_READ", 40)


def told(folder):
    return [
        (r.name, r.steps, r.layers, r.status.state, r.status.last_step, r.status.reason)
        for r in list_runs(folder)
    ]


def test_a_list_from_landmarks_tells_what_a_list_from_everything_tells(tmp_path, request):
    rng = np.random.default_rng(0)
    for number in range(25):
        record(tmp_path / f"{number:02d}", rng)
    before = told(tmp_path)
    request.getfixturevalue("small")
    assert told(tmp_path) == before
    assert len({row[1:5] for row in before}) > 15


def test_of_a_long_journal_a_small_part_is_read(tmp_path, monkeypatch):
    with Run.create(tmp_path / "run") as run:
        for step in range(9000):
            if step in (0, 10, 100, 1000):
                run.write(snapshot(step))
            run.record(step, {"loss": 0.5})
    read = []
    real = files.read_at

    def counted(fd, offset, length):
        read.append(len(data := real(fd, offset, length)))
        return data

    monkeypatch.setattr(files, "read_at", counted)
    assert [(r.steps, r.status.last_step) for r in list_runs(tmp_path)] == [(4, 8999)]
    size = (tmp_path / "run" / "journal" / "w0.jsonl").stat().st_size
    assert size > journal._LONG
    assert sum(read) < size / 8


def test_a_list_goes_on_from_there_as_a_run_grows(tmp_path, small):
    from infoplane.store import Listing

    run = Run.create(tmp_path / "run")
    run.write(snapshot(1))
    runs = Listing(tmp_path)
    assert runs.poll()[0].steps == 1
    run.record(5, {"loss": 1.0})
    run.write(snapshot(7))
    run.record(9, {"loss": 1.0})
    (summary,) = runs.poll()
    assert (summary.steps, summary.status.last_step) == (2, 9)
    run.close()


def lines_of(path):
    return (path / "journal" / "w0.jsonl").read_bytes().splitlines(keepends=True)


def damaged(lines):
    lines[3] = lines[3].replace(b'"step":2', b'"step":3')


def cyclic(lines):
    last = len(lines) - 1
    at = sum(map(len, lines[:last]))
    payload = lines[last][9:-1].rpartition(b'"back":')[0] + b'"back":%d}' % at
    lines[last] = frame(payload)


def lying(lines):
    payload = lines[-1][9:-1].rpartition(b'"back":')[0] + b'"back":7}'
    lines[-1] = frame(payload)


def without(lines):
    """As an earlier version wrote it."""
    for number, line in enumerate(lines):
        head, _, _ = line[9:-1].rpartition(b',"back":')
        lines[number] = frame(head + b"}") if head else line


@pytest.mark.parametrize("change", [damaged, cyclic, lying, without])
def test_without_a_sound_chain_everything_is_read(tmp_path, small, monkeypatch, change):
    with Run.create(tmp_path / "run") as run:
        for step in range(4):
            run.write(snapshot(step))
    lines = lines_of(tmp_path / "run")
    change(lines)
    (tmp_path / "run" / "journal" / "w0.jsonl").write_bytes(b"".join(lines))
    fast = told(tmp_path)
    monkeypatch.setattr(journal, "_LONG", 1 << 60)
    assert fast == told(tmp_path)
    assert fast[0][1] == (3 if change is damaged else 4)
    with Run.create(tmp_path / "run", resume="must") as run:
        run.write(snapshot(9))
    assert told(tmp_path)[0][1] == fast[0][1] + 1


def test_an_endless_line_is_no_chain(tmp_path):
    path = tmp_path / "w0.jsonl"
    path.write_bytes(frame(b'{"back":-1}') + b"x" * 2_000_000 + b'"back":\n')
    with files.opened(path) as fd:
        size = path.stat().st_size
        assert landmarks.newest(fd, size) is None
        assert landmarks.spans(fd, size) == []
        assert landmarks.newest(fd, 0) == -1
