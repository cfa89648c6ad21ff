"""Following a run while it grows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from infoplane.errors import CorruptRunError
from infoplane.store import codec
from infoplane.store.index import ROW_CAP
from infoplane.store.journal import Follower
from infoplane.types import Measurement


class Tail:
    """Records of all journals of a run, as they are appended.

    Parameters
    ----------
    folder : Path
        The run's ``journal`` folder.
    replay : bool
        Whether the first `poll` returns everything from the start, or only what comes from now on.
    """

    def __init__(self, folder: Path, *, replay: bool = True) -> None:
        self._follower = Follower(folder)
        if not replay:
            self._follower.poll()

    def poll(self) -> list[dict[str, Any]]:
        """Read the records appended since the last poll, ``writer`` added; 0.1 ms for none.

        Kinds: ``begin``, ``probe``, ``snapshot``, ``scalars``, ``measurements``, ``event``,
        ``annotation``, ``end``, ``open`` (a writer came), ``forget`` (a snapshot was thinned out);
        later versions may add more. Records are raw: what is superseded is told by the run.
        """
        return [{**record, "writer": writer} for writer, record in self._follower.poll()]


def decode_measurements(record: dict[str, Any]) -> list[Measurement]:
    """Read a record of kind ``measurements``; damaged rows are left out, other kinds give none."""
    if record.get("kind") != "measurements":
        return []
    try:
        rows = codec.items(record, "rows", ROW_CAP)
    except CorruptRunError:
        return []
    return codec.collect(codec.decode_measurement, rows)[0]
