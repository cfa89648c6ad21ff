"""Labels for a variable that has none: spectral clusters of X, equal-width bins of a scalar.

Diffusion spectral mutual information conditions on a discrete variable; for inputs X it takes the
clusters of a nearest-neighbour graph. They depend on X only, so the last few results are remembered
by content, and kept with the run where there is one: all its steps and all its later evaluations
pay for them once.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import LinearOperator, eigsh

from infoplane.estimators.contract import Rng, generator, samples
from infoplane.estimators.distances import Distances
from infoplane.estimators.kept import digest, kept
from infoplane.estimators.shared import Shared
from infoplane.types import FloatArray, IntArray

VERSION = 2  # of the labels kept with a run: raised whenever they change
NEIGHBOURS = 9  # others that the graph joins a row to: 10 with the row itself, as published
DENSE = 600  # rows up to which the eigenvectors are taken from the dense matrix
REMEMBERED = 8

_memory: OrderedDict[tuple[Any, ...], IntArray] = OrderedDict()
_lock = threading.Lock()


def cluster_codes(x: Any, k: int = 10, rng: Rng = None, shared: Shared | None = None) -> IntArray:
    """Return spectral clusters 0 … k−1 of the rows of ``x`` (n, d), or bins when it is a vector.

    The graph joins each row to its 9 nearest others, made symmetric; the k leading
    eigenvectors of D^{-1/2} A D^{-1/2} are turned into labels by a pivoted QR (Damle, Minden and
    Ying 2019), without random restarts. When the graph falls into k pieces or more, the pieces are
    the clusters, the smallest ones together. A single column is cut into k bins of equal width.
    With the memo of a run's layer as ``shared`` the labels are kept with the run.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError
    """
    points = samples(x, name="v", minimum=2, estimator="mi.diffusion")
    random = generator(rng)
    seed = int(random.integers(1 << 62))
    if points.shape[1] == 1:
        return equal_width(points[:, 0], k)
    key = (digest(points.tobytes()), points.shape, k)
    codes = _memory.get(key)
    if codes is None:

        def make() -> dict[str, Any]:
            labels = _spectral(points, min(k, len(points)), np.random.default_rng(seed))
            return {"labels": labels}

        codes = np.asarray(kept(shared, "clusters", [VERSION, *key], make)["labels"])
        with _lock:
            _memory[key] = codes
            while len(_memory) > REMEMBERED:
                _memory.popitem(last=False)
    return codes.copy()


def equal_width(values: FloatArray, k: int) -> IntArray:
    """Return the bin 0 … k−1 of each value, bins of equal width from the least to the largest."""
    low, high = values.min(), values.max()
    if low == high:
        return np.zeros(len(values), dtype=np.int64)
    share = (values / 2 - low / 2) / (high / 2 - low / 2)
    return np.asarray(np.minimum(share * k, k - 1), dtype=np.int64)


def _spectral(points: FloatArray, k: int, rng: np.random.Generator) -> IntArray:
    graph = _neighbour_graph(points)
    pieces, piece = connected_components(graph, directed=False)
    piece = np.argsort(np.argsort(-np.bincount(piece), kind="stable"))[piece]  # largest first
    if pieces >= k:
        return np.asarray(np.minimum(piece, k - 1), dtype=np.int64)
    degree = np.asarray(graph.sum(axis=1)).ravel()
    operator = sparse.diags(degree**-0.5) @ graph @ sparse.diags(degree**-0.5)
    # each piece has an eigenvalue 1 with a known vector; a Lanczos method would miss its copies
    known = np.sqrt(degree)[:, None] * (piece[:, None] == np.arange(pieces))
    known /= np.linalg.norm(known, axis=0)
    vectors = np.hstack([known, _leading(operator, known, k - pieces, rng)])
    return _labels(vectors / np.sqrt(degree)[:, None])


def _leading(operator: Any, known: FloatArray, count: int, rng: np.random.Generator) -> FloatArray:
    """Leading eigenvectors of the operator on what is orthogonal to the known ones."""
    n = len(known)
    if n <= DENSE or count >= n - 1:
        # the known ones are moved from eigenvalue 1 to −1, the least there can be
        return np.asarray(np.linalg.eigh(operator.toarray() - 2 * known @ known.T)[1][:, -count:])
    deflated = LinearOperator(
        (n, n), matvec=lambda v: operator @ v - 2 * (known @ (known.T @ v)), dtype=np.float64
    )
    start = rng.normal(size=n)
    return np.asarray(eigsh(deflated, k=count, which="LA", v0=start, maxiter=50 * n, tol=1e-8)[1])


def _neighbour_graph(points: FloatArray) -> Any:
    n = len(points)
    k = min(NEIGHBOURS, n - 1)
    near = Distances(points).nearest(k)[1]
    rows = np.repeat(np.arange(n), k)
    directed = sparse.csr_matrix((np.ones(n * k), (rows, near.ravel())), shape=(n, n))
    return 0.5 * (directed + directed.T)


def _labels(vectors: FloatArray) -> IntArray:
    """Cluster the rows of the eigenvectors (n, k): k pivot rows, rotated onto the axes."""
    k = vectors.shape[1]
    pivots = linalg.qr(vectors.T, pivoting=True, mode="r")[1][:k]
    left, _, right = np.linalg.svd(vectors[pivots].T)
    return np.asarray(np.abs(vectors @ (left @ right)).argmax(axis=1), dtype=np.int64)
