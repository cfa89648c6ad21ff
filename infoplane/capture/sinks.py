"""Sinks: a plain callable as one, and one that keeps all in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from infoplane.errors import InputError
from infoplane.types import Layer, ProbeData, Sink, Snapshot


class CallableSink:
    """A callable that takes a Snapshot, as a sink: scalars travel inside the snapshots.

    Parameters
    ----------
    function : callable
        ``function(snapshot)``; called in the writer's thread.
    """

    def __init__(self, function: Callable[[Snapshot], Any]) -> None:
        self.function = function

    def begin(
        self, probes: tuple[ProbeData, ...], layers: tuple[Layer, ...], info: Mapping[str, Any]
    ) -> None:
        """Nothing to prepare."""

    def write(self, snapshot: Snapshot) -> None:
        """Hand the snapshot on."""
        self.function(snapshot)

    def record(self, step: int, scalars: Mapping[str, float]) -> None:
        """Scalars between snapshots are not kept."""

    def report(self, event: str, detail: Mapping[str, Any]) -> None:
        """Events are not kept."""

    def end(self, status: str) -> None:
        """Nothing to close."""


class MemorySink:
    """Keeps everything in lists: for notebooks, tests and `verify_neutrality`.

    Attributes
    ----------
    probes, layers, info
        What ``begin`` was told.
    snapshots : list of Snapshot
    scalars : dict of int to dict
    events : list of (str, mapping)
    status : str or None
    """

    def __init__(self) -> None:
        self.probes: tuple[ProbeData, ...] = ()
        self.layers: tuple[Layer, ...] = ()
        self.info: Mapping[str, Any] = {}
        self.snapshots: list[Snapshot] = []
        self.scalars: dict[int, dict[str, float]] = {}
        self.events: list[tuple[str, Mapping[str, Any]]] = []
        self.status: str | None = None

    @property
    def steps(self) -> list[int]:
        """Steps of the snapshots, in the order in which they came, each once."""
        return list(dict.fromkeys(snapshot.step for snapshot in self.snapshots))

    def begin(
        self, probes: tuple[ProbeData, ...], layers: tuple[Layer, ...], info: Mapping[str, Any]
    ) -> None:
        """Keep the probe sets, the layer table and the notes."""
        self.probes, self.layers, self.info = probes, layers, info

    def write(self, snapshot: Snapshot) -> None:
        """Keep a snapshot."""
        self.snapshots.append(snapshot)

    def record(self, step: int, scalars: Mapping[str, float]) -> None:
        """Keep scalars of a step."""
        self.scalars.setdefault(step, {}).update(scalars)

    def report(self, event: str, detail: Mapping[str, Any]) -> None:
        """Keep an event."""
        self.events.append((event, detail))

    def end(self, status: str) -> None:
        """Keep how it ended."""
        self.status = status


def as_sink(run: Any) -> Sink:
    """Read a ``run=`` argument: anything with the methods of a Sink, or a callable."""
    if isinstance(run, Sink):
        return run
    if callable(run):
        return CallableSink(run)
    raise InputError(
        "`run` must be a run opened for writing, a sink, or a callable that takes a Snapshot; "
        f"got {run!r}. Create one with infoplane.Run.create(path)."
    )
