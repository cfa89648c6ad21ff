"""Binned information the slow, obvious way: dictionaries and loops, straight from the formulas."""

import math
from collections import Counter

import numpy as np


def entropy(symbols):
    counts = Counter(symbols)
    n = sum(counts.values())
    return -sum(c / n * math.log(c / n) for c in counts.values())


def information(v, t):
    """I(V;T) = H(T) − Σ_v p(v) H(T | V = v)."""
    v, t = list(v), list(t)
    inner = sum(
        v.count(s) / len(v) * entropy([b for a, b in zip(v, t, strict=True) if a == s])
        for s in set(v)
    )
    return entropy(t) - inner


def fixed_symbol(value, edges, idnns=False):
    """Count the edges ≤ value; none is symbol 0, or the top symbol as published."""
    index = sum(1 for e in edges if e <= value)
    return len(edges) if idnns and index == 0 else index


def fixed(t, bins=30, low=-1.0, high=1.0, idnns=False):
    edges = [low + i * (high - low) / (bins - 1) for i in range(bins)]
    edges[-1] = high
    if idnns:
        edges = [float(np.float32(e)) for e in edges]
    return [tuple(fixed_symbol(float(x), edges, idnns) for x in row) for row in t]


def floor(t, width):
    return [tuple(math.floor(float(x) / width) for x in row) for row in t]


def adaptive_edges(t, bins=30, equal="levels", published=False):
    values = [float(x) for row in t for x in row]
    low = min(values)
    if published:
        low = -1.000001 if low < 0 else 0.0
    above = sorted(x for x in values if x != low)
    if equal == "levels":
        above = sorted(set(above))
    edges = [low, *(above[int(k * len(above) / bins)] for k in range(bins)), above[-1]]
    return [float(np.float32(e)) for e in edges] if published else edges


def adaptive(t, bins=30, equal="levels", published=False):
    edges = adaptive_edges(t, bins, equal, published)
    highest = max(edges)

    def symbol(x):
        below = [e for e in edges if e <= x]
        return max(below) if below else highest

    return [tuple(symbol(float(x)) for x in row) for row in t]
