"""Feature complexity by iterative feature merging (IFM): how many channels a layer really has.

From the weights alone: the two closest channels are merged while their squared distance is at most
β times the largest one; what is left is the number of features. A channel is its row in the weights
that produce it and, when given, its column in those that consume it; merging adds the former and
averages the latter by count, which keeps the function of a ReLU layer exactly when the two are
duplicates. Chen et al., Iterative Feature Merging (2024).
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from infoplane.errors import InputError, RefusedError
from infoplane.estimators.call import column_flags
from infoplane.estimators.contract import Rng, conclude, samples
from infoplane.estimators.registry import Bounds, check_params, estimator
from infoplane.estimators.shared import Shared
from infoplane.types import Cost, Estimate, FloatArray, IntArray, Kind, Quantity, Status

NAME = "complexity.merging"
LIMIT = 8192  # channels whose distances fit in 0.5 GiB


class _Channels:
    """Channels under merging, with the extremes of each row of their distances kept up to date."""

    def __init__(self, produced: FloatArray, consumed: FloatArray) -> None:
        self.produced, self.consumed = produced.copy(), consumed.copy()
        self.counts = np.ones(len(produced))
        self.alive = np.ones(len(produced), dtype=bool)
        self.squared = np.stack([self._to_all(i) for i in range(len(produced))])
        self.nearest = np.zeros(len(produced), dtype=np.int64)
        self.least = np.full(len(produced), np.inf)
        self.farthest = np.zeros(len(produced), dtype=np.int64)
        self.most = np.full(len(produced), -np.inf)
        self._rescan(np.arange(len(produced)))

    def _to_all(self, i: int) -> FloatArray:
        squares = np.square(self.produced - self.produced[i]).sum(axis=1)
        return np.asarray(squares + np.square(self.consumed - self.consumed[i]).sum(axis=1))

    def _rescan(self, rows: IntArray) -> None:
        if len(rows) == 0:
            return
        open_pairs = self.alive[None, :] & (rows[:, None] != np.arange(len(self.alive)))
        block = self.squared[rows]
        low = np.where(open_pairs, block, np.inf)
        high = np.where(open_pairs, block, -np.inf)
        self.nearest[rows], self.farthest[rows] = low.argmin(axis=1), high.argmax(axis=1)
        self.least[rows], self.most[rows] = low.min(axis=1), high.max(axis=1)

    def merge(self, i: int, j: int) -> None:
        """Merge channel j into i."""
        both = self.counts[i] + self.counts[j]
        self.produced[i] += self.produced[j]
        self.consumed[i] = (
            self.counts[i] * self.consumed[i] + self.counts[j] * self.consumed[j]
        ) / both
        self.counts[i] = both
        self.alive[j] = False
        self.least[j], self.most[j] = np.inf, -np.inf
        self.squared[i] = self.squared[:, i] = self._to_all(i)
        column = self.squared[:, i]
        lost = np.isin(self.nearest, (i, j)) | np.isin(self.farthest, (i, j))
        lost[i] = True
        self._rescan(np.flatnonzero(lost & self.alive))
        kept = self.alive & ~lost
        closer, further = kept & (column < self.least), kept & (column > self.most)
        self.nearest[closer], self.least[closer] = i, column[closer]
        self.farthest[further], self.most[further] = i, column[further]

    def run(self, beta: float) -> int:
        """Merge while the closest pair is within β of the farthest; return the channels left."""
        left = len(self.alive)
        while left > 1:
            i = int(self.least.argmin())
            if self.least[i] > beta * self.most.max():
                break
            self.merge(i, int(self.nearest[i]))
            left -= 1
        return left


@estimator(
    id=NAME,
    label="Feature complexity (IFM)",
    quantity=Quantity.COMPLEXITY,
    measures="channels left when near-duplicates are merged, from the weights alone",
    formula="merge the closest pair while D_min ≤ β D_max, D squared distances of channels",
    accepts=(Kind.CONTINUOUS,),
    cost=Cost.STANDARD,
    complexity="h² d",
    min_samples=1,
    ceiling="number of channels",
    assumes=("channels of near-equal weights do the same: no data enter",),
    unit="1",
    invariant=("scaling", "unit order"),
    limits=("static: no data enter", "β is a choice; watch the trend at one β"),
    tolerance={"duplicated channels": 0.0},
    bound="exact",
    meaningful_null=(),
    needs="weights",
    reference="Chen et al. 2024, Iterative Feature Merging",
)
def feature_complexity(
    t: Any,
    *,
    weight: Any = None,
    beta: Annotated[float, Bounds(0, 1)] = 0.1,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """Count the channels of a layer that are left after iterative feature merging.

    Parameters
    ----------
    t : array, (h, d_in)
        Weights that produce the channels, one row a channel; flatten a convolution's kernels.
    weight : array, (d_out, h), optional
        Weights that consume them, one column a channel.
    beta : float
        Merge pairs up to this share of the largest squared distance.
    rng, shared
        Not used: the value is exact and needs no intermediate.

    Returns
    -------
    Estimate
        ``info["sizes"]`` has how many channels each feature was merged from, largest first.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError, RefusedError

    Examples
    --------
    >>> feature_complexity([[1.0, 0.0], [1.0, 0.0], [0.0, 9.0]]).value
    2.0
    """
    params = check_params(NAME, {"beta": beta})
    rows = samples(t, minimum=1, estimator=NAME)
    count = len(rows)
    if count > LIMIT:
        raise RefusedError(f"`{NAME}` takes at most {LIMIT:,} channels; got {count:,}.")
    columns = np.zeros((count, 0))
    if weight is not None:
        columns = samples(weight, name="weight", minimum=1, estimator=NAME).T
        if len(columns) != count:
            raise InputError(
                f"`weight` of `{NAME}` must be (d_out, {count}), one column a channel; got "
                f"{columns.T.shape}."
            )
    # squared distances of the largest doubles would overflow; a common scale changes nothing
    scale = max(float(np.abs(a).max(initial=0.0)) for a in (rows, columns))
    scale = max(scale, np.finfo(np.float64).tiny)
    channels = _Channels(rows / scale, columns / scale)
    left = channels.run(beta)
    sizes = np.sort(channels.counts[channels.alive])[::-1].astype(int)
    dead = column_flags(rows) if count > 1 else ()
    return conclude(
        float(left),
        estimator=NAME,
        n=count,
        d=rows.shape[1],
        params=params,
        flags=dead,
        status=Status.DEGENERATE if "constant" in dead else Status.OK,
        info={"channels": count, "sizes": sizes.tolist()},
    )
