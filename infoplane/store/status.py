"""How a run stands: written now, ended, or abandoned."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from infoplane.store.index import Index
from infoplane.store.journal import Follower
from infoplane.store.lock import Hold

State = Literal["live", "finished", "interrupted", "stalled", "failed", "broken", "empty"]

_FRESH_SECONDS = 60.0
SILENT_SECONDS = 90.0
"""From when on a writer that holds its lock and gives no sign of life counts as stalled.

Six of its signs are missed then; network file systems show a file's time up to a minute late.
"""


@dataclass(frozen=True, slots=True)
class RunStatus:
    """How a run stands.

    Attributes
    ----------
    state : str
        live (a living process writes it), finished, interrupted, failed (its writer said so),
        stalled (its writer is gone without a word, or has given no sign of life for 90 seconds),
        empty (nothing recorded), broken (unreadable).
    reason : str
        One sentence for people; empty when the state says it all.
    age_seconds : float
        Time since its journal last grew, by the clocks of two machines: a label.
    last_step : int or None
        Latest step with a snapshot or a scalar.
    held : bool
        Whether a process holds the run to write it, stopped or not.
    """

    state: State
    reason: str = ""
    age_seconds: float = 0.0
    last_step: int | None = None
    held: bool = False

    @property
    def growing(self) -> bool:
        """Whether more may come: it is written, or by a process that is stopped and may go on."""
        return self.state == "live" or (self.state == "stalled" and self.held)


def assess(hold: Hold, follower: Follower, index: Index, last_step: int | None) -> RunStatus:
    """Judge a run from its lock, looked at before the journals were read, and its journals.

    Never from a clock alone: what has ended or whose lock is free is not called live, and silence
    counts only of a writer that has promised signs of life.
    """
    age = _age(follower.main.path)
    state, reason = _state(hold, follower, index, last_step, age)
    damaged = follower.damaged + index.rejected
    notes = [
        reason,
        f"{damaged} damaged line{'s were' if damaged > 1 else ' was'} skipped" if damaged else "",
    ]
    notes += [f"the journal {name} is unreadable" for name in follower.unreadable]
    return RunStatus(state, "; ".join(filter(None, notes)), age, last_step, bool(hold.held))


def _state(
    hold: Hold, follower: Follower, index: Index, last_step: int | None, age: float
) -> tuple[State, str]:
    if follower.main.damaged and follower.main.seq < 0:
        return "broken", "no line of its journal can be read"
    if index.ended is not None:
        return index.ended, index.reason
    if hold.held and (hold.silence or 0.0) > SILENT_SECONDS:
        return "stalled", (
            f"its writer has given no sign of life for more than {SILENT_SECONDS:.0f} seconds: "
            "it was stopped, or its machine sleeps"
        )
    if hold.held or (hold.held is None and age < _FRESH_SECONDS):
        return "live", ""
    if last_step is None and not index.begun and not index.rows:
        return "empty", "nothing was recorded"
    return "stalled", "its writer is gone without an end: it was killed or lost its machine"


def _age(journal: Path) -> float:
    try:
        return max(0.0, time.time() - os.lstat(journal).st_mtime)
    except OSError:
        return 0.0
