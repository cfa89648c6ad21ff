"""The recorder: ``with watch(model, probe, run) as w: … w.step(step, loss=loss)``."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import replace
from time import perf_counter
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from torch import nn

from infoplane.capture.clock import Clock, Fingerprint
from infoplane.capture.delivery import Delivery
from infoplane.capture.faults import tell
from infoplane.capture.gradients import GradientStatistics
from infoplane.capture.lap import Lap
from infoplane.capture.models import unwrap
from infoplane.capture.options import bytes_of, kinds_of, share_of
from infoplane.capture.probe import Probe, as_probes, home
from infoplane.capture.quiet import autocast_kind, undisturbed
from infoplane.capture.reader import Reader
from infoplane.capture.reduce import ReduceLike
from infoplane.capture.retention import Retention
from infoplane.capture.scalars import Scalars, held, settle
from infoplane.capture.schedule import ScheduleLike, as_schedule
from infoplane.capture.select import LayersLike, Selection
from infoplane.capture.sinks import as_sink
from infoplane.capture.taps import OUT_OF_MEMORY, Plan, Tap, find_taps
from infoplane.capture.weights import weight_statistics
from infoplane.errors import InputError
from infoplane.types import Sink, Snapshot

BARE: ContextVar[bool] = ContextVar("infoplane_bare", default=False)
"""True while `verify_neutrality` trains without capture."""

WITNESSES: ContextVar[list[Watcher] | None] = ContextVar("infoplane_witnesses", default=None)
"""While `verify_neutrality` trains: the watchers made, which then keep all scalars."""

LONGEST_GAP = 10_000  # scheduled steps looked for between two calls of step()
FLUSH_ROWS, FLUSH_SECONDS, COST_SECONDS = 256, 0.5, 5.0


def watch(
    model: nn.Module,
    probe: Probe | Sequence[Probe] | Mapping[str, Probe],
    run: Sink | Callable[[Snapshot], Any] | None,
    *,
    layers: LayersLike | None = None,
    every: ScheduleLike | None = None,
    reduce: ReduceLike | None = None,
    **options: Any,
) -> Watcher:
    """Watch a model while it trains; nothing about the training changes.

    Use as ``with watch(model, probe, run) as w:`` and call ``w.step(step, loss=loss)`` after each
    update.

    Parameters
    ----------
    model : nn.Module
        What is trained; torch.compile, DDP and DataParallel wrappers are looked through.
    probe : Probe, sequence of Probe, or mapping of name to Probe
        The fixed samples on which snapshots are taken.
    run : Run, any sink, callable taking a Snapshot, or None
        Where snapshots go. None watches nothing (for the other ranks of a distributed training).
    layers : None, str, iterable of str, or callable
        Names, globs (``"encoder.*"``) or ``predicate(name, module) -> bool``; None takes every leaf
        layer once, by its output after normalisation and activation.
    every : int, schedule or callable, default ``log_spaced(200)``
        At which steps a snapshot is taken.
    reduce : str, callable, mapping of layer glob to either, or None
        From an activation (n, …) to (n, d); None chooses by the kind of layer.
    **options
        See `Watcher`: ``units``, ``memory``, ``queue``, ``on_backpressure``, ``budget``, ``start``,
        ``seed``, ``capture``, ``disk``.

    Returns
    -------
    Watcher
        A context manager; entering attaches, leaving always detaches.
    """
    return Watcher(model, probe, run, layers=layers, every=every, reduce=reduce, **options)


class Watcher:
    """Takes snapshots on schedule; made by `watch`.

    Parameters
    ----------
    model, probe, run, layers, every, reduce
        As for `watch`.
    units : int
        Units of a layer kept at most (a fixed subset, drawn with a private seed).
    memory : int or str
        Bytes of one snapshot at most (``"256MB"``); beyond that a fixed subset of the rows is kept.
    queue : int
        Snapshots that may wait for the sink; small ones may also wait up to 64 MiB together.
    on_backpressure : {"drop", "block"}
        What happens when the queue is full: drop the snapshot and count it, or wait.
    budget : float or str, optional
        Share of the training time that capture may take (``"2%"``); snapshots are put off until it
        allows them. The first and the last are always taken.
    start : int, optional
        Optimiser updates done already: 0, or unknown for a run that holds steps (a resumed one).
    seed : int
        Seed of the private generator that draws rows and units.
    capture : str or iterable of str
        What is kept: "output", and opt-in "input", "pre_activation", "attention", "logits",
        "loss", "gradients" (of the mini-batches between two snapshots) and "weights".
    disk : int or str, optional
        Bytes that the snapshots of this watch may take together (``"2GB"``): beyond that old ones
        are given up, evenly on the log-step axis, never the first or the latest. Needs a run.
    """

    def __init__(
        self,
        model: nn.Module,
        probe: Probe | Sequence[Probe] | Mapping[str, Probe],
        run: Sink | Callable[[Snapshot], Any] | None,
        *,
        layers: LayersLike | None = None,
        every: ScheduleLike | None = None,
        reduce: ReduceLike | None = None,
        units: int = 1024,
        memory: int | str = "256MB",
        queue: int = 2,
        on_backpressure: str = "drop",
        budget: float | str | None = None,
        start: int | None = None,
        seed: int = 0,
        capture: str | Iterable[str] = ("output",),
        disk: int | str | None = None,
    ) -> None:
        if on_backpressure not in ("drop", "block"):
            raise InputError(
                f'`on_backpressure` must be "drop" or "block"; got {on_backpressure!r}.'
            )
        self.model, self.wrappers = unwrap(model)
        self.probes = as_probes(probe)
        self.sink = None if run is None else as_sink(run)
        self.schedule = as_schedule(every)
        self.plan = Plan(layers, reduce, int(units), int(seed), kinds_of(capture))
        self.memory, self.queue = bytes_of("memory", memory), int(queue)
        self.block = on_backpressure == "block"
        self.budget = None if budget is None else share_of(budget)
        self._retention = None if disk is None else Retention(bytes_of("disk", disk))
        if disk is not None and run is not None and not hasattr(run, "forget"):
            raise InputError("`disk` needs a run that can give snapshots up; this sink keeps none.")
        if start is None and not _holds_steps(run):
            start = 0
        self.clock = Clock(start)
        self.snapshots = self.dropped = self.postponed = 0
        self.seconds = 0.0
        self._scalars = Scalars()
        self._active = False
        self._begun: float | None = None
        self._taken: int | None = None
        self._late = False
        self.witnessed: list[Mapping[str, float]] | None = None
        if (watchers := WITNESSES.get()) is not None:
            watchers.append(self)
            self.witnessed = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        stopped = kind is not None and not issubclass(kind, Exception)
        self.close("finished" if kind is None else "interrupted" if stopped else "failed")

    def __deepcopy__(self, memo: Any) -> Watcher:
        return _inert()

    def __reduce__(self) -> Any:
        return _inert, ()

    # -- what users call -----------------------------------------------------------------------

    def start(self) -> Watcher:
        """Find the layers, begin the run and take the snapshot of the network as it is.

        Raises
        ------
        CaptureError
            If a layer named in `layers` does not exist or is never called, or no layer can be read.
        """
        if self.sink is None or BARE.get() or _other_rank():
            return self
        begun = perf_counter()
        self._process, self._begun = os.getpid(), begun
        with undisturbed(self.model):  # a reduce of the user's own may draw random numbers
            taps, selection = self._find_taps()
        self.layers = tuple(tap.layer for tap in taps)
        self._reader = Reader(taps, self._layer_fault, autocast=self.plan.autocast)
        self.probes = tuple(self._capped(probe) for probe in self.probes)
        self._weights = Fingerprint(self.model)
        self.info = self._info(selection.left_out)
        self.sink.begin(tuple(probe.data() for probe in self.probes), self.layers, self.info)
        self._delivery = Delivery(self.sink, depth=self.queue, retention=self._retention)
        self.faults = self._delivery.faults
        self._gradients: GradientStatistics | None = None
        if "gradients" in self.plan.capture:
            self._gradients = GradientStatistics(self.model, self.faults.add, self._here)
        self._active = True
        atexit.register(self.close, "interrupted")
        self._flushed = self._told = begun
        if self.clock.start is not None and self.schedule(self.clock.start):
            self._take(self.clock.start, wait=True)
        self.seconds += perf_counter() - begun
        return self

    def step(self, step: int | None = None, **scalars: Any) -> None:
        """Tell that an update is done: record its scalars, take a snapshot if one is due.

        Parameters
        ----------
        step : int, optional
            Number of the update, from 0 or from 1 (see `clock.Clock`); None counts on by one.
        **scalars
            Numbers or one-element tensors to keep with the step (``loss``, ``epoch`` …).
        """
        if self.witnessed is not None:
            with suppress(InputError):
                self.witnessed.append(settle({key: held(key, scalars[key]) for key in scalars}))
        if not self._here():
            return
        begun = perf_counter()
        try:
            self._step(step, scalars, begun)
        except Exception as error:
            self.faults.add("step", error)
        self.seconds += perf_counter() - begun

    def close(self, status: str = "finished") -> None:
        """Take the last snapshot (of a training that finished), write all that waits, detach."""
        if not self._here():
            return
        begun = perf_counter()
        if status == "finished" and self._taken != self.clock.last and self.clock.last >= 0:
            self._take(self.clock.last, wait=True)
        self._active = False
        if self._gradients is not None:
            self._gradients.remove()
        self._flush()
        self.seconds += perf_counter() - begun
        cost = self.cost()
        self._delivery.end(status, lambda: {**cost, "faults": self.faults.counts.total()})
        atexit.unregister(self.close)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint needs so that a resumed watch continues the time axis."""
        return {"step": self.clock.last}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue the time axis of a checkpoint; call it before entering."""
        self.clock = Clock(int(state["step"]))

    def cost(self) -> dict[str, float]:
        """Return what capture took so far: seconds, share of the training time, what was lost.

        Empty where nothing is watched (without a run, on another rank).
        """
        if self._begun is None:
            return {}
        spent = self._spent()
        training = perf_counter() - self._begun - spent
        return {
            "step": self.clock.last,
            "seconds": spent,
            "training_seconds": training,
            "share": spent / max(training, 1e-9),
            "snapshots": self.snapshots,
            "dropped": self.dropped,
            "postponed": self.postponed,
            "faults": self.faults.counts.total(),
        }

    def _spent(self) -> float:
        hook = 0.0 if self._gradients is None else self._gradients.seconds
        return self.seconds + self._delivery.device_seconds + hook

    # -- one step ------------------------------------------------------------------------------

    def _here(self) -> bool:
        """Whether active, in the process that began: a forked worker's copy has no thread."""
        return self._active and os.getpid() == self._process

    def _step(self, step: int | None, scalars: Mapping[str, Any], now: float) -> None:
        previous, restarts = self.clock.last, self.clock.restarts
        label = self.clock.label(step, self._weights.moved)
        if self.clock.restarts == 1 and restarts == 0:
            self._delivery.event("renumbered", {"given": step, "step": label})
        for name, value in scalars.items():
            try:
                self._scalars.add(label, name, value)
            except InputError as error:
                self.faults.add(f"scalar {name}", error)
        first = max(previous + 1, label + 1 - LONGEST_GAP)
        due = any(self.schedule(step) for step in range(first, label + 1))
        if (due or self._late) and not self._too_dear(now):
            self._take(label, wait=self.block)
        if len(self._scalars.rows) >= FLUSH_ROWS or now - self._flushed > FLUSH_SECONDS:
            self._flush()

    def _too_dear(self, now: float) -> bool:
        if self.budget is None:
            return False
        spent = self._spent()
        with_this = spent + self.seconds / max(self.snapshots, 1)
        dear = with_this > self.budget * (now - (self._begun or now) - spent)
        self.postponed += dear and not self._late
        self._late = dear
        return dear

    def _take(self, step: int, *, wait: bool) -> None:
        """Read all probe sets and queue what was read."""
        begun, lap = perf_counter(), Lap(home(self.model)[0])
        try:
            read = [(probe, self._reader.read(self.model, probe)) for probe in self.probes]
        except OUT_OF_MEMORY as error:
            self.faults.add("memory", error)
            for probe in self.probes:
                probe.batch_size = max(1, probe.batch_size // 2)
            return
        except Exception as error:
            self.faults.add("probe pass", error)
            return
        notes = {"seconds": perf_counter() - begun, **self._statistics(step)}
        row = dict(self._scalars.rows.get(step, {}))
        if self._delivery.snapshot(step, read, row, notes, lap.end(), wait=wait):
            self._taken = step
            self.snapshots += 1
        else:
            self.dropped += 1
            self._delivery.event(
                "dropped", {"step": step, "why": "the sink is slower than the schedule"}
            )
        self._flush()
        if begun - self._told > COST_SECONDS:
            self._told = begun
            self._delivery.event("cost", self.cost())

    def _statistics(self, step: int) -> dict[str, Any]:
        """Add the scalars of gradients and weights, where asked; return notes with their cost."""
        begun = perf_counter()
        notes: dict[str, Any] = {}
        if self._gradients is not None:
            for name, value in self._gradients.take().items():
                self._scalars.add(step, name, value)
            notes["gradients_seconds"] = perf_counter() - begun
        if "weights" in self.plan.capture:
            begun = perf_counter()
            scalars, notes["weights"] = weight_statistics(self.model)
            for name, value in scalars.items():
                self._scalars.add(step, name, value)
            notes["weights_seconds"] = perf_counter() - begun
        return notes

    # -- beside --------------------------------------------------------------------------------

    def _flush(self) -> None:
        self._flushed = perf_counter()
        if rows := self._scalars.drain():
            self._delivery.scalars(rows)

    def _layer_fault(self, name: str, error: Exception) -> None:
        self.faults.add(f"layer {name}", error)

    def _capped(self, probe: Probe) -> Probe:
        """Keep as many rows as a snapshot's memory allows, drawn once with a private generator."""
        row = 4 * sum(layer.width for layer in self.layers) * len(self.probes)
        rows = max(2, self.memory // max(row, 1))
        if rows >= probe.n:
            return probe
        tell(
            f"infoplane: {rows} of the {probe.n} rows of probe {probe.name!r} are captured, so "
            f"that a snapshot stays within {self.memory:,} bytes; raise memory= for more."
        )
        generator = np.random.default_rng(self.plan.seed)
        return probe.take(np.sort(generator.choice(probe.n, rows, replace=False)))

    def _find_taps(self) -> tuple[tuple[Tap, ...], Selection]:
        """Find what to read; without autocast where a kernel cannot run under it in eval mode."""
        try:
            return find_taps(self.model, self.probes[0], self.plan)
        except RuntimeError:
            if autocast_kind() is None:
                raise
            self.plan = replace(self.plan, autocast=False)
            return find_taps(self.model, self.probes[0], self.plan)

    def _info(self, left_out: Mapping[str, str]) -> dict[str, Any]:
        device, dtype = home(self.model)
        return {
            "model": type(self.model).__name__,
            "parameters": sum(weight.numel() for weight in self.model.parameters()),
            "device": device.type,
            "dtype": str(dtype).removeprefix("torch."),
            "unwrapped": list(self.wrappers),
            "autocast": autocast_kind() is not None and self.plan.autocast,
            "schedule": self.schedule.text,
            "budget": self.budget,
            "start": self.clock.start,
            "seed": self.plan.seed,
            "rows": {probe.name: probe.n for probe in self.probes},
            "left_out": dict(left_out),
            "torch": torch.__version__,
        }


def _inert() -> Watcher:
    """Return a watcher that does nothing: what a copy or another process gets."""
    return Watcher(nn.Identity(), Probe([0.0]), None)


def _holds_steps(run: Any) -> bool:
    return len(getattr(run, "steps", ()) or ()) > 0


def _other_rank() -> bool:
    distributed = torch.distributed
    return (
        distributed.is_available() and distributed.is_initialized() and distributed.get_rank() > 0
    )
