"""Twelve small models of different make, each with a place where something tricky can be put in."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.checkpoint import checkpoint

D, CLASSES = 8, 3


class Conv(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.reshape(-1, 1, 6, 6))[:, :D]


class ChannelsLast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, D, 3, groups=2).to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        x = x.reshape(-1, 2, 3, 6).to(memory_format=torch.channels_last)
        return F.relu(self.conv(x)).mean((2, 3))


class Residual(nn.Module):
    """A ResNet in small: stem, two basic blocks (one with a projection), pooling."""

    class Block(nn.Module):
        def __init__(self, inputs: int, outputs: int) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
            self.bn1 = nn.BatchNorm2d(outputs)
            self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
            self.bn2 = nn.BatchNorm2d(outputs)
            self.relu = nn.ReLU(inplace=True)
            same = inputs == outputs
            self.down = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1)

        def forward(self, x: Tensor) -> Tensor:
            out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
            out += self.down(x)
            return self.relu(out)

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = self.Block(1, 4), self.Block(4, D)
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.two(self.one(x.reshape(-1, 1, 6, 6)))).flatten(1)


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase], batch_first: bool) -> None:
        super().__init__()
        self.rnn, self.batch_first = kind(6, D, batch_first=batch_first), batch_first

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):  # not every CPU has an LSTM in bfloat16
            x = x.float().reshape(-1, 6, 6)
            if self.batch_first:
                return self.rnn(x)[0][:, -1]
            return self.rnn(x.transpose(0, 1))[0][-1]


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(6, D)
        layer = nn.TransformerEncoderLayer(D, 2, 16, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(self.embed(x.reshape(-1, 6, 6))).mean(1)


class Decoder(nn.Module):
    """A causal block written out, with the weights of embedding and read-out tied."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.norm = nn.Embedding(16, D), nn.LayerNorm(D)
        self.qkv, self.proj = nn.Linear(D, 3 * D), nn.Linear(D, D)
        self.out = nn.Linear(D, 16, bias=False)
        self.out.weight = self.embed.weight

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed((x.abs() * 5).long().clamp(0, 15)[:, :8])
        n, t, d = h.shape
        q, k, v = self.qkv(self.norm(h)).reshape(n, t, 3, 2, d // 2).permute(2, 0, 3, 1, 4)
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        h = h + self.proj(a.transpose(1, 2).reshape(n, t, d))
        return self.out(h)[:, -1, :D]


class Experts(nn.Module):
    """Two experts and a gate that returns a mapping."""

    class Gate(nn.Linear):
        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"weights": super().forward(x).softmax(-1), "input": x}

    def __init__(self) -> None:
        super().__init__()
        self.gate = self.Gate(36, 2)
        self.experts = nn.ModuleList([nn.Linear(36, D), nn.Linear(36, D)])

    def forward(self, x: Tensor) -> Tensor:
        weights = self.gate(x)["weights"]
        return sum(weights[:, i : i + 1] * e(x) for i, e in enumerate(self.experts))


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.attend = nn.Linear(6, D), nn.MultiheadAttention(D, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x.reshape(-1, 6, 6)).transpose(0, 1)  # time first
        return self.attend(h, h, h, need_weights=False)[0].mean(0)


BODIES = {
    "mlp": lambda: nn.Sequential(nn.Linear(36, 10), nn.Tanh(), nn.Linear(10, D)),
    "functional": lambda: FunctionalMLP(),
    "cnn": Conv,
    "cnn1d": lambda: nn.Sequential(
        nn.Unflatten(1, (2, 18)), nn.Conv1d(2, D, 5), nn.GELU(), nn.AvgPool1d(14), nn.Flatten()
    ),
    "channels_last": ChannelsLast,
    "resnet": Residual,
    "lstm": lambda: Recurrent(nn.LSTM, batch_first=False),
    "gru": lambda: Recurrent(nn.GRU, batch_first=True),
    "encoder": Encoder,
    "decoder": Decoder,
    "experts": Experts,
    "attention": Attention,
}


class FunctionalMLP(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(36, 10), nn.Linear(10, D)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.fc2(F.relu(self.fc1(x), inplace=True)))


class Twice(nn.Module):
    """One module called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(D, D)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.tanh(self.fc(x)))


class Checkpointed(nn.Module):
    """Recomputed in the backward pass, dropout included."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(D, D), nn.Dropout(0.2), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return checkpoint(self.net, x, use_reentrant=True)


def frozen() -> nn.Module:
    return nn.BatchNorm1d(D).eval().requires_grad_(False)


INSERTS = {
    "batchnorm": lambda: nn.BatchNorm1d(D),
    "dropout": lambda: nn.Dropout(0.3),
    "autocast": lambda: nn.Linear(D, D),
    "frozen": frozen,
    "shared": Twice,
    "checkpoint": Checkpointed,
    "compile": lambda: nn.Tanh(),
    "inplace": lambda: nn.Sequential(nn.Linear(D, D), nn.ReLU(inplace=True)),
}


class Net(nn.Module):
    """A body, the tricky insert, a head."""

    def __init__(self, body: str, insert: str) -> None:
        super().__init__()
        self.body, self.insert = BODIES[body](), INSERTS[insert]()
        self.head = nn.Linear(D, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.insert(self.body(x)))
