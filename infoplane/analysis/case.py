"""What a rule looks at, and how amounts are written: shared by all rules."""

from __future__ import annotations

from dataclasses import dataclass

from infoplane.analysis.portrait import Context
from infoplane.estimators.contract import SATURATED
from infoplane.estimators.registry import Card
from infoplane.types import NATS_TO_BITS, Estimate, Null


@dataclass(frozen=True)
class Case:
    """An estimate with everything that a rule may look at."""

    estimate: Estimate
    card: Card
    null: Null | None
    context: Context

    @property
    def at_ceiling(self) -> bool:
        """Whether the value is at 95 % of its ceiling or more."""
        ceiling = self.estimate.ceiling
        return bool(ceiling and ceiling > 0 and self.estimate.value >= SATURATED * ceiling)

    @property
    def about_labels(self) -> bool:
        """Whether this is I(T;Y) for classes."""
        target = self.context.target
        return target.name == "Y" and target.entropy is not None

    @property
    def scale(self) -> float:
        """The ceiling, or the size of the value where there is none."""
        return self.estimate.ceiling or abs(self.estimate.value) or 1.0

    def info(self, *names: str) -> float | None:
        """First of the named numbers that the estimator reported."""
        for name in names:
            number = self.estimate.info.get(name)
            if isinstance(number, (int, float)) and not isinstance(number, bool):
                return float(number)
        return None


def bits(nats: float) -> str:
    """Write an amount of information as it is shown: ``1.37 bits``."""
    return f"{nats * NATS_TO_BITS + 0.0:.2f} bits"
