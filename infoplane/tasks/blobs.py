"""Gaussian blobs with label corruption: a toy classification task of any size and dimension."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from infoplane.errors import InputError


def blobs(
    n: int = 3000,
    *,
    d: int = 20,
    classes: int = 3,
    spread: float = 1.0,
    corruption: float = 0.0,
    seed: int = 0,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return ``n`` points of ``classes`` isotropic Gaussian blobs in ``d`` dimensions with labels.

    Centres are uniform in [−10, 10]^d and the noise is N(0, spread² I). A share ``corruption`` of
    the labels is replaced by labels drawn uniformly from all classes (at 1 they are independent of
    the points).

    Returns
    -------
    x : ndarray of float32, (n, d)
    y : ndarray of int64, (n,)
    """
    if not 0 <= corruption <= 1:
        raise InputError(f"`corruption` of `blobs` must be a share in [0, 1]; got {corruption!r}.")
    if min(n, d, classes) < 1 or n < classes:
        raise InputError(f"`blobs` needs n ≥ classes ≥ 1 and d ≥ 1; got n={n}, {classes=}, d={d}.")
    rng = np.random.default_rng(seed)
    centres = rng.uniform(-10, 10, size=(classes, d))
    y = rng.permutation(np.arange(n) % classes)
    x = centres[y] + spread * rng.standard_normal((n, d))
    corrupted = rng.random(n) < corruption
    y[corrupted] = rng.integers(0, classes, size=int(corrupted.sum()))
    return x.astype(np.float32), y.astype(np.int64)
