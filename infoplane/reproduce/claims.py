"""The nouns of a reproduction, and the measures that claims are decided by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from infoplane.tasks.training import Recipe
from infoplane.types import NATS_TO_BITS

Decision = Literal["holds", "does not hold", "undecided"]
Evidence = Mapping[str, Sequence[xr.Dataset]]
"""Trajectories by the name of the training, one Dataset per seed."""

NOTICEABLE = 0.3
"""Bits. A change that is smaller is not called compression: seeds differ by more than that."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was measured for a claim.

    Attributes
    ----------
    decision : {"holds", "does not hold", "undecided"}
    measured : str
        The numbers, with their unit and what they are taken over.
    """

    decision: Decision
    measured: str


@dataclass(frozen=True, slots=True)
class Claim:
    """One checkable sentence of a paper.

    Attributes
    ----------
    id : str
    statement : str
        In our words.
    rule : str
        What is measured, and when the claim counts as holding.
    check : callable
        From the evidence to the finding; a claim about mathematics ignores the evidence.
    """

    id: str
    statement: str
    rule: str
    check: Callable[[Evidence], Finding]


@dataclass(frozen=True, slots=True)
class Paper:
    """A paper, the trainings it needs, its claims, and what is not tried here.

    Attributes
    ----------
    trainings : mapping
        Name of a training → how it differs from the published network, as changes of a Recipe.
    estimators : tuple
        What is estimated on every snapshot, as :func:`infoplane.evaluate` takes it.
    left_out : tuple of str
        Claims of the paper that are not tried, each with the reason.
    """

    key: str
    reference: str
    trainings: Mapping[str, Callable[[Recipe], Recipe]]
    estimators: tuple[tuple[str, dict[str, Any]], ...]
    claims: tuple[Claim, ...]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reproduction:
    """The outcome: every claim with its finding, and the runs behind them.

    Attributes
    ----------
    runs : mapping
        Name of the training → directories of its runs, one per seed.
    """

    paper: Paper
    findings: tuple[tuple[Claim, Finding], ...]
    seeds: int
    epochs: int
    runs: Mapping[str, Sequence[Path]] = field(default_factory=dict)

    def as_data(self) -> dict[str, Any]:
        """Return the outcome as plain data."""
        return {
            "paper": self.paper.key,
            "reference": self.paper.reference,
            "seeds": self.seeds,
            "epochs": self.epochs,
            "claims": [
                {"id": claim.id, "statement": claim.statement, "rule": claim.rule,
                 "measured": finding.measured, "decision": finding.decision}
                for claim, finding in self.findings
            ],
            "left_out": list(self.paper.left_out),
            "runs": {name: [str(path) for path in paths] for name, paths in self.runs.items()},
        }  # fmt: skip

    def markdown(self) -> str:
        """Return the table claim · measured · holds or not, as Markdown."""
        lines = [
            f"# {self.paper.reference}", "",
            f"{self.seeds} seeds of {self.epochs} epochs each; bits; mean and range over seeds. "
            "The rule of each claim was fixed before the trainings.", "",
            "| | claim | rule | measured | |", "|---|---|---|---|---|",
        ]  # fmt: skip
        lines += [
            f"| {claim.id} | {claim.statement} | {claim.rule} | {finding.measured} "
            f"| **{finding.decision}** |"
            for claim, finding in self.findings
        ]
        if self.paper.left_out:
            lines += ["", "Not tried here:", "", *(f"- {line}" for line in self.paper.left_out)]
        return "\n".join(lines) + "\n"


def curve(ds: xr.Dataset, estimator: str, layer: str, target: str = "X") -> xr.DataArray:
    """Return an estimate of one layer over the steps in bits, without steps that have none."""
    values = ds["mi"].sel(estimator=estimator, layer=layer, target=target) * NATS_TO_BITS
    return values.dropna("step")


def fall(bits: xr.DataArray) -> float:
    """Return how far a curve ends below its peak, in bits.

    Peak and end are medians of three neighbouring snapshots, so that one noisy estimate makes
    neither.
    """
    smooth = _smooth(bits)
    return float(smooth.max() - smooth[-1])


def peak_epoch(bits: xr.DataArray) -> float:
    """Return the epoch at which a curve, smoothed as in :func:`fall`, is largest."""
    return float(bits["epoch"][int(_smooth(bits).argmax())])


def _smooth(bits: xr.DataArray) -> NDArray[np.floating]:
    smooth: NDArray[np.floating] = median_filter(bits.values, size=3)
    smooth[0], smooth[-1] = np.median(bits.values[:3]), np.median(bits.values[-3:])
    return smooth


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Write values of several seeds as their mean and range: ``"1.20 (0.90 … 1.50)"``."""
    low, high = min(values), max(values)
    mean = float(np.mean(values))
    return f"{mean:.{digits}f} ({low:.{digits}f} … {high:.{digits}f})"


def in_all(holds: Sequence[bool]) -> Decision:
    """Decide over seeds: holds in all, in none, or undecided between."""
    if all(holds):
        return "holds"
    return "undecided" if any(holds) else "does not hold"
