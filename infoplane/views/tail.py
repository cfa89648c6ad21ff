"""What the hub follows: one run, and the directory of runs.

Both answer ``message(cursor)``: everything since, as JSON, made once however many sessions ask.
"""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from infoplane import analysis, store
from infoplane.errors import InfoplaneError
from infoplane.store import Run, codec
from infoplane.views.builder import FrameBuilder
from infoplane.views.cards import unmeasured
from infoplane.views.feed import to_json
from infoplane.views.frame import COLUMNS, SCALAR_COLUMNS, Cursor, Delta, Live, Packed, Rows
from infoplane.views.text import plain

STATUS_EVERY = 0.5  # seconds between two looks at whether the writer still lives
TURNS_EVERY = 5.0  # seconds between two looks for phases in a growing run
FRAMES = 16  # newest frames that are kept, to tell a reader of changes only
RECENT = 256  # steps whose scalars are remembered, so that none is counted twice

Place: TypeAlias = tuple[int, Cursor | None, int]
"""How far a session has got: which reading of the run, how far in it, which status line."""


@dataclass(frozen=True, slots=True)
class _Frame:
    """What is replaced as a whole with every frame."""

    live: Mapping[str, Any] = field(default_factory=dict)
    head: Packed = field(default_factory=lambda: np.zeros((0, len(COLUMNS)), np.float32))
    scalar_head: Packed = field(
        default_factory=lambda: np.zeros((0, len(SCALAR_COLUMNS)), np.float32)
    )


