"""A shortcut between a feed and its browser: the change of one property, straight on the websocket.

Bokeh would walk the document, take its lock and serialise the change anew for every session. Here
the message is text already and the same for all; a session adds its model's id and a number. The
same inner names of Bokeh are used as Panel itself uses; where one is missing, or the socket is busy
or closed, ``send`` says so and the feed goes the ordinary way. What the browser answers is heard
before Bokeh locks the document, applies it and sends a reply, for which the page does not wait:
that was half of what a session costs. All else on the socket goes its ordinary way, in order.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import struct
import weakref
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeAlias

from bokeh.document import Document
from bokeh.models import ColumnDataSource
from tornado.iostream import StreamClosedError

Fragment: TypeAlias = str | bytes
Hear: TypeAlias = Callable[[Fragment], Awaitable[None] | None]


class Wire:
    """Sends ``model.tags = [number, message]`` to the one browser of a session.

    Parameters
    ----------
    document : Document
        The session's document.
    model : ColumnDataSource
        Whose ``tags`` are set in the browser; on the server they stay as they are.
    """

    def __init__(self, document: Document, model: ColumnDataSource) -> None:
        self._document = document
        self._head = (
            '{"events":[{"kind":"ModelChanged","model":{"id":'
            f'{json.dumps(model.id)}}},"attr":"tags","new":['
        ).encode()
        self._count = 0
        self._prefix = os.urandom(8).hex().encode()
        self._ear: _Ear | None = None

    def send(self, number: int, message: str) -> bool:
        """Write it; False when it could not be and nothing was written. `message` is JSON text."""
        stream = self._stream()
        if stream is None:
            return False
        self._count += 1
        header = b'{"msgid":"%s%d","msgtype":"PATCH-DOC"}' % (self._prefix, self._count)
        start, text = b"%s%d," % (self._head, number), quoted(message)
        content = _lengths(len(start) + len(text) + len(_TAIL))
        # Three websocket messages in one write: tornado would make a task and a system call of each
        with contextlib.suppress(
            StreamClosedError
        ):  # the browser went away; Bokeh ends the session
            stream.write(
                b"".join((_lengths(len(header)), header, _EMPTY, content, start, text, _TAIL))
            )
        return True

    def hear(self, model: ColumnDataSource, take: Callable[[int], None]) -> None:
        """Call `take` when the browser has set ``model.tags = [number]``, where that can be heard.

        It is called in the event loop; what the browser says may be forged.
        """
        self._ear = _Ear(model.id, take)
        self._stream()

    def close(self) -> None:
        """Leave the socket as it was."""
        if self._ear is not None:
            self._ear.close()

    def _stream(self) -> Any:
        """Return the stream of the session's only websocket, if nobody is inside a message."""
        session = getattr(self._document.session_context, "session", None)
        connections = tuple(getattr(session, "_subscribed_connections", ()))
        if len(connections) != 1:
            return None
        socket = getattr(connections[0], "_socket", None)
        if self._ear is not None:
            self._ear.listen(socket)
        lock = getattr(getattr(socket, "write_lock", None), "_block", None)
        wire = getattr(socket, "ws_connection", None)
        if wire is None or wire.is_closing() or getattr(lock, "_value", 0) == 0:
            return None
        if getattr(wire, "_compressor", self) is not None:
            return None
        return getattr(wire, "stream", None)


class _Ear:
    """Hears the answers on one socket; passes on all else, as it came."""

    def __init__(self, model: str, take: Callable[[int], None]) -> None:
        self._take = take
        self._socket: Callable[[], Any] = lambda: None
        event = rf'"kind":"ModelChanged","model":\{{"id":"{re.escape(model)}"\}},"attr":"tags"'
        self._form = re.compile(rf'\{{"events":\[\{{{event},"new":\[([0-9]{{1,15}})\]\}}\]\}}')

    def listen(self, socket: Any) -> None:
        """Hear what comes from now on; a reload of the page has brought another socket."""
        if socket is None or socket is self._socket():
            return
        self.close()
        receiver = getattr(socket, "receiver", None)
        if not hasattr(receiver, "_current_consumer") or not hasattr(receiver, "_HEADER"):
            return
        self._socket = weakref.ref(socket)
        held: list[Fragment] = []
        socket.on_message = partial(self._hear, socket.on_message, receiver, held)

    def close(self) -> None:
        """Hear nothing more."""
        if (socket := self._socket()) is not None:
            vars(socket).pop("on_message", None)

    def _hear(
        self, ordinary: Hear, receiver: Any, held: list[Fragment], fragment: Fragment
    ) -> Awaitable[None] | None:
        """Take one fragment; three make a message: header, metadata, content."""
        if not held and receiver._current_consumer != receiver._HEADER:
            return ordinary(fragment)  # arrays that belong to a message which was passed on
        held.append(fragment)
        if len(held) < 3:
            return None
        content = held[2]
        answer = self._form.fullmatch(content) if isinstance(content, str) else None
        if answer is None:
            message = tuple(held)
            held.clear()
            return _pass(ordinary, message)
        held.clear()
        self._take(int(answer[1]))
        return None


async def _pass(ordinary: Hear, message: tuple[Fragment, ...]) -> None:
    for fragment in message:
        if (work := ordinary(fragment)) is not None:
            await work


def _lengths(size: int) -> bytes:
    """Begin a text message of `size` bytes, whole and unmasked (RFC 6455, 5.2)."""
    if size < 126:
        return struct.pack("!BB", 0x81, size)
    if size < 1 << 16:
        return struct.pack("!BBH", 0x81, 126, size)
    return struct.pack("!BBQ", 0x81, 127, size)


_EMPTY = _lengths(2) + b"{}"
_TAIL = b"]}]}"
_last: tuple[str, bytes] = ("", b"")


def quoted(message: str) -> bytes:
    """Return text as a JSON string; the newest is kept, since all sessions ask for the same."""
    global _last
    if _last[0] is not message:
        _last = message, json.dumps(message).encode()
    return _last[1]
