"""A shortcut from a feed to its browser: the change of one property, straight onto the websocket.

Bokeh would walk the document, take its lock and serialise the change anew for every session. Here
the message is text already and the same for all; a session adds its model's id and a number. The
same inner names of Bokeh are used as Panel itself uses; where one is missing, or the socket is busy
or closed, ``send`` says so and the feed goes the ordinary way.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

from bokeh.document import Document
from bokeh.models import ColumnDataSource
from tornado.websocket import WebSocketClosedError


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
        )
        self._count = 0
        self._prefix = os.urandom(8).hex()

    def send(self, number: int, message: str) -> bool:
        """Write it; False when it could not be and nothing was written. `message` is JSON text."""
        socket = self._socket()
        if socket is None:
            return False
        self._count += 1
        header = f'{{"msgid":"{self._prefix}{self._count}","msgtype":"PATCH-DOC"}}'
        try:
            for part in (header, "{}", f"{self._head}{number},{quoted(message)}]}}]}}"):
                socket.ws_connection.write_message(part).add_done_callback(_passed_over)
        except WebSocketClosedError:
            pass  # the browser went away; Bokeh closes the session
        return True

    def _socket(self) -> Any:
        """Return the session's only websocket, if nobody is in the middle of a message."""
        session = getattr(self._document.session_context, "session", None)
        connections = tuple(getattr(session, "_subscribed_connections", ()))
        if len(connections) != 1:
            return None
        socket = getattr(connections[0], "_socket", None)
        lock = getattr(getattr(socket, "write_lock", None), "_block", None)
        wire = getattr(socket, "ws_connection", None)
        if wire is None or wire.is_closing() or getattr(lock, "_value", 0) == 0:
            return None
        return socket


_last: tuple[str, str] = ("", "")


def quoted(message: str) -> str:
    """Return text as a JSON string; the newest is kept, since all sessions ask for the same."""
    global _last
    if _last[0] is not message:
        _last = message, json.dumps(message)
    return _last[1]


def _passed_over(future: asyncio.Future[Any]) -> None:
    """Take note that a browser went away in the middle of a message."""
    if not future.cancelled():
        future.exception()
