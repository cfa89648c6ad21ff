"""One thread a process follows every run that somebody watches, and tells the watchers.

A *source* is anything with ``poll() -> bool`` (a run being tailed, a directory of runs). The hub
polls it every 10 ms while it changes and ever more rarely, down to four times a second, while it
does not, and wakes its listeners at most 25 times a second (a few of them 50 times). Listeners run
in the hub's thread and must return at once; they only schedule work on their own event loop. The
thread ends when nobody watches, and a source that was watched a moment ago is kept, so that a
reload of the page does not read the run again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Protocol

log = logging.getLogger(__name__)

ACTIVE = 0.010  # seconds between polls of a source that changed lately
IDLE = 0.250  # seconds between polls of a source that has been still
FRAME = 1 / 25  # seconds between two calls of a listener, at least,
QUICK = 1 / 50  # and where there are no more than
FEW = 8  # of them
LINGER = 2.0  # seconds after a change during which a source counts as active
KEPT = 4  # sources kept open after their last listener left


class Source(Protocol):
    """Something that grows."""

    def poll(self) -> bool:
        """Take in what is new; True when there was something. Called in the hub's thread."""

    def close(self) -> None:
        """Let go of files."""


class Hub:
    """Follows sources for listeners, in one daemon thread that lives while anybody listens."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._channels: dict[Hashable, _Channel] = {}
        self._kept: OrderedDict[Hashable, Source] = OrderedDict()
        self._thread: threading.Thread | None = None

    def source(self, key: Hashable, make: Callable[[], Source]) -> Source:
        """Return the source under `key`: the one already open, or a new one from ``make()``."""
        with self._lock:
            if (channel := self._channels.get(key)) is not None:
                return channel.source
            if (kept := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return kept
        made = make()  # may read a large run: not under the lock
        with self._lock:
            if (channel := self._channels.get(key)) is not None:
                made.close()
                return channel.source
            self._keep(key, made)
            return made

    def holds(self, key: Hashable) -> bool:
        """Whether a source is open under that key."""
        with self._lock:
            return key in self._channels or key in self._kept

    def drop(self, key: Hashable) -> None:
        """Let go of a source to which nobody listens."""
        with self._lock:
            kept = self._kept.pop(key, None)
        if kept is not None:
            kept.close()

    def listen(
        self, key: Hashable, source: Source, listener: Callable[[], None]
    ) -> Callable[[], None]:
        """Call `listener` whenever `source` has changed, until the returned function is called."""
        with self._lock:
            channel = self._channels.get(key)
            if channel is None:
                self._kept.pop(key, None)
                channel = self._channels[key] = _Channel(source)
            channel.listeners[id(listener)] = listener
            channel.due = 0.0
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="infoplane hub", daemon=True)
                self._thread.start()
        self._wake.set()
        return lambda: self._leave(key, id(listener))

    @property
    def running(self) -> bool:
        """Whether the thread is alive, which it is exactly while somebody listens."""
        return self._thread is not None

    @property
    def listeners(self) -> int:
        """How many listeners there are over all sources."""
        with self._lock:
            return sum(len(channel.listeners) for channel in self._channels.values())

    def _leave(self, key: Hashable, token: int) -> None:
        with self._lock:
            channel = self._channels.get(key)
            if channel is None or channel.listeners.pop(token, None) is None:
                return
            if not channel.listeners:
                del self._channels[key]
                self._keep(key, channel.source)
        self._wake.set()

    def _keep(self, key: Hashable, source: Source) -> None:
        self._kept[key] = source
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)[1].close()

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._channels:
                    self._thread = None
                    return
                channels = tuple(self._channels.values())
            now = self._clock()
            for channel in channels:
                if channel.due <= now:
                    channel.step(now)
            pause = min(channel.due for channel in channels) - self._clock()
            self._wake.wait(max(pause, 0.001))
            self._wake.clear()


class _Channel:
    """One source and those who listen to it."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.listeners: dict[int, Callable[[], None]] = {}
        self.due = 0.0
        self._pause = ACTIVE
        self._active_until = 0.0
        self._told = float("-inf")
        self._news = False

    def step(self, now: float) -> None:
        """Poll once, tell the listeners when a frame is due, and plan the next poll."""
        if self._poll():
            self._news, self._active_until = True, now + LINGER
        if self._news and now - self._told >= (QUICK if len(self.listeners) <= FEW else FRAME):
            self._news, self._told = False, now
            self._tell()
        self._pause = ACTIVE if now < self._active_until else min(self._pause * 1.5, IDLE)
        self.due = now + self._pause

    def _poll(self) -> bool:
        try:
            return self.source.poll()
        except Exception:  # one broken source must not stop the others
            log.exception("A source that is being watched could not be polled")
            self._pause = IDLE
            return False

    def _tell(self) -> None:
        for token, listener in tuple(self.listeners.items()):
            try:
                listener()
            except Exception:
                log.exception("A listener failed and is not called again")
                self.listeners.pop(token, None)


HUB = Hub()
"""The hub of this process."""
