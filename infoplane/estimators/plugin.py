"""Plug-in information of two discrete variables given as integer codes, and its null.

I(V;T) = H(V) + H(T) − H(V,T), each entropy that of the counts: exact for the empirical
distribution, no bias correction. Counts are summed in the order of their size, so that no entropy
depends on how symbols are numbered, not even in its last bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from infoplane.estimators.contract import c_log_c, ranks
from infoplane.types import FloatArray, IntArray

_KEYS = 1 << 62  # symbols and pairs of symbols are numbered below


@dataclass(frozen=True, slots=True)
class Tally:
    """A discrete variable counted.

    Attributes
    ----------
    codes : ndarray, (n,)
        Symbols, integers in 0 … room−1.
    counts : ndarray, (C,)
        Samples of each symbol that occurs, in ascending order of the symbols.
    entropy : float
        Plug-in H in nats.
    room : int
        C where every symbol occurs, else more.
    """

    codes: IntArray
    counts: IntArray
    entropy: float
    room: int

    @property
    def distinct(self) -> bool:
        """Whether every sample has a symbol of its own."""
        return len(self.counts) == len(self.codes)

    def dense(self) -> Tally:
        """Return the same with the symbols 0 … C−1."""
        if self.room == len(self.counts):
            return self
        return Tally(ranks(self.codes), self.counts, self.entropy, len(self.counts))


Discrete = Tally | IntArray
"""A discrete variable: its codes 0 … C−1, each present, or these already counted."""


def tally(codes: Discrete, room: int | None = None) -> Tally:
    """Count codes 0 … C−1, each present; or any below ``room``."""
    if isinstance(codes, Tally):
        return codes
    counts = np.bincount(codes) if room is None else _counts(codes, room)
    return Tally(codes, counts, entropy(counts, len(codes)), room or len(counts))


def entropy(counts: IntArray, n: int) -> float:
    """Plug-in H of symbols that occur once or more, n times together, in nats."""
    if len(counts) == 1:
        return 0.0
    return math.log(n) - (c_log_c(counts) / n if len(counts) < n else 0.0)


def _counts(codes: IntArray, room: int) -> IntArray:
    """How often each code that occurs does, in ascending order of the codes."""
    if room <= 4 * len(codes) + 1024:
        counts = np.bincount(codes)
        return counts[counts > 0]
    first = np.flatnonzero(starts(np.sort(codes)))
    counts = np.empty_like(first)
    np.subtract(first[1:], first[:-1], out=counts[:-1])
    counts[-1] = len(codes) - first[-1]
    return counts


def starts(ordered: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Where in a sorted vector a new value begins."""
    new = np.empty(len(ordered), dtype=np.bool_)
    new[:1] = True
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    return new


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
    if v.room > _KEYS // t.room:
        v, t = v.dense(), t.dense()
    return entropy(_counts(t.codes * v.room + v.codes, v.room * t.room), len(t.codes))


def shuffled(v: Discrete, t: Discrete, draws: int, rng: np.random.Generator) -> FloatArray:
    """I(π(V);T) in nats for ``draws`` random pairings π, shape (draws,).

    The marginals stay, so only H(V,T) is counted anew, and there only samples that do not have
    their symbol of T to themselves: a pair with such a symbol occurs once, and 1 log 1 = 0.
    """
    v, t = tally(v), tally(t)
    if v.distinct or t.distinct:  # pairing distinct symbols anew changes nothing
        return np.full(draws, information(v, t))
    v, t = v.dense(), t.dense()
    several = np.flatnonzero(t.counts[t.codes] > 1)
    groups = ranks(t.codes[several])
    room = (int(groups.max()) + 1) * v.room
    together = np.empty(draws)
    for draw in range(draws):
        labels = rng.permutation(v.codes)
        together[draw] = c_log_c(_counts(groups * v.room + labels[several], room))
    n = len(v.codes)
    return v.entropy + t.entropy - (math.log(n) - together / n)
