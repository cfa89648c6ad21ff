import numpy as np
from bokeh.document import Document

from infoplane.store import Run
from infoplane.types import ProbeData
from infoplane.views import calibrate, diagnostics, explore
from infoplane.views.hub import Hub
from infoplane.views.shelf import LIST_EVERY, Shelf
from infoplane.views.state import PageState


def test_a_change_that_another_session_saw_is_still_told_to_the_listeners(tmp_path):
    now = [0.0]
    shelf = Shelf(tmp_path, clock=lambda: now[0])
    shelf.poll()
    Run.create(tmp_path / "run").close()
    now[0] += 2 * LIST_EVERY
    shelf.look()  # a page is opened: its session looks first
    assert len(shelf.runs()) == 1
    assert shelf.poll()  # the hub asks, to tell those who listen
    assert not shelf.poll()


def test_a_page_that_waits_is_told_of_a_run_that_came_while_it_was_made(tmp_path, monkeypatch):
    """The page saw no run; one came; the page's feed began with the list that holds it."""
    now, cursors = [0.0], []
    shelf = Shelf(tmp_path, clock=lambda: now[0])
    assert shelf.newest() is None
    Run.create(tmp_path / "run").close()
    now[0] += 2 * LIST_EVERY
    shelf.look()
    feed = explore.SessionFeed
    monkeypatch.setattr(
        explore, "SessionFeed", lambda *them, **more: cursors.append(them[2]) or feed(*them, **more)
    )
    explore.waiting(Document(), shelf, Hub())
    assert shelf.message(cursors[0])[0] is not None


def test_an_empty_directory_is_news_once_it_is_read(tmp_path):
    """A page that came before would wait for the first run without saying so."""
    shelf = Shelf(tmp_path)
    assert shelf.message(0) == ("[]", shelf.version)
    assert shelf.message(shelf.version)[0] is None


def test_a_broken_run_is_listed_and_opening_it_says_why(tmp_path):
    with Run.create(tmp_path / "run", name="damaged") as run:
        run.begin((ProbeData(np.zeros((4, 1), np.float32), np.arange(4) % 2),))
    for journal in (tmp_path / "run" / "journal").iterdir():
        journal.write_bytes(b"garbage\n" * 20)
    hub = Hub()
    shelf = Shelf.at(tmp_path, hub)
    (row,) = shelf.rows()
    assert (row["state"], row["open"]) == ("broken", False)
    for build in (explore.build, diagnostics.build, calibrate.build):
        page = build(Document(), PageState(run=row["id"]), shelf, hub)
        assert page.heading == "Broken run"
        assert "no line of its journal can be read" in page.body
