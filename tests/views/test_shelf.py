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
