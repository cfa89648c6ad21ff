from infoplane.store import Run
from infoplane.views.shelf import LIST_EVERY, Shelf


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
