"""The opt-in kinds: attention, logits, losses, inputs, pre-activations, gradients, weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from infoplane.capture import MemorySink, Probe, watch
from infoplane.capture.attention import ENTRIES, attention_of, queries_kept
from infoplane.capture.outcome import sample_losses
from infoplane.capture.weights import weight_statistics
from infoplane.errors import CaptureError, InputError

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(9, 4, generator=GENERATOR)
Y = torch.randint(0, 3, (9,), generator=GENERATOR)


def captured(model, probe=None, **options):
    sink = MemorySink()
    with watch(model, probe or Probe(X, Y), sink, **options):
        pass
    return sink, sink.snapshots[0]


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(inplace=True), nn.Linear(5, 3))


def test_inputs_pre_activations_logits_and_losses():
    model = net()
    sink, snapshot = captured(
        model, capture=("output", "input", "pre_activation", "logits", "loss")
    )
    kinds = {layer.name: layer.what for layer in sink.layers}
    assert kinds == {"0": "pre_activation", "1": "output", "1:input": "input", "2": "output",
                     "2:input": "input", "logits": "logits", "loss": "loss"}  # fmt: skip
    with torch.no_grad():
        before = model[0](X)
        logits = model(X)
    layers = snapshot.layers
    np.testing.assert_array_equal(layers["0"], before.numpy())
    np.testing.assert_array_equal(layers["1:input"], before.numpy())  # before it acts in place
    np.testing.assert_array_equal(layers["2:input"], layers["1"])
    np.testing.assert_array_equal(layers["logits"], logits.numpy())
    wanted = F.cross_entropy(logits, Y, reduction="none").numpy()
    np.testing.assert_allclose(layers["loss"][:, 0], wanted, rtol=1e-6)


def test_each_kind_tells_its_cost():
    sink = MemorySink()
    kinds = ("output", "input", "logits", "loss", "gradients", "weights")
    model, x = net(), Probe(X, Y)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, x, sink, capture=kinds, optimizer=optimiser, every=1) as watcher:
        for _ in range(2):
            F.cross_entropy(model(X), Y).backward()
            optimiser.step()
    told = watcher.cost()
    assert set(told["kinds"]) == set(kinds)
    assert all(seconds > 0 for seconds in told["kinds"].values())
    assert sum(told["kinds"].values()) <= told["seconds"]
    assert [detail["kinds"] for event, detail in sink.events if event == "cost"] == [told["kinds"]]


def test_kinds_are_checked():
    with pytest.raises(InputError, match="`capture` must name some of output"):
        captured(net(), capture="outputs")
    with pytest.raises(InputError, match="something to snapshot besides gradients and weights"):
        captured(net(), capture=("gradients", "weights"))
    with pytest.raises(CaptureError, match="needs labels"):
        captured(net(), Probe(X), capture="loss")
    with pytest.raises(CaptureError, match="no loss fits"):
        captured(nn.Sequential(nn.Linear(4, 4), nn.Unflatten(1, (2, 2, 1))), capture="loss")


def test_losses_of_probabilities_logits_sequences_and_targets():
    logits = torch.randn(6, 3, generator=GENERATOR)
    y = torch.tensor([0, 1, 2, 0, 1, 2])
    wanted = F.cross_entropy(logits, y, reduction="none")[:, None]
    for output in (logits, logits.softmax(1), logits.log_softmax(1), logits[:, None]):
        torch.testing.assert_close(sample_losses(output, y, "class"), wanted)
    tokens, labels = torch.randn(2, 5, 7, generator=GENERATOR), torch.randint(0, 7, (2, 5))
    each = torch.stack([F.cross_entropy(t, label) for t, label in zip(tokens, labels, strict=True)])
    torch.testing.assert_close(sample_losses(tokens, labels, "class"), each[:, None])
    binary = torch.tensor([[2.0], [-1.0]])
    torch.testing.assert_close(
        sample_losses(binary, torch.tensor([1, 1]), "class"), -F.logsigmoid(binary)
    )
    made = sample_losses(torch.tensor([[1.0, 3.0]]), torch.tensor([[0.0, 1.0]]), "regression")
    assert made.tolist() == [[2.5]]


def test_a_loss_of_your_own():
    probe = Probe(X, Y, loss=lambda output, y: output.sum(1) * 0 + y)
    _, snapshot = captured(net(), probe, capture=("loss",))
    np.testing.assert_array_equal(snapshot.layers["loss"][:, 0], Y.numpy())


class Attending(nn.Module):
    """Attention by the fused function, by MultiheadAttention, or written out."""

    def __init__(self, how):
        super().__init__()
        self.how, self.qkv = how, nn.Linear(8, 24)
        self.mha = nn.MultiheadAttention(8, 2, batch_first=True)

    def heads(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        return (t.unflatten(-1, (2, 4)).transpose(1, 2) for t in (q, k, v))

    def forward(self, x):
        if self.how == "mha":
            return self.mha(x, x, x, need_weights=False)[0].mean(1)
        q, k, v = self.heads(x)
        if self.how == "fused":
            return F.scaled_dot_product_attention(q, k, v).mean((1, 2))
        return (((q @ k.transpose(-2, -1)) / 2).softmax(-1) @ v).mean((1, 2))


@pytest.mark.parametrize("how", ["fused", "written"])
def test_attention_is_recomputed_where_it_is_hidden(how):
    torch.manual_seed(0)
    model, x = Attending(how), torch.randn(5, 6, 8, generator=GENERATOR)
    sink, snapshot = captured(model, Probe(x), capture=("attention",))
    assert [(layer.name, layer.shape) for layer in sink.layers] == [("attention", (2, 6, 6))]
    q, k, _ = model.heads(x)
    wanted = ((q @ k.transpose(-2, -1)) / 2).softmax(-1).detach().numpy()
    made = snapshot.layers["attention"].reshape(5, 2, 6, 6)
    np.testing.assert_allclose(made, wanted, atol=1e-6)


def test_attention_of_multihead_attention():
    torch.manual_seed(0)
    model, x = Attending("mha"), torch.randn(5, 6, 8, generator=GENERATOR)
    sink, snapshot = captured(model, Probe(x), capture=("attention", "output"))
    assert [layer.name for layer in sink.layers] == ["mha:attention", "mha"]
    wanted = model.mha(x, x, x, average_attn_weights=False)[1].detach().numpy()
    np.testing.assert_allclose(
        snapshot.layers["mha:attention"].reshape(5, 2, 6, 6), wanted, atol=1e-6
    )


@pytest.mark.parametrize(
    ("causal", "mask"), [(False, None), (True, None), (False, "bool"), (False, "float")]
)
def test_masks_scales_and_grouped_queries_are_respected(causal, mask):
    q = torch.randn(2, 4, 5, 3, generator=GENERATOR)
    k = torch.randn(2, 2, 5, 3, generator=GENERATOR)
    given = None
    if mask is not None:
        given = torch.rand(2, 1, 5, 5, generator=GENERATOR) > 0.3
        given = given | torch.eye(5, dtype=torch.bool)
        given = given if mask == "bool" else torch.randn(2, 1, 5, 5, generator=GENERATOR)
    options = {"attn_mask": given, "is_causal": causal, "scale": 0.7, "enable_gqa": True}
    function = F.scaled_dot_product_attention
    weights = attention_of(function, (q, k, k), options)
    # The function itself, with one-hot values, returns its probabilities.
    values = torch.eye(5).expand(2, 2, 5, 5)
    torch.testing.assert_close(weights, function(q, k, values, **options), atol=1e-6, rtol=1e-5)


def test_heads_may_be_missing_and_positions_first():
    torch.manual_seed(0)
    q, k = torch.randn(2, 3, 5, 4, generator=GENERATOR), torch.randn(2, 3, 5, 4)
    function, mask = F.scaled_dot_product_attention, torch.rand(3, 5, 5) > 0.4
    single = attention_of(function, (q[0], k[0], k[0]), {"attn_mask": mask, "is_causal": False})
    wanted = function(q[0], k[0], torch.eye(5).expand(3, 5, 5), attn_mask=mask).nan_to_num()
    torch.testing.assert_close(single, wanted[:, None])
    scores = q @ k.mT
    wanted = scores.softmax(-1)
    one = attention_of(F.softmax, (scores[:, 0],), {"dim": -1})
    torch.testing.assert_close(one, wanted[:, :1])
    first = attention_of(F.softmax, (scores.permute(2, 3, 0, 1),), {"dim": 1})
    torch.testing.assert_close(first, wanted)
    assert attention_of(F.softmax, (torch.randn(4, 7, 30),), {"dim": -1}) is None  # words, not keys
    assert attention_of(F.softmax, (torch.randn(4, 3, 8, 8),), {"dim": 1}) is None  # pixels


@pytest.mark.parametrize("mask", [None, "causal", "rows", "padding"])
def test_multihead_attention_is_asked_only_for_the_queries_kept(mask, monkeypatch):
    monkeypatch.setattr("infoplane.capture.attention.ENTRIES", 2 * 12 * 3)
    torch.manual_seed(0)
    model, x = nn.MultiheadAttention(8, 2, dropout=0.5), torch.randn(12, 3, 8)
    causal = torch.ones(12, 12).triu(1).bool()
    options = {
        None: {},
        "causal": {"attn_mask": causal},
        "rows": {"attn_mask": causal.repeat(6, 1, 1)},
        "padding": {"key_padding_mask": torch.arange(12) > torch.tensor([[3], [11], [7]])},
    }[mask]
    seen, function = [], F.multi_head_attention_forward

    def spy(*args, **kwargs):
        seen.append(len(args[0]))
        return function(*args, **kwargs)

    spy.__name__ = function.__name__
    args = (x, x, x, 8, 2, model.in_proj_weight, model.in_proj_bias, None, None, False, 0.5,
            model.out_proj.weight, model.out_proj.bias)  # fmt: skip
    made = attention_of(spy, args, options)
    wanted = model.eval()(x, x, x, average_attn_weights=False, **options)[1]
    assert seen == [3]
    torch.testing.assert_close(made, wanted[:, :, [0, 6, 11]])


def test_attention_that_is_not_there_is_an_error():
    with pytest.raises(CaptureError, match='capture="attention" found none'):
        captured(net(), capture=("output", "attention"))


def test_queries_are_thinned_where_attention_is_wide():
    rows = queries_kept(12, 512, 512)
    assert len(rows) == 1
    rows = queries_kept(4, 64, 64)
    assert len(rows) * 4 * 64 <= ENTRIES
    assert rows[0] == 0
    assert rows[-1] == 63
    assert queries_kept(2, 6, 6).tolist() == list(range(6))


def test_gradient_statistics_are_those_of_the_mini_batches():
    model, sink = net(), MemorySink()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    seen = []
    with watch(model, Probe(X), sink, every=3, capture=("gradients", "output")) as watcher:
        for step in range(3):
            optimiser.zero_grad()
            F.cross_entropy(model(X[step::3]), Y[step::3]).backward()
            seen.append(torch.cat([w.grad.flatten() for w in model[2].parameters()]))
            optimiser.step()
            watcher.step(step)
    grads = torch.stack(seen)
    made = sink.snapshots[-1].scalars or sink.scalars[3]
    made = {**sink.scalars[3], **made}
    mean, spread = grads.mean(0).norm().item(), grads.var(0).sum().sqrt().item()
    assert made["gradient_mean/2"] == pytest.approx(mean, rel=1e-5)
    assert made["gradient_std/2"] == pytest.approx(spread, rel=1e-4)
    assert made["gradient_snr/2"] == pytest.approx(mean / spread, rel=1e-4)
    assert "gradient_mean/0" in made
    assert watcher._statistics.seconds > 0


def test_weight_norms_and_spectra():
    model = net()
    sink, snapshot = captured(model, capture=("output", "weights"))
    matrix = model[2].weight.detach().double()
    singular = torch.linalg.svdvals(matrix)
    made = sink.scalars[0]
    assert made["weight_norm/2"] == pytest.approx(matrix.norm().item(), rel=1e-6)
    assert made["weight_spectral/2"] == pytest.approx(singular[0].item(), rel=1e-6)
    assert made["weight_stable_rank/2"] == pytest.approx(
        (matrix.norm() / singular[0]).square().item(), rel=1e-5
    )
    np.testing.assert_allclose(snapshot.info["weights"]["2"], singular.numpy(), rtol=1e-6)
    assert snapshot.info["weights_seconds"] > 0
    _, spectra = weight_statistics(nn.Conv2d(3, 4, 3))
    assert len(spectra["model"]) == 4
