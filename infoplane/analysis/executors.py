"""Measuring on somebody else's workers: a Dask cluster, or any executor of the standard library.

Every batch opens the run where it is worked on and appends to a journal of its own, so the workers
must see the run's directory (one machine, or a shared file system). A scheduler may run a batch
twice; both write the same rows under the same keys.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from infoplane.analysis.hands import OwnHand, Tally
from infoplane.analysis.plan import Job
from infoplane.analysis.work import Settings, failure
from infoplane.errors import EvaluationError, InfoplaneError
from infoplane.store import open_run


class Executor(Protocol):
    """What a ``distributed.Client`` and a ``concurrent.futures.Executor`` have in common."""

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Any:
        """Return a future with ``result()`` and ``cancel()``."""


class ExecutorHand:
    """Gives batches of jobs to an executor and waits for each; the executor is the caller's."""

    def __init__(
        self, executor: Executor, path: Path, settings: Settings, modules: Sequence[str] = ()
    ) -> None:
        self._executor = executor
        self._path = path
        self._settings = settings
        self._modules = list(modules)
        self._future: Any = None
        self._abandoned = False

    def do(self, jobs: Sequence[Job]) -> Tally:
        """Have jobs measured; when their worker dies of them, one by one."""
        try:
            return self._send(jobs)
        except (InfoplaneError, OSError):
            raise  # the run cannot be read or written: no other worker will fare better
        except Exception as error:
            if self._abandoned:
                return Tally(0, 0)
            if len(jobs) == 1:
                return self._give_up(jobs[0], error)
        tallies = [self.do([job]) for job in jobs]
        return Tally(sum(t.made for t in tallies), sum(t.failed for t in tallies))

    def abandon(self) -> None:
        """Drop the batch in hand if it has not begun."""
        self._abandoned = True
        if self._future is not None:
            self._future.cancel()

    def close(self) -> None:
        """Leave the executor as it is: whoever made it ends it."""

    def _send(self, jobs: Sequence[Job]) -> Tally:
        records = [job.to_json() for job in jobs]
        where, settings = str(self._path.resolve()), asdict(self._settings)
        try:
            future = self._executor.submit(measure_batch, where, settings, self._modules, records)
        except Exception as error:  # broken or shut down: no job is to blame, all stay missing
            raise EvaluationError(
                f"the executor takes no more jobs ({type(error).__name__}: {error}); start a new "
                "one and evaluate again: only what is missing is measured"
            ) from error
        self._future = future
        made, failed = self._future.result()
        return Tally(made, failed)

    def _give_up(self, job: Job, error: Exception) -> Tally:
        reason = EvaluationError(
            f"the worker was lost on this job ({type(error).__name__}: {error}); use workers with "
            "more memory or a smaller probe set, then evaluate with retry=True"
        )
        rows = [failure(job, key, ask, reason) for key, ask in job.asks]
        with open_run(self._path) as run, run.annotator() as writer:
            writer.measure(rows)
        return Tally.of(rows)


def measure_batch(
    path: str, settings: dict[str, Any], modules: Sequence[str], records: Sequence[str]
) -> tuple[int, int]:
    """Do jobs on a worker; return how many measurements were made and how many have no value."""
    for module in modules:
        importlib.import_module(module)  # where the caller's own estimators are registered
    hand = OwnHand(Path(path), Settings(**settings))
    try:
        tally = hand.do([Job.from_json(record) for record in records])
    finally:
        hand.close()
    return tally.made, tally.failed
