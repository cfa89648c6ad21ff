"""A run: one training, recorded in one directory, written by one process and read by any number."""

from __future__ import annotations

import contextlib
import datetime
import functools
import hashlib
import math
import os
import threading
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from infoplane.errors import (
    CorruptRunError,
    InputError,
    NotARunError,
    RunExistsError,
    StoreError,
)
from infoplane.store import codec, files, header, snapshots
from infoplane.store.annotator import Annotator, lines_of
from infoplane.store.index import ENDS, Entry, Index
from infoplane.store.journal import MAIN, Follower, JournalWriter
from infoplane.store.lock import RunLock, is_held
from infoplane.store.tail import Tail
from infoplane.types import Layer, Measurement, ProbeData, Snapshot

Resume = Literal["never", "allow", "must"]
State = Literal["live", "finished", "interrupted", "stalled", "failed", "broken", "empty"]
FLOATS = ("float16", "float32", "float64")


@dataclass(frozen=True, slots=True)
class RunStatus:
    """How a run stands.

    Attributes
    ----------
    state : str
        live (a living process writes it), finished, interrupted, failed (its writer said so), stalled
        (its writer is gone without a word), empty (nothing recorded), broken (cannot be read).
    reason : str
        One sentence for people; empty when the state says it all.
    age_seconds : float
        Time since its journal last grew, by the clocks of two machines: a label.
    last_step : int or None
        Latest step with a snapshot or a scalar.
    """

    state: State
    reason: str = ""
    age_seconds: float = 0.0
    last_step: int | None = None


