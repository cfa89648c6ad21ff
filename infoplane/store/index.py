"""What the journals' records amount to: the current view of a run.

Every ``open`` and ``begin`` record starts a *session*. A restart records steps again that an
earlier session had reached, so an earlier session's steps at or after the first step of a later one
are superseded: they stay in the file and leave the view, with their scalars and measurements.
Within a session the latest record of a (probe, step) counts, in whatever order steps come.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from infoplane.errors import CorruptRunError
from infoplane.store import codec, snapshots
from infoplane.store.journal import MAIN
from infoplane.store.stretch import Stretch
from infoplane.types import FloatArray, IntArray, Measurement, Status

Ended = Literal["finished", "interrupted", "failed"]
ENDS: tuple[Ended, ...] = ("finished", "interrupted", "failed")
ROW_CAP = 10_000


@dataclass(slots=True)
class Entry:
    """A snapshot in the view."""

    step: int
    probe: str
    stored: snapshots.Stored
    scalars: dict[str, float]
    info: dict[str, Any]
    kept: bool = True


@dataclass(slots=True)
class Curve:
    """One scalar as recorded, 16 bytes a value; of several at one step the latest counts."""

    steps: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))

    def extend(self, steps: Iterable[int], values: Iterable[float]) -> None:
        """Add values in the order in which they were recorded."""
        self.steps.extend(steps)
        self.values.extend(values)

    def before(self, step: int) -> Curve:
        """Return what lies before `step`."""
        if not self.steps or max(self.steps) < step:
            return self
        at, values = self._arrays()
        kept = at < step
        return Curve(array("q", at[kept].tobytes()), array("d", values[kept].tobytes()))

    def arrays(self) -> tuple[IntArray, FloatArray]:
        """Return steps, growing, and the value of each."""
        steps, values = self._arrays()
        if np.any(np.diff(steps) <= 0):
            order = np.argsort(steps, kind="stable")
            steps, values = steps[order], values[order]
            latest = np.append(steps[1:] != steps[:-1], True)
            steps, values = steps[latest], values[latest]
        return steps, values

    def _arrays(self) -> tuple[IntArray, FloatArray]:
        return np.array(self.steps, np.int64), np.array(self.values, np.float64)


@dataclass(slots=True)
class Session:
    """What was recorded between two starts, by the run's one writer."""

    start: int | None = None
    last: int | None = None
    entries: dict[tuple[str, int], Entry] = field(default_factory=dict)
    scalars: dict[str, Curve] = field(default_factory=dict)
    rows: dict[str, Measurement] = field(default_factory=dict)

    def drop_from(self, step: int) -> None:
        """Forget what lies at or after `step`."""
        self.entries = {key: entry for key, entry in self.entries.items() if key[1] < step}
        self.rows = {key: row for key, row in self.rows.items() if row.step < step}
        self.scalars = {name: curve.before(step) for name, curve in self.scalars.items()}
        if self.last is not None and self.last >= step:
            steps = [key[1] for key in self.entries]
            steps += [max(curve.steps) for curve in self.scalars.values() if curve.steps]
            self.last = max(steps, default=None)


