"""Which runs there are under a folder, and how each stands."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from infoplane.errors import StoreError
from infoplane.store import files, header
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
    file = Path(path) / header.FILE
    return file.is_file() and not file.is_symlink()


def list_runs(directory: str | os.PathLike[str]) -> list[RunSummary]:
    """Every run at or below a folder, by path; a broken one is listed with its reason.

    Links are not followed, and folders inside a run are not searched.
    """
    return [summary(path) for path in _find(Path(directory).absolute())]


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
    return [path for path in paths if path.is_dir() and not path.is_symlink()]


def summary(path: Path) -> RunSummary:
    """One run in a few words; never raises for a run that cannot be read."""
    try:
        run = View(path, main_only=True)
        return RunSummary(
            path, run.uuid, run.name, run.status(), run.created, len(run.steps), len(run.layers)
        )
    except StoreError as error:
        return RunSummary(path, "", path.name, RunStatus("broken", str(error)))
