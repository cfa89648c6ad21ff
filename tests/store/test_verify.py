"""`verify` sees every damaged byte of a run, and tells damage from the traces of a crash."""

from __future__ import annotations

import pytest

from infoplane.errors import CorruptRunError, NotARunError
from infoplane.store import Run, codec, verify
from infoplane.store.line import frame


@pytest.fixture
def path(kit, record):
    run = record()
    for step in (0, 1, 2):
        run.write(kit.snapshot(step))
    run.forget(1)
    run.measure([kit.measurement()])
    with run.annotator() as notes:
        notes.measure([kit.measurement("b")])
    run.close()
    return run.path


def test_a_good_run(path):
    found = verify(path)
    assert found.ok
    assert (found.problems, found.notes) == ((), ())
    assert found.snapshots == 3  # the probe and two snapshots, one was thinned out
    assert found.records == 10


def test_every_damaged_byte_of_every_file_is_seen(path):
    for file in sorted((path / "snapshots").iterdir()):
        data = file.read_bytes()
        for position in range(0, len(data), 97):
            file.unlink()
            file.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
            (problem,) = verify(path).problems
            assert file.name in problem
        file.unlink()
        file.write_bytes(data)
    for file in sorted((path / "journal").iterdir()):
        data = file.read_bytes()
        for position in range(0, len(data) - 1, 31):
            file.unlink()
            file.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
            assert not verify(path).ok
        file.unlink()
        file.write_bytes(data)
    assert verify(path).ok


def test_traces_of_a_crash_are_notes(path, kit):
    with (path / "journal" / "w0.jsonl").open("ab") as file:
        file.write(b"0badc0de {")
    (path / "snapshots" / "w0-00000500.safetensors").write_bytes(b"x")
    found = verify(path)
    assert found.ok
    assert found.notes == (
        "journal w0: an unfinished last line of 10 bytes",
        "snapshots/w0-00000500.safetensors: no line names it",
    )
    with Run.create(path, resume="must") as run:
        run.write(kit.snapshot(9))
    found = verify(path)
    assert found.ok
    assert found.notes == ("snapshots/w0-00000500.safetensors: no line names it",)


def test_missing_and_foreign_files(path):
    first, second, _ = sorted((path / "snapshots").iterdir())
    first.unlink()
    second.write_bytes(b"x" * second.stat().st_size)
    (path / "journal" / "a1.jsonl").symlink_to(path / "journal" / "w0.jsonl")
    with (path / "journal" / "w0.jsonl").open("ab") as file:
        file.write(frame(codec.dumps({"seq": 99, "kind": "scalars", "step": -1})))
    problems = "\n".join(verify(path).problems)
    assert "journal a1: " in problems
    assert "1 records are not what their kind must be" in problems
    assert f"{first.name}: " in problems
    assert f"{second.name}" in problems


def test_what_is_no_run(path, tmp_path):
    with pytest.raises(NotARunError):
        verify(tmp_path / "none")
    (path / "run.json").write_text("{")
    with pytest.raises(CorruptRunError):
        verify(path)
