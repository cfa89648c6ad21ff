"""A probe pass leaves no trace: buffers, modes, caches, warnings, what changes between passes."""

from __future__ import annotations

import threading
import warnings
from collections import deque

import pytest
import torch
import torch.nn.utils.prune
from torch import nn
from torch.nn import functional as F  # noqa: N812

from infoplane.capture import CaptureWarning, MemorySink, Probe, verify_neutrality, watch
from infoplane.capture.quiet import undisturbed
from infoplane.capture.samples import Axis, find_axis
from infoplane.errors import CaptureError

X = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))


class Counting(nn.Module):
    """Counts its calls in a buffer, replaces another, and keeps a mask from its first call."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 3)
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("last", torch.zeros(3))
        self.mask = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        self.last = self.fc(x).detach().mean(0)
        if self.mask is None:
            self.mask = torch.ones(3)
        return self.fc(x) * self.mask


def test_buffers_are_put_back_in_value_and_identity():
    model, sink = Counting(), MemorySink()
    model(X)
    calls, last = model.calls, model.last
    with watch(model, Probe(X), sink, every=1) as watcher:
        watcher.step(1)
    assert model.calls is calls
    assert calls == 1
    assert model.last is last
    assert sink.steps == [0, 1]


class Observer(nn.Module):
    """Changes its buffers behind autograd's back, as observers of quantisation do."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 3)
        self.register_buffer("seen", torch.zeros(()))
        self.register_buffer("low", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.data.add_(1)
        self.low.data = x.amin(0)
        return self.fc(x)


def test_buffers_that_change_silently_are_put_back():
    model = Observer()
    seen, low = model.seen, model.low
    with undisturbed(model):
        model(X)
    assert model.seen is seen
    assert model.low is low
    assert (seen, low.shape) == (0, ())
    assert low == 0


def test_complex_weights_are_read_without_a_warning():
    class Fourier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3, dtype=torch.cfloat))
            self.fc = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(torch.fft.irfft(torch.fft.rfft(x) * self.weight, n=4))

    model, sink = nn.Sequential(Fourier(), nn.Tanh()), MemorySink()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, Probe(X), sink, every=2, capture=("output", "gradients")) as watcher:
        for step in range(2):
            optimiser.zero_grad()
            (model(X) * (step + 1)).sum().backward()
            optimiser.step()
            watcher.step(step)
    assert sink.scalars[2]["gradient_mean/0"] > 0


