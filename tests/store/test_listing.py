"""A listing that is polled again and again reads what ended once and of the rest what is new."""

import numpy as np

from infoplane.store import Listing, Run, list_runs, listing
from infoplane.types import Measurement, Snapshot


def snapshot(step):
    return Snapshot(step, {"a": np.zeros((4, 2), np.float32)}, {"loss": 1.0})


def test_a_finished_run_is_read_once_and_a_live_one_goes_on(tmp_path, monkeypatch):
    with Run.create(tmp_path / "done") as done:
        done.write(snapshot(7))
    live = Run.create(tmp_path / "live")
    live.write(snapshot(1))
    opened = []
    view = listing.View
    monkeypatch.setattr(listing, "View", lambda p, **kw: opened.append(p.name) or view(p, **kw))
    runs = Listing(tmp_path)
    assert [(r.name, r.status.state, r.status.last_step) for r in runs.poll()] == [
        ("done", "finished", 7),
        ("live", "live", 1),
    ]
    live.write(snapshot(2))
    live.record(5, {"loss": 0.5})
    assert runs.poll()[1].status.last_step == 5
    assert runs.poll()[1].steps == 2
    assert opened == ["done", "live"]
    live.close()
    assert runs.poll()[1].status.state == "finished"
    assert opened == ["done", "live"]


def test_a_finished_run_that_goes_on_is_read_again(tmp_path):
    Run.create(tmp_path / "run").close()
    with Run.create(tmp_path / "run", resume="allow") as run:
        run.write(snapshot(1))
    runs = Listing(tmp_path)
    assert runs.poll()[0].steps == 1
    with Run.create(tmp_path / "run", resume="allow") as run:
        run.write(snapshot(2))
    assert runs.poll()[0].steps == 2


def test_runs_that_appear_and_vanish(tmp_path):
    runs = Listing(tmp_path / "later")
    assert runs.poll() == []
    Run.create(tmp_path / "later" / "one").close()
    assert [run.name for run in runs.poll()] == ["one"]
    (tmp_path / "later" / "one").rename(tmp_path / "gone")
    assert runs.poll() == []


def test_measurements_are_not_read_for_a_list(tmp_path, monkeypatch):
    from infoplane.store import codec

    with Run.create(tmp_path / "run") as run:
        run.write(snapshot(1))
        run.measure([Measurement("k", 1, "a", "mi", "X", "mi.binning", 1, {}, 0.5)])

    def read(row):
        raise AssertionError("a list of runs has no use for measurements")

    monkeypatch.setattr(codec, "decode_measurement", read)
    assert list_runs(tmp_path)[0].status.last_step == 1


def test_the_last_step_falls_back_when_a_restart_supersedes_steps(tmp_path):
    with Run.create(tmp_path / "run") as run:
        for step in range(10):
            run.write(snapshot(step))
    with Run.create(tmp_path / "run", resume="allow") as run:
        run.write(snapshot(3))
        assert run.status().last_step == 3
        assert run.steps == [0, 1, 2, 3]
    assert list_runs(tmp_path)[0].status.last_step == 3
