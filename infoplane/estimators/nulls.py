"""The null: the same estimate with the pairing of V and T shuffled.

Shuffling keeps both marginals and breaks every dependence, so what is left is what the estimator
reports when there is nothing to report.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infoplane.errors import InputError
from infoplane.estimators.contract import Rng, generator, plain, same_length
from infoplane.estimators.registry import card
from infoplane.estimators.shared import Shared
from infoplane.types import FloatArray, IntArray, Null

_TIE = 1e-12  # relative: a null value this close to the estimate counts as reaching it


class Shuffles:
    """Random pairings of integer codes, for nulls from sums of kernels over the own class.

    Parameters
    ----------
    codes : ndarray, (n,)
        Codes 0 … C−1 of V.
    draws : int
        Pairings.
    rng : Generator

    Attributes
    ----------
    labels : ndarray, (draws, n)
        The codes, shuffled.
    sizes : ndarray, (C,)
        Samples of each code.
    """

    def __init__(self, codes: IntArray, draws: int, rng: np.random.Generator) -> None:
        self.sizes = np.bincount(codes)
        self.labels = rng.permuted(np.tile(codes, (draws, 1)), axis=1)

    def parts(self, columns: int) -> Iterator[tuple[slice, FloatArray]]:
        """Yield (some draws, weights (n, 1 + draws · (C − 1))), about ``columns`` wide at most.

        The first weights are all 1, the others tell the members of every class but the last of
        every draw: a kernel times the weights sums it over all rows and over each of these classes.
        """
        draws, n = self.labels.shape
        told = len(self.sizes) - 1
        together = max(1, columns // max(told, 1))
        for first in range(0, draws, together):
            some = slice(first, min(first + together, draws))
            members = self.labels[some].T[:, :, None] == np.arange(told)
            yield some, np.hstack([np.ones((n, 1)), members.reshape(n, -1)])

    def means(self, some: slice, sums: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean kernel over all rows (n,) and over the own class (draws, n), from these sums."""
        labels, everyone = self.labels[some], sums[:, 0]
        told = range(len(self.sizes) - 1)
        each = np.ascontiguousarray(sums[:, 1:].T).reshape(len(labels), len(told), -1)
        own = np.repeat(everyone[None], len(labels), axis=0)
        for code in told:  # what no other class has is the last one's
            own -= each[:, code]
        for code in told:
            np.copyto(own, each[:, code], where=labels == code)
        own /= self.sizes.take(labels)
        return everyone / len(everyone), own


def null_distribution(
    name: str,
    v: Any,
    t: Any,
    *,
    draws: int = 20,
    rng: Rng = None,
    shared: Shared | None = None,
    **params: Any,
) -> FloatArray:
    """Estimates with the rows of V permuted against T, in the card's unit, shape (draws,).

    Uses the estimator's own fast null when its card has one, else calls it once a draw.

    Parameters
    ----------
    name : str
        Estimator id.
    v, t : array_like
        As the estimator takes them, samples on axis 0.
    draws : int
        Random pairings, at least 1.
    rng
        Generator or seed.
    shared
        Intermediates of this T.
    **params
        Parameters of the estimator.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError, UnknownEstimatorError
    """
    if isinstance(draws, bool) or not isinstance(draws, (int, np.integer)) or draws < 1:
        raise InputError(f"`draws` of a null must be an int ≥ 1; got {draws!r}.")
    chosen, private = card(name), generator(rng)
    if chosen.null is not None:
        values = chosen.null(v, t, draws=int(draws), rng=private, shared=shared, **params)
        return np.asarray(values, dtype=np.float64)
    return _one_by_one(name, v, t, int(draws), private, shared, params)


def _one_by_one(
    name: str,
    v: Any,
    t: Any,
    draws: int,
    rng: np.random.Generator,
    shared: Shared | None,
    params: dict[str, Any],
) -> FloatArray:
    function = card(name).function
    assert function is not None
    rows: NDArray[Any] = plain(v, name="v")
    same_length(rows, plain(t, name="t"))
    values = [
        function(rows[rng.permutation(len(rows))], t, rng=rng, shared=shared, **params).value
        for _ in range(draws)
    ]
    return np.array(values)


def summarise(values: Sequence[float] | FloatArray, estimate: float) -> Null:
    """Sum up a null distribution and place the estimate in it.

    p = (1 + #{null ≥ estimate}) / (1 + draws), one-sided; equal up to rounding counts as reached.
    """
    null = np.asarray(values, dtype=np.float64)
    if null.ndim != 1 or not len(null) or not np.isfinite(null).all():
        raise InputError(f"a null must be a vector of finite values; got shape {null.shape}.")
    reached = int((null >= estimate - _TIE * max(1.0, abs(estimate))).sum())
    q05, q50, q95 = (float(q) for q in np.quantile(null, [0.05, 0.5, 0.95]))
    return Null(
        mean=float(null.mean()),
        sd=float(null.std(ddof=1)) if len(null) > 1 else 0.0,
        q05=q05,
        q50=q50,
        q95=q95,
        draws=len(null),
        p=(1 + reached) / (1 + len(null)),
    )
