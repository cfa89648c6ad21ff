"""Kolchinsky–Tracey bounds the slow, obvious way: two loops over samples."""

import math


def squared(a, b):
    return sum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True))


def entropy_gap(rows, factor, variance):
    """−(1/n) Σ_i log (1/n) Σ_j exp(−D_ij / (factor σ²)): the mixture's entropy less the noise's."""
    n = len(rows)
    total = 0.0
    for a in rows:
        total -= math.log(sum(math.exp(-squared(a, b) / (factor * variance)) for b in rows) / n)
    return total / n


def information(v, t, variance=1e-3, bound="upper"):
    factor = {"upper": 2, "lower": 8}[bound]
    rows, labels = list(t), list(v)
    inner = 0.0
    for s in set(labels):
        members = [row for row, label in zip(rows, labels, strict=True) if label == s]
        inner += len(members) / len(rows) * entropy_gap(members, factor, variance)
    return entropy_gap(rows, factor, variance) - inner
