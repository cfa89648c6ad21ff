"""Scalar pairs, factorised codes, spacings: closed forms and what published code gives."""

import math

import numpy as np
import pytest
from conformance.hostile import HOSTILE
from scipy.special import digamma, ndtr
from scipy.stats import gaussian_kde

from infoplane import truth
from infoplane.errors import InputError, NonFiniteError
from infoplane.estimators import card, get
from infoplane.estimators.codes import redundancy
from infoplane.estimators.scalar import bandwidth, best_bins, equal_bins, grid_density
from infoplane.estimators.spacing import spacing_entropy
from infoplane.types import Status

LOG2 = math.log(2)


# ------------------------------------------------------------------ bins


def test_the_number_of_bins_is_the_best_of_the_criterion():
    column = np.random.default_rng(0).standard_normal(500)

    def score(count):
        filled = np.histogram(column, bins=count)[0]
        likelihood = sum(c * math.log(c) for c in filled if c) + 500 * math.log(count)
        return likelihood - (count - 1 + math.log(count) ** 2.5)

    assert best_bins(column) == 2 + int(np.argmax([score(count) for count in range(2, 100)]))


def test_quantised_values_on_an_edge_fall_as_in_a_histogram():
    column = np.round(np.random.default_rng(0).standard_normal(1000), 1)
    for count in range(2, 100):
        filled = np.histogram(column, count)[0]
        assert np.bincount(equal_bins(column, count)).tolist() == filled[filled > 0].tolist()


def test_a_flat_column_gets_two_bins_and_is_said_to_hide_what_it_knows():
    x = np.random.default_rng(0).random(1000)
    alike = get("mi.birge_rozenholc")(x[:, None], x[:, None])
    assert alike.value == pytest.approx(LOG2, abs=1e-2)  # one bin would read 0
    y = (np.abs(x - 0.5) < 0.25).astype(int)  # known from x, and not from its halves
    hidden = get("mi.birge_rozenholc")(y, x[:, None])
    assert hidden.value < 0.01
    for found in (alike, hidden):
        assert "few_bins" in found.flags
        assert found.status is Status.UNRELIABLE


@pytest.mark.parametrize(
    ("rho", "expected"), [(0.0, 0.039), (0.5, 0.206), (0.75, 0.428), (0.9, 0.778)]
)
def test_bins_near_the_published_run(rho, expected):
    x, t = truth.gaussian(rho).sample(2000, seed=0)
    assert get("mi.birge_rozenholc")(x, t).value == pytest.approx(expected, abs=0.06)


def test_symbols_are_counted_as_they_are():
    y = np.arange(60) % 3
    assert get("mi.birge_rozenholc")(y, y).value == pytest.approx(math.log(3), abs=1e-12)
    assert get("mi.fft_kde")(y, y).value == pytest.approx(math.log(3), abs=1e-12)


# ------------------------------------------------------------------ fft density


@pytest.mark.parametrize(
    ("rho", "expected"), [(0.0, 0.011), (0.5, 0.131), (0.75, 0.357), (0.9, 0.648)]
)
def test_fft_near_the_correctly_scaled_reference(rho, expected):
    x, t = truth.gaussian(rho).sample(2000, seed=0)
    assert get("mi.fft_kde")(x, t).value == pytest.approx(expected, abs=0.05)


def test_grid_density_is_the_kernel_density():
    rng = np.random.default_rng(0)
    x = rng.standard_normal(80)
    grid = grid_density(x, rng.standard_normal(80), 512, 1.0).sum(axis=1)
    h = bandwidth(x)
    nodes = np.linspace(x.min() - 4 * h, x.max() + 4 * h, 512)
    kernel = gaussian_kde(x, bw_method=h / x.std(ddof=1))(nodes)
    np.testing.assert_allclose(grid / (nodes[1] - nodes[0]), kernel, atol=2e-3)


def test_the_bandwidth_matters():
    x, t = truth.gaussian(0.75).sample(1000, seed=0)
    values = [get("mi.fft_kde")(x, t, factor=f).value for f in (0.5, 1, 2)]
    assert values[0] > values[1] > values[2]


def test_labels_against_a_unit():
    rng = np.random.default_rng(0)
    y = np.arange(2000) % 2
    t = rng.standard_normal(2000) + 100 * y
    for name in ("mi.fft_kde", "mi.birge_rozenholc"):
        assert get(name)(y, t).value == pytest.approx(LOG2, abs=0.02)
        assert get(name)(t, y).value == pytest.approx(get(name)(y, t).value, abs=1e-12)


def test_vectors_are_refused_and_constants_are_zero():
    t = np.random.default_rng(0).standard_normal((50, 2))
    for name in ("mi.fft_kde", "mi.birge_rozenholc"):
        with pytest.raises(InputError, match="one column"):
            get(name)(t[:, 0], t)
        assert get(name)(t[:, 0], np.ones(50)).status is Status.DEGENERATE
        assert get(name)(np.zeros(50, int), t[:, 0]).flags == ("single_class",)


