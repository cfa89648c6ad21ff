import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twins.spectral import gaussian_kernel, joint_entropy, label_kernel, matrix_entropy

from infoplane.errors import InputError, NonFiniteError, RefusedError, TooFewSamplesError
from infoplane.estimators import gram as room
from infoplane.estimators.dime import dime, dime_null
from infoplane.estimators.renyi import (
    renyi_conditional,
    renyi_entropy,
    renyi_joint,
    renyi_mi,
    renyi_null,
)
from infoplane.estimators.shared import Shared
from infoplane.types import Status

ALPHAS = [0.5, 1.0, 1.01, 2.0, 5.0]


def pair(n=50, seed=0, noise=0.5):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    return x, np.hstack([x + noise * rng.normal(size=(n, 2)), rng.normal(size=(n, 1))])


def labelled(n=60, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(classes, size=n)
    return y, rng.normal(size=(n, 4)) + 2.0 * y[:, None]


@pytest.mark.parametrize("alpha", ALPHAS)
def test_all_forms_match_the_slow_version(alpha):
    tolerance = {"abs": 1e-9 if alpha > 0.9 else 1e-6}
    x, t = pair()
    a, b = gaussian_kernel(x, 0.8), gaussian_kernel(t, 0.8)
    s_a, s_b = matrix_entropy(a, alpha), matrix_entropy(b, alpha)
    joint = joint_entropy(a, b, alpha)
    setting = {"alpha": alpha, "sigma": 0.8}
    assert renyi_entropy(t, **setting).value == pytest.approx(s_b, **tolerance)
    assert renyi_joint(t, x, **setting).value == pytest.approx(joint, **tolerance)
    assert renyi_conditional(t, x, **setting).value == pytest.approx(joint - s_a, **tolerance)
    assert renyi_mi(x, t, **setting).value == pytest.approx(s_a + s_b - joint, **tolerance)
    assert renyi_mi(t, x, **setting).value == pytest.approx(s_a + s_b - joint, **tolerance)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_labels_enter_as_the_matrix_of_equal_labels(alpha):
    y, t = labelled()
    a, b = label_kernel(y), gaussian_kernel(t, 1.5)
    true = matrix_entropy(a, alpha) + matrix_entropy(b, alpha) - joint_entropy(a, b, alpha)
    found = renyi_mi(y, t, alpha=alpha, sigma=1.5)
    assert found.value == pytest.approx(true, abs=1e-9 if alpha > 0.9 else 1e-5)
    assert renyi_mi(np.array(list("abc"))[y], t, alpha=alpha, sigma=1.5).value == found.value
    left = renyi_conditional(t, y, alpha=alpha, sigma=1.5)
    assert left.value == pytest.approx(left.info["entropy_t"] - found.value, abs=1e-9)
    assert renyi_joint(t, y, alpha=alpha, sigma=1.5).value == pytest.approx(left.info["joint"])


def test_known_matrices():
    far = np.arange(20.0)[:, None] * 1000
    y, t = labelled()
    for alpha in ALPHAS:
        assert renyi_entropy(far, alpha=alpha, sigma=1.0).value == pytest.approx(math.log(20))
        blocks = np.repeat(far[:4], 5, axis=0)
        assert renyi_entropy(blocks, alpha=alpha, sigma=1.0).value == pytest.approx(math.log(4))
        assert renyi_entropy(np.ones((9, 2)), alpha=alpha).value == pytest.approx(0.0, abs=1e-12)
    shares = np.bincount(y) / len(y)
    shannon = -(shares * np.log(shares)).sum()
    assert renyi_mi(y, t, alpha=1.0).info["entropy_v"] == pytest.approx(shannon, abs=1e-12)


def test_information_of_a_variable_with_itself_is_not_its_entropy():
    _, t = pair()
    kernel = gaussian_kernel(t, 1.0)
    true = 2 * matrix_entropy(kernel, 2.0) - joint_entropy(kernel, kernel, 2.0)
    assert renyi_mi(t, t, alpha=2.0, sigma=1.0).value == pytest.approx(true, abs=1e-10)
    assert true < matrix_entropy(kernel, 2.0) - 0.1


def test_alpha_near_one_is_continuous():
    x, t = pair()
    one = renyi_mi(x, t, alpha=1.0).value
    for alpha in (1 - 1e-6, 1 + 1e-6, 1 + 1e-12):
        assert renyi_mi(x, t, alpha=alpha).value == pytest.approx(one, abs=1e-4)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(ALPHAS), st.floats(0.1, 5.0))
