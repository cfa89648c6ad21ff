"""Watching changes no bit of the training, and what is captured is what the network computed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from infoplane.capture import CaptureWarning, MemorySink, Probe, at, watch


def mlp() -> nn.Module:
    return nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(inplace=True), nn.Dropout(0.3), nn.Linear(8, 3)
    )


def frozen() -> nn.Module:
    model = mlp()
    model[1].eval()
    return model


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.again, self.last = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.act = nn.Tanh()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.act(self.again(self.act(self.again(self.act(self.first(x)))))))


def test_batchnorm_dropout_adam_and_inplace_relu_are_bit_identical(kit):
    x, y = kit.data()
    sink = kit.neutral(mlp, x, y)
    assert [layer.name for layer in sink.layers] == ["2", "4"]
    assert sink.steps == [0, 2, 4, 6, 8]
    assert sorted(sink.scalars) == list(range(1, 9))


def test_frozen_batchnorm_stays_frozen(kit):
    x, y = kit.data()
    kit.neutral(frozen, x, y)


def test_a_shared_module_is_keyed_by_its_calls(kit):
    x, y = kit.data()
    sink = kit.neutral(Shared, x, y)
    assert [layer.name for layer in sink.layers] == ["act", "act#1", "act#2", "last"]
    last = sink.snapshots[-1].layers
    assert not np.array_equal(last["act"], last["act#1"])


def test_snapshots_hold_what_the_network_computes_at_that_step():
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(5, 4), nn.ReLU(inplace=True), nn.Linear(4, 2))
    x = torch.randn(7, 5)
    sink, optimiser = MemorySink(), torch.optim.SGD(model.parameters(), lr=0.5)
    expected = {}

    def remember(step):
        with torch.no_grad():
            hidden = torch.relu(model[0](x))
            expected[step] = (hidden.numpy(), model[2](hidden).numpy())

    remember(0)
    with watch(model, Probe(x), sink, every=at(0, 2, 3)) as watcher:
        for step in range(3):
            optimiser.zero_grad()
            model(x).square().mean().backward()
            optimiser.step()
            remember(step + 1)
            watcher.step(step)
    assert sink.steps == [0, 2, 3]
    for snapshot in sink.snapshots:
        for made, wanted in zip(snapshot.layers.values(), expected[snapshot.step], strict=True):
            np.testing.assert_array_equal(made, wanted)


def test_a_model_that_cannot_run_under_autocast_in_eval_mode_is_read_without_it(kit):
    class Picky(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if torch.is_autocast_enabled("cpu") and not torch.is_grad_enabled():
                raise RuntimeError("no such kernel")
            return super().forward(x)

    x, y = kit.data()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        sink = kit.neutral(lambda: Picky(6, 3), x, y)
        assert sink.info["autocast"] is False
        assert kit.neutral(lambda: nn.Linear(6, 3), x, y).info["autocast"] is True


def test_hooks_are_gone_and_random_states_untouched_when_the_model_raises(kit):
    class Moody(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.angry = nn.Linear(6, 3), False

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out = self.fc(x)
            torch.rand(1)
            if self.angry:
                raise RuntimeError("not now")
            return out

    model, sink = Moody(), MemorySink()
    x, y = kit.data()
    with watch(model, Probe(x, y), sink, every=1, on_backpressure="block") as watcher:
        watcher.step(1)
        model.angry, before = True, kit.states()
        with pytest.warns(CaptureWarning, match="not now"):
            watcher.step(2)
        assert kit.states() == before
        model.angry = False
        watcher.step(3)
    assert sink.steps == [0, 1, 3]
    assert [detail["place"] for event, detail in sink.events if event == "fault"] == ["probe pass"]
    assert model.training
    assert not model.fc._forward_hooks
