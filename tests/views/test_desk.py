import json
import threading
import time

import pytest
from bokeh.document import Document

from infoplane.errors import InputError
from infoplane.views.desk import Desk


class Browser:
    def __init__(self, work):
        self.document = Document()
        self.desk = Desk(self.document, work, receive="f")
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


def test_while_one_is_worked_on_only_the_newest_is_kept():
    gate, worked = threading.Event(), []

    def work(question):
        worked.append(question["n"])
        gate.wait(60)
        return {}

    browser = Browser(work)
    for n in range(5):
        browser.ask(n, {"n": n})
    gate.set()
    assert [number for number, _ in browser.wait(2)] == [0, 4]
    assert worked == [0, 4]


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
