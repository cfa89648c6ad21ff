import json
import shutil
import threading

import numpy as np
import pytest
from bokeh.document import Document

from infoplane import store
from infoplane.store import Run
from infoplane.types import Layer, ProbeData
from infoplane.views import opening, shelf
from infoplane.views.hub import Hub
from infoplane.views.opening import Opening, reading, searching, size_of
from infoplane.views.shelf import Shelf
from infoplane.views.tail import RunTail

PROBE = ProbeData(np.eye(8, dtype=np.float32), np.arange(8) % 2)


@pytest.fixture
def summary(tmp_path):
    with Run.create(tmp_path / "run", name="<b>large</b>") as run:
        run.begin((PROBE,), (Layer("a", "Linear", (2,), 2, "flatten"),), {})
        run.record(0, {"loss": 1.0})
    return store.list_runs(tmp_path)[0]


def test_a_small_run_is_shown_at_once(summary):
    assert 0 < size_of(summary.path) < opening.LARGE
    assert reading(Document(), summary, Hub()) is None
    assert reading(Document(), None, Hub()) is None


def test_a_large_run_is_read_in_a_thread_while_its_page_waits(summary, monkeypatch):
    monkeypatch.setattr(opening, "LARGE", 0)
    go, threads = threading.Event(), []

    def slowly(*arguments):
        threads.append(threading.current_thread())
        assert go.wait(60)
        return read(*arguments)

    read = opening.open_tail
    monkeypatch.setattr(opening, "open_tail", slowly)
    hub = Hub()
    page = reading(Document(), summary, hub)
    assert "&lt;b&gt;large" in page.body
    key = summary.id, str(summary.path)
    assert not hub.holds(key)
    source = hub.source(("opening", *key), lambda: pytest.fail("is there already"))
    assert not source.poll()
    assert source.message(False) == (None, False)
    go.set()
    source._reading.result(60)
    assert threads != [threading.current_thread()]
    assert source.poll()
    assert not source.poll(), "told once"
    text, done = source.message(False)
    assert (json.loads(text), done) == (True, True)
    assert source.message(done)[0] is None
    assert reading(Document(), summary, hub) is None
    assert isinstance(read(summary, hub)[1], RunTail)


def test_one_that_cannot_be_read_is_left_to_who_opens_it(summary, monkeypatch):
    monkeypatch.setattr(opening, "LARGE", 0)
    hub, go, read = Hub(), threading.Event(), opening.open_tail
    monkeypatch.setattr(opening, "open_tail", lambda *them: go.wait(60) and read(*them))
    (summary.path / "run.json").write_text("{")
    assert reading(Document(), summary, hub) is not None
    go.set()  # had it failed before, there would have been no page to wait on
    key = ("opening", summary.id, str(summary.path))
    source = hub.source(key, lambda: pytest.fail("is there already"))
    assert isinstance(source, Opening)
    assert source._reading.exception(60)
    assert reading(Document(), summary, hub) is None
    assert not hub.holds(key)


def test_a_directory_that_takes_long_is_waited_for_by_the_page_alone(summary, monkeypatch):
    go, tell = threading.Event(), store.Listing.poll
    monkeypatch.setattr(store.Listing, "poll", lambda listing: go.wait(60) and tell(listing))
    monkeypatch.setattr(shelf, "PATIENCE", 0.01)
    monkeypatch.setattr(Shelf.look, "__defaults__", (0.01,))
    slow = Shelf(summary.path.parent)
    assert not slow.read
    assert slow.runs() == []
    assert "the runs" in searching(Document(), slow, Hub()).body
    go.set()
    slow._looking.result(60)
    slow.look()
    assert slow.read
    assert [run.name for run in slow.runs()] == ["<b>large</b>"]


def test_another_run_in_the_same_place_is_opened_anew(tmp_path):
    """Somebody deletes a run and trains again under its name while a page shows it."""

    def trained(loss):
        with Run.create(tmp_path / "run") as run:
            run.begin((PROBE,), (Layer("a", "Linear", (2,), 2, "flatten"),), {})
            run.record(0, {"loss": loss})
        return store.list_runs(tmp_path)[0]

    hub = Hub()
    before = trained(1.0)
    _, old = opening.open_tail(before, hub)
    shutil.rmtree(tmp_path / "run")
    assert old.poll()
    assert (old.state[1].state, "is gone" in old.state[1].reason) == ("broken", True)
    _, new = opening.open_tail(trained(2.0), hub)
    assert new is not old
    assert new.run.scalars() == {"loss": {0: 2.0}}
