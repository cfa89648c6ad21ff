"""Scalars recorded beside the snapshots: cheap to take, converted in the writer's thread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from infoplane.errors import InputError

Row = dict[str, float | Tensor]


class Scalars:
    """Collects ``{step: {name: value}}`` until it is drained."""

    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}

    def add(self, step: int, name: str, value: Any) -> None:
        """Keep one value; tensors on an accelerator are copied there and read later."""
        self.rows.setdefault(step, {})[name] = held(name, value)

    def drain(self) -> dict[int, Row]:
        """Hand over what was collected."""
        rows, self.rows = self.rows, {}
        return rows


def settle(row: Mapping[str, float | Tensor]) -> dict[str, float]:
    """Turn held values into floats; waits for the accelerator, so not for the training thread."""
    return {name: float(value) for name, value in row.items()}


def held(name: str, value: Any) -> float | Tensor:
    """Detach a value from the training: a float, or a copy on its accelerator."""
    if isinstance(value, Tensor) and value.device.type != "cpu":
        if value.numel() != 1:
            raise InputError(_message(name, f"a tensor of shape {tuple(value.shape)}"))
        return value.detach().clone().reshape(())
    try:
        return float(value.item() if isinstance(value, Tensor) else value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(_message(name, f"{type(value).__name__}")) from error


def _message(name: str, got: str) -> str:
    return f"the scalar {name!r} of a step must be one number; got {got}. Pass its mean."
