"""KSG and Ross: the paper's loop, known information, ties, rare classes, the fast null."""

import math

import numpy as np
import pytest
from sklearn.feature_selection import mutual_info_classif, mutual_info_regression
from twins import nearest as twin

from infoplane import truth
from infoplane.errors import InputError, TooFewSamplesError
from infoplane.estimators import Shared, card, counting, neighbours
from infoplane.estimators.knn import ksg
from infoplane.estimators.screen import Screen
from infoplane.types import Status


@pytest.fixture
def toy():
    """Four classes in five dimensions, 400 rows."""
    rng = np.random.default_rng(0)
    y = rng.integers(4, size=400)
    return y, rng.standard_normal((400, 5)) + np.eye(5)[y]


@pytest.mark.parametrize(("d_x", "d_t"), [(1, 1), (1, 2), (2, 3), (4, 5)])
@pytest.mark.parametrize("k", [1, 3, 5])
def test_equals_the_loop_of_the_paper(d_x, d_t, k):
    rng = np.random.default_rng(k)
    x = rng.standard_normal((150, d_x))
    t = rng.standard_normal((150, d_t)) + x[:, :1]
    assert ksg(x, t, k=k).value == pytest.approx(twin.ksg(x, t, k), abs=1e-12)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_labels_equal_the_loop_of_the_paper(toy, k):
    y, t = toy
    y = y.copy()
    y[:3] = 4  # a class of three
    y[3] = 5  # and one alone, left out
    result = ksg(y, t, k=k)
    assert result.value == pytest.approx(twin.ross(y, t, k), abs=1e-12)
    assert result.info["samples_used"] == 399
    assert "rare_class" in result.flags


def test_equals_scikit_learn_on_one_column(toy):
    y, t = toy
    column = t[:, :1] / t[:, :1].std()
    for k in (3, 5):
        peer = mutual_info_classif(column, y, n_neighbors=k, random_state=0)[0]
        assert ksg(y, column, k=k).value == pytest.approx(peer, abs=1e-6)
        peer = mutual_info_regression(column, t[:, 1], n_neighbors=k, random_state=0)[0]
        assert max(0.0, ksg(t[:, 1], column, k=k).value) == pytest.approx(peer, abs=1e-6)


@pytest.mark.parametrize("d", [1, 2, 4, 9])
def test_tree_blocks_windows_and_sorting_agree_to_the_last_bit(d):
    points = np.random.default_rng(d).standard_normal((700, d)).round(2)  # many equal distances
    by_tree = neighbours._tree_kth(points, 4, 1)
    np.testing.assert_array_equal(by_tree, neighbours._block_kth(points, 4, 2))
    radius = by_tree * 1.5
    inside = (neighbours.chebyshev(points, points) < radius[:, None]).sum(1)
    expected = np.maximum(inside - 1, 0)
    np.testing.assert_array_equal(counting.window_closer(points, radius, 2), expected)
    np.testing.assert_array_equal(counting.all_closer(points, radius), expected)
    np.testing.assert_array_equal(counting.closer(points, radius), expected)


def test_joint_counts_are_the_same_from_tree_and_blocks(monkeypatch):
    x, t = np.random.default_rng(0).standard_normal((2, 500, 2))
    by_tree = neighbours.joint_counts(x, t, 5)
    monkeypatch.setattr(neighbours, "TREE_DIMS", 0)
    for a, b in zip(by_tree, neighbours.joint_counts(x, t, 5), strict=True):
        np.testing.assert_array_equal(a, b)


# n = 5000, k = 5, maximum norm: what the table of the benchmark's own KSG shows, within its spread
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("1v1-normal-0.75", 0.423),
        ("1v1-additive-0.1", 1.679),
        ("student-identity-1-1-1", 0.162),
        ("asinh-student-identity-1-1-1", 0.230),
        ("multinormal-dense-5-5-0.5", 0.563),
    ],
)
def test_near_the_published_run(name, expected):
    x, y = truth.get(name).sample(5000, seed=0)
    assert ksg(x, y).value == pytest.approx(expected, abs=0.06)


