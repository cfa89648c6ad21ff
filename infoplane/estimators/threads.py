"""Runs of work over blocks of rows, for threads that each keep their own buffers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

BLOCK = 1 << 20  # bytes of one block of distances: it stays in the cache
P = TypeVar("P")


def blocks(n: int, bytes_each: int = 8) -> Iterator[slice]:
    """Cut n rows into runs whose distances to all n fill one block."""
    step = max(1, BLOCK // (bytes_each * n))
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def rows_of(run: list[slice]) -> int:
    """Rows of the largest block of a run."""
    return max(int(rows.stop - rows.start) for rows in run)


def in_runs(work: Callable[[list[P]], None], pieces: list[P], workers: int) -> None:
    """Call ``work`` on runs of pieces, one run for each of ``workers`` threads.

    A run keeps its buffers: new pages for every piece would cost more than the distances.
    """
    if workers == 1:
        work(pieces)
        return
    runs = [pieces[i::workers] for i in range(min(workers, len(pieces)))]
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, runs))
