"""Formulas of single estimators, restated slowly from the papers: loops, no shared code."""

import math
from itertools import pairwise

import numpy as np
from scipy.special import entr, expit, ive, logsumexp, ndtr


def _entropy(counts):
    p = np.asarray(counts, dtype=float)
    return float(entr(p / p.sum()).sum())


def attention(maps):
    return float(np.mean([entr(row).sum() for row in maps.reshape(-1, maps.shape[-1])]))


def layer_entropy(path):
    """Sum over the steps of −z Δσ(z)."""
    return -sum((b * (expit(b) - expit(a))).sum() for a, b in pairwise(path))


def layer_entropy_closed(start, end):
    return sum(
        sign * (entr(expit(z)) + entr(expit(-z))).sum() for sign, z in ((1, end), (-1, start))
    )


def description(t, bins):
    total = 0.0
    for unit in t.T:
        active = unit[unit != 0]
        if len(active):
            p = len(active) / len(unit)
            counts = np.histogram(active, bins, (0, unit.max()))[0]
            total += _entropy([p, 1 - p]) + p * _entropy(counts)
    return total


def fisher(t, gradient, f):
    spread = np.atleast_2d(np.cov(t.T, bias=True))
    return 0.5 * float(
        np.mean([g @ spread @ g / value for g, value in zip(gradient, f, strict=True)])
    )


def fisher_share(t, gradient, f):
    half = t.shape[1] // 2
    one = fisher(t[:, :half], gradient[:, :half], f)
    return one / (one + fisher(t[:, half:], gradient[:, half:], f))


def merging(incoming, outgoing, beta):
    """Channels left when the closest pair is merged while D_min ≤ β D_max."""
    rows, columns, sizes = list(incoming), list(outgoing.T), [1] * len(incoming)
    while len(rows) > 1:
        apart = {
            (i, j): ((rows[i] - rows[j]) ** 2).sum() + ((columns[i] - columns[j]) ** 2).sum()
            for i in range(len(rows))
            for j in range(i)
        }
        (i, j), least = min(apart.items(), key=lambda item: item[1])
        if least > beta * max(apart.values()):
            break
        rows[j] = rows[i] + rows[j]
        columns[j] = (sizes[i] * columns[i] + sizes[j] * columns[j]) / (sizes[i] + sizes[j])
        sizes[j] += sizes[i]
        del rows[i], columns[i], sizes[i]
    return len(rows)


def cett(t, weight, target):
    """Largest of 65,536 thresholds whose mean relative error is within the target, by halving."""
    lengths, full = np.abs(t) * np.linalg.norm(weight, axis=0), np.linalg.norm(t @ weight.T, axis=1)
    some = full > 0

    def error(threshold):
        lost = np.linalg.norm(np.where(lengths <= threshold, t, 0.0) @ weight.T, axis=1)
        return (lost[some] / full[some]).mean()

    thresholds = np.linspace(lengths.min(), np.quantile(lengths, 0.99), 65_536)
    low, high = 0, len(thresholds)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if error(thresholds[middle]) <= target else (low, middle)
    return (lengths <= thresholds[low - 1]).mean() if low else 0.0


def sphere(t, kappa=10.0):
    z = t / np.linalg.norm(t, axis=1, keepdims=True)
    d = z.shape[1]
    constant = (d / 2 - 1) * math.log(kappa) - d / 2 * math.log(2 * math.pi)
    constant -= math.log(ive(d / 2 - 1, kappa)) + kappa
    return float(-np.mean(logsumexp(kappa * z @ z.T, axis=1) - math.log(len(z)) + constant))


def spacing(t, m):
    n, values = len(t), []
    for unit in ((t - t.mean(axis=0)) / t.std(axis=0)).T:
        u = np.sort(ndtr(unit))
        values += [math.log((u[i + m] - u[i]) * (n + 1) / m + 1e-7) for i in range(n - m)]
    return float(np.mean(values))


def codes(y, t):
    """Σ_j I(Y; c_j) of two-way codes from logits, block after block."""
    total = 0.0
    for j in range(0, t.shape[1], 2):
        p = np.exp(t[:, j : j + 2] - t[:, j : j + 2].max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        inside = sum((y == c).mean() * entr(p[y == c].mean(axis=0)).sum() for c in set(y.tolist()))
        total += entr(p.mean(axis=0)).sum() - inside
    return total


def lid(t, k):
    values, t = [], np.unique(t, axis=0)
    for row in t:
        r = np.sort(np.sqrt(((t - row) ** 2).sum(axis=1)))[1 : k + 1]
        values.append((k - 2) / np.log(r[-1] / r[:-1]).sum())
    return float(np.mean(values))


def diffusion(t, sigma):
    d2 = np.array([[((a - b) ** 2).sum() for b in t] for a in t])
    kernel = np.exp(-d2 / (2 * sigma**2))
    values = np.abs(np.linalg.eigvals(kernel / kernel.sum(axis=1, keepdims=True)).real)
    return float(entr(values / values.sum()).sum())


def divergences(mean, deviation, y):
    """Mean of KL(N_i‖N_j) over all pairs, less that within the classes."""
    n = len(mean)
    table = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            ratio = deviation[i] / deviation[j]
            step = (mean[i] - mean[j]) / deviation[j]
            table[i, j] = 0.5 * (ratio**2 + step**2 - 1 - 2 * np.log(ratio)).sum()
    inside = sum((y == c).mean() * table[np.ix_(y == c, y == c)].mean() for c in set(y.tolist()))
    return table.mean() - inside
