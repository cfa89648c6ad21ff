"""Retention: a disk budget kept by thinning old snapshots, evenly on the log-step axis."""

from __future__ import annotations

import math
from collections.abc import Mapping


class Retention:
    """Tells which snapshots to give up so that those kept stay within a number of bytes.

    The one whose neighbours are closest on the log-step axis goes first; the first and the latest
    are never given up.

    Parameters
    ----------
    limit : int
        Bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.sizes: dict[int, int] = {}

    def know(self, held: Mapping[int, int], before: int) -> None:
        """Count what a resumed run holds (step → bytes) up to the step at which it goes on."""
        self.sizes.update({step: size for step, size in held.items() if step < before})

    def add(self, step: int, size: int) -> list[int]:
        """Note a snapshot that was written; return the steps to give up now."""
        self.sizes[step] = size
        given_up = []
        while sum(self.sizes.values()) > self.limit and len(self.sizes) > 2:
            crowded = self._most_crowded()
            del self.sizes[crowded]
            given_up.append(crowded)
        return given_up

    def _most_crowded(self) -> int:
        steps = sorted(self.sizes)
        gaps = {
            steps[i]: math.log1p(steps[i + 1]) - math.log1p(steps[i - 1])
            for i in range(1, len(steps) - 1)
        }
        return min(gaps, key=lambda step: (gaps[step], step))
