"""The shutter: whether a snapshot is taken now, by the schedule and by what it may cost."""

from __future__ import annotations

from infoplane.capture.schedule import Schedule

LONGEST_GAP = 10_000  # scheduled steps looked for between two calls of step()


class Shutter:
    """Decides when a snapshot is taken.

    Parameters
    ----------
    schedule : Schedule
        The steps that are wanted.
    budget : float or None
        Share of the training time that capture may take; a step that would pass it is put off
        until it no longer does.

    Attributes
    ----------
    postponed : int
        How often a step was put off.
    """

    def __init__(self, schedule: Schedule, budget: float | None) -> None:
        self.schedule, self.budget = schedule, budget
        self.postponed = 0
        self._late = False

    def wants(self, previous: int, step: int) -> bool:
        """Whether a snapshot is due at `step`, the first call after `previous`.

        What was scheduled between the two, or put off before, is due now.
        """
        if self._late:
            return True
        if step == previous + 1:  # nearly always, and on every step of a training
            return bool(self.schedule.due(step))
        return any(map(self.schedule, range(max(previous + 1, step + 1 - LONGEST_GAP), step + 1)))

    def affords(self, spent: float, one: float, elapsed: float) -> bool:
        """Whether the budget allows one more snapshot; if not, it is put off.

        Parameters
        ----------
        spent, one, elapsed : float
            Seconds that capture has taken, that one more snapshot takes, and since the watch began.
        """
        dear = self.budget is not None and spent + one > self.budget * (elapsed - spent)
        self.postponed += dear and not self._late
        self._late = dear
        return not dear
