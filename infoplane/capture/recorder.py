"""The recorder: ``with watch(model, probe, run) as w: … w.step(step, loss=loss)``."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from time import perf_counter
from types import TracebackType
from typing import Any, Self

from torch import nn

from infoplane.capture.clock import Clock, Fingerprint
from infoplane.capture.delivery import Delivery
from infoplane.capture.faults import out_of_memory, tell
from infoplane.capture.lap import Lap
from infoplane.capture.options import bytes_of, kinds_of, share_of
from infoplane.capture.probe import Probe, as_probes
from infoplane.capture.reduce import ReduceLike
from infoplane.capture.retention import Retention
from infoplane.capture.scalars import Scalars, held, settle
from infoplane.capture.schedule import ScheduleLike, as_schedule
from infoplane.capture.select import LayersLike
from infoplane.capture.shutter import Shutter
from infoplane.capture.sinks import as_sink
from infoplane.capture.statistics import Statistics
from infoplane.capture.subject import Subject
from infoplane.capture.surroundings import (
    BARE,
    WITNESSES,
    fate,
    offset_of,
    other_rank,
    reached,
)
from infoplane.capture.taps import Plan
from infoplane.capture.updates import Updates, updaters
from infoplane.errors import InputError
from infoplane.types import Layer, Sink, Snapshot

UNCOUNTED = (
    "infoplane: the weights have changed, but no step was counted: only the untrained network is "
    "captured. Call w.step(loss=loss) after each update, or watch(…, optimizer=optimizer)."
)
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
    update; or, in one line before the training, ``watch(model, probe, run, optimizer=o).start()``.

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
        See `Watcher`: ``optimizer``, ``units``, ``memory``, ``queue``, ``on_backpressure``,
        ``budget``, ``start``, ``seed``, ``capture``, ``disk``.

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
    optimizer : torch.optim.Optimizer or several, optional
        Counts this optimiser's updates by itself: no call of `step` is needed, and one that is made
        (``w.step(loss=loss)``) only records its scalars. Of several each one's update counts; of
        two networks with an optimiser each, watch each with its own. With `start` instead of
        ``with``, the end of the script ends the watch.
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
        Bytes that the run's snapshots may take together (``"2GB"``), a resumed run's earlier ones
        included: beyond that old ones are given up, evenly on the log-step axis, never the first or
        the latest. Needs a run.
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
        optimizer: Any = None,
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
        plan = Plan(layers, reduce, int(units), int(seed), kinds_of(capture))
        self.subject = Subject(model, as_probes(probe), plan)
        self.sink = None if run is None else as_sink(run)
        self.schedule = as_schedule(every)
        self.shutter = Shutter(self.schedule, None if budget is None else share_of(budget))
        self.memory, self.queue = bytes_of("memory", memory), int(queue)
        self.block = on_backpressure == "block"
        self.optimizer = None if optimizer is None else updaters(optimizer, self.model)
        self._retention = None if disk is None else Retention(bytes_of("disk", disk))
        if disk is not None and run is not None and not hasattr(run, "forget"):
            raise InputError("`disk` needs a run that can give snapshots up; this sink keeps none.")
        last = reached(run)
        held = getattr(run, "held_bytes", None)
        if self._retention is not None and callable(held):
            self._retention.know(held(), last + 1 if start is None else start)
        if start is None and last < 0:
            start = 0
        if start is None and optimizer is not None:
            raise InputError("`optimizer` on a run that holds steps needs `start`, updates done.")
        self.clock = Clock(start, reached=last, offset=offset_of(run))
        self.snapshots = self.dropped = 0
        self.seconds = self._one = 0.0
        self._scalars = Scalars()
        self._active = False
        self._begun: float | None = None
        self._taken: int | None = None
        self._updates: Updates | None = None
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
        if isinstance(error, Exception) and self._active:
            self._delivery.event("failure", {"error": f"{type(error).__name__}: {error}"[:300]})
        self.close("finished" if kind is None else "interrupted" if stopped else "failed")

    def __deepcopy__(self, memo: Any) -> Watcher:
        return _inert()

    def __reduce__(self) -> Any:
        return _inert, ()

    @property
    def model(self) -> nn.Module:
        """What is watched, without wrappers."""
        return self.subject.model

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers that are captured, in the network's order; known once it has started."""
        return self.subject.layers

    # -- what users call -----------------------------------------------------------------------

    def start(self) -> Watcher:
        """Find the layers, begin the run and take the snapshot of the network as it is.

        Raises
        ------
        CaptureError
            If a layer named in `layers` does not exist or is never called, or no layer can be read.
        """
        if self._begun is not None or self.sink is None or BARE.get() or other_rank():
            return self
        begun = perf_counter()
        self._process, self._begun = os.getpid(), begun
        self.subject.look(self._layer_fault, self.memory)
        self._weights = Fingerprint(self.model)
        self.info = self._info()
        data = tuple(probe.data() for probe in self.subject.probes)
        self.sink.begin(data, self.layers, self.info)
        self._delivery = Delivery(self.sink, depth=self.queue, retention=self._retention)
        self.faults = self._delivery.faults
        kinds = self.subject.plan.capture
        self._statistics = Statistics(self.model, kinds, self.faults.add, self._here)
        self._active = True
        atexit.register(self._at_exit)
        self._flushed = self._told = begun
        if self.clock.start is not None and self.schedule(self.clock.start):
            self._take(self.clock.start, wait=True)
        if self.optimizer is not None:
            self._updates = Updates(self.optimizer, self._count)
        self.seconds += perf_counter() - begun
        return self

    def step(self, step: int | None = None, **scalars: Any) -> None:
        """Tell that an update is done: record its scalars, take a snapshot if one is due.

        Parameters
        ----------
        step : int, optional
            Number of the update, from 0 or from 1 (see `clock.Clock`); None counts on by one. Not
            used where `optimizer` is watched: its updates are the steps.
        **scalars
            Numbers or one-element tensors to keep with the step (``loss``, ``epoch`` …).
        """
        if self.witnessed is not None:
            with suppress(InputError):
                self.witnessed.append(settle({key: held(key, scalars[key]) for key in scalars}))
        if not self._active or os.getpid() != self._process:
            return
        begun = perf_counter()
        try:
            if self._updates is None:
                self._advance(step, scalars, begun)
            else:
                self._note(self.clock.last, scalars)
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
        if self.clock.last == self.clock.start and self._weights.moved():
            tell(UNCOUNTED)
        self._active = False
        self._statistics.remove()
        if self._updates is not None:
            self._updates.remove()
        self._flush()
        self.seconds += perf_counter() - begun
        cost = self.cost()
        self._delivery.end(status, lambda: {**cost, "faults": self.faults.counts.total()})
        atexit.unregister(self._at_exit)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint needs so that a resumed watch continues the time axis."""
        return {"step": self.clock.last}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue the time axis of a checkpoint; call it before entering."""
        self.clock = Clock(int(state["step"]))

    def cost(self) -> dict[str, Any]:
        """Return what capture took so far: seconds, share of the training time, what was lost.

        ``kinds`` tells the seconds of each thing in ``capture=``, which are a part of ``seconds``;
        the rest are the forward passes over the probe set. Empty where nothing is watched (without
        a run, on another rank).
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
            "kinds": {**self.subject.seconds(), **self._statistics.kinds()},
            "snapshots": self.snapshots - self.faults.counts["snapshot"],
            "dropped": self.dropped,
            "postponed": self.shutter.postponed,
            "faults": self.faults.counts.total(),
        }

    def _spent(self) -> float:
        return self.seconds + self._delivery.device_seconds + self._statistics.seconds

    # -- one step ------------------------------------------------------------------------------

    def _here(self) -> bool:
        """Whether active, in the process that began: a forked worker's copy has no thread."""
        return self._active and os.getpid() == self._process

    def _count(self) -> None:
        """Go on by one update of the optimiser that is watched; called from its hook."""
        if self._here():
            begun = perf_counter()
            try:
                self._advance(None, {}, begun)
            except Exception as error:
                self.faults.add("step", error)
            self.seconds += perf_counter() - begun

    def _advance(self, step: int | None, scalars: Mapping[str, Any], now: float) -> None:
        previous = self.clock.last
        label = self.clock.label(step, self._weights.moved, self._delivery.event)
        previous = label - 1 if previous < 0 else previous  # a resumed run: nothing was passed over
        if scalars:
            self._note(label, scalars)
        if self.shutter.wants(previous, label):
            elapsed = now - (self._begun or now)
            if self.shutter.affords(self._spent(), self._one, elapsed):
                self._take(label, wait=self.block)
        if len(self._scalars.rows) >= FLUSH_ROWS or now - self._flushed > FLUSH_SECONDS:
            self._flush()

    def _note(self, step: int, scalars: Mapping[str, Any]) -> None:
        for name, value in scalars.items():
            try:
                self._scalars.add(step, name, value)
            except InputError as error:
                self.faults.add(f"scalar {name}", error)

    def _take(self, step: int, *, wait: bool) -> None:
        """Read all probe sets and queue what was read."""
        begun, lap = perf_counter(), Lap(self.subject.device)
        try:
            read = self.subject.read()
        except Exception as error:
            short = out_of_memory(error)
            self.faults.add("memory" if short else "probe pass", error)
            if short:
                self.subject.halve_batches()
            return
        seconds = perf_counter() - begun
        scalars, notes = self._statistics.take()
        self._note(step, scalars)
        notes["seconds"] = seconds
        self._one = perf_counter() - begun
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

    # -- beside --------------------------------------------------------------------------------

    def _flush(self) -> None:
        self._flushed = perf_counter()
        if rows := self._scalars.drain():
            self._delivery.scalars(rows)

    def _layer_fault(self, name: str, error: Exception) -> None:
        self.faults.add(f"layer {name}", error)

    def _info(self) -> dict[str, Any]:
        return {
            **self.subject.info(),
            "schedule": self.schedule.text,
            "budget": self.shutter.budget,
            "start": self.clock.start,
        }

    def _at_exit(self) -> None:
        """End a watch that nobody ended before the script did."""
        self.close(fate())


def _inert() -> Watcher:
    """Return a watcher that does nothing: what a copy or another process gets."""
    return Watcher(nn.Identity(), Probe([0.0]), None)
