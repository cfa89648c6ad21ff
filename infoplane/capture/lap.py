"""How long a probe pass keeps the accelerator busy, and when its copies have arrived."""

from __future__ import annotations

from collections.abc import Callable

import torch


class Lap:
    """Begun before a probe pass; on CUDA its end is waited for in the writer's thread.

    Parameters
    ----------
    device : torch.device
        Where the model is.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.begun = self._event()

    def end(self) -> Callable[[], float]:
        """Return a wait for the copies queued so far; it tells the seconds of the device, or 0."""
        begun, ended = self.begun, self._event()
        if begun is None or ended is None:
            return _at_once

        def wait() -> float:
            ended.synchronize()
            return float(begun.elapsed_time(ended)) / 1000

        return wait

    def _event(self) -> torch.cuda.Event | None:
        if self.device.type != "cuda":
            return None
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self.device))
        return event


def _at_once() -> float:
    return 0.0
