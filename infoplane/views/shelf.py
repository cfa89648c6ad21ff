"""The directory of runs, as all pages of a server see it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from infoplane import store
from infoplane.store import RunSummary
from infoplane.views.feed import to_json
from infoplane.views.hub import Hub
from infoplane.views.text import plain

LIST_EVERY = 1.0  # seconds between two looks at the directory
LISTED = 2000  # runs on the Runs page, newest first
PATIENCE = 1.0  # seconds that a page waits for the directory to be read
GLANCE = 0.02  # seconds that the hub's thread does, which has others to tell

_LOOKERS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="infoplane shelf")


class Shelf:
    """The directory of runs: ids to paths, and the rows of the Runs page."""

    def __init__(self, directory: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.directory = directory
        self.version = self._polled = 0
        self._clock = clock
        self._due = float("-inf")
        self._lock = threading.Lock()
        self._listing = store.Listing(directory)
        self._looking: Future[None] | None = None
        self._runs: list[RunSummary] = []
        self._said: tuple[int, str] = (-1, "")
        self.look()
        self._polled = self.version

    @classmethod
    def at(cls, directory: Path, hub: Hub) -> Shelf:
        """Return the shelf of a directory that all sessions share, fresh to the second."""
        directory = directory.absolute()
        shelf = hub.source(cls._key(directory), lambda: cls(directory))
        assert isinstance(shelf, cls)
        shelf.look()
        return shelf

    @property
    def key(self) -> tuple[str, str]:
        """Under which the hub knows it."""
        return self._key(self.directory)

    @staticmethod
    def _key(directory: Path) -> tuple[str, str]:
        return ("shelf", str(directory))

    def poll(self) -> bool:
        """Look; True when the list is another than at the last poll, whoever saw it change."""
        self.look(GLANCE)
        before, self._polled = self._polled, self.version
        return self.version != before

    def look(self, patience: float = PATIENCE) -> None:
        """Look at the directory, once a second at most; any session may.

        A thread does it. Who asks waits for a moment only: a run of a million steps takes seconds
        to read, and the page of another must not stand still for it.
        """
        with self._lock:
            if self._looking is None:
                if self._clock() < self._due:
                    return
                self._looking = _LOOKERS.submit(self._look)
            looking = self._looking
        wait([looking], patience)
        if looking.done():
            with self._lock:
                if self._looking is looking:  # else another who waited has begun the next
                    self._looking, self._due = None, self._clock() + LIST_EVERY
            looking.result()

    @property
    def read(self) -> bool:
        """Whether the directory has been looked at once, to the end."""
        return self._due > float("-inf")

    def _look(self) -> None:
        runs = self._listing.poll() if self.directory.is_dir() else []
        changed = [_shown(run) for run in runs] != [_shown(run) for run in self._runs]
        self._runs = runs
        self.version += changed or not self.version  # the first reading is news, whatever it finds

    def close(self) -> None:
        """Nothing is held open."""

    def find(self, run_id: str) -> RunSummary | None:
        """Return the run with that id, or None. Ids come from browsers; paths never do."""
        return next((run for run in self._runs if run.id == run_id), None)

    def newest(self) -> RunSummary | None:
        """Return the run to show when none is asked for: a live one, else the last begun."""
        alive = [run for run in self.runs() if run.status.state not in ("broken",)]
        live = [run for run in alive if run.status.state == "live"]
        return next(iter(live or alive), None)

    def runs(self) -> list[RunSummary]:
        """All runs, newest first."""
        return sorted(self._runs, key=lambda run: str(run.created or ""), reverse=True)

    def rows(self) -> list[dict[str, Any]]:
        """One plain mapping a run, for ``infoplane.runs``."""
        return [row(run, self.directory) for run in self.runs()[:LISTED]]

    def message(self, cursor: int | None) -> tuple[str | None, int]:
        """Return the rows, when they have changed."""
        if cursor == self.version:
            return None, self.version
        if self._said[0] != self.version:
            self._said = self.version, to_json(self.rows())
        return self._said[1], self.version


def row(run: RunSummary, directory: Path) -> dict[str, Any]:
    """One run as the Runs page tells it."""
    path = Path(run.path)
    place = path.relative_to(directory) if path.is_relative_to(directory) else Path(path.name)
    shown: dict[str, Any] = {
        "id": run.id,
        "name": plain(run.name) or plain(place),
        "about": plain(place),
        "state": str(run.status.state),
        "reason": plain(run.status.reason, 200),
        "created": run.created,
        "snapshots": run.steps,
        "last_step": run.status.last_step,
        "open": run.status.state != "broken" and bool(run.id),
    }
    words = " ".join(shown[name] for name in ("name", "about", "state", "reason"))
    return shown | {"text": words.lower()}


def _shown(run: RunSummary) -> tuple[Any, ...]:
    status = run.status
    return (
        run.id,
        run.name,
        str(run.path),
        run.steps,
        status.state,
        status.reason,
        status.last_step,
    )
