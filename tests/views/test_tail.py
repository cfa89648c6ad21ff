import base64
import gc
import json
import threading
import weakref

import numpy as np
import pytest
from bokeh.document import Document

from infoplane.store import Run, open_run
from infoplane.types import Layer, Measurement, ProbeData, Snapshot
from infoplane.views import feed, shell
from infoplane.views.frame import COLUMNS, EXACT_HEAD
from infoplane.views.hub import Hub
from infoplane.views.shelf import Shelf, row
from infoplane.views.tail import Nudge, RunTail, changes, subtitle

PROBE = ProbeData(np.eye(8, dtype=np.float32), np.arange(8) % 2)
LAYERS = (Layer("a", "Linear", (2,), 2, "flatten"),)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def measured(step, value=1.0):
    return [Measurement(f"{step}{t}", step, "a", "mi", t, "mi.binning", 1, {}, value) for t in "XY"]


def snapshot(step):
    return Snapshot(step, {"a": np.zeros((8, 2), np.float32)}, {"loss": 1 / (1 + step)})


@pytest.fixture
def growing(tmp_path):
    run = Run.create(tmp_path / "run", name="<b>run</b>", config={"task": "szt", "widths": [4, 2]})
    run.begin((PROBE,), LAYERS)
    run.write(snapshot(0))
    run.measure(measured(0))
    clock = Clock()
    tail = RunTail(open_run(run.path), clock=clock)
    yield run, tail, clock
    run.close()


