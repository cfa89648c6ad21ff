import json
from types import SimpleNamespace

import pytest
from bokeh.document import Document
from bokeh.models import ColumnDataSource
from tornado.iostream import StreamClosedError

from infoplane.views.wire import Wire, quoted


class Socket:
    """The part of Tornado's websocket that is used, and Bokeh's write lock."""

    def __init__(self, *, closing=False, closed=False, locked=False, deflates=False):
        self.written, self.closed = b"", closed
        self.ws_connection = SimpleNamespace(
            is_closing=lambda: closing,
            _compressor=object() if deflates else None,
            stream=SimpleNamespace(write=self.write),
        )
        self.write_lock = SimpleNamespace(_block=SimpleNamespace(_value=0 if locked else 1))

    def write(self, data):
        if self.closed:
            raise StreamClosedError
        self.written += data

    @property
    def parts(self):
        """The payloads of the websocket frames that were written."""
        found, rest = [], self.written
        while rest:
            assert rest[0] == 0x81, "each is one whole text message"
            size, start = rest[1], 2
            if size == 126:
                size, start = int.from_bytes(rest[2:4], "big"), 4
            elif size == 127:
                size, start = int.from_bytes(rest[2:10], "big"), 10
            found.append(rest[start : start + size].decode())
            rest = rest[start + size :]
        return found


def wired(*sockets):
    document, model = Document(), ColumnDataSource()
    connections = [SimpleNamespace(_socket=socket) for socket in sockets]
    session = SimpleNamespace(_subscribed_connections=connections)
    document._session_context = lambda: SimpleNamespace(session=session)
    return Wire(document, model), model


@pytest.mark.parametrize("size", [0, 1000, 70_000])
def test_a_message_is_one_change_of_one_property_as_bokeh_would_write_it(size):
    socket = Socket()
    wire, model = wired(socket)
    text = json.dumps({"name": '</script>"\\ ü', "long": "x" * size})
    assert wire.send(7, text)
    header, metadata, content = map(json.loads, socket.parts)
    assert header["msgtype"] == "PATCH-DOC"
    assert metadata == {}
    (event,) = content["events"]
    assert event == {
        "kind": "ModelChanged",
        "model": {"id": model.id},
        "attr": "tags",
        "new": [7, text],
    }


def test_every_message_has_an_id_of_its_own():
    socket = Socket()
    wire, _ = wired(socket)
    for number in range(5):
        wire.send(number, "{}")
    ids = [json.loads(part)["msgid"] for part in socket.parts[::3]]
    assert len(set(ids)) == 5


@pytest.mark.parametrize(
    "sockets",
    [
        (),
        (Socket(closing=True),),
        (Socket(locked=True),),
        (Socket(), Socket()),
        (None,),
        (Socket(deflates=True),),
    ],
    ids=["none", "closing", "busy", "two", "foreign", "deflates"],
)
def test_where_it_cannot_be_written_nothing_is(sockets):
    wire, _ = wired(*sockets)
    assert not wire.send(1, "{}")
    assert not any(socket.parts for socket in sockets if socket)


def test_a_browser_that_went_away_is_no_error():
    wire, _ = wired(Socket(closed=True))
    assert wire.send(1, "{}")


def test_text_is_quoted_once_for_all_sessions():
    text = "x" * 1000
    assert quoted(text) is quoted(text)
    assert json.loads(quoted(text)) == text
