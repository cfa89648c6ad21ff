import gc
import subprocess
import sys
import threading
import time
import weakref

import numpy as np
import pytest

import infoplane
from infoplane.store import Run
from infoplane.types import Layer, ProbeData, Snapshot
from infoplane.views import viewer


@pytest.fixture
def growing(tmp_path, measurement):
    """A run open for writing, and a function that adds a measured step to it."""
    run = Run.create(tmp_path / "run", name="growing")
    x = np.arange(16.0)[:, None]
    run.begin((ProbeData(x, np.arange(16) % 2),), (Layer("fc", "Tanh", (1,), 1, "flatten"),), {})

    def add(step):
        run.write(Snapshot(step, {"fc": x.astype(np.float32)}))
        run.measure([measurement(step, "fc", target, 1.0 + step) for target in "XY"])

    add(0)
    yield run, add
    run.close()


def heads(view):
    return sorted(set(view.kit.head.data["v"].reshape(-1, 23)[:, 0].tolist()))


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


def test_it_shows_what_is_there_and_takes_in_what_is_new(growing):
    run, _ = growing
    view = infoplane.dashboard(run, live=False)
    assert heads(view) == [0.0]
    assert not view.following


def test_refresh_brings_the_new_step_and_nothing_twice(growing):
    run, add = growing
    tail = viewer.RunTail(viewer.open_run(run.path))
    view = viewer.Dashboard(tail, height=600, view=None)
    add(7)
    assert view.refresh()
    assert heads(view) == [7.0]
    assert view.kit.raw.data["v"].reshape(-1, 23)[:, 0].tolist() == [0.0]
    view.stop()


def test_a_live_view_follows_until_the_run_is_over(growing):
    run, add = growing
    view = infoplane.dashboard(run.path)
    assert view.following
    add(3)
    wait_for(lambda: heads(view) == [3.0])
    run.end("finished")
    wait_for(lambda: not view.following)
    assert view.kit.live.data["state"] == ["finished"]


def test_a_view_that_nobody_holds_lets_go(growing):
    run, _ = growing
    before = threading.active_count()
    view = infoplane.dashboard(run.path)
    held = weakref.ref(view)
    del view
    wait_for(lambda: gc.collect() >= 0 and held() is None)
    wait_for(lambda: threading.active_count() <= before)


def test_it_is_a_panel_viewer_of_the_one_view(growing):
    run, _ = growing
    view = infoplane.dashboard(run, live=False, height=500)
    root = view.__panel__().object
    assert root is view.kit.layout()
    assert root.styles["height"] == "500px"


def test_the_names_of_the_room_load_neither_panel_nor_bokeh():
    code = "import sys, infoplane.views; print(sorted({'panel', 'bokeh'} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
