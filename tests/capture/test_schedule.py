"""Schedules."""

from __future__ import annotations

from itertools import pairwise

import pytest

from infoplane.capture import at, every, log_spaced
from infoplane.capture.schedule import as_schedule
from infoplane.errors import InputError


def taken(schedule, until):
    return [step for step in range(until + 1) if schedule(step)]


def test_every_and_at():
    assert taken(every(4), 12) == [0, 4, 8, 12]
    assert taken(at(3, 0, 7), 12) == [0, 3, 7]
    assert repr(at(7, 3)) == "at(3, 7)"


def test_they_combine():
    assert taken(every(4) | at(3), 8) == [0, 3, 4, 8]
    assert taken(every(4) & every(6), 24) == [0, 12, 24]
    assert taken((lambda step: step == 5) | every(4), 8) == [0, 4, 5, 8]
    assert taken(every(2) & (lambda step: step > 4), 8) == [6, 8]
    assert repr(every(4) | at(3)) == "every(4) | at(3)"


@pytest.mark.parametrize(("points", "until"), [(200, 10_000), (50, 1000), (20, 10**6), (7, 30)])
def test_log_spaced_spends_its_points_on_the_span_given(points, until):
    steps = taken(log_spaced(points, until=until), until)
    assert 0.9 * points - 1 <= len(steps) <= points
    gaps = [b - a for a, b in pairwise(steps)]
    assert steps[:3] == [0, 1, 2]
    assert gaps == sorted(gaps)  # dense early, ever wider


def test_log_spaced_is_every_step_when_there_are_points_enough():
    assert taken(log_spaced(500, until=100), 100) == list(range(101))


def test_log_spaced_goes_on_beyond_its_span():
    schedule = log_spaced(50, until=1000)
    beyond = [step for step in taken(schedule, 100_000) if step > 1000]
    ratios = [b / a for a, b in pairwise(beyond)]
    assert len(beyond) > 10
    assert max(ratios) - min(ratios) < 0.01


def test_arguments_are_read_and_refused():
    assert repr(as_schedule(None)) == "log_spaced(200, until=10000)"
    assert taken(as_schedule(3), 6) == [0, 3, 6]
    for wrong in (lambda: every(0), lambda: every(2.5), lambda: every(True), lambda: at(-1),
                  lambda: log_spaced(1), lambda: log_spaced(10, until=0)):  # fmt: skip
        with pytest.raises(InputError, match="of a schedule must be an int of at least"):
            wrong()