def test_underestimates_in_many_dimensions_as_published():
    x, t = truth.gaussian(math.sqrt(-math.expm1(-0.8)), 5).sample(2000, seed=1)  # 2 nats
    values = [ksg(x, t, k=k).value for k in (1, 3, 5)]
    assert values == pytest.approx([1.71, 1.47, 1.38], abs=0.1)


def test_stderr_covers_the_truth_on_gaussians():
    task, hits = truth.gaussian(0.6), 0
    for seed in range(60):
        result = ksg(*task.sample(400, seed))
        hits += abs(result.value - task.mi) < 1.96 * result.stderr
    assert 50 <= hits <= 60


def test_swap_scale_and_row_order(toy):
    _, t = toy
    x, z = t[:, :2] + 0.1 * np.random.default_rng(1).standard_normal((400, 2)), t[:, 1:]
    base = ksg(x, z).value
    assert ksg(z, x).value == pytest.approx(base, abs=1e-12)
    order = np.random.default_rng(2).permutation(400)
    assert ksg(x[order], z[order]).value == pytest.approx(base, abs=1e-12)
    for factor in (1e30, 1e-30, 1e200, 1e-200):
        assert ksg(x, z * factor + factor).value == pytest.approx(base, abs=1e-6)


def test_row_order_does_not_matter_with_ties(toy):
    y, t = toy
    relu = np.maximum(t - 1.0, 0.0)
    order = np.random.default_rng(2).permutation(400)
    first, second = ksg(y, relu), ksg(y[order], relu[order])
    assert "jitter" in first.flags
    assert first.value == pytest.approx(second.value, abs=1e-12)


def test_ties_are_jittered_and_said():
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=600)
    t = np.where(rng.random(600) < 0.4, 0.0, rng.random(600) + y)[:, None]  # a dead-ish ReLU unit
    result = ksg(y, t)
    exact = 0.6 * math.log(2)  # alive: the class is certain; dead: nothing is known
    assert int(result.flags.value("ties")) == (t == 0).sum()
    assert result.value == pytest.approx(exact, abs=0.06)


@pytest.mark.parametrize("kind", ["zeros", "levels"])
def test_shared_values_do_not_raise_the_information(kind):
    """Zeros of a ReLU and levels of a quantised unit put many rows at one distance."""
    rng = np.random.default_rng(2)
    y = rng.integers(2, size=500)
    t = np.tanh(1.5 * (rng.standard_normal((500, 3)) + 1.5 * (y[:, None] - 0.5)))
    x = t[:, :1] + 0.5 * rng.standard_normal((500, 1))
    tied = np.maximum(t, 0) if kind == "zeros" else np.round(16 * t) / 16
    assert "ties" in ksg(x, tied).flags
    assert ksg(x, tied).value < ksg(x, t).value + 0.01  # 0.03 and 0.07 above it without a jitter
    assert ksg(y, tied).value < ksg(y, t).value + 0.02  # 0.21 above it for the levels
    shuffled = ksg(rng.permutation(y), tied)
    assert shuffled.value == pytest.approx(0, abs=0.04)  # 0.16 for the levels
    named = np.array(["b", "a"])[y]
    assert ksg(named, tied).value == pytest.approx(ksg(y, tied).value, abs=1e-12)
    small = ksg(x, tied * 1e-30, standardise=False)  # a jitter in the layer's own units
    assert small.value == pytest.approx(ksg(x * 1e15, tied * 1e-15, standardise=False).value)


def test_samples_that_come_several_times_are_unreliable(toy):
    _, t = toy
    x, twice = np.tile(t[:, :1] + 1.0, (3, 1)), np.tile(t[:, 1:], (3, 1))
    result = ksg(x, twice)
    assert result.flags.value("repeated") == "1200"
    assert result.status is Status.UNRELIABLE
    assert "repeated" not in ksg(np.maximum(t[:, :1], 0), np.maximum(t[:, 1:], 0)).flags


