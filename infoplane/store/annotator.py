"""Results beside a run: writers of their own journals, without the run's lock, from any process."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from infoplane.errors import StoreError
from infoplane.store import codec
from infoplane.store.journal import JournalWriter
from infoplane.store.line import LINE_CAP
from infoplane.types import Measurement

_ROWS_PER_LINE = 64
_ENVELOPE = 200  # what a line needs beside its rows


def lines_of(rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Rows in portions that fit a journal line each."""
    iterator = iter(rows)
    while batch := list(islice(iterator, _ROWS_PER_LINE)):
        yield from _fitting(batch)


def _fitting(batch: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    body = {"rows": batch}
    if len(batch) == 1 or len(codec.dumps(body)) < LINE_CAP - _ENVELOPE:
        yield body
    else:
        middle = len(batch) // 2
        yield from _fitting(batch[:middle])
        yield from _fitting(batch[middle:])


class Annotator:
    """A second, independent writer of a run, for measurements and notes.

    Any number of them, in any processes, write at the same time; each has its own journal, which is
    made at the first write. What a call has returned from survives a power cut.

    Parameters
    ----------
    folder : Path
        The run's ``journal`` folder.
    stamped : callable
        Fills in ``snapshot`` of the measurements that lack it.
    """

    def __init__(
        self, folder: Path, stamped: Callable[[Iterable[Measurement]], list[Measurement]]
    ) -> None:
        self._folder = folder
        self._stamped = stamped
        self._journal: JournalWriter | None = None
        self._pid = os.getpid()
        self._closed = False

    def measure(self, measurements: Iterable[Measurement]) -> int:
        """Keep measurements; return how many.

        Raises
        ------
        InputError
            If one of them holds a number that is not finite; then none is kept.
        StoreError
            If the disk refuses, or the annotator is closed.
        """
        rows = [codec.encode_measurement(row) for row in self._stamped(measurements)]
        if rows:
            self._open().append_many("measurements", lines_of(rows))
        return len(rows)

    def annotate(self, kind: str, detail: Mapping[str, Any]) -> None:
        """Keep a note; ``run.annotations(kind)`` lists them."""
        self._open().append(
            "annotation", {"about": codec.word(kind, "kind"), "detail": codec.plain(detail)}
        )

    def report(self, event: str, detail: Mapping[str, Any]) -> None:
        """Keep an event; ``run.events()`` lists them."""
        self._open().append(
            "event", {"event": codec.word(event, "event"), "detail": codec.plain(detail)}
        )

    def _open(self) -> JournalWriter:
        if self._closed or self._pid != os.getpid():
            raise StoreError(
                "This annotator is closed or belongs to another process. "
                "Make one in this process: `open_run(path).annotator()`."
            )
        if self._journal is None:
            self._journal = JournalWriter(self._folder / f"a{uuid.uuid4().hex[:16]}.jsonl")
        return self._journal

    def close(self) -> None:
        """Close the journal; harmless when it is closed."""
        self._closed = True
        if self._journal is not None:
            self._journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
