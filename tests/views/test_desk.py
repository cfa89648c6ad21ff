import json
import threading
import time

import pytest
from bokeh.document import Document

from infoplane.errors import InputError
from infoplane.views.desk import WAITING, Desk


class Browser:
    def __init__(self, work, **options):
        self.document = Document()
        self.desk = Desk(self.document, work, receive="f", **options)
        self.seen = []
        self.desk.reply.on_change("tags", lambda a, o, new: self.seen.append(new))

    def ask(self, *tags):
        self.desk.question.tags = list(tags)

    def wait(self, count=1):
        end = time.monotonic() + 60
        while len(self.seen) < count:
            assert time.monotonic() < end, self.seen
            for callback in tuple(self.document.session_callbacks):
                self.document.remove_next_tick_callback(callback)
                callback.callback()
            time.sleep(0.002)
        return [(number, json.loads(text)) for number, text in self.seen]


def test_a_question_is_answered_with_its_number():
    browser = Browser(lambda question: {"twice": 2 * question["n"]})
    browser.ask(1, {"n": 21})
    assert browser.wait() == [(1, {"twice": 42})]


class Gated:
    """Work that waits until all has been asked, and remembers what it was given."""

    def __init__(self):
        self.gate, self.worked = threading.Event(), []

    def __call__(self, question):
        self.worked.append(question)
        assert self.gate.wait(60)
        return {}


def test_of_what_a_reader_scrubs_through_the_newest_is_answered():
    work = Gated()
    browser = Browser(work, passing=("step",))
    for step in range(5):
        browser.ask(step, {"step": step})
    work.gate.set()
    assert [number for number, _ in browser.wait(2)] == [0, 4]
    assert work.worked == [{"step": 0}, {"step": 4}]


def test_different_questions_are_each_answered_in_the_order_they_were_last_asked():
    work = Gated()
    browser = Browser(work, passing=("step",))
    asked = [
        {"step": 0},
        {"step": 1, "history": True},  # the past is wanted once, whatever is scrubbed after
        {"step": 2, "history": False},
        {"reading": True},
        {"step": 3, "history": False},
        {"cancel": 1},
        {"cancel": 2},
        {"cancel": 1},
    ]
    for number, question in enumerate(asked):
        browser.ask(number, question)
    work.gate.set()
    assert [number for number, _ in browser.wait(6)] == [0, 1, 3, 4, 6, 7]
    assert work.worked == [asked[n] for n in (0, 1, 3, 4, 6, 7)]


def test_of_a_flood_the_newest_are_kept():
    work = Gated()
    browser = Browser(work)
    for n in range(1, 200):
        browser.ask(n, {"n": n})
    work.gate.set()
    newest = [number for number, _ in browser.wait(1 + WAITING)]
    assert newest == [1, *range(200 - WAITING, 200)]


def test_an_error_of_ours_is_told_in_words_and_others_are_not(caplog):
    def work(question):
        if question.get("ours"):
            raise InputError("`layer` must be <b>one</b>")
        raise ZeroDivisionError("a secret path")

    browser = Browser(work)
    browser.ask(1, {"ours": True})
    assert browser.wait()[0][1] == {"error": "`layer` must be <b>one</b>"}
    browser.ask(2, {})
    told = browser.wait(2)[1][1]["error"]
    assert "secret" not in told
    assert "secret" in caplog.text


@pytest.mark.parametrize(
    "tags",
    [(), (1,), ("1", {}), (1, []), (1, None), (1, {}, 3), (1, dict(enumerate(range(99))))],
)
def test_what_is_no_question_is_passed_over(tags):
    browser = Browser(lambda question: pytest.fail("worked on"))
    browser.ask(*tags)
    assert not browser.desk._busy


def test_a_closed_desk_answers_nothing():
    gate = threading.Event()
    browser = Browser(lambda question: gate.wait(60) and {})
    browser.ask(1, {})
    browser.desk.close()
    gate.set()
    time.sleep(0.05)
    assert len(browser.document.session_callbacks) == 0