def test_atoms_are_counted_and_said(toy):
    y, _ = toy
    codes = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])[np.minimum(y, 2)]
    result = ksg(y, codes)
    share = np.bincount(np.minimum(y, 2)) / 400
    assert "discrete" in result.flags
    assert result.value == pytest.approx(-(share * np.log(share)).sum(), abs=1e-12)


def test_quantised_activations_are_points_not_symbols(toy):
    y, t = toy
    levels = np.rint(t * 20).astype(np.int8)
    result = ksg(y, levels)
    assert "as_continuous" in result.flags
    assert result.value == pytest.approx(ksg(y, t).value, abs=0.05)


def test_both_discrete_is_the_plug_in():
    y = np.arange(12) % 3
    assert ksg(y, y[:, None]).value == pytest.approx(math.log(3), abs=1e-12)


def test_constant_dead_and_single_class(toy):
    y, t = toy
    constant = ksg(y, np.full((400, 3), 7.0))
    assert (constant.value, constant.status) == (0.0, Status.DEGENERATE)
    assert "constant" in constant.flags
    alone = ksg(np.zeros(400, dtype=int), t)
    assert (alone.value, alone.status) == (0.0, Status.DEGENERATE)
    assert "single_class" in alone.flags
    dead = ksg(y, np.hstack([t, np.ones((400, 2))]))
    assert dead.value == ksg(y, t).value
    assert "dead=2" in dead.flags


def test_one_wild_row_is_flagged_and_does_not_squeeze_the_rest(toy):
    y, t = toy
    wild = t.copy()
    wild[0] *= 1e6
    result = ksg(y, wild)
    assert "heavy_tail" in result.flags
    assert result.value == pytest.approx(ksg(y, t).value, abs=0.02)


def test_wide_layers_are_unreliable_and_say_their_dimension(toy):
    y, _ = toy
    wide = np.random.default_rng(0).standard_normal((400, 60))
    result = ksg(y, wide)
    assert result.status is Status.UNRELIABLE
    assert "high_dimension=60" in result.flags


def test_too_few_samples_and_all_distinct_labels_are_refused(toy):
    y, t = toy
    with pytest.raises(TooFewSamplesError):
        ksg(y[:6], t[:6])
    with pytest.raises(InputError, match="classes with neighbours"):
        ksg(np.arange(400), t)
    with pytest.raises(InputError, match="same number of samples"):
        ksg(y[:-1], t)
    with pytest.raises(InputError, match=r"`k` of `mi.ksg` must be an int in \[1, 100\]; got 0"):
        ksg(y, t, k=0)


@pytest.mark.parametrize("kind", ["classes", "rare", "continuous", "wide", "discrete", "ties"])
def test_fast_null_equals_the_loop_over_shuffled_pairings(toy, kind):
    y, t = toy
    if kind == "rare":
        y = np.r_[np.zeros(200, int), np.ones(190, int), 2, np.full(3, 3), np.full(6, 4)]
    v = {"continuous": t[:, :1], "wide": t[:, :4]}.get(kind, y)
    t = {"continuous": t[:, 1:3], "discrete": y, "ties": np.maximum(t - 1, 0)}.get(kind, t)
    fast = card("mi.ksg").null(v, t, draws=3, rng=np.random.default_rng(5), k=3)
    rng = np.random.default_rng(5)
    if kind == "discrete":  # its own generator order: compare the distribution
        slow = np.array([ksg(rng.permutation(v), t, k=3).value for _ in range(3)])
        assert fast.mean() == pytest.approx(slow.mean(), abs=0.02)
        return
    slow = [ksg(v[rng.permutation(400)], t, k=3).value for _ in range(3)]
    if kind == "ties":  # each has a jitter of its own
        assert fast.mean() == pytest.approx(np.mean(slow), abs=0.05)
        return
    np.testing.assert_allclose(fast, slow, atol=1e-10)


def test_random_labels_lie_inside_their_null(toy):
    _, t = toy
    y = np.random.default_rng(9).integers(4, size=400)
    null = card("mi.ksg").null(y, t, draws=40, rng=0)
    assert null.min() <= ksg(y, t).value <= null.max()


def test_shared_never_changes_the_value(toy):
    y, t = toy
    memo = Shared(t)
    assert ksg(y, t, shared=memo) == ksg(y, t) == ksg(y, t, shared=memo)


