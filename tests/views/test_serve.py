"""`infoplane serve`: this machine only, or with a password."""

import http.client
import sys
import threading
from urllib.parse import urlencode

import pytest
from ui.serving import Server

from infoplane.errors import InputError
from infoplane.views import shell
from infoplane.views.hub import Hub
from infoplane.views.serve import _policy, serve


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.5", "lab.example.org"])
def test_another_host_is_refused_without_a_password(host, monkeypatch):
    monkeypatch.delenv("INFOPLANE_PASSWORD", raising=False)
    with pytest.raises(InputError, match="password"):
        serve("runs", host=host, start=False)


def test_a_port_that_is_taken_is_told(tmp_path):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match="`port` must be free"):
            serve(tmp_path, taken.getsockname()[1], start=False)


def test_a_file_is_no_directory_of_runs(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="`directory` must be a folder"):
        serve(tmp_path / "file", start=False)


def test_who_may_call_a_server_that_listens_everywhere(monkeypatch):
    monkeypatch.setenv("INFOPLANE_HOSTS", "lab.example.org")
    policy = _policy("0.0.0.0", ["10.0.0.7"], None)
    assert {"lab.example.org", "10.0.0.7", "localhost"} <= policy.hosts
    assert "0.0.0.0" not in policy.hosts
    assert _policy("127.0.0.1", [], 3).max_sessions == 3
    assert "::1" in _policy("::1", [], None).hosts


def test_what_is_loaded_before_visitors_come_is_no_longer_looked_at_by_the_collector(monkeypatch):
    """Bokeh collects garbage for every session that ends, while all others wait."""
    frozen = []
    monkeypatch.setattr(shell.gc, "freeze", lambda: frozen.append(set(sys.modules)))
    monkeypatch.setattr(shell, "LATER", 0)
    monkeypatch.setattr(shell, "HUB", Hub())  # nobody listens to this one
    shell.warm()
    for thread in threading.enumerate():
        if thread.name == "infoplane warm":
            thread.join(180)
    assert "infoplane.views.explore" in frozen[0]
    assert {f"infoplane.views.{page}" for page in shell.PAGES} <= frozen[-1]


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("locked")
    made = Server(folder, folder / "log", plain=False, INFOPLANE_PASSWORD="open sesame")
    yield made
    status = made.end()
    made.kill()
    assert (status, made.complaints()) == (0, [])


def ask(server, method, path, body=None, cookies=()):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    headers = {"Cookie": "; ".join(cookies)} if cookies else {}
    if body is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer, text


def test_without_the_password_there_is_nothing_but_the_question(locked):
    answer, _ = ask(locked, "GET", "/")
    assert answer.status == 302
    assert "/login" in answer.headers["Location"]
    answer, text = ask(locked, "GET", "/login")
    assert 'type="password"' in text
    assert "http" not in text.replace("http-equiv", "")
    wrong = urlencode({"username": "reader", "password": "guess"})
    answer, _ = ask(locked, "POST", "/login", wrong)
    assert "error" in answer.headers["Location"]


def test_with_the_password_the_page_opens(locked):
    right = urlencode({"username": "reader", "password": "open sesame"})
    answer, _ = ask(locked, "POST", "/login", right)
    cookies = [c.split(";")[0] for c in answer.headers.get_all("Set-Cookie")]
    assert all(
        "HttpOnly" in c for c in answer.headers.get_all("Set-Cookie") if c.startswith("user")
    )
    answer, text = ask(locked, "GET", "/", cookies=cookies)
    assert answer.status == 200
    assert "No run here yet" in text


def test_it_says_where_the_page_is(locked):
    assert f"page  {locked.url}  (Ctrl-C ends it)" in locked.said()
