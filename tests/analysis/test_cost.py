"""What capture took, in words."""

from __future__ import annotations

from infoplane.analysis import capture_cost


def told(**detail):
    return {"event": "cost", "detail": {"seconds": 0.534, "training_seconds": 29.7, **detail}}


def test_the_latest_cost_is_told_with_what_was_asked_for_and_lost():
    kinds = {"output": 0.3, "attention": 0.1234, "pre_activation": 12.3}
    events = [told(seconds=9.0), {"event": "fault", "detail": {}},
              told(kinds=kinds, dropped=1_200, postponed=3)]  # fmt: skip
    assert capture_cost(events) == (
        "capture took 1.80 % of the training (0.53 of 29.7 s; attention 0.12 s; pre activation "
        "12.3 s; 1,200 snapshots dropped; 3 put off)"
    )


def test_runs_of_before_and_damaged_ones_are_told_without():
    assert capture_cost([]) == ""
    assert capture_cost([told()]) == "capture took 1.80 % of the training (0.53 of 29.7 s)"
    odd = told(training_seconds=None, kinds=[3], dropped="many")
    assert capture_cost([odd]) == "capture took 0.00 % of the training (0.53 of 0.00 s)"
