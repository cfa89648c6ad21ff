"""The time axis: from the numbers that a training loop passes to optimiser updates done."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from infoplane.capture.faults import tell
from infoplane.capture.models import weights

FROM_ZERO, RENUMBERED = "numbered from 0", "renumbered"
"""Events that tell how a loop's numbers stand to the steps."""

Report = Callable[[str, Mapping[str, Any]], None]


class Clock:
    """Labels each call with the number of optimiser updates done so far.

    Loops number their updates from 0 (``for step, batch in enumerate(loader)``) or from 1. The
    first number tells: if it equals the start although the weights have moved, updates are numbered
    from 0 and each label is the number plus 1. A number that falls (a counter that starts again
    with each epoch) goes on from the last label.

    Parameters
    ----------
    start : int or None
        Updates done when the watch begins; None where a resumed training does not say. Then its
        numbers are read as those before were, and without numbers it goes on from `reached`.
    reached : int
        Latest step of the run that is resumed.
    offset : int
        What was added to its numbers.

    Attributes
    ----------
    last : int
        Latest label.
    restarts : int
        How often the loop's numbers fell.
    """

    def __init__(self, start: int | None, *, reached: int = -1, offset: int = 0) -> None:
        self.start, self.reached = start, reached
        self.last = -1 if start is None else start
        self.offset: int | None = offset if start is None and offset else None
        self.restarts = 0

    def label(
        self, number: int | None, moved: Callable[[], bool], report: Report = lambda *_: None
    ) -> int:
        """Return the label of a call that passed `number`; None counts on by one.

        `report` is told of numbers that begin at 0, and once of numbers that fall.
        """
        if number is None:
            return self._next()
        number = operator.index(number)
        if self.offset is None:
            self.offset = int(number == self.start and moved())
            if self.offset:
                report(FROM_ZERO, {"step": number + 1})
        if number + self.offset < self.last:
            self.offset = self.last + 1 - number
            self.restarts += 1
            if self.restarts == 1:
                report(RENUMBERED, {"given": number, "step": self.last + 1})
        self.last = number + self.offset
        return self.last

    def _next(self) -> int:
        if self.last < 0 <= self.reached:
            self.last = self.reached
            tell(
                f"infoplane: steps are counted on from {self.reached}, the latest of the resumed "
                "run; if the checkpoint is older, say start= (updates done)."
            )
        self.last += 1
        return self.last


class Fingerprint:
    """Tells whether a model's weights have changed since it was taken.

    Compares autograd's version counters (any in-place update raises them) and sums of a few entries
    of each weight (for updates through ``.data``, which leave the counters alone).
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.versions, self.sums = self._take()

    def moved(self) -> bool:
        """Whether some weight has been updated."""
        versions, sums = self._take()
        return versions != self.versions or not all(map(torch.equal, sums, self.sums))

    def _take(self) -> tuple[list[int], list[Tensor]]:
        found = weights(self.model)
        return [weight._version for weight in found], [_some(weight) for weight in found]


def _some(weight: Tensor) -> Tensor:
    weight = weight.detach()
    entries = (torch.view_as_real(weight) if weight.is_complex() else weight).reshape(-1)
    return entries[:: max(1, entries.numel() // 64)].double().sum()
