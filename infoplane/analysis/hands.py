"""Who does the jobs: this process, or worker processes that are started afresh and may die.

A worker process is ``python -m infoplane.analysis.worker``: it reads jobs as JSON lines, opens the
run itself, writes the measurements into its own journal and answers with a tally. So nothing is
pickled, the caller's script is never run a second time, a death is charged to the job that caused
it, a job that takes too long or too much memory is given up with a row that says so, and a worker
whose parent is gone ends by itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from infoplane.analysis.plan import Job
from infoplane.analysis.work import Bench, Settings, failure
from infoplane.errors import EvaluationError
from infoplane.store import open_run
from infoplane.types import Measurement, Status

PATIENCE = 3600.0  # seconds that a job may take in a worker process, unless told otherwise
ATTEMPTS = 3  # times that a job may kill its worker before it is given up
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Tally:
    """How many measurements a job made, and how many of them have no value."""

    made: int
    failed: int

    @classmethod
    def of(cls, rows: Sequence[Measurement]) -> Tally:
        """Count rows."""
        return cls(len(rows), sum(row.status is Status.FAILED for row in rows))


@dataclass(frozen=True, slots=True)
class Limits:
    """What one job may take in a worker process: seconds, and memory in GiB (None: no cap).

    The memory is that which the worker allocates beside its libraries' code. A cap needs POSIX
    resource limits; Windows has none.
    """

    seconds: float = PATIENCE
    memory: float | None = None


class Hand(Protocol):
    """Does one batch of jobs after another."""

    def do(self, jobs: Sequence[Job]) -> Tally:
        """Measure and write down; whatever an estimator does, this returns."""

    def abandon(self) -> None:
        """Drop the job in hand, called from another thread."""

    def close(self) -> None:
        """Let go of files and processes."""


class OwnHand:
    """Works in this process, with its own handle on the run and its own journal."""

    def __init__(self, path: Path, settings: Settings) -> None:
        self._run = open_run(path)
        self._bench = Bench(
            self._run.load,
            self._run.probe,
            settings,
            crc=self._run.snapshot_crc,
            keeper=self._run.kept,
        )
        self._journal = self._run.annotator()
        self._writer = self._journal.__enter__()

    def do(self, jobs: Sequence[Job]) -> Tally:
        """Measure jobs and append their rows to the journal at once: one wait for the disk."""
        self._run.refresh()
        rows = [row for job in jobs for row in self._bench.do(job)]
        self._writer.measure(rows)
        return Tally.of(rows)

    def abandon(self) -> None:
        """Let the job in hand end: a thread cannot be stopped, and its rows are still good."""

    def close(self) -> None:
        """Close the journal and the run."""
        self._journal.__exit__(None, None, None)
        self._run.close()


class ProcessHand:
    """Works in a process of its own, with one BLAS thread; its death or sleep is survived.

    Parameters
    ----------
    path, settings
        The run and what an evaluation holds fixed.
    modules
        Where the caller's own estimators are registered.
    limits
        Seconds and memory that a job may take.
    """

    def __init__(
        self,
        path: Path,
        settings: Settings,
        modules: Sequence[str] = (),
        limits: Limits = Limits(),
    ) -> None:
        self._path = path
        self._settings = settings
        self._limits = limits
        setup = {"path": str(path), "settings": asdict(settings), "modules": list(modules)}
        self._setup = json.dumps({**setup, "memory": limits.memory})
        self._process: subprocess.Popen[str] | None = None
        self._closed = False
        self._overdue = False

    def do(self, jobs: Sequence[Job]) -> Tally:
        """Send jobs to the worker; when it dies of them, send them one by one."""
        if len(jobs) > 1:
            tally = self._try(jobs)
            if tally is not None:
                return tally
            self._bury()
        tallies = [self._insist(job) for job in jobs]
        return Tally(sum(t.made for t in tallies), sum(t.failed for t in tallies))

    def _insist(self, job: Job) -> Tally:
        """Send one job; after three deaths, or once it is overdue, write it down as failed."""
        code: int | None = None
        for _ in range(ATTEMPTS):
            tally = self._try([job])
            if tally is not None:
                return tally
            code = self._bury()
            if self._closed:
                return Tally(0, 0)
            if self._overdue:
                return self._give_up(job, _overdue(self._limits.seconds))
        return self._give_up(job, _died(code))

    def _try(self, jobs: Sequence[Job]) -> Tally | None:
        """Return the worker's tally, None when it died."""
        answer = self._ask(jobs)
        if not answer:
            return None
        record = json.loads(answer)
        if "error" in record:
            raise EvaluationError(f"a worker could not write results: {record['error']}")
        return Tally(record["made"], record["failed"])

    def abandon(self) -> None:
        """End the worker at once; rows already acknowledged are on disk."""
        self._closed = True
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """End the worker, which has nothing in hand."""
        self._closed = True
        self._bury()

    def _ask(self, jobs: Sequence[Job]) -> str:
        """Return the worker's answer, empty when it died or was overdue."""
        if self._closed:
            return ""
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        self._overdue = False
        clock = threading.Timer(self._limits.seconds * len(jobs), self._end_overdue, (process,))
        clock.daemon = True
        clock.start()
        try:
            process.stdin.write(f"[{','.join(job.to_json() for job in jobs)}]\n")
            process.stdin.flush()
            return process.stdout.readline()
        except (OSError, ValueError):
            return ""
        finally:
            clock.cancel()

    def _end_overdue(self, process: subprocess.Popen[str]) -> None:
        self._overdue = True
        process.kill()

    def _start(self) -> subprocess.Popen[str]:
        environment = {**os.environ, **dict.fromkeys(_THREADS, "1")}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        process = subprocess.Popen(
            [sys.executable, "-m", "infoplane.analysis.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
            encoding="utf-8",
        )
        assert process.stdin is not None
        self._process = process
        with suppress(OSError):  # it died at once: the first job will find out
            process.stdin.write(self._setup + "\n")
            process.stdin.flush()
            assert process.stdout is not None
            process.stdout.readline()  # ready: the clock of the first job starts after that
        return process

    def _bury(self) -> int | None:
        """Reap the worker, killing it if it still lives; return its exit code."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.kill()
        for pipe in (process.stdin, process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:  # the pipe's other end is gone: that is why we are here
                continue
        return process.wait()

    def _give_up(self, job: Job, error: Exception) -> Tally:
        rows = [failure(job, key, ask, error) for key, ask in job.asks]
        with open_run(self._path) as run, run.annotator() as writer:
            writer.measure(rows)
        return Tally.of(rows)


def _overdue(seconds: float) -> TimeoutError:
    return TimeoutError(
        f"it took longer than the {seconds:g} s that a job may take; use a smaller probe set or "
        "fewer estimators at a time, or raise `timeout`, then evaluate with retry=True"
    )


def _died(code: int | None) -> EvaluationError:
    return EvaluationError(
        f"the worker died {ATTEMPTS} times on this job (exit code {code}); memory may have run "
        "out: use fewer workers or a smaller probe set, then evaluate with retry=True"
    )
