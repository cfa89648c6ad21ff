"""Which layers are found, how they are named, and what is made of them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from infoplane.capture import MemorySink, Probe, watch
from infoplane.errors import CaptureError, HookNotFiredError, InputError


def captured(model, x, **options):
    """Snapshot of step 0 with the sink's layer table."""
    sink = MemorySink()
    with watch(model, options.pop("probe", None) or Probe(x), sink, **options):
        pass
    return sink


def names(model, x, **options):
    return [layer.name for layer in captured(model, x, **options).layers]


def reduces(sink):
    return {layer.name: layer.reduce for layer in sink.layers}


class Functional(nn.Module):
    """Activations as functions, as in many public scripts."""

    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.2)
        self.fc1, self.fc2 = nn.Linear(4 * 3 * 3, 6), nn.Linear(6, 3)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn(self.conv(x))), 2)
        x = torch.tanh(self.fc1(self.drop(x.flatten(1))))
        return F.log_softmax(self.fc2(x), dim=1)


IMAGES = torch.randn(9, 1, 8, 8, generator=torch.Generator().manual_seed(0))
ROWS = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))


def test_a_layer_is_its_output_after_normalisation_and_activation():
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Dropout(), nn.Linear(36, 5), nn.Tanh(), nn.Identity(), nn.Linear(5, 3), nn.Softmax(1),
    )  # fmt: skip
    sink = captured(model, IMAGES)
    assert [layer.name for layer in sink.layers] == ["2", "7", "10"]
    assert sink.info["left_out"]["0"] == "pre-activation of 1"
    assert "eval mode" in sink.info["left_out"]["5"]
    assert "no parameters" in sink.info["left_out"]["3"]


class Shortcut(nn.Module):
    """A residual block as most people write it, and a pooling between weights and activation."""

    def __init__(self):
        super().__init__()
        self.conv, self.pool = nn.Conv2d(1, 4, 3), nn.MaxPool2d(2)
        self.inner, self.bn = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.down, self.fc = nn.Conv2d(4, 4, 1), nn.Linear(4, 3)

    def forward(self, x):
        x = F.relu(self.pool(self.conv(x)))
        out = self.bn(self.inner(x))
        out += self.down(x)
        return self.fc(F.relu(out).mean((2, 3)))


def test_the_parts_of_a_residual_sum_are_pre_activations():
    sink = captured(Shortcut(), IMAGES)
    assert [layer.name for layer in sink.layers] == ["conv:relu", "relu", "fc"]
    left_out = sink.info["left_out"]
    assert left_out["bn"] == left_out["down"] == "pre-activation of relu"
    assert left_out["conv"] == "pre-activation of conv:relu"
    assert sink.snapshots[0].layers["conv:relu"].shape == (9, 4)
    named = captured(Shortcut(), IMAGES, layers=["bn", "relu"], reduce="flatten")
    assert named.snapshots[0].layers["bn"].min() < 0 <= named.snapshots[0].layers["relu"].min()


def test_functional_activations_are_layers():
    sink = captured(Functional(), IMAGES)
    assert [layer.name for layer in sink.layers] == ["bn:relu", "fc1:tanh", "fc2:log_softmax"]
    assert all(layer.kind in ("relu", "tanh", "log_softmax") for layer in sink.layers)
    made = sink.snapshots[0].layers
    assert made["bn:relu"].min() >= 0
    assert made["fc1:tanh"].min() < 0
    np.testing.assert_allclose(np.exp(made["fc2:log_softmax"]).sum(1), 1, rtol=1e-5)


def test_reductions_are_chosen_by_kind_and_shown():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.line = nn.Conv2d(1, 4, 3), nn.Conv1d(4, 2, 3)
            self.rnn = nn.LSTM(2, 5)
            self.token = nn.Linear(5, 6)

        def forward(self, x):
            x = self.line(self.conv(x).flatten(2))  # (n, 2, positions)
            x, _ = self.rnn(x.permute(2, 0, 1))  # time first
            return self.token(x.transpose(0, 1))

    sink = captured(Mixed(), IMAGES)
    assert reduces(sink) == {"conv": "mean", "line": "mean", "rnn": "last_token",
                             "token": "mean_token"}  # fmt: skip
    model = Mixed().eval()
    layers = captured(model, IMAGES).snapshots[0].layers
    with torch.no_grad():
        line = model.line(model.conv(IMAGES).flatten(2))
        wanted = model.rnn(line.permute(2, 0, 1))[0]
    np.testing.assert_allclose(layers["rnn"], wanted[-1].numpy(), atol=1e-6)
    np.testing.assert_allclose(layers["line"], line.mean(2).numpy(), atol=1e-6)


