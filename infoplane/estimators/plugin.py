"""Plug-in information of two discrete variables given as integer codes, and its null.

I(V;T) = H(V) + H(T) − H(V,T), each entropy that of the counts: exact for the empirical
distribution, no bias correction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from infoplane.estimators.contract import entropy_of_counts, ranks
from infoplane.types import FloatArray, IntArray

_TABLE = 1 << 22  # cells up to which joint counts are tabled; above, the pairs are sorted


@dataclass(frozen=True, slots=True)
class Tally:
    """A discrete variable counted.

    Attributes
    ----------
    codes : ndarray, (n,)
        Symbols 0 … C−1, each present.
    counts : ndarray, (C,)
        Samples of each.
    entropy : float
        Plug-in H in nats.
    """

    codes: IntArray
    counts: IntArray
    entropy: float

    @property
    def distinct(self) -> bool:
        """Whether every sample has a symbol of its own."""
        return len(self.counts) == len(self.codes)


Discrete = Tally | IntArray
"""A discrete variable: its codes 0 … C−1, each present, or these already counted."""


def tally(codes: Discrete) -> Tally:
    """Count codes 0 … C−1."""
    if isinstance(codes, Tally):
        return codes
    counts = np.bincount(codes)
    return Tally(codes, counts, entropy_of_counts(counts))


def information(v: Discrete, t: Discrete) -> float:
    """I(V;T) in nats."""
    v, t = tally(v), tally(t)
    if v.distinct:  # H(T|V) = 0
        return t.entropy
    if t.distinct:
        return v.entropy
    return v.entropy + t.entropy - joint_entropy(v, t)


def joint_entropy(v: Tally, t: Tally) -> float:
    """H(V,T) in nats."""
    pairs = t.codes * len(v.counts) + v.codes
    small = len(v.counts) * len(t.counts) <= _TABLE
    return entropy_of_counts(np.bincount(pairs if small else ranks(pairs)))


def shuffled(v: Discrete, t: Discrete, draws: int, rng: np.random.Generator) -> FloatArray:
    """I(π(V);T) in nats for ``draws`` random pairings π, shape (draws,).

    The marginals stay, so only H(V,T) is counted anew; many draws share one table of counts.
    """
    v, t = tally(v), tally(t)
    if v.distinct or t.distinct:  # pairing distinct symbols anew changes nothing
        return np.full(draws, information(v, t))
    n, cells = len(v.codes), len(v.counts) * len(t.counts)
    joint = np.empty(draws)
    together = max(1, min(_TABLE // cells, _TABLE // n))
    for start in range(0, draws, together):
        stop = min(start + together, draws)
        labels = rng.permuted(np.tile(v.codes, (stop - start, 1)), axis=1)
        joint[start:stop] = _row_entropies(t.codes * len(v.counts) + labels, cells)
    return v.entropy + t.entropy - joint


def _row_entropies(pairs: IntArray, cells: int) -> FloatArray:
    """Plug-in entropy of each row of codes < ``cells``, in nats."""
    draws, n = pairs.shape
    if cells > _TABLE:
        return np.array([entropy_of_counts(np.bincount(ranks(row))) for row in pairs])
    offsets = np.arange(draws)[:, None] * cells
    counts = np.bincount((pairs + offsets).ravel(), minlength=draws * cells)
    c_log_c = np.arange(n + 1) * np.log(np.maximum(np.arange(n + 1), 1))
    return np.asarray(np.log(n) - c_log_c[counts].reshape(draws, cells).sum(axis=1) / n)