@pytest.mark.parametrize("name", ["mi.birge_rozenholc", "mi.fft_kde"])
@pytest.mark.parametrize("first", ["labels", "unit"])
def test_hostile_columns(name, first):
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    wide = np.tanh(rng.standard_normal((60, 4)) + y[:, None])
    v = y if first == "labels" else wide[:, :1] + 0.3 * rng.standard_normal((60, 1))
    for what, make, expected in HOSTILE:
        if not isinstance(broken := make(wide), np.ndarray) or broken.ndim != 2:
            continue
        if len(broken) != 60 or broken.shape[1] == 0 or broken.dtype.kind in "OMUSV":
            continue
        column = broken[:, :1]
        if expected == "nonfinite" and not np.isfinite(column).all():
            with pytest.raises(NonFiniteError):
                get(name)(v, column)
            continue
        if column.dtype.kind == "c":
            continue
        result = get(name)(v, column)
        assert math.isfinite(result.value), what
        if expected == "constant":
            assert "constant" in result.flags, what


# ------------------------------------------------------------------ codes


def test_codes_of_integers_are_the_plug_in():
    y = np.arange(64) % 4
    bits = np.column_stack([y // 2, y % 2])
    result = get("mi.codes")(y, bits)
    assert result.value == pytest.approx(math.log(4), abs=1e-12)
    assert result.info["redundancy"] == pytest.approx(0, abs=1e-12)
    assert result.info["per_code"] == pytest.approx([LOG2, LOG2], abs=1e-12)


def test_a_copied_code_is_counted_twice_and_said():
    y = np.arange(64) % 2
    result = get("mi.codes")(y, np.column_stack([y, y]))
    assert result.value == pytest.approx(2 * LOG2, abs=1e-12)
    assert result.info["redundancy"] == pytest.approx(LOG2, abs=1e-12)
    assert "redundant" in result.flags


def test_soft_codes_equal_the_softmax_channel():
    rng = np.random.default_rng(0)
    y, logits = np.arange(100) % 3, rng.standard_normal((100, 3))
    expected = get("mi.softmax")(y, logits).value
    assert get("mi.codes")(y, logits, levels=3).value == pytest.approx(expected, abs=1e-12)
    with pytest.raises(InputError, match="multiple of `levels`"):
        get("mi.codes")(y, logits, levels=2)


def test_redundancy_equals_a_double_loop():
    p = np.random.default_rng(0).dirichlet(np.ones(3), size=(20, 4))

    def entropy(q):
        return -(q * np.log(q)).sum()

    mean, total = p.mean(0), 0.0
    for i in range(4):
        for j in range(i):
            joint = sum(np.outer(row[i], row[j]) for row in p) / 20
            total += entropy(mean[i]) + entropy(mean[j]) - entropy(joint)
    assert redundancy(p) == pytest.approx(total, abs=1e-12)


def test_codes_null_equals_the_loop():
    rng = np.random.default_rng(0)
    y, t = rng.integers(3, size=50), rng.integers(4, size=(50, 2))
    fast = card("mi.codes").null(y, t, draws=3, rng=np.random.default_rng(1))
    again = np.random.default_rng(1)
    slow = [get("mi.codes")(again.permutation(y), t).value for _ in range(3)]
    np.testing.assert_allclose(fast, slow, atol=1e-12)


# ------------------------------------------------------------------ spacings


@pytest.mark.parametrize(("n", "published"), [(100, -0.046), (400, -0.024), (2500, -0.0098)])
def test_bias_on_the_uniform(n, published):
    m = round(math.sqrt(n))
    exact = digamma(m) - digamma(n + 1) + math.log((n + 1) / m)
    assert exact == pytest.approx(published, abs=1e-3)
    u = np.random.default_rng(0).random((n, 4000 if n < 2500 else 400))
    assert spacing_entropy(u, m).mean() == pytest.approx(exact, abs=2e-3)


def test_normal_units_read_near_zero_and_others_below():
    rng = np.random.default_rng(0)
    normal = rng.standard_normal((2500, 5))
    assert get("entropy.spacing")(normal).value == pytest.approx(-0.01, abs=0.01)
    assert get("entropy.spacing")(rng.exponential(size=(2500, 5))).value < -0.05
    assert get("entropy.spacing")(np.ones((30, 2))).flags == ("constant",)


def test_copied_units_show_as_covariance():
    t = np.random.default_rng(0).standard_normal((400, 1))
    doubled = get("entropy.spacing")(np.hstack([t, -t]))
    assert doubled.info["covariance"] == pytest.approx(1.0, abs=1e-9)
    wide = np.random.default_rng(1).standard_normal((10, 30))
    z = (wide - wide.mean(0)) / wide.std(0)
    off = (z.T @ z / 10) ** 2
    expected = (off.sum() - np.trace(off)) / 30
    assert get("entropy.spacing")(wide).info["covariance"] == pytest.approx(expected, abs=1e-9)


def test_units_with_wild_rows_are_brought_to_variance_one_as_published():
    t = np.random.default_rng(6).standard_normal((300, 2))
    t[7] = 1e6, -1e7
    u = ndtr((t - t.mean(axis=0)) / t.std(axis=0))
    found = get("entropy.spacing")(t)
    assert found.value == pytest.approx(spacing_entropy(u, 17).mean(), abs=1e-6)
    assert "heavy_tail" in found.flags