def array_of(text, before=None):
    """Undo `changes`, one number at a time."""
    told = base64.b64decode(text[1:])
    if text[0] == "=":
        return np.frombuffer(told, "<f4")
    bits = -(-len(before) // 8)
    numbers = iter(np.frombuffer(told[bits:], "<f4"))
    return np.array(
        [next(numbers) if told[i // 8] >> (7 - i % 8) & 1 else x for i, x in enumerate(before)],
        np.float32,
    )


def bound_found(tail):
    """Poll, and wait for the thread that looks for the bottleneck bound."""
    tail.poll()
    for thread in threading.enumerate():
        if thread.name == "infoplane bound":
            thread.join(10)


def rows_of(text, before=None):
    packed = array_of("=" + text if text[0] not in "=~" else text, before)
    packed = packed.reshape(-1, len(COLUMNS))
    return {name: packed[:, i].tolist() for i, name in enumerate(COLUMNS)}


def test_a_new_reader_gets_everything_and_the_next_message_only_what_is_new(growing):
    run, tail, _ = growing
    first, place = tail.message(None)
    told = json.loads(first)
    assert told["reset"] is True
    assert rows_of(told["head"])["step"] == [0, 0]
    assert rows_of(told["head"])["bin"] == [0, EXACT_HEAD]
    assert told["live"]["state"] == "live"
    head = array_of(told["head"])
    assert tail.message(place) == (None, place)
    run.write(snapshot(1))
    run.measure(measured(1, 2.0))
    assert tail.poll()
    second, later = tail.message(place)
    told = json.loads(second)
    assert "reset" not in told
    assert told["head"][0] == "~"
    assert rows_of(told["head"], head)["step"] == [1, 1]
    assert rows_of(told["head"], head)["x"] == [2, 2]
    assert "state" not in told["live"], "what stays the same is not said again"
    assert rows_of(told["rows"])["step"] == [0]
    assert tail.message(later)[0] is None


def test_an_array_told_by_its_changes_is_the_same_array():
    rng = np.random.default_rng(0)
    before = rng.normal(size=(7, 5)).astype(np.float32)
    now = np.where(rng.random((7, 5)) < 0.3, rng.normal(size=(7, 5)), before).astype(np.float32)
    now[2, 3] = before[4, 1] = np.nan
    told = changes(before, now)
    assert told[0] == "~"
    assert len(told) < len(changes(before[:1], now))
    np.testing.assert_array_equal(array_of(told, before.ravel()), now.ravel())
    np.testing.assert_array_equal(array_of(changes(before[:3], now)), now.ravel())


def test_readers_at_different_places_arrive_at_the_same_frame(growing):
    """One misses a frame, one comes late: all hold the same numbers afterwards."""
    run, tail, _ = growing
    text, early = tail.message(None)
    held = array_of(json.loads(text)["head"])
    quick = (held, early)
    for step in (1, 2, 3):
        run.write(snapshot(step))
        run.measure(measured(step, step / 2))
        tail.poll()
        text, place = tail.message(quick[1])
        quick = (array_of(json.loads(text)["head"], quick[0]), place)
    slow, fresh = tail.message(early)[0], tail.message(None)[0]
    for other in (array_of(json.loads(slow)["head"], held), array_of(json.loads(fresh)["head"])):
        np.testing.assert_array_equal(other, quick[0])


def test_all_readers_at_one_place_get_the_very_same_text(growing):
    run, tail, _ = growing
    _, place = tail.message(None)
    run.measure(measured(1))
    tail.poll()
    assert tail.message(place)[0] is tail.message(place)[0]


def test_a_quiet_run_has_no_news_until_its_writer_ends(growing):
    run, tail, clock = growing
    bound_found(tail)
    tail.poll()
    assert not tail.poll()
    clock.now += 60
    assert not tail.poll()
    run.end("finished")
    assert tail.poll()
    clock.now += 60
    tail.poll()
    assert json.loads(tail.message(None)[0])["live"]["state"] == "finished"


def test_the_bottleneck_bound_comes_by_itself(growing):
    _, tail, _ = growing
    bound_found(tail)
    tail.poll()
    (limit,) = json.loads(json.loads(tail.message(None)[0])["meta"])["limits"]
    assert limit["corner"] == pytest.approx([np.log(2), np.log(2)])
    assert tail.now()[0].meta.limits[0].x[-1] == pytest.approx(np.log(8), abs=1e-5)


def test_a_run_that_is_over_says_how_far_its_estimates_have_come_or_what_capture_took(growing):
    run, tail, clock = growing
    run.write(snapshot(5))
    run.report("cost", {"seconds": 0.5, "training_seconds": 25.0})
    run.end("finished")
    clock.now += 60
    tail.poll()
    assert tail.state[1].note == "1 of 2 snapshots measured"
    with run.annotator() as notes:
        notes.measure(measured(5))
    clock.now += 60
    tail.poll()
    assert tail.state[1].note == "capture took 2.00 %"


def test_a_writer_that_vanishes_is_told_as_stalled(growing, monkeypatch):
    run, tail, clock = growing
    run._lock.release()
    run._lock = None
    run._to_end = False
    clock.now += 60
    assert tail.poll()
    assert json.loads(tail.message(None)[0])["live"]["state"] == "stalled"


def test_a_restart_voids_what_was_shown_beyond_its_first_step(growing):
    run, tail, _ = growing
    for step in range(1, 6):
        run.write(snapshot(step))
        run.measure(measured(step))
    tail.poll()
    _, place = tail.message(None)
    run.begin((PROBE,), LAYERS)
    run.write(Snapshot(2, {"a": np.ones((8, 2), np.float32)}))
    tail.poll()
    told = json.loads(tail.message(place)[0])
    assert told["reset"] is True
    shown = rows_of(told["rows"])["step"] + rows_of(told["head"])["step"]
    assert max(shown) < 2


def test_scalars_of_a_step_are_counted_once(growing):
    run, tail, _ = growing
    run.record(1, {"loss": 0.5})
    run.write(snapshot(1))  # repeats the loss of its step
    tail.poll()
    boxes = tail._builder._scalar_bins[0]
    assert boxes[1].count == 1


def test_a_run_that_is_damaged_while_it_is_watched_says_so(growing):
    run, tail, clock = growing
    (run.path / "journal" / "w0.jsonl").write_text("")
    clock.now += 60
    assert tail.poll()
    live = json.loads(tail.message(None)[0])["live"]
    assert live["state"] == "broken"
    assert "shrank" in live["reason"]
    assert not tail.poll()


def test_a_nudge_tells_that_and_nothing_more(growing):
    run, tail, _ = growing
    nudge = Nudge(tail)
    text, version = nudge.message(None)
    assert set(json.loads(text)) == {"version", "live"}
    assert nudge.message(version) == (None, version)
    run.measure(measured(1))
    assert nudge.poll()
    assert nudge.message(version)[0] is not None


def test_a_shelf_lists_finds_and_says_when_something_changed(tmp_path):
    clock = Clock()
    shelf = Shelf(tmp_path / "runs", clock=clock)
    assert shelf.newest() is None
    assert not shelf.poll()
    with Run.create(tmp_path / "runs" / "<i>", name="one") as run:
        run.write(snapshot(3))
    assert not shelf.poll()  # at most once a second
    clock.now += 2
    assert shelf.poll()
    assert shelf.find(run.uuid).name == "one"
    assert shelf.find(str(run.path)) is None
    assert shelf.find("../runs") is None
    (told,) = json.loads(shelf.message(None)[0])
    assert (told["state"], told["last_step"], told["snapshots"]) == ("finished", 3, 1)
    assert "path" not in told
    assert shelf.message(shelf.version)[0] is None


def test_the_newest_run_is_a_live_one_before_a_later_finished_one(tmp_path):
    live = Run.create(tmp_path / "live")
    live.write(snapshot(0))
    Run.create(tmp_path / "done").close()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_text("{")
    shelf = Shelf(tmp_path)
    assert shelf.newest().name == "live"
    rows = {told["name"]: told for told in shelf.rows()}
    assert rows["broken"]["open"] is False
    assert rows["broken"]["reason"]
    live.close()
    assert row(shelf.newest(), tmp_path / "elsewhere")["about"] == "live"


def test_words_about_a_run():
    assert subtitle({"task": "szt", "widths": [4, 2], "options": {}}) == "task szt · widths 4-2"


def test_forty_sessions_that_open_and_close_leave_no_object(tmp_path):
    run = Run.create(tmp_path / "run")
    run.begin((PROBE,), LAYERS)
    run.write(snapshot(0))
    hub, seen = Hub(), []
    for i in range(40):
        document = Document()
        page = ("explore", "diagnostics", "compare", "runs")[i % 4]
        shell.build_app(tmp_path, document=document, hub=hub, page=page)
        seen += [weakref.ref(document), *(weakref.ref(root) for root in document.roots)]
        assert hub.listeners == 1
        for callback in tuple(document.session_destroyed_callbacks):
            callback(None)
        document.clear()
        assert hub.listeners == 0
    del document, callback
    gc.collect()
    assert [ref for ref in seen if ref() is not None] == []
    assert not [o for o in gc.get_objects() if type(o) is feed.SessionFeed]
    run.close()
