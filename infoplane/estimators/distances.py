"""One pass over the pairwise distances of a layer: centred, clipped at 0, blocked, shared.

Everything that looks at a layer through ‖t_i − t_j‖ (diffusion entropy, Rényi kernels, KDE, nearest
neighbours, local dimension) takes it from here, so that asked together they pay for one product of
matrices. Below :data:`HELD` bytes the squared distances are kept; above, they are recomputed in
blocks and no (n, n) array exists.

>>> import numpy as np
>>> pairs = pairwise(np.array([[0.0], [3.0], [4.0]]))
>>> np.sqrt(pairs.squared()) * pairs.scale
array([[0., 3., 4.],
       [3., 0., 1.],
       [4., 1., 0.]])
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from infoplane.estimators import on_device
from infoplane.estimators.backend import exp
from infoplane.estimators.shared import Shared, recall
from infoplane.types import Flags, FloatArray, IntArray, Status

HELD = 1 << 27  # bytes up to which the (n, n) matrix of squared distances is kept
BLOCK = 1 << 24  # bytes of one block of rows
LARGEST = float(np.finfo(np.float64).max)
DOUBT = 1e-3  # of ‖t_i‖²: a squared distance below it has lost digits in the product
TOGETHER = 20  # neighbours looked up at once, so that estimators with smaller k share one search
ENDS = {"sigma_low", "sigma_high", "rounding"}  # flags of a width that says little
_SOME = 8  # of so many columns one bounds the distance of the k-th neighbour
_MANY = 200  # columns to a neighbour from which that pays
MEDIAN_ROWS = 2048  # rows that enter the median distance


class Distances:
    """Squared Euclidean distances between the rows of T (n, d).

    The rows are centred (uncentred products lose the digits of a far-away cloud) and divided by a
    power of two, :attr:`scale`, so that neither 1e200 nor 1e-200 overflows: distances in the
    layer's own unit are ``sqrt(squared) * scale``.

    Parameters
    ----------
    t : ndarray, (n, d)
        Finite representation.
    dtype : dtype
        float64, or float32 for half the time and memory at about 1e-6 relative accuracy.
    """

    def __init__(self, t: FloatArray, dtype: DTypeLike = np.float64) -> None:
        first = _power_of_two(t)
        points = t / first
        points -= points.mean(axis=0)
        second = _power_of_two(points)
        points /= second
        self.points: NDArray[Any] = np.ascontiguousarray(points, dtype=dtype)
        self.norms: NDArray[Any] = np.einsum("ij,ij->i", self.points, self.points)
        # distances of a cloud as wide as the largest double have no finite unit: the nearest one
        self.scale = min(first * second, LARGEST / 4)
        self._held: NDArray[Any] | None = None

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.points)

    @property
    def d(self) -> int:
        """Number of columns."""
        return int(self.points.shape[1])

    def squared(
        self, rows: slice | IntArray | None = None, columns: slice | IntArray | None = None
    ) -> NDArray[Any]:
        """Squared distances of some rows to some columns (all by default), in units of scale².

        The result is read-only when it is the held matrix; copy it before changing it.
        """
        here = slice(None) if rows is None else rows
        there = slice(None) if columns is None else columns
        if isinstance(here, np.ndarray) and isinstance(there, np.ndarray):
            return self._product(here, there)  # sooner than looked up all over a large matrix
        if self._held is None and self.n**2 * self.points.itemsize <= HELD:
            self._held = self._product(slice(None), slice(None))
            self._held.flags.writeable = False
        if self._held is None:
            return self._product(here, there)
        return self._held[here][:, there]

    def blocks(self) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yield (rows, squared distances of these rows to all), in blocks of about 16 MiB."""
        step = max(1, BLOCK // (self.n * self.points.itemsize))
        for start in range(0, self.n, step):
            rows = slice(start, min(start + step, self.n))
            yield rows, self.squared(rows)

    def gaussian(self, sigma: float, among: IntArray | None = None) -> NDArray[Any]:
        """Gram matrix exp(−‖t_i − t_j‖² / 2σ²) of all rows, or of the rows ``among``; a new array.

        ``sigma`` is in the layer's own unit.
        """
        rate = 0.5 * min(self.scale / sigma, 1e150) ** 2
        if among is None and self._held is None and self.n**2 * self.points.itemsize > HELD:
            kernel = self._product(slice(None), slice(None))
        else:
            kernel = self.squared(among, among)
            kernel = kernel if kernel.flags.writeable else kernel.copy()
        tiny = np.finfo(kernel.dtype)
        step = max(1, BLOCK // (kernel.shape[1] * kernel.itemsize or 1))
        with np.errstate(over="ignore", under="ignore"):
            for start in range(0, len(kernel), step):
                block = kernel[start : start + step]
                np.multiply(block, -min(rate, float(tiny.max)), out=block)
                exp(block, kernel.size)
        np.fill_diagonal(kernel, 1.0)
        return kernel

    def nearest(self, k: int) -> tuple[FloatArray, IntArray]:
        """Distances (n, k), ascending and in the layer's unit, and indices of the k nearest others.

        Candidates come from the blocked product; where they are near duplicates their distances are
        taken anew from the differences themselves, which keep their digits.
        """
        distances = np.empty((self.n, k))
        indices = np.empty((self.n, k), dtype=np.int64)
        for rows, squared in self.blocks():
            near, found = _smallest(squared, rows.start, k)
            doubtful = found.min(axis=1) < DOUBT * self.norms[rows]
            exact = np.sqrt(found)
            exact[doubtful] = self._exact(rows.start + np.flatnonzero(doubtful), near[doubtful])
            order = np.argsort(exact, axis=1, kind="stable")
            distances[rows] = np.take_along_axis(exact, order, axis=1)
            indices[rows] = np.take_along_axis(near, order, axis=1)
        return distances * self.scale, indices

    def median(self, rng: np.random.Generator) -> float:
        """Median distance between two rows, in the layer's unit.

        Above 2,048 rows it is the median among a random 2,048 of them. When more than half of the
        pairs coincide it is the median of those that do not; 0 when all rows are equal.
        """
        among: IntArray | None = None
        if self.n > MEDIAN_ROWS:
            among = np.sort(rng.choice(self.n, MEDIAN_ROWS, replace=False))
        squared = self.squared(among, among)
        pairs = squared[np.triu_indices(len(squared), 1)]
        if np.median(pairs) == 0 and pairs.any():
            pairs = pairs[pairs > 0]
        return float(np.median(np.sqrt(pairs))) * self.scale

    def width(self, sigma: float | str, rng: np.random.Generator) -> float:
        """Return a kernel width in the layer's unit: the number given, or what a rule says.

        ``"median"`` is the median distance, ``"sqrt_d"`` is √d, and ``"scott"`` is
        √(total variance) · n^{−1/(4+d)} with d the columns that vary: √d n^{−1/(4+d)} for
        standardised columns, without changing any distance.
        """
        if sigma == "median":
            return min(self.median(rng), LARGEST) or 1.0
        if sigma == "sqrt_d":
            return math.sqrt(self.d)
        if sigma == "scott":
            alive = int((np.ptp(self.points, axis=0) > 0).sum())
            spread = self.scale * math.sqrt(float(self.norms.mean()))
            return min(spread * self.n ** (-1.0 / (4 + alive)), LARGEST) or 1.0
        return float(sigma)

    def at_an_end(self, sigma: float) -> Flags:
        """Flag a width under which every row is alone, all rows are one, or digits are lost.

        ``rounding``: next to a far outlier the distances of the others, at the scale of this width,
        are below the resolution of the floating point numbers.
        """
        some = np.arange(0, self.n, max(1, self.n // 256))
        kernel = self.gaussian(sigma, some)
        others = max(1, len(some) * (len(some) - 1))
        typical = (float(kernel.sum()) - len(some)) / others
        if typical * self.n < 0.01:
            return Flags(["sigma_low"])
        error = np.finfo(self.norms.dtype).eps * float(self.norms.max())
        if error * min(self.scale / sigma, 1e150) ** 2 > 1e-3:
            return Flags(["rounding"])
        return Flags(["sigma_high"] if typical > 0.99 else [])

    def _product(self, rows: slice | IntArray, columns: slice | IntArray) -> NDArray[Any]:
        same = rows is columns or (isinstance(rows, slice) and rows == columns)
        here = self.points[rows]
        there = here if same else self.points[columns]
        if on_device.chosen() is not None:
            return on_device.squared(here, there)
        squared: NDArray[Any] = here @ there.T
        step = max(1, BLOCK // (squared.shape[1] * squared.itemsize or 1))
        norms, others = self.norms[rows], self.norms[columns]
        for start in range(0, len(squared), step):
            block = squared[start : start + step]
            block *= -2.0
            block += norms[start : start + step, None]
            block += others
            np.maximum(block, 0.0, out=block)
        if same:
            np.fill_diagonal(squared, 0.0)
        return squared

    def _exact(self, rows: IntArray, near: IntArray) -> FloatArray:
        points = self.points
        result = np.empty(near.shape)
        step = max(1, BLOCK // (near.shape[1] * points.shape[1] * 8))
        for start in range(0, len(near), step):
            part = near[start : start + step]
            here = points[rows[start : start + step], None]
            result[start : start + step] = np.linalg.norm(points[part] - here, axis=2)
        return result


def _smallest(block: NDArray[Any], first: int, k: int) -> tuple[IntArray, NDArray[Any]]:
    """Columns and values (rows, k) of the k smallest of each row but itself, in any order.

    Row i is column ``first + i``. Of many columns every eighth bounds the k-th value, and few are
    below the bound: it takes half as long as to partition them all.
    """
    rows, n = block.shape
    if n < _MANY * (k + 1):
        block = np.array(block)
        block[np.arange(rows), np.arange(first, first + rows)] = np.inf
        near = np.argpartition(block, k - 1, axis=1)[:, :k]
        return near, np.take_along_axis(block, near, axis=1)
    bound = np.partition(block[:, ::_SOME], k, axis=1)[:, k, None]
    i, j = np.divmod(np.flatnonzero(block <= bound), n)
    other = j != i + first
    i, j = i[other], j[other]
    counts = np.bincount(i, minlength=rows)
    place = np.arange(len(i)) - np.repeat(np.cumsum(counts) - counts, counts)
    values = np.full((rows, int(counts.max())), np.inf, dtype=block.dtype)
    columns = np.zeros(values.shape, dtype=np.int64)
    values[i, place], columns[i, place] = block[i, j], j
    near = np.argpartition(values, k - 1, axis=1)[:, :k]
    return np.take_along_axis(columns, near, axis=1), np.take_along_axis(values, near, axis=1)


def pairwise(
    t: FloatArray, shared: Shared | None = None, dtype: DTypeLike = np.float64
) -> Distances:
    """Return the distances of T, from ``shared`` when another estimator has asked before."""
    return recall(shared, ("distances", np.dtype(dtype).name), lambda: Distances(t, dtype))


def nearest(t: FloatArray, k: int, shared: Shared | None = None) -> tuple[FloatArray, IntArray]:
    """Return distances (n, k) and indices (n, k) of the k nearest other rows; see Distances."""
    distances, indices = recall(
        shared,
        ("nearest", max(k, 20)),
        lambda: pairwise(t, shared).nearest(min(max(k, 20), len(t) - 1)),
    )
    return distances[:, :k], indices[:, :k]


def standing(flags: Iterable[str], *, trivial: bool) -> Status:
    """Return how an estimate with a kernel stands: unreliable when its width is at an end."""
    if trivial:
        return Status.DEGENERATE
    return Status.UNRELIABLE if ENDS & set(flags) else Status.OK


def _power_of_two(array: NDArray[Any]) -> float:
    largest = float(np.abs(array).max(initial=0.0))
    if largest == 0.0:
        return 1.0
    return float(2.0 ** min(max(math.frexp(largest)[1], -1021), 1023))
