"""Counting an optimiser's updates, so that a training needs no call of ``step`` of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook

from infoplane.capture.models import weights
from infoplane.errors import InputError


class Updates:
    """Calls ``tell()`` after each ``step()`` of the optimisers; these themselves are not touched.

    Updates that a gradient scaler skips are not counted, nor are mini-batches that are only
    accumulated.

    Parameters
    ----------
    optimisers : tuple of Optimizer
        Of several, each one's update counts.
    tell : callable
        Must not raise.
    """

    def __init__(self, optimisers: tuple[Optimizer, ...], tell: Callable[[], None]) -> None:
        self.optimisers, self.tell = optimisers, tell
        self._handle: Any = register_optimizer_step_post_hook(self._after_step)

    def _after_step(self, optimiser: Optimizer, args: Any, kwargs: Any) -> None:
        if any(optimiser is one for one in self.optimisers):
            self.tell()

    def remove(self) -> None:
        """Take the hook off; harmless twice."""
        handle, self._handle = self._handle, None
        if handle is not None:
            handle.remove()


def updaters(optimizer: Any, model: nn.Module) -> tuple[Optimizer, ...]:
    """Read an ``optimizer=`` argument: one optimiser, or several that update the model."""
    several = isinstance(optimizer, list | tuple)
    return tuple(updater(one, model) for one in (optimizer if several else (optimizer,)))


def updater(optimizer: Any, model: nn.Module) -> Optimizer:
    """Return the torch optimiser inside a framework's wrapper (Accelerate, Fabric).

    Raises
    ------
    InputError
        If there is none, or it updates none of the model's weights.
    """
    inner = optimizer
    while hasattr(inner, "optimizer"):
        inner = inner.optimizer
    if not isinstance(inner, Optimizer):
        raise InputError(
            "`optimizer` must be a torch.optim.Optimizer, the one that updates the model; got "
            f"{type(optimizer).__name__}."
        )
    updated = {id(weight) for group in inner.param_groups for weight in group["params"]}
    if not any(id(weight) in updated for weight in weights(model)):
        raise InputError(
            "`optimizer` must be the one that updates the watched model; this one holds none of "
            "its weights."
        )
    return inner
