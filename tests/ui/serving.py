"""A server in a process of its own, its log, and a process that writes a run; ended by group."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
BAD = re.compile(r"ERROR|Traceback|Exception|Error rendering|WARNING", re.IGNORECASE)
LEFT = "Failed sending message as connection was closed"
"""What Bokeh says when a page is left while an answer is on its way to it."""


def held_port() -> tuple[socket.socket, int]:
    """A free port, and a socket that keeps others off it as long as it is open.

    Between looking for a free port and listening on it lie seconds, in which any other process
    could be given it. A bound socket that does not listen is passed over when the system gives out
    ports, and a server that sets SO_REUSEADDR, as all here do, may still listen beside it.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held, held.getsockname()[1]


class Process:
    """A child in a group of its own, so that what it started ends with it."""

    def __init__(self, arguments: list[str], log: Path, **environment: str) -> None:
        self.log = log
        self._file = log.open("a")
        self._child = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=self._file,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env=os.environ | ENVIRONMENT | environment,
            start_new_session=True,
        )

    def kill(self) -> None:
        """End the whole group; harmless when that was done."""
        if self._file.closed:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait(60)
        self._file.close()

    @property
    def running(self) -> bool:
        return self._child.poll() is None

    def wait(self, url: str) -> None:
        """Wait until it answers, or end it."""
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        end = time.monotonic() + 180
        while time.monotonic() < end and self.running:
            with contextlib.suppress(OSError), direct.open(url, timeout=5):
                return
            time.sleep(0.1)
        self.kill()
        raise AssertionError(f"the server did not start:\n{self.said()}")

    def said(self) -> str:
        return self.log.read_text(errors="replace")


class Server(Process):
    """`panel serve apps/`, or `infoplane serve`, on a free port."""

    def __init__(self, runs: Path, log: Path, *, plain: bool = True, **environment: str) -> None:
        self._held, self.port = held_port()
        if plain:
            command = [
                "-m",
                "panel",
                "serve",
                "apps",
                "--port",
                str(self.port),
                "--args",
                str(runs),
            ]
            self.url = f"http://127.0.0.1:{self.port}/apps"
        else:
            words = ["serve", str(runs), "--port", str(self.port), "--no-open"]
            command = ["-m", "infoplane", *words]
            self.url = f"http://127.0.0.1:{self.port}/"
        self._again = partial(super().__init__, command, log, **environment)
        self.start()

    def start(self) -> None:
        """Start, or start again on the same port."""
        self._again()
        self.wait(f"http://127.0.0.1:{self.port}/favicon.ico")

    def kill(self, *, for_good: bool = True) -> None:
        """End it; unless for good, its port stays reserved for another start."""
        super().kill()
        if for_good:
            self._held.close()

    def end(self) -> int:
        """Ask it to end, as a service is asked, and return its status."""
        self._child.terminate()
        return self._child.wait(180)

    def complaints(self) -> list[str]:
        """Lines of the log that no healthy server writes."""
        return [
            line
            for line in self.said().splitlines()
            if BAD.search(line) and not line.endswith(LEFT)
        ]
