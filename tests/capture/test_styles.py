"""Trainings in the styles people write them, attached with one line: nothing changes."""

from __future__ import annotations

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F  # noqa: N812

from infoplane.capture import MemorySink, Probe, every, verify_neutrality


def attached(train):
    """Verify a training function; return the sinks of its watchers by order."""
    sinks = []

    def train_with(watch):
        def attach(model, probe, **options):
            sink = MemorySink()
            sinks.append(sink)
            return watch(model, probe, sink, every=every(3), on_backpressure="block", **options)

        return train(attach)

    torch.manual_seed(0)
    report = verify_neutrality(train_with)
    assert report, str(report)
    used = [sink for sink in sinks if sink.layers]
    for sink in used:
        assert not [event for event in sink.events if event[0] in ("fault", "dropped")]
    return used


def names(sink):
    return [layer.name for layer in sink.layers]


class Norm(nn.Module):
    """A layer norm without bias, written out."""

    def __init__(self, d):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d))

    def forward(self, x):
        return F.layer_norm(x, self.weight.shape, self.weight, None, 1e-5)


class Causal(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.c_attn, self.c_proj = nn.Linear(d, 3 * d, bias=False), nn.Linear(d, d, bias=False)
        self.resid_dropout = nn.Dropout(0.1)

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = (
            part.view(n, t, 2, d // 2).transpose(1, 2) for part in self.c_attn(x).split(d, 2)
        )
        y = F.scaled_dot_product_attention(
            q, k, v, dropout_p=0.1 if self.training else 0.0, is_causal=True
        )
        return self.resid_dropout(self.c_proj(y.transpose(1, 2).contiguous().view(n, t, d)))


class Language(nn.Module):
    """A decoder that returns (logits of the last position, None) without targets."""

    def __init__(self, d=16, words=20):
        super().__init__()
        self.wte, self.wpe, self.drop = nn.Embedding(words, d), nn.Embedding(8, d), nn.Dropout(0.1)
        self.ln_1, self.attn, self.ln_2 = Norm(d), Causal(d), Norm(d)
        self.mlp = nn.Sequential(
            nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d), nn.Dropout(0.1)
        )
        self.lm_head = nn.Linear(d, words, bias=False)
        self.wte.weight = self.lm_head.weight

    def forward(self, tokens, targets=None):
        x = self.drop(self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1])))
        x = x + self.attn(self.ln_1(x))
        x = x + self.mlp(self.ln_2(x))
        if targets is None:
            return self.lm_head(x[:, [-1], :]), None
        logits = self.lm_head(x)
        return logits, F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def test_a_language_model_with_autocast_clipping_and_fused_adam():
    def train(watch):
        model = Language()
        optimiser = torch.optim.AdamW(model.parameters(), 1e-3, fused=True)
        probe = Probe(torch.randint(0, 20, (30, 8)), torch.randint(0, 20, (30,)))
        capture = ("output", "attention", "logits", "loss", "gradients", "weights")
        with watch(model, probe, reduce="last_token", capture=capture) as w:
            for step in range(7):
                tokens = torch.randint(0, 20, (4, 8))
                with torch.autocast("cpu", dtype=torch.bfloat16):
                    _, loss = model(tokens, tokens.roll(-1, 1))
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)
                w.step(step, loss=loss.item())

    (sink,) = attached(train)
    assert names(sink) == ["wte", "ln_1", "attn:attention", "attn.c_attn", "attn.c_proj", "ln_2",
                           "mlp.1", "mlp.2", "lm_head", "logits", "loss"]  # fmt: skip
    assert sink.steps == [0, 3, 6, 7]
    assert "gradient_snr/attn.c_attn" in sink.scalars[6]


