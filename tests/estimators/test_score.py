"""Denoising information: exact with analytic denoisers, near with a small trained one."""

import math

import numpy as np
import pytest
import torch

from infoplane import truth
from infoplane.errors import InputError
from infoplane.estimators import get
from infoplane.estimators.interaction import gaussian_parts
from infoplane.estimators.score import gap
from infoplane.types import Status


def sigma(level):
    return np.sqrt(1 / (1 + np.exp(-level)))


def marginal(x, level):
    """ε̂ of a standard normal."""
    return sigma(level) * x


def conditional(y, rho):
    """ε̂ of x given y, a Gaussian pair of correlation ρ."""

    def denoise(x, level):
        s = sigma(level)
        m = np.sqrt(1 - s**2)
        return s * (x - m * rho * y) / (m**2 * (1 - rho**2) + s**2)

    return denoise


@pytest.mark.parametrize(("rho", "d"), [(0.0, 1), (0.75, 1), (0.5, 20)])
def test_analytic_denoisers_give_the_information(rho, d):
    x, y = truth.gaussian(rho, d).sample(20_000, seed=0)
    value, stderr = gap(x, marginal, conditional(y, rho), np.random.default_rng(0))
    exact = -0.5 * d * math.log(1 - rho**2)
    assert value == pytest.approx(exact, abs=4 * stderr + 2e-3)
    assert stderr < 0.02 * max(1, exact)


def test_analytic_total_correlations_of_three_redundant_gaussians():
    covariance = 0.4 * np.eye(3) + 0.6
    rng = np.random.default_rng(0)
    x = rng.standard_normal((20_000, 3)) @ np.linalg.cholesky(covariance).T
    values, axes = np.linalg.eigh(covariance)

    def joint(noisy, level):
        s = sigma(level)
        return s * ((noisy @ axes) / ((1 - s**2) * values + s**2)) @ axes.T

    slope = 0.6 / 1.6  # of one on the sum of the two others
    left = 1 - 2 * slope * 0.6

    def given(noisy, level):
        s = sigma(level)
        m = np.sqrt(1 - s**2)
        means = slope * (x.sum(1, keepdims=True) - x)
        return s * (noisy - m * means) / (m**2 * left + s**2)

    parts = gaussian_parts(covariance, [1, 1, 1])
    tc, spread = gap(x, joint, marginal, np.random.default_rng(1))
    assert tc == pytest.approx(parts.total, abs=4 * spread)
    dtc, spread = gap(x, joint, given, np.random.default_rng(1))
    assert dtc == pytest.approx(parts.dual, abs=4 * spread)


def test_labels_and_their_ceiling():
    y = np.arange(800) % 2
    t = np.random.default_rng(0).standard_normal((800, 2)) * 0.5 + 2 * y[:, None]
    result = get("mi.minde")(y, t, steps=400, form="losses")
    assert result.ceiling == pytest.approx(math.log(2), abs=1e-12)
    assert result.value == pytest.approx(math.log(2), abs=0.2)


def test_trained_interaction_has_the_right_sign():
    rng = np.random.default_rng(0)
    cause = rng.standard_normal((1500, 1))
    redundant = cause + 0.5 * rng.standard_normal((1500, 3))
    result = get("interaction.score")(redundant, steps=600)
    expected = get("interaction.o_information")(redundant)
    assert result.value == pytest.approx(expected.value, abs=0.25)
    assert result.value > 0.1
    assert result.info["tc"] == pytest.approx(expected.info["tc"], abs=0.3)


def test_private_and_degenerate():
    x, t = truth.gaussian(0.5).sample(100, seed=0)
    before = torch.get_rng_state()
    assert get("mi.minde")(x, t, steps=1).ceiling == math.log(100)
    assert get("mi.minde")(np.arange(100) % 2, t, steps=1).ceiling == pytest.approx(math.log(2))
    one = get("mi.minde")(x, t, steps=5, rng=1).value
    assert one == get("mi.minde")(x, t, steps=5, rng=1).value
    assert one != get("mi.minde")(x, t, steps=5, rng=2).value
    assert torch.equal(torch.get_rng_state(), before)
    assert get("mi.minde")(x, np.ones((100, 2))).status is Status.DEGENERATE
    assert get("interaction.score")(np.ones((100, 3))).status is Status.DEGENERATE
    with pytest.raises(InputError, match="at most 8"):
        get("interaction.score")(np.random.default_rng(0).standard_normal((100, 9)))
