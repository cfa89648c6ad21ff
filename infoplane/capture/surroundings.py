"""Where a watch runs: on which process, in whose proof, and how the script around it ended."""

from __future__ import annotations

import builtins
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import torch

from infoplane.capture.clock import FROM_ZERO, RENUMBERED

if TYPE_CHECKING:
    from infoplane.capture.recorder import Watcher

BARE: ContextVar[bool] = ContextVar("infoplane_bare", default=False)
"""True while `verify_neutrality` trains without capture."""

WITNESSES: ContextVar[list[Watcher] | None] = ContextVar("infoplane_witnesses", default=None)
"""While `verify_neutrality` trains: the watchers made, which then keep all scalars."""


def other_rank() -> bool:
    """Whether this process is not the first of a distributed training."""
    distributed = torch.distributed
    return (
        distributed.is_available() and distributed.is_initialized() and distributed.get_rank() > 0
    )


def reached(run: Any) -> int:
    """Return the latest step of a run that was begun before, a resumed one; -1 for a new one."""
    return max(getattr(run, "steps", None) or (-1,))


def offset_of(run: Any) -> int:
    """Return what the watch before added to the numbers that it was given: 1 if they began at 0."""
    events = run.events() if callable(getattr(run, "events", None)) else ()
    told = [event["event"] for event in events if event["event"] in (FROM_ZERO, RENUMBERED)]
    return int(told[-1:] == [FROM_ZERO])


def fate() -> str:
    """Tell how the script has ended, when python exits: an uncaught error is still known then."""
    if hasattr(sys, "ps1") or hasattr(builtins, "__IPYTHON__"):
        return "interrupted"  # a session that was left may still have been training
    error = getattr(sys, "last_value", None)
    if error is None:
        return "finished"
    return "failed" if isinstance(error, Exception) else "interrupted"
