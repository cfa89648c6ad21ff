"""Self-consistency of an estimator of information: what must hold whatever the true value is.

Song and Ermon's tests, for any estimator of the catalogue and any images (n, rows, columns). Y_r is
the image with the rows from r on cut away:

    independence     Î(X; Y') = 0 for Y' of other images
    baseline         Î(X; Y_r) / Î(X; Y) rises from 0 to 1 with r
    data processing  Î([X, X]; [Y_r, Y_{r−k}]) = Î(X; Y_r): a part of Y_r adds nothing to it
    additivity       Î([X₁, X₂]; [Y₁, Y₂]) = 2 Î(X; Y) for two independent images

An estimator that fails them here is not to be believed about layers of this size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from infoplane.errors import InputError
from infoplane.estimators.contract import Rng, enough, generator, plain, samples
from infoplane.estimators.registry import card, check_params
from infoplane.types import FloatArray, Kind, Quantity


@dataclass(frozen=True, slots=True)
class Consistency:
    """How an estimator came out.

    Attributes
    ----------
    estimator : str
    whole : float
        Î(X; Y) in nats, which the ratios refer to.
    independence : float
        Î(X; Y') / Î(X; Y): 0 in truth.
    baseline : tuple of (int, float)
        (r, Î(X; Y_r) / Î(X; Y)): rising from 0 to 1.
    processing : float
        1 in truth.
    additivity : float
        2 in truth.
    """

    estimator: str
    whole: float
    independence: float
    baseline: tuple[tuple[int, float], ...]
    processing: float
    additivity: float

    def misses(self) -> dict[str, float]:
        """By how much each test is missed, relative to what it should be; all 0 in truth."""
        ratios = np.array([ratio for _, ratio in self.baseline])
        falls = np.maximum(0.0, -np.diff(ratios))
        return {
            "independence": abs(self.independence),
            "baseline": float(falls.max(initial=max(0.0, -ratios[0]))),
            "data processing": abs(self.processing - 1.0),
            "additivity": abs(self.additivity - 2.0) / 2.0,
        }

    def passed(self, within: float = 0.1) -> bool:
        """Whether no test is missed by more than a share ``within``."""
        return all(miss <= within for miss in self.misses().values())

    def __str__(self) -> str:
        """One line a test, for printing."""
        curve = "  ".join(f"{rows}: {ratio:.2f}" for rows, ratio in self.baseline)
        lines = [
            f"{self.estimator}: {self.whole:.3f} nats of the whole image",
            f"  independence     {self.independence:6.3f}  (0)",
            f"  baseline         {curve}  (rising to 1)",
            f"  data processing  {self.processing:6.3f}  (1)",
            f"  additivity       {self.additivity:6.3f}  (2)",
        ]
        return "\n".join(lines)


def gaussian_rows(
    n: int = 1000, rows: int = 4, columns: int = 1, noise: float = 1.0, rng: Rng = None
) -> tuple[FloatArray, FloatArray, float]:
    """Images X of independent normal pixels, Y = X + noise, and their information in nats.

    Every row carries the same information, so that the baseline is the straight line r / rows.
    """
    random = generator(rng)
    x = random.standard_normal((n, rows, columns))
    y = x + noise * random.standard_normal(x.shape)
    return x, y, 0.5 * rows * columns * float(np.log1p(noise**-2.0))


def self_consistency(
    name: str,
    x: Any = None,
    y: Any = None,
    *,
    drop: int = 1,
    params: Mapping[str, Any] | None = None,
    rng: Rng = None,
) -> Consistency:
    """Put an estimator of information to the tests of self-consistency.

    Parameters
    ----------
    name : str
        Id of an estimator of I(V;T) for continuous V and T.
    x : array, (n, rows, columns), optional
        Images; independent Gaussian rows when none are given (:func:`gaussian_rows`).
    y : array of the same shape, optional
        A noisy copy; ``x`` itself when not given, as published: the information is then infinite
        and only the ratios mean something.
    drop : int
        k, by how many rows the second part of the data-processing test is shorter.
    params : mapping, optional
        Parameters of the estimator.
    rng : Generator or seed
        For the pairing of independent images, and for the estimator.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError

    Examples
    --------
    >>> found = self_consistency("mi.gaussian")
    >>> found.passed()
    True
    """
    entry, settings = card(name), check_params(name, params or {})
    if entry.quantity is not Quantity.MI or (Kind.CONTINUOUS, Kind.CONTINUOUS) not in entry.accepts:
        raise InputError(
            f"`{name}` is no estimator of I(V;T) of two continuous variables; its consistency "
            "cannot be tested on images."
        )
    random = generator(rng)
    first, second = _images(x, y, random)
    n, rows, _ = first.shape
    if not 1 <= drop < rows:
        raise InputError(f"`drop` must be in [1, {rows - 1}], below the rows; got {drop}.")

    def information(v: Sequence[FloatArray], t: Sequence[FloatArray]) -> float:
        flat = [np.hstack([part.reshape(len(part), -1) for part in side]) for side in (v, t)]
        assert entry.function is not None
        return entry.function(*flat, **settings, rng=int(random.integers(2**31))).value

    whole = information([first], [second])
    if whole <= 0:
        raise InputError(
            f"`{name}` finds nothing ({whole:.3g} nats) between the images and their copies, so "
            "that no ratio can be formed. Use more samples, or fewer pixels."
        )
    kept = sorted({round(share * rows) for share in (0.25, 0.5, 0.75, 1.0)} - {0})
    curve = {r: information([first], [second[:, :r]]) for r in kept if r < rows} | {rows: whole}
    middle = max(drop + 1, rows // 2)
    part = curve[middle] if middle in curve else information([first], [second[:, :middle]])
    twice = [second[:, :middle], second[:, : middle - drop]]
    half, order = n // 2, random.permutation(n)
    one, other = order[:half], order[half : 2 * half]
    return Consistency(
        name,
        whole,
        independence=information([first], [second[np.roll(order, 1)][np.argsort(order)]]) / whole,
        baseline=tuple((r, value / whole) for r, value in curve.items()),
        processing=information([first, first], twice) / part if part > 0 else 0.0,
        additivity=information([first[one], first[other]], [second[one], second[other]])
        / information([first[one]], [second[one]]),
    )


def _images(x: Any, y: Any, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    if x is None and y is not None:
        raise InputError("`y` needs `x`, the images that it belongs to; got `y` alone.")
    if x is None:
        return gaussian_rows(rng=rng)[:2]
    shape = plain(x, name="x").shape
    if len(shape) != 3 or shape[1] < 2:
        raise InputError(
            f"`x` must be images (n, rows, columns) of at least two rows; got shape {shape}."
        )
    enough(shape[0], 64, name="x")
    first = samples(plain(x, name="x").reshape(shape[0], -1), name="x").reshape(shape)
    if y is None:
        return first, first
    if plain(y, name="y").shape != shape:
        raise InputError(
            f"`y` must have the shape of `x`, {shape}; got {plain(y, name='y').shape}."
        )
    return first, samples(plain(y, name="y").reshape(shape[0], -1), name="y").reshape(shape)
