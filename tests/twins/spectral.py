"""Slow obvious versions of everything that looks at distances, kernels and spectra."""

import math

import numpy as np


def squared_distances(t):
    return np.array([[float(((a - b) ** 2).sum()) for b in t] for a in t])


def gaussian_kernel(t, sigma):
    return np.exp(-squared_distances(t) / (2 * sigma**2))


def renyi_entropy(p, order):
    p = np.array([value for value in p if value > 0])
    if order == 1:
        return -sum(value * math.log(value) for value in p)
    if math.isinf(order):
        return -math.log(max(p))
    return math.log(sum(value**order for value in p)) / (1 - order)


def matrix_entropy(kernel, order):
    """Rényi entropy of the eigenvalues of a kernel matrix scaled to trace one."""
    values = np.linalg.eigvals(kernel / np.trace(kernel)).real
    return renyi_entropy(np.clip(values, 0, None), order)


def joint_entropy(a, b, order):
    return matrix_entropy(a * b, order)


def label_kernel(labels):
    return np.array([[float(i == j) for j in labels] for i in labels])


def diffusion_entropy(t, sigma, time, alpha=0.0):
    """Entropy of |λ|^time of the row-stochastic diffusion matrix, from the plain eigenvalues."""
    kernel = gaussian_kernel(t, sigma)
    degree = np.diag(1 / kernel.sum(axis=1) ** alpha)
    kernel = degree @ kernel @ degree
    walk = np.diag(1 / kernel.sum(axis=1)) @ kernel
    weight = np.abs(np.linalg.eigvals(walk).real) ** time
    return renyi_entropy(weight / weight.sum(), 1)


def vendi(t, order, centre):
    t = t - t.mean(axis=0) if centre else t
    rows = t / np.linalg.norm(t, axis=1, keepdims=True)
    return math.exp(matrix_entropy(rows @ rows.T, order))


def effective_rank(t):
    """exp of the entropy of the singular values of ZᵀZ/n, Z centred and row-normalised."""
    t = t - t.mean(axis=0)
    rows = t / np.linalg.norm(t, axis=1, keepdims=True)
    values = np.linalg.svd(rows.T @ rows / len(rows), compute_uv=False)
    return math.exp(renyi_entropy(values / values.sum(), 1))


def local_dimension(t, k, factor):
    """Mean over points of −factor / Σ log(r_i / r_k), distances sorted in full."""
    values = []
    for i, row in enumerate(t):
        r = sorted(math.dist(row, other) for j, other in enumerate(t) if j != i)[:k]
        values.append(-factor / sum(math.log(distance / r[-1]) for distance in r[:-1]))
    return float(np.mean(values))
