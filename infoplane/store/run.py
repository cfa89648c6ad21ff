"""A run: one training, recorded in one directory, written by one process and read by any number."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import threading
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from infoplane.errors import InputError, StoreError
from infoplane.store import codec, files, header, place, snapshots
from infoplane.store.annotator import lines_of
from infoplane.store.index import ENDS
from infoplane.store.journal import MAIN, JournalWriter
from infoplane.store.line import LINE_CAP
from infoplane.store.lock import RunLock
from infoplane.store.view import View
from infoplane.types import Layer, Measurement, ProbeData, Snapshot

FLOATS = ("float16", "float32", "float64")
_RECORDING = ("begin", "snapshot", "scalars")


class Run(View):
    """One recorded training. Make one with `Run.create` (to write) or `open_run` (to read).

    A writer is a sink for capture: `begin`, `write`, `record`, `report`, `end`. What such a call
    has returned from survives the process's death at once; snapshots, measurements and ends survive
    a power cut too, scalars and events from the next of those on. In a forked child a writer does
    nothing.

    The reading side is the state at opening, at the last `refresh`, or after the run's own writes.
    """

    def __init__(self, path: str | os.PathLike[str], *, dtype: str = "float32") -> None:
        super().__init__(path)
        self._dtype = dtype
        self._pid = os.getpid()
        self._lock: RunLock | None = None
        self._journal: JournalWriter | None = None
        self._to_end = False  # something was recorded and no end of it was
        self._failure = ""  # what was reported as the reason of a failure
        self._ending: str | None = None  # how it ended, where that could not be written

    # -- opening and closing -----------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        *,
        name: str | None = None,
        resume: place.Resume = "never",
        config: Mapping[str, Any] | None = None,
        dtype: str = "float32",
    ) -> Self:
        """Start a run in a folder, or go on with the one that is there.

        Parameters
        ----------
        path : path
            The run's folder; made with its parents.
        name : str, optional
            For people; the folder's name by default.
        resume : "never", "allow" or "must"
            What to do when a run is there: refuse, go on with it, or insist that there is one.
            After a restart at step a, the steps that the earlier session had reached beyond it
            leave the view.
        config : mapping, optional
            Settings of the training, kept as JSON; those of the first start stay.
        dtype : "float32", "float16" or "float64"
            In which floats are stored. float16 halves the disk and costs kNN estimates up to
            0.02 nat.

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
        settings = None if config is None else codec.plain(config)
        with files.reported("create the run", root):
            place.check(root, resume)
            place.make(root)
            lock = RunLock(root / "lock")
            try:
                place.check(root, resume)  # again: somebody may have been quicker
                place.tidy(root)
                if not (root / header.FILE).exists():
                    title = codec.word(name or root.name, "name")
                    header.write(root, place.new_header(title, settings or {}))
                run = cls(root, dtype=dtype)
                run._start(lock, settings)
            except BaseException:
                lock.release()
                raise
        return run

    def _start(self, lock: RunLock, config: Mapping[str, Any] | None) -> None:
        """Become the writer."""
        number = max(self._follower.main.seq, place.highest_number(self._snapshots)) + 1
        self._journal = JournalWriter(self._journals / f"{MAIN}.jsonl", number)
        try:
            self._append("open", {} if config is None else {"config": config})
        except BaseException:
            self._journal.close()
            raise
        self._lock = lock
        self._own_header = True
        _WRITERS.add(self)

    def close(self) -> None:
        """End the writing (as "finished" unless `end` said otherwise) and free the lock.

        Harmless on a run that is read-only or closed. Reading goes on working.
        """
        if self._pid != os.getpid():
            return
        try:
            if self._to_end:
                told = () if self._ending is None else (StoreError,)  # it failed once, with a word
                with contextlib.suppress(*told):
                    self.end(self._ending or "finished")
        finally:
            self._to_end = self._own_header = False
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
            if not stopped:
                self._failure = f"{kind.__name__}: {error}"[:300]
            with contextlib.suppress(StoreError):  # the block's own error is the one to tell
                self.end("interrupted" if stopped else "failed")
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return open_run, (self.path,)

    def __repr__(self) -> str:
        return f"<Run {self.name!r} at {str(self.path)!r}: {len(self.steps)} steps>"

    # -- the sink that capture knows ---------------------------------------------------------------

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
        stored = snapshots.save(self._snapshots, self._new_stem(), arrays)
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

    def _new_stem(self) -> str:
        return f"{MAIN}-{self._writer.reserve():08d}"

    def write(self, snapshot: Snapshot) -> None:
        """Keep a snapshot: when this returns, it survives a power cut.

        Raises
        ------
        InputError
            If a layer is not (n, d), or the step is no count.
        StoreError
            If the disk is full or refuses; the run stays readable and writable.
        """
        if not self._writable():
            return
        step = _step(snapshot.step)
        arrays = {
            name: _layer_array(name, array, self._dtype) for name, array in snapshot.layers.items()
        }
        notes = _notes(snapshot)
        with self._mutex:
            ids = self._ids_for(arrays)
            stem = self._new_stem()
        tensors = {f"L{ids[name]:04d}": array for name, array in arrays.items()}
        stored = snapshots.save(self._snapshots, stem, tensors)
        try:
            self._append("snapshot", {"step": step, **snapshots.encode(stored), **notes})
        except StoreError:
            if self._writer.torn:  # no line names the file, nor ever will
                files.remove(self._snapshots / stored.file)
            raise

    def _ids_for(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, int]:
        """Id of each layer; a layer that nobody announced gets a row of its own."""
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
        """Keep an event; the ``error`` of a "failure" becomes the reason of the run's end."""
        if self._writable():
            if event == "failure":
                self._failure = str((detail or {}).get("error", ""))[:300]
            body = {"event": codec.word(event, "event"), "detail": codec.plain(detail or {})}
            self._append("event", body, sync=False)

    def end(self, status: str) -> None:
        """Say how the recording ended: "finished", "interrupted" or "failed"."""
        if status not in ENDS:
            raise InputError(f"`status` must be one of {ENDS}; got {status!r}.")
        if self._writable():
            self._ending = status
            reason = {"reason": self._failure} if status == "failed" and self._failure else {}
            self._append("end", {"status": status, **reason})

    # -- more that the writer can do ---------------------------------------------------------------

    def measure(self, measurements: Iterable[Measurement]) -> int:
        """Keep measurements in the writer's own journal, as an online evaluator does."""
        if not self._writable():
            return 0
        rows = [codec.encode_measurement(row) for row in self._stamped(measurements)]
        with self._mutex:
            self._stale = True
            self._writer.append_many("measurements", lines_of(rows))
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
        self._append("forget", {"step": entry.step, "probe": entry.probe})
        files.remove(self._snapshots / entry.stored.file)

    def _append(self, kind: str, body: Mapping[str, Any], *, sync: bool = True) -> None:
        with self._mutex:
            self._stale = True
            if kind in _RECORDING:
                self._ending = None
            self._writer.append(kind, body, sync=sync)
            self._to_end = kind != "end" and (self._to_end or kind in _RECORDING)

    @property
    def _writer(self) -> JournalWriter:
        if self._journal is None:
            raise StoreError(
                f"The run {str(self.path)!r} is open for reading only, or closed. To record, "
                "use `Run.create(path, resume='allow')`; to add measurements, `run.annotator()`."
            )
        return self._journal

    def _writable(self) -> bool:
        """Return False for a writer's copy in a forked child, which does nothing."""
        return self._pid == os.getpid() and self._writer is not None


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


