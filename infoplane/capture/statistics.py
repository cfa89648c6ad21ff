"""Scalars taken at each snapshot beside the layers: of gradients and of weights, where asked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

from torch import Tensor, nn

from infoplane.capture.gradients import GradientStatistics
from infoplane.capture.weights import weight_statistics


class Statistics:
    """Gradient and weight statistics of one watch.

    Parameters
    ----------
    model : nn.Module
        Without wrappers.
    capture : sequence of str
        What is kept; "gradients" and "weights" count here.
    on_fault : callable
        ``on_fault(place, error)``.
    here : callable
        Whether the watch is active in this process.
    """

    def __init__(
        self,
        model: nn.Module,
        capture: Sequence[str],
        on_fault: Callable[[str, Exception], None],
        here: Callable[[], bool],
    ) -> None:
        self.model, self.weights = model, "weights" in capture
        self.taken: defaultdict[str, float] = defaultdict(float)
        self.gradients: GradientStatistics | None = None
        if "gradients" in capture:
            self.gradients = GradientStatistics(model, on_fault, here)

    @property
    def seconds(self) -> float:
        """Time spent between snapshots, in the gradients' hook."""
        return 0.0 if self.gradients is None else self.gradients.seconds

    def kinds(self) -> dict[str, float]:
        """Return what each kind has taken so far, at snapshots and between them."""
        taken = dict(self.taken)
        if self.gradients is not None:
            taken["gradients"] = taken.get("gradients", 0.0) + self.seconds
        return taken

    def take(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the scalars of this snapshot, and notes: spectra and what each kind cost."""
        scalars: dict[str, Tensor] = {}
        notes: dict[str, Any] = {}
        if self.gradients is not None:
            begun = perf_counter()
            scalars.update(self.gradients.take())
            self._took("gradients", begun, notes)
        if self.weights:
            begun = perf_counter()
            found, notes["weights"] = weight_statistics(self.model)
            scalars.update(found)
            self._took("weights", begun, notes)
        return scalars, notes

    def _took(self, kind: str, begun: float, notes: dict[str, Any]) -> None:
        seconds = notes[f"{kind}_seconds"] = perf_counter() - begun
        self.taken[kind] += seconds

    def remove(self) -> None:
        """Take the gradients' hook off; harmless twice."""
        if self.gradients is not None:
            self.gradients.remove()
