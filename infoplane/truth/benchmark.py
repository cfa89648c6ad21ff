"""The 40 tasks of "Beyond Normal": bases, and one-to-one maps that leave the information alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import ndtr

from infoplane.truth.continuous import additive, gaussian, multinormal, student
from infoplane.truth.distribution import Map, Pair, Truth
from infoplane.types import FloatArray


def _half_cube(t: FloatArray) -> FloatArray:
    return np.asarray(t * np.sqrt(np.abs(t)))


def _wiggly_x(t: FloatArray) -> FloatArray:
    return np.asarray(
        t + 0.4 * np.sin(t) + 0.2 * np.sin(1.7 * t + 1) + 0.03 * np.sin(3.3 * t - 2.5)
    )


def _wiggly_y(t: FloatArray) -> FloatArray:
    waves = 0.17 * np.sin(1.3 * t + 3.5) - 0.4 * np.sin(0.4 * t) + 0.02 * np.sin(4.3 * t - 2.5)
    return np.asarray(t + waves)


def _two_humps(weight: float, left: float, right: float) -> Map:
    """Monotone map of a standard normal to the mixture weight·N(left,1) + (1−weight)·N(right,1)."""
    grid = np.linspace(min(left, right) - 9, max(left, right) + 9, 20_001)
    mass = weight * ndtr(grid - left) + (1 - weight) * ndtr(grid - right)
    return lambda t: np.interp(ndtr(t), mass, grid)


def _spiral(first: int) -> Map:
    """Turn each row by the angle ‖t‖²/d in the plane of two columns, ``first`` and the next."""

    def turned(t: FloatArray) -> FloatArray:
        angle = (t**2).mean(axis=1)
        cos, sin = np.cos(angle), np.sin(angle)
        a, b = t[:, first], t[:, first + 1]
        result = t.copy()
        result[:, first], result[:, first + 1] = cos * a + sin * b, cos * b - sin * a
        return result

    return turned


def _swiss_roll(t: FloatArray) -> FloatArray:
    """Roll the unit interval up in the plane: (n, 1) to (n, 2)."""
    angle = 1.5 * np.pi * (1 + 2 * t)
    return np.concatenate([angle * np.cos(angle), angle * np.sin(angle)], axis=1) / 21


def _mapped(base: Truth, prefix: str, of_x: Map, of_y: Map | None = None) -> Truth:
    """Apply one-to-one maps to X and Y: the information stays."""

    def draw(n: int, rng: np.random.Generator) -> Pair:
        x, y = base.draw(n, rng)
        return of_x(x), (of_y or of_x)(y)

    return replace(base, name=f"{prefix}-{base.name}", about=f"{prefix} of {base.about}", draw=draw)


def _dense(d: int) -> Truth:
    covariance = 0.5 * np.eye(2 * d) + 0.5
    return multinormal(f"multinormal-dense-{d}-{d}-0.5", covariance, d, "all correlations ½")


def _sparse(d: int) -> Truth:
    covariance = np.eye(2 * d)
    for i in range(2):
        covariance[i, d + i] = covariance[d + i, i] = 0.8
    return multinormal(f"multinormal-sparse-{d}-{d}-2-2.0", covariance, d, "two pairs, ρ = 0.8")


def benchmark() -> list[Truth]:
    """Make the tasks, in the order of the published table."""
    base = replace(gaussian(0.75), name="1v1-normal-0.75")
    uniform = _mapped(base, "normal_cdf", ndtr)
    bimodal = replace(_mapped(base, "", _two_humps(0.3, 0, 5), _two_humps(0.5, -1, 3)),
                      name="1v1-bimodal-0.75", about="bimodal of Gaussian pairs")  # fmt: skip
    rolled = _mapped(uniform, "swissroll_x", _swiss_roll, lambda y: y)
    tasks = [base, uniform, additive(0.1), additive(0.75), bimodal,
             _mapped(base, "wiggly", _wiggly_x, _wiggly_y), _mapped(base, "half_cube", _half_cube),
             student(1, 1, 1), _mapped(student(1, 1, 1), "asinh", np.arcsinh), rolled]  # fmt: skip
    tasks += [_dense(d) for d in (2, 3, 5, 25, 50)] + [_sparse(d) for d in (2, 3, 5, 25)]
    tasks += [student(d, d, f) for d, f in ((2, 1), (2, 2), (3, 2), (3, 3), (5, 2), (5, 3))]
    pairs = [_sparse(d) for d in (3, 5, 25)]
    uniforms = [_mapped(task, "normal_cdf", ndtr) for task in pairs]
    tasks += uniforms
    tasks += [_mapped(task, "half_cube", _half_cube) for task in pairs]
    for bases in (pairs, uniforms):  # X turns in one plane, Y in another
        tasks += [_mapped(task, "spiral", _spiral(0), _spiral(1)) for task in bases]
    tasks += [_mapped(student(d, d, f), "asinh", np.arcsinh) for d, f in ((2, 1), (3, 2), (5, 2))]
    return tasks
