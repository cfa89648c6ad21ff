"""The agenda of an evaluation: which job comes next, on a finished run and on one that grows."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from infoplane.analysis.plan import (
    Ask,
    Job,
    Refusal,
    Request,
    asked_of,
    asks_for,
    complete,
    key_of,
    next_step,
    steps_named,
)
from infoplane.errors import InputError
from infoplane.types import Status

if TYPE_CHECKING:
    from infoplane.analysis.work import Settings
    from infoplane.store import Run

POLL = 0.2  # seconds between two looks at a growing run


class Agenda:
    """Hands out jobs to any number of threads.

    Jobs whose measurements are already in the run are left out, so an evaluation that was cut off
    goes on where it stopped, and several evaluations of one run share its steps between them. Steps
    come newest first, then wherever the log-step axis has its widest gap, so that the picture is
    whole early and only gets denser.

    Parameters
    ----------
    run : Run
        A read-only run of its own; nobody else may use it.
    requests, targets, layers, steps, probes
        What to measure; None for all layers, steps and probe sets.
    settings : Settings
        Seed and null: part of every key.
    retry : bool
        Whether failed measurements are tried again.
    follow : bool
        Whether to wait for more snapshots until the run has ended.
    stop : callable, optional
        Asked between jobs; true ends the agenda.
    """

    def __init__(
        self,
        run: Run,
        requests: Sequence[Request],
        *,
        targets: Sequence[str],
        settings: Settings,
        layers: Collection[str] | None = None,
        steps: Collection[int] | None = None,
        probes: Sequence[str] | None = None,
        retry: bool = False,
        follow: bool = False,
        stop: Callable[[], bool] | None = None,
    ) -> None:
        self._run = run
        self._requests = requests
        self._targets = targets
        self._settings = settings
        self._named = frozenset(
            s for request in requests for s in steps_named(complete(request)[1])
        )
        self._layers = layers
        self._steps = None if steps is None else frozenset(steps)
        self._probes = probes
        self._follow = follow
        self._asked_to_stop = stop
        self._lock = threading.Lock()
        self._queue: deque[Job] = deque()
        self._asks: dict[str, list[Ask]] = {}
        self._planned: dict[str, set[int]] = {}
        self._polled = 0.0
        self._exhausted = False
        self._stopped = False
        self.refusals: list[Refusal] = []
        self.present = 0
        self._retry = retry
        self._have: set[str] = set()

    def take(self, limit: int = 1) -> list[Job]:
        """Return up to ``limit`` jobs; none when there is nothing to do now (see :attr:`over`)."""
        with self._lock:
            while len(self._queue) < limit and not self._exhausted and not self.stop_asked:
                ended = self._look()
                if not self._plan_a_step():
                    self._exhausted = ended
                    break
            count = 0 if self.over else min(limit, len(self._queue))
            return [self._queue.popleft() for _ in range(count)]

    @property
    def over(self) -> bool:
        """Whether no further job will come."""
        return self._stopped or self.stop_asked or (self._exhausted and not self._queue)

    @property
    def stop_asked(self) -> bool:
        """Whether the caller wants no more."""
        return self._asked_to_stop is not None and self._asked_to_stop()

    @property
    def planned(self) -> int:
        """Steps looked at so far, over all probe sets."""
        return sum(len(steps) for steps in self._planned.values())

    def stop(self) -> None:
        """End the agenda: jobs in hand are finished, no new one is given."""
        self._stopped = True

    def total(self) -> int:
        """Measurements that the snapshots seen so far ask for, done ones included."""
        with self._lock:
            return sum(
                len(self._wanted(probe)) * sum(len(asks) for _, asks in self._by_layer(probe))
                for probe in self._probe_names()
            )

    def _look(self) -> bool:
        """Read what is new in a growing run; return whether the run has ended."""
        if not self._follow:
            return True
        pause = self._polled + POLL - time.monotonic()
        if pause > 0:
            return False
        # The status is read first: whatever was written before the end is then seen by refresh.
        ended = not self._run.status().growing
        self._run.refresh()
        self._polled = time.monotonic()
        return ended

    def unseen(self) -> list[int]:
        """List the steps that parameters name and that some probe set has not."""
        return sorted(set().union(*(self._missing(probe) for probe in self._probe_names())))

    def _missing(self, probe: str) -> set[int]:
        """Return the named steps that a probe set never had.

        One whose arrays were given up to save disk counts as there: what was made of them is kept.
        """
        missing = set(self._named)
        for step in self._named:
            with contextlib.suppress(InputError):
                self._run.snapshot_crc(step, probe)
                missing.remove(step)
        return missing

    def _probe_names(self) -> list[str]:
        return [p for p in self._run.probes if self._probes is None or p in self._probes]

    def _wanted(self, probe: str) -> list[int]:
        steps = self._run.steps_of(probe)
        if self._missing(probe):
            return []  # a growing run: nothing is measured before the steps that parameters name
        return [step for step in steps if self._steps is None or step in self._steps]

    def _plan_a_step(self) -> bool:
        """Queue the jobs of one more step of some probe; return whether there was one."""
        for probe in self._probe_names():
            done = self._planned.setdefault(probe, set())
            pending = [step for step in self._wanted(probe) if step not in done]
            if pending:
                step = next_step(pending, sorted(done))
                done.add(step)
                self._learn()
                self._queue.extend(self._jobs(probe, step))
                return True
        return False

    def _learn(self) -> None:
        """Note what has been measured, by whomever."""
        self._run.refresh()
        self._have |= {
            measurement.key
            for measurement in self._run.measurements()
            if not (self._retry and measurement.status is Status.FAILED)
        }

    def _jobs(self, probe: str, step: int) -> list[Job]:
        crc = self._run.snapshot_crc(step, probe)
        jobs = []
        for layer, asks in self._by_layer(probe):
            missing = [(k, ask) for ask in asks if (k := self._key(ask, probe, step, layer, crc))]
            self.present += len(asks) - len(missing)
            if missing:
                jobs.append(Job(step, layer, probe, tuple(missing)))
        return jobs

    def _key(self, ask: Ask, probe: str, step: int, layer: str, crc: object) -> str:
        """Return the key of a measurement, empty when the run has it."""
        key = key_of(
            ask,
            uuid=self._run.uuid,
            step=step,
            crc=self._content(ask, probe, crc),
            probe=probe,
            layer=layer,
            draws=(self._settings.seed, self._settings.null, self._settings.subsamples),
        )
        return "" if key in self._have else key

    def _content(self, ask: Ask, probe: str, crc: object) -> object:
        """Return what identifies the arrays of an ask: its snapshot and those it names."""
        named = steps_named(ask.params)
        return [crc, *(self._run.snapshot_crc(at, probe) for at in named)] if named else crc

    def _by_layer(self, probe: str) -> list[tuple[str, list[Ask]]]:
        """Each layer with what is asked of it."""
        if probe not in self._asks:
            data = self._run.probe(probe)
            asks, refusals = asks_for(self._requests, self._targets, data, self._run.layers)
            self._asks[probe] = asks
            self.refusals += [refusal for refusal in refusals if refusal not in self.refusals]
        table = self._run.layer_table
        last = next((layer.name for layer in reversed(table) if layer.what == "output"), "")
        return [
            (
                layer.name,
                [ask for ask in self._asks[probe] if asked_of(ask, layer, last)],
            )
            for layer in table
            if self._layers is None or layer.name in self._layers
        ]
