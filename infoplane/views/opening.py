"""Runs opened for pages: small ones at once, large ones in a thread while the page waits.

Reading the records of a million steps takes seconds. The event loop of all sessions must not stand
still for it, so the first visitor of such a run gets a page that reloads itself when it is read.
"""

from __future__ import annotations

import contextlib
import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from bokeh.document import Document
from markupsafe import Markup

from infoplane import store
from infoplane.errors import CorruptRunError
from infoplane.store import RunSummary
from infoplane.views.feed import SessionFeed
from infoplane.views.hub import Hub
from infoplane.views.page import Page
from infoplane.views.shelf import Shelf
from infoplane.views.tail import RunTail
from infoplane.views.text import plain

LARGE = 8_000_000  # bytes of records from which a run is read in a thread: about half a second

_READERS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="infoplane opening")

_READING = Markup("""
<div class="note"><h1>Reading {what}</h1>
<p>{size} of records. The page appears by itself; this happens once, not for every visitor.</p>
<progress aria-label="Reading"></progress></div>""")


def _key(summary: RunSummary) -> tuple[str, str]:
    """Return under what the hub knows it: another run may come to be in the same place."""
    return summary.id, str(summary.path)


def open_tail(summary: RunSummary, hub: Hub) -> tuple[tuple[str, str], RunTail]:
    """Return the tail of a run that all sessions share, after the hub's key of it.

    Raises
    ------
    InfoplaneError
        If the run is broken or cannot be read.
    """
    if summary.status.state == "broken":
        raise CorruptRunError(f"{summary.status.reason}.")
    key = _key(summary)
    tail = hub.source(key, lambda: RunTail(store.open_run(summary.path)))
    assert isinstance(tail, RunTail)
    return key, tail


class Opening:
    """A run that a thread is reading for the hub; has news once, when it is there."""

    def __init__(self, summary: RunSummary, hub: Hub) -> None:
        self._told = False
        self._reading: Future[object] = _READERS.submit(open_tail, summary, hub)

    @property
    def done(self) -> bool:
        """Whether it is there, or cannot be read."""
        return self._reading.done()

    def poll(self) -> bool:
        """Say when it is there."""
        news, self._told = self.done and not self._told, self.done
        return news

    def close(self) -> None:
        """Nothing is held open."""

    def message(self, cursor: bool) -> tuple[str | None, bool]:
        """Tell the page to come again."""
        return ("true" if self.done and not cursor else None), self.done


def reading(document: Document, summary: RunSummary | None, hub: Hub) -> Page | None:
    """Return the page to show while a large run is read; None when it can be shown at once."""
    if summary is None or hub.holds(_key(summary)):
        return None
    size = size_of(summary.path)
    if size < LARGE:
        return None
    key = ("opening", *_key(summary))
    opening = hub.source(key, lambda: Opening(summary, hub))
    if not isinstance(opening, Opening) or opening.done:
        hub.drop(key)  # it failed, or was put aside since: whoever opens it now says why
        return None
    feed = SessionFeed(document, opening, False, receive="infoplane.reload")
    return Page(
        "Reading a run",
        body=_READING.format(what=plain(summary.name), size=f"{size / 1e6:.0f} MB"),
        start=lambda: feed.start(hub, key),
        close=feed.close,
    )


def searching(document: Document, shelf: Shelf, hub: Hub) -> Page:
    """Return the page to show while the directory is read for the first time."""
    feed = SessionFeed(document, shelf, 0, receive="infoplane.reload")  # told once it is read
    return Page(
        "Reading the runs",
        body=_READING.format(what="the runs", size="Some hold many megabytes"),
        start=lambda: feed.start(hub, shelf.key),
        close=feed.close,
    )


def size_of(path: Path) -> int:
    """Bytes of a run's records."""
    size = 0
    with contextlib.suppress(OSError), os.scandir(path / "journal") as entries:
        for entry in entries:
            size += entry.stat(follow_symlinks=False).st_size
    return size
