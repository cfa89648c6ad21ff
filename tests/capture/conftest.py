"""Small models and a loop that compares a watched training with a bare one, bit for bit."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from infoplane.capture import MemorySink, Probe, watch


def data(n: int = 24, shape: tuple[int, ...] = (6,), classes: int = 3) -> tuple[Tensor, Tensor]:
    """Fixed inputs and labels from a private generator."""
    generator = torch.Generator().manual_seed(7)
    x = torch.randn(n, *shape, generator=generator)
    return x, torch.randint(0, classes, (n,), generator=generator)


def states() -> tuple[Any, ...]:
    """Everything random that a training could draw from."""
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002
    return random.getstate(), kind, keys.tobytes(), tuple(rest), torch.get_rng_state().tolist()


def bits(model: nn.Module) -> dict[str, bytes]:
    """All weights and buffers as bytes."""
    return {
        key: value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()
        if value.ndim
        else value.cpu().numpy().tobytes()
        for key, value in model.state_dict().items()
    }


def train(
    build: Callable[[], nn.Module],
    x: Tensor,
    y: Tensor,
    *,
    watched: bool,
    steps: int = 8,
    loss_of: Callable[[Any, Tensor], Tensor] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Train a few steps from fixed seeds, drawing from python, numpy and torch."""
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    model = build()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    sink, losses = options.pop("sink", None) or MemorySink(), []
    options = {"every": 2, "on_backpressure": "block", **options}
    probe = options.pop("probe", None) or Probe(x[:10], y[:10])
    context = watch(model, probe, sink, **options) if watched else nullcontext()
    with context as watcher:
        for step in range(steps):
            rows = np.random.permutation(len(x))[: len(x) // 2]  # noqa: NPY002
            rows[0] = random.randrange(len(x))
            optimiser.zero_grad()
            output = model(x[rows])
            loss = (loss_of or nn.functional.cross_entropy)(output, y[rows])
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
            if watcher is not None:
                watcher.step(step, loss=loss)
    grads = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    return {
        "weights": bits(model), "losses": losses, "states": states(), "grads": grads,
        "modes": [module.training for module in model.modules()], "model": model, "sink": sink,
    }  # fmt: skip


def same(bare: dict[str, Any], watched: dict[str, Any]) -> None:
    """Fail unless the two trainings agree in every bit."""
    for part in ("weights", "losses", "states", "modes"):
        assert bare[part] == watched[part], part
    for a, b in zip(bare["grads"], watched["grads"], strict=True):
        assert (a is None) == (b is None)
        assert a is None or torch.equal(a, b)
    for module in watched["model"].modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not module._backward_hooks


class Kit:
    """What the tests of this room share."""

    data = staticmethod(data)
    states = staticmethod(states)
    bits = staticmethod(bits)
    train = staticmethod(train)
    same = staticmethod(same)

    @staticmethod
    def neutral(build: Callable[[], nn.Module], x: Tensor, y: Tensor, **options: Any) -> MemorySink:
        """Train bare and watched, compare, and return what was captured."""
        bare = train(build, x, y, watched=False, **{k: v for k, v in options.items()
                                                   if k in ("steps", "loss_of")})  # fmt: skip
        watched = train(build, x, y, watched=True, **options)
        same(bare, watched)
        sink = watched["sink"]
        assert sink.status == "finished"
        assert not [event for event in sink.events if event[0] == "fault"], sink.events
        return sink


@pytest.fixture(scope="session")
def kit() -> type[Kit]:
    return Kit
