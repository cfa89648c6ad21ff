"""From the hub to one browser: one message a frame, and never more than the browser keeps up with.

A session owns two small models. The server sends by setting ``inbox.tags = [message]``, one event
and therefore one websocket message, already JSON; the page's script applies it and, two animation
frames later, that is when it is on the screen, answers ``answer.tags = [sequence number]``. At most
`CREDIT` messages are under way: a browser that is slow, throttled or in a hidden tab gets nothing
more, and when it answers, everything since its cursor in one message. Nothing is sent before the
page has said that it is drawn (sequence number 0): what is set earlier would be part of the
document that the browser is about to pull, and no event would tell of it.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Hashable
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from bokeh.document import Document
from bokeh.models import ColumnDataSource, CustomJS
from tornado.ioloop import IOLoop

from infoplane.views.hub import Hub, Source
from infoplane.views.wire import Wire

log = logging.getLogger(__name__)

CREDIT = 5
"""Messages under way to one browser at most; it answers ten times a second."""


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
        self._wire = Wire(document, self.inbox)
        self._loop: IOLoop | None = None
        hello = CustomJS(args={"ack": self.ack}, code="ack.tags = [0]")
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
            self._wire.close()

    def notify(self) -> None:
        """Have a frame sent by the event loop; called by the hub, from any thread."""
        if self._leave is None or self._scheduled or not self._ready:
            return
        self._scheduled = True
        if self._loop is None:
            self._document.add_next_tick_callback(self._flush)
        else:
            _soon(self._loop, self._flush_wire)

    def _flush_wire(self) -> None:
        """Send without the document, or have the document send when that cannot be."""
        if not self._flush(self._wire.send):
            self._document.add_next_tick_callback(self._flush)

    def _flush(self, send: Callable[[int, str], bool] | None = None) -> bool:
        """Send what is new, if there is credit; False when `send` could not."""
        self._scheduled = False
        if self._leave is None:
            return True
        self._behind = self._sent - self._answered >= CREDIT
        if self._behind:
            return True
        message, cursor = self._source.message(self._cursor)
        if message is not None:
            if not (send or self._set)(self._sent + 1, message):
                self._scheduled = True
                return False
            self._sent += 1
        self._cursor = cursor
        return True

    def _set(self, number: int, message: str) -> bool:
        self.inbox.tags = [number, message]
        return True

    def _answer(self, attribute: str, old: Any, new: Any) -> None:
        # Comes from the browser: anything may stand in it.
        number = new[0] if isinstance(new, list) and len(new) == 1 else None
        if number == 0 and type(number) is int:
            self._ready = True
            if getattr(self._document.session_context, "session", None) is not None:
                self._loop = IOLoop.current()
                self._wire.hear(self.ack, lambda number: self._answer("tags", None, [number]))
            self._flush()
            return
        if type(number) is not int or not self._answered < number <= self._sent:
            return
        self._answered = number
        if self._behind and self._loop is None:
            self._flush()
        elif self._behind:
            self._flush_wire()


_ROUNDS: WeakKeyDictionary[IOLoop, list[Callable[[], None]]] = WeakKeyDictionary()
_ROUND = threading.Lock()


def _soon(loop: IOLoop, flush: Callable[[], None]) -> None:
    """Have a feed flushed at the loop's next turn, with all others: waking a loop costs a write."""
    with _ROUND:
        waiting = _ROUNDS.setdefault(loop, [])
        waiting.append(flush)
        first = len(waiting) == 1
    if first:
        loop.add_callback(_flush_round, loop)


def _flush_round(loop: IOLoop) -> None:
    with _ROUND:
        waiting = _ROUNDS.pop(loop, [])
    for flush in waiting:
        try:
            flush()
        except Exception:  # one session must not stop the others
            log.exception("A page could not be told what is new")


_RECEIVE = """
const [number, message] = cb_obj.tags
RECEIVE(JSON.parse(message))
const answer = () => {
  ack.waiting = null
  ack.told_at = performance.now()
  ack.tags = [ack.painted]
}
requestAnimationFrame(() => requestAnimationFrame(() => {
  ack.painted = number
  ack.waiting ??= setTimeout(answer, Math.max(0, 100 - (performance.now() - (ack.told_at ?? 0))))
}))
"""


def to_json(message: Any) -> str:
    """Compact JSON text; refuses NaN and infinity, which no browser would parse."""
    return json.dumps(message, separators=(",", ":"), allow_nan=False)