def test_reductions_can_be_named_given_or_mapped():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    assert reduces(captured(model, IMAGES, reduce="flatten")) == {"1": "flatten", "3": "flatten"}
    sink = captured(model, IMAGES, reduce={"1": lambda t: t.amax((2, 3))})
    assert reduces(sink) == {"1": "<lambda>", "3": "flatten"}
    assert sink.snapshots[0].layers["1"].shape == (9, 4)
    with pytest.raises(InputError, match="must be one of flatten"):
        captured(model, IMAGES, reduce="flaten")
    with pytest.raises(CaptureError, match="must turn an activation"):
        captured(model, IMAGES, reduce=lambda t: t.sum())


def test_units_are_capped_with_a_private_seed():
    model = nn.Linear(4, 50)
    state = torch.get_rng_state(), np.random.get_state()[1].tobytes()  # noqa: NPY002
    whole, part = captured(model, ROWS), captured(model, ROWS, units=7)
    again = captured(model, ROWS, units=7)
    assert part.layers[0].reduce == "flatten[7 of 50]"
    assert part.layers[0].width == 7
    kept = part.snapshots[0].layers["model"]
    np.testing.assert_array_equal(kept, again.snapshots[0].layers["model"])
    columns = {column.tobytes() for column in whole.snapshots[0].layers["model"].T.copy()}
    assert {column.tobytes() for column in kept.T.copy()} <= columns
    assert torch.equal(state[0], torch.get_rng_state())
    assert state[1] == np.random.get_state()[1].tobytes()  # noqa: NPY002


def test_selection_by_list_glob_and_predicate():
    model = Functional()
    assert names(model, IMAGES, layers=["fc2", "conv"]) == ["conv", "fc2"]
    assert names(model, IMAGES, layers="fc*") == ["fc1", "fc1:tanh", "fc2", "fc2:log_softmax"]
    assert names(model, IMAGES, layers=lambda name, module: isinstance(module, nn.Linear)) == [
        "fc1", "fc2",
    ]  # fmt: skip


class Cell(nn.Module):
    """A recurrent cell written by hand: two gates, two weights, one step in time a call."""

    def __init__(self, steps):
        super().__init__()
        self.steps = steps
        self.inner, self.read, self.out = nn.Linear(5, 5), nn.Linear(4, 5), nn.Linear(5, 2)

    def forward(self, x):
        h = torch.zeros(len(x), 5)
        for _ in range(self.steps):
            gate = torch.sigmoid(self.read(x) + self.inner(h))
            h = torch.tanh(gate * h + 1 - gate)
        return self.out(h)


def test_weights_called_many_times_are_steps_in_time_and_watched_at_the_last():
    few, many = captured(Cell(3), ROWS), captured(Cell(13), ROWS)
    assert len(few.layers) == 2 * 3 + 1
    assert [layer.name for layer in many.layers] == ["sigmoid#12", "tanh#12", "out"]
    note = many.info["left_out"]["tanh"]
    assert "first of 13 calls of the same weights; the last, tanh#12, is watched" in note
    assert names(Cell(13), ROWS, layers=["read", "read#6"]) == ["read", "read#6"]


def test_a_deep_network_is_watched_by_its_blocks():
    def block():
        return nn.Sequential(
            nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)
        )

    deep = nn.Sequential(nn.Linear(4, 4), nn.Sequential(*(block() for _ in range(8))), nn.ReLU())
    sink = captured(deep, ROWS)  # 26 layers
    assert [layer.name for layer in sink.layers] == ["0", *(f"1.{i}" for i in range(8)), "2"]
    assert "inside 1.3, which is watched as a whole" in sink.info["left_out"]["1.3.1"]
    made = sink.snapshots[0].layers
    np.testing.assert_allclose(made["2"], np.maximum(made["1.7"], 0))
    assert len(names(deep[:1].extend(deep[1][:7]), ROWS)) == 22  # few enough to watch each
    flat = nn.Sequential(*(nn.Linear(4, 4) for _ in range(30)))
    assert len(names(flat, ROWS)) == 30  # it has no blocks


def test_an_activation_written_by_hand_is_one():
    class NewGELU(nn.Module):
        def forward(self, x):
            return 0.5 * x * (1 + torch.tanh(x))

    model = nn.Sequential(nn.Linear(4, 4), NewGELU(), nn.Linear(4, 2))
    assert names(model, ROWS) == ["1", "2"]


def test_a_normalisation_of_a_normalisation_is_a_layer_of_its_own():
    model = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.LayerNorm(4), nn.Linear(4, 2))
    assert names(model, ROWS) == ["1", "2", "3"]
    text = nn.Sequential(nn.Embedding(5, 4), nn.LayerNorm(4), nn.Linear(4, 2))  # so is a table
    assert names(text, torch.zeros(9, 3, dtype=torch.long)) == ["0", "1", "2"]