def test_an_autoencoder_that_is_random_and_counts_steps_anew_each_epoch():
    class Variational(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1, self.mu, self.spread = nn.Linear(20, 16), nn.Linear(16, 4), nn.Linear(16, 4)
            self.fc3, self.fc4 = nn.Linear(4, 16), nn.Linear(16, 20)

        def forward(self, x):
            h = F.relu(self.fc1(x))
            mu, spread = self.mu(h), self.spread(h)
            z = mu + torch.randn_like(mu) * (0.5 * spread).exp()
            return torch.sigmoid(self.fc4(F.relu(self.fc3(z)))), mu, spread

    def train(watch):
        model, x = Variational(), torch.rand(40, 20)
        optimiser = torch.optim.Adam(model.parameters())
        with watch(model, Probe(x)) as w:
            for epoch in range(2):
                for step, batch in enumerate(x.split(10)):
                    made, mu, spread = model(batch)
                    divergence = (1 + spread - mu.square() - spread.exp()).mean()
                    loss = F.binary_cross_entropy(made, batch) - divergence / 2
                    optimiser.zero_grad()
                    loss.backward()
                    optimiser.step()
                    w.step(step, loss=loss, epoch=epoch)

    (sink,) = attached(train)
    assert names(sink) == ["fc1:relu", "mu", "spread", "fc3:relu", "fc4:sigmoid"]
    assert sink.steps == [0, 3, 6, 8]


def test_two_networks_against_each_other():
    def train(watch):
        maker = nn.Sequential(
            nn.ConvTranspose2d(8, 8, 4, bias=False), nn.BatchNorm2d(8), nn.ReLU(True),
            nn.ConvTranspose2d(8, 1, 4, 2, 1), nn.Tanh(),
        )  # fmt: skip
        judge = nn.Sequential(
            nn.Conv2d(1, 8, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True), nn.Conv2d(8, 1, 4),
            nn.Sigmoid(), nn.Flatten(0),
        )  # fmt: skip
        optimisers = [torch.optim.Adam(part.parameters()) for part in (maker, judge)]
        real, one = torch.randn(30, 1, 8, 8), torch.ones(6)
        with (
            watch(maker, Probe(torch.randn(20, 8, 1, 1))) as made,
            watch(judge, Probe(real), capture=("output", "gradients")) as judged,
        ):
            for step in range(5):
                false = maker(torch.randn(6, 8, 1, 1))
                loss = F.binary_cross_entropy(judge(real[:6]), one)
                loss = loss + F.binary_cross_entropy(judge(false.detach()), 0 * one)
                optimisers[1].zero_grad()
                loss.backward()
                optimisers[1].step()
                optimisers[0].zero_grad()
                fooled = F.binary_cross_entropy(judge(false), one)
                fooled.backward()
                optimisers[0].step()
                made.step(step, loss=fooled)
                judged.step(step, loss=loss)

    made, judged = attached(train)
    assert names(made) == ["2", "4"]
    assert names(judged) == ["1", "3"]
    assert "gradient_mean/0" in judged.scalars[3]


def test_a_vision_transformer_with_an_averaged_copy_and_a_learning_rate_schedule():
    class Patches(nn.Module):
        def __init__(self):
            super().__init__()
            self.patch = nn.Conv2d(3, 16, 4, 4)
            self.token = nn.Parameter(torch.zeros(1, 1, 16))
            layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=True)
            self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
            self.head = nn.Linear(16, 3)

        def forward(self, x):
            x = self.patch(x).flatten(2).transpose(1, 2)
            x = self.encoder(torch.cat([self.token.expand(len(x), -1, -1), x], 1))
            return self.head(x[:, 0])

    def train(watch):
        model, x, y = Patches(), torch.randn(24, 3, 8, 8), torch.randint(0, 3, (24,))
        optimiser = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
        schedule = torch.optim.lr_scheduler.StepLR(optimiser, 2)
        average = torch.optim.swa_utils.AveragedModel(model)
        reduce = {"encoder*": "first_token"}
        with watch(model, Probe(x, y), reduce=reduce, capture=("output", "attention")) as w:
            for step in range(5):
                optimiser.zero_grad()
                loss = F.cross_entropy(model(x), y)
                loss.backward()
                optimiser.step()
                schedule.step()
                average.update_parameters(model)
                w.step(step, loss=loss, lr=schedule.get_last_lr()[0])
        return average

    (sink,) = attached(train)
    reduces = {layer.name: layer.reduce for layer in sink.layers}
    assert reduces["patch"] == "mean"
    assert reduces["encoder.layers.0.linear1:relu"] == "first_token"
    assert "encoder.layers.0.self_attn:attention" in reduces


def test_a_recurrent_language_model_updated_by_hand():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop, self.encoder = nn.Dropout(0.2), nn.Embedding(20, 8)
            self.rnn, self.decoder = nn.LSTM(8, 8, 2, dropout=0.2), nn.Linear(8, 20)

        def forward(self, tokens, state=None):
            out, state = self.rnn(self.drop(self.encoder(tokens)), state)
            return F.log_softmax(self.decoder(self.drop(out)).view(-1, 20), dim=1), state

    def train(watch):
        model, tokens = Recurrent(), torch.randint(0, 20, (30, 6))
        with watch(model, Probe(tokens, forward=lambda m, x: m(x.t()))) as w:
            for step in range(4):
                model.zero_grad()
                out, _ = model(tokens.t())
                loss = F.nll_loss(out, tokens.roll(-1, 1).t().flatten())
                loss.backward()
                for weight in model.parameters():
                    weight.data.add_(weight.grad, alpha=-1.0)
                w.step(step, loss=loss)

    (sink,) = attached(train)
    assert {layer.name: layer.reduce for layer in sink.layers} == {
        "encoder": "mean_token", "rnn": "last_token", "decoder:log_softmax": "mean_token",
    }  # fmt: skip
    assert sink.steps == [0, 3, 4]


PARTS = st.lists(
    st.sampled_from(["tanh", "relu", "inplace", "batchnorm", "layernorm", "dropout", "wide"]),
    max_size=5,
)


@settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
@given(parts=PARTS, kind=st.sampled_from(["SGD", "Adam", "RMSprop"]), k=st.integers(1, 4))
def test_random_networks(parts, kind, k):
    made = {"tanh": nn.Tanh, "relu": nn.ReLU,
            "inplace": lambda: nn.Sequential(nn.Linear(6, 6), nn.ReLU(True)),
            "batchnorm": lambda: nn.BatchNorm1d(6), "layernorm": lambda: nn.LayerNorm(6),
            "dropout": nn.Dropout, "wide": lambda: nn.Linear(6, 6)}  # fmt: skip

    def train(watch):
        model = nn.Sequential(nn.Linear(3, 6), *(made[part]() for part in parts), nn.Linear(6, 2))
        optimiser = getattr(torch.optim, kind)(model.parameters(), lr=0.01)
        x = torch.randn(8, 3)
        with watch(model, Probe(x), MemorySink(), every=k) as w:
            for step in range(3):
                optimiser.zero_grad()
                model(x + torch.randn(8, 3)).square().mean().backward()
                optimiser.step()
                w.step(step)

    assert verify_neutrality(train)