class Run:
    """One recorded training. Make one with `Run.create` (to write) or `open_run` (to read).

    A writer is a sink for capture: `begin`, `write`, `record`, `report`, `end`. What such a call has
    returned from survives the process's death at once; snapshots, measurements and ends survive a
    power cut too, scalars and events from the next of those on. In a forked child a writer is inert.

    The reading side is the state at opening, at the last `refresh`, or after the run's own writes.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, dtype: str = "float32", _main_only: bool = False
    ) -> None:
        self.path = Path(path).absolute()
        self._dtype = dtype
        self._pid = os.getpid()
        self._mutex = threading.RLock()
        self._lock: RunLock | None = None
        self._journal: JournalWriter | None = None
        self._header = header.read(self.path)
        for folder in (self._journals, self._snapshots):
            if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
                raise CorruptRunError(f"{str(folder)!r} must be a folder of the run itself.")
        self._follower = Follower(self._journals, main_only=_main_only)
        self._index = Index()
        self._entries: dict[tuple[str, int], Entry] | None = None
        self._measurements: list[Measurement] | None = None
        self._stale = False
        self._to_end = False
        self.refresh()

    @property
    def _journals(self) -> Path:
        return self.path / "journal"

    @property
    def _snapshots(self) -> Path:
        return self.path / "snapshots"

    # -- opening -----------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        *,
        name: str | None = None,
        resume: Resume = "never",
        config: Mapping[str, Any] | None = None,
        dtype: str = "float32",
    ) -> Run:
        """Start a run in a folder, or go on with the one that is there.

        Parameters
        ----------
        path : path
            The run's folder; made with its parents.
        name : str, optional
            For people; the folder's name by default.
        resume : "never", "allow" or "must"
            What to do when a run is there: refuse, go on with it, or insist that there is one. After a
            restart at step a, the steps that the earlier session had reached beyond it leave the view.
        config : mapping, optional
            Settings of the training, kept as JSON.
        dtype : "float32", "float16" or "float64"
            In which floats are stored. float16 halves the disk and costs kNN estimates up to 0.02 nat.

        Raises
        ------
        RunExistsError
            If a run is there and `resume` is "never".
        NotARunError
            If there is none and `resume` is "must", or the folder holds something else.
        RunLockedError
            If another process is writing the run.
        StoreError
            If the folder cannot be written.
        """
        root = Path(path).absolute()
        if resume not in ("never", "allow", "must"):
            raise InputError(f"`resume` must be 'never', 'allow' or 'must'; got {resume!r}.")
        if dtype not in FLOATS:
            raise InputError(f"`dtype` must be one of {FLOATS}; got {dtype!r}.")
        _check_place(root, resume)
        with files.reported("create the run", root):
            for folder in (root, root / "journal", root / "snapshots"):
                files.make_folder(folder)
            lock = RunLock(root / "lock")
        try:
            return cls._locked(root, lock, name, resume, config, dtype)
        except BaseException:
            lock.release()
            raise

    @classmethod
    def _locked(
        cls,
        root: Path,
        lock: RunLock,
        name: str | None,
        resume: Resume,
        config: Mapping[str, Any] | None,
        dtype: str,
    ) -> Run:
        settings = None if config is None else codec.plain(config)
        _check_place(root, resume)  # again: somebody may have been quicker
        _remove_temporaries(root)
        if not (root / header.FILE).exists():
            header.write(root, _new_header(name or root.name, settings or {}))
        run = cls(root, dtype=dtype)
        run._lock = lock
        run._journal = JournalWriter(root / "journal" / f"{MAIN}.jsonl", run._follower.main.seq + 1)
        run._append("open", {} if settings is None else {"config": settings})
        return run

    def close(self) -> None:
        """End the writing (as "finished" unless `end` said otherwise) and free the lock.

        Harmless on a run that is read-only or closed. Reading goes on working.
        """
        if not self._mine():
            return
        try:
            if self._to_end:
                self.end("finished")
        finally:
            journal, self._journal = self._journal, None
            lock, self._lock = self._lock, None
            if journal is not None:
                journal.close()
            if lock is not None:
                lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None and self._to_end:
            stopped = issubclass(kind, KeyboardInterrupt | SystemExit)
            with contextlib.suppress(StoreError):  # the block's own error is the one to tell
                self.end("interrupted" if stopped else "failed")
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return open_run, (self.path,)

    def __repr__(self) -> str:
        return f"<Run {self.name!r} at {str(self.path)!r}: {len(self.steps)} steps>"

    # -- writing: the sink that capture knows ------------------------------------------------------

    def begin(
        self,
        probes: tuple[ProbeData, ...] = (),
        layers: tuple[Layer, ...] = (),
        info: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep the probe sets and the layer table; what is written next belongs to this start.

        Raises
        ------
        StoreError
            If a probe set differs from the one of the same name that the run was started with.
        """
        if not self._writable():
            return
        with self._mutex:
            for probe in probes:
                self._keep_probe(probe)
            self._keep_layers(tuple(layers))
            ids = self._header.ids()
            order = [ids[layer.name] for layer in layers]
            self._append("begin", {"layers": order, "info": codec.plain(info or {})})

    def _keep_probe(self, probe: ProbeData) -> None:
        arrays = {"x": snapshots.storable(probe.x)}
        if probe.y is not None:
            arrays["y"] = snapshots.storable(probe.y)
        digest = _digest(arrays, probe.target)
        for row in self._header.probes:
            if row.name == probe.name and row.digest == digest:
                return
            if row.name == probe.name:
                raise StoreError(
                    f"The probe {probe.name!r} must be the one that the run {self.name!r} was "
                    "started with; its samples differ. Give it another name, or start a new run."
                )
        stem = f"{MAIN}-{self._writer.reserve():08d}"
        stored = snapshots.save(self._snapshots, stem, arrays)
        self._append("probe", {"name": probe.name, **snapshots.encode(stored)})
        row = header.ProbeRow(
            probe.name, probe.target, digest, len(arrays["x"]), label_entropy(probe)
        )
        self._replace_header(replace(self._header, probes=(*self._header.probes, row)))

    def _keep_layers(self, layers: tuple[Layer, ...]) -> None:
        changed = self._header.with_layers(layers)
        if changed != self._header:
            self._replace_header(changed)

    def _replace_header(self, changed: header.Header) -> None:
        header.write(self.path, changed)
        self._header = changed

    def write(self, snapshot: Snapshot) -> None:
        """Keep a snapshot: when this returns, it survives a power cut.

        Raises
        ------
        InputError
            If a layer is not (n, d), or the step is negative.
        StoreError
            If the disk is full or refuses; the run stays readable and writable.
        """
        if not self._writable():
            return
        step = _step(snapshot.step)
        arrays = {
            name: _layer_array(name, array, self._dtype) for name, array in snapshot.layers.items()
        }
        scalars, info = codec.encode_scalars(snapshot.scalars), codec.plain(snapshot.info)
        with self._mutex:
            ids = self._ids_for(arrays)
            tensors = {f"L{ids[name]:04d}": array for name, array in arrays.items()}
            stem = f"{MAIN}-{self._writer.reserve():08d}"
            stored = snapshots.save(self._snapshots, stem, tensors)
            body = {"step": step, "probe": snapshot.probe, **snapshots.encode(stored)}
            self._append("snapshot", {**body, "scalars": scalars, "info": info})

    def _ids_for(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, int]:
        ids = self._header.ids()
        unknown = {name: array for name, array in arrays.items() if name not in ids}
        if unknown:
            self._keep_layers(tuple(_bare_layer(name, array) for name, array in unknown.items()))
            ids = self._header.ids()
        return ids

    def record(self, step: int, scalars: Mapping[str, float]) -> None:
        """Keep scalars of a step; NaN and infinities are kept as what they are."""
        if self._writable():
            body = {"step": _step(step), "scalars": codec.encode_scalars(scalars)}
            self._append("scalars", body, sync=False)

    def report(self, event: str, detail: Mapping[str, Any] | None = None) -> None:
        """Keep an event."""
        if self._writable():
            body = {"event": str(event), "detail": codec.plain(detail or {})}
            self._append("event", body, sync=False)

    def end(self, status: str) -> None:
        """Say how the recording ended: "finished", "interrupted" or "failed"."""
        if status not in ENDS:
            raise InputError(f"`status` must be one of {ENDS}; got {status!r}.")
        if self._writable():
            self._append("end", {"status": status})

    def measure(self, measurements: Iterable[Measurement]) -> int:
        """Keep measurements in the writer's own journal, as an online evaluator does."""
        if not self._writable():
            return 0
        rows = [codec.encode_measurement(self._stamped(row)) for row in measurements]
        with self._mutex:
            self._writer.append_many("measurements", lines_of(rows))
            self._stale = self._to_end = True
        return len(rows)

    def forget(self, step: int, probe: str | None = None) -> None:
        """Delete a snapshot's arrays to save disk; its measurements and scalars stay.

        Raises
        ------
        InputError
            If there is no such snapshot.
        """
        if not self._writable():
            return
        entry = self._entry(step, probe)
        self._append("forget", {"step": step, "probe": entry.probe})
        files.remove(self._snapshots / entry.stored.file)

    def _append(self, kind: str, body: Mapping[str, Any], *, sync: bool = True) -> None:
        with self._mutex:
            self._stale = True
            self._writer.append(kind, body, sync=sync)
            self._to_end = kind not in ("open", "end")

    @property
    def _writer(self) -> JournalWriter:
        if self._journal is None:
            raise StoreError(
                f"The run {str(self.path)!r} is open for reading only, or closed. To record into it, "
                "use `Run.create(path, resume='allow')`; to add measurements, `run.annotator()`."
            )
        return self._journal

    def _mine(self) -> bool:
        return self._pid == os.getpid()

    def _writable(self) -> bool:
        """False in a forked child, where a writer does nothing; an error when there is no writer."""
        return self._mine() and self._writer is not None

    def annotator(self) -> Annotator:
        """A second, independent writer for measurements and notes; no lock, any process."""
        return Annotator(self._journals, self._stamped)

    def _stamped(self, row: Measurement) -> Measurement:
        if row.snapshot:
            return row
        entry = self._view().get((row.probe, row.step))
        return replace(row, snapshot=entry.stored.crc) if entry else row

    # -- reading -----------------------------------------------------------------------------------

    def refresh(self) -> int:
        """Read what the journals have gained; return how many records (0.1 ms for none)."""
        with self._mutex:
            with files.reported("read the journals of", self.path):
                records = self._follower.poll()
            for writer, record in records:
                self._index.apply(writer, record)
            self._stale = False
            if records:
                self._entries = self._measurements = None
                if self._journal is None and any(r["kind"] in _TABLE for _, r in records):
                    self._header = header.read(self.path)
            return len(records)

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
        """Steps with a snapshot of a probe set, growing."""
        name = self._probe(probe)
        return sorted(at for (of, at), entry in self._view().items() if of == name and entry.kept)

    def _probe(self, probe: str | None) -> str:
        if probe is not None:
            return probe
        names = self.probes
        return names[0] if names else "probe"

    def probe(self, name: str | None = None) -> ProbeData:
        """The arrays of a probe set.

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
                f"its steps are {_shortened(self.steps_of(name))}."
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
        """Representation T of one layer at one step, (n, d); only its bytes are read.

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
                f"The snapshot at step {step} has no layer {layer!r}; it has {_shortened(tensors)}."
            )
        return snapshots.load(self._snapshots, entry.stored, tensors[layer])

    def snapshot(self, step: int, probe: str | None = None) -> Snapshot:
        """All layers at one step, in the network's order, with scalars and notes."""
        entry = self._entry(step, probe)
        tensors = self._tensors(entry)
        arrays = {
            name: snapshots.load(self._snapshots, entry.stored, tensors[name])
            for name in self.layers
            if name in tensors
        }
        return Snapshot(step, arrays, entry.scalars, entry.info, entry.probe)

    def snapshot_crc(self, step: int, probe: str | None = None) -> int:
        """Checksum of a snapshot's file: its identity in the keys of measurements."""
        return self._entry(step, probe).stored.crc

    def scalars(self) -> dict[str, dict[int, float]]:
        """Recorded scalars: name → {step: value}, by growing step; values may be NaN."""
        self._view()
        return self._index.scalars()

    def measurements(self) -> list[Measurement]:
        """Measurements in the view, the latest of each key, by growing step."""
        with self._mutex:
            entries = self._view()
            if self._measurements is None:
                rows = self._index.measurements(entries)
                self._measurements = sorted(rows, key=lambda row: row.step)
            return list(self._measurements)

    def events(self) -> list[dict[str, Any]]:
        """What capture and others reported: ``{"event", "detail", "time"}`` each."""
        self._view()
        return list(self._index.events)

    def annotations(self, kind: str) -> list[dict[str, Any]]:
        """Notes of one kind, each annotator's in order."""
        self._view()
        return list(self._index.annotations.get(kind, []))

    def tail(self, *, replay: bool = True) -> Tail:
        """Follow the run's journals, from the start or (``replay=False``) from now on."""
        return Tail(self._journals, replay=replay)

    def status(self) -> RunStatus:
        """How the run stands now (polls the journals)."""
        self.refresh()
        scalars = [step for values in self.scalars().values() for step in values]
        last = max([*(step for _, step in self._view()), *scalars], default=None)
        state, reason = self._state(last)
        damaged = self._follower.damaged + self._index.rejected
        notes = [reason, f"{damaged} damaged lines were skipped" if damaged else ""]
        notes += [f"journal {name} is unreadable" for name in self._follower.unreadable]
        return RunStatus(state, "; ".join(filter(None, notes)), self._age(), last)

    def _state(self, last: int | None) -> tuple[State, str]:
        main = self._follower.main
        if main.damaged and main.seq < 0:
            return "broken", "no line of its journal can be read"
        if self._index.ended is not None:
            return self._index.ended, ""  # type: ignore[return-value]
        held = is_held(self.path / "lock")
        if held or (held is None and self._age() < _FRESH_SECONDS):
            return "live", ""
        if last is None and not self._index.begun and not self._index.rows:
            return "empty", "nothing was recorded"
        return "stalled", "its writer is gone without an end: it was killed or lost its machine"

    def _age(self) -> float:
        try:
            modified = os.lstat(self._follower.main.path).st_mtime
        except OSError:
            return 0.0
        return max(0.0, time.time() - modified)


