"""The 12-bit task of Shwartz-Ziv and Tishby (2017), regenerated from its rule.

The 4096 patterns are all ways to switch on the 12 vertices of an icosahedron; the label is a
function of the pattern that no rotation or reflection of the solid changes. The published rule was
never printed; the one below reproduces the published labels without a single difference:

    y = 1  ⇔  23 k + e1 − 5 e2 − 8 e3 ≥ 99,

k the number of vertices on, e1, e2, e3 the numbers of on-on pairs at distance 1, 2, 3 along edges.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from infoplane.errors import InputError

# Vertices joined by an edge to vertex i = column i of the input.
EDGES: tuple[tuple[int, ...], ...] = (
    (1, 3, 5, 10, 11), (0, 2, 3, 4, 11), (1, 3, 4, 8, 9), (0, 1, 2, 8, 10),
    (1, 2, 6, 9, 11), (0, 6, 7, 10, 11), (4, 5, 7, 9, 11), (5, 6, 8, 9, 10),
    (2, 3, 7, 9, 10), (2, 4, 6, 7, 8), (0, 3, 5, 7, 8), (0, 1, 4, 5, 6),
)  # fmt: skip
THRESHOLD = 99


def szt() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return all patterns x (4096, 12) in counting order, highest bit first, and labels y (4096,).

    2118 of the 4096 labels are 1, so I(X;Y) = H(Y) = 0.999157 bits. y is invariant under the 120
    symmetries of the icosahedron.

    Returns
    -------
    x : ndarray of float32, (4096, 12)
        Zeros and ones.
    y : ndarray of int64, (4096,)
        Zeros and ones.
    """
    patterns = (np.arange(4096)[:, None] >> np.arange(11, -1, -1)) & 1  # (4096, 12)
    score = 23 * patterns.sum(axis=1)
    for weight, pairs in zip((1, -5, -8), _pairs_by_distance(), strict=True):
        score += weight * np.einsum("ni,ij,nj->n", patterns, pairs, patterns) // 2
    return patterns.astype(np.float32), (score >= THRESHOLD).astype(np.int64)


def _pairs_by_distance() -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the 0/1 matrices (12, 12) of vertex pairs at graph distance 1, 2 and 3."""
    near = np.zeros((12, 12), dtype=np.int64)
    for vertex, neighbours in enumerate(EDGES):
        near[vertex, list(neighbours)] = 1
    within_two = (near @ near + near + np.eye(12, dtype=np.int64)) > 0
    opposite = (~within_two).astype(np.int64)
    middle = 1 - np.eye(12, dtype=np.int64) - near - opposite
    return near, middle, opposite


def split(
    n: int, *, train: float = 0.8, seed: int = 0, shuffle: bool = True
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the row numbers of a train and a test part of ``n`` samples.

    Parameters
    ----------
    n
        Samples in all.
    train
        Share of the train part, in (0, 1).
    seed
        Of the private generator that shuffles.
    shuffle
        False keeps the counting order, as the published code of the 12-bit task did: its test part
        then holds only patterns with both leading bits on, a biased test set.
    """
    if not 0 < train < 1:
        raise InputError(f"`train` of `split` must be a share in (0, 1); got {train!r}.")
    rows = np.random.default_rng(seed).permutation(n) if shuffle else np.arange(n)
    cut = round(n * train)
    return rows[:cut], rows[cut:]
