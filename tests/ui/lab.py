"""A JupyterLab of its own, without accounts, settings or extensions of the person who tests."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ui.serving import Process, held_port

READY = "jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
RUN_ALL = "jupyterapp.commands.execute('notebook:run-all-cells')"


class Lab(Process):
    """JupyterLab over a folder of notebooks, on a free port of this machine."""

    def __init__(self, folder: Path, notebooks: Path) -> None:
        self._held, port = held_port()
        self.url = f"http://127.0.0.1:{port}"
        options = ["--no-browser", "--allow-root", "--expose-app-in-browser", f"--port={port}",
                   "--ip=127.0.0.1", f"--ServerApp.root_dir={notebooks}", "--LabApp.news_url=",
                   "--IdentityProvider.token=", "--KernelManager.transport=ipc",
                   "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]  # fmt: skip
        own = {f"JUPYTER_{what}_DIR": str(folder / what) for what in ("CONFIG", "DATA")}
        # The kernel listens on sockets in this folder, as no other process can take its ports then;
        # the system allows their paths 107 characters.
        self._sockets = tempfile.TemporaryDirectory(dir="/tmp")
        super().__init__(
            ["-m", "jupyterlab", *options],
            folder / "lab.log",
            **own,
            JUPYTER_RUNTIME_DIR=self._sockets.name,
            IPYTHONDIR=str(folder / "ipython"),
            JUPYTERLAB_SETTINGS_DIR=str(folder / "settings"),
            JUPYTERLAB_WORKSPACES_DIR=str(folder / "workspaces"),
        )

    def kill(self) -> None:
        super().kill()
        self._held.close()
        self._sockets.cleanup()

    def open(self, page, name: str) -> None:
        """Open a notebook in a browser's page and wait for its kernel."""
        page.goto(f"{self.url}/lab/tree/{name}?reset")
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=180_000)
        page.wait_for_function(READY, timeout=180_000)
