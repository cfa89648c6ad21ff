import json
from types import SimpleNamespace

import bokeh.protocol.receiver
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


# -- the way back ----------------------------------------------------------------------------------


class Receiver:
    """Bokeh's: three texts a message, then two fragments for each array."""

    _HEADER = "header"

    def __init__(self):
        self.left = 0
        self.fragments = []

    @property
    def _current_consumer(self):
        return "rest" if self.left else self._HEADER

    def consume(self, fragment):
        if not self.left:
            self.left = 3 + 2 * json.loads(fragment).get("num_buffers", 0)
        self.left -= 1
        self.fragments.append(fragment)


def finish(work):
    """Run a coroutine that waits for nothing; in a worker with a browser a loop runs already."""
    with pytest.raises(StopIteration):
        work.send(None)


class Handler(Socket):
    """Bokeh's handler of one websocket."""

    def __init__(self):
        super().__init__()
        self.receiver = Receiver()

    async def on_message(self, fragment):
        self.receiver.consume(fragment)

    def hears(self, *message):
        """Have it receive a message, as tornado hands it over."""
        for fragment in message:
            work = self.on_message(fragment)
            if work is not None:
                finish(work)


HEADER = '{"msgid":"1","msgtype":"PATCH-DOC"}'


def said(model, number, attribute="tags"):
    event = {"kind": "ModelChanged", "model": {"id": model.id}, "attr": attribute}
    content = {"events": [event | {"new": [number]}]}
    return HEADER, "{}", json.dumps(content, separators=(",", ":"))


@pytest.fixture
def heard():
    socket, answer, numbers = Handler(), ColumnDataSource(), []
    wire, _ = wired(socket)
    wire.hear(answer, numbers.append)
    return SimpleNamespace(socket=socket, answer=answer, numbers=numbers, wire=wire)


def test_an_answer_is_heard_and_bokeh_is_not_troubled(heard):
    for number in (1, 2, 30):
        heard.socket.hears(*said(heard.answer, number))
    assert heard.numbers == [1, 2, 30]
    assert heard.socket.receiver.fragments == []


def test_all_else_goes_its_ordinary_way_in_order(heard):
    other = ColumnDataSource()
    messages = [
        said(other, 1),
        said(heard.answer, 1, "name"),
        said(heard.answer, "1"),
        said(heard.answer, -1),
        (
            '{"msgid":"2","msgtype":"PATCH-DOC","num_buffers":1}',
            "{}",
            "{}",
            '{"id":"b"}',
            b"\0" * 9,
        ),
        ("{}", "{}", "{}"),
    ]
    for message in messages:
        heard.socket.hears(*message)
        heard.socket.hears(*said(heard.answer, 7))
    assert heard.socket.receiver.fragments == [part for message in messages for part in message]
    assert heard.numbers == [7] * len(messages)


def test_a_message_of_which_a_part_has_come_before_is_left_alone(heard):
    socket = Handler()
    socket.hears(HEADER)
    wire, _ = wired(socket)
    wire.hear(heard.answer, heard.numbers.append)
    socket.hears(*said(heard.answer, 3)[1:])
    assert heard.numbers == []
    socket.hears(*said(heard.answer, 4))
    assert heard.numbers == [4]


def test_after_closing_the_socket_is_as_it_was(heard):
    heard.wire.close()
    heard.wire.close()
    heard.socket.hears(*said(heard.answer, 1))
    assert heard.numbers == []
    assert heard.socket.receiver.fragments == list(said(heard.answer, 1))


def test_the_next_socket_is_heard_too(heard):
    again = Handler()
    connections = [SimpleNamespace(_socket=again)]
    heard.wire._document.session_context.session._subscribed_connections = connections
    assert heard.wire.send(1, "{}")
    again.hears(*said(heard.answer, 5))
    heard.socket.hears(*said(heard.answer, 6))
    assert heard.numbers == [5]


def test_bokeh_still_has_the_names_by_which_it_is_heard():
    receiver = bokeh.protocol.receiver.Receiver(bokeh.protocol.Protocol())
    assert receiver._current_consumer == receiver._HEADER
    receiver._current_consumer("{}")
    assert receiver._current_consumer != receiver._HEADER


def test_where_it_cannot_be_heard_bokeh_goes_on():
    wire, _ = wired(Socket())
    wire.hear(ColumnDataSource(), lambda number: None)
    assert wire.send(1, "{}")
