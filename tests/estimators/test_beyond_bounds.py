"""What cannot be an information is never told as one with status ok."""

import math

import numpy as np
import pytest

from infoplane.estimators import get
from infoplane.types import Status

Y = np.arange(60) % 3


@pytest.fixture
def rng():
    return np.random.default_rng(4)


def test_codes_that_repeat_each_other_beyond_the_entropy_of_the_labels():
    found = get("mi.codes")(Y, np.repeat(Y[:, None], 5, axis=1))
    assert found.value == pytest.approx(5 * math.log(3))
    assert "redundant" in found.flags
    assert found.status is Status.UNRELIABLE


def test_a_reconstruction_below_zero_is_vacuous(rng):
    v = rng.standard_normal((60, 4))
    found = get("mi.reconstruction")(v, -v)
    assert found.value < 0
    assert "vacuous" in found.flags
    assert found.status is Status.UNRELIABLE


def test_bins_chosen_for_a_spike_are_too_many_for_the_samples(rng):
    unit = np.where(np.arange(60) % 4, 0.0, rng.random(60))
    found = get("mi.birge_rozenholc")(rng.permutation(np.arange(60) % 7), unit)
    assert found.info["bias"] > 0.2
    assert "few_samples" in found.flags
    assert found.status is Status.UNRELIABLE


def test_weighted_neighbours_of_repeated_rows_or_of_great_spread(rng):
    t = np.tanh(40 * rng.standard_normal((60, 1)))
    tied = get("mi.kl")(Y, t)
    assert "ties" in tied.flags
    assert tied.status is Status.UNRELIABLE
    few = get("mi.kl")(rng.standard_normal((20, 5)), rng.standard_normal((20, 5)))
    assert few.stderr > 0.5
    assert "imprecise" in few.flags
    assert few.status is Status.UNRELIABLE


def test_a_probe_that_learned_noise_is_told(rng):
    found = get("mi.usable")(rng.integers(6, size=30), rng.standard_normal((30, 20)), rng=0)
    assert found.value < -0.1
    assert "overfit" in found.flags
    assert found.status is Status.UNRELIABLE


@pytest.mark.parametrize(
    ("name", "settings"), [("mi.kl", {}), ("mi.gaussian", {"shrinkage": 0.0}), ("mi.usable", {})]
)
def test_no_sample_of_n_shows_more_than_log_n(name, settings, rng):
    x = rng.standard_normal((60, 1))
    found = get(name)(x, x + 1e-4 * rng.standard_normal((60, 1)), **settings, rng=0)
    assert found.value > math.log(60) + 1
    assert found.status is Status.UNRELIABLE
    assert found.ceiling == pytest.approx(math.log(60))


def test_shrinkage_that_hides_a_near_perfect_correlation_is_told(rng):
    x = rng.standard_normal((60, 1))
    t = x + 1e-4 * rng.standard_normal((60, 1))
    found = get("mi.gaussian")(x, t)
    assert "shrunk" in found.flags
    assert found.status is Status.SATURATED
    assert "shrunk" not in get("mi.gaussian")(x, x + rng.standard_normal((60, 1))).flags


OUTLIER = np.random.default_rng(4).standard_normal((90, 3))
OUTLIER[3, 1] = 2e4


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("mi.binning", {"range": "layer"}),
        ("mi.binning", {"range": "unit"}),
        ("mi.binning_given", {}),
        ("mi.kde_adaptive", {}),
        ("mi.gaussian", {}),
        ("mi.kl", {}),
    ],
)
def test_an_entry_far_out_makes_what_it_scales_unreliable(name, params):
    pairs = name in {"mi.kl", "mi.gaussian"}
    v = np.random.default_rng(5).standard_normal((90, 2)) if pairs else np.arange(90) % 3
    estimate = get(name)(v, OUTLIER, **params)
    assert "heavy_tail" in estimate.flags
    assert estimate.status is Status.UNRELIABLE
    assert get(name)(v, np.clip(OUTLIER, -3, 3), **params).status is not Status.UNRELIABLE


@pytest.mark.parametrize(
    ("name", "flag"),
    [("mi.binning", "one_bin"), ("mi.kde", "sigma_high"), ("mi.noisy", "sigma_high")],
)
def test_a_layer_far_below_its_noise_says_so(name, flag):
    t = np.random.default_rng(4).standard_normal((90, 3))
    estimate = get(name)(np.arange(90) % 3, 1e-30 * t)
    assert estimate.value == pytest.approx(0, abs=1e-9)
    assert flag in estimate.flags
    assert flag not in get(name)(np.arange(90) % 3, t).flags


def test_targets_far_wider_than_the_kernel_are_unreliable():
    y = 1e6 * np.random.default_rng(4).standard_normal(90)
    divergence = get("divergence.cauchy_schwarz_conditional")
    assert divergence(OUTLIER[:, :1], y, y + 0.3).status is Status.UNRELIABLE
    assert divergence(OUTLIER[:, :1], y / 1e6, y / 1e6 + 0.3).status is Status.OK