class RunTail:
    """One run as the page shows it, growing.

    The hub's thread polls; sessions read from the event loop's thread; a lock lies between.

    Parameters
    ----------
    run : Run
        The run, open for reading.
    clock : callable
        Seconds, growing.
    """

    def __init__(self, run: Run, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.run = run
        self._clock = clock
        self._lock = threading.RLock()
        self._tail = run.tail(replay=False)  # before the run is read: nothing falls in between
        self._reading = 0
        self._version = 0
        self._look_due = 0.0
        self._turns_due = 0.0
        self._limits_due = True
        self._limits_new = False
        self._unread = False  # measured since turns were looked for?
        self._live = Live()
        self._said: dict[Place, tuple[str | None, Place]] = {}
        self._frames: dict[tuple[int, int], _Frame] = {}
        self._read()
        self._look()

    def poll(self) -> bool:
        """Take in new records, and now and then the run's status."""
        if self._limits_due:
            self._limits_due = False
            # may take seconds
            threading.Thread(target=self._find_limits, name="infoplane bound", daemon=True).start()
        with self._lock:
            try:
                news = self._take(self._tail.poll()) or self._limits_new
                news = (self._clock() >= self._look_due and self._look()) or news
            except InfoplaneError as error:  # damaged or deleted while it is watched
                news = self._set(Live("broken", plain(error, 300), step=self._live.step))
            self._limits_new = False
            if news:
                self._version += 1
                self._tell_again()
            return news

    def _tell_again(self) -> None:
        """Drop what was said, and say it anew to where the keenest readers are."""
        self._said = {place: self._say(place) for place in {p for _, p in self._said.values()}}

    def close(self) -> None:
        """Let go of the run's files."""
        self.run.close()

    def now(self, since: Cursor | None = None, *, every_row: bool = False) -> tuple[Delta, Live]:
        """Return what a report or a notebook has to apply: what is new since, and the status.

        With ``every_row`` each measured step has a row of its own, instead of one a log bin.
        """
        if self._limits_due:
            self._limits_due = False
            self._find_limits()
        with self._lock:
            delta = self._builder.delta(since)
            if every_row:
                rows = self._builder.every_row()
                delta = replace(delta, rows=rows, head=Rows(rows.packed[:0]))
            return delta, self._live

    @property
    def state(self) -> tuple[int, Live]:
        """How often it has changed, and how it stands."""
        with self._lock:
            return self._version, self._live

    def message(self, cursor: Place | None) -> tuple[str | None, Place]:
        """Tell what changed since `cursor`, as one JSON text for ``infoplane.frame``."""
        place: Place = cursor or (-1, None, -1)
        said = self._said.get(place)  # most ask for the same: none of them waits for the lock
        if said is not None:
            return said
        with self._lock:
            if place[0] == self._reading and place[2] == self._version:
                return None, place
            if place not in self._said:
                self._said[place] = self._say(place)
            return self._said[place]

    # -- inside ------------------------------------------------------------------------------------

    def _say(self, place: Place) -> tuple[str, Place]:
        since = place[1] if place[0] == self._reading else None
        delta = self._builder.delta(since)
        before = self._frames.get((place[0], place[2])) if since else None
        before = before or _Frame()
        now = self._frame(delta)
        message: dict[str, Any] = {
            "live": {k: v for k, v in now.live.items() if before.live.get(k, now) != v},
            "head": changes(before.head, now.head),
            "scalar_head": changes(before.scalar_head, now.scalar_head),
        }
        if delta.reset:
            message["reset"] = True
        if delta.reset or len(delta.rows):
            message["rows"] = _packed(delta.rows.packed)
        if delta.reset or len(delta.scalars):
            message["scalars"] = _packed(delta.scalars)
        if delta.texts:
            message["texts"] = list(delta.texts)
        if delta.meta is not None:
            message["meta"] = delta.meta.as_json()
        return to_json(message), (self._reading, delta.cursor, self._version)

    def _frame(self, delta: Delta) -> _Frame:
        """Return what every frame holds, the same for all who are told of this version."""
        at = (self._reading, self._version)
        if at not in self._frames:
            live = asdict(self._live) | {
                "age": None if self._live.age is None else round(self._live.age, 2),
                "seq": self._version,
                "generation": delta.cursor.generation,
            }
            self._frames[at] = _Frame(live, delta.head.packed, delta.scalar_head)
            while len(self._frames) > FRAMES:
                del self._frames[next(iter(self._frames))]
        return self._frames[at]

    def _read(self) -> None:
        """Build the frames from the run as it stands."""
        run = self.run
        run.refresh()
        builder = FrameBuilder(run.name, subtitle(run.config), generation=self._reading + 1)
        builder.describe(run.layer_table)
        builder.offer(unmeasured(run.layer_table))
        for name in run.probes:
            probe = run.probe(name)
            classes = probe.y if probe.target == "class" else None
            builder.add_probe(name, len(probe.x), classes)
        builder.add(run.measurements())
        self._recent: dict[int, set[str]] = {}
        for name, (steps, values) in run.curves().items():
            builder.add_history(name, steps, values)
            for step in steps[-RECENT:].tolist():
                self._recent.setdefault(step, set()).add(name)
        builder.find_turns()
        self._builder = builder
        self._limits_due = True
        self._reading += 1
        self._said = {}

    def _take(self, records: Sequence[Mapping[str, Any]]) -> bool:
        """Add new records; True when the page has to change."""
        if any(record["kind"] in ("open", "begin", "probe") for record in records):
            self._read()  # a restart: what was shown beyond its first step is void
        else:
            for record in records:
                if record["kind"] == "measurements":
                    self._builder.add(store.decode_measurements(dict(record)))
                    self._unread = True
                elif record["kind"] in ("snapshot", "scalars"):
                    self._add_scalars(int(record["step"]), codec.decode_scalars(record))
        if records and self._live.state in ("live", "empty"):
            self._set(replace(self._live, age=0.0, step=self._builder.last_step))
        return bool(records)

    def _add_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        """Add what is new of a step: a snapshot repeats what was recorded at its step."""
        known = self._recent.setdefault(step, set())
        self._builder.add_scalars(step, {n: v for n, v in scalars.items() if n not in known})
        known.update(scalars)
        while len(self._recent) > RECENT:
            del self._recent[next(iter(self._recent))]

    def _look(self) -> bool:
        """Read the status; True when the line on the page has to change."""
        begun = self._clock()
        status = self.run.status()
        # in a long run this takes a while: never more than a few per cent of the time
        took = self._clock() - begun
        self._look_due = begun + max(STATUS_EVERY, 30 * took)
        step = status.last_step if self._builder.last_step is None else self._builder.last_step
        turned = self._find_turns(now=status.state != self._live.state)
        live = Live(str(status.state), plain(status.reason, 300), status.age_seconds, step)
        return self._set(replace(live, note=self._left(live.state))) or turned

    def _left(self, state: str) -> str:
        """Say of a run that is over how far its estimates have come, or what capture took."""
        if state in ("live", "empty", "broken"):
            return ""
        there, done = len(self.run.steps_of(None)), self._builder.measured_steps
        if 0 < done < there:
            return f"{done:,} of {there:,} snapshots measured"
        return analysis.capture_cost(self.run.events()).partition(" of the training (")[0]

    def _find_limits(self) -> None:
        """Find the information-bottleneck bound of every probe set."""
        for name in self.run.probes:
            try:
                curve = analysis.bound_curve(self.run, probe=name)
            except InfoplaneError:  # its arrays are damaged: the plane is drawn without
                continue
            if curve is not None:
                with self._lock:
                    self._builder.limit(name, curve["i_x"], curve["i_y"], curve["corner"])
                    self._limits_new = True

    def _find_turns(self, now: bool) -> bool:
        """Look for phases now and then while the run grows, and once more when it ends."""
        if not self._unread or (self._clock() < self._turns_due and not now):
            return False
        self._turns_due, self._unread = self._clock() + TURNS_EVERY, False
        return self._builder.find_turns()

    def _set(self, live: Live) -> bool:
        before, self._live = self._live, live
        return (before.state, before.reason, before.note) != (live.state, live.reason, live.note)


class Nudge:
    """Says that a run has grown and nothing more, for pages that ask for what they show."""

    def __init__(self, tail: RunTail) -> None:
        self._tail = tail

    def poll(self) -> bool:
        """Poll the run."""
        return self._tail.poll()

    def close(self) -> None:
        """Close the run."""
        self._tail.close()

    def message(self, cursor: int | None) -> tuple[str | None, int]:
        """Tell the status line when the run has changed."""
        version, live = self._tail.state
        if cursor == version:
            return None, version
        return to_json({"version": version, "live": live.columns()}), version


def subtitle(config: Mapping[str, Any]) -> str:
    """One line about a run, from the plain values of its configuration."""
    words = [
        f"{name} {'-'.join(map(str, v)) if isinstance(v, list | tuple) else v}"
        for name, v in config.items()
        if isinstance(v, str | int | float | list | tuple) and v not in (0, "", "none")
    ]
    return plain(" · ".join(words[:6]), 160)


def changes(before: Packed, now: Packed) -> str:
    """Tell an array to who knows the one before: ``~`` and what is different, ``=`` and all of it.

    What is different is one bit a number, in order, then the numbers whose bit is set.
    """
    if before.shape != now.shape:
        return "=" + _packed(now)
    new = now.reshape(-1).astype("<f4")
    changed = new.view(np.uint32) != before.reshape(-1).astype("<f4").view(np.uint32)
    told = np.packbits(changed).tobytes() + new[changed].tobytes()
    return "~" + base64.b64encode(told).decode("ascii")


def _packed(rows: Packed) -> str:
    return base64.b64encode(rows.astype("<f4").tobytes()).decode("ascii")