_TABLE = ("begin", "probe", "snapshot")
_FRESH_SECONDS = 60.0


def open_run(path: str | os.PathLike[str]) -> Run:
    """Open a run for reading, whoever writes it; needs no permission to write.

    Raises
    ------
    NotARunError
        If the folder holds no run.
    FormatError
        If a newer infoplane wrote it in a format this one cannot read.
    CorruptRunError
        If it is damaged beyond reading.
    """
    return Run(path)


# -- helpers of the above --------------------------------------------------------------------------


def _check_place(root: Path, resume: Resume) -> None:
    """Refuse to overwrite a run, to resume none, and to scatter files over a foreign folder."""
    if (root / header.FILE).exists():
        if resume == "never":
            raise RunExistsError(
                f"There is a run at {str(root)!r} already and it is never overwritten. Choose another "
                "folder, or pass resume='allow' to go on with it."
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
            f"{str(root)!r} holds other files ({_shortened(sorted(foreign))}) and no run. "
            "Choose a new or an empty folder."
        )


def _remove_temporaries(root: Path) -> None:
    """What a writer left that was killed in the middle of a file; we hold its lock."""
    for folder in (root, root / "snapshots"):
        for name in files.names(folder):
            if name.endswith(".tmp"):
                files.remove(folder / name)


