"""The null: the same estimate with the pairing of V and T shuffled.

Shuffling keeps both marginals and breaks every dependence, so what is left is what the estimator
reports when there is nothing to report.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from infoplane.errors import InputError
from infoplane.estimators.contract import Rng, generator, plain, same_length
from infoplane.estimators.registry import card
from infoplane.estimators.shared import Shared
from infoplane.types import FloatArray, IntArray, Null

_TIE = 1e-12  # relative: a null value this close to the estimate counts as reaching it


class Shuffles:
    """Random pairings of integer codes, with kernel means over the own class of every row.

    Parameters
    ----------
    codes : ndarray, (n,)
        Codes 0 … C−1 of V.
    draws : int
        Pairings.
    rng : Generator
    """

    def __init__(self, codes: IntArray, draws: int, rng: np.random.Generator) -> None:
        n, sizes = len(codes), np.bincount(codes)
        labels = rng.permuted(np.tile(codes, (draws, 1)), axis=1)
        self.groups = labels + len(sizes) * np.arange(draws)[:, None]
        self.sizes = sizes[labels]
        everyone = np.tile(np.arange(n), draws)
        shape = (draws * len(sizes), n)
        self._members = csr_array((np.ones(draws * n), (self.groups.ravel(), everyone)), shape)

    @property
    def rows_of_table(self) -> int:
        """Groups of all draws: what one column of a kernel is summed into."""
        return int(self._members.shape[0])

    def own_means(self, kernel: FloatArray, block: slice) -> FloatArray:
        """Mean of kernel (n, b) over the rows that share the column's class, shape (draws, b).

        Column k belongs to row ``block.start`` + k.
        """
        sums = self._members @ kernel
        own = sums[self.groups[:, block], np.arange(kernel.shape[1])]
        return np.asarray(own / self.sizes[:, block])


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
