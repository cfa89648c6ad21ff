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
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
BAD = re.compile(r"ERROR|Traceback|Exception|Error rendering|WARNING", re.IGNORECASE)
LEFT = "Failed sending message as connection was closed"
"""What Bokeh says when a page is left while an answer is on its way to it."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """A child in a group of its own, so that what it started ends with it."""

    def __init__(self, arguments: list[str], log: Path, **environment: str) -> None:
        self.log = log
        self._file = log.open("w")
        self._child = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=self._file,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env=os.environ | ENVIRONMENT | environment,
            start_new_session=True,
        )

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait(10)
        self._file.close()

    @property
    def running(self) -> bool:
        return self._child.poll() is None

    def said(self) -> str:
        return self.log.read_text(errors="replace")


class Server(Process):
    """`panel serve apps/`, or `infoplane.views.serve.serve`, on a free port."""

    def __init__(
        self, runs: Path, log: Path, *, plain: bool = True, port: int = 0, **environment: str
    ) -> None:
        self.port = port or free_port()
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
            code = f"from infoplane.views.serve import serve; serve({str(runs)!r}, {self.port})"
            command = ["-c", code]
            self.url = f"http://127.0.0.1:{self.port}/"
        super().__init__(command, log, **environment)
        self._wait()

    def _wait(self) -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end and self.running:
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/favicon.ico", timeout=5),
            ):
                return
            time.sleep(0.1)
        raise AssertionError(f"the server did not start:\n{self.said()}")

    def complaints(self) -> list[str]:
        """Lines of the log that no healthy server writes."""
        return [
            line
            for line in self.said().splitlines()
            if BAD.search(line) and not line.endswith(LEFT)
        ]
