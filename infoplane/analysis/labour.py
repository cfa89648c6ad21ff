"""Work through an agenda with several hands: threads, batches, progress, a prompt stop."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from infoplane.analysis.agenda import POLL, Agenda
from infoplane.analysis.hands import Hand, Tally

BATCH, MOST = 0.25, 32  # seconds and jobs after which results are written down
Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Count:
    """Running totals, kept by several threads."""

    made: int = 0
    failed: int = 0
    fault: BaseException | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, tally: Tally) -> None:
        """Add what one batch made."""
        with self.lock:
            self.made += tally.made
            self.failed += tally.failed


class Bar:
    """The progress bar, or the caller's own."""

    def __init__(self, progress: bool | Progress | None, agenda: Agenda, count: Count) -> None:
        self._agenda = agenda
        self._count = count
        self._call = progress if callable(progress) else None
        self._bar: Any = None
        shown = progress is True or (progress is None and sys.stderr.isatty())
        if self._call is None and shown:
            from tqdm import tqdm

            self._bar = tqdm(total=0, unit="est", desc="estimating", leave=False)
        self._lock = threading.Lock()

    def show(self) -> None:
        """Tell how many of how many are there."""
        if self._call is None and self._bar is None:
            return
        done, total = self._count.made + self._agenda.present, self._agenda.total()
        with self._lock:
            if self._call is not None:
                self._call(done, total)
            else:
                self._bar.total = total
                self._bar.update(done - self._bar.n)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()


def labour(agenda: Agenda, makers: Sequence[Callable[[], Hand]], count: Count, bar: Bar) -> None:
    """Work through the agenda, in this thread when there is one hand."""
    if len(makers) == 1:
        _work(agenda, makers[0](), count, bar)
        return
    hands = [make() for make in makers]
    finished = False
    threads = [
        threading.Thread(target=_guarded, args=(agenda, hand, count, bar), daemon=True)
        for hand in hands
    ]
    try:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join(timeout=POLL / len(threads))
            if agenda.stop_asked:
                break
        finished = not agenda.stop_asked
    finally:
        agenda.stop()
        if not finished:
            for hand in hands:
                hand.abandon()  # a stop is prompt: jobs in hand are dropped and stay missing
        for thread in threads:
            thread.join()
    if count.fault is not None:
        raise count.fault


def _guarded(agenda: Agenda, hand: Hand, count: Count, bar: Bar) -> None:
    try:
        _work(agenda, hand, count, bar)
    except BaseException as fault:
        count.fault = fault
        agenda.stop()


def _work(agenda: Agenda, hand: Hand, count: Count, bar: Bar) -> None:
    """Take jobs until there are none: one at a time when they are slow, many when they are quick.

    A batch is what a quarter of a second holds, so that the page is live and the disk is not waited
    for after every layer.
    """
    limit = 1
    try:
        while not agenda.over:
            jobs = agenda.take(limit)
            if not jobs:
                time.sleep(0 if agenda.over else POLL / 2)
                continue
            start = time.perf_counter()
            count.add(hand.do(jobs))
            each = (time.perf_counter() - start) / len(jobs)
            limit = max(1, min(MOST, int(BATCH / each)))
            bar.show()
    finally:
        hand.close()
