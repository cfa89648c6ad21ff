"""Checking a whole run: every line of every journal, every byte of every snapshot."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infoplane.errors import StoreError
from infoplane.store import codec, files, header, kept, snapshots
from infoplane.store.index import Index
from infoplane.store.journal import MAIN, Follower


@dataclass(frozen=True, slots=True)
class Inspection:
    """What `verify` found.

    Attributes
    ----------
    problems : tuple of str
        Damage: something that was acknowledged cannot be read.
    notes : tuple of str
        What costs nothing: unfinished lines, files that no line names, kept arrays that are
        damaged and will be made again.
    records, snapshots : int
        How many records and files of arrays were read and found good.
    """

    problems: tuple[str, ...]
    notes: tuple[str, ...]
    records: int
    snapshots: int

    @property
    def ok(self) -> bool:
        """Whether nothing is damaged."""
        return not self.problems


def verify(path: str | os.PathLike[str]) -> Inspection:
    """Read a run completely, superseded records included, and tell what is damaged.

    Raises
    ------
    NotARunError
        If the folder holds no run.
    StoreError
        If ``run.json`` cannot be read at all.
    """
    root = Path(path).absolute()
    header.read(root)
    follower = Follower(root / "journal")
    records = follower.poll()
    index = Index()
    for writer, record in records:
        index.apply(writer, record)
    problems = [f"journal {name}: {reason}" for name, reason in follower.unreadable.items()]
    notes: list[str] = []
    for name, reader in follower.readers():
        if reader.damaged:
            problems.append(f"journal {name}: {reader.damaged} damaged lines")
        elif reader.pending:
            notes.append(f"journal {name}: an unfinished last line of {reader.pending} bytes")
    if index.rejected:
        problems.append(f"{index.rejected} records are not what their kind must be")
    good, damage, strays = _check_files(root / "snapshots", records)
    spoilt = [
        f"kept/{name}: not what was written; it will be made again"
        for name in kept.damaged(root / "kept")
    ]
    return Inspection(
        (*problems, *damage), (*notes, *strays, *spoilt), len(records) - index.rejected, good
    )


def _check_files(
    folder: Path, records: list[tuple[str, dict[str, Any]]]
) -> tuple[int, list[str], list[str]]:
    """Check every file that a line names; also list the files that none does."""
    stored: dict[str, snapshots.Stored] = {}
    latest: dict[tuple[str, str], str] = {}
    named = set()
    for record in [record for writer, record in records if writer == MAIN]:
        place = str(record.get("probe")), str(record.get("step"))
        if record["kind"] == "forget":
            stored.pop(latest.pop(place, ""), None)
        for one in codec.collect(snapshots.decode, [record])[0] if "file" in record else ():
            named.add(one.file)
            latest[place] = one.file
            stored[one.file] = one
    damage = [words for one in stored.values() if (words := _damage(folder, one))]
    strays = [
        f"snapshots/{name}: no line names it" for name in files.names(folder) if name not in named
    ]
    return len(stored) - len(damage), damage, strays


def _damage(folder: Path, stored: snapshots.Stored) -> str:
    """Tell what is wrong with one file; empty when nothing is."""
    path = folder / stored.file
    try:
        snapshots.read_file(path)  # the reference reader finds it well-formed
        data = files.read_all(path, snapshots.FILE_CAP)
        if (len(data), *snapshots.survey(data)) != stored[1:]:
            return f"snapshots/{stored.file}: length or checksum differ from what was written"
    except (OSError, StoreError) as error:
        return f"snapshots/{stored.file}: {error}"
    return ""
