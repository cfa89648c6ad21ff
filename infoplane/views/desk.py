"""Questions from one browser that need arrays: answered in a worker thread, the newest only."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from bokeh.document import Document
from bokeh.models import ColumnDataSource, CustomJS

from infoplane.errors import InfoplaneError
from infoplane.views.feed import to_json
from infoplane.views.text import plain

log = logging.getLogger(__name__)

_WORKERS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="infoplane desk")


class Desk:
    """Takes a question from the page's script and sends the answer back.

    The script sets ``question.tags = [number, question]``; the answer goes to the JavaScript
    function `receive` as ``(number, answer)``. While one question is worked on, only the newest of
    those that follow is kept.

    Parameters
    ----------
    document : Document
        The session's document; two models are added that draw nothing.
    work : callable
        Gets the question, which may be anything at all, checks it, and returns plain JSON. An
        `InfoplaneError` is answered with its message.
    receive : str
        JavaScript expression of the function that takes the answer.
    """

    def __init__(
        self, document: Document, work: Callable[[Mapping[str, Any]], Any], *, receive: str
    ) -> None:
        self._document, self._work = document, work
        self._busy = False
        self._next: tuple[int, Mapping[str, Any]] | None = None
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
        self._open, self._next = False, None

    def _asked(self, attribute: str, old: Any, new: Any) -> None:
        match new:
            case [int(number), dict(question)] if len(question) <= 16:
                self._next = (number, question)
                self._begin()

    def _begin(self) -> None:
        if self._busy or self._next is None or not self._open:
            return
        (number, question), self._next = self._next, None
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
