"""Plug-in information of two discrete variables given as integer codes, and its null.

I(V;T) = H(V) + H(T) − H(V,T), each entropy that of the counts: exact for the empirical
distribution, no bias correction.
"""

from __future__ import annotations

import numpy as np

from infoplane.estimators.contract import entropy_of_counts, ranks
from infoplane.types import FloatArray, IntArray

_TABLE = 1 << 22  # cells up to which joint counts are tabled; above, the pairs are sorted


def information(v: IntArray, t: IntArray) -> float:
    """I(V;T) in nats of two vectors of codes 0 … C−1, each code present."""
    v_counts, t_counts = np.bincount(v), np.bincount(t)
    if len(v_counts) == len(v):  # every v on its own: H(T|V) = 0
        return entropy_of_counts(t_counts)
    if len(t_counts) == len(t):
        return entropy_of_counts(v_counts)
    joint = entropy_of_counts(joint_counts(v, t, len(v_counts), len(t_counts)))
    return entropy_of_counts(v_counts) + entropy_of_counts(t_counts) - joint


def joint_counts(v: IntArray, t: IntArray, v_size: int, t_size: int) -> IntArray:
    """Count the pairs (v, t); zeros are possible."""
    pairs = t * v_size + v
    return np.bincount(pairs if v_size * t_size <= _TABLE else ranks(pairs))


def shuffled(v: IntArray, t: IntArray, draws: int, rng: np.random.Generator) -> FloatArray:
    """I(π(V);T) in nats for ``draws`` random pairings π, shape (draws,).

    The marginals stay, so only H(V,T) is counted anew; many draws share one table of counts.
    """
    n = len(v)
    v_counts, t_counts = np.bincount(v), np.bincount(t)
    if n in (len(v_counts), len(t_counts)):  # pairing distinct symbols anew changes nothing
        return np.full(draws, information(v, t))
    marginal = entropy_of_counts(v_counts) + entropy_of_counts(t_counts)
    cells = len(v_counts) * len(t_counts)
    joint = np.empty(draws)
    together = max(1, min(_TABLE // cells, _TABLE // n))
    for start in range(0, draws, together):
        stop = min(start + together, draws)
        pairs = t * len(v_counts) + rng.permuted(np.tile(v, (stop - start, 1)), axis=1)
        joint[start:stop] = _row_entropies(pairs, cells)
    return marginal - joint


def _row_entropies(pairs: IntArray, cells: int) -> FloatArray:
    """Plug-in entropy of each row of codes < ``cells``, in nats."""
    draws, n = pairs.shape
    if cells > _TABLE:
        return np.array([entropy_of_counts(np.bincount(ranks(row))) for row in pairs])
    offsets = np.arange(draws)[:, None] * cells
    counts = np.bincount((pairs + offsets).ravel(), minlength=draws * cells)
    c_log_c = np.arange(n + 1) * np.log(np.maximum(np.arange(n + 1), 1))
    return np.asarray(np.log(n) - c_log_c[counts].reshape(draws, cells).sum(axis=1) / n)
