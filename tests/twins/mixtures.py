"""Gaussian mixtures and Cauchy–Schwarz sums the slow, obvious way."""

import math

import numpy as np


def log_density(z, mean, deviation):
    return sum(
        -0.5 * ((a - m) / s) ** 2 - math.log(s) - 0.5 * math.log(2 * math.pi)
        for a, m, s in zip(z, mean, deviation, strict=True)
    )


def log_mixture(z, means, deviations):
    terms = [log_density(z, m, s) for m, s in zip(means, deviations, strict=True)]
    return math.log(sum(math.exp(term) for term in terms) / len(terms))


def on_a_grid(v, means, deviations, conditional=False, points=4001):
    """I(V;Z), or I(X;Z|V), of one-dimensional mixtures by quadrature: no sampling."""
    v = np.asarray(v)
    low, high = min(means) - 8 * max(deviations), max(means) + 8 * max(deviations)
    z = np.linspace(low, high, points)
    rows = np.array(
        [
            np.exp(-0.5 * ((z - m) / s) ** 2) / (s * math.sqrt(2 * math.pi))
            for m, s in zip(means, deviations, strict=True)
        ]
    )

    def entropy(p):
        p = np.maximum(p, 1e-300)
        return -float((p * np.log(p)).sum() * (z[1] - z[0]))

    given = sum((v == s).mean() * entropy(rows[v == s].mean(axis=0)) for s in set(v.tolist()))
    noise = np.mean([entropy(row) for row in rows])
    return given - noise if conditional else entropy(rows.mean(axis=0)) - given


def divergence(mean, deviation, other, spread):
    """KL of two diagonal Gaussians."""
    return sum(
        math.log(t / s) + (s * s + (m - o) ** 2) / (2 * t * t) - 0.5
        for m, s, o, t in zip(mean, deviation, other, spread, strict=True)
    )


def jensen(means, deviations):
    pairs = [
        divergence(m, s, o, t)
        for m, s in zip(means, deviations, strict=True)
        for o, t in zip(means, deviations, strict=True)
    ]
    return sum(pairs) / len(pairs)


def gram(rows, others, sigma):
    rows, others = (np.asarray(a, float).reshape(len(a), -1) for a in (rows, others))
    return np.array(
        [[math.exp(-((a - b) ** 2).sum() / (2 * sigma**2)) for b in others] for a in rows]
    )


def qmi(k, q):
    """Proposition 2, as printed: traces and sums of Gram matrices."""
    n, one = len(k), np.ones(len(k))
    return (
        math.log(np.trace(k @ q) / n**2)
        + math.log((one @ k @ one) * (one @ q @ one) / n**4)
        - 2 * math.log((one @ k @ q @ one) / n**3)
    )


def conditional_divergence(k, l_y, l_guess, l_cross):
    """Proposition 1; l_cross[j, i] compares prediction j with target i."""
    total = [
        sum(
            sum(k[j, i] * gram[j, i] for i in range(len(k))) / sum(k[j]) ** 2 for j in range(len(k))
        )
        for gram in (l_y, l_guess, l_cross)
    ]
    return math.log(total[0]) + math.log(total[1]) - 2 * math.log(total[2])
