import contextlib
import http.client
import sys
import threading
import time
from types import SimpleNamespace

import pytest
from bokeh.application import Application
from bokeh.application.handlers import FunctionHandler
from bokeh.document import Document
from bokeh.models import Div
from hypothesis import given
from hypothesis import strategies as st
from tornado.httputil import HTTPHeaders
from tornado.ioloop import IOLoop

from infoplane.errors import InputError
from infoplane.views import guard as guard_module
from infoplane.views.guard import Guard, host_name, is_loopback, security_headers


def request(*, ip="127.0.0.1", method="GET", **headers):
    told = HTTPHeaders({name.replace("_", "-"): value for name, value in headers.items()})
    return SimpleNamespace(headers=told, remote_ip=ip, method=method)


def refused(*, authenticated=False, guard=None, **options):
    found = (guard or Guard()).refusal(request(**options), authenticated=authenticated)
    return found and found[0]


@pytest.mark.parametrize("host", ["localhost:5006", "127.0.0.1:5006", "[::1]:5006", "LOCALHOST"])
def test_this_machine_is_let_in(host):
    assert refused(Host=host) is None
    assert refused(Host=host, Origin=f"http://{host}") is None


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("evil.com:5006", "http://evil.com:5006"),  # a name rebound to 127.0.0.1: they match
        ("evil.com", None),
        ("localhost.evil.com", None),
        ("127.0.0.1.evil.com", None),
        ("localhost@evil.com", None),
        ("localhost:5006@evil.com", None),
        ("evil.com#localhost", None),
        ("evil.com\\@localhost", None),
        ("[::1", None),
        ("", None),
        ("0.0.0.0:5006", None),
        ("192.168.1.5:5006", None),
    ],
)
def test_other_host_names_are_refused_even_with_a_matching_origin(host, origin):
    headers = {"Host": host} | ({"Origin": origin} if origin else {})
    assert refused(**headers) == 421


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.com",
        "null",
        "http://localhost:9999",  # another program's page on this machine
        "http://localhost.evil.com:5006",
        "http://evil.com/localhost:5006",
        "file://",
        "",
    ],
)
def test_pages_of_other_sites_are_refused(origin):
    assert refused(Host="localhost:5006", Origin=origin) == 403


def test_scripts_and_frames_of_other_sites_are_refused_but_links_may_be_followed():
    told = {"Host": "localhost", "Sec_Fetch_Site": "cross-site"}
    assert refused(**told, Sec_Fetch_Mode="no-cors", Sec_Fetch_Dest="script") == 403
    assert refused(**told, Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="iframe") == 403
    assert refused(**told, Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="document") is None
    assert refused(Host="localhost", Sec_Fetch_Site="same-origin") is None


@pytest.mark.parametrize("ip", ["192.168.1.5", "10.0.0.1", "2001:db8::1", "not an address"])
def test_other_machines_need_a_password(ip):
    assert refused(ip=ip, Host="localhost") == 403
    assert refused(ip=ip, Host="localhost", authenticated=True) is None


@pytest.mark.parametrize("ip", ["127.0.0.1", "127.8.8.8", "::1", "::1%lo", None])
def test_loopback_addresses(ip):
    assert is_loopback(ip)


def test_methods_that_nothing_needs_are_refused():
    assert refused(Host="localhost", method="PUT") == 405


def test_a_named_host_and_its_origin_are_let_in():
    guard = Guard(Guard().hosts | {"lab.example.org"}, frozenset({"lab.example.org"}))
    assert refused(guard=guard, Host="lab.example.org:5006") is None
    assert refused(guard=guard, Host="localhost", Origin="https://lab.example.org") is None
    assert refused(guard=guard, Host="localhost", Origin="https://lab.example.org:444") == 403


def test_the_environment_names_hosts_and_the_number_of_sessions(monkeypatch):
    monkeypatch.setenv("INFOPLANE_HOSTS", "Lab.example.org:8443, ")
    monkeypatch.setenv("INFOPLANE_MAX_SESSIONS", "7")
    guard = Guard.from_environment(("other",))
    assert guard.hosts == Guard().hosts | {"lab.example.org", "other"}
    assert guard.max_sessions == 7
    monkeypatch.setenv("INFOPLANE_MAX_SESSIONS", "many")
    with pytest.raises(InputError, match="INFOPLANE_MAX_SESSIONS"):
        Guard.from_environment()


@given(st.text(max_size=60))
def test_no_host_header_raises_or_is_taken_for_this_machine_by_accident(text):
    name = host_name(text)
    if name in Guard().hosts:
        bare = text.lower().rpartition(":")[0] or text.lower()
        assert name in {bare.strip("[]").rstrip("."), text.lower().strip("[]").rstrip(".")}


