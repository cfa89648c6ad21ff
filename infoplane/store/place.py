"""The folder of a run: where one may be started, and what a killed writer left there."""

from __future__ import annotations

import datetime
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from infoplane.errors import NotARunError, RunExistsError
from infoplane.store import files, header
from infoplane.store.journal import MAIN
from infoplane.store.view import shortened

Resume = Literal["never", "allow", "must"]


def check(root: Path, resume: Resume) -> None:
    """Refuse to overwrite a run, to resume none, and to scatter files over a foreign folder.

    Raises
    ------
    RunExistsError
        If a run is there and `resume` is "never".
    NotARunError
        If none is there and `resume` is "must", or something else is there.
    """
    if (root / header.FILE).exists():
        if resume == "never":
            raise RunExistsError(
                f"There is a run at {str(root)!r} already and it is never overwritten. Choose "
                "another folder, or pass resume='allow' to go on with it."
            )
        return
    if resume == "must":
        raise NotARunError(
            f"resume='must' needs a run at {str(root)!r}; there is none. "
            "Check the path, or pass resume='allow' to start one."
        )
    if root.exists() and not root.is_dir():
        raise NotARunError(f"A run is a folder; {str(root)!r} is none. Choose another path.")
    ours = {"lock", "journal", "snapshots", f"{header.FILE}.tmp"}
    if foreign := set(files.names(root)) - ours:
        raise NotARunError(
            f"{str(root)!r} holds other files ({shortened(sorted(foreign))}) and no run. "
            "Choose a new or an empty folder."
        )


def make(root: Path) -> None:
    """Make the folders of a run."""
    for folder in (root, root / "journal", root / "snapshots"):
        files.make_folder(folder)


def tidy(root: Path) -> None:
    """Remove the temporary files of a writer that was killed; the caller holds its lock."""
    for folder in (root, root / "snapshots"):
        for name in files.names(folder):
            if name.endswith(".tmp"):
                files.remove(folder / name)


def highest_number(folder: Path) -> int:
    """Return the number of the newest snapshot file, so that none is ever written over."""
    numbers = [name[len(MAIN) + 1 : len(MAIN) + 9] for name in files.names(folder)]
    return max((int(number) for number in numbers if number.isdecimal()), default=-1)


def new_header(name: str, config: Mapping[str, Any]) -> header.Header:
    """Make the header of a new run, with a random uuid."""
    version = getattr(sys.modules["infoplane"], "__version__", "")  # an import would be a cycle
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return header.Header(uuid.uuid4().hex, name, now, config, software=f"infoplane {version}")
