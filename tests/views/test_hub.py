import itertools
import threading
import time

import pytest

from infoplane.views import hub as hub_module
from infoplane.views.hub import FRAME, IDLE, KEPT, QUICK, Hub, _Channel


class Counter:
    """A source that has news whenever somebody says so."""

    def __init__(self):
        self.happened = self.seen = 0  # each written by one thread only
        self.closed = False

    def poll(self):
        before, self.seen = self.seen, self.happened
        return self.seen > before

    def close(self):
        self.closed = True


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.002)


def test_a_listener_hears_of_news_and_the_thread_ends_with_the_last_one():
    hub, source, heard = Hub(), Counter(), threading.Event()
    leave = hub.listen("a", source, heard.set)
    assert hub.running
    assert hub.listeners == 1
    assert not heard.wait(0.05)  # nothing new, nothing said
    source.happened += 1
    assert heard.wait(60)
    leave()
    leave()  # twice is harmless
    assert hub.listeners == 0
    wait_for(lambda: not hub.running)


def test_two_listeners_share_one_source_and_each_leaves_alone():
    hub, source = Hub(), Counter()
    first, second = threading.Event(), threading.Event()
    leave_first = hub.listen("a", source, first.set)
    leave_second = hub.listen("a", source, second.set)
    leave_first()
    source.happened += 1
    assert second.wait(60)
    assert not first.is_set()
    leave_second()
    assert hub.source("a", Counter) is source  # kept for a reload


def test_the_source_is_made_once_and_old_ones_are_closed():
    hub = Hub()
    made = [hub.source(key, Counter) for key in range(KEPT)]
    assert hub.source(KEPT - 1, Counter) is made[-1]
    hub.source("one more", Counter)
    assert [source.closed for source in made] == [True] + [False] * (KEPT - 1)


def test_a_watched_source_is_never_closed_by_others():
    hub, watched = Hub(), Counter()
    leave = hub.listen("watched", watched, lambda: None)
    for key in range(3 * KEPT):
        hub.source(key, Counter)
    assert not watched.closed
    leave()


def test_a_source_that_raises_stops_no_other(caplog):
    class Broken(Counter):
        def poll(self):
            raise OSError("gone")

    hub, good, heard = Hub(), Counter(), threading.Event()
    leave_broken = hub.listen("broken", Broken(), lambda: None)
    leave_good = hub.listen("good", good, heard.set)
    good.happened += 1
    assert heard.wait(60)
    leave_broken()
    leave_good()
    wait_for(lambda: not hub.running)
    assert "could not be polled" in caplog.text


def test_a_listener_that_raises_is_dropped_and_the_others_go_on(caplog):
    source = Counter()
    channel, heard = _Channel(source), []

    def bad():
        raise RuntimeError("document is gone")

    channel.listeners = {1: bad, 2: lambda: heard.append(1)}
    source.happened += 1
    channel.step(0.0)
    source.happened += 1
    channel.step(1.0)
    assert heard == [1, 1]
    assert list(channel.listeners) == [2]
    assert "not called again" in caplog.text


def test_polls_slow_down_while_nothing_happens_and_speed_up_again():
    source = Counter()
    channel, now = _Channel(source), 100.0
    source.happened += 1
    channel.step(now)
    assert channel.due - now == pytest.approx(hub_module.ACTIVE)
    now += hub_module.LINGER + 1
    for _ in range(20):
        channel.step(now)
        now = channel.due
    assert channel.due - (now - IDLE) == pytest.approx(IDLE, abs=IDLE)
    channel.step(now)
    assert channel.due - now == pytest.approx(IDLE)
    source.happened += 1
    channel.step(now)
    assert channel.due - now == pytest.approx(hub_module.ACTIVE)


@pytest.mark.parametrize(("watchers", "pause", "while_it_grew"), [(1, QUICK, 5), (9, FRAME, 3)])
def test_listeners_are_told_at_most_once_a_frame_and_never_miss_the_last_news(
    watchers, pause, while_it_grew
):
    source, told = Counter(), []
    channel = _Channel(source)
    channel.listeners = {i: lambda: None for i in range(watchers)} | {0: lambda: told.append(now)}
    now = 10.0
    for _ in range(20):  # news every 5 ms for a tenth of a second
        source.happened += 1
        channel.step(now)
        now += 0.005
    assert len(told) == while_it_grew
    for _ in range(10):
        channel.step(now)
        now += 0.01
    assert len(told) == while_it_grew + 1
    assert all(b - a >= pause - 1e-9 for a, b in itertools.pairwise(told))