class Stateful(nn.Module):
    """Keeps a hidden state, a mean, a counter, a log and a history as plain attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.fc = nn.RNN(4, 5, batch_first=True), nn.Linear(5, 3)
        self.hidden, self.mean, self.calls = None, torch.zeros(5), 0
        self.log, self.seen, self.recent = [0.0], {}, deque([torch.zeros(5)], maxlen=3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out, hidden = self.rnn(x[:, None], self.hidden)
        self.hidden, self.calls, self.late = hidden.detach(), self.calls + 1, True
        self.mean.mul_(0.9).add_(out.detach().mean((0, 1)))
        self.recent[0].add_(self.mean)
        self.recent.append(self.mean.clone())
        self.log.append(float(out.detach().mean()))
        self.seen[self.calls] = len(self.log)
        return self.fc(out[:, 0] + sum(self.recent)) * (1 + self.log[-2] + len(self.seen))


def test_what_a_module_keeps_in_plain_attributes_is_put_back():
    def train(watch):
        model = Stateful()
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
        with watch(model, Probe(X), MemorySink(), every=1) as watcher:
            for step in range(3):
                loss = model(X + step).square().mean()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                watcher.step(step, loss=loss)
        return (model, model.hidden, model.mean, model.calls, model.log, list(model.seen),
                list(model.recent), model.recent.maxlen)  # fmt: skip

    torch.manual_seed(0)
    report = verify_neutrality(train)
    assert report, str(report)
    assert report.snapshots == 4
    model = Stateful()
    with undisturbed(model):
        model(X)
    assert not hasattr(model, "late")


@pytest.mark.parametrize("kind", ["prune", "spectral"])
def test_weights_that_are_computed_before_each_pass_are_those_of_the_training(kind):
    def train(watch):
        model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
        if kind == "prune":
            nn.utils.prune.l1_unstructured(model[0], "weight", 0.3)
        else:
            nn.utils.spectral_norm(model[0])
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
        with watch(model, Probe(X), MemorySink(), every=1) as watcher:
            for step in range(3):
                penalty = model[0].weight.detach().norm()  # as the last forward pass left it
                loss = model(X).square().mean() * penalty
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                watcher.step(step)
        return model

    torch.manual_seed(0)
    report = verify_neutrality(train)
    assert report, str(report)


def test_a_layer_whose_module_is_gone_is_lost_alone():
    model, sink = nn.Sequential(nn.Linear(4, 4), nn.Tanh()), MemorySink()
    model.extra = nn.Linear(4, 2)
    with watch(model, Probe(X, forward=_with_extra), sink, every=1) as watcher:
        del model.extra
        with pytest.warns(CaptureWarning, match="no longer in the model"):
            watcher.step(1)
    assert set(sink.snapshots[0].layers) - set(sink.snapshots[1].layers) == {"extra"}
    assert sink.snapshots[1].layers


def _with_extra(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    if hasattr(model, "extra"):
        model.extra(x)
    return model[1](model[0](x))


def test_a_forward_that_differentiates_is_captured():
    class Force(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.energy = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.enable_grad():
                x = x.requires_grad_()
                return torch.autograd.grad(self.energy(x).sum(), x, create_graph=True)[0]

    sink = MemorySink()
    with watch(Force(), Probe(X), sink, every=1):
        pass
    assert [set(snapshot.layers) for snapshot in sink.snapshots] == [{"energy.1", "energy.2"}]


def test_what_a_module_caches_can_be_used_by_autograd_later():
    model = Counting()
    with torch.inference_mode(), undisturbed(model):
        model(X)
    model(X.requires_grad_()).sum().backward()
    assert model.fc.weight.grad is not None


def test_autocast_keeps_no_weights_of_the_probe_pass():
    model = nn.Linear(4, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with undisturbed(model):
            model(X)
        model(X).float().sum().backward()
    assert model.weight.grad is not None


def test_reentrant_checkpoints_warn_of_nothing():
    def forward(x):
        return torch.utils.checkpoint.checkpoint(nn.functional.relu, x, use_reentrant=True)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with undisturbed(nn.Identity()):
            forward(X)


class Changing(nn.Module):
    """Skips a layer, or calls another in its place, when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.mode = nn.Linear(4, 4), nn.Linear(4, 4), "both"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.a(x)
        if self.mode == "other":
            x = F.relu(x)
        return x if self.mode == "one" else torch.tanh(self.b(torch.sigmoid(x)))


@pytest.mark.parametrize(
    ("mode", "lost", "message"),
    [
        ("one", {"a:sigmoid", "b:tanh"}, "not in this probe pass"),
        ("other", {"a:sigmoid", "b:tanh"}, "relu was called where sigmoid was"),
    ],
)
def test_a_layer_that_is_no_longer_called_is_lost_and_named(mode, lost, message):
    model, sink = Changing(), MemorySink()
    with watch(model, Probe(X), sink, every=1) as watcher:
        watcher.step(1)
        model.mode = mode
        with pytest.warns(CaptureWarning, match=message):
            watcher.step(2)
    assert set(sink.snapshots[1].layers) == {"a:sigmoid", "b:tanh"}
    assert set(sink.snapshots[2].layers) == {"a:sigmoid", "b:tanh"} - lost
    assert {detail["place"] for event, detail in sink.events if event == "fault"} == {
        f"layer {name}" for name in lost
    }


class Heads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc, self.odd = nn.Linear(4, 4), False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q = self.fc(x).reshape(-1, 1, 2, 2)
        out = F.scaled_dot_product_attention(q, q, q, attn_mask=Odd() if self.odd else None)
        return out.reshape(-1, 4)


class Odd(torch.Tensor):
    """A mask that only the fused kernel's own path can read."""

    def expand(self, *shape):
        raise RuntimeError("not this one")

    def __new__(cls):
        return torch.zeros(2, 2).as_subclass(cls)


def test_attention_that_cannot_be_recomputed_is_lost_alone():
    model, sink = Heads(), MemorySink()
    with watch(model, Probe(X), sink, every=1, capture=("output", "attention")) as watcher:
        model.odd = True
        with pytest.warns(CaptureWarning, match="layer attention failed"):
            watcher.step(1)
    assert set(sink.snapshots[0].layers) == {"fc", "attention"}
    assert set(sink.snapshots[1].layers) == {"fc"}


