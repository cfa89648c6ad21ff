"""Which runs there are: one that is broken hides no other."""

from __future__ import annotations

import pytest

from infoplane.store import Run, files, is_run, list_runs, open_run


@pytest.fixture
def many(kit, tmp_path):
    """Runs of every kind under one folder."""
    for name in ("ended", "deep/er/seed1", "broken", "newer", "torn", "gone"):
        with Run.create(tmp_path / name, name=name.upper()) as run:
            run.begin((kit.probe(),), kit.layers, {})
            run.write(kit.snapshot(4))
    (tmp_path / "broken" / "run.json").write_text("{")
    newer = tmp_path / "newer" / "run.json"
    newer.write_text(newer.read_text().replace('"major":1', '"major":9'))
    journal = tmp_path / "torn" / "journal" / "w0.jsonl"
    journal.write_bytes(b"x" * 100 + b"\n")
    journal = tmp_path / "gone" / "journal" / "w0.jsonl"
    journal.unlink()
    journal.symlink_to("/etc/hostname")
    Run.create(tmp_path / "empty").close()
    (tmp_path / "no run").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "ended")
    (tmp_path / "loop").symlink_to(tmp_path)
    return tmp_path


def test_every_run_is_listed_with_how_it_stands(many):
    found = {str(run.path.relative_to(many)): run for run in list_runs(many)}
    assert list(found) == ["broken", "deep/er/seed1", "empty", "ended", "gone", "newer", "torn"]
    assert {name: run.status.state for name, run in found.items()} == {
        "broken": "broken",
        "deep/er/seed1": "finished",
        "empty": "empty",
        "ended": "finished",
        "gone": "broken",
        "newer": "broken",
        "torn": "broken",
    }
    ended = found["ended"]
    assert (ended.name, ended.steps, ended.layers, ended.status.last_step) == ("ENDED", 1, 3, 4)
    assert ended.id == open_run(ended.path).uuid
    assert ended.created.endswith("+00:00")
    assert "run.json" in found["broken"].status.reason
    assert "Upgrade infoplane" in found["newer"].status.reason
    assert "no line of its journal" in found["torn"].status.reason
    assert "must be a regular file" in found["gone"].status.reason


def test_a_run_is_listed_when_asked_for_itself(many):
    (run,) = list_runs(many / "ended")
    assert run.name == "ENDED"
    assert list_runs(many / "no run") == []
    assert list_runs(many / "not there") == []


def test_is_run(many):
    assert is_run(many / "ended")
    assert is_run(str(many / "broken"))  # ours, if broken
    assert not is_run(many)
    assert not is_run(many / "not there")
    (many / "no run" / "run.json").symlink_to(many / "ended" / "run.json")
    assert not is_run(many / "no run")


def test_folders_that_may_not_be_read(many, monkeypatch):
    real = files.names

    def names(folder):
        if folder.name == "no run":
            raise PermissionError(13, "Permission denied")
        return real(folder)

    monkeypatch.setattr(files, "names", names)
    assert len(list_runs(many)) == 7
