"""Online estimation: a sink that measures snapshots as they arrive and keeps only the numbers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from infoplane.analysis.hands import _THREADS as THREADS
from infoplane.analysis.hands import ATTEMPTS
from infoplane.analysis.online_worker import send
from infoplane.analysis.plan import DEFAULT, Ask, Job, Refusal, Request, asked_of, asks_for, key_of
from infoplane.analysis.work import Settings, failure
from infoplane.errors import EvaluationError, InputError
from infoplane.store.codec import decode_measurement
from infoplane.types import Layer, Measurement, ProbeData, Snapshot

if TYPE_CHECKING:
    from infoplane.store import Run


def online(
    estimators: Sequence[Request] = DEFAULT,
    *,
    run: Run | None = None,
    targets: Sequence[str] = ("X", "Y"),
    null: int = 20,
    seed: int = 0,
    modules: Sequence[str] = (),
    timeout: float = 600.0,
) -> Online:
    """Estimate while the training runs and store no activations: ``watch(model, probe, online())``.

    Parameters
    ----------
    estimators : sequence of id or (id, parameters)
        What to measure on every snapshot.
    run : Run, optional
        A run opened for writing that keeps the numbers; without one they are in ``.measurements``.
    targets : sequence of str
        "X", "Y" or names of layers.
    null : int
        Draws of the null.
    seed : int
        Seed of nulls and of estimators that draw.
    modules : sequence of str
        Modules in which estimators of your own are registered, for the worker to import.
    timeout : float
        Seconds that one snapshot may take; then it is given up, with a note in its measurements,
        and the worker is replaced.

    Returns
    -------
    Online
        A sink. When estimation is slower than the schedule, capture's queue drops snapshots and
        counts them; the training does not wait.
    """
    if not timeout > 0:
        raise InputError(f"`timeout` must be a number of seconds above 0; got {timeout!r}.")
    settings = Settings(seed=seed, null=null)
    return Online(estimators, run, tuple(targets), settings, tuple(modules), timeout)


class Online:
    """The sink that `online` makes.

    Attributes
    ----------
    measurements : list of Measurement
        All numbers so far, in the order in which they were made.
    refusals : list of Refusal
        What cannot be asked on this model and probe set, with the reason.
    """

    def __init__(
        self,
        requests: Sequence[Request],
        run: Run | None,
        targets: tuple[str, ...],
        settings: Settings,
        modules: tuple[str, ...],
        timeout: float,
    ) -> None:
        self.run, self._settings, self._modules = run, settings, modules
        self._timeout, self._late = timeout, False
        self._requests, self._targets = tuple(requests), targets
        self.measurements: list[Measurement] = []
        self.refusals: list[Refusal] = []
        self._asks: dict[str, list[Ask]] = {}
        self._layers: dict[str, Layer] = {}
        self._probes: tuple[ProbeData, ...] = ()
        self._id = uuid.uuid4().hex if run is None else run.uuid
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def steps(self) -> list[int]:
        """Steps that the run holds, so that a resumed watch knows that it is one."""
        rows = [] if self.run is None else self.run.measurements()
        return sorted({row.step for row in rows})

    def events(self) -> list[dict[str, Any]]:
        """List what the run's watches have reported."""
        return [] if self.run is None else self.run.events()

    def begin(
        self, probes: tuple[ProbeData, ...], layers: tuple[Layer, ...], info: Mapping[str, Any]
    ) -> None:
        """Plan what to ask of each layer, and start the worker."""
        self._layers, self._probes = {layer.name: layer for layer in layers}, probes
        for probe in probes:
            asks, refusals = asks_for(
                self._requests, self._targets, probe, list(self._layers), stored=False
            )
            self._asks[probe.name] = asks
            self.refusals += refusals
        if not any(self._asks.values()):
            why = "; ".join(refusal.why for refusal in self.refusals)
            raise InputError(f"`estimators` must hold something that can be asked here: {why}")
        if self.run is not None:
            self.run.begin(probes, layers, {**info, "online": [str(r) for r in self._requests]})
        self._start()

    def write(self, snapshot: Snapshot) -> None:
        """Measure a snapshot; its arrays are forgotten when this returns."""
        jobs = [self._job(snapshot, layer) for layer in snapshot.layers]
        rows = self._measured([job for job in jobs if job.asks], snapshot)
        self.measurements += rows
        if self.run is not None:
            self.run.measure(rows)
            if snapshot.scalars:
                self.run.record(snapshot.step, snapshot.scalars)

    def record(self, step: int, scalars: Mapping[str, float]) -> None:
        """Pass scalars on."""
        if self.run is not None:
            self.run.record(step, scalars)

    def report(self, event: str, detail: Mapping[str, Any]) -> None:
        """Pass an event on."""
        if self.run is not None:
            self.run.report(event, detail)

    def end(self, status: str) -> None:
        """End the worker and the run."""
        self._stop()
        if self.run is not None:
            self.run.end(status)

    def _job(self, snapshot: Snapshot, layer: str) -> Job:
        last = [entry.name for entry in self._layers.values() if entry.what == "output"][-1:]
        asks = [
            ask
            for ask in self._asks[snapshot.probe]
            if ask.target != layer and asked_of(ask, self._layers[layer], last[0] if last else "")
        ]
        keyed = tuple((self._key(ask, snapshot, layer), ask) for ask in asks)
        return Job(snapshot.step, layer, snapshot.probe, keyed)

    def _key(self, ask: Ask, snapshot: Snapshot, layer: str) -> str:
        draws = (self._settings.seed, self._settings.null, self._settings.subsamples)
        return key_of(ask, uuid=self._id, step=snapshot.step, crc="online", probe=snapshot.probe,
                      layer=layer, draws=draws)  # fmt: skip

    def _measured(self, jobs: Sequence[Job], snapshot: Snapshot) -> list[Measurement]:
        """Let the worker measure; a worker that dies is replaced, a job that kills is given up."""
        self._late, why = False, ""
        for attempt in range(1, ATTEMPTS + 1):
            answer = self._ask(jobs, snapshot)
            if answer.endswith(b"\n"):
                return [decode_measurement(row) for row in json.loads(answer)]
            self._stop()
            self._start()
            why = f"the worker died {attempt} times on this snapshot."
            if self._late:
                why = f"the worker took longer than {self._timeout:g} s for this snapshot."
            self.report("worker replaced", {"step": snapshot.step, "why": why})
            if self._late:
                break
        error = EvaluationError(why)
        return [failure(job, key, ask, error) for job in jobs for key, ask in job.asks]

    def _ask(self, jobs: Sequence[Job], snapshot: Snapshot) -> bytes:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            return b""
        patience = threading.Timer(self._timeout, self._give_up, (process,))
        patience.daemon = True
        patience.start()
        try:
            send(process.stdin, {"jobs": [job.to_json() for job in jobs]}, snapshot.layers)
            return process.stdout.readline()
        except OSError:
            return b""
        finally:
            patience.cancel()

    def _give_up(self, process: subprocess.Popen[bytes]) -> None:
        """End a worker that hangs: whoever waits for its answer goes on."""
        self._late = True
        process.kill()

    def _start(self) -> None:
        environment = {**os.environ, **dict.fromkeys(THREADS, "1")}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "infoplane.analysis.online_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        setup = {
            "probes": [[probe.name, probe.target] for probe in self._probes],
            "settings": asdict(self._settings),
            "modules": list(self._modules),
        }
        arrays = {f"x/{probe.name}": probe.x for probe in self._probes}
        arrays |= {f"y/{probe.name}": probe.y for probe in self._probes if probe.y is not None}
        assert self._process.stdin is not None
        with suppress(OSError):  # it died at once: the first snapshot will find out
            send(self._process.stdin, setup, arrays)

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:  # the other end is gone
                continue
        process.wait()