def test_gradient_statistics_that_fail_are_switched_off(monkeypatch):
    model, sink = nn.Linear(4, 3), MemorySink()
    other = nn.Linear(2, 2)
    optimisers = [torch.optim.SGD(part.parameters(), lr=0.1) for part in (model, other)]
    with watch(model, Probe(X), sink, every=2, capture=("output", "gradients")) as watcher:
        for step in range(1, 5):
            model(X).sum().backward()
            other(X[:, :2]).sum().backward()
            optimisers[1].step()  # of another model: not ours to look at
            if step == 3:
                monkeypatch.setattr(torch, "_foreach_add_", lambda *a: 1 / 0)
                with pytest.warns(CaptureWarning, match="gradients failed"):
                    optimisers[0].step()
                monkeypatch.undo()
            else:
                optimisers[0].step()
            watcher.step(step)
    assert "gradient_mean/model" in sink.scalars[2]
    assert "gradient_mean/model" not in sink.scalars.get(4, {})


def test_sparse_and_missing_gradients_are_passed_over():
    model = nn.Sequential(nn.Embedding(5, 3, sparse=True), nn.Flatten(), nn.Linear(6, 2))
    sink, tokens = MemorySink(), torch.randint(0, 5, (4, 2))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, Probe(tokens), sink, every=2, capture=("output", "gradients")) as watcher:
        for step in (1, 2):
            optimiser.zero_grad()
            model(tokens).sum().backward()
            optimiser.step()
            watcher.step(step)
    assert {name.partition("/")[2] for name in sink.scalars[2]} == {"2"}


def test_other_threads_use_of_the_model_is_not_captured():
    class Busy(nn.Linear):
        def forward(self, x):
            if threading.current_thread() is threading.main_thread() and len(x) == 6:
                thread = threading.Thread(target=lambda: outer(torch.zeros(2, 4)))
                thread.start()
                thread.join()
            return super().forward(x)

    outer = nn.Sequential(Busy(4, 3))
    sink = MemorySink()
    with watch(outer, Probe(X), sink):
        pass
    assert sink.snapshots[0].layers["0"].tolist() == outer(X).tolist()


def test_the_axis_of_samples():
    assert find_axis(torch.zeros(2, 5), torch.zeros(3, 5)) == Axis(0)
    assert find_axis(torch.zeros(5, 2), torch.zeros(5, 3)) == Axis(1)
    assert find_axis(torch.zeros(5), torch.zeros(5)) is None
    assert find_axis(torch.zeros(2), torch.zeros(3, 1)) is None
    assert find_axis(torch.zeros(2, 2), torch.zeros(3, 3)) is None
    assert find_axis(torch.zeros(3), torch.zeros(4)) is None
    a, b = torch.arange(4.0), torch.arange(6.0)
    assert find_axis(a, b) == Axis(0, 2)
    assert find_axis(a, torch.tensor([0.0, 1, 9, 2, 3, 8])) == Axis(0, 2, inner=True)
    assert find_axis(a, -b - 1) is None
    with pytest.raises(CaptureError, match="expected 4 entries on axis 0; got 5"):
        Axis(0, 2).first(torch.zeros(5), 2)


class Warns(nn.Module):
    def forward(self, x):
        warnings.warn("the model's own", UserWarning, stacklevel=1)
        return x * 2


def test_a_models_warnings_stay_the_trainings_own():
    """Shown once, as without capture: not at each probe pass, and not again after each."""
    model, sink = nn.Sequential(nn.Linear(3, 3), Warns()), MemorySink()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with watch(model, Probe(torch.ones(4, 3)), sink, every=1):
            pass  # even where warnings are errors, the probe pass raises none
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("default")
        before = list(warnings.filters)
        with watch(model, Probe(torch.ones(4, 3)), sink, every=1) as watcher:
            assert not shown
            for step in range(3):
                model(torch.ones(2, 3))
                watcher.step(step + 1)
        assert list(warnings.filters) == before
    assert [str(one.message) for one in shown] == ["the model's own"]
    assert [event for event, _ in sink.events] == ["cost", "cost"]
