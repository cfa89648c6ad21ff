"""Gaussian information: closed forms, shrinkage, hostile shapes."""

import math

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf_shrinkage

from infoplane import truth
from infoplane.estimators import card
from infoplane.estimators.gaussian import gaussian, ledoit_wolf
from infoplane.types import Status


@pytest.mark.parametrize(("n", "p"), [(200, 3), (30, 80)])
def test_shrinkage_equals_scikit_learn(n, p):
    t = np.random.default_rng(0).standard_normal((n, p)) @ np.diag(np.arange(1, p + 1) ** 0.3)
    t -= t.mean(axis=0)
    assert ledoit_wolf(t) == pytest.approx(
        ledoit_wolf_shrinkage(t, assume_centered=True), abs=1e-10
    )


def test_one_pair_is_the_closed_form_of_its_own_correlation():
    x, t = truth.gaussian(0.75).sample(300, seed=0)
    r = np.corrcoef(x[:, 0], t[:, 0])[0, 1]
    result = gaussian(x, t, shrinkage=0.0)
    assert result.value == pytest.approx(-0.5 * math.log(1 - r**2), abs=1e-12)
    assert result.stderr == pytest.approx(abs(r) / math.sqrt(300), abs=1e-12)


def test_equals_log_determinants():
    x, t = truth.get("multinormal-dense-3-3-0.5").sample(400, seed=0)
    covariance = np.corrcoef(np.hstack([x, t]).T)
    assert gaussian(x, t, shrinkage=0.0).value == pytest.approx(
        truth.gaussian_mi(covariance, 3), abs=1e-10
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("1v1-normal-0.75", 0.411),
        ("1v1-additive-0.1", 1.619),
        ("1v1-bimodal-0.75", 0.339),
        ("swissroll_x-normal_cdf-1v1-normal-0.75", 0.022),
        ("multinormal-dense-5-5-0.5", 0.580),
        ("multinormal-dense-25-25-0.5", 1.346),
        ("multinormal-sparse-25-25-2-2.0", 1.093),
    ],
)
def test_near_the_published_run(name, expected):
    x, t = truth.get(name).sample(5000, seed=0)
    assert gaussian(x, t, shrinkage=0.0).value == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("name", sorted(card("mi.gaussian").tolerance))
def test_within_the_stated_tolerance(name):
    task = truth.get(name)
    assert gaussian(*task.sample(2000, seed=1)).value == pytest.approx(
        task.mi, abs=card("mi.gaussian").tolerance[name]
    )


def test_labels_match_two_gaussian_classes():
    rng = np.random.default_rng(0)
    y = np.arange(20_000) % 2
    t = rng.standard_normal((20_000, 3)) * np.where(y, 1.0, 3.0)[:, None]
    expected = 0.5 * 3 * (math.log(5.0) - 0.5 * math.log(9.0))
    result = gaussian(y, t)
    assert result.value == pytest.approx(expected, abs=0.02)


def test_far_classes_pass_the_label_entropy_and_that_is_flagged():
    y = np.arange(400) % 2
    t = np.random.default_rng(0).standard_normal((400, 1)) + 1e3 * y[:, None]
    result = gaussian(y, t)
    assert "bound_violated" in result.flags
    assert result.status is Status.UNRELIABLE


def test_more_dimensions_than_samples_stays_finite():
    rng = np.random.default_rng(0)
    for v in (np.arange(20) % 4, rng.standard_normal((20, 300))):
        result = gaussian(v, rng.standard_normal((20, 2000)))
        assert math.isfinite(result.value)
        assert result.value >= -1e-9


def test_a_linear_copy_is_flagged():
    x = np.random.default_rng(0).standard_normal((100, 2))
    result = gaussian(x, x @ np.array([[1.0, 2.0], [0.5, -1.0]]), shrinkage=0.0)
    assert "linear_function" in result.flags
    assert result.status is Status.UNRELIABLE


def test_scale_swap_copies_and_degenerate():
    x, t = truth.gaussian(0.6, 2).sample(300, seed=0)
    base = gaussian(x, t).value
    assert gaussian(t, x).value == pytest.approx(base, abs=1e-10)
    assert gaussian(x * 1e200, t * 1e-200 + 1e-200).value == pytest.approx(base, abs=1e-6)
    assert gaussian(x, np.hstack([t, np.ones((300, 1))])).flags == ("dead=1",)
    assert gaussian(x, np.ones((300, 2))).status is Status.DEGENERATE
    assert gaussian(np.zeros(300, int), t).status is Status.DEGENERATE
    assert gaussian(np.ones((300, 1)), t).value == 0.0
    y = np.arange(300) % 3
    y[0] = 9
    assert "rare_class" in gaussian(y, t).flags


def test_independent_labels_of_correlated_units_are_no_information():
    rng = np.random.default_rng(5)
    t = rng.standard_normal((400, 5)) @ rng.standard_normal((5, 5))
    y = rng.permutation(np.arange(400) % 4)
    result = gaussian(y, t)
    assert 0 <= result.value < 0.1
    assert result.status is Status.OK
    wide = rng.standard_normal((400, 50)) @ rng.standard_normal((50, 50))
    few = gaussian(y, wide)
    assert "few_per_class" in few.flags
    assert few.status is Status.UNRELIABLE


def test_labels_given_as_floats_are_labels():
    y = np.arange(300) % 3
    t = np.random.default_rng(0).standard_normal((300, 2)) + np.eye(3)[y][:, :2]
    assert gaussian(y.astype(float), t).value == gaussian(y, t).value


def test_a_few_values_are_no_gaussian():
    y, t = truth.get("binary_symmetric").sample(500, seed=0)
    found = gaussian(y, t.astype(float)[:, None])
    assert "discrete" in found.flags
    assert found.status is Status.UNRELIABLE
    smooth = gaussian(y, t[:, None] + np.random.default_rng(0).standard_normal((500, 1)))
    assert "discrete" not in smooth.flags


def test_classes_of_full_rank_are_not_shrunk_at_all():
    y = np.arange(90) % 3
    t = np.random.default_rng(1).standard_normal((90, 3)) * [1.0, 1e-2, 1.0] + np.eye(3)[y]
    parts = [t, *(t[y == label] for label in range(3))]
    log_det = [np.linalg.slogdet(np.cov(part.T, bias=True))[1] for part in parts]
    exact = 0.5 * (log_det[0] - np.mean(log_det[1:]))
    assert gaussian(y, t, shrinkage=0.0).value == pytest.approx(exact, abs=1e-12)
