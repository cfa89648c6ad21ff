"""The writer: a bounded queue and one thread between training and the sink."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

OnFault = Callable[[str, Exception], None]


@dataclass(frozen=True, slots=True)
class Job:
    """Something to do with the sink.

    Attributes
    ----------
    what : str
        Name for messages ("snapshot", "scalars" …).
    work : callable
        Does it; what it raises is counted, never passed on.
    size : int
        Bytes it holds; 0 for what is never dropped.
    """

    what: str
    work: Callable[[], None]
    size: int = 0


class Writer:
    """Runs jobs one after the other in a thread of its own.

    Parameters
    ----------
    on_fault : callable
        ``on_fault(job name, error)`` for each job that raised.
    depth : int
        Snapshots that may always wait.
    room : int
        Bytes of snapshots that may wait beyond that.
    """

    def __init__(self, on_fault: OnFault, *, depth: int = 2, room: int = 64 << 20) -> None:
        self.on_fault, self.depth, self.room = on_fault, depth, room
        self._jobs: deque[Job] = deque()
        self._waiting = self._bytes = 0
        self._changed = threading.Condition()
        self._open = True
        self._thread = threading.Thread(target=self._run, name="infoplane-writer", daemon=True)
        self._thread.start()

    def put(self, job: Job, *, wait: bool = True) -> bool:
        """Queue a job; where the queue is full, wait for room or (``wait=False``) return False."""
        with self._changed:
            while job.size and self._full(job.size):
                if not wait:
                    return False
                self._changed.wait()
            self._jobs.append(job)
            self._count(job, +1)
            self._changed.notify_all()
        return True

    def close(self) -> None:
        """Do all that waits, then end the thread."""
        with self._changed:
            self._open = False
            self._changed.notify_all()
        self._thread.join()

    def _full(self, size: int) -> bool:
        return self._waiting >= self.depth and self._bytes + size > self.room

    def _count(self, job: Job, sign: int) -> None:
        self._waiting += sign * bool(job.size)
        self._bytes += sign * job.size

    def _run(self) -> None:
        while (job := self._next()) is not None:
            try:
                job.work()
            except Exception as error:
                self.on_fault(job.what, error)
            with self._changed:
                self._count(job, -1)  # only now: its memory is held until it is done
                self._changed.notify_all()

    def _next(self) -> Job | None:
        with self._changed:
            while not self._jobs and self._open:
                self._changed.wait()
            return self._jobs.popleft() if self._jobs else None
