"""Nulls: fast forms equal the loop, the summary counts right, distinct X says nothing."""

import dataclasses
import math

import numpy as np
import pytest

from infoplane.errors import InputError
from infoplane.estimators import Shared, card, get, nulls, plugin
from infoplane.estimators.nulls import null_distribution, summarise

FAST = ("mi.binning", "mi.adaptive", "mi.kde", "mi.kde_adaptive")


def toy(n=150, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    return y, np.tanh(rng.normal(size=(n, 2)) + y[:, None])


@pytest.mark.parametrize("name", FAST)
def test_fast_null_equals_one_call_a_draw(name):
    y, t = toy()
    fast = null_distribution(name, y, t, draws=6, rng=3)
    labels = np.random.default_rng(3).permuted(np.tile(y, (6, 1)), axis=1)
    slow = [get(name)(shuffled, t).value for shuffled in labels]
    assert fast == pytest.approx(slow, abs=1e-10)


OF_LABELS = {
    "mi.cauchy_schwarz": [{}, {"sigma": 0.4, "normalised": True}],
    "mi.gaussian": [{}, {"shrinkage": 0.2}],
}


@pytest.mark.parametrize(
    ("name", "params"), [(n, p) for n, every in OF_LABELS.items() for p in every]
)
def test_a_null_from_one_pass_equals_one_call_a_draw(name, params):
    y, t = toy()
    fast = null_distribution(name, y, t, draws=6, rng=3, **params)
    labels = np.random.default_rng(3).permuted(np.tile(y, (6, 1)), axis=1)
    slow = [get(name)(shuffled, t, **params).value for shuffled in labels]
    assert fast == pytest.approx(slow, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "params"), [(n, p) for n, every in OF_LABELS.items() for p in every]
)
def test_a_null_of_a_continuous_variable_equals_one_call_a_draw(name, params):
    _, t = toy()
    x = t[:, :1] + np.random.default_rng(1).normal(size=(150, 3))
    fast = null_distribution(name, x, t, draws=4, rng=3, **params)
    rng = np.random.default_rng(3)
    slow = [get(name)(x[rng.permutation(150)], t, **params).value for _ in range(4)]
    assert fast == pytest.approx(slow, abs=1e-12)


@pytest.mark.parametrize("d", [20, 170])
def test_a_null_of_a_wide_layer_equals_one_call_a_draw(d):
    y = toy()[0]
    t = np.random.default_rng(2).normal(size=(150, d)) + y[:, None]
    fast = null_distribution("mi.gaussian", y, t, draws=2, rng=3)
    labels = np.random.default_rng(3).permuted(np.tile(y, (2, 1)), axis=1)
    assert fast == pytest.approx([get("mi.gaussian")(row, t).value for row in labels], abs=1e-10)
    fast = null_distribution("mi.gaussian", t[:, :3], t, draws=2, rng=3)
    rng = np.random.default_rng(3)
    orders = [rng.permutation(150) for _ in range(2)]
    slow = [get("mi.gaussian")(t[order, :3], t).value for order in orders]
    assert fast == pytest.approx(slow, abs=1e-10)


@pytest.mark.parametrize("name", OF_LABELS)
def test_the_null_of_a_constant_is_zero(name):
    y, t = toy()
    assert not null_distribution(name, y, np.ones_like(t), draws=3).any()
    assert not null_distribution(name, np.zeros_like(y), t, draws=3).any()


@pytest.mark.parametrize("bound", ["upper", "lower"])
def test_parameters_reach_the_null(bound):
    y, t = toy()
    fast = null_distribution("mi.kde", y, t, draws=2, rng=3, bound=bound, variance=0.2)
    labels = np.random.default_rng(3).permuted(np.tile(y, (2, 1)), axis=1)
    slow = [get("mi.kde")(s, t, bound=bound, variance=0.2).value for s in labels]
    assert fast == pytest.approx(slow, abs=1e-10)


