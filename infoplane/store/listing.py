"""Which runs there are under a folder, and how each stands."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from infoplane.errors import StoreError
from infoplane.store import files, header
from infoplane.store.index import ENDS
from infoplane.store.journal import MAIN
from infoplane.store.status import RunStatus
from infoplane.store.view import View

_DEPTH = 5
_FOLDER_CAP = 20_000


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run of a list. `id` is opaque and stable; names are text from a stranger."""

    path: Path
    id: str
    name: str
    status: RunStatus
    created: str = ""
    steps: int = 0
    layers: int = 0


def is_run(path: str | os.PathLike[str]) -> bool:
    """Whether a folder holds a run of ours, readable or not by this version."""
    return stat.S_ISREG(files.mode_of(Path(path) / header.FILE))


def list_runs(directory: str | os.PathLike[str]) -> list[RunSummary]:
    """Every run at or below a folder, by path; a broken one is listed with its reason.

    Links are not followed, and folders inside a run are not searched.
    """
    return Listing(directory).poll()


class Listing:
    """The runs under a folder, looked at again and again at little cost.

    Runs that have ended are read once, unless they change; of the others only what is new is read.
    Of a long journal no more is read than tells how the run stands: damage elsewhere in it goes
    unseen in a list, and is told when the run is opened or verified. Nothing is ever written.

    Parameters
    ----------
    directory : path
        Where to look; need not exist yet.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory).absolute()
        self._views: dict[Path, View] = {}
        self._ended: dict[Path, tuple[tuple[int, ...], RunSummary]] = {}

    def poll(self) -> list[RunSummary]:
        """List every run by path as it stands now; a broken one is listed with its reason."""
        paths = _find(self.directory)
        for gone in (self._views.keys() | self._ended.keys()) - set(paths):
            self._views.pop(gone, None)
            self._ended.pop(gone, None)
        return [self._summary(path) for path in paths]

    def _summary(self, path: Path) -> RunSummary:
        stamp = _stamp(path)
        known, told = self._ended.get(path, ((), None))
        if told is not None and known == stamp:
            return told
        try:
            view = self._views.pop(path, None) or View(path, brief=True)
            status = view.status()
            told = RunSummary(
                path, view.uuid, view.name, status, view.created, len(view.steps), len(view.layers)
            )
        except StoreError as error:
            view, status = None, RunStatus("broken", str(error))
            told = RunSummary(path, "", path.name, status)
        if view is not None and status.state not in ENDS:
            self._views[path] = view
            self._ended.pop(path, None)
        else:
            self._ended[path] = stamp, told
        return told


def _stamp(path: Path) -> tuple[int, ...]:
    """Take what changes when a run does: sizes and times of its header and main journal."""
    stamp: list[int] = []
    for file in (path / header.FILE, path / "journal" / f"{MAIN}.jsonl"):
        try:
            found = os.lstat(file)
        except OSError:
            stamp += (-1, -1)
        else:
            stamp += (found.st_size, found.st_mtime_ns)
    return tuple(stamp)


def _find(root: Path) -> list[Path]:
    found: list[Path] = []
    level, seen = [root], 0
    for _ in range(_DEPTH):
        below: list[Path] = []
        for folder in level:
            seen += 1
            if is_run(folder):
                found.append(folder)
            elif seen <= _FOLDER_CAP:
                below.extend(_subfolders(folder))
        level = below
    return sorted(found)


def _subfolders(folder: Path) -> list[Path]:
    try:
        paths = [folder / name for name in files.names(folder) if not name.startswith(".")]
    except OSError:  # not ours to read
        return []
    return [path for path in paths if stat.S_ISDIR(files.mode_of(path))]
