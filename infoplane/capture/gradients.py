"""Gradient statistics per layer over the mini-batches between two snapshots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook

from infoplane.capture.models import parts
from infoplane.capture.trace import plain

HIGHEST_SNR = 1e6  # full-batch gradients have no spread: the ratio ends here
TINY = 1e-30


@dataclass
class _Sums:
    """Running sums over mini-batches of one layer's gradient g."""

    weights: Sequence[Tensor]
    count: int = 0
    total: list[Tensor] = field(default_factory=list)
    squares: Tensor | None = None

    def add(self) -> None:
        grads = [weight.grad for weight in self.weights if weight.grad is not None]
        if len(grads) < len(self.weights) or any(grad.is_sparse for grad in grads):
            return
        grads = [torch.view_as_real(grad) if grad.is_complex() else grad for grad in grads]
        grads = [grad.detach().float() for grad in grads]
        if not self.total:
            self.total = [torch.zeros_like(grad) for grad in grads]
        torch._foreach_add_(self.total, grads)
        norm = torch.stack(torch._foreach_norm(grads)).square().sum()
        self.squares = norm if self.squares is None else self.squares + norm
        self.count += 1

    def take(self) -> dict[str, Tensor]:
        """Return ‖mean g‖, ‖std g‖ and their ratio, and start again; empty below two batches."""
        total, squares, count = self.total, self.squares, self.count
        self.total, self.squares, self.count = [], None, 0
        if squares is None or count < 2:
            return {}
        mean_square = torch.stack(torch._foreach_norm(total)).square().sum() / count**2
        spread = ((squares / count - mean_square).clamp_min(0) * count / (count - 1)).sqrt()
        mean = mean_square.sqrt()
        ratio = mean / torch.maximum(spread, mean / HIGHEST_SNR).clamp_min(TINY)
        return {"gradient_mean": mean, "gradient_std": spread, "gradient_snr": ratio}


class GradientStatistics:
    """Accumulates what the training's backward passes leave in ``.grad``; no pass of its own.

    The gradients are read in a hook after each optimiser step, that is after all-reduce,
    accumulation, unscaling and clipping, and before ``zero_grad``. Per layer with weights of its
    own, over the mini-batches since the last snapshot: ‖mean g‖, ‖std g‖ = √Σᵢ Var gᵢ and their
    ratio, the signal-to-noise ratio (at most 1e6). Costs one more copy of the gradients in memory
    and two passes over them a step.

    Parameters
    ----------
    model : nn.Module
        The unwrapped model.
    on_fault : callable
        ``on_fault(place, error)``; the hook itself never raises.
    here : callable
        Whether the watch is active in this process.

    Attributes
    ----------
    seconds : float
        Time spent in the hook.
    """

    def __init__(
        self, model: nn.Module, on_fault: Callable[[str, Exception], None], here: Callable[[], bool]
    ) -> None:
        self.on_fault, self.here = on_fault, here
        self._layers = {
            plain(path) or "model": _Sums(weights)
            for path, module in parts(model)
            if (weights := [w for w in module.parameters(recurse=False) if w.requires_grad])
        }
        self._mine = {id(weight) for sums in self._layers.values() for weight in sums.weights}
        self.seconds = 0.0
        self._handle: Any = register_optimizer_step_post_hook(self._after_step)

    def _after_step(self, optimiser: Optimizer, args: Any, kwargs: Any) -> None:
        begun = perf_counter()
        try:
            if self.here():
                self._read(optimiser)
        except Exception as error:
            self.remove()
            self.on_fault("gradients", error)
        self.seconds += perf_counter() - begun

    @torch.no_grad()
    def _read(self, optimiser: Optimizer) -> None:
        stepped = {id(weight) for group in optimiser.param_groups for weight in group["params"]}
        if not stepped & self._mine:
            return
        for sums in self._layers.values():
            if all(id(weight) in stepped for weight in sums.weights):
                sums.add()

    def take(self) -> dict[str, Tensor]:
        """Return the statistics since the last call as ``{"gradient_snr/fc1": …}``."""
        found = {}
        for layer, sums in self._layers.items():
            found.update({f"{name}/{layer}": value for name, value in sums.take().items()})
        return found

    def remove(self) -> None:
        """Take the hook off; harmless twice."""
        handle, self._handle = self._handle, None
        if handle is not None:
            handle.remove()
