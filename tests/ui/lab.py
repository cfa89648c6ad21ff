"""A JupyterLab of its own, without accounts, settings or extensions of the person who tests."""

from __future__ import annotations

import time
import urllib.request
from contextlib import suppress
from pathlib import Path

from ui.serving import Process, free_port

READY = "jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
RUN_ALL = "jupyterapp.commands.execute('notebook:run-all-cells')"


class Lab(Process):
    """JupyterLab over a folder of notebooks, on a free port of this machine."""

    def __init__(self, folder: Path, notebooks: Path) -> None:
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        options = ["--no-browser", "--allow-root", "--expose-app-in-browser", f"--port={port}",
                   "--ip=127.0.0.1", f"--ServerApp.root_dir={notebooks}", "--LabApp.news_url=",
                   "--IdentityProvider.token=", "--LabApp.check_for_updates_class="
                   "jupyterlab.NeverCheckForUpdate"]  # fmt: skip
        own = {f"JUPYTER_{what}_DIR": str(folder / what) for what in ("CONFIG", "DATA", "RUNTIME")}
        super().__init__(
            ["-m", "jupyterlab", *options],
            folder / "lab.log",
            **own,
            IPYTHONDIR=str(folder / "ipython"),
            JUPYTERLAB_SETTINGS_DIR=str(folder / "settings"),
            JUPYTERLAB_WORKSPACES_DIR=str(folder / "workspaces"),
        )

    def wait(self) -> None:
        """Wait until it answers."""
        end = time.monotonic() + 60
        while self.running and time.monotonic() < end:
            with suppress(OSError), urllib.request.urlopen(f"{self.url}/api", timeout=5):
                return
            time.sleep(0.1)
        raise AssertionError(f"JupyterLab did not start:\n{self.said()}")

    def open(self, page, name: str) -> None:
        """Open a notebook in a browser's page and wait for its kernel."""
        page.goto(f"{self.url}/lab/tree/{name}?reset")
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        page.wait_for_function(READY, timeout=60_000)
