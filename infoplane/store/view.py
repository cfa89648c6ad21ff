"""The reading side of a run."""

from __future__ import annotations

import os
import stat
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from infoplane.errors import CorruptRunError, InputError
from infoplane.store import files, header, snapshots
from infoplane.store.annotator import Annotator
from infoplane.store.index import Entry, Index
from infoplane.store.journal import Follower, records_of
from infoplane.store.kept import Arrays, keep
from infoplane.store.lock import look_at
from infoplane.store.status import RunStatus, assess
from infoplane.store.stretch import Stretch
from infoplane.store.tail import Tail
from infoplane.types import FloatArray, IntArray, Layer, Measurement, ProbeData, Snapshot

_TABLE = ("begin", "probe", "snapshot")


class _Queue:
    """Records that a tail has not asked for yet; goes with its tail."""

    def __init__(self) -> None:
        self.records: list[tuple[str, dict[str, Any]]] = []


class View:
    """What is recorded in a run, as of opening, the last `refresh`, or the run's own last write.

    Parameters
    ----------
    path : path
        The run.
    brief : bool
        Read only what a list of runs tells: neither measurements nor every scalar.
    """

    def __init__(self, path: str | os.PathLike[str], *, brief: bool = False) -> None:
        self.path = Path(path).absolute()
        self._mutex = threading.RLock()
        self._header = header.read(self.path)
        self._header_due = False
        self._own_header = False  # a writer's table in memory is ahead of the one on disk
        for folder in (self._journals, self._snapshots, self._kept):
            if (mode := files.mode_of(folder)) and not stat.S_ISDIR(mode):
                raise CorruptRunError(
                    f"{str(folder)!r} must be a folder of the run itself; it is a link or a file. "
                    "Copy the whole run here."
                )
        self._follower = Follower(self._journals, brief=brief)
        self._index = Index(measurements=not brief)
        self._entries: dict[tuple[str, int], Entry] | None = None
        self._measurements: list[Measurement] | None = None
        self._stale = False
        self._queues: weakref.WeakSet[_Queue] = weakref.WeakSet()
        self.refresh()

    @property
    def _journals(self) -> Path:
        return self.path / "journal"

    @property
    def _snapshots(self) -> Path:
        return self.path / "snapshots"

    @property
    def _kept(self) -> Path:
        return self.path / "kept"

    def refresh(self) -> int:
        """Read what the journals have gained; return how many records (0.1 ms for none)."""
        with self._mutex:
            count = sum(self._take(writer, read) for writer, read in self._follower.read())
            self._stale = False
            if self._header_due and not self._own_header:
                self._header = header.read(self.path)
                self._header_due = False
            return count

    def _take(self, writer: str, read: dict[str, Any] | Stretch) -> int:
        """Take in one record, or many of one kind; return how many."""
        self._entries = self._measurements = None
        if isinstance(read, Stretch):
            self._index.extend(writer, read)
        else:
            self._index.apply(writer, read)
            self._header_due |= read["kind"] in _TABLE
        for queue in tuple(self._queues):
            queue.records.extend((writer, record) for record in records_of(read))
        return len(read.steps) if isinstance(read, Stretch) else 1

    def _view(self) -> dict[tuple[str, int], Entry]:
        """Snapshots in the view, thinned ones included."""
        with self._mutex:
            if self._stale:
                self.refresh()
            if self._entries is None:
                self._entries = self._index.entries()
            return self._entries

    @property
    def uuid(self) -> str:
        """Random id: 32 hex digits, safe in an address."""
        return self._header.uuid

    @property
    def name(self) -> str:
        """Name for people; text from a stranger when the run is."""
        return self._header.name

    @property
    def config(self) -> Mapping[str, Any]:
        """Settings given at the start."""
        return self._header.config

    @property
    def created(self) -> str:
        """When it was started, ISO 8601 in UTC; a label."""
        return self._header.created

    @property
    def info(self) -> dict[str, Any]:
        """What capture said at its latest start."""
        self._view()
        return self._index.info

    @property
    def probes(self) -> list[str]:
        """Names of the probe sets; the first is the default."""
        names = [row.name for row in self._header.probes]
        return list(dict.fromkeys([*names, *(probe for probe, _ in self._view())]))

    def label_entropy(self, probe: str | None = None) -> float | None:
        """H(Y) of a probe set in nats; None for real targets or no labels."""
        name = self._probe(probe)
        return next((row.label_entropy for row in self._header.probes if row.name == name), None)

    @property
    def layer_table(self) -> tuple[Layer, ...]:
        """The layers in the network's order."""
        self._view()
        table, ids = self._header.layers, self._header.ids()
        latest = dict.fromkeys(
            table[index].name for index in self._index.order if index in range(len(table))
        )
        return tuple(table[ids[name]] for name in dict.fromkeys([*latest, *ids]))

    @property
    def layers(self) -> list[str]:
        """Names of the layers in the network's order."""
        return [layer.name for layer in self.layer_table]

    @property
    def steps(self) -> list[int]:
        """Steps with a snapshot of the default probe set, growing."""
        return self.steps_of(None)

    def steps_of(self, probe: str | None) -> list[int]:
        """List the steps with a snapshot of a probe set, growing."""
        name = self._probe(probe)
        return sorted(at for (of, at), entry in self._view().items() if of == name and entry.kept)

    def held_bytes(self) -> dict[int, int]:
        """Tell how many bytes the snapshots of each step take on disk, of all probe sets."""
        held: dict[int, int] = {}
        for (_, step), entry in self._view().items():
            if entry.kept:
                held[step] = held.get(step, 0) + entry.stored.bytes
        return held

    def _probe(self, probe: str | None) -> str:
        if probe is not None:
            return probe
        names = self.probes
        return names[0] if names else "probe"

    def probe(self, name: str | None = None) -> ProbeData:
        """Read the arrays of a probe set.

        Raises
        ------
        InputError
            If the run has no probe set of that name.
        CorruptSnapshotError
            If its file is damaged.
        """
        name = self._probe(name)
        self._view()
        stored = self._index.probes.get(name)
        rows = [row for row in self._header.probes if row.name == name]
        if stored is None or not rows:
            raise InputError(
                f"The run {self.name!r} has no arrays of a probe {name!r}; it has {self.probes}."
            )
        arrays = {t.key: snapshots.load(self._snapshots, stored, t) for t in stored.tensors}
        if "x" not in arrays:
            raise CorruptRunError(f"The probe {name!r} has no `x`. Copy the run again.")
        return ProbeData(arrays["x"], arrays.get("y"), rows[0].target, name)

    def _entry(self, step: int, probe: str | None) -> Entry:
        name = self._probe(probe)
        entry = self._view().get((name, step))
        if entry is None:
            raise InputError(
                f"The run {self.name!r} has no snapshot of {name!r} at step {step}; "
                f"its steps are {shortened(self.steps_of(name))}."
            )
        return entry

    def _tensors(self, entry: Entry) -> dict[str, snapshots.Tensor]:
        """Tensors of a snapshot by layer name."""
        if not entry.kept:
            raise InputError(
                f"The snapshot at step {entry.step} was thinned out to save disk; "
                "its measurements are still there."
            )
        table = self._header.layers
        return {
            table[index].name: tensor
            for tensor in entry.stored.tensors
            if tensor.key.startswith("L") and (index := int(tensor.key[1:])) < len(table)
        }

    def load(self, step: int, layer: str, probe: str | None = None) -> NDArray[Any]:
        """Read the representation T of one layer at one step, (n, d); only its bytes are read.

        Raises
        ------
        InputError
            If there is no such step or layer.
        CorruptSnapshotError
            If the file is missing or damaged.
        """
        entry = self._entry(step, probe)
        tensors = self._tensors(entry)
        if layer not in tensors:
            raise InputError(
                f"The snapshot at step {step} has no layer {layer!r}; it has {shortened(tensors)}."
            )
        return snapshots.load(self._snapshots, entry.stored, tensors[layer])

    def snapshot(self, step: int, probe: str | None = None) -> Snapshot:
        """Read all layers at one step, in the network's order, with scalars and notes."""
        entry = self._entry(step, probe)
        tensors = self._tensors(entry)
        arrays = {
            name: snapshots.load(self._snapshots, entry.stored, tensors[name])
            for name in self.layers
            if name in tensors
        }
        return Snapshot(step, arrays, entry.scalars, entry.info, entry.probe)

    def snapshot_crc(self, step: int, probe: str | None = None) -> int:
        """Return the checksum of a snapshot's file: its identity in the keys of measurements."""
        return self._entry(step, probe).stored.crc

    def scalars(self) -> dict[str, dict[int, float]]:
        """Return the recorded scalars: name → {step: value}, by growing step; values may be NaN."""
        return {
            name: dict(zip(steps.tolist(), values.tolist(), strict=True))
            for name, (steps, values) in self.curves().items()
        }

    def curves(self) -> dict[str, tuple[IntArray, FloatArray]]:
        """Return the recorded scalars as arrays: name → (steps, growing; values)."""
        self._view()
        return self._index.curves()

    def measurements(self) -> list[Measurement]:
        """Return the measurements in the view, the latest of each key, by growing step."""
        with self._mutex:
            entries = self._view()
            if self._measurements is None:
                rows = self._index.measurements(entries)
                self._measurements = sorted(rows, key=lambda row: row.step)
            return list(self._measurements)

    def events(self) -> list[dict[str, Any]]:
        """List what capture and others reported: ``{"event", "detail", "time"}`` each."""
        self._view()
        return list(self._index.events)

    def annotations(self, kind: str) -> list[dict[str, Any]]:
        """List the notes of one kind, each annotator's in order."""
        self._view()
        return list(self._index.annotations.get(kind, []))

    def tail(self, *, replay: bool = True) -> Tail:
        """Follow the run's journals, from the start or (``replay=False``) from now on.

        The latter shares the run's own reading: what the run has read, it does not read again.
        """
        if replay:
            return Tail.replaying(self._journals)
        with self._mutex:
            self.refresh()
            queue = _Queue()
            self._queues.add(queue)

        def poll() -> list[tuple[str, dict[str, Any]]]:
            with self._mutex:
                self.refresh()
                records, queue.records = queue.records, []
                return records

        return Tail(poll)

    def status(self) -> RunStatus:
        """Tell how the run stands now (polls the journals)."""
        hold = look_at(self.path / "lock")  # asked first: who lets go has told its end before
        self.refresh()
        return assess(hold, self._follower, self._index, self._index.last_step)

    def kept(self, name: str, make: Callable[[], Arrays]) -> dict[str, NDArray[Any]]:
        """Return the arrays kept in the run under a name; make and keep them when there are none.

        For what is costly to make and wanted by every later evaluation and every worker process:
        no lock, any process; of several at once the first one's arrays are those that stay. The
        name (lower-case letters, digits, hyphens) must say all that the arrays depend on.
        """
        return keep(self._kept, name, make)

    def annotator(self) -> Annotator:
        """Make a second, independent writer for measurements and notes; no lock, any process."""
        return Annotator(self._journals, self._stamped)

    def _stamped(self, rows: Iterable[Measurement]) -> list[Measurement]:
        """Name the snapshot that each measurement was made from, where its maker did not."""
        rows = list(rows)
        if any(not row.snapshot and (row.probe, row.step) not in self._view() for row in rows):
            self.refresh()
        entries = self._view()
        return [
            replace(row, snapshot=entry.stored.crc)
            if not row.snapshot and (entry := entries.get((row.probe, row.step)))
            else row
            for row in rows
        ]


def shortened(entries: Iterable[Any], most: int = 12) -> str:
    """Join a list for a message, its middle left out when it is long."""
    listed = [str(entry) for entry in entries]
    if len(listed) > most:
        listed = [*listed[: most - 2], "…", listed[-1]]
    return ", ".join(listed) or "none"