@pytest.mark.parametrize("bound", ["upper", "lower"])
def test_a_null_from_a_kept_kernel_is_off_by_single_precision(monkeypatch, bound):
    y, t = toy()
    shared = Shared(t, y)
    exact = null_distribution("mi.kde", y, t, draws=4, rng=3, bound=bound)
    monkeypatch.setattr("infoplane.estimators.kernel_sums.KEPT", range(9999))
    monkeypatch.setattr("infoplane.estimators.kde.KEPT", range(9999))
    value = get("mi.kde")(y, t, bound=bound, shared=shared)
    kept = null_distribution("mi.kde", y, t, draws=4, rng=3, bound=bound, shared=shared)
    assert kept == pytest.approx(exact, abs=1e-7)
    assert (kept != exact).any()
    assert value == get("mi.kde")(y, t, bound=bound)


@pytest.mark.parametrize("name", FAST)
def test_distinct_inputs_have_a_null_equal_to_the_estimate(name):
    _, t = toy()
    estimate = get(name)(np.arange(len(t)), t).value
    null = null_distribution(name, np.arange(len(t)), t, draws=3)
    assert null == pytest.approx([estimate] * 3, abs=1e-12)
    assert summarise(null, estimate).p == 1.0


@pytest.mark.parametrize("name", FAST)
def test_dependence_stands_out_and_random_labels_do_not(name):
    y, t = toy()
    params = {"variance": 0.1} if name == "mi.kde" else {}
    if name == "mi.kde_adaptive":
        params = {"scale": 0.1}
    told = summarise(
        null_distribution(name, y, t[:, :1], draws=99, **params),
        get(name)(y, t[:, :1], **params).value,
    )
    assert told.p == 0.01
    shuffled = np.random.default_rng(8).permutation(y)
    nothing = summarise(
        null_distribution(name, shuffled, t[:, :1], draws=99, **params),
        get(name)(shuffled, t[:, :1], **params).value,
    )
    assert nothing.p > 0.05


def test_symbols_far_apart_are_counted_by_sorting_and_count_the_same():
    rng = np.random.default_rng(5)
    y, codes = rng.integers(0, 3, 150), plugin.ranks(rng.integers(0, 60, 150))
    near, far = plugin.tally(codes), plugin.tally(codes << 55, 60 << 55)
    assert plugin.information(y, far) == plugin.information(y, near) <= math.log(3)
    draws = [plugin.shuffled(y, t, 4, np.random.default_rng(1)) for t in (near, far)]
    np.testing.assert_array_equal(*draws)


def test_the_loop_serves_an_estimator_without_a_fast_form(monkeypatch):
    y, t = toy()
    fast = null_distribution("mi.binning", y, t, draws=400, rng=0)
    plain = dataclasses.replace(card("mi.binning"), null=None)
    monkeypatch.setattr(nulls, "card", lambda name: plain)
    slow = null_distribution("mi.binning", y, t, draws=400, rng=0, shared=Shared(t))
    assert slow.mean() == pytest.approx(fast.mean(), abs=5e-3)
    assert slow.std() == pytest.approx(fast.std(), rel=0.2)


def test_same_seed_same_null():
    y, t = toy()
    first, second, other = (null_distribution("mi.kde", y, t, rng=seed) for seed in (5, 5, 6))
    assert first.tobytes() == second.tobytes()
    assert first.tobytes() != other.tobytes()


def test_summary_counts_what_reaches_the_estimate():
    null = summarise([0.1, 0.2, 0.3, 0.4], 0.3)
    assert null.p == pytest.approx(3 / 5)
    assert (null.mean, null.q50, null.draws) == (pytest.approx(0.25), pytest.approx(0.25), 4)
    assert null.sd == pytest.approx(np.std([0.1, 0.2, 0.3, 0.4], ddof=1))
    assert summarise([1.0], 1.0 + 1e-15).p == 1.0  # equal up to rounding
    assert summarise([1.0], 2.0).sd == 0.0


@pytest.mark.parametrize("draws", [0, -3, 2.5, True, "many"])
def test_draws_must_be_a_positive_int(draws):
    with pytest.raises(InputError, match="`draws` of a null must be an int ≥ 1"):
        null_distribution("mi.binning", *toy(), draws=draws)


@pytest.mark.parametrize("values", [[], [math.nan], [[0.1]]])
def test_a_null_must_be_finite_values(values):
    with pytest.raises(InputError, match="vector of finite values"):
        summarise(values, 0.0)
