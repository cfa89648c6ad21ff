"""The default schedule is thinned by what a snapshot costs; one that was asked for is not."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from infoplane.capture import CaptureWarning, MemorySink, Probe, log_spaced, watch
from infoplane.capture.pace import Pace


def taken(worth, steps=10_000):
    """Steps taken where a step takes a second and a snapshot ``worth(step)`` seconds."""
    events = []
    pace = Pace(lambda name, detail: events.append((name, detail["step"], detail["each"])))
    pace._told = True
    due = filter(log_spaced(200), range(1, steps + 1))
    return [step for step in due if pace.lets(step - 1, step, worth(step), float(step))], events


@pytest.mark.parametrize(("worth", "each"), [(0.5, 1), (1.6, 2), (3.0, 4), (6.0, 8), (50.0, 8)])
def test_as_many_as_two_percent_of_ten_thousand_steps_pay(worth, each):
    steps, events = taken(lambda step: worth)
    assert len(steps) == pytest.approx(199 / each, abs=2)
    assert set(steps) <= set(taken(lambda step: 0.5)[0])
    if worth <= 8:
        assert len(steps) * worth <= 0.02 * 10_000 + 2 * worth
    assert [event[::2] for event in events] == ([("pace", each)] if each > 1 else [])


def test_it_goes_denser_again_when_steps_become_slower_but_not_to_and_fro():
    _, events = taken(lambda step: 3.0 if step < 100 else 0.3)
    assert [each for _, _, each in events] == [4, 1]
    _, events = taken(lambda step: 1.02 if step % 2 else 0.98)
    assert [each for _, _, each in events] == [2]


def test_the_user_is_told_once_when_it_is_known():
    pace = Pace(lambda *_: None)
    assert pace.lets(0, 1, 3.0, 1.0)
    assert not any(pace.lets(step - 1, step, 3.0, float(step)) for step in (2, 3, 99))
    with pytest.warns(CaptureWarning, match=r"as long as 3\.0 steps.*1 in 4 .*every="):
        pace.lets(100, 101, 3.0, 101.0)
    pace.lets(101, 102, 3.0, 102.0)  # a second warning would be an error


@pytest.mark.parametrize(
    ("options", "steps"),
    [({}, [0, 6]), ({"every": log_spaced(200)}, list(range(7))), ({"every": 2}, [0, 2, 4, 6])],
)
def test_only_the_default_is_thinned(monkeypatch, options, steps):
    monkeypatch.setattr(Pace, "lets", lambda *_: False)
    sink = MemorySink()
    options = {"on_backpressure": "block", **options}
    with watch(nn.Linear(2, 1), Probe(torch.zeros(3, 2)), sink, **options) as watcher:
        for step in range(1, 7):
            watcher.step(step)
    assert sink.steps == steps