class Index:
    """Accumulates records; each bad one is counted in `rejected` and hides no other.

    Parameters
    ----------
    measurements : bool
        Whether to read measurements too, most of a journal's bytes; a list of runs needs none.
    """

    def __init__(self, *, measurements: bool = True) -> None:
        self._passed_over = () if measurements else ("measurements",)
        self.sessions = [Session()]
        self.rows: dict[str, Measurement] = {}
        self.probes: dict[str, snapshots.Stored] = {}
        self.info: dict[str, Any] = {}
        self.order: list[int] = []
        self.events: list[dict[str, Any]] = []
        self.annotations: dict[str, list[dict[str, Any]]] = {}
        self.ended: Ended | None = None
        self.reason = ""  # of a failure
        self.begun = False
        self.rejected = 0

    def apply(self, writer: str, record: Mapping[str, Any]) -> None:
        """Take one record into account; kinds of later versions are passed over."""
        handler = (_HANDLERS if writer == MAIN else _ANYONE).get(record["kind"])
        if handler is None or record["kind"] in self._passed_over:
            return
        try:
            handler(self, writer, record)
        except CorruptRunError:
            self.rejected += 1

    def extend(self, writer: str, stretch: Stretch) -> None:
        """Take many records of scalars into account at once."""
        if writer != MAIN:
            return
        self._touch(min(stretch.steps))
        session = self._touch(max(stretch.steps))
        for name, values in stretch.columns.items():
            session.scalars.setdefault(name, Curve()).extend(stretch.steps, values)
        self.ended = None

    # -- the run's writer --------------------------------------------------------------------------

    def _on_open(self, _writer: str, _record: Mapping[str, Any]) -> None:
        self.sessions.append(Session())

    def _on_begin(self, writer: str, record: Mapping[str, Any]) -> None:
        self._on_open(writer, record)
        order = codec.items(record, "layers", snapshots.COUNT_CAP)
        if not all(type(index) is int for index in order):
            raise CorruptRunError("`layers` of a record must hold ids.")
        self.order = order
        self.info = codec.mapping(record, "info")
        self.begun, self.ended = True, None

    def _on_probe(self, _writer: str, record: Mapping[str, Any]) -> None:
        self.probes[codec.text(record, "name")] = snapshots.decode(record)

    def _on_snapshot(self, _writer: str, record: Mapping[str, Any]) -> None:
        entry = Entry(
            codec.integer(record, "step"),
            codec.text(record, "probe"),
            snapshots.decode(record),
            codec.decode_scalars(record),
            codec.mapping(record, "info"),
        )
        session = self._touch(entry.step)
        session.entries[entry.probe, entry.step] = entry
        self.ended = None
        _add_scalars(session, entry.step, entry.scalars)

    def _on_scalars(self, _writer: str, record: Mapping[str, Any]) -> None:
        step, scalars = codec.integer(record, "step"), codec.decode_scalars(record)
        _add_scalars(self._touch(step), step, scalars)
        self.ended = None

    def _on_forget(self, _writer: str, record: Mapping[str, Any]) -> None:
        key = codec.text(record, "probe"), codec.integer(record, "step")
        for session in self.sessions:
            if key in session.entries:
                session.entries[key].kept = False

    def _on_end(self, _writer: str, record: Mapping[str, Any]) -> None:
        status = codec.text(record, "status")
        self.ended = next((end for end in ENDS if end == status), "failed")
        reason = record.get("reason")
        self.reason = reason[:300] if isinstance(reason, str) else ""

    def _touch(self, step: int) -> Session:
        """Note that the current session has reached back to `step`, and return it."""
        current = self.sessions[-1]
        if current.start is None or step < current.start:
            current.start = step
            for earlier in self.sessions[:-1]:
                earlier.drop_from(step)
        current.last = step if current.last is None else max(current.last, step)
        return current

    # -- any writer --------------------------------------------------------------------------------

    def _on_measurements(self, writer: str, record: Mapping[str, Any]) -> None:
        rows, bad = codec.collect(codec.decode_measurement, codec.items(record, "rows", ROW_CAP))
        self.rejected += bad
        if isinstance(record, dict):
            record["rows"] = rows  # who follows the run need not read them again
        for row in rows:
            online = writer == MAIN and not row.snapshot
            target = self._touch(row.step).rows if online else self.rows
            if row.status is not Status.FAILED or target.get(row.key, row).status is Status.FAILED:
                target[row.key] = row

    def _on_event(self, _writer: str, record: Mapping[str, Any]) -> None:
        event = {"event": codec.text(record, "event"), "detail": codec.mapping(record, "detail")}
        self.events.append({**event, "time": codec.number(record.get("time"), "time")})

    def _on_annotation(self, _writer: str, record: Mapping[str, Any]) -> None:
        kind, detail = codec.text(record, "about"), codec.mapping(record, "detail")
        self.annotations.setdefault(kind, []).append(detail)

    # -- views -------------------------------------------------------------------------------------

    @property
    def last_step(self) -> int | None:
        """Latest step in the view with a snapshot, a scalar or an online measurement."""
        return max((s.last for s in self.sessions if s.last is not None), default=None)

    def entries(self) -> dict[tuple[str, int], Entry]:
        """Collect the snapshots in the view by (probe, step), thinned ones included."""
        return {key: entry for session in self.sessions for key, entry in session.entries.items()}

    def curves(self) -> dict[str, tuple[IntArray, FloatArray]]:
        """Merge the scalars in the view: name → (steps, growing; values)."""
        merged: dict[str, Curve] = {}
        for session in self.sessions:
            for name, curve in session.scalars.items():
                merged.setdefault(name, Curve()).extend(curve.steps, curve.values)
        return {name: curve.arrays() for name, curve in merged.items() if curve.steps}

    def measurements(self, entries: Mapping[tuple[str, int], Entry]) -> list[Measurement]:
        """Collect the measurements in the view: of the snapshots in `entries`, or of none."""
        rows = [
            row
            for row in self.rows.values()
            if not row.snapshot
            or ((entry := entries.get((row.probe, row.step))) and entry.stored.crc == row.snapshot)
        ]
        return rows + [row for session in self.sessions for row in session.rows.values()]


_ANYONE = {
    "measurements": Index._on_measurements,
    "event": Index._on_event,
    "annotation": Index._on_annotation,
}
_HANDLERS = _ANYONE | {
    "open": Index._on_open,
    "begin": Index._on_begin,
    "probe": Index._on_probe,
    "snapshot": Index._on_snapshot,
    "scalars": Index._on_scalars,
    "forget": Index._on_forget,
    "end": Index._on_end,
}


def _add_scalars(session: Session, step: int, scalars: Mapping[str, float]) -> None:
    for name, value in scalars.items():
        session.scalars.setdefault(name, Curve()).extend((step,), (value,))
