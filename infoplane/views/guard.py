"""Who may talk to the page: hosts, origins, other machines, how many; and which headers go out.

Every request of a guarded server passes one place, `Guard.refusal`, before any handler, static file
or websocket sees it. That matters because neither Bokeh nor Tornado checks ``Host``: a page of
another site whose name is rebound to 127.0.0.1 sends a matching pair ``Host: evil.com``,
``Origin: http://evil.com`` and is otherwise let in. ``protect`` guards one server, ``protect_all``
every Bokeh server that this process builds from then on (what ``panel serve apps/`` needs).
"""

from __future__ import annotations

import functools
import ipaddress
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import urlsplit

from bokeh.server.auth_provider import NullAuth
from bokeh.server.tornado import BokehTornado
from tornado.httputil import HTTPServerRequest
from tornado.web import RequestHandler

from infoplane.errors import InputError

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names by which a browser on this machine may call the server."""

MAX_MESSAGE = 2**20
"""Largest websocket message accepted from a browser, in bytes; the page sends less than 1 kB."""

NONCE = "X-Infoplane-Nonce"
"""Request header, set by the guard, that carries the page's script nonce to the template."""


_PARTS = ("", "/ws", "/autoload.js", "/metadata")  # of a page
_BESIDE = {"", "/favicon.ico", "/login", "/logout", "/liveness"}  # the pages


@dataclass(frozen=True, slots=True)
class Guard:
    """What is let in.

    Attributes
    ----------
    hosts : frozenset of str
        Host names (without port) that ``Host`` may hold; the loopback names are always among them.
    origins : frozenset of str
        ``name:port`` of pages elsewhere that may open a websocket, besides the server's own.
    max_sessions : int
        Sessions alive at once; the next visitor sees a page that says so.
    """

    hosts: frozenset[str] = LOOPBACK
    origins: frozenset[str] = frozenset()
    max_sessions: int = 64

    @classmethod
    def from_environment(cls, hosts: tuple[str, ...] = ()) -> Guard:
        """Read ``INFOPLANE_HOSTS`` (names with commas) and ``INFOPLANE_MAX_SESSIONS``."""
        named = [*hosts, *os.environ.get("INFOPLANE_HOSTS", "").split(",")]
        names = {name.strip().lower() for name in named if name.strip()}
        return cls(
            hosts=LOOPBACK | {host_name(name) for name in names},
            origins=frozenset(names),
            max_sessions=_positive("INFOPLANE_MAX_SESSIONS", 64),
        )

    def refusal(self, request: HTTPServerRequest, *, authenticated: bool) -> tuple[int, str] | None:
        """Why this request is refused, as (status, sentence), or None when it may pass."""
        if host_name(request.headers.get("Host", "")) not in self.hosts:
            return 421, "This server does not answer to that host name."
        if not authenticated and not is_loopback(request.remote_ip):
            return 403, "This server answers only to browsers on its own machine."
        if not self._may_come_from(request):
            return 403, "This server does not answer to pages of other sites."
        if request.method not in ("GET", "HEAD", "POST"):
            return 405, "Only GET, HEAD and POST are answered."
        return None

    def _may_come_from(self, request: HTTPServerRequest) -> bool:
        headers = request.headers
        if (origin := headers.get("Origin")) is not None:
            place = urlsplit(origin).netloc.lower()
            return place == headers.get("Host", "").lower() or place in self.origins
        # No Origin: a plain navigation, a same-site GET, or no browser at all. A cross-site script,
        # image or frame says so in Sec-Fetch-Site; following a link to the page is fine.
        foreign = headers.get("Sec-Fetch-Site", "none") in ("cross-site", "same-site")
        navigation = (
            headers.get("Sec-Fetch-Mode") == "navigate"
            and headers.get("Sec-Fetch-Dest", "document") == "document"
        )
        return not foreign or navigation


