import gc
import json
import weakref
from functools import partial

import pytest
from bokeh.document import Document

from infoplane.views import feed
from infoplane.views.feed import CREDIT, SessionFeed, to_json


class Told:
    """A source whose message is the number of things since the cursor."""

    def __init__(self):
        self.things = 0

    def poll(self):
        return False

    def close(self):
        pass

    def message(self, cursor):
        if cursor == self.things:
            return None, cursor
        return to_json({"from": cursor, "to": self.things}), self.things


class FakeHub:
    def __init__(self):
        self.listener = None

    def listen(self, key, source, listener):
        self.listener = listener
        return lambda: setattr(self, "listener", None)


class Browser:
    """What a browser would do: pull the document, say so, apply messages, answer."""

    def __init__(self, *, ready=True):
        self.document, self.source, self.hub = Document(), Told(), FakeHub()
        self.feed = SessionFeed(self.document, self.source, 0, receive="f")
        self.feed.start(self.hub, "key")
        self.seen = []
        self.feed.inbox.on_change("tags", lambda a, o, new: self.seen.append(new))
        if ready:
            self.answer([0])

    def answer(self, tags):
        self.feed.ack.tags = tags

    def news(self, count=1):
        self.source.things += count
        self.hub.listener()
        self.tick()

    def tick(self):
        for callback in tuple(self.document.session_callbacks):
            self.document.remove_next_tick_callback(callback)
            callback.callback()


def test_nothing_is_sent_before_the_page_says_that_it_is_drawn():
    browser = Browser(ready=False)
    browser.news()
    assert browser.seen == []
    browser.answer([0])
    assert [json.loads(text) for _, text in browser.seen] == [{"from": 0, "to": 1}]


def test_a_browser_that_does_not_answer_gets_no_more_than_its_credit():
    browser = Browser()
    for _ in range(10):
        browser.news()
    assert [number for number, _ in browser.seen] == list(range(1, CREDIT + 1))


def test_catching_up_is_one_message_with_everything_since():
    browser = Browser()
    for _ in range(10):
        browser.news()
    browser.answer([1])
    last = json.loads(browser.seen[-1][1])
    assert last == {"from": CREDIT, "to": 10}
    assert len(browser.seen) == CREDIT + 1


def test_sequence_numbers_grow_by_one_while_the_browser_keeps_up():
    browser = Browser()
    for number in range(1, 8):
        browser.news()
        browser.answer([number])
    assert [number for number, _ in browser.seen] == list(range(1, 8))


@pytest.mark.parametrize(
    "forged", [[99], [-1], ["1"], [True], [1.0], [None], [], [1, 2], [[1]], [{"a": 1}]]
)
def test_forged_answers_give_no_credit(forged):
    browser = Browser()
    for _ in range(10):
        browser.news()
    browser.answer(forged)
    browser.news()
    assert len(browser.seen) == CREDIT


def test_several_wakings_before_the_loop_runs_make_one_message():
    browser = Browser()
    browser.source.things = 5
    for _ in range(5):
        browser.hub.listener()
    assert len(browser.document.session_callbacks) == 1
    browser.tick()
    assert len(browser.seen) == 1


def test_a_closed_feed_says_nothing_and_is_freed():
    browser = Browser()
    browser.news()
    hub_listener = browser.hub.listener
    browser.feed.close()
    browser.feed.close()
    assert browser.hub.listener is None
    hub_listener()  # a call that was under way
    assert len(browser.document.session_callbacks) == 0
    del hub_listener
    freed = weakref.ref(browser.feed)
    browser.document.clear()
    del browser
    gc.collect()
    assert freed() is None


def test_a_flush_that_was_under_way_when_the_feed_closed_sends_nothing():
    browser = Browser()
    browser.source.things = 1
    browser.hub.listener()
    browser.feed.close()
    browser.tick()
    assert browser.seen == []


def test_json_has_no_number_that_a_browser_cannot_read():
    with pytest.raises(ValueError, match="Out of range"):
        to_json({"value": float("nan")})


def test_many_feeds_wake_their_loop_once():
    class Loop:
        def add_callback(self, callback, *arguments):
            told.append(partial(callback, *arguments))

    loop, told = Loop(), []

    def fails():
        raise RuntimeError("a page that is broken")

    flushed = []
    for flush in (lambda: flushed.append(1), fails, lambda: flushed.append(2)):
        feed._soon(loop, flush)
    (round_,) = told
    round_()
    assert flushed == [1, 2]
    feed._soon(loop, lambda: flushed.append(3))
    told[1]()
    assert flushed == [1, 2, 3]
