"""What capture took of a training, and what it lost, in a line for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def capture_cost(events: Sequence[Mapping[str, Any]]) -> str:
    """Say what capture has taken: "capture took 1.8 % of the training (0.53 of 29 s)".

    What was asked for beyond the layers' outputs (attention, gradients …) is named with its own
    seconds, and so is what was dropped or put off.

    Parameters
    ----------
    events : sequence of mapping
        A run's ``events()``.

    Returns
    -------
    str
        Empty for a run whose capture told no cost, as an imported one.
    """
    costs = [event["detail"] for event in events if event.get("event") == "cost"]
    if not costs:
        return ""
    cost = costs[-1]
    seconds, training = _number(cost.get("seconds")), _number(cost.get("training_seconds"))
    share = 100 * seconds / training if training > 0 else 0.0
    kinds = cost.get("kinds")
    asked = {
        str(kind): _number(took)
        for kind, took in (kinds.items() if isinstance(kinds, Mapping) else ())
        if kind != "output"
    }
    parts = [f"{_short(seconds)} of {_short(training)} s"]
    parts += [f"{kind.replace('_', ' ')} {_short(took)} s" for kind, took in asked.items()]
    parts += [
        f"{count:,} {words}"
        for name, words in (("dropped", "snapshots dropped"), ("postponed", "put off"))
        if (count := int(_number(cost.get(name))))
    ]
    return f"capture took {_short(share)} % of the training ({'; '.join(parts)})"


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _short(value: float) -> str:
    """Two digits after the point, fewer where there are more before it."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"
