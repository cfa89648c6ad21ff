"""verify_neutrality tells a training that is changed from one that is not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import infoplane
from infoplane.capture import MemorySink, Probe, verify_neutrality, watch
from infoplane.errors import InputError


def training(watch, model, steps=4):
    """A few steps of SGD on random data drawn from the global state."""
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x = torch.randn(16, 4)
    with watch(model, Probe(x), MemorySink(), every=1) as watcher:
        for step in range(steps):
            loss = model(x + torch.randn(16, 4)).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            watcher.step(step, loss=loss)
    return model, optimiser, [1.0, "text", None], np.arange(3)


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Dropout(0.5), nn.Linear(5, 2))


def test_a_training_function_with_the_watch_as_argument():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    report = verify_neutrality(lambda watch: training(watch, net()))
    assert report
    assert report.snapshots == 5
    assert report.faults == 0
    assert report.compared > 20
    assert "bit-identical" in str(report)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_training_function_that_calls_watch_itself():
    assert verify_neutrality(lambda: training(infoplane.watch, net()))


class Nosy(nn.Module):
    """Changes itself whenever it is called without gradients: no watch can undo that."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not torch.is_grad_enabled():
            self.fc.bias += 1
        return self.fc(x)


def test_a_watch_in_one_line_is_proved_and_ended():
    sinks = []

    def train():
        torch.manual_seed(0)
        model = torch.nn.Linear(3, 2)
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
        sinks.append(MemorySink())
        watch(model, Probe(torch.ones(4, 3)), sinks[-1], every=1, optimizer=optimiser).start()
        for _ in range(3):
            model(torch.randn(5, 3)).square().sum().backward()
            optimiser.step()

    report = verify_neutrality(train)
    assert report
    assert report.snapshots == 4
    assert [sink.status for sink in sinks] == [None, "finished"]


def test_a_changed_training_is_found_and_named():
    report = verify_neutrality(lambda watch: training(watch, Nosy()))
    assert not report
    assert report.repeatable
    assert "model 0 fc.bias differs" in report.differences
    assert "DIFFERENT" in str(report)


def test_a_training_that_does_not_repeat_itself_is_not_blamed_on_capture():
    rng = np.random.default_rng(1)
    report = verify_neutrality(
        lambda watch: training(watch, nn.Linear(4, 2), steps=int(rng.integers(1, 50)))
    )
    assert not report
    assert not report.repeatable
    assert "does not repeat itself" in str(report)


def test_a_function_that_watches_nothing_is_refused():
    with pytest.raises(InputError, match="must watch its model"):
        verify_neutrality(lambda: None)
    with pytest.raises(InputError, match="no argument or one"):
        verify_neutrality(lambda a, b: None)
