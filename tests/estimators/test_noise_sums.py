"""Components at noisy samples over near pairs against all pairs, in every path."""

import numpy as np
import pytest

from infoplane.estimators.noise_sums import noise_products, noise_sums


def dense(rows, noise):
    z = rows + noise
    inside = -0.5 * ((z[:, None] - rows) ** 2).sum(axis=2)
    return np.exp(inside + 0.5 * (noise**2).sum(axis=1)[:, None])


def clouds(n=200, d=3, gap=30.0, seed=0):
    rng = np.random.default_rng(seed)
    return gap * rng.normal(size=(4, d))[rng.integers(0, 4, n)] + 3 * rng.normal(size=(n, d))


CASES = {
    "clouds": clouds(),
    "one cloud": clouds(gap=0.0),
    "few near": 10 * clouds(),
    "wide": clouds(d=120, gap=3.0),
    "large": clouds() + 3e5,
}


@pytest.mark.parametrize("rows", CASES.values(), ids=CASES)
@pytest.mark.parametrize("classes", [1, 2, 90])
def test_sums_equal_those_over_all_pairs(rows, classes):
    codes = np.arange(len(rows)) % classes
    noise = np.random.default_rng(1).standard_normal(rows.shape)
    ratio = dense(rows, noise)
    sums = noise_sums(rows, codes, noise)
    assert sums.everyone == pytest.approx(ratio.sum(axis=1), rel=1e-8)
    assert sums.own == pytest.approx((ratio * (codes[:, None] == codes)).sum(axis=1), rel=1e-8)


@pytest.mark.parametrize("rows", CASES.values(), ids=CASES)
def test_products_equal_those_over_all_pairs(rows):
    rng = np.random.default_rng(2)
    noise, weights = rng.standard_normal(rows.shape), rng.uniform(size=(len(rows), 3))
    product = noise_products(rows, weights, noise)
    assert product == pytest.approx(dense(rows, noise) @ weights, rel=1e-8)


def test_a_layer_without_columns_is_one_point():
    empty = np.zeros((3, 0))
    sums = noise_sums(empty, np.array([0, 0, 1]), empty)
    assert (sums.everyone.tolist(), sums.own.tolist()) == ([3, 3, 3], [2, 2, 1])
    assert noise_products(empty, np.ones((3, 2)), empty).tolist() == [[3, 3]] * 3
