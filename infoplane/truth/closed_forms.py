"""Entropies and informations that have a formula, in nats, and the simplex frame."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import digamma, gammaln

from infoplane.types import FloatArray


def binary_entropy(p: float) -> float:
    """H_b(p) = −p log p − (1−p) log(1−p), in nats."""
    return -sum(q * math.log(q) for q in (p, 1 - p) if q > 0)


def gaussian_mi(covariance: FloatArray, d_x: int) -> float:
    """I(X;Y) = ½ (log det Σ_x + log det Σ_y − log det Σ) of a Gaussian, X the first d_x columns."""

    def log_det(block: FloatArray) -> float:
        return float(np.linalg.slogdet(block)[1])

    x, y = covariance[:d_x, :d_x], covariance[d_x:, d_x:]
    return 0.5 * (log_det(x) + log_det(y) - log_det(covariance))


def student_mi(d_x: int, d_y: int, freedom: float) -> float:
    """I(X;Y) of a Student vector of identity dispersion: dependence through the shared χ² alone."""

    def entropy(k: int) -> float:
        a, b = 0.5 * (freedom + k), 0.5 * freedom
        return float(
            a * (digamma(a) - digamma(b)) - gammaln(a) + gammaln(b)
            + 0.5 * k * math.log(freedom * math.pi)
        )  # fmt: skip

    return entropy(d_x) + entropy(d_y) - entropy(d_x + d_y)


def ball_entropy(d: int) -> float:
    """Differential entropy log V_d of the uniform distribution in the unit ball."""
    return 0.5 * d * math.log(math.pi) - float(gammaln(0.5 * d + 1))


def etf(classes: int) -> FloatArray:
    """Vertices of the simplex equiangular tight frame: (classes, classes) rows of unit norm."""
    frame = np.eye(classes) - 1.0 / classes
    return np.asarray(frame * math.sqrt(classes / (classes - 1)))
