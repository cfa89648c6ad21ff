import math

import numpy as np
import pytest

from infoplane.errors import InputError
from infoplane.estimators.fisher import fisher_information, fisher_share, functional_entropy


def exponential(n=200_000, seed=0):
    """f = exp(⟨a, x⟩) under a standard Gaussian, where the bound is an equality."""
    a = np.array([0.6, 0.0, 0.0])
    x = np.random.default_rng(seed).normal(size=(n, 3))
    f = np.exp(x @ a)
    return x, f[:, None] * a, f


def test_equality_for_the_exponential_of_a_gaussian():
    x, g, f = exponential()
    true = 0.5 * 0.36 * math.exp(0.18)
    assert true == pytest.approx(0.2155, abs=1e-4)
    for covariance in ("data", "unit"):
        found = fisher_information(x, gradient=g, function_values=f, covariance=covariance)
        assert found.value == pytest.approx(true, abs=5 * found.stderr + 0.002)
    assert functional_entropy(f) == pytest.approx(true, abs=0.01)
    assert found.info["relative"] == pytest.approx(0.18, abs=0.002)


def test_matches_the_definition_on_both_sides():
    rng = np.random.default_rng(1)
    for shape in ((30, 5), (5, 30)):
        x, g, f = rng.normal(size=shape), rng.normal(size=shape), rng.uniform(1, 2, shape[0])
        cov = np.cov(x.T, bias=True)
        true = np.mean([0.5 * gi @ cov @ gi / fi for gi, fi in zip(g, f, strict=True)])
        assert fisher_information(x, gradient=g, function_values=f).value == pytest.approx(true)


def test_row_order_and_the_scale_of_f():
    x, g, f = exponential(500)
    order = np.random.default_rng(2).permutation(500)
    value = fisher_information(x, gradient=g, function_values=f).value
    moved = fisher_information(x[order], gradient=g[order], function_values=f[order]).value
    assert moved == pytest.approx(value)
    larger = fisher_information(x, gradient=7 * g, function_values=7 * f)
    assert larger.value == pytest.approx(7 * value)


def test_shares():
    x, g, f = exponential(2000)
    setting = {"gradient": g, "function_values": f}
    assert fisher_share(x, begin=0, end=1, **setting).value == 1.0
    assert fisher_share(x, begin=1, end=3, **setting).value == 0.0
    mixed = {"gradient": np.outer(f, [1.0, 2.0, 2.0]), "function_values": f}
    share = fisher_share(x, begin=0, end=1, covariance="unit", **mixed)
    assert share.value == pytest.approx(1 / 9)
    other = fisher_share(x, begin=1, end=3, covariance="unit", **mixed)
    assert share.value + other.value == pytest.approx(1.0)
    flat = fisher_share(x, gradient=0 * g, function_values=f)
    assert (flat.value, "flat" in flat.flags) == (0.0, True)


def test_refusals():
    x, g, f = exponential(50)
    with pytest.raises(InputError, match="gradient="):
        fisher_information(x)
    with pytest.raises(InputError, match="must be positive"):
        fisher_information(x, gradient=g, function_values=f - 2)
    with pytest.raises(InputError, match="as `t`"):
        fisher_information(x, gradient=g[:, :2], function_values=f)
    with pytest.raises(InputError, match="same number"):
        fisher_information(x, gradient=g[:9], function_values=f)
    with pytest.raises(InputError, match="begin < end"):
        fisher_share(x, gradient=g, function_values=f, begin=2, end=9)


def test_function_values_out_of_range_are_refused():
    t = np.random.default_rng(0).standard_normal((20, 3))
    for value in (1e-200, 5e-324, 1e200, 1.7e308):
        with pytest.raises(InputError, match="function_values"):
            fisher_information(t, gradient=t, function_values=np.full(20, value))