def host_name(host: str) -> str:
    """Name in a ``Host`` header without the port, lower case; ``""`` when it cannot be read.

    >>> host_name("LocalHost:5006"), host_name("[::1]:80"), host_name("evil.com@localhost")
    ('localhost', '::1', '')
    """
    if not host or set(host) & set("@/?#\\ "):
        return ""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def security_headers(nonce: str, *, loopback: bool = True) -> dict[str, str]:
    """Headers that every response carries.

    Scripts run only from this server or with the page's nonce, so that an event handler smuggled in
    with a layer's name stays text; BokehJS compiles its callbacks, hence ``unsafe-eval``.
    """
    policy = (
        "default-src 'self'",
        f"script-src 'self' 'nonce-{nonce}' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
    return {
        "Content-Security-Policy": "; ".join(policy),
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    }


def protect(application: BokehTornado, guard: Guard) -> None:
    """Put `guard` in front of every handler of one server."""
    application.find_handler = functools.partial(
        _find_handler, application, guard, application.find_handler
    )
    size = application.settings.get("websocket_max_message_size") or MAX_MESSAGE
    application.settings["websocket_max_message_size"] = min(size, MAX_MESSAGE)


def protect_all(guard: Guard) -> None:
    """Guard every Bokeh server that this process builds from now on, and sign its sessions.

    For ``panel serve apps/``, where the server is built by Panel after ``apps/app_hooks.py`` was
    imported. Sessions are signed with a key of this process unless the environment holds one.
    """
    if getattr(BokehTornado.__init__, "guarded", False):
        return
    build, key = BokehTornado.__init__, secrets.token_bytes(32)

    @functools.wraps(build)
    def guarded(self: BokehTornado, *args: Any, **kwargs: Any) -> None:
        kwargs |= {"sign_sessions": True, "secret_key": kwargs.get("secret_key") or key}
        build(self, *args, **kwargs)
        protect(self, guard)

    guarded.guarded = True  # type: ignore[attr-defined]
    BokehTornado.__init__ = guarded


def session_count(application: BokehTornado) -> int:
    """Sessions alive on this server, over all its pages."""
    return sum(len(tuple(context.sessions)) for context in application.applications.values())


class Refused(RequestHandler):
    """Answers a request that was not let in with one plain sentence."""

    def initialize(self, status: int, sentence: str, retry: bool = False) -> None:
        """Take what to say."""
        self.status, self.sentence, self.retry = status, sentence, retry

    def prepare(self) -> None:
        """Answer before any method is looked at."""
        self.set_status(self.status)
        if self.retry:
            self.set_header("Retry-After", "15")
        refresh = '<meta http-equiv="refresh" content="15">' if self.retry else ""
        self.finish(_REFUSED_PAGE.format(refresh=refresh, sentence=escape(self.sentence)))


_REFUSED_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">{refresh}
<meta name="color-scheme" content="light dark"><title>infoplane</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:20vh auto;padding:0 1rem}}
h1{{font-size:1.25rem}}</style></head><body><h1>infoplane</h1><p>{sentence}</p></body></html>"""


def _find_handler(
    application: BokehTornado, guard: Guard, inner: Callable[..., Any], request: Any, **kwargs: Any
) -> Any:
    nonce = secrets.token_urlsafe(18)
    request.headers[NONCE] = nonce
    _send_with(request, security_headers(nonce))
    authenticated = not isinstance(application.auth_provider, NullAuth)
    if (refused := guard.refusal(request, authenticated=authenticated)) is not None:
        status, sentence = refused
        arguments: dict[str, Any] = {"status": status, "sentence": sentence}
        return application.get_handler_delegate(request, Refused, arguments)
    if not _is_ours(application, request):
        arguments = {"status": 404, "sentence": "There is nothing at this address."}
        return application.get_handler_delegate(request, Refused, arguments)
    if _opens_session(application, request) and session_count(application) >= guard.max_sessions:
        arguments = {
            "status": 503,
            "retry": True,
            "sentence": f"All {guard.max_sessions} places are taken. This page tries again by "
            "itself; closing a tab that shows infoplane frees a place within half a minute.",
        }
        return application.get_handler_delegate(request, Refused, arguments)
    return inner(request, **kwargs)


def _is_ours(application: BokehTornado, request: HTTPServerRequest) -> bool:
    """Whether the pages need this address: they, their socket, static files, and the login.

    Panel answers more, ``/components/MODULE/…`` among it, which imports any module of that name:
    a link on another site could run a script that lies in the server's folder.
    """
    path = request.path.rstrip("/")
    own = {page + part for page in _pages(application) for part in _PARTS}
    return path in own | _BESIDE or path.startswith(f"{application.prefix}/static/")


def _pages(application: BokehTornado) -> set[str]:
    return {(application.prefix + route).rstrip("/") for route in application.app_paths}


def _opens_session(application: BokehTornado, request: HTTPServerRequest) -> bool:
    return request.path.rstrip("/").removesuffix("/autoload.js") in _pages(application)


def _send_with(request: HTTPServerRequest, extra: dict[str, str]) -> None:
    """Have the connection add `extra` to whatever headers the answer carries."""
    connection = request.connection
    if connection is None:
        return
    write_headers = connection.write_headers

    def with_extra(start_line: Any, headers: Any, chunk: Any = None) -> Any:
        for name, value in extra.items():
            headers.setdefault(name, value)
        return write_headers(start_line, headers, chunk)

    connection.write_headers = with_extra  # type: ignore[method-assign]


def is_loopback(address: str | None) -> bool:
    """Whether an IP address (or a unix socket, None) is of this machine only."""
    if not address:  # a unix socket: whoever can open the file is on this machine
        return True
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _positive(variable: str, default: int) -> int:
    text = os.environ.get(variable, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 6 or int(text) < 1:
        raise InputError(
            f"`{variable}` must be a whole number in [1, 999999]; got {text[:40]!r}. "
            "Set it to how many pages may be open at once."
        )
    return int(text)
