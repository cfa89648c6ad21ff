"""What works, what is unwrapped with a note, what is refused: the table of docs/capture.md.

Each case is run; its row is written from the same list. ``python tests/capture/test_support.py``
rewrites the table.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.data import DataLoader, TensorDataset

from infoplane.capture import MemorySink, Probe, watch
from infoplane.capture.surroundings import FROM_ZERO
from infoplane.errors import CaptureError, HookNotFiredError, UnsupportedModelError

DOCS = Path(__file__).parents[2] / "docs" / "capture.md"
BEGIN, END = "<!-- table: begin -->\n", "<!-- table: end -->"
WORKS, NOTE, REFUSES = "works", "unwraps with a note", "refuses"
X = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
CASES = []


@dataclass(frozen=True)
class Case:
    what: str
    outcome: str
    note: str
    check: object


def case(what, outcome, note):
    def register(check):
        CASES.append(Case(what, outcome, note, check))
        return check

    return register


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))


def captured(model, **options):
    """Watch one real training step of `model` and return the sink."""
    sink, before = MemorySink(), [module.training for module in model.modules()]
    with watch(model, Probe(X), sink, every=1, **options) as watcher:
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        optimiser = torch.optim.SGD(weights, lr=0.1)
        torch.as_tensor(model(X)).sum().backward()
        optimiser.step()
        watcher.step(0)
    assert sink.steps == [0, 1]
    assert [module.training for module in model.modules()] == before
    assert not any(module._forward_hooks for module in model.modules())
    assert [event for event, _ in sink.events if event != FROM_ZERO] == ["cost"]
    return sink


def names(sink):
    return [layer.name for layer in sink.layers]


class Custom(nn.Module):
    def __init__(self, forward, **modules):
        super().__init__()
        self.run = forward
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x):
        return self.run(self, x)


@case("activations as modules or functions", WORKS, "`fc1:relu` is `F.relu(self.fc1(x))`")
def functions():
    model = Custom(lambda m, x: m.b(torch.relu(m.a(x))), a=nn.Linear(4, 5), b=nn.Linear(5, 3))
    assert names(captured(model)) == ["a:relu", "b"]
    assert names(captured(net())) == ["1", "2"]


@case("in-place activations", WORKS, "copied inside the hook, before they act")
def inplace():
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(inplace=True), nn.Linear(5, 3))
    sink = captured(model, layers=["0", "1"])
    assert sink.snapshots[0].layers["0"].min() < 0


@case("modules called several times", WORKS, "one layer a call: `act`, `act#1`, …")
def shared():
    model = Custom(lambda m, x: m.act(m.fc(m.act(m.fc(x)))), fc=nn.Linear(4, 4), act=nn.Tanh())
    assert names(captured(model)) == ["act", "act#1"]


@case("tied weights", WORKS, "")
def tied():
    model = Custom(lambda m, x: m.b(torch.tanh(m.a(x))), a=nn.Linear(4, 4), b=nn.Linear(4, 4))
    model.b.weight = model.a.weight
    assert names(captured(model)) == ["a:tanh", "b"]


@case("tuples, mappings, dataclasses as outputs", WORKS, "the first tensor of real numbers")
def outputs():
    inner = Custom(lambda m, x: {"n": 1, "t": (m.fc(x), None)}, fc=nn.Linear(4, 3))
    model = Custom(lambda m, x: m.inner(x)["t"][0], inner=inner)
    assert names(captured(model, layers=["inner"])) == ["inner"]


@case("LSTM, GRU, RNN, batch first or not", WORKS, "the last step; the axis of samples is found")
def recurrent():
    model = Custom(
        lambda m, x: m.rnn(x.reshape(-1, 2, 2).mT)[0][:, -1], rnn=nn.LSTM(2, 3, batch_first=True)
    )
    sink = captured(model)
    assert sink.layers[0].reduce == "last_token"
    assert sink.snapshots[0].layers["rnn"].shape == (8, 3)


@case("transformer encoder layers", WORKS, "their fused path is switched off for the probe pass")
def encoder():
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    model = Custom(lambda m, x: m.layer(x.reshape(-1, 1, 4)).mean(1), layer=layer)
    assert "layer.self_attn" in names(captured(model))


@case("packed sequences", WORKS, "`Probe((padded, lengths), y)`; a recurrent layer's last states")
def packed():
    def run(m, x, lengths):
        return m.b(m.a(pack_padded_sequence(x, lengths, True, enforce_sorted=False))[1][-1])

    class Packed(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.GRU(2, 3, batch_first=True), nn.Linear(3, 2)

        forward = run

    sink, lengths = MemorySink(), torch.tensor([1, 3, 2, 4])
    with watch(Packed(), Probe((X.reshape(4, 4, 2), lengths)), sink):
        pass
    assert [(layer.name, layer.width) for layer in sink.layers] == [("a", 3), ("b", 2)]


@case("layers in a plain list, tuple or dict", WORKS,
      "`layers.0`, as in an `nn.ModuleList`, which `model.eval()` needs")  # fmt: skip
def listed():
    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.pairs = [(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh()), (nn.Linear(5, 3),)]
            self.norm = self.pairs[0][1]

        def forward(self, x):
            for pair in self.pairs:
                for layer in pair:
                    x = layer(x)
            return x

    model, sink = Plain(), MemorySink()
    weights = [weight for pair in model.pairs for layer in pair for weight in layer.parameters()]
    optimiser = torch.optim.SGD(weights, lr=0.1)
    with watch(model, Probe(X), sink, every=1, optimizer=optimiser):
        model(X).sum().backward()
        optimiser.step()
    assert [layer.name for layer in sink.layers] == ["pairs.0.2", "pairs.1.0"]
    assert sink.steps == [0, 1]
    assert model.norm.num_batches_tracked == 1  # the training's own pass, none of the probe's
    assert model.pairs[0][2].training


@case("spectral and weight norm, parametrizations", WORKS, "inside the layer that has them")
def parametrized():
    model = net()
    nn.utils.parametrizations.spectral_norm(model[0])
    nn.utils.parametrizations.weight_norm(model[2])
    assert names(captured(model)) == ["1", "2"]


@case("networks that are random in eval mode", WORKS, "the same noise at each snapshot")
def noisy():
    model = Custom(lambda m, x: m.fc(x) + torch.randn(len(x), 3), fc=nn.Linear(4, 3))
    sink, probe = MemorySink(), Probe(X)
    with watch(Custom(lambda m, x: m.inner(x), inner=model), probe, sink, every=1,
               layers=["inner"]) as watcher:  # fmt: skip
        torch.randn(5)
        watcher.step(1)
        watcher.step(2)
    first, second = sink.snapshots[1].layers["inner"], sink.snapshots[2].layers["inner"]
    np.testing.assert_array_equal(first, second)


@case("frozen BatchNorm", WORKS, "each module's own mode is put back")
def frozen():
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3))
    model[1].eval()
    captured(model)
    assert not model[1].training


@case("autocast", WORKS, "bfloat16 is widened to float32; off where a kernel needs it")
def autocast():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        sink = captured(net())
    assert sink.snapshots[0].layers["2"].dtype == np.float32


@case("channels-last", WORKS, "")
def channels_last():
    conv = nn.Conv2d(1, 3, 2).to(memory_format=torch.channels_last)
    model = Custom(lambda m, x: m.conv(x.reshape(-1, 1, 2, 2)).flatten(1), conv=conv)
    assert captured(model).layers[0].reduce == "mean"


@case("gradient checkpointing", WORKS, "the recomputation is not captured")
def checkpointing():
    def forward(model, x):
        return torch.utils.checkpoint.checkpoint(model.net, x, use_reentrant=False)

    assert names(captured(Custom(forward, net=net()))) == ["net.1", "net.2"]


@case("`torch.compile` before `watch`", NOTE, "the probe pass runs on the original module")
def compiled_before():
    sink = captured(torch.compile(net(), backend="eager"))
    assert names(sink) == ["1", "2"]
    assert sink.info["unwrapped"] == ["torch.compile"]


@case("`torch.compile` after `watch`", WORKS, "")
def compiled_after():
    model, sink = net(), MemorySink()
    with watch(model, Probe(X), sink, every=1) as watcher:
        fast = torch.compile(model, backend="eager")
        fast(X).sum().backward()
        watcher.step(1)
    assert sink.steps == [0, 1]


@case("`model.compile()`, compiled parts", WORKS, "run eagerly during the probe pass")
def compiled_parts():
    model = net()
    model.compile(backend="eager")
    assert names(captured(model)) == ["1", "2"]
    parts = nn.Sequential(torch.compile(net(), backend="eager"), nn.Linear(3, 2))
    assert names(captured(parts)) == ["0.1", "0.2", "1"]


@case("DataParallel", NOTE, "watched through `.module`")
def data_parallel():
    sink = captured(nn.DataParallel(net()))
    assert sink.info["unwrapped"] == ["DataParallel"]
    assert names(sink) == ["1", "2"]


@cache
def ranks():
    """What two processes of a distributed training found; see ranks.py."""
    script = Path(__file__).with_name("ranks.py")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, script, folder], check=True, timeout=600)
        return [json.loads((Path(folder) / f"{rank}.json").read_text()) for rank in (0, 1)]


@case("DistributedDataParallel", NOTE, "rank 0 captures through `.module`; no collective is issued")
def distributed():
    first, second = (found["ddp"] for found in ranks())
    assert first["same"]
    assert second["same"]
    assert first["steps"] == [0, 1, 2, 3]
    assert first["unwrapped"] == ["DistributedDataParallel"]
    assert second["steps"] == []


@case("DataLoader workers (fork, spawn)", WORKS, "the watcher is inert in other processes")
def loaders():
    model, sink = net(), MemorySink()
    with watch(model, Probe(X), sink, every=1) as watcher, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        loader = DataLoader(TensorDataset(X), batch_size=4, num_workers=1,
                            multiprocessing_context="fork")  # fmt: skip
        for step, (x,) in enumerate(loader):
            model(x).sum().backward()
            watcher.step(step + 1)
    assert sink.steps == [0, 1, 2]


@case("rows that belong together (graphs)", WORKS, "`Probe(x, y, batch_size=len(x))`")
def graph():
    links = torch.softmax(X @ X.T, 1)
    model = Custom(lambda m, x: m.b(links @ torch.relu(m.a(links @ x))), a=nn.Linear(4, 5),
                   b=nn.Linear(5, 3))  # fmt: skip
    with torch.no_grad():
        wanted = torch.relu(model.a(links @ X)).numpy()
    sink = captured(model)
    assert names(sink) == ["a:relu", "b"]
    np.testing.assert_array_equal(sink.snapshots[0].layers["a:relu"], wanted)


@case("experts that each see some of the rows", WORKS, "watched by the module that holds them")
def experts():
    def route(m, x):
        chosen, out = torch.arange(len(x)) % 3 == 0, torch.zeros(len(x), 3)
        out[chosen], out[~chosen] = m.a(x[chosen]), m.b(x[~chosen])
        return out

    routed = Custom(route, a=nn.Linear(4, 3), b=nn.Linear(4, 3))
    assert names(captured(nn.Sequential(routed, nn.Tanh()))) == ["0", "1"]


@case("state kept in plain attributes", WORKS, "put back after each probe pass")
def stateful():
    def forward(m, x):
        h = m.a(x)
        m.hidden, m.calls = (m.hidden + h.detach()) / 2, m.calls + 1
        return m.b(h + m.hidden)

    model = Custom(forward, a=nn.Linear(4, 5), b=nn.Linear(5, 3))
    model.hidden, model.calls = torch.zeros(8, 5), 0
    assert names(captured(model)) == ["a", "b"]
    assert model.calls == 1


@case("inputs changed in place", WORKS, "the probe set keeps a copy")
def overwritten():
    model = Custom(lambda m, x: m.a(x.sub_(1)), a=nn.Linear(4, 3))
    sink, probe = MemorySink(), Probe(X)
    with watch(model, probe, sink, every=1) as watcher:
        watcher.step(1)
    assert probe.x.equal(X)
    np.testing.assert_array_equal(sink.snapshots[0].layers["a"], sink.snapshots[1].layers["a"])


@case("a layer that is named but never called", REFUSES, "the error names it")
def unused():
    model = net()
    model.add_module("spare", nn.Linear(2, 2))
    model.forward = lambda x: model[2](model[1](model[0](x)))
    with pytest.raises(HookNotFiredError, match="spare"):
        captured(model, layers=["spare"])


@case("a layer without a row per sample", REFUSES, "left out where it was not named")
def rowless():
    model = Custom(lambda m, x: m.a(x) + m.b(torch.ones(1, 4)), a=nn.Linear(4, 3),
                   b=nn.Linear(4, 3))  # fmt: skip
    assert names(captured(model)) == ["a"]
    with pytest.raises(CaptureError, match="no row per sample"):
        captured(model, layers=["b"])


@case("FSDP, DeepSpeed, DTensor weights", REFUSES, "a probe pass would need every process")
def sharded():
    class DeepSpeedEngine(nn.Linear):
        pass

    with pytest.raises(UnsupportedModelError, match="DeepSpeed keeps each weight in pieces"):
        captured(DeepSpeedEngine(4, 3))
    for found in ranks():
        assert found["fsdp"].startswith("FSDP keeps each weight in pieces")
        for kind in ("fully_shard", "inside"):
            assert found[kind].startswith("FSDP (fully_shard) keeps each weight in pieces")
        assert found["dtensor"].startswith("the model's weights are DTensors spread over")


@case("lazy modules without weights yet", REFUSES, "send one batch through the model first")
def lazy():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = nn.Sequential(nn.LazyLinear(3))
    with pytest.raises(UnsupportedModelError, match="lazy modules"):
        captured(model)
    model(X)
    assert names(captured(model)) == ["0"]


@case("TorchScript", REFUSES, "scripted modules run without hooks")
def scripted():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        traced = torch.jit.trace(net(), X)
    with pytest.raises(UnsupportedModelError, match="scripted"):
        captured(traced)


def table():
    rows = [f"| {case.what} | {case.outcome} | {case.note} |" for case in CASES]
    return "\n".join(["| training | | how |", "|---|---|---|", *rows]) + "\n"


@pytest.mark.parametrize("row", CASES, ids=lambda row: row.check.__name__)
def test_each_row_of_the_table_is_true(row):
    torch.compiler.reset()
    row.check()


def test_the_table_in_the_docs_is_this_one():
    text = DOCS.read_text(encoding="utf-8")
    assert text.split(BEGIN)[1].split(END)[0] == table(), (
        "run: python tests/capture/test_support.py"
    )


if __name__ == "__main__":
    head, rest = DOCS.read_text(encoding="utf-8").split(BEGIN)
    DOCS.write_text(head + BEGIN + table() + END + rest.split(END)[1], encoding="utf-8")
