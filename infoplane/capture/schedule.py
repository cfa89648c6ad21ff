"""Schedules: at which steps a snapshot is taken, as ``schedule(step) -> bool``."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass

from infoplane.errors import InputError

ScheduleLike = int | Callable[[int], bool]


@dataclass(frozen=True)
class Schedule:
    """Which steps are captured; call it with a step, combine it with ``|`` and ``&``.

    Attributes
    ----------
    due : callable
        ``due(step) -> bool``.
    text : str
        How it reads in a run's notes (``"every(10) | at(3)"``).
    """

    due: Callable[[int], bool]
    text: str

    def __call__(self, step: int) -> bool:
        """Whether `step` (optimiser updates done) is captured."""
        return bool(self.due(step))

    def __or__(self, other: ScheduleLike) -> Schedule:
        """Return the steps of either schedule."""
        other = as_schedule(other)
        return Schedule(lambda step: self(step) or other(step), f"{self.text} | {other.text}")

    def __and__(self, other: ScheduleLike) -> Schedule:
        """Return the steps of both schedules."""
        other = as_schedule(other)
        return Schedule(lambda step: self(step) and other(step), f"({self.text}) & ({other.text})")

    __ror__ = __or__
    __rand__ = __and__

    def __repr__(self) -> str:
        return self.text


def every(k: int) -> Schedule:
    """Every k-th step, step 0 included.

    Parameters
    ----------
    k : int
        Distance between two snapshots in optimiser updates, at least 1.
    """
    k = _whole("k", k, least=1)
    return Schedule(lambda step: step % k == 0, f"every({k})")


def at(*steps: int) -> Schedule:
    """Exactly the steps given."""
    chosen = frozenset(_whole("steps", step, least=0) for step in steps)
    return Schedule(chosen.__contains__, f"at({', '.join(map(str, sorted(chosen)))})")


def log_spaced(points: int = 200, *, until: int = 10_000) -> Schedule:
    """About `points` snapshots from step 0 to `until`, dense early, then evenly on a log scale.

    Every step at first, then s → ⌊s·r⌋ with the smallest ratio r that spends no more than `points`
    steps on 0 … `until`. Training that runs on beyond `until` is captured at the same ratio, so the
    length of a training need not be known.

    Parameters
    ----------
    points : int
        Snapshots from 0 to `until`, at least 2.
    until : int
        Step at which `points` snapshots have been taken, at least 1.
    """
    points, until = _whole("points", points, least=2), _whole("until", until, least=1)
    ladder = _Ladder(_ratio(points, until))
    return Schedule(ladder.holds, f"log_spaced({points}, until={until})")


def as_schedule(value: ScheduleLike | None) -> Schedule:
    """Read an ``every=`` argument: None is ``log_spaced(200)``, an int k is ``every(k)``."""
    if value is None:
        return log_spaced()
    if isinstance(value, Schedule):
        return value
    if callable(value):
        return Schedule(value, getattr(value, "__name__", type(value).__name__))
    return every(value)


class _Ladder:
    """The increasing steps 0, 1, …, s, max(s + 1, ⌊s·ratio⌋), … grown as far as it is asked."""

    def __init__(self, ratio: float) -> None:
        self.ratio = ratio
        self.top = 1
        self.steps = {0, 1}

    def holds(self, step: int) -> bool:
        """Whether `step` is one of the ladder's; asked on every step of a training."""
        while self.top < step:
            self.top = _rung(self.top, self.ratio)
            self.steps.add(self.top)
        return step in self.steps


def _rung(step: int, ratio: float) -> int:
    return max(step + 1, int(step * ratio))


def _ratio(points: int, until: int) -> float:
    """Smallest ratio (to 1e-12) whose ladder has at most `points` rungs on 0 … `until`."""

    def fits(ratio: float) -> bool:
        step, count = 1, 2
        while (step := _rung(step, ratio)) <= until and count <= points:
            count += 1
        return count <= points

    low, high = 1.0, float(until + 1)
    while high - low > 1e-12 * high and not fits(low):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if fits(middle) else (middle, high)
    return low if fits(low) else high


def _whole(name: str, value: int, *, least: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if number < least or isinstance(value, bool):
        raise InputError(
            f"`{name}` of a schedule must be an int of at least {least}; got {value!r}."
        )
    return number
