"""The subject of a watch: a model with its probe sets, looked at once and read at each snapshot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from infoplane.capture.faults import tell
from infoplane.capture.models import unwrap, weights
from infoplane.capture.probe import Probe, home
from infoplane.capture.quiet import autocast_kind, undisturbed
from infoplane.capture.reader import Reader
from infoplane.capture.select import Selection
from infoplane.capture.taps import Plan, Tap, find_taps


class Subject:
    """What is watched, and where in it.

    Parameters
    ----------
    model : nn.Module
        As the user trains it; wrappers are looked through.
    probes : tuple of Probe
    plan : Plan
        What to read.

    Attributes
    ----------
    model : nn.Module
        Without wrappers.
    layers : tuple of Layer
        Known once `look` has been called.
    """

    def __init__(self, model: nn.Module, probes: tuple[Probe, ...], plan: Plan) -> None:
        self.model, self.wrappers = unwrap(model)
        self.probes, self.plan = probes, plan

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return home(self.model)[0]

    def look(self, on_fault: Callable[[str, Exception], None], memory: int) -> None:
        """Find the layers; keep as many rows of the probe sets as a snapshot's `memory` allows."""
        with undisturbed(self.model):  # a reduce of the user's own may draw random numbers
            taps, selection = self._find()
        self.layers = tuple(tap.layer for tap in taps)
        self.left_out = dict(selection.left_out)
        self._reader = Reader(taps, on_fault, autocast=self.plan.autocast)
        self.probes = tuple(self._capped(probe, memory) for probe in self.probes)

    def read(self) -> list[tuple[Probe, dict[str, Tensor]]]:
        """Send every probe set through the model; see `Reader.read`."""
        return [(probe, self._reader.read(self.model, probe)) for probe in self.probes]

    def seconds(self) -> dict[str, float]:
        """Return what each kind that is captured has taken so far, beside the forward passes."""
        return dict(self._reader.seconds)

    def halve_batches(self) -> None:
        """Ask for half as much memory at the next pass."""
        for probe in self.probes:
            probe.batch_size = max(1, min(probe.batch_size, probe.n) // 2)

    def info(self) -> dict[str, Any]:
        """Return notes for the run."""
        device, dtype = home(self.model)
        return {
            "model": type(self.model).__name__,
            "parameters": sum(weight.numel() for weight in weights(self.model)),
            "device": device.type,
            "dtype": str(dtype).removeprefix("torch."),
            "unwrapped": list(self.wrappers),
            "autocast": autocast_kind() is not None and self.plan.autocast,
            "seed": self.plan.seed,
            "rows": {probe.name: probe.n for probe in self.probes},
            "left_out": self.left_out,
            "torch": torch.__version__,
        }

    def _find(self) -> tuple[tuple[Tap, ...], Selection]:
        """Find what to read; without autocast where a kernel cannot run under it in eval mode."""
        try:
            return find_taps(self.model, self.probes[0], self.plan)
        except RuntimeError:
            if autocast_kind() is None:
                raise
            self.plan = replace(self.plan, autocast=False)
            return find_taps(self.model, self.probes[0], self.plan)

    def _capped(self, probe: Probe, memory: int) -> Probe:
        """Draw the rows that are kept once, with a private generator."""
        row = 4 * sum(layer.width for layer in self.layers) * len(self.probes)
        rows = max(2, memory // max(row, 1))
        if rows >= probe.n:
            return probe
        tell(
            f"infoplane: {rows} of the {probe.n} rows of probe {probe.name!r} are captured, so "
            f"that a snapshot stays within {memory:,} bytes; raise memory= for more."
        )
        generator = np.random.default_rng(self.plan.seed)
        return probe.take(np.sort(generator.choice(probe.n, rows, replace=False)))
