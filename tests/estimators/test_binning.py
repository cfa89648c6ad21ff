"""Binned information against its slow twin, the published boundary rules and closed forms."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm
from twins import binning as twin

from infoplane.errors import InputError, NonFiniteError, TooFewSamplesError
from infoplane.estimators import Shared, get
from infoplane.types import Status

BITS = 1e-9  # tolerance in bits

binning = get("mi.binning")
adaptive = get("mi.adaptive")


def layer(seed=0, n=120, d=3, gain=2.0):
    return np.tanh(gain * np.random.default_rng(seed).normal(size=(n, d)))


def relu(seed=0, n=120, d=3):
    return np.maximum(np.random.default_rng(seed).normal(size=(n, d)), 0.0)


def labels(n=120, classes=3, seed=1):
    return np.random.default_rng(seed).integers(0, classes, n)


def symbols_of(t, **params):
    """Which of the scalars in ``t`` share a symbol, seen from outside: I(index;T) of pairs."""
    return np.array(
        [[binning([0, 1], np.array([[a], [b]]), **params).value == 0 for b in t] for a in t]
    )


@pytest.mark.parametrize("v", [labels(), np.arange(120)], ids=["Y", "X"])
@pytest.mark.parametrize("make", [layer, relu, lambda: 3 * layer()], ids=["tanh", "relu", "wide"])
@pytest.mark.parametrize(
    ("params", "twin_symbols"),
    [
        ({}, lambda t: twin.fixed(t)),
        ({"bins": 7}, lambda t: twin.fixed(t, bins=7)),
        ({"range": (-2, 2.5)}, lambda t: twin.fixed(t, low=-2.0, high=2.5)),
        ({"range": "layer"}, lambda t: twin.fixed(t, low=t.min(), high=t.max())),
        ({"compat": "idnns"}, lambda t: twin.fixed(t, idnns=True)),
        ({"width": 0.07}, lambda t: twin.floor(t, 0.07)),
    ],
    ids=["default", "bins", "range", "layer", "idnns", "floor"],
)
def test_fixed_bins_match_the_twin(v, make, params, twin_symbols):
    t = make()
    expected = twin.information(v, twin_symbols(t)) / math.log(2)
    assert binning(v, t, **params).bits == pytest.approx(expected, abs=BITS)


@pytest.mark.parametrize("v", [labels(), np.arange(120)], ids=["Y", "X"])
@pytest.mark.parametrize("make", [layer, relu], ids=["tanh", "relu"])
@pytest.mark.parametrize("equal", ["levels", "values"])
@pytest.mark.parametrize("bins", [4, 30])
def test_adaptive_bins_match_the_twin(v, make, equal, bins):
    t = np.round(make(), 2)
    expected = twin.information(v, twin.adaptive(t, bins, equal)) / math.log(2)
    assert adaptive(v, t, bins=bins, equal=equal).bits == pytest.approx(expected, abs=BITS)


def test_adaptive_compat_matches_the_published_edges():
    for t in (layer(), relu()):
        expected = twin.information(labels(), twin.adaptive(t, published=True))
        assert adaptive(labels(), t, compat="published").value == pytest.approx(expected, abs=1e-12)
    with pytest.raises(InputError, match=r"-1\.000001.*goes down to -3"):
        adaptive([0, 1], [[-3.0], [1.0]], compat="published")


def test_unit_range_bins_every_unit_between_its_own_ends():
    t = relu() * [1.0, 10.0, 1000.0]
    columns = [twin.fixed(t[:, [j]], low=t[:, j].min(), high=t[:, j].max()) for j in range(3)]
    expected = twin.information(labels(), list(zip(*columns, strict=True)))
    assert binning(labels(), t, range="unit").value == pytest.approx(expected, abs=1e-12)


def test_boundaries_are_those_of_half_open_intervals_with_a_symbol_for_the_top_edge():
    edges = np.linspace(-1, 1, 30)
    step = edges[1] - edges[0]
    points = [-1.0, np.nextafter(edges[1], -2), edges[1], edges[28], 1 - step / 9, 1.0, 1.7]
    alike = symbols_of(points)
    assert alike[0, 1]
    assert not alike[1, 2]  # [b_i, b_i+1)
    assert alike[3, 4]
    assert not alike[4, 5]  # exactly 1.0 has its own symbol …
    assert alike[5, 6]  # … and everything above collapses into it


def test_values_below_the_range_have_their_own_symbol_and_wrap_only_when_asked():
    points = [-1.5, -1.0, 1.0, 3.0]
    corrected, published = symbols_of(points), symbols_of(points, compat="idnns")
    assert not corrected[0, 1]
    assert not corrected[0, 2]
    assert published[0, 2]
    assert published[0, 3]


def test_floor_bins_of_negative_and_huge_values():
    t = np.array([[-0.01], [0.01], [0.069], [0.071], [1e12], [1e12 + 1]])
    expected = twin.information(range(6), twin.floor(t, 0.07))
    assert binning(np.arange(6), t, width=0.07).value == pytest.approx(expected, abs=1e-12)
    with pytest.raises(InputError, match=r"`width` of `mi.binning` is too small"):
        binning([0, 1], [[1e300], [0.0]], width=1e-20)


@pytest.mark.parametrize(("gain", "bits"), [(1, 4.877), (5, 2.775), (20, 1.594), (100, 1.151)])
def test_minimal_model_tanh(gain, bits):
    # H(bin(tanh(wX))), X ~ N(0,1), 30 equal intervals closed at the top: the analytic numbers
    x = norm.ppf((np.arange(400_000) + 0.5) / 400_000)
    top = math.nextafter(1.0, 2.0)
    estimate = binning(np.arange(len(x)), np.tanh(gain * x), bins=31, range=(-1.0, top))
    assert estimate.bits == pytest.approx(bits, abs=1.5e-3)
    p = norm.cdf(np.arctanh(np.linspace(-1, 1, 31).clip(-1 + 1e-16, 1 - 1e-16)) / gain)
    p = np.diff(np.concatenate([[0.0], p[1:-1], [1.0]]))
    assert estimate.bits == pytest.approx(-(p * np.log2(p)).sum(), abs=1e-3)


@pytest.mark.parametrize(("gain", "bits"), [(1, 3.284), (20, 5.589)])
def test_minimal_model_relu(gain, bits):
    x = norm.ppf((np.arange(400_000) + 0.5) / 400_000)
    t = np.maximum(gain * x, 0)
    assert binning(np.arange(len(x)), t, width=0.07).bits == pytest.approx(bits, abs=1.5e-3)


def test_exact_zeros_of_a_relu_are_one_symbol_of_their_own():
    t = np.concatenate([np.zeros(50), np.linspace(1e-9, 1.0, 60)])
    p = np.array([50, *[2] * 29, 1, 1]) / 110  # zeros, 29 bins of 2 levels, the 30th less the top
    assert adaptive(np.arange(110), t).value == pytest.approx(-(p * np.log(p)).sum(), abs=1e-12)


def test_adaptive_bins_see_no_scale_and_fixed_bins_do():
    t, v = layer(gain=0.3), np.arange(120)
    assert adaptive(v, 8 * t).value == adaptive(v, t).value
    assert binning(v, t / 8).value < binning(v, t).value - 0.5


def test_a_wide_layer_is_saturated_and_says_so():
    t = np.random.default_rng(3).normal(size=(300, 200))
    for estimate in (f(np.arange(300), t) for f in (binning, adaptive)):
        assert estimate.value == pytest.approx(math.log(300), abs=1e-12)
        assert estimate.status is Status.SATURATED
        assert {"saturated", "singleton_bins", "few_samples_per_bin"} <= set(estimate.flags)
        assert estimate.info["singleton_share"] == 1.0
        assert estimate.ceiling == pytest.approx(math.log(300))
    assert binning(labels(300), t).bits == pytest.approx(twin.entropy(labels(300)) / math.log(2))


def test_info_counts_what_the_bins_hold():
    t = np.array([[0.0], [0.0], [0.0], [0.5], [0.9], [0.9]])
    estimate = binning([0, 0, 0, 1, 1, 1], t)
    assert estimate.info["occupied"] == 3
    assert estimate.info["singleton_share"] == pytest.approx(1 / 6)
    assert estimate.info["samples_per_bin"] == 2.0
    assert estimate.info["log_n"] == pytest.approx(math.log(6))
    assert estimate.value == pytest.approx(math.log(2))
    assert binning([0, 0, 0, 1, 1, 1], t, bins=2, range=(0, 1)).info["bins_used"] == 1


def test_dead_units_change_nothing_but_the_flag():
    t = layer()
    padded = np.column_stack([t, np.zeros(len(t)), np.full(len(t), 0.5)])
    for params in ({}, {"range": "unit"}, {"width": 0.07}):
        with_dead = binning(labels(), padded, **params)
        assert with_dead.value == binning(labels(), t, **params).value
        assert with_dead.flags.value("dead") == "2"
        assert with_dead.info["dead"] == 2


@pytest.mark.parametrize("function", [binning, adaptive])
def test_trivial_layers_and_labels_have_value_zero(function):
    constant = function(labels(), np.full((120, 4), 0.3))
    assert (constant.value, constant.status) == (0.0, Status.DEGENERATE)
    assert "constant" in constant.flags
    single = function(np.zeros(120, int), layer())
    assert (single.value, single.status) == (0.0, Status.DEGENERATE)
    assert "single_class" in single.flags


def test_integers_are_symbols_already():
    t = np.array([[3, 1], [3, 1], [700, 1], [900, 2]])
    estimate = binning(np.arange(4), t)
    assert estimate.value == pytest.approx(twin.entropy([0, 0, 1, 2]))
    assert "discrete" in estimate.flags
    assert binning(np.arange(4), t > 600).value == pytest.approx(math.log(2))


def test_values_outside_a_fixed_range_are_reported():
    estimate = binning(labels(), 3 * relu())
    share = float((3 * relu() > 1).mean())
    assert estimate.info["outside_share"] == pytest.approx(share)
    assert estimate.flags.value("outside_range") == f"{share:.2f}"
    assert "outside_range" not in binning(labels(), layer()).flags


def test_one_outlier_is_flagged_and_does_not_move_adaptive_bins():
    t, v = layer(), np.arange(120)
    wild = t.copy()
    wild[7, 1] *= 1e6
    assert "heavy_tail" in adaptive(v, wild).flags
    assert "heavy_tail" not in adaptive(v, t).flags
    assert adaptive(v, wild).value == pytest.approx(adaptive(v, t).value, abs=0.05)


def test_arithmetic_and_bisection_agree_next_to_every_edge():
    edges = np.linspace(-1, 1, 30)
    for grid in (edges, edges.astype(np.float32).astype(np.float64)):
        points = np.concatenate([np.nextafter(grid, -9), grid, np.nextafter(grid, 9)])
        params = {} if grid is edges else {"compat": "idnns"}
        symbols = np.searchsorted(grid, points, side="right")
        symbols[symbols == 0] = 30 if params else 0
        expected = twin.entropy(symbols.tolist())
        assert binning(np.arange(90), points, **params).value == pytest.approx(expected, abs=1e-12)


def test_float32_and_float64_agree_where_the_values_are_the_same():
    t = layer().astype(np.float32)
    for function in (binning, adaptive):
        assert function(labels(), t).value == function(labels(), t.astype(np.float64)).value


def test_shared_codes_change_no_value():
    t = layer()
    shared = Shared(t)
    for function in (binning, adaptive):
        first = function(labels(), t, shared=shared)
        again = function(labels(), t, shared=shared)
        assert first == again == function(labels(), t)
    # a memo of another layer is not used
    assert binning(labels(), layer(5), shared=shared) == binning(labels(), layer(5))


def test_huge_values_do_not_overflow():
    for scale in (1e-300, 1e30, 1e200, 1.7e308):
        t = layer() * scale
        for params in ({"range": "layer"}, {"range": "unit"}):
            value = binning(labels(), t, **params).value
            assert value == pytest.approx(binning(labels(), layer(), **params).value, abs=0.05)
        assert adaptive(labels(), t).value == pytest.approx(adaptive(labels(), layer()).value)


@pytest.mark.parametrize(
    ("v", "t", "params", "error", "words"),
    [
        ([0, 1], [[1.0]], {}, TooFewSamplesError, "1 sample; at least 2"),
        ([0, 1, 0], [[1.0], [2.0]], {}, InputError, "same number of samples"),
        ([0, 1], [[1.0], [np.nan]], {}, NonFiniteError, r"first at \(1, 0\)"),
        ([0, 1], [[1.0], [2.0]], {"bins": 1}, InputError, r"int in \[2, 65536\]; got 1"),
        ([0, 1], [[1.0], [2.0]], {"bins": 3.5}, InputError, "`bins` of `mi.binning`"),
        ([0, 1], [[1.0], [2.0]], {"range": (1, 0)}, InputError, "low < high"),
        ([0, 1], [[1.0], [2.0]], {"range": (0, 1, 2)}, InputError, "two numbers"),
        ([0, 1], [[1.0], [2.0]], {"range": "net"}, InputError, "'layer'"),
        ([0, 1], [[1.0], [2.0]], {"width": 0}, InputError, "`width`"),
        ([0.1, 0.7, 0.2], [[1.0], [2.0], [0.0]], {}, InputError, "target='regression'"),
    ],
)
def test_wrong_arguments_are_refused_with_the_reason(v, t, params, error, words):
    with pytest.raises(error, match=words):
        binning(v, t, **params)


grids = arrays(
    np.float64,
    st.tuples(st.integers(2, 30), st.integers(1, 4)),
    elements=st.floats(-2, 2, width=16),
)


@settings(max_examples=60, deadline=None)
@given(t=grids, data=st.data())
def test_laws_of_counting(t, data):
    n = len(t)
    y = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)))
    order = np.array(data.draw(st.permutations(range(n))))
    for function in (binning, adaptive):
        estimate = function(y, t)
        assert -1e-12 <= estimate.value <= estimate.ceiling + 1e-12
        assert function(y[order], t[order]).value == pytest.approx(estimate.value, abs=1e-12)
        assert function(7 - y, t).value == pytest.approx(estimate.value, abs=1e-12)
        assert function(y, t[:, ::-1]).value == pytest.approx(estimate.value, abs=1e-12)
        assert function(y, np.hstack([t, t])).value == pytest.approx(estimate.value, abs=1e-12)
    fewer_units = binning(y, t[:, :1]).value
    assert fewer_units <= binning(y, t).value + 1e-12  # data processing


@settings(max_examples=40, deadline=None)
@given(t=grids)
def test_any_bins_match_the_twin(t):
    v = np.arange(len(t))
    assert binning(v, t).value == pytest.approx(twin.information(v, twin.fixed(t)), abs=1e-12)
    if t.max() > t.min():
        expected = twin.information(v, twin.adaptive(t, 5))
        assert adaptive(v, t, bins=5).value == pytest.approx(expected, abs=1e-12)


def test_floor_bins_too_many_to_number_and_denormal_ranges():
    t = np.array([[0.0], [1e-3], [1.0], [1e12]])
    assert binning(np.arange(4), t, width=1e-9).value == pytest.approx(math.log(4))
    tiny = np.array([[0.0], [5e-324], [1e-323], [0.0]])
    given = get("mi.binning_given")
    assert given([0, 0, 0, 0], tiny).value == pytest.approx(twin.entropy([0, 1, 2, 0]))