def test_the_policy_lets_no_inline_handler_run():
    policy = security_headers("abc")["Content-Security-Policy"]
    script = next(part for part in policy.split("; ") if part.startswith("script-src"))
    assert "'unsafe-inline'" not in script
    assert "'nonce-abc'" in script
    assert "http" not in policy


# -- a real server, forged messages --------------------------------------------


@contextlib.contextmanager
def serving(places):
    """A server in a thread; a page that nobody connects to keeps its place until it ends."""
    from panel.io.server import get_server

    started, box = threading.Event(), {}

    def run():
        import asyncio

        asyncio.set_event_loop(asyncio.new_event_loop())

        def page(document: Document):
            document.add_root(Div(text="hello"))

        made = get_server(
            {"/": Application(FunctionHandler(page))},
            port=0,
            address="127.0.0.1",
            allow_websocket_origin=["*"],
            sign_sessions=True,
            secret_key=b"0" * 32,
            unused_session_lifetime_milliseconds=3_600_000,
        )
        guard_module.protect(made._tornado, Guard(max_sessions=places))
        made.start()
        box.update(server=made, loop=IOLoop.current())
        started.set()
        box["loop"].start()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert started.wait(60)
    yield box["server"]
    box["loop"].add_callback(box["server"].stop)
    box["loop"].add_callback(box["loop"].stop)
    thread.join(60)


@pytest.fixture(scope="module")
def server():
    with serving(1000) as made:
        yield made


def get(server, path="/", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    told = {"Host": f"localhost:{server.port}"} | headers
    connection.putrequest("GET", path, skip_host=True)
    for name, value in told.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read().decode(errors="replace")
    connection.close()
    return answer, body


def shake(server, token, **headers):
    """The status of a websocket handshake."""
    answer, _ = get(
        server,
        "/ws",
        Connection="Upgrade",
        Upgrade="websocket",
        Sec_WebSocket_Version="13",
        Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==",
        Sec_WebSocket_Protocol=f"bokeh, {token}",
        **headers,
    )
    return answer.status


def token_of(body):
    return body.split('"token":"')[1].split('"')[0]


def test_every_answer_carries_the_headers(server):
    for path in ("/", "/static/js/bokeh.min.js", "/nothing/here"):
        answer, _ = get(server, path)
        assert answer.headers["X-Frame-Options"] == "DENY", path
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


def test_the_nonce_is_new_each_time_and_cannot_be_chosen_from_outside(server):
    policies = {
        get(server, "/nothing", **{guard_module.NONCE: "mine"})[0].headers[
            "Content-Security-Policy"
        ]
        for _ in range(3)
    }
    assert len(policies) == 3
    assert not any("mine" in policy for policy in policies)


def test_a_forged_pair_of_host_and_origin_gets_neither_page_nor_websocket(server):
    token = token_of(get(server)[1])
    evil = {"Host": f"evil.com:{server.port}", "Origin": f"http://evil.com:{server.port}"}
    assert get(server, **evil)[0].status == 421
    assert shake(server, token, **evil) == 421
    assert shake(server, token, Origin="http://evil.com") == 403
    assert shake(server, token, Origin="null") == 403


def test_a_token_that_was_not_signed_here_opens_no_session(server):
    from bokeh.util.token import generate_jwt_token

    before = guard_module.session_count(server._tornado)
    forged = generate_jwt_token("forged-session", signed=False)
    shake(server, forged, Origin=f"http://localhost:{server.port}")
    time.sleep(0.2)
    assert guard_module.session_count(server._tornado) == before


def test_the_message_size_is_capped(server):
    assert server._tornado.settings["websocket_max_message_size"] == guard_module.MAX_MESSAGE


def test_nothing_but_the_pages_is_answered_and_no_address_imports_a_module(server):
    assert "antigravity" not in sys.modules  # it would open a browser, and nothing else imports it
    for path in ("/components/antigravity/fly/css/x", "/components/../../x", "/rest", "/x%2fws"):
        answer, body = get(server, path)
        assert (answer.status, "nothing at this address" in body) == (404, True), path
    assert "antigravity" not in sys.modules
    for path in ("/", "/metadata", "/static/js/bokeh.min.js", "/favicon.ico"):
        assert get(server, path)[0].status == 200, path


def test_a_full_server_says_so_and_goes_on_serving_the_rest():
    with serving(6) as server:
        statuses = []
        for _ in range(10):
            answer, body = get(server)
            statuses.append(answer.status)
        assert statuses[-1] == 503
        assert answer.headers["Retry-After"] == "15"
        assert "places are taken" in body
        assert guard_module.session_count(server._tornado) == 6
        assert get(server, "/static/js/bokeh.min.js")[0].status == 200
