"""The noun of this room: a joint distribution with exact facts about it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infoplane.errors import InputError
from infoplane.types import FloatArray, Kind

Pair = tuple[NDArray[Any], NDArray[Any]]
Draw = Callable[[int, np.random.Generator], Pair]
Map = Callable[[FloatArray], FloatArray]
LOG2 = math.log(2.0)


@dataclass(frozen=True, slots=True)
class Truth:
    """A joint distribution of (X, Y) with exact facts about it.

    Attributes
    ----------
    name, about : str
        Id, and what it is in one line.
    mi : float
        I(X;Y) in nats, exact.
    draw : callable
        ``draw(n, generator) -> (x, y)``, samples on axis 0.
    kinds : (Kind, Kind)
        What X and Y are.
    facts : mapping of str to float
        Other exact values: "entropy" of X, "dimension" of X, "o_information", "capacity" …
    """

    name: str
    about: str
    mi: float
    draw: Draw
    kinds: tuple[Kind, Kind] = (Kind.CONTINUOUS, Kind.CONTINUOUS)
    facts: Mapping[str, float] = field(default_factory=dict)

    def sample(self, n: int, seed: np.random.Generator | int = 0) -> Pair:
        """Draw ``n`` pairs, x (n, d_x) or (n,) and y alike; the same seed gives the same bytes."""
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
            raise InputError(f"`n` must be a positive int; got {n!r}.")
        rng = seed if isinstance(seed, np.random.Generator) else np.random.default_rng(seed)
        return self.draw(int(n), rng)
