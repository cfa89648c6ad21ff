"""The server behind ``infoplane serve`` and the demo: this machine only, unless with a password.

``panel serve apps/`` serves the same app; ``apps/app_hooks.py`` gives it the same guard.
"""

from __future__ import annotations

import os
import secrets
import socket
import webbrowser
from collections.abc import Callable, Iterable
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from bokeh.application import Application
from bokeh.application.handlers import FunctionHandler
from bokeh.document import Document
from panel.io.server import Server, get_server

from infoplane.errors import InputError
from infoplane.views import guard
from infoplane.views.guard import LOOPBACK, Guard
from infoplane.views.shell import build_app, warm

UNUSED_LIFETIME = 15_000  # milliseconds that a page without a connection is kept
TOKEN_LIFETIME = 300  # seconds within which a page must connect


def serve(
    directory: str | os.PathLike[str] = "runs",
    port: int = 0,
    *,
    host: str = "127.0.0.1",
    password: str | None = None,
    hosts: Iterable[str] = (),
    max_sessions: int | None = None,
    open_browser: bool = False,
    query: str = "",
    ready: Callable[[str], None] | None = None,
    start: bool = True,
) -> Server:
    """Serve the runs of a directory; returns when the server is stopped (Ctrl-C).

    Parameters
    ----------
    directory : path
        Where the runs are; need not exist yet.
    port : int
        Port; 0 picks a free one.
    host : str
        Address to listen on. Anything but this machine's own needs `password`.
    password : str, optional
        Asked of every visitor (any user name); else ``INFOPLANE_PASSWORD``.
    hosts : iterable of str
        Further names under which browsers may call the server (``"lab.example.org"``), besides
        this machine's; ``INFOPLANE_HOSTS`` adds more.
    max_sessions : int, optional
        Pages open at once; 64 or ``INFOPLANE_MAX_SESSIONS`` by default.
    open_browser : bool
        Open the page in the user's browser.
    query : str
        Query of the page that is opened (``"?run=…"``).
    ready : callable, optional
        Called with the page's address once the server listens.
    start : bool
        Run the event loop here; else the caller starts ``server.io_loop``.

    Raises
    ------
    InputError
        If the address is not this machine's and no password is set, the port is taken, or
        `directory` is a file.

    Examples
    --------
    >>> serve("runs", 5006)  # doctest: +SKIP
    """
    if Path(directory).exists() and not Path(directory).is_dir():
        raise InputError(f"`directory` must be a folder of runs; {str(directory)!r} is a file.")
    password = password or os.environ.get("INFOPLANE_PASSWORD") or None
    local = _is_local(host)
    if not local and password is None:
        raise InputError(
            f"`host` must be this machine's own address (127.0.0.1) unless a password is set; got "
            f"{host!r}, which other machines can reach. Set `password` or INFOPLANE_PASSWORD."
        )
    policy = _policy(host, hosts, max_sessions)
    server = _server(Path(directory), port, host, password)
    guard.protect(server._tornado, policy)
    names = {f"[{name}]" if ":" in name else name for name in policy.hosts}
    server._tornado.websocket_origins.update(f"{name}:{server.port}" for name in names)
    server._tornado.websocket_origins.update(policy.origins)
    address = f"http://{_shown(host)}:{server.port}/{query}"
    server.start()
    warm()
    if open_browser:
        server.io_loop.add_callback(partial(_open, address))
    if ready is not None:
        server.io_loop.add_callback(ready, address)
    if start:
        server.run_until_shutdown()
    return server


def _policy(host: str, hosts: Iterable[str], max_sessions: int | None) -> Guard:
    names = [*hosts]
    if host not in ("0.0.0.0", "::", ""):
        names.append(f"[{host}]" if ":" in host else host)
    else:
        names += [socket.gethostname(), *_own_addresses()]
    policy = Guard.from_environment(tuple(names))
    if max_sessions is None:
        return policy
    return Guard(policy.hosts, policy.origins, max_sessions)


def _server(directory: Path, port: int, host: str, password: str | None) -> Server:
    def page(document: Document) -> None:
        build_app(directory, document=document)

    options: dict[str, Any] = {
        "address": host,
        "sign_sessions": True,
        "secret_key": secrets.token_bytes(32),
        "websocket_max_message_size": guard.MAX_MESSAGE,
        "unused_session_lifetime_milliseconds": UNUSED_LIFETIME,
        "session_token_expiration": TOKEN_LIFETIME,
        "cookie_secret": secrets.token_urlsafe(32),
    }
    if password is not None:
        options["basic_auth"] = password
        options["login_template"] = str(files("infoplane.views").joinpath("login.html"))
    _check_free(host, port)
    return get_server({"/": Application(FunctionHandler(page))}, port=port, **options)


def _check_free(host: str, port: int) -> None:
    """Try the port before the server does: it would leave half-opened sockets behind."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as trial:
        if os.name == "posix":  # elsewhere the option would let two servers share a port
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            raise InputError(
                f"`port` must be free on {host}; {port} is not ({error.strerror}). "
                "Give another one, or 0 for any free port."
            ) from error


def _is_local(host: str) -> bool:
    return host in LOOPBACK or (bool(host) and guard.is_loopback(host))


def _shown(host: str) -> str:
    if host in ("0.0.0.0", "::", ""):
        return "localhost"
    return f"[{host}]" if ":" in host else host


def _own_addresses() -> list[str]:
    try:
        found = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)}
    except OSError:
        return []
    return [f"[{a}]" if ":" in str(a) else str(a) for a in found]


def _open(address: str) -> None:
    webbrowser.open(address)
