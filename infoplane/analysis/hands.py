"""Who does the jobs: this process, or worker processes that are started afresh and may die.

A worker process is ``python -m infoplane.analysis.worker``: it reads jobs as JSON lines, opens the
run itself, writes the measurements into its own journal and answers with a tally. So nothing is
pickled, the caller's script is never run a second time, a death is charged to the job that caused
it, and a worker whose parent is gone ends by itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from infoplane.analysis.plan import Job
from infoplane.analysis.work import Bench, Settings, failure
from infoplane.errors import EvaluationError
from infoplane.store import open_run
from infoplane.types import Measurement, Status

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
        self._bench = Bench(self._run.load, self._run.probe, settings)
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
    """Works in a process of its own, with one BLAS thread; a death is survived."""

    def __init__(self, path: Path, settings: Settings, modules: Sequence[str] = ()) -> None:
        self._path = path
        self._settings = settings
        self._setup = json.dumps(
            {"path": str(path), "settings": asdict(settings), "modules": list(modules)}
        )
        self._process: subprocess.Popen[str] | None = None
        self._closed = False

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
        """Send one job; after three deaths write it down as failed."""
        code: int | None = None
        for _ in range(ATTEMPTS):
            tally = self._try([job])
            if tally is not None:
                return tally
            code = self._bury()
            if self._closed:
                return Tally(0, 0)
        return self._give_up(job, code)

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
        """Return the worker's answer, empty when it died."""
        if self._closed:
            return ""
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(f"[{','.join(job.to_json() for job in jobs)}]\n")
            process.stdin.flush()
            return process.stdout.readline()
        except (OSError, ValueError):
            return ""

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
        process.stdin.write(self._setup + "\n")
        process.stdin.flush()
        self._process = process
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

    def _give_up(self, job: Job, code: int | None) -> Tally:
        error = EvaluationError(
            f"the worker died {ATTEMPTS} times on this job (exit code {code}); memory may have run "
            "out: use fewer workers or a smaller probe set, then evaluate with retry=True"
        )
        rows = [failure(job, key, ask, error) for key, ask in job.asks]
        with open_run(self._path) as run, run.annotator() as writer:
            writer.measure(rows)
        return Tally.of(rows)
