"""The O(n²) family on a torch device: kernel sums, distances, eigenvalues, neighbours.

>>> from infoplane.estimators import device, get
>>> with device("cpu"):  # "cuda" where there is a GPU
...     round(get("mi.kde")([0, 0, 1, 1], [[0.0], [0.0], [9.0], [9.0]]).bits, 9)
1.0

Inside the block KDE, KSG and Ross, DSE and DSMI, matrix Rényi, LID and TwoNN do their n² part
there, in blocks and without trees, and agree with the CPU to 1e-9 in float64 (exact DSE of 1,500
rows and more, whose eigenvalues are in single precision, to 5e-6); everything small stays where it
is. Values come back as the same Estimates.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from infoplane.errors import InputError
from infoplane.types import FloatArray, IntArray

if TYPE_CHECKING:
    import torch

ENTRIES = 1 << 24  # of one block of pairs: 128 MiB

_chosen: ContextVar[Any] = ContextVar("infoplane device", default=None)


@contextmanager
def device(name: str) -> Iterator[None]:
    """Do the O(n²) work of all estimators called in this block (and thread) on a torch device.

    Parameters
    ----------
    name : str
        ``"cuda"``, ``"cuda:1"``, …; ``"cpu"`` runs the same code on the CPU. The device must have
        float64.

    Raises
    ------
    InputError
        For a device that is not there or has no float64.
    """
    import torch

    try:
        place = torch.device(name)
        torch.zeros(1, dtype=torch.float64, device=place)
    except (RuntimeError, TypeError, AssertionError, NotImplementedError) as error:
        raise InputError(
            f"`device` must name a torch device with float64, such as 'cuda' or 'cpu'; got "
            f"{name!r}: {str(error).splitlines()[0]}"
        ) from None
    token = _chosen.set(place)
    try:
        yield
    finally:
        _chosen.reset(token)


def chosen() -> torch.device | None:
    """Return the device of the surrounding block, None outside of any."""
    place: torch.device | None = _chosen.get()
    return place


def _there(array: NDArray[Any]) -> torch.Tensor:
    import torch

    return torch.as_tensor(np.ascontiguousarray(array), device=chosen())


def _back(tensor: torch.Tensor) -> NDArray[Any]:
    return np.asarray(tensor.cpu().numpy())


def _blocks(n: int, columns: int) -> Iterator[slice]:
    step = max(1, ENTRIES // max(columns, 1))
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def _squared(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Squared distances from the differences themselves: no digits are lost far from zero."""
    import torch

    mode = "donot_use_mm_for_euclid_dist"
    return torch.cdist(a, b, compute_mode=mode).square_()


def _chebyshev(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.cdist(a, b, p=float("inf"))


def kernel_sums(
    t: FloatArray, codes: IntArray, powers: tuple[int, ...]
) -> tuple[FloatArray, FloatArray]:
    """Sum exp(−p ‖t_i − t_j‖²) over all j and over those with the code of i, (powers, n) each."""
    import torch

    n, points, groups = len(t), _there(t), _there(codes)
    everyone, own = torch.zeros((2, len(powers), n), dtype=points.dtype, device=points.device)
    for rows in _blocks(n, n):
        exponent = _squared(points[rows], points).neg_()
        same = groups[rows, None] == groups
        for row, power in enumerate(powers):
            kernel = torch.exp(power * exponent)
            everyone[row, rows] = kernel.sum(dim=1)
            own[row, rows] = kernel.mul_(same).sum(dim=1)
    return _back(everyone), _back(own)


def kernel_products(t: FloatArray, weights: FloatArray, power: int) -> FloatArray:
    """K W for K = exp(−power ‖t_i − t_j‖²) and weights W (n, w), shape (n, w)."""
    import torch

    points, factors = _there(t), _there(weights)
    product = torch.empty_like(factors)
    for rows in _blocks(len(t), len(t)):
        kernel = _squared(points[rows], points).mul_(-power).exp_()
        product[rows] = kernel @ factors
    return _back(product)


def squared(rows: NDArray[Any], columns: NDArray[Any]) -> NDArray[Any]:
    """Squared distances of rows (m, d) to columns (n, d), shape (m, n), in their precision."""
    there, out = _there(columns), np.empty((len(rows), len(columns)), rows.dtype)
    for some in _blocks(len(rows), len(columns)):
        out[some] = _back(_squared(_there(rows[some]), there))
    return out


def eigvalsh(matrix: NDArray[Any]) -> NDArray[Any]:
    """Eigenvalues of a symmetric matrix, ascending."""
    import torch

    return _back(torch.linalg.eigvalsh(_there(matrix)))


def kth_distance(points: FloatArray, k: int) -> FloatArray:
    """Chebyshev distance of each row to its k-th nearest other row, (n,)."""
    here, radius = _there(points), np.empty(len(points))
    for rows in _blocks(len(points), len(points)):
        radius[rows] = _back(_kth(_chebyshev(here[rows], here), k))
    return radius


def _kth(distances: torch.Tensor, k: int) -> torch.Tensor:
    return distances.topk(k + 1, dim=1, largest=False).values[:, k]  # the row itself is at 0


def closer(points: FloatArray, radius: FloatArray) -> IntArray:
    """How many other rows are strictly closer to row i than ``radius[i]``, (n,)."""
    here, reach = _there(points), _there(radius)
    counts = np.empty(len(points), dtype=np.int64)
    for rows in _blocks(len(points), len(points)):
        counts[rows] = _back((_chebyshev(here[rows], here) < reach[rows, None]).sum(dim=1))
    return np.maximum(counts - 1, 0)


def joint_counts(x: FloatArray, t: FloatArray, k: int) -> tuple[FloatArray, IntArray, IntArray]:
    """Distance to the k-th neighbour in the joint space, and how many are closer in x and in t."""
    import torch

    first, second, n = _there(x), _there(t), len(x)
    radius, n_x, n_t = np.empty(n), np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    for rows in _blocks(n, n):
        in_x, in_t = _chebyshev(first[rows], first), _chebyshev(second[rows], second)
        reach = _kth(torch.maximum(in_x, in_t), k)
        radius[rows] = _back(reach)
        n_x[rows] = _back((in_x < reach[:, None]).sum(dim=1))
        n_t[rows] = _back((in_t < reach[:, None]).sum(dim=1))
    return radius, np.maximum(n_x - 1, 0), np.maximum(n_t - 1, 0)
