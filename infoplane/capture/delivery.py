"""Delivery: everything that reaches the sink goes through here, in the writer's thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from threading import Event
from typing import Any, cast

from torch import Tensor

from infoplane.capture.faults import Faults
from infoplane.capture.probe import Probe
from infoplane.capture.retention import Retention
from infoplane.capture.scalars import Row, settle
from infoplane.capture.writer import Job, Writer
from infoplane.errors import InputError
from infoplane.types import Sink, Snapshot

UNTOLD = 100  # events that wait for the sink to take them

Read = Sequence[tuple[Probe, Mapping[str, Tensor]]]
"""What one step gave: each probe set with its layers' representations."""


class Delivery:
    """Queues snapshots, scalars and events for a sink; what the sink raises becomes a fault.

    Parameters
    ----------
    sink : Sink
        Already begun.
    depth : int
        Snapshots that may wait, whatever their size.
    retention : Retention or None
        Which snapshots the sink is told to forget.

    Attributes
    ----------
    faults : Faults
        Of the whole watch.
    device_seconds : float
        Time that probe passes kept the accelerator busy beyond the training thread's own.
    """

    def __init__(self, sink: Sink, *, depth: int, retention: Retention | None) -> None:
        self.sink, self.retention = sink, retention
        self.faults = Faults(partial(self.event, "fault"))
        self.device_seconds = 0.0
        self._untold: deque[tuple[str, Mapping[str, Any]]] = deque(maxlen=UNTOLD)
        self._writer = Writer(self._failed, depth=depth)

    def snapshot(
        self, step: int, read: Read, row: Row, notes: Mapping[str, Any],
        arrived: Callable[[], float], *, wait: bool,
    ) -> bool:  # fmt: skip
        """Queue a snapshot of all probe sets; False where the queue is full and `wait` is False."""
        size = sum(t.numel() * t.element_size() for _, layers in read for t in layers.values())
        work = partial(self._write, step, read, row, notes, arrived, size)
        return self._writer.put(Job("snapshot", work, size), wait=wait)

    def scalars(self, rows: Mapping[int, Row]) -> None:
        """Queue scalars of some steps."""
        self._writer.put(Job("scalars", partial(self._record, rows)))

    def event(self, name: str, detail: Mapping[str, Any]) -> None:
        """Queue an event."""
        self._writer.put(Job("event", partial(self._report, name, detail)))

    def flush(self) -> None:
        """Wait until all that was queued has been tried."""
        done = Event()
        self._writer.put(Job("flush", done.set))
        done.wait()

    def end(self, status: str, cost: Callable[[], Mapping[str, Any]]) -> None:
        """Write all that waits, report the cost with the faults that this met, end the sink."""
        self._writer.put(Job("event", lambda: self._report("cost", cost())))
        self._writer.put(Job("end", partial(self.sink.end, status)))
        self._writer.close()

    def _write(
        self, step: int, read: Read, row: Row, notes: Mapping[str, Any],
        arrived: Callable[[], float], size: int,
    ) -> None:  # fmt: skip
        self.device_seconds += max(0.0, arrived() - notes["seconds"])
        for probe, tensors in read:
            layers = {name: tensor.numpy() for name, tensor in tensors.items()}
            self.sink.write(Snapshot(step, layers, settle(row), notes, probe.name))
        if self.retention is not None:
            for old in self.retention.add(step, size):
                self._forget(old, [probe for probe, _ in read])

    def _forget(self, step: int, probes: Sequence[Probe]) -> None:
        """Free a snapshot's disk space; its scalars and measurements stay."""
        for probe in probes:
            with suppress(InputError):  # a watch before had other probe sets
                cast(Any, self.sink).forget(step, probe.name)
        self.sink.report("thinned", {"step": step})

    def _report(self, name: str, detail: Mapping[str, Any]) -> None:
        """Report an event, after those that a full disk did not take."""
        self._untold.append((name, detail))
        while self._untold:
            self.sink.report(*self._untold[0])
            self._untold.popleft()

    def _record(self, rows: Mapping[int, Row]) -> None:
        for step, row in rows.items():
            self.sink.record(step, settle(row))

    def _failed(self, job: str, error: Exception) -> None:
        if job == "event":  # reporting that a report failed would not end
            self.faults.counts["event"] += 1
        else:
            self.faults.add(job, error)
