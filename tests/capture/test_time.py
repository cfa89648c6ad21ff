"""The time axis: snapshots and scalars count optimiser updates, whatever the loop's numbers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from infoplane.capture import CaptureWarning, MemorySink, Probe, at, every, watch
from infoplane.capture.clock import Clock, Fingerprint
from infoplane.store import Run, open_run


def loop(numbers, *, update_first=True, by_data=False, lr=0.1, **options):
    """Train with the step numbers given and return the sink and the biases at each update."""
    torch.manual_seed(0)
    model, sink = nn.Linear(3, 1), options.pop("sink", None) or MemorySink()
    x = torch.randn(5, 3)
    optimiser = torch.optim.SGD(model.parameters(), lr=lr)
    updates = [model(x).detach()]

    def update():
        optimiser.zero_grad()
        model(x).square().sum().backward()
        if by_data:
            for weight in model.parameters():
                weight.data -= lr * weight.grad
        else:
            optimiser.step()
        updates.append(model(x).detach())

    with watch(model, Probe(x), sink, on_backpressure="block", **options) as watcher:
        for number in numbers:
            if update_first:
                update()
            watcher.step(number, loss=0.5)
            if not update_first:
                update()
    return sink, updates


@pytest.mark.parametrize("by_data", [False, True])
@pytest.mark.parametrize("numbers", [range(6), range(1, 7), [None] * 6, [0, 1, 2, 0, 1, 2]])
def test_labels_count_updates_from_either_start(numbers, by_data):
    sink, updates = loop(numbers, every=1, by_data=by_data)
    assert sink.steps == list(range(7))
    assert sorted(sink.scalars) == list(range(1, 7))
    for snapshot in sink.snapshots:
        assert snapshot.layers["model"].tolist() == updates[snapshot.step].tolist()


def test_a_call_before_the_update_counts_the_updates_done():
    sink, updates = loop(range(4), every=1, update_first=False)
    assert sink.steps == [0, 1, 2, 3]
    for snapshot in sink.snapshots:
        assert snapshot.layers["model"].tolist() == updates[snapshot.step].tolist()


def test_an_update_with_learning_rate_zero_is_an_update():
    sink, _ = loop(range(3), every=1, lr=0.0)
    assert sink.steps == [0, 1, 2, 3]


def test_a_counter_that_starts_again_is_noted_once():
    sink, _ = loop([0, 1, 0, 1, 0, 1], every=1)
    assert [event for event, _ in sink.events].count("renumbered") == 1
    assert sink.steps == list(range(7))


def test_steps_that_are_passed_over_are_taken_at_the_next_call():
    sink, _ = loop([10, 20, 30, 40], every=at(0, 15, 16, 33))
    assert sink.steps == [0, 20, 40]


def test_the_same_step_twice_is_one_snapshot():
    sink, _ = loop([1, 1, 2], every=1)
    assert sink.steps == [0, 1, 2]


def test_the_first_follows_the_schedule_and_the_last_is_always_taken():
    assert loop(range(5), every=at(3))[0].steps == [3, 5]
    assert loop(range(5), every=every(100))[0].steps == [0, 5]
    assert loop([], every=1)[0].steps == [0]


def test_a_resumed_run_is_not_begun_again():
    sink, _ = loop(range(4), every=1)
    again, _ = loop([3, 4], every=1, sink=sink)
    assert [snapshot.step for snapshot in again.snapshots] == [0, 1, 2, 3, 4, 3, 4]


@pytest.mark.parametrize(("numbers", "labels"), [([3, 4], [3, 4, 5]), ([4, 5], [3, 4, 5])])
def test_a_resumed_run_that_knows_its_start_continues_the_axis(numbers, labels):
    sink, _ = loop(numbers, every=1, start=3)
    assert sink.steps == labels


@pytest.mark.parametrize("first", [0, 1])
def test_a_resumed_run_reads_numbers_as_the_watch_before_did(tmp_path, first):
    with Run.create(tmp_path / "run") as run:
        loop(range(first, first + 6), every=1, sink=run)
    with Run.create(tmp_path / "run", resume="must") as run:
        loop(range(4 + first, 9 + first), every=1, sink=run)  # a checkpoint of 4 updates
    read = open_run(tmp_path / "run")
    assert read.steps == list(range(10))
    assert sorted(read.scalars()["loss"]) == list(range(1, 10))


def test_a_resumed_run_without_numbers_goes_on_and_says_so(tmp_path):
    with Run.create(tmp_path / "run") as run:
        loop([None] * 3, every=1, sink=run)
    with (
        Run.create(tmp_path / "run", resume="must") as run,
        pytest.warns(CaptureWarning, match="counted on from 3"),
    ):
        loop([None] * 2, every=1, sink=run)
    assert open_run(tmp_path / "run").steps == [0, 1, 2, 3, 4, 5]


def test_numbers_may_be_tensors_and_nonsense_is_a_fault():
    sink, _ = loop([torch.tensor(1), torch.tensor(2)], every=1)
    assert sink.steps == [0, 1, 2]
    with pytest.warns(UserWarning, match="step failed"):
        sink, _ = loop([1, "two", 3], every=1)
    assert sink.steps == [0, 1, 3]


def test_the_fingerprint_sees_any_way_of_updating():
    model = nn.Linear(2, 2)
    mark = Fingerprint(model)
    assert not mark.moved()
    model.bias.data += 1
    assert mark.moved()
    clock = Clock(5)
    assert [clock.label(n, lambda: True) for n in (5, 6, 6, 2)] == [6, 7, 7, 8]
