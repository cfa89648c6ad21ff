"""What the checks need to know about the data: a layer's portrait and the target's entropy.

Each figure is computed on first use and kept, so a rule that does not apply costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infoplane.estimators.contract import entropy_of_counts, symbols
from infoplane.types import FloatArray, IntArray, ProbeData

_MEDIAN_ROWS = 1024  # rows from which a unit's median is taken
_GRAM_ROWS = 1024  # rows from which the spectrum of a wide layer is taken


class Portrait:
    """Facts about one representation T (n, d): dead units, dimension, ties, tails, spread."""

    def __init__(self, t: NDArray[Any]) -> None:
        self.t: FloatArray = np.asarray(t, dtype=np.float64).reshape(len(t), -1)
        self.n, self.d = self.t.shape

    @cached_property
    def dead(self) -> int:
        """Units that have one value on all samples."""
        return int((self.t.max(axis=0) == self.t.min(axis=0)).sum())

    @cached_property
    def effective_dim(self) -> float:
        """Participation ratio of the covariance, (Σλ)² / Σλ²; 0 for a constant layer.

        Wide layers are looked at through the Gram matrix of at most 1,024 rows.
        """
        rows = self.t
        if self.d > _GRAM_ROWS // 4 and self.n > _GRAM_ROWS:
            rows = rows[:: -(-self.n // _GRAM_ROWS)]
        rows = rows - rows.mean(axis=0)
        small = rows @ rows.T if self.d > len(rows) else rows.T @ rows
        squares = float((small**2).sum())
        return float(np.trace(small)) ** 2 / squares if squares > 0 else 0.0

    @cached_property
    def ties(self) -> float:
        """Share of rows that equal another row exactly."""
        whole = np.ascontiguousarray(self.t + 0.0)  # −0.0 and 0.0 are the same value
        _, counts = np.unique(
            np.fromiter((hash(row.tobytes()) for row in whole), np.int64, self.n),
            return_counts=True,
        )
        return float(counts[counts > 1].sum() / self.n)

    @cached_property
    def tail(self) -> float:
        """Largest deviation from the median over the 99.5 % quantile of deviations.

        About 2 for a Gaussian; exact repeats of the median, as ReLU makes, do not count.
        """
        deviation = self._deviation[self._deviation > 0]
        return float(deviation.max() / np.quantile(deviation, 0.995)) if len(deviation) else 0.0

    def has_tail(self, limit: float) -> bool:
        """Whether :attr:`tail` is above a limit; counting is quicker than the quantile."""
        far = np.count_nonzero(self._deviation > self._deviation.max(initial=0.0) / limit)
        return bool(far <= 0.005 * np.count_nonzero(self._deviation) + 1) and self.tail > limit

    @cached_property
    def _deviation(self) -> FloatArray:
        """|t − median of its unit|, the median of about a thousand rows."""
        return np.abs(self.t - np.median(self.t[:: -(-self.n // _MEDIAN_ROWS)], axis=0))

    @cached_property
    def spread(self) -> float:
        """Root mean square distance between two rows, √(2 Σ var)."""
        return float(np.sqrt(2.0 * self.t.var(axis=0).sum()))


@dataclass(frozen=True, slots=True)
class Target:
    """The variable asked about: its entropy in nats and its symbols, None when continuous."""

    name: str
    entropy: float | None = None
    symbols: int | None = None
    smallest: int | None = None

    @classmethod
    def of(cls, name: str, codes: IntArray | None) -> Target:
        """Describe a discrete variable by its codes, or a continuous one by None."""
        if codes is None:
            return cls(name)
        counts = np.bincount(codes)
        counts = counts[counts > 0]
        return cls(name, entropy_of_counts(counts), len(counts), int(counts.min()))


@dataclass(frozen=True)
class Context:
    """All that the checks know beside the estimate, its card and its null.

    ``peers`` are the values in nats of other estimators for the same layer, step and target whose
    own checks found nothing wrong.
    """

    portrait: Portrait
    target: Target = field(default_factory=lambda: Target(""))
    peers: dict[str, float] = field(default_factory=dict)


class Variables:
    """The targets of one probe set, each in the form that an estimator takes.

    X goes as codes of its distinct rows to estimators of a discrete first variable, as floats
    (n, d) to the others; Y goes as codes when it is a class, as floats when it is a regression
    target.
    """

    def __init__(self, probe: ProbeData) -> None:
        self.probe = probe

    @cached_property
    def x_codes(self) -> IntArray:
        """Codes of the distinct inputs, (n,)."""
        return symbols(np.asarray(self.probe.x).reshape(len(self.probe.x), -1), name="x")

    @cached_property
    def x_floats(self) -> FloatArray:
        """Inputs as floats, (n, d)."""
        return np.asarray(self.probe.x, dtype=np.float64).reshape(len(self.probe.x), -1)

    @cached_property
    def y_codes(self) -> IntArray | None:
        """Codes of the classes, (n,); None without labels or for a regression target."""
        if self.probe.y is None or self.probe.target != "class":
            return None
        return symbols(self.probe.y, name="y")

    @cached_property
    def labels(self) -> NDArray[Any]:
        """Labels for estimators that know of classes, (n,): integers stay the numbers they are.

        A class that the probe set lacks so leaves the columns of the logits where they were.
        """
        y = np.asarray(self.probe.y)
        if self.y_codes is not None and y.dtype.kind in "iu" and y.ndim == 1:
            return y
        return self.values("Y", continuous=False)

    @cached_property
    def x(self) -> Target:
        """Facts about X."""
        return Target.of("X", self.x_codes)

    @cached_property
    def y(self) -> Target:
        """Facts about Y."""
        return Target.of("Y", self.y_codes)

    def values(self, target: str, *, continuous: bool, layer: Any = None) -> NDArray[Any]:
        """Return the target as an array: ``layer()`` loads it when the target is a layer."""
        if target == "X":
            return self.x_floats if continuous else self.x_codes
        if target == "Y" and self.y_codes is not None:
            return self.y_codes
        if target == "Y":
            return np.asarray(self.probe.y, dtype=np.float64).reshape(len(self.probe.x), -1)
        loaded: NDArray[Any] = layer()
        return loaded
