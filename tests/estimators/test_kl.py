"""Weighted Kozachenko–Leonenko: weights, their guards, entropies and information."""

import math

import numpy as np
import pytest
from scipy.spatial import cKDTree
from twins import nearest as twin

from infoplane import truth
from infoplane.errors import RefusedError
from infoplane.estimators import card, radii
from infoplane.estimators.kl import kl, local_entropy, weights
from infoplane.types import Status


@pytest.mark.parametrize(
    ("d", "largest"), [(5, 1.5), (6, 1.8), (8, 9.9), (10, 13.9), (12, 238), (16, 1.15e4)]
)
def test_weights_sum_to_one_and_grow_as_published(d, largest):
    w = weights(5, d)
    assert w.sum() == pytest.approx(1, abs=1e-9)
    assert np.abs(w).max() == pytest.approx(largest, rel=0.03)


def test_norm_at_the_published_setting():
    assert np.linalg.norm(weights(5, 8)) == pytest.approx(16, abs=0.3)


@pytest.mark.parametrize(("k", "d"), [(1, 5), (1, 8), (1, 12), (2, 8), (3, 12)])
def test_weights_that_cannot_sum_to_one_are_refused(k, d):
    with pytest.raises(RefusedError, match="at least"):
        weights(k, d)


def test_low_dimensions_use_the_kth_neighbour_alone():
    assert weights(5, 4).tolist() == [0, 0, 0, 0, 1]


@pytest.mark.parametrize("d", [1, 2, 3])
def test_entropy_equals_the_plain_loop(d):
    t = np.random.default_rng(d).standard_normal((200, d)) * np.arange(1, d + 1)
    assert local_entropy(t, weights(3, d))[0].mean() == pytest.approx(
        twin.plain_kl_entropy(t, 3), abs=1e-9
    )


@pytest.mark.parametrize("d", [1, 3, 5, 7])
def test_entropy_of_the_standard_normal(d):
    t = np.random.default_rng(d).standard_normal((4000, d))
    local, _ = local_entropy(t, weights(5, d))
    exact = 0.5 * d * math.log(2 * math.pi * math.e)
    assert local.mean() == pytest.approx(exact, abs=5 * local.std() / math.sqrt(4000) + 0.02)


def test_the_published_regime_is_sane():
    task = truth.gaussian(math.sqrt(-math.expm1(-0.5)), 4)  # 4+4 dimensions, 1 nat
    result = kl(*task.sample(10_000, seed=0))
    assert result.value == pytest.approx(0.874, abs=0.42)  # ± 3 of the published spread
    assert result.flags.value("large_weights") == "16.2"


@pytest.mark.parametrize("name", ["gaussian", "gaussian_2d", "independent", "autoregressive"])
def test_within_the_stated_tolerance(name):
    task = truth.get(name)
    assert kl(*task.sample(2000, seed=0)).value == pytest.approx(
        task.mi, abs=card("mi.kl").tolerance[name]
    )


def test_labels():
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=3000)
    t = rng.standard_normal((3000, 2)) + 20 * np.eye(2)[np.minimum(y, 1)] * (y < 2)[:, None]
    result = kl(y, t)  # three far clusters: the class is certain
    assert result.value == pytest.approx(math.log(3), abs=0.08)
    assert result.ceiling == pytest.approx(math.log(3), abs=1e-3)


def test_copied_units_change_nothing():
    x, t = truth.gaussian(0.8, 1).sample(500, seed=0)
    doubled = kl(x, np.hstack([t, 3 * t + 1])).value
    assert doubled == pytest.approx(kl(x, t).value, abs=1e-9)


def test_refuses_a_linear_function_and_huge_norms_are_unreliable():
    x, t = truth.gaussian(0.8, 2).sample(500, seed=0)
    with pytest.raises(RefusedError, match="linear function"):
        kl(x, x @ np.array([[1.0], [2.0]]))
    x, t = truth.gaussian(0.3, 6).sample(500, seed=0)
    wide = kl(x, t)
    assert wide.status is Status.UNRELIABLE
    assert float(wide.flags.value("large_weights")) > 300


def test_ties_are_jittered():
    x, t = truth.gaussian(0.8, 1).sample(500, seed=0)
    t[:40] = t[0]
    x[:40] = x[0]
    result = kl(x, t)
    assert "jitter" in result.flags
    assert math.isfinite(result.value)


def test_constant_and_atoms():
    y = np.arange(60) % 2
    assert kl(y, np.ones((60, 2))).status is Status.DEGENERATE
    assert kl(y, y[:, None].astype(float)).value == pytest.approx(math.log(2), abs=1e-12)


@pytest.mark.parametrize("discrete", [True, False])
def test_fast_null_equals_the_loop(discrete):
    x, t = truth.gaussian(0.8, 1).sample(300, seed=0)
    v = (x[:, 0] > 0).astype(int) if discrete else x
    fast = card("mi.kl").null(v, t, draws=3, rng=np.random.default_rng(1))
    rng = np.random.default_rng(1)
    slow = [kl(v[rng.permutation(300)], t).value for _ in range(3)]
    np.testing.assert_allclose(fast, slow, atol=1e-10)


@pytest.mark.parametrize("k", [1, 7])
def test_radii_from_products_equal_those_of_the_tree(k):
    points = np.random.default_rng(k).standard_normal((600, 7))
    points[:200] = points[200:400]  # at distance 0
    points[9] = 300.0  # rounds all other products
    points -= points.mean(axis=0)
    expected = cKDTree(points).query(points, k + 1)[0][:, 1:]
    np.testing.assert_allclose(radii._by_products(points, k), expected, rtol=1e-12)
    few = points[400 : 401 + k]
    farthest = np.linalg.norm(few - few[0], axis=1).max()
    assert radii._by_products(few, k)[0, -1] == pytest.approx(farthest, rel=1e-12)


@pytest.mark.parametrize("d", [3, 4])
def test_weights_that_contradict_each_other_are_unreliable(d):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((600, d))
    t = 0.7 * x + 0.7 * rng.standard_normal((600, d))
    turned = t @ np.linalg.qr(rng.standard_normal((d, d)))[0]
    plain = kl(x, turned)
    assert "inconsistent" not in plain.flags
    assert plain.status is not Status.UNRELIABLE
    bent = kl(np.tanh(2 * x), np.tanh(2 * turned))  # the same information, 2 nats and more away
    assert float(bent.flags.value("inconsistent")) > 1
    assert bent.status is Status.UNRELIABLE
