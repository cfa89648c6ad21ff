"""Critics f(v, t) for the variational bounds, and their training. Needs torch when called.

Weights and batches come from private numpy generators and the parameters are leaf tensors, so that
no global random state and no thread setting is read or changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from infoplane.types import FloatArray

PATIENCE = 10  # checks without a better held-out value before training stops
SMALL = 0.01  # scale of the last layer at the start
CLIPPED = 1.0  # largest norm of a gradient step

Scores = Any  # a torch tensor (B, B): score of row i of V with row j of T
Objective = Callable[[Scores], Any]


@dataclass
class Critic:
    """A scoring function of pairs with its weights.

    "separable": f(v, t) = g(v)·h(t), two networks a batch. "joint": f(v, t) = net([v, t]), one
    network on all B² pairs.

    Attributes
    ----------
    kind : {"separable", "joint"}
    networks : list of (weight, bias) leaf tensors per network
    offset : leaf tensor
        Constant added to every score: NWJ's best critic is 1 + log ratio.
    split : int or None
        Seed of the split into training and held-out pairs. A critic that goes from step to step
        keeps it, else it would be scored on pairs that it has learnt by heart at another step.
    """

    kind: str
    networks: list[list[tuple[Any, Any]]]
    offset: Any
    split: int | None = None

    def parameters(self) -> list[Any]:
        """All leaf tensors."""
        layers = [layer for network in self.networks for layer in network]
        return [self.offset, *(tensor for layer in layers for tensor in layer)]

    def scores(self, v: Any, t: Any) -> Scores:
        """Score matrix (len(v), len(t))."""
        if self.kind == "separable":
            left, right = _forward(self.networks[0], v), _forward(self.networks[1], t)
            return left @ right.T / math.sqrt(left.shape[1]) + self.offset
        import torch

        n, m = len(v), len(t)
        pairs = torch.cat([v.repeat_interleave(m, 0), t.repeat(n, 1)], dim=1)
        return _forward(self.networks[0], pairs).reshape(n, m) + self.offset

    def save(self) -> list[Any]:
        """Copy the weights."""
        return [tensor.detach().clone() for tensor in self.parameters()]

    def load(self, saved: list[Any]) -> None:
        """Put saved weights back."""
        import torch

        with torch.no_grad():
            for tensor, kept in zip(self.parameters(), saved, strict=True):
                tensor.copy_(kept)

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Copy the weights as arrays, to be kept; :func:`revive` makes a critic of them."""
        return {f"p{i:02d}": tensor.numpy() for i, tensor in enumerate(self.save())}

    def fits(self, d_v: int, d_t: int) -> bool:
        """Whether the first layers take inputs of these widths (for a warm start)."""
        widths = [layers[0][0].shape[0] for layers in self.networks]
        return widths == ([d_v, d_t] if self.kind == "separable" else [d_v + d_t])


def critic(
    kind: Literal["separable", "joint"],
    d_v: int,
    d_t: int,
    hidden: int,
    embed: int,
    seed: int,
    split: int | None = None,
) -> Critic:
    """Build a critic with two hidden layers of He-scaled private weights.

    The last layer starts near zero, so that training starts from "independent" and not from noise.
    """
    import torch

    rng = np.random.default_rng(seed)
    if kind == "separable":
        shapes = [(d_v, hidden, hidden, embed), (d_t, hidden, hidden, embed)]
    else:
        shapes = [(d_v + d_t, hidden, hidden, 1)]
    networks = [[_layer(a, b, rng) for a, b in pairwise(sizes)] for sizes in shapes]
    with torch.no_grad():
        networks[-1][-1][0].mul_(SMALL)
    return Critic(kind, networks, torch.zeros((), requires_grad=True), split)


def revive(kind: str, arrays: Mapping[str, NDArray[Any]], split: int) -> Critic:
    """Make a critic of weights that were kept."""
    import torch

    kept = [torch.tensor(arrays[name], dtype=torch.float32) for name in sorted(arrays)]
    offset = kept[0].reshape(()).requires_grad_(True)
    flat = [tensor.requires_grad_(True) for tensor in kept[1:]]
    layers = list(zip(flat[::2], flat[1::2], strict=True))
    half = len(layers) // (2 if kind == "separable" else 1)
    networks = [layers[start : start + half] for start in range(0, len(layers), half)]
    return Critic(kind, networks, offset, split)


def _layer(fan_in: int, fan_out: int, rng: np.random.Generator) -> tuple[Any, Any]:
    import torch

    draw = rng.standard_normal((fan_in, fan_out)) * math.sqrt(2.0 / fan_in)
    weight = torch.from_numpy(draw.astype(np.float32)).requires_grad_(True)
    return weight, torch.zeros(fan_out, requires_grad=True)


def _forward(layers: list[tuple[Any, Any]], x: Any) -> Any:
    for weight, bias in layers[:-1]:
        x = (x @ weight + bias).relu()
    weight, bias = layers[-1]
    return x @ weight + bias


@dataclass(frozen=True)
class Trained:
    """A trained critic's held-out scores.

    Attributes
    ----------
    blocks : list of ndarray, (B, B)
        Score matrices of disjoint held-out batches.
    steps : int
        Updates done.
    critic : Critic
        For a warm start.
    """

    blocks: list[NDArray[np.float64]]
    steps: int
    critic: Critic


def train(
    v: FloatArray,
    t: FloatArray,
    objective: Objective,
    held_out_value: Callable[[list[NDArray[np.float64]]], float],
    *,
    start: Critic,
    steps: int,
    batch: int,
    rate: float,
    rng: np.random.Generator,
) -> Trained:
    """Maximise ``objective`` on half of the pairs, keep what is best on a quarter, score the rest.

    The pairs are split by ``start.split`` where it has one.

    The quarter that stops the training does not enter the blocks returned, so the value computed
    from them is free of both over-fitting and of the choice of the stopping time.
    """
    import torch

    order = (rng if start.split is None else np.random.default_rng(start.split)).permutation(len(v))
    fit, check, test = np.split(order, [len(v) // 2, 3 * len(v) // 4])
    v32, t32 = (torch.from_numpy(a.astype(np.float32)) for a in (v, t))
    optimiser = torch.optim.Adam(start.parameters(), lr=rate)
    every = max(1, min(100, steps // 10))
    kept, idle, done = start.save(), 0, 0
    best = held_out_value(_blocks(start, v32, t32, check, batch))
    size = min(batch, len(fit))
    for step in range(1, steps + 1):
        rows = torch.from_numpy(rng.choice(fit, size, replace=False))
        with torch.enable_grad():
            loss = -objective(start.scores(v32[rows], t32[rows]))
            optimiser.zero_grad()
            loss.backward()
        torch.nn.utils.clip_grad_norm_(start.parameters(), CLIPPED)
        optimiser.step()
        done = step
        if step % every == 0:
            value = held_out_value(_blocks(start, v32, t32, check, batch))
            if value > best:
                best, kept, idle = value, start.save(), 0
            else:
                idle += 1
            if idle >= PATIENCE:
                break
    start.load(kept)
    return Trained(_blocks(start, v32, t32, test, batch), done, start)


def _blocks(
    model: Critic, v: Any, t: Any, rows: NDArray[np.int64], batch: int
) -> list[NDArray[np.float64]]:
    """Score matrices of disjoint batches of ``rows``; a short last one joins the one before."""
    import torch

    count = max(1, len(rows) // batch)
    with torch.no_grad():
        parts = (torch.from_numpy(part) for part in np.array_split(rows, count))
        return [
            cast(NDArray[np.float64], model.scores(v[part], t[part]).double().numpy())
            for part in parts
        ]