_WRITERS: weakref.WeakSet[Run] = weakref.WeakSet()


def _calm_child() -> None:
    """Replace mutexes in a forked child: one that another thread held would never be freed."""
    for run in _WRITERS:
        run._mutex = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_calm_child)


def _step(step: Any) -> int:
    if isinstance(step, bool) or not isinstance(step, int | np.integer) or not 0 <= step < 2**63:
        raise InputError(f"`step` must be an int of at least 0; got {step!r}.")
    return int(step)


def _notes(snapshot: Snapshot) -> dict[str, Any]:
    """Make what the journal says of a snapshot beside its arrays."""
    notes = {
        "probe": codec.word(snapshot.probe, "probe"),
        "scalars": codec.encode_scalars(snapshot.scalars),
        "info": codec.plain(snapshot.info),
    }
    if len(codec.dumps(notes)) > LINE_CAP // 3:
        raise InputError(
            f"`scalars` and `info` of the snapshot at step {snapshot.step} must have at most "
            f"{LINE_CAP // 3:,} characters. Keep larger things in a file of your own."
        )
    return notes


def _layer_array(name: str, array: NDArray[Any], dtype: str) -> NDArray[Any]:
    array = snapshots.storable(array, dtype)
    if array.ndim != 2:
        raise InputError(
            f"The representation of {name!r} must be (n, d); got shape {array.shape}. "
            "Reduce it before it is written."
        )
    return array


def _bare_layer(name: str, array: NDArray[Any]) -> Layer:
    width = array.shape[1]
    return Layer(name, "", (width,), width, "", dtype=array.dtype.name)


def _digest(arrays: Mapping[str, NDArray[Any]], target: str) -> str:
    digest = hashlib.blake2b(target.encode(), digest_size=16)
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def label_entropy(probe: ProbeData) -> float | None:
    """Plug-in H(Y) of a probe set's labels in nats; None for real targets or no labels."""
    if probe.y is None or probe.target != "class" or not len(probe.y):
        return None
    share = np.unique(probe.y, axis=0, return_counts=True)[1] / len(probe.y)
    return abs(math.fsum(share * np.log(share)))
