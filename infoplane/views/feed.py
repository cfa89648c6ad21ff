"""From the hub to one browser: one message a frame, and never more than the browser keeps up with.

A session owns two small models. The server sends by setting ``inbox.tags = [message]``, one event
and therefore one websocket message, already JSON; the page's script applies it and, two animation
frames later, that is when it is on the screen, answers ``ack.tags = [sequence number]``. At most
`CREDIT` messages are under way: a browser that is slow, throttled or in a hidden tab gets nothing
more, and when it answers, everything since its cursor in one message. Nothing is sent before the
page has said that it is drawn (sequence number 0): what is set earlier would be part of the
document that the browser is about to pull, and no event would tell of it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Hashable
from typing import Any, Protocol

from bokeh.document import Document
from bokeh.models import ColumnDataSource, CustomJS

from infoplane.views.hub import Hub, Source

log = logging.getLogger(__name__)

CREDIT = 2
"""Messages under way to one browser at most."""


class Told(Source, Protocol):
    """A source that can say what a reader has missed."""

    def message(self, cursor: Any) -> tuple[str | None, Any]:
        """JSON text of everything since `cursor` (None when there is nothing) and the new cursor.

        A cursor of None asks for everything. Called in the event loop's thread.
        """


class SessionFeed:
    """Carries what a source has to say to the browser of one session.

    Parameters
    ----------
    document : Document
        The session's document; the feed adds its two models as roots that draw nothing.
    source : Told
        What to say.
    cursor : object
        What the page holds already (it was built from the source).
    receive : str
        JavaScript expression of a function that takes a parsed message.
    """

    def __init__(
        self,
        document: Document,
        source: Told,
        cursor: Any = None,
        *,
        receive: str,
    ) -> None:
        self._document, self._source, self._cursor = document, source, cursor
        self._sent = self._answered = 0
        self._scheduled = self._behind = self._ready = False
        self._leave: Callable[[], None] | None = None
        self.inbox = ColumnDataSource(name="inbox")
        self.ack = ColumnDataSource(name="answer")
        self.inbox.js_on_change(
            "tags",
            CustomJS(args={"ack": self.ack}, code=_RECEIVE.replace("RECEIVE", receive)),
        )
        self.ack.on_change("tags", self._answer)
        document.add_root(self.inbox)
        document.add_root(self.ack)
        hello = CustomJS(args={"ack": self.ack}, code="infoplane.ready()\nack.tags = [0]")
        document.js_on_event("document_ready", hello)

    def start(self, hub: Hub, key: Hashable, polled: Source | None = None) -> None:
        """Listen from now on: the last step of building a session.

        `polled` is the source that the hub polls under `key`, where it is not the feed's own.
        """
        self._leave = hub.listen(key, polled or self._source, self.notify)

    def close(self) -> None:
        """Stop listening and let go of the document."""
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()

    def notify(self) -> None:
        """Have a frame sent by the document's own thread; called by the hub, from any thread."""
        if self._leave is None or self._scheduled or not self._ready:
            return
        self._scheduled = True
        self._document.add_next_tick_callback(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        if self._leave is None:
            return
        if self._sent - self._answered >= CREDIT:
            self._behind = True
            return
        self._behind = False
        message, self._cursor = self._source.message(self._cursor)
        if message is not None:
            self._sent += 1
            self.inbox.tags = [self._sent, message]

    def _answer(self, attribute: str, old: Any, new: Any) -> None:
        # Comes from the browser: anything may stand in it.
        number = new[0] if isinstance(new, list) and len(new) == 1 else None
        if number == 0 and type(number) is int:
            self._ready = True
            self._flush()
            return
        if type(number) is not int or not self._answered < number <= self._sent:
            return
        self._answered = number
        if self._behind:
            self._flush()


_RECEIVE = """
const [number, message] = cb_obj.tags
RECEIVE(JSON.parse(message))
requestAnimationFrame(() => requestAnimationFrame(() => { ack.tags = [number] }))
"""


def to_json(message: Any) -> str:
    """Compact JSON text; refuses NaN and infinity, which no browser would parse."""
    return json.dumps(message, separators=(",", ":"), allow_nan=False)