def test_inputs_are_not_modified_and_threads_do_not_matter(toy):
    _, t = toy
    t.flags.writeable = False
    before = t.tobytes()
    assert ksg(t[:, :1], t[:, ::-1], workers=2).value == ksg(t[:, :1], t[:, ::-1]).value
    assert t.tobytes() == before


def test_null_of_many_classes_needs_no_long_lists(toy, monkeypatch):
    y, t = toy
    whole = card("mi.ksg").null(y, t, draws=2, rng=3)
    monkeypatch.setattr("infoplane.estimators.knn.HELD", 1000)
    np.testing.assert_allclose(card("mi.ksg").null(y, t, draws=2, rng=3), whole, atol=1e-10)


def test_columns_of_a_few_values_are_a_lattice_and_unreliable():
    bits = (np.arange(512)[:, None] >> np.arange(9) & 1).astype(float)  # distinct rows of bits
    t = np.tanh(bits @ np.random.default_rng(0).standard_normal((9, 3)))
    result = ksg(bits, t)
    assert "lattice" in result.flags
    assert result.status is Status.UNRELIABLE
    assert "lattice" not in ksg(t[:, :1], t[:, 1:]).flags


def test_small_integers_screen_and_decide_nothing():
    rng = np.random.default_rng(4)
    points = rng.standard_normal((400, 9))
    points[:200] = points[200:].round(1)  # distances that tie with the radius
    assert Screen(points).fine
    wild = points.copy()
    wild[7] *= 1e7  # all others fall into one step: measured in float64 instead
    assert not Screen(wild).fine
    for rows in (points, wild, points + 1e9):
        distances = np.sort(neighbours.chebyshev(rows, rows), axis=1)
        radius = neighbours.kth_distance(rows, 5)
        np.testing.assert_array_equal(radius, distances[:, 5])
        inside = (neighbours.chebyshev(rows, rows) < radius[:, None]).sum(axis=1) - 1
        np.testing.assert_array_equal(counting.closer(rows, radius), inside)


@pytest.mark.parametrize("n", [2, 7, 64, 65])
def test_ranks_in_the_plane_equal_plain_counts(n):
    rng = np.random.default_rng(n)
    points = rng.integers(0, 5, (n, 2)) / 7 if n > 7 else rng.standard_normal((n, 2))
    radius = rng.choice([0.0, 1 / 7, 2 / 7, 0.3, 5.0], n)
    inside = (neighbours.chebyshev(points, points) < radius[:, None]).sum(axis=1)
    expected = np.maximum(inside - 1, 0)
    np.testing.assert_array_equal(counting.plane_closer(points, radius), expected)


def test_mostly_rare_classes_are_unreliable(toy):
    _, t = toy
    assert ksg(np.arange(400) % 100, t).status is Status.UNRELIABLE
    assert ksg(np.arange(400) % 40, t).status is Status.OK


def test_classes_that_lie_apart_break_no_bound():
    y = np.arange(300) % 3
    t = np.random.default_rng(0).standard_normal((300, 2)) + 100 * np.eye(3)[y][:, :2]
    found = ksg(y, t)
    assert found.value > found.ceiling
    assert found.status is Status.SATURATED


def test_a_class_of_saturated_units_is_no_division_by_zero():
    y = np.arange(60) % 3
    t = np.random.default_rng(0).standard_normal((60, 10))
    t[y == 0] = 1.0
    assert 0.5 < ksg(y, t).value <= math.log(3) + 0.1


@pytest.mark.parametrize("scale", [1e30, 1e-30, 0.1])
def test_a_layer_that_holds_its_input_reads_alike_in_any_unit(scale):
    x = np.random.default_rng(3).standard_normal((60, 2))
    t = np.column_stack([x, np.tanh(x[:, 0] + x[:, 1])])
    assert ksg(x, scale * t).value == pytest.approx(ksg(x, t).value, abs=1e-12)
    assert ksg(x, scale * x).value == pytest.approx(ksg(x, x).value, abs=1e-12)