def _new_header(name: str, config: Mapping[str, Any]) -> header.Header:
    from infoplane import __version__

    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return header.Header(uuid.uuid4().hex, name, now, config, software=f"infoplane {__version__}")


def _step(step: Any) -> int:
    if isinstance(step, bool) or not isinstance(step, int | np.integer) or step < 0:
        raise InputError(f"`step` must be an int of at least 0; got {step!r}.")
    return int(step)


def _layer_array(name: str, array: NDArray[Any], dtype: str) -> NDArray[Any]:
    array = snapshots.storable(array, dtype)
    if array.ndim != 2:
        raise InputError(
            f"The representation of {name!r} must be (n, d); got shape {array.shape}. "
            "Reduce it before it is written."
        )
    return array


def _bare_layer(name: str, array: NDArray[Any]) -> Layer:
    """Row of a layer that nobody announced."""
    width = array.shape[1]
    return Layer(name, "", (width,), width, "", dtype=array.dtype.name)


def _digest(arrays: Mapping[str, NDArray[Any]], target: str) -> str:
    digest = hashlib.blake2b(target.encode(), digest_size=16)
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.data)
    return digest.hexdigest()


def label_entropy(probe: ProbeData) -> float | None:
    """Plug-in H(Y) of a probe set's labels in nats; None for real targets or no labels."""
    if probe.y is None or probe.target != "class" or not len(probe.y):
        return None
    share = np.unique(probe.y, axis=0, return_counts=True)[1] / len(probe.y)
    return abs(-math.fsum(share * np.log(share)))


def _shortened(entries: Iterable[Any], most: int = 12) -> str:
    """A list for a message, its middle left out when it is long."""
    listed = [str(entry) for entry in entries]
    if len(listed) > most:
        listed = [*listed[: most - 2], "…", listed[-1]]
    return ", ".join(listed) or "none"