class Neighbours(nn.Module):
    """Attention over all rows by weights of its own, as in a graph attention network."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs))
        self.leaky, self.soft = nn.LeakyReLU(), nn.Softmax(dim=1)

    def forward(self, x):
        h = x @ self.weight
        return self.soft(self.leaky(h @ h.T)) @ h


class Summing(nn.Module):
    """A home-made module without weights."""

    def forward(self, x):
        return x.cumsum(0)


class Graph(nn.Module):
    """A Linear, a sum over neighbours and a bias, as graph libraries write convolutions."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.lin, self.sum = nn.Linear(inputs, outputs, bias=False), Summing()
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x):
        return self.sum(self.lin(x).roll(1, 0)) + self.bias


@pytest.mark.parametrize(("kind", "inside"), [(Neighbours, ()), (Graph, ("one.lin", "two.lin"))])
def test_a_module_with_weights_of_its_own_is_a_layer(kind, inside):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = kind(4, 5), kind(5, 3)

        def forward(self, x):
            return F.log_softmax(self.two(F.elu(self.one(x))), dim=1)

    model = Net()
    found = names(model, ROWS)
    assert [name for name in found if name not in inside] == ["one:elu", "two:log_softmax"]
    assert set(inside) <= set(found)
    if kind is Graph:
        assert names(model, ROWS, layers=["one.sum"]) == ["one.sum"]
    else:  # it was called, but its rows are all pairs
        with pytest.raises(CaptureError, match="no row per sample"):
            names(model, ROWS, layers=["one.leaky"])


def test_the_inside_of_attention_is_no_layer():
    class Attend(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv, self.attend, self.out = nn.Linear(4, 12), nn.Softmax(dim=-1), nn.Linear(4, 4)
            self.head = nn.Sequential(nn.Linear(4, 3), nn.Softmax(dim=-1))

        def forward(self, x):
            q, k, v = self.qkv(x.unsqueeze(1).expand(-1, 5, -1)).chunk(3, -1)
            return self.head(self.out(self.attend(q @ k.mT) @ v).mean(1))

    sink = captured(Attend(), ROWS)
    assert [layer.name for layer in sink.layers] == ["qkv", "out", "head.1"]
    assert "inside of attention" in sink.info["left_out"]["attend"]
    assert "attend:attention" in names(Attend(), ROWS, capture=("output", "attention"))


def test_instance_norms_are_not_averaged_over_space():
    for affine in (False, True):
        model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.InstanceNorm2d(4, affine=affine))
        assert reduces(captured(model, IMAGES)) == {"1": "flatten"}
    followed = nn.Sequential(nn.Conv2d(1, 4, 3), nn.InstanceNorm2d(4), nn.ReLU())
    assert reduces(captured(followed, IMAGES)) == {"2": "mean"}


