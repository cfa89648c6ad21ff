"""A shortcut from a feed to its browser: the change of one property, straight onto the websocket.

Bokeh would walk the document, take its lock and serialise the change anew for every session. Here
the message is text already and the same for all; a session adds its model's id and a number. The
same inner names of Bokeh are used as Panel itself uses; where one is missing, or the socket is busy
or closed, ``send`` says so and the feed goes the ordinary way.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
from typing import Any

from bokeh.document import Document
from bokeh.models import ColumnDataSource
from tornado.iostream import StreamClosedError


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

    def _stream(self) -> Any:
        """Return the stream of the session's only websocket, if nobody is inside a message."""
        session = getattr(self._document.session_context, "session", None)
        connections = tuple(getattr(session, "_subscribed_connections", ()))
        if len(connections) != 1:
            return None
        socket = getattr(connections[0], "_socket", None)
        lock = getattr(getattr(socket, "write_lock", None), "_block", None)
        wire = getattr(socket, "ws_connection", None)
        if wire is None or wire.is_closing() or getattr(lock, "_value", 0) == 0:
            return None
        if getattr(wire, "_compressor", self) is not None:
            return None
        return getattr(wire, "stream", None)


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