def test_bounds(seed, alpha, sigma):
    x, t = pair(25, seed)
    found = renyi_mi(x, t, alpha=alpha, sigma=sigma)
    s_x, s_t, joint = (found.info[key] for key in ("entropy_v", "entropy_t", "joint"))
    assert -1e-7 <= found.value <= min(s_x, s_t) + 1e-7
    assert max(s_x, s_t) - 1e-7 <= joint <= math.log(25) + 1e-7


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_row_order_rotation_and_constant_units(seed):
    rng = np.random.default_rng(seed)
    y, t = labelled(seed=seed)
    value = renyi_mi(y, t, sigma=2.0).value
    order = rng.permutation(len(y))
    assert renyi_mi(y[order], t[order], sigma=2.0).value == pytest.approx(value, abs=1e-9)
    rotation = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    assert renyi_mi(y, t @ rotation, sigma=2.0).value == pytest.approx(value, abs=1e-9)
    wide = np.hstack([t, np.full((len(y), 1), 7.0)])
    for sigma in (2.0, "scott", "median"):
        expected = renyi_mi(y, t, sigma=sigma).value
        assert renyi_mi(y, wide, sigma=sigma).value == pytest.approx(expected, abs=1e-9)


def test_the_rule_of_the_width_makes_it_scale_free():
    y, t = labelled()
    for sigma in ("scott", "median"):
        value = renyi_mi(y, t, sigma=sigma).value
        for scale in (1e-30, 1e30, 1e150):
            assert renyi_mi(y, scale * t, sigma=sigma).value == pytest.approx(value, abs=1e-9)
    z = (t - t.mean(axis=0)) / t.std(axis=0)
    assert renyi_entropy(z).info["sigma"] == pytest.approx(2.0 * 60 ** (-1 / 8))


def test_dime_is_zero_when_independent_and_positive_otherwise():
    y, t = labelled(120)
    rng = np.random.default_rng(3)
    assert dime(y, t).value > 0.2
    assert abs(dime(rng.permutation(y), t).value) < 0.03
    x, t = pair(80)
    assert dime(x, t, sigma=1.0).value > 0.2
    assert abs(dime(rng.permutation(x), t, sigma=1.0).value) < 0.06
    assert dime(x, t, rng=1).value == dime(x, t, rng=1).value
    assert dime(x, t).stderr > 0


def test_dime_over_all_permutations_matches_the_slow_version():
    y, t = np.array([0, 0, 1, 1, 2]), np.arange(5.0)[:, None]
    kernel, labels = gaussian_kernel(t, 1.0), label_kernel(y)
    every = [
        joint_entropy(kernel, labels[np.ix_(p, p)], 1.01)
        for p in map(list, itertools.permutations(range(5)))
    ]
    true = np.mean(every) - joint_entropy(kernel, labels, 1.01)
    found = dime(y, t, sigma=1.0, permutations=1500)
    assert abs(found.value - true) < 4 * found.stderr


