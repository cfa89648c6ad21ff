"""Pairs of images whose information is that of the few numbers that they are painted from."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.special import ndtr

from infoplane.truth.distribution import Pair, Truth
from infoplane.types import FloatArray


def _uniform_parameters(mi: float, m: int) -> Callable[[int, np.random.Generator], Pair]:
    """M pairs of uniforms on (0,1), a Gaussian copula each, that share ``mi`` nats in all."""
    rho = math.sqrt(-math.expm1(-2.0 * mi / m))

    def draw(n: int, rng: np.random.Generator) -> Pair:
        a, b = rng.standard_normal((2, n, m))
        return ndtr(a), ndtr(rho * a + math.sqrt(1 - rho**2) * b)

    return draw


def gaussian_images(mi: float = 1.0, size: int = 16) -> Truth:
    """Pairs of images (n, size²) of one Gaussian bump each; the centres share ``mi`` nats.

    The bump's centre can be read off the image, so I(images) = I(centres) (Butakov et al. 2024).
    """
    grid = (np.arange(size) + 0.5) / size
    parameters = _uniform_parameters(mi, 2)

    def paint(u: FloatArray) -> FloatArray:
        centre = 0.2 + 0.6 * u
        bump = np.exp(-0.5 * ((grid - centre[:, :, None]) / 0.15) ** 2)  # (n, 2, size)
        return np.asarray(np.einsum("ni,nj->nij", bump[:, 0], bump[:, 1]).reshape(len(u), -1))

    def draw(n: int, rng: np.random.Generator) -> Pair:
        a, b = parameters(n, rng)
        return paint(a), paint(b)

    return Truth(f"gaussian_images-{mi:g}-{size}", "images of Gaussian bumps", mi, draw)


def rectangles(mi: float = 1.0, size: int = 24) -> Truth:
    """Pairs of images (n, size²) of one filled rectangle each; the four edges share ``mi`` nats.

    Border pixels are shaded by the part covered, so the edges can be read off exactly.
    """
    low = np.arange(size) / size
    parameters = _uniform_parameters(mi, 4)

    def covered(start: FloatArray, stop: FloatArray) -> FloatArray:
        inside = np.minimum(low + 1 / size, stop[:, None]) - np.maximum(low, start[:, None])
        return np.asarray(np.clip(inside * size, 0.0, 1.0))  # (n, size)

    def paint(u: FloatArray) -> FloatArray:
        across = covered(0.4 * u[:, 0], 1 - 0.4 * u[:, 1])
        down = covered(0.4 * u[:, 2], 1 - 0.4 * u[:, 3])
        return np.asarray(np.einsum("ni,nj->nij", across, down).reshape(len(u), -1))

    def draw(n: int, rng: np.random.Generator) -> Pair:
        a, b = parameters(n, rng)
        return paint(a), paint(b)

    return Truth(f"rectangles-{mi:g}-{size}", "images of rectangles", mi, draw)
