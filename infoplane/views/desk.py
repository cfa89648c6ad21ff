"""Questions from one browser that need arrays: answered in a worker thread, one after the other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from bokeh.document import Document
from bokeh.models import ColumnDataSource, CustomJS

from infoplane.errors import InfoplaneError
from infoplane.views.feed import to_json
from infoplane.views.text import plain

log = logging.getLogger(__name__)

WAITING = 8
"""Questions that wait at most; a page has two or three, of a flood the newest are kept."""

_WORKERS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="infoplane desk")


class Desk:
    """Takes a question from the page's script and sends the answer back.

    The script sets ``question.tags = [number, question]``; the answer goes to the JavaScript
    function `receive` as ``(number, answer)``. Every question is answered, in order, but for those
    that a reader has passed while another was worked on (a scrubber moved on): of waiting questions
    that differ in nothing but the fields in `passing` the newest is kept.

    Parameters
    ----------
    document : Document
        The session's document; two models are added that draw nothing.
    work : callable
        Gets the question, which may be anything at all, checks it, and returns plain JSON. An
        `InfoplaneError` is answered with its message.
    receive : str
        JavaScript expression of the function that takes the answer.
    passing : collection of str
        Fields of a question that say where a reader looks.
    """

    def __init__(
        self,
        document: Document,
        work: Callable[[Mapping[str, Any]], Any],
        *,
        receive: str,
        passing: Collection[str] = (),
    ) -> None:
        self._document, self._work, self._passing = document, work, frozenset(passing)
        self._busy = False
        self._waiting: list[tuple[int, Mapping[str, Any]]] = []
        self._open = True
        self.question = ColumnDataSource(name="question")
        self.reply = ColumnDataSource(name="reply")
        code = "const [number, text] = cb_obj.tags\nRECEIVE(number, JSON.parse(text))"
        self.reply.js_on_change("tags", CustomJS(code=code.replace("RECEIVE", receive)))
        self.question.on_change("tags", self._asked)
        document.js_on_event("document_ready", CustomJS(code="infoplane.ready()"))
        document.add_root(self.question)
        document.add_root(self.reply)

    def close(self) -> None:
        """Answer nothing more."""
        self._open = False
        self._waiting.clear()

    def _asked(self, attribute: str, old: Any, new: Any) -> None:
        match new:
            case [int(number), dict(question)] if len(question) <= 16:
                kind = self._kind(question)
                others = [waiting for waiting in self._waiting if self._kind(waiting[1]) != kind]
                self._waiting = [*others, (number, question)][-WAITING:]
                self._begin()

    def _kind(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is asked, wherever the reader looks."""
        return {name: None if name in self._passing else question[name] for name in question}

    def _begin(self) -> None:
        if self._busy or not self._waiting or not self._open:
            return
        number, question = self._waiting.pop(0)
        self._busy = True
        _WORKERS.submit(self._answer, number, question)

    def _answer(self, number: int, question: Mapping[str, Any]) -> None:
        """In a worker: find the answer and have the document's own thread send it."""
        try:
            text = to_json(self._work(question))
        except InfoplaneError as error:
            text = to_json({"error": plain(error, 300)})
        except Exception:
            log.exception("A question could not be answered")
            text = to_json({"error": "This could not be computed; the server's log says why."})
        if self._open:
            self._document.add_next_tick_callback(partial(self._tell, number, text))

    def _tell(self, number: int, text: str) -> None:
        self._busy = False
        if self._open:
            self.reply.tags = [number, text]
            self._begin()
