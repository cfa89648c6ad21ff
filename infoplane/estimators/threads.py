"""How many threads a call may use, and runs of work for threads that each keep their own buffers.

A call takes every processor that this process may use, or as many as ``OMP_NUM_THREADS`` says; in a
block of :func:`at_most` it takes no more than that. Values never depend on it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

BLOCK = 1 << 20  # bytes of one block of distances: it stays in the cache
PORTION = 256  # rows of one compiled call
MOST = 64  # threads of one call
SMALL = 2048  # rows below which threads cost more than they save
P = TypeVar("P")

_limit: ContextVar[int] = ContextVar("infoplane threads", default=MOST)


@contextmanager
def at_most(count: int) -> Iterator[None]:
    """Let calls in this block (and thread) take no more threads: others work beside them."""
    token = _limit.set(count)
    try:
        yield
    finally:
        _limit.reset(token)


def threads(n: int, asked: int | None = None) -> int:
    """Threads for a call on n rows: as many as asked for, or all that it may take."""
    if asked is not None:
        return asked
    return 1 if n < SMALL else min(_limit.get(), _processors())


def _processors() -> int:
    wanted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def blocks(n: int, bytes_each: int = 8) -> Iterator[slice]:
    """Cut n rows into runs whose distances to all n fill one block."""
    step = max(1, BLOCK // (bytes_each * n))
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def portions(n: int) -> list[slice]:
    """Cut n rows into runs that one call of a compiled sweep takes."""
    return [slice(start, min(start + PORTION, n)) for start in range(0, n, PORTION)]


def rows_of(run: list[slice]) -> int:
    """Rows of the largest block of a run."""
    return max(int(rows.stop - rows.start) for rows in run)


def in_runs(work: Callable[[list[P]], None], pieces: list[P], workers: int) -> None:
    """Call ``work`` on runs of pieces, one run for each of ``workers`` threads.

    A run keeps its buffers: new pages for every piece would cost more than the distances.
    """
    runs = [pieces[i::workers] for i in range(min(workers, len(pieces)))]
    if len(runs) == 1:
        work(pieces)
        return
    with ThreadPoolExecutor(len(runs)) as pool:
        list(pool.map(work, runs))
