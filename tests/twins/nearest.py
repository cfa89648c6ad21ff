"""KSG, Ross and Kozachenko–Leonenko as the papers write them: loops over samples, no tree."""

import math

import numpy as np
from scipy.special import digamma, gamma


def _scaled(t):
    return (t - t.mean(0)) / t.std(0)


def ksg(x, t, k):
    x, t = _scaled(x), _scaled(t)
    n, total = len(x), 0.0
    for i in range(n):
        in_x = np.abs(x - x[i]).max(1)
        in_t = np.abs(t - t[i]).max(1)
        radius = np.sort(np.maximum(in_x, in_t))[k]
        n_x = (in_x < radius).sum() - 1
        n_t = (in_t < radius).sum() - 1
        total += digamma(n_x + 1) + digamma(n_t + 1)
    return digamma(k) + digamma(n) - total / n


def ross(y, t, k):
    t = _scaled(t)
    keep = np.array([(y == label).sum() > 1 for label in y])
    y, t = y[keep], t[keep]
    n, terms = len(y), []
    for i in range(n):
        distances = np.abs(t - t[i]).max(1)
        mates = np.sort(distances[y == y[i]])
        own = min(k, len(mates) - 1)
        m = (distances < mates[own]).sum()  # itself stands for the k-th neighbour
        terms.append(digamma(n) - digamma(len(mates)) + digamma(own) - digamma(m))
    return float(np.mean(terms))


def plain_kl_entropy(t, k):
    """Kozachenko–Leonenko entropy after whitening, k-th neighbour alone."""
    n, d = t.shape
    covariance = np.atleast_2d(np.cov(t.T))
    white = t @ np.linalg.inv(np.linalg.cholesky(covariance)).T
    volume = math.pi ** (d / 2) / gamma(d / 2 + 1)
    total = 0.0
    for i in range(n):
        radius = np.sort(np.linalg.norm(white - white[i], axis=1))[k]
        total += d * math.log(radius)
    return (
        total / n + math.log(volume) + math.log(n - 1) - digamma(k)
        + 0.5 * np.linalg.slogdet(covariance)[1]
    )  # fmt: skip