@pytest.mark.parametrize("discrete", [True, False])
def test_fast_nulls_are_the_plain_loop(discrete):
    v, t = labelled() if discrete else pair(40)
    fast = renyi_null(v, t, draws=6, rng=0, sigma=1.0)
    rng = np.random.default_rng(0)
    slow = [renyi_mi(v[rng.permutation(len(v))], t, sigma=1.0).value for _ in range(6)]
    np.testing.assert_allclose(fast, slow, atol=1e-9)
    draws = dime_null(v, t, draws=30, rng=0, sigma=1.0)
    assert draws.shape == (30,)
    assert abs(draws.mean()) < 0.05
    assert dime(v, t, sigma=1.0).value > draws.max()


@pytest.mark.parametrize("alpha", [1.5, 3.0, 5.0, 50.0])
def test_high_orders_of_many_far_rows(alpha):
    """All rows their own direction: log n at any order, in whole and class by class."""
    n, t = 300, np.arange(300.0)[:, None]
    y = np.repeat([0, 1, 2], 100)
    setting = {"alpha": alpha, "sigma": 0.01}
    assert renyi_entropy(t, **setting).value == pytest.approx(math.log(n), rel=1e-12)
    assert renyi_joint(t, y, **setting).value == pytest.approx(math.log(n), rel=1e-12)
    assert renyi_conditional(t, y, **setting).value == pytest.approx(math.log(100), rel=1e-12)
    assert renyi_mi(y, t, **setting).value == pytest.approx(math.log(3), rel=1e-12)
    assert renyi_mi(t, t, **setting).value == pytest.approx(math.log(n), rel=1e-12)


def test_quadrature_agrees_with_exact(monkeypatch):
    y, t = labelled(500)
    x, other = pair(500)
    cases = [
        (lambda **k: renyi_entropy(t, **k)),
        (lambda **k: renyi_mi(x, other, **k)),
        (lambda **k: renyi_mi(y, t, **k)),
    ]
    for alpha in (1.0, 1.01, 0.7, 5.0):
        exact = [case(alpha=alpha, sigma=1.0) for case in cases]
        with monkeypatch.context() as patch:
            patch.setattr(room, "EXACT", 100)
            rough = [case(alpha=alpha, sigma=1.0) for case in cases]
        for a, b in zip(exact, rough, strict=True):
            assert a.stderr is None
            assert 0 < b.stderr < 0.02 * max(a.value, 1.0)
            assert abs(a.value - b.value) < 4.5 * b.stderr + 1e-4


def test_shared_changes_nothing():
    y, t = labelled()
    shared = Shared(t)
    for alpha in ALPHAS:
        assert renyi_mi(y, t, alpha=alpha, shared=shared).value == renyi_mi(y, t, alpha=alpha).value
        assert renyi_entropy(t, alpha=alpha, shared=shared).value == pytest.approx(
            renyi_entropy(t, alpha=alpha).value, abs=0
        )


def test_hostile_inputs(monkeypatch):
    y, t = labelled()
    constant = renyi_mi(y, np.ones((60, 3)))
    assert constant.status is Status.DEGENERATE
    assert constant.value == pytest.approx(0.0, abs=1e-12)
    single = renyi_mi(np.zeros(60, int), t)
    assert single.value == pytest.approx(0.0, abs=1e-9)
    assert "single_class" in single.flags
    distinct = renyi_mi(np.arange(60), t)
    assert "all_distinct" in distinct.flags
    assert distinct.value == pytest.approx(renyi_entropy(t).value, abs=1e-9)
    with pytest.raises(NonFiniteError):
        renyi_mi(y, np.where(t > 3, np.inf, t))
    with pytest.raises(TooFewSamplesError):
        renyi_entropy(t[:1])
    with pytest.raises(InputError, match="alpha"):
        renyi_entropy(t, alpha=0.0)
    with pytest.raises(InputError, match="same number"):
        dime(y[1:], t)
    monkeypatch.setattr(room, "LIMIT", 50)
    with pytest.raises(RefusedError, match="at most 50"):
        renyi_entropy(t)
    with pytest.raises(RefusedError, match="at most 50"):
        dime(y, t)
