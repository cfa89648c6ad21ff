"""The pace of the default schedule: fewer snapshots where they would cost too much."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from infoplane.capture.faults import tell
from infoplane.capture.schedule import Ladder

SHARE = 0.02
"""Of a training of 10,000 steps, what the default schedule may take."""

EACH = (1, 2, 4, 8)
SURE = 100  # steps after which the cost of a step is known well enough to tell the user

THINNED = (
    "infoplane: a snapshot takes as long as {worth:.1f} steps of this training, so 1 in {each} of "
    "the default schedule's are taken. A smaller probe set makes them cheaper; "
    "every=infoplane.log_spaced(200) takes them all."
)


class Pace:
    """Thins the default schedule: of its 200 rungs in 10,000 steps each one, 2nd, 4th or 8th.

    As many are taken as come to `SHARE` of such a training: of snapshots that cost as much as 3
    steps, each 4th. So the steps of a run thinned more are among those of a run thinned less.

    Parameters
    ----------
    report : callable
        ``report(event, detail)`` tells the run.

    Attributes
    ----------
    each : int
        Of `EACH`.
    """

    def __init__(self, report: Callable[[str, Mapping[str, Any]], None]) -> None:
        self.report, self.ladder = report, Ladder()
        self.each = 1
        self._first: tuple[int, float] | None = None
        self._told = False

    def lets(self, previous: int, step: int, one: float, clock: float) -> bool:
        """Whether one of the rungs after `previous`, up to `step`, is to be taken.

        Parameters
        ----------
        previous, step : int
            Latest steps told of.
        one : float
            Seconds that a snapshot takes.
        clock : float
            Seconds of training so far, from any point in time.
        """
        if self._first is None:  # what came before the first step (data, compiling) is no step
            self._first = step, clock
        done, seconds = step - self._first[0], clock - self._first[1]
        worth = one * done / max(seconds, 1e-9) if done else 0.0
        dear = worth * self.ladder.points / (SHARE * self.ladder.until)
        if not 0.4 * self.each < dear <= self.each:  # from 0.5 on it would go to and fro
            each = next((k for k in EACH if dear <= k), EACH[-1])
            if each != self.each:
                self.report("pace", {"step": step, "each": each, "worth": round(worth, 2)})
            self.each = each
        if self.each > 1 and done >= SURE and not self._told:
            self._told = True
            tell(THINNED.format(worth=worth, each=self.each))
        return self.ladder.index(step) // self.each > self.ladder.index(previous) // self.each
