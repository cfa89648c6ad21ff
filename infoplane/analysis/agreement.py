"""Agreement: whether the estimators tell the same story of one run.

Two questions that survive different units and offsets: does a layer go up and down at the same
steps (Spearman's ρ of the trajectories), and which layer loses most (Kendall's τ of the losses).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import xarray as xr

from infoplane.types import FloatArray

AGREE = 0.7  # rank correlation from which two estimators count as agreeing
OPPOSED = -0.3  # rank correlation up to which two trajectories count as going opposite ways
ORDERED = 4  # layers from which their order says anything: of three, one in six agrees by chance
_FEWEST = 5  # common usable points below which nothing is said


@dataclass(frozen=True, slots=True)
class Pair:
    """Agreement of two estimators about one target.

    ``direction`` is Spearman's ρ of the trajectories by layer (only layers where both are usable),
    ``order`` Kendall's τ of the layers by loss after the peak, None with fewer than four layers.
    """

    first: str
    second: str
    target: str
    direction: dict[str, float] = field(default_factory=dict)
    order: float | None = None

    @property
    def mean(self) -> float | None:
        """Mean ρ over the layers compared; None when none could be."""
        values = [value for value in self.direction.values() if np.isfinite(value)]
        return float(np.mean(values)) if values else None

    @property
    def agrees(self) -> bool:
        """Whether the mean ρ is at least :data:`AGREE`."""
        return self.mean is not None and self.mean >= AGREE

    @property
    def opposed(self) -> list[str]:
        """Layers in which the two go opposite ways."""
        return [layer for layer, rho in self.direction.items() if rho <= OPPOSED]


def compare_estimators(ds: xr.Dataset) -> list[Pair]:
    """Compare every two estimators of a Dataset for every target."""
    names = [str(name) for name in ds["estimator"].values]
    return [
        _compare(ds, first, second, str(target))
        for target in ds["target"].values
        for first, second in combinations(names, 2)
    ]


def _compare(ds: xr.Dataset, first: str, second: str, target: str) -> Pair:
    from scipy import stats  # a second of import that only this needs

    one, two = (_usable(ds, name, target) for name in (first, second))  # (step, layer)
    direction, losses = {}, []
    for i, layer in enumerate(ds["layer"].values):
        both = np.isfinite(one[:, i]) & np.isfinite(two[:, i])
        if both.sum() < _FEWEST:
            continue
        a, b = one[both, i], two[both, i]
        if np.ptp(a) > 0 and np.ptp(b) > 0:
            direction[str(layer)] = float(stats.spearmanr(a, b).statistic)
        losses.append((float(a.max() - a[-1]), float(b.max() - b[-1])))
    order = None
    if len(losses) >= ORDERED:
        tau = float(stats.kendalltau(*zip(*losses, strict=True)).statistic)
        order = tau if np.isfinite(tau) else None
    return Pair(first, second, target, direction, order)


def _usable(ds: xr.Dataset, estimator: str, target: str) -> FloatArray:
    at = {"estimator": estimator, "target": target}
    values = ds["mi"].sel(at).transpose("step", "layer").values
    verdict = ds["verdict"].sel(at).transpose("step", "layer").values
    return np.where(verdict == 2, np.nan, values)


def reading(pairs: list[Pair]) -> str:
    """Say in one paragraph how far the estimators agree."""
    sentences = []
    for target, name in (("X", "I(X;T)"), ("Y", "I(T;Y)")):
        compared = [pair for pair in pairs if pair.target == target and pair.mean is not None]
        if not compared:
            continue
        weakest = min(compared, key=lambda pair: pair.mean or 0.0)
        rho = weakest.mean or 0.0
        verb = "agree" if rho >= AGREE else "agree in part" if rho >= 0.3 else "do not all agree"
        sentence = (
            f"On when {name} rises and falls, {_count(compared)} {verb}: the rank correlation of "
            f"their trajectories, averaged over layers, is {rho:.2f} between {weakest.first} and "
            f"{weakest.second}" + (", the lowest" if len(compared) > 1 else "")
        )
        opposed = sorted({layer for pair in compared for layer in pair.opposed})
        if opposed:
            sentence += f"; in {', '.join(opposed)} some go opposite ways"
        taus = [pair.order for pair in compared if pair.order is not None]
        if taus and target == "X":
            same = "the same" if min(taus) >= AGREE else "a different"
            sentence += (
                f"; they put the layers in {same} order of how far it falls from its largest value "
                f"(lowest Kendall τ {min(taus):.2f})"
            )
        sentences.append(sentence + ".")
    if not sentences:
        return "Too few usable points in common to compare estimators."
    return " ".join(sentences)


def _count(pairs: list[Pair]) -> str:
    names = {name for pair in pairs for name in (pair.first, pair.second)}
    return "the two estimators" if len(names) == 2 else f"the {len(names)} estimators"
