"""Faults: what went wrong while capturing is counted, told once, and never stops the training."""

from __future__ import annotations

import logging
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import torch

LOG = logging.getLogger("infoplane")


# torch 2.4 has the second name only
_DEVICE = getattr(torch, "OutOfMemoryError", None) or torch.cuda.OutOfMemoryError


class CaptureWarning(UserWarning):
    """Something could not be captured; training goes on unchanged."""


class Faults:
    """Counts faults by place; the first is warned about, the first of each place is reported.

    Parameters
    ----------
    report : callable
        ``report(detail)`` passes an event on to the sink.

    Attributes
    ----------
    counts : Counter of str
        Place → how often.
    """

    def __init__(self, report: Callable[[Mapping[str, Any]], None]) -> None:
        self.report = report
        self.counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, place: str, error: BaseException) -> None:
        """Count a fault at `place` ("layer fc1", "sink", "probe pass" …)."""
        with self._lock:
            self.counts[place] += 1
            first, total = self.counts[place] == 1, self.counts.total()
        text = f"{type(error).__name__}: {error}"
        if first:
            self.report({"place": place, "error": text})
        if total == 1:
            what = "a probe pass ran out of memory" if place == "memory" else f"{place} failed"
            tell(f"infoplane: {what} ({text}). Training goes on unchanged; what is lost is noted "
                 "in the run.")  # fmt: skip


def out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, of the device or of the host (torch tells that one by its text)."""
    if isinstance(error, MemoryError | _DEVICE):
        return True
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)


def tell(message: str) -> None:
    """Warn, or log where warnings are errors: capture must not raise into the training loop."""
    try:
        warnings.warn(message, CaptureWarning, stacklevel=4)
    except CaptureWarning:
        LOG.warning(message)
