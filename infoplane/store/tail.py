"""Following a run while it grows."""

from __future__ import annotations

from collections.abc import Callable
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
    poll : callable
        Returns the records since its last call, as (writer id, record).
    """

    def __init__(self, poll: Callable[[], list[tuple[str, dict[str, Any]]]]) -> None:
        self._poll = poll

    @classmethod
    def replaying(cls, folder: Path) -> Tail:
        """Follow a run's ``journal`` folder from its start."""
        return cls(Follower(folder).poll)

    def poll(self) -> list[dict[str, Any]]:
        """Read the records appended since the last poll, ``writer`` added; 0.1 ms for none.

        Kinds: ``begin``, ``probe``, ``snapshot``, ``scalars``, ``measurements``, ``event``,
        ``annotation``, ``end``, ``open`` (a writer came), ``forget`` (a snapshot was thinned out);
        later versions may add more. What is superseded is told by the run.
        """
        return [{**record, "writer": writer} for writer, record in self._poll()]


def decode_measurements(record: dict[str, Any]) -> list[Measurement]:
    """Read a record of kind ``measurements``; damaged rows are left out, other kinds give none."""
    if record.get("kind") != "measurements":
        return []
    try:
        rows = codec.items(record, "rows", ROW_CAP)
    except CorruptRunError:
        return []
    return codec.collect(codec.decode_measurement, rows)[0]
