"""Continuous pairs: Gaussian of any covariance, Student, uniform with additive noise."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from infoplane.truth.closed_forms import gaussian_mi, student_mi
from infoplane.truth.distribution import Pair, Truth
from infoplane.types import FloatArray


def multinormal(name: str, covariance: FloatArray, d_x: int, about: str = "") -> Truth:
    """Jointly Gaussian X (d_x columns) and Y (the rest) of that covariance."""
    root = np.linalg.cholesky(covariance)

    def draw(n: int, rng: np.random.Generator) -> Pair:
        z = rng.standard_normal((n, len(root))) @ root.T  # (n, d_x + d_y)
        return z[:, :d_x].copy(), z[:, d_x:].copy()

    return Truth(name, about or "jointly Gaussian", gaussian_mi(covariance, d_x), draw)


def gaussian(rho: float = 0.75, d: int = 1) -> Truth:
    """D independent pairs of correlation ρ: I = −(d/2) log(1−ρ²)."""
    covariance = np.eye(2 * d)
    covariance[:d, d:] = covariance[d:, :d] = rho * np.eye(d)
    return multinormal(f"gaussian-{d}-{rho:g}", covariance, d, f"{d} Gaussian pairs, ρ = {rho:g}")


def autoregressive(a: float = 0.9, lag: int = 1) -> Truth:
    """(z_t, z_{t+lag}) of a stationary AR(1) process: I = −½ log(1−a^{2 lag})."""
    return replace(gaussian(a**lag), name=f"autoregressive-{a:g}-{lag}", about="AR(1) at a lag")


def independent(d: int = 1) -> Truth:
    """Two independent standard normal vectors: I = 0."""
    return replace(gaussian(0.0, d), name=f"independent-{d}", about="independent normals")


def student(d_x: int, d_y: int, freedom: int) -> Truth:
    """Student vector split in two, identity dispersion: uncorrelated, yet dependent."""

    def draw(n: int, rng: np.random.Generator) -> Pair:
        z = rng.standard_normal((n, d_x + d_y))
        z /= np.sqrt(rng.chisquare(freedom, (n, 1)) / freedom)
        return z[:, :d_x].copy(), z[:, d_x:].copy()

    name = f"student-identity-{d_x}-{d_y}-{freedom}"
    return Truth(name, "Student-t, identity dispersion", student_mi(d_x, d_y, freedom), draw)


def additive(epsilon: float) -> Truth:
    """X ~ U(0,1), Y = X + U(−ε,ε): I = ε − log 2ε for ε ≤ ½, else 1/(4ε)."""
    mi = epsilon - math.log(2 * epsilon) if epsilon <= 0.5 else 0.25 / epsilon

    def draw(n: int, rng: np.random.Generator) -> Pair:
        x = rng.random((n, 1))
        return x, x + rng.uniform(-epsilon, epsilon, (n, 1))

    return Truth(f"1v1-additive-{epsilon:g}", "uniform plus uniform noise", mi, draw)
