"""Neural collapse from the definitions, with full covariance matrices and a pseudo-inverse."""

import itertools

import numpy as np


def class_means(t, y):
    return np.array([t[y == c].mean(axis=0) for c in np.unique(y)])


def scatters(t, y):
    means = class_means(t, y)
    centre = means.mean(axis=0)
    within = sum(
        np.outer(row - means[c], row - means[c])
        for c, label in enumerate(np.unique(y))
        for row in t[y == label]
    ) / len(t)
    between = sum(np.outer(m - centre, m - centre) for m in means) / len(means)
    return within, between


def nc1(t, y):
    within, between = scatters(t, y)
    return np.trace(within @ np.linalg.pinv(between, rcond=1e-10)) / len(np.unique(y))


def cdnv(t, y):
    groups = [t[y == c] for c in np.unique(y)]
    variances = [((g - g.mean(axis=0)) ** 2).sum(axis=1).mean() for g in groups]
    values = [
        (variances[a] + variances[b])
        / (2 * ((groups[a].mean(axis=0) - groups[b].mean(axis=0)) ** 2).sum())
        for a, b in itertools.permutations(range(len(groups)), 2)
    ]
    return np.mean(values)


def simplex(classes, d, seed=0):
    """Vertices (classes, d) of a regular simplex around 0, in a random orientation."""
    frame = np.linalg.qr(np.random.default_rng(seed).normal(size=(d, classes)))[0]
    return (np.eye(classes) - 1 / classes) @ frame.T
