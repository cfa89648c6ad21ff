"""Kernel bounds against their slow twin, brackets, and the cases that break naive distances."""

import math

import numpy as np
import pytest
from twins import kde as twin

from infoplane.errors import InputError
from infoplane.estimators import Shared, get
from infoplane.estimators.kernel_sums import kernel_sums
from infoplane.estimators.nulls import null_distribution
from infoplane.types import Status

kde = get("mi.kde")
kde_adaptive = get("mi.kde_adaptive")

BITS = 1e-8  # tolerance in bits


def layer(seed=0, n=90, d=3, gain=1.0):
    return np.tanh(gain * np.random.default_rng(seed).normal(size=(n, d)))


def labels(n=90, classes=3, seed=1):
    return np.random.default_rng(seed).integers(0, classes, n)


@pytest.mark.parametrize("v", [labels(), np.arange(90), np.arange(90) // 2], ids=["Y", "X", "X2"])
@pytest.mark.parametrize("bound", ["upper", "lower"])
@pytest.mark.parametrize("variance", [1e-3, 0.05, 2.0])
def test_bounds_match_the_twin(v, bound, variance):
    expected = twin.information(v, layer(), variance, bound) / math.log(2)
    estimate = kde(v, layer(), variance=variance, bound=bound)
    assert estimate.bits == pytest.approx(expected, abs=BITS)


@pytest.mark.parametrize("shift", [0.0, 1e3, -1e6])
def test_a_far_away_or_large_layer_loses_no_digits(shift):
    t = np.maximum(np.random.default_rng(2).normal(size=(80, 4)), 0) * 200
    t[40:] = t[:40] + 0.03 * layer(n=40, d=4)  # near pairs far from the origin
    t = (t + shift) - shift  # the shift itself rounds; the twin sees the same numbers
    expected = twin.information(np.arange(80), t, 1e-3) / math.log(2)
    assert kde(np.arange(80), t + shift).bits == pytest.approx(expected, abs=BITS)


def test_a_cloud_at_1e9_has_the_values_of_the_same_cloud_at_0():
    v, away = labels(), layer() + 1e9
    near = away - 1e9  # exact
    expected = twin.information(v, near, 0.1)
    assert kde(v, away, variance=0.1).value == pytest.approx(expected, abs=1e-12)
    divergence = get("mi.noisy")(v, away, sigma=0.3, bound="jensen").value
    assert divergence == pytest.approx(get("mi.noisy")(v, near, sigma=0.3, bound="jensen").value)


def test_an_outlier_does_not_spoil_the_others():
    t = layer()
    t[11] *= 1e7
    expected = twin.information(np.arange(90), t, 0.05) / math.log(2)
    estimate = kde(np.arange(90), t, variance=0.05)
    assert estimate.bits == pytest.approx(expected, abs=BITS)
    assert "heavy_tail" in estimate.flags


def test_upper_is_above_lower_and_both_below_log_n():
    for variance in (1e-4, 1e-2, 1.0):
        low, high = (
            kde(np.arange(90), layer(), variance=variance, bound=b).value
            for b in ("lower", "upper")
        )
        assert 0 <= low <= high <= math.log(90) + 1e-12


def test_the_bounds_bracket_a_mixture_of_known_information():
    # two clusters 2m apart with noise σ: I is that of a binary Gaussian channel, by quadrature
    m, sigma = 1.0, 0.8
    x = np.linspace(-10, 10, 20_001)
    components = [np.exp(-((x - s * m) ** 2) / (2 * sigma**2)) for s in (-1, 1)]
    components = [c / (sigma * math.sqrt(2 * math.pi)) for c in components]
    p = sum(components) / 2
    h = -(p * np.log(p)).sum() * (x[1] - x[0])
    truth = h - 0.5 * math.log(2 * math.pi * math.e * sigma**2)
    t = np.repeat([-m, m], 10)[:, None]
    low, high = (
        kde(np.arange(20), t, variance=sigma**2, bound=b).value for b in ("lower", "upper")
    )
    assert low < truth < high
    assert truth == pytest.approx(0.4355, abs=0.01)


def test_separate_rows_reach_log_n_and_coinciding_rows_zero():
    far = kde(np.arange(50), 100.0 * np.arange(50)[:, None])
    assert far.value == pytest.approx(math.log(50), abs=1e-12)
    assert far.status is Status.SATURATED
    assert "isolated" in far.flags
    assert far.info["isolated_share"] == 1.0
    near = kde(np.arange(50), 1e-9 * np.arange(50)[:, None])
    assert near.value == pytest.approx(0.0, abs=1e-9)
    assert near.info["isolated_share"] == 0.0


def test_label_information_is_a_difference_of_bounds_and_says_so():
    assert kde(labels(), layer()).info["bound"] == "difference of bounds"
    assert kde(np.arange(90), layer(), bound="lower").info["bound"] == "lower"


def test_label_information_stays_within_zero_and_the_label_entropy():
    # own-class kernel mass is part of the whole, so the difference cannot pass H(Y)
    for seed in range(40):
        rng = np.random.default_rng(seed)
        y, t = rng.integers(0, 2, 12), rng.integers(0, 4, (12, 1)).astype(float)
        for bound in ("upper", "lower"):
            estimate = kde(y, t, variance=0.3, bound=bound)
            assert -1e-12 <= estimate.value <= estimate.ceiling + 1e-12


def test_adaptive_noise_follows_the_activity():
    t, v = layer(), labels()
    expected = twin.information(v, t, 0.01 * float(np.abs(t).max()) ** 2)
    assert kde_adaptive(v, t, scale=0.01).value == pytest.approx(expected, abs=1e-10)
    for factor in (1e-200, 1e-30, 8.0, 1e30, 1e200):
        value = kde_adaptive(v, factor * t, scale=0.01).value
        assert value == pytest.approx(expected, abs=1e-9)
    linear = twin.information(v, 3 * t, 0.01 * float(np.abs(3 * t).max()))
    assert kde_adaptive(v, 3 * t, scale=0.01, power=1).value == pytest.approx(linear, abs=1e-10)


def test_blocks_change_no_value(monkeypatch):
    whole = [
        kde(v, layer(), bound=b) for v in (labels(), np.arange(90)) for b in ("upper", "lower")
    ]
    monkeypatch.setattr("infoplane.estimators.near_pairs._COLUMNS", 7)
    parts = [
        kde(v, layer(), bound=b) for v in (labels(), np.arange(90)) for b in ("upper", "lower")
    ]
    for a, b in zip(whole, parts, strict=True):
        assert a.value == pytest.approx(b.value, abs=1e-13)


@pytest.mark.parametrize("v", [labels(), np.arange(90), np.arange(90) // 2], ids=["Y", "X", "X2"])
@pytest.mark.parametrize("bound", ["upper", "lower"])
def test_compiled_sums_change_no_value_and_no_null(monkeypatch, v, bound):
    pytest.importorskip("numba")
    t = layer()
    plain = kde(v, t, bound=bound), null_distribution("mi.kde", v, t, bound=bound, rng=4)
    monkeypatch.setattr("infoplane.estimators.swept.MANY", 1)
    shared = Shared(t)
    kde(v, t, bound=bound, shared=shared)
    for given in (None, shared):
        assert kde(v, t, bound=bound, shared=given).value == pytest.approx(plain[0].value, abs=1e-9)
        null = null_distribution("mi.kde", v, t, bound=bound, rng=4, shared=given)
        assert null == pytest.approx(plain[1], abs=1e-6)


def test_both_bounds_share_what_was_summed(monkeypatch):
    calls = []
    monkeypatch.setattr(
        "infoplane.estimators.kde.kernel_sums",
        lambda *args, **more: calls.append(args[2]) or kernel_sums(*args, **more),
    )
    shared = Shared(t := layer())
    for bound in ("upper", "lower", "upper"):
        kde(labels(), t, bound=bound, shared=shared)
    assert calls == [(4,), (1,)]


def test_shared_sums_change_no_value():
    t = layer()
    shared = Shared(t)
    for v in (labels(), np.arange(90)):
        for bound in ("upper", "lower"):
            for _ in range(2):
                assert kde(v, t, bound=bound, shared=shared) == kde(v, t, bound=bound)
            assert kde_adaptive(v, t, bound=bound, shared=shared) == kde_adaptive(v, t, bound=bound)
    assert kde(labels(), layer(9), shared=shared) == kde(labels(), layer(9))


@pytest.mark.parametrize("function", [kde, kde_adaptive])
def test_trivial_layers_and_labels_have_value_zero(function):
    constant = function(labels(), np.full((90, 4), 0.3))
    assert (constant.value, constant.status) == (0.0, Status.DEGENERATE)
    single = function(np.zeros(90, int), layer())
    assert (single.value, single.status) == (0.0, Status.DEGENERATE)
    assert "single_class" in single.flags


def test_dead_units_do_not_count():
    padded = np.column_stack([layer(), np.zeros(90)])
    assert kde(labels(), padded).value == kde(labels(), layer()).value
    assert kde(labels(), padded).flags.value("dead") == "1"


@pytest.mark.parametrize("variance", [0.0, -1.0, float("nan"), "small", True])
def test_variance_must_be_positive(variance):
    with pytest.raises(InputError, match=r"`variance` of `mi.kde` must be a number in"):
        kde(labels(), layer(), variance=variance)


def test_a_layer_of_huge_values_keeps_its_rows_apart():
    y = np.arange(60) % 3
    t = np.random.default_rng(0).standard_normal((60, 2))
    for scale in (1e30, 1e200, 1e300):
        result = kde(y, t * scale)
        assert result.value == pytest.approx(math.log(3), abs=1e-9)
        assert "isolated" in result.flags
