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
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from infoplane.estimators import on_device
from infoplane.estimators.backend import exp
from infoplane.estimators.compiled import sweeps
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
MANY = 2048  # rows from which compiled loops are worth importing numba
SLAB = 256  # rows of one product of matrices: all columns from the diagonal on


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
    keep : bool
        Whether a kernel keeps the squared distances that it was made of, for another one.
    """

    def __init__(self, t: FloatArray, dtype: DTypeLike = np.float64, *, keep: bool = True) -> None:
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
        self._keep = keep and self.n**2 * self.points.itemsize <= HELD

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
        rate = min(rate, float(np.finfo(self.points.dtype).max))
        here = slice(None) if among is None else among
        with np.errstate(over="ignore", under="ignore"):
            if on_device.chosen() is None and (among is not None or not self._ready):
                kernel = self._symmetric(self.points[here], self.norms[here], rate)
            else:
                kernel = np.array(self.squared(among, among), order="C")
                self._decay(kernel, slice(0, len(kernel)), 0, rate)
        np.fill_diagonal(kernel, 1.0)
        return kernel

    @property
    def _ready(self) -> bool:
        """Whether a kernel of all rows is made of distances that are kept."""
        return self._held is not None or self._keep

    def _decay(self, matrix: NDArray[Any], rows: slice, left: int, rate: float) -> None:
        """Replace squared distances of some rows, from column ``left`` on, by their kernel."""
        if self._loops is None:
            for part in _parts(matrix[rows, left:]):
                part[:] = exp(part * -part.dtype.type(rate), matrix.size)
            return
        ends = rows.start, rows.stop
        if matrix.dtype == np.float32:
            self._loops.decay_single(matrix, ends, left, np.float32(rate))
        else:
            self._loops.decay(matrix, ends, left, rate)

    def nearest(self, k: int) -> tuple[FloatArray, IntArray]:
        """Distances (n, k), ascending and in the layer's unit, and indices of the k nearest others.

        Candidates come from the blocked product; where they are near duplicates their distances are
        taken anew from the differences themselves, which keep their digits.
        """
        distances = np.empty((self.n, k))
        indices = np.empty((self.n, k), dtype=np.int64)
        for rows, squared in self.blocks():
            near, found = self._smallest(squared, rows.start, k)
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
        if same:
            return self._symmetric(here, self.norms[rows])
        if same:
            return self._symmetric(here, self.norms[rows])
        matrix: NDArray[Any] = here @ there.T
        self._square(matrix, slice(0, len(here)), 0, self.norms[rows], self.norms[columns])
        return matrix

    def _symmetric(
        self, points: NDArray[Any], norms: NDArray[Any], rate: float | None = None
    ) -> NDArray[Any]:
        """Squared distances among rows (m, d), or under a rate their kernel; half is a copy."""
        n = len(points)
        matrix = np.empty((n, n), points.dtype)
        for start in range(0, n, SLAB):
            rows = slice(start, min(start + SLAB, n))
            np.matmul(points[rows], points[start:].T, out=matrix[rows, start:])
            self._square(matrix, rows, start, norms[rows], norms[start:])
            if rate is not None:
                self._decay(matrix, rows, start, rate)
            self._mirror(matrix, rows)
        np.fill_diagonal(matrix, 0.0 if rate is None else 1.0)
        return matrix

    def _square(
        self,
        matrix: NDArray[Any],
        rows: slice,
        left: int,
        norms: NDArray[Any],
        others: NDArray[Any],
    ) -> None:
        """Turn products of rows, from column ``left`` on, into squared distances."""
        if self._loops is not None:
            self._loops.squared(matrix, (rows.start, rows.stop), left, norms, others)
            return
        own = norms[:, None]
        for part in _parts(matrix[rows, left:]):
            part *= -2.0
            part += own[: len(part)]
            part += others
            np.maximum(part, 0.0, out=part)
            own = own[len(part) :]

    def _mirror(self, matrix: NDArray[Any], rows: slice) -> None:
        """Copy rows, from the diagonal on, into the columns below it."""
        if self._loops is not None:
            self._loops.mirror(matrix, (rows.start, rows.stop))
            return
        corner = matrix[rows, rows]
        corner[:] = np.triu(corner) + np.triu(corner, 1).T
        matrix[rows.stop :, rows] = matrix[rows, rows.stop :].T

    def _smallest(self, block: NDArray[Any], first: int, k: int) -> tuple[IntArray, NDArray[Any]]:
        """Columns and values (rows, k) of the k smallest of each row but itself."""
        if self._loops is None:
            return _smallest(block, first, k)
        values = np.empty((len(block), k), block.dtype)
        columns = np.empty(values.shape, np.int64)
        self._loops.nearest(block, first, values, columns)
        return columns, values

    @property
    def _loops(self) -> ModuleType | None:
        return sweeps("spectra") if self.n >= MANY else None

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


def _parts(matrix: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Rows of a matrix, as many at once as fill one block."""
    step = max(1, BLOCK // (matrix.shape[1] * matrix.itemsize or 1))
    return (matrix[start : start + step] for start in range(0, len(matrix), step))


def pairwise(
    t: FloatArray, shared: Shared | None = None, dtype: DTypeLike = np.float64
) -> Distances:
    """Return the distances of T, from ``shared`` when another estimator has asked before."""
    key, keep = ("distances", np.dtype(dtype).name), shared is not None
    return recall(shared, key, lambda: Distances(t, dtype, keep=keep))


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
    largest = max(float(array.max(initial=0.0)), -float(array.min(initial=0.0)))
    if largest == 0.0:
        return 1.0
    return float(2.0 ** min(max(math.frexp(largest)[1], -1021), 1023))
