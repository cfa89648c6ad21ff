"""Gaussian mixtures: quadrature, closed forms, brackets, and the published special cases."""

import math

import numpy as np
import pytest
from twins import mixtures as twin

from infoplane.errors import InputError
from infoplane.estimators import Shared, get
from infoplane.estimators.nulls import null_distribution
from infoplane.types import Status

noisy = get("mi.noisy")
stochastic = get("mi.stochastic")
binning_given = get("mi.binning_given")


def toy(n=60, d=3, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    return y, np.tanh(rng.normal(size=(n, d)) + 0.5 * y[:, None])


def within(estimate, truth, times=5.0):
    return abs(estimate.value - truth) < times * estimate.stderr + 1e-6


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("sigma", [0.05, 0.3])
def test_monte_carlo_meets_quadrature(conditional, sigma):
    y, t = toy(n=30, d=1)
    for v in (y, np.arange(30)):
        truth = twin.on_a_grid(v, t[:, 0], [sigma] * 30, conditional)
        estimate = noisy(v, t, sigma=sigma, conditional=conditional, draws=400)
        assert within(estimate, truth)
        assert estimate.stderr < 0.01


def test_stderr_covers_the_truth():
    y, t = toy(n=30, d=1)
    truth = twin.on_a_grid(y, t[:, 0], [0.2] * 30)
    inside = [within(noisy(y, t, sigma=0.2, rng=s, draws=6), truth, 2.0) for s in range(40)]
    assert 0.8 <= np.mean(inside) <= 1.0


@pytest.mark.parametrize("conditional", [False, True])
def test_own_deviations_meet_quadrature(conditional):
    rng = np.random.default_rng(3)
    y, mean = rng.integers(0, 2, 25), rng.normal(size=25)
    deviation = rng.uniform(0.1, 0.6, 25)
    truth = twin.on_a_grid(y, mean, deviation, conditional)
    t = np.column_stack([mean, deviation])
    estimate = stochastic(y, t, conditional=conditional, draws=400)
    assert within(estimate, truth)
    same = stochastic(y, mean, deviation=deviation, conditional=conditional, draws=400)
    assert same.value == pytest.approx(estimate.value, abs=1e-12)


def test_jensen_is_the_mean_pairwise_divergence():
    rng = np.random.default_rng(4)
    mean, deviation = rng.normal(size=(20, 3)), rng.uniform(0.2, 1.0, (20, 3))
    y = rng.integers(0, 3, 20)
    t = np.hstack([mean, deviation])
    whole = twin.jensen(mean, deviation)
    assert stochastic(np.arange(20), t, bound="jensen").value == pytest.approx(whole, rel=1e-12)
    classes = sum(
        (y == c).mean() * twin.jensen(mean[y == c], deviation[y == c]) for c in np.unique(y)
    )
    given = stochastic(y, t, bound="jensen", conditional=True).value
    assert given == pytest.approx(classes, rel=1e-12)
    label = stochastic(y, t, bound="jensen").value
    assert label == pytest.approx(whole - classes, rel=1e-12)


def test_jensen_of_added_noise_is_the_variance_ratio():
    _, t = toy()
    estimate = noisy(np.arange(60), t, sigma=0.3, bound="jensen")
    assert estimate.value == pytest.approx(t.var(axis=0).sum() / 0.09, rel=1e-12)
    assert estimate.value > math.log(60)  # no ceiling …
    assert estimate.ceiling is None  # … and none is claimed


def test_monte_carlo_lies_between_the_kernel_bounds_and_below_jensen():
    _, t = toy()
    x = np.arange(60)
    for sigma in (0.05, 0.2, 1.0):
        low, high = (
            get("mi.kde")(x, t, variance=sigma**2, bound=b).value for b in ("lower", "upper")
        )
        estimate = noisy(x, t, sigma=sigma, draws=50)
        margin = 4 * estimate.stderr
        assert low - margin <= estimate.value <= high + margin
        assert estimate.value <= noisy(x, t, sigma=sigma, bound="jensen").value + margin


def test_chain_rule():
    # X determines Y: I(X;Z) = I(Y;Z) + I(X;Z|Y), term by term for the same noise
    y, t = toy()
    order = np.argsort(y, kind="stable")  # rows are sorted by class inside: same noise for all
    y, t = y[order], t[order]
    total, label, rest = (
        noisy(v, t, conditional=c).value for v, c in ((np.arange(60), False), (y, False), (y, True))
    )
    assert total == pytest.approx(label + rest, abs=1e-10)


def test_goldfeld_noisy_network():
    # five noise draws of an earlier layer for each of eight inputs: h(all) − mean h(input's own)
    rng = np.random.default_rng(5)
    centres = np.repeat(rng.normal(size=8), 5) + 0.2 * rng.normal(size=40)
    x = np.repeat(np.arange(8), 5)
    truth = twin.on_a_grid(x, centres, [0.1] * 40)
    assert within(noisy(x, centres, sigma=0.1, draws=300), truth)


def test_a_large_and_far_layer_loses_no_digits():
    y, t = toy()
    t = np.round(t, 2)
    near = noisy(y, t, sigma=0.2)
    assert noisy(y, t * 2.0**20 + 2.0**33, sigma=0.2 * 2**20).value == pytest.approx(
        near.value, abs=1e-9
    )
    spread = np.full_like(t, 0.2)
    spread[5] = 1e-7  # one deterministic row
    wide, tall = np.hstack([t, spread]), np.hstack([t + 2.0**25, spread])
    assert stochastic(y, tall).value == pytest.approx(stochastic(y, wide).value, abs=1e-6)


def test_blocks_and_shared_change_no_value(monkeypatch):
    y, t = toy()
    whole = noisy(y, t)
    assert noisy(y, t, shared=Shared(t)) == whole
    monkeypatch.setattr("infoplane.estimators.mixtures._BLOCK", 200)
    assert noisy(y, t).value == pytest.approx(whole.value, abs=1e-12)


@pytest.mark.parametrize("params", [{}, {"conditional": True}, {"bound": "jensen"}])
@pytest.mark.parametrize("name", ["mi.noisy", "mi.stochastic"])
def test_null_is_that_of_shuffled_labels(name, params):
    y, t = toy()
    t = np.abs(t) + 0.1
    t = t[:, :2] if name == "mi.stochastic" else t
    fast = null_distribution(name, y, t, draws=60, rng=1, **params)
    rng = np.random.default_rng(2)
    slow = [get(name)(rng.permutation(y), t, rng=rng, **params).value for _ in range(60)]
    assert fast.mean() == pytest.approx(np.mean(slow), abs=4 * np.std(slow) / math.sqrt(60) + 0.01)
    assert fast.std() < 3 * np.std(slow) + 0.01


def test_null_of_many_small_classes_and_of_distinct_inputs():
    _, t = toy(n=400, d=2)
    pairs = np.arange(400) // 2
    null = null_distribution("mi.noisy", pairs, t, draws=3, sigma=0.02)
    assert null == pytest.approx([noisy(pairs, t, sigma=0.02).value] * 3, abs=0.3)
    assert len(set(null.tolist())) == 3
    distinct = null_distribution("mi.noisy", np.arange(400), t, draws=3, sigma=0.02)
    assert set(distinct.tolist()) == {noisy(np.arange(400), t, sigma=0.02).value}


@pytest.mark.parametrize("function", [noisy, stochastic])
def test_trivial_layers_and_labels_have_value_zero(function):
    y, _ = toy()
    constant = function(y, np.full((60, 4), 0.3))
    assert (constant.value, constant.status) == (0.0, Status.DEGENERATE)
    assert "constant" in constant.flags
    single = function(np.zeros(60, int), np.random.default_rng(0).uniform(0.1, 1, (60, 4)))
    assert single.value == pytest.approx(0.0, abs=1e-12)
    assert "single_class" in single.flags


@pytest.mark.parametrize(
    ("t", "deviation", "words"),
    [
        (np.ones((4, 3)), None, "side by side, an even number of columns; got 3"),
        (np.arange(8.0).reshape(4, 2) - 9, None, "must be positive; got -8"),
        (np.ones((4, 3)), np.ones((4, 2)), r"must be \(4, 3\), \(4,\) or a number"),
        (np.ones((4, 3)), -0.5, "must be positive"),
    ],
)
def test_wrong_deviations_are_refused(t, deviation, words):
    with pytest.raises(InputError, match=words):
        stochastic([0, 1, 0, 1], t, deviation=deviation)


# ----------------------------------------------------------------------- binned conditional form


def test_binned_conditional_information_is_that_of_counts():
    y, t = toy()
    size = (t.max() - t.min()) / 10
    rows = [tuple(row) for row in np.floor((t - t.min()) / size).astype(int)]
    truth = 0.0
    for c in np.unique(y):
        members = [row for row, label in zip(rows, y, strict=True) if label == c]
        p = np.array([members.count(s) for s in set(members)]) / len(members)
        truth -= len(members) / 60 * float((p * np.log(p)).sum())
    assert binning_given(y, t).value == pytest.approx(truth, abs=1e-12)


def test_published_conditional_form_has_a_range_for_every_class():
    y, t = toy(d=1)
    t[y == 0] *= 0.01
    entropies = []
    for c in np.unique(y):
        part = t[y == c]
        cells = np.floor((part - part.min()) / ((part.max() - part.min()) / 10)).astype(int)
        p = np.unique(cells, return_counts=True)[1] / len(part)
        entropies.append(-(p * np.log(p)).sum())
    published = binning_given(y, t, compat="published").value
    assert published == pytest.approx(np.mean(entropies), abs=1e-12)
    assert published > binning_given(y, t).value


def test_conditional_form_closes_the_chain():
    y, t = toy()
    edges = {"bins": 11, "range": "layer"}
    binning = get("mi.binning")
    total, label = binning(np.arange(60), t, **edges).value, binning(y, t, **edges).value
    assert binning_given(y, t, bins=10).value == pytest.approx(total - label, abs=1e-9)


@pytest.mark.parametrize(
    ("kind", "put_out"),
    [
        ("deviation", lambda s: s),
        ("variance", np.square),
        ("log_variance", lambda s: 2 * np.log(s)),
    ],
)
def test_the_spread_may_be_a_variance_or_its_logarithm(kind, put_out):
    rng = np.random.default_rng(0)
    mean, deviation = rng.normal(size=(40, 3)), rng.uniform(0.2, 1.5, size=(40, 3))
    v = np.arange(40) % 4
    expected = get("mi.stochastic")(v, mean, deviation=deviation).value
    apart = get("mi.stochastic")(v, mean, deviation=put_out(deviation), spread=kind)
    joined = get("mi.stochastic")(v, np.hstack([mean, put_out(deviation)]), spread=kind)
    assert apart.value == pytest.approx(expected, abs=1e-12)
    assert joined.value == pytest.approx(expected, abs=1e-12)


def test_logarithms_and_names_are_not_taken_for_deviations():
    rng = np.random.default_rng(0)
    mean, logs = rng.normal(size=(40, 3)), rng.normal(size=(40, 3))
    with pytest.raises(InputError, match="log_variance"):
        get("mi.stochastic")(np.arange(40), mean, deviation=logs)
    with pytest.raises(InputError, match="within ±600"):
        get("mi.stochastic")(np.arange(40), mean, deviation=1e3 * logs, spread="log_variance")
    with pytest.raises(InputError, match="names a layer of a run"):
        get("mi.stochastic")(np.arange(40), np.hstack([mean, mean]), deviation_layer="sd")