class Experts(nn.Module):
    """Each expert sees the rows that the gate sends it."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(4, 2)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(4, 4), nn.ReLU()) for _ in range(2))

    def forward(self, x):
        chosen = torch.arange(len(x)) % 2 + 0 * self.gate(x).argmax(1)
        out = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            rows = chosen == number
            out[rows] = expert(x[rows])
        return out


def test_experts_that_see_some_rows_are_watched_by_what_holds_them():
    model = nn.Sequential(Experts(), nn.Linear(4, 3))
    sink = captured(model, ROWS)
    assert [layer.name for layer in sink.layers] == ["0.gate", "0", "1"]
    assert "counts the samples" in sink.info["left_out"]["0.experts.0.1"]
    assert not [event for event in sink.events if event[0] == "fault"]


def test_what_is_the_same_for_every_sample_is_left_out():
    class Positions(nn.Module):
        def __init__(self):
            super().__init__()
            self.places, self.fc = nn.Embedding(4, 3), nn.Linear(4, 4)

        def forward(self, x):
            return self.fc(x) @ self.places(torch.arange(4))

    sink = captured(nn.Sequential(Positions(), nn.Linear(3, 2)), ROWS)
    assert [layer.name for layer in sink.layers] == ["0.fc", "1"]
    assert "counts the samples" in sink.info["left_out"]["0.places"]


def test_names_that_match_nothing_are_refused_with_near_ones():
    with pytest.raises(CaptureError, match=r"Did you mean: .*fc1"):
        names(Functional(), IMAGES, layers=["fc11"])
    model = Functional()
    model.unused = nn.Linear(2, 2)
    with pytest.raises(HookNotFiredError, match="'unused' exists but was never called"):
        names(model, IMAGES, layers=["unused"])
    with pytest.raises(HookNotFiredError, match="nothing to capture"):
        names(model, IMAGES, layers=lambda name, module: False)


@dataclasses.dataclass
class Result:
    note: str
    hidden: torch.Tensor


def test_tuples_mappings_and_dataclasses_are_read():
    class Odd(nn.Module):
        def __init__(self, wrap):
            super().__init__()
            self.fc, self.wrap = nn.Linear(4, 3), wrap

        def forward(self, x):
            return self.wrap(self.fc(x))

    class Outer(nn.Module):
        def __init__(self, wrap):
            super().__init__()
            self.odd = Odd(wrap)

        def forward(self, x):
            return self.odd(x)

    for wrap in (lambda t: (None, t), lambda t: {"n": 3, "t": [t]}, lambda t: Result("a", t)):
        layers = captured(Outer(wrap), ROWS, layers=["odd", "odd.fc"]).snapshots[0].layers
        np.testing.assert_array_equal(layers["odd"], layers["odd.fc"])


def test_the_sample_axis_is_found_wherever_it_is():
    class Layout(nn.Module):
        def __init__(self):
            super().__init__()
            self.time_first, self.windows, self.table = (nn.Linear(2, 3), nn.Linear(2, 3),
                                                         nn.Embedding(4, 3))  # fmt: skip

        def forward(self, x):
            x = x.reshape(len(x), 2, 2)
            a = self.time_first(x.transpose(0, 1)).mean(0)  # (positions, n, 3)
            b = self.windows(x.reshape(-1, 2)).reshape(len(x), 2, 3).mean(1)  # (n · 2, 3)
            return a + b + self.table(torch.tensor([0]))

    model = Layout()
    sink = captured(model, ROWS, reduce="flatten")
    assert [layer.name for layer in sink.layers] == ["time_first", "windows"]
    assert [layer.shape for layer in sink.layers] == [(2, 3), (2, 3)]
    assert "no axis" in sink.info["left_out"]["table"]
    layers = sink.snapshots[0].layers
    wanted = model.windows(ROWS.reshape(9, 2, 2)).detach().reshape(9, 6).numpy()
    np.testing.assert_allclose(layers["windows"], wanted, atol=1e-6)
    wanted = model.time_first(ROWS.reshape(9, 2, 2)).detach().reshape(9, 6).numpy()
    np.testing.assert_allclose(layers["time_first"], wanted, atol=1e-6)
    with pytest.raises(CaptureError, match="has no row per sample"):
        captured(model, ROWS, layers=["table"])


def test_positions_folded_into_the_batch_time_first_are_put_in_order():
    class Folded(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop, self.rnn, self.fc = nn.Dropout(0.5), nn.GRU(2, 3), nn.Linear(3, 2)

        def forward(self, x):
            x = self.drop(x.reshape(len(x), 2, 2).transpose(0, 1))  # (positions, n, 2)
            return self.fc(self.rnn(x)[0].reshape(-1, 3))  # (positions · n, 2)

    torch.manual_seed(0)
    model = Folded()
    sink = captured(model, ROWS, reduce={"fc": "flatten"})
    assert reduces(sink) == {"rnn": "last_token", "fc": "flatten"}
    with torch.no_grad():
        hidden = model.rnn(ROWS.reshape(9, 2, 2).transpose(0, 1))[0]  # (positions, n, 3)
        wanted = model.fc(hidden).transpose(0, 1).reshape(9, 4).numpy()
    np.testing.assert_allclose(sink.snapshots[0].layers["fc"], wanted, atol=1e-6)
    np.testing.assert_allclose(sink.snapshots[0].layers["rnn"], hidden[-1].numpy(), atol=1e-6)


def test_bfloat16_is_widened_and_batches_are_joined():
    model = nn.Linear(4, 3).bfloat16()
    layers = captured(model, ROWS, probe=Probe(ROWS, batch_size=4)).snapshots[0].layers
    assert layers["model"].dtype == np.float32
    wanted = model(ROWS.bfloat16()).float().detach().numpy()
    np.testing.assert_array_equal(layers["model"], wanted)


def test_rows_are_subsampled_to_the_memory_allowed():
    with pytest.warns(UserWarning, match="5 of the 9 rows"):
        sink = captured(nn.Linear(4, 3), ROWS, memory=60)
    assert sink.snapshots[0].layers["model"].shape == (5, 3)
    assert len(sink.probes[0].x) == 5
    for wrong in ("plenty", 0, "-3MB"):
        with pytest.raises(InputError, match="`memory` must be"):
            captured(nn.Linear(4, 3), ROWS, memory=wrong)


def test_inplace_changes_after_the_hook_do_not_reach_the_copy():
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(inplace=True))
    layers = captured(model, ROWS, layers=["0", "1"], reduce="flatten").snapshots[0].layers
    assert layers["0"].min() < 0
    np.testing.assert_array_equal(np.maximum(layers["0"], 0), layers["1"])
