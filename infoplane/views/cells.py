"""What falls into one log bin of one series, pooled while it comes in.

A cell is asked for its row with every frame and by every new page, so it keeps running sums and
its last row: neither depends on how many points it holds. Only a point that is measured anew makes
it count again from the start.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from infoplane.types import Measurement

Z95 = 1.959964  # two-sided 95 % of the normal: what a standard error alone is drawn as
_MEANS = ("null", "null95", "ceiling")


@dataclass(slots=True)
class Side:
    """One measured side (X or Y) of one (probe, layer, estimator, step), in nats."""

    value: float
    low: float
    high: float
    null: float
    null95: float
    ceiling: float
    verdict: int
    reason: int

    @classmethod
    def of(cls, m: Measurement, reason: int) -> Side:
        """Read a measurement; ``reason`` is the place of its words."""
        value = float(m.value) if m.value is not None else math.nan
        low, high = m.low, m.high
        if (low is None or high is None) and m.stderr is not None:
            low, high = value - Z95 * m.stderr, value + Z95 * m.stderr
        return cls(
            value=value,
            low=math.nan if low is None else low,
            high=math.nan if high is None else high,
            null=math.nan if m.null is None else m.null.mean,
            null95=math.nan if m.null is None else m.null.q95,
            ceiling=math.nan if m.ceiling is None else m.ceiling,
            verdict=int(m.verdict),
            reason=reason,
        )

    def row(self) -> list[float]:
        """Return the eight columns of a side that stands alone."""
        return [
            self.value,
            self.low,
            self.high,
            self.null,
            self.null95,
            self.ceiling,
            self.verdict,
            self.reason,
        ]


_NONE = Side(*(math.nan,) * 6, verdict=-1, reason=-1)


@dataclass(slots=True)
class _Pool:
    """Running sums of one side over a bin: means, the range, the worst verdict."""

    count: int = 0
    total: float = 0.0
    low: float = math.inf
    high: float = -math.inf
    sums: list[float] = field(default_factory=lambda: [0.0] * len(_MEANS))
    counts: list[int] = field(default_factory=lambda: [0] * len(_MEANS))
    worst: tuple[int, int] = (-1, -1)
    newest: tuple[int, Side] = (-1, _NONE)

    def take(self, step: int, side: Side) -> None:
        self.count += 1
        self.total += side.value
        self.low, self.high = min(self.low, side.value), max(self.high, side.value)
        for i, number in enumerate((side.null, side.null95, side.ceiling)):
            if math.isfinite(number):
                self.sums[i] += number
                self.counts[i] += 1
        if side.verdict > self.worst[0]:
            self.worst = (side.verdict, side.reason)
        if step >= self.newest[0]:
            self.newest = (step, side)

    def row(self) -> list[float]:
        if self.count < 2:
            return self.newest[1].row()
        mean = min(max(self.total / self.count, self.low), self.high)  # summing may leave the range
        means = [s / n if n else math.nan for s, n in zip(self.sums, self.counts, strict=True)]
        return [mean, self.low, self.high, *means, *self.worst]


@dataclass(slots=True)
class Cell:
    """All points of one series in one log bin: step → (X side, Y side)."""

    points: dict[int, list[Side | None]] = field(default_factory=dict)
    last: int = -1
    _pools: tuple[_Pool, _Pool] = field(default_factory=lambda: (_Pool(), _Pool()))
    _steps: float = 0.0
    _row: list[float] | None = None

    def put(self, step: int, axis: int, side: Side) -> None:
        """Take a point; one that was there before is replaced."""
        self._row = None
        if step not in self.points:
            self.points[step] = [None, None]
            self._steps += step
            self.last = max(self.last, step)
        replaced = self.points[step][axis] is not None
        self.points[step][axis] = side
        if replaced:
            self._recount()
        else:
            self._pools[axis].take(step, side)

    def row(self) -> list[float]:
        """Return mean step, number of points, kind of band, and both sides pooled."""
        if self._row is None:
            self._row = self._with(self._steps / len(self.points), len(self.points))
        return self._row

    def newest(self) -> list[float]:
        """Return the same of the newest point alone."""
        return self.alone(self.last)

    def alone(self, step: int) -> list[float]:
        """Return the same of one point."""
        x, y = ((side or _NONE).row() for side in self.points[step])
        return [step, 1, float(_finite(x) or _finite(y)), *x, *y]

    def _with(self, step: float, count: int) -> list[float]:
        x, y = (pool.row() for pool in self._pools)
        interval = _finite(x) or _finite(y)
        return [step, count, 0 if not interval else 1 if count == 1 else 2, *x, *y]

    def _recount(self) -> None:
        self._pools = (_Pool(), _Pool())
        for step in sorted(self.points):
            for pool, side in zip(self._pools, self.points[step], strict=True):
                if side is not None:
                    pool.take(step, side)


def _finite(side: list[float]) -> bool:
    return math.isfinite(side[1])


@dataclass(slots=True)
class Box:
    """One scalar in one log bin, as running sums."""

    count: int = 0
    steps: float = 0.0
    total: float = 0.0
    low: float = math.inf
    high: float = -math.inf
    last: tuple[int, float] = (-1, math.nan)

    def take(self, step: int, value: float) -> None:
        """Take one value."""
        self.add((1, step, value, value, value), (step, value))

    def add(
        self, totals: tuple[float, float, float, float, float], last: tuple[int, float]
    ) -> None:
        """Take many values: number, sum of steps, sum, smallest, largest; and the newest."""
        count, steps, total, low, high = totals
        self.count += int(count)
        self.steps += steps
        self.total += total
        self.low, self.high = min(self.low, low), max(self.high, high)
        if last[0] >= self.last[0]:
            self.last = last

    def pooled(self) -> tuple[float, ...]:
        """Return mean step, number of values, mean, smallest and largest value."""
        mean = min(max(self.total / self.count, self.low), self.high)
        return self.steps / self.count, self.count, mean, self.low, self.high
