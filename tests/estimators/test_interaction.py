"""Several variables: Gaussians in closed form, gates by counting, decomposition of known tables."""

import math

import numpy as np
import pytest

from infoplane import truth
from infoplane.errors import InputError
from infoplane.estimators import get
from infoplane.estimators.decomposition import decompose, union_information
from infoplane.estimators.interaction import discrete_parts, gaussian_parts
from infoplane.types import Status

LOG2 = math.log(2)


def test_three_redundant_gaussians_have_the_published_values():
    parts = gaussian_parts(0.4 * np.eye(3) + 0.6, [1, 1, 1])
    assert parts.total == pytest.approx(0.52206, abs=5e-6)
    assert parts.dual == pytest.approx(0.37469, abs=5e-6)
    assert parts.total - parts.dual == pytest.approx(0.14737, abs=5e-6)
    assert parts.total + parts.dual == pytest.approx(0.89676, abs=1e-5)


def test_a_sum_of_two_causes_is_synergistic():
    covariance = np.array([[1, 0, 1], [0, 1, 1], [1, 1, 2.5]])
    parts = gaussian_parts(covariance, [1, 1, 1])
    assert parts.total - parts.dual < -0.05


def test_two_variables_have_no_o_information_and_tc_is_the_information():
    covariance = truth.get("multinormal-dense-2-2-0.5")
    x, t = covariance.sample(1000, seed=0)
    both = get("interaction.o_information")([x, t])
    assert both.value == pytest.approx(0, abs=1e-10)
    assert both.info["tc"] == pytest.approx(both.info["dtc"], abs=1e-10)
    exact = get("mi.gaussian")(x, t, shrinkage=0.0).value
    assert both.info["tc"] == pytest.approx(exact, abs=1e-10)


def test_blocks_equal_a_sum_of_informations():
    covariance = np.corrcoef(np.random.default_rng(0).standard_normal((30, 6)).T)
    parts = gaussian_parts(covariance, [2, 1, 3])
    s = sum(
        truth.gaussian_mi(covariance[np.ix_(order, order)], size)
        for order, size in (
            ([0, 1, 2, 3, 4, 5], 2),
            ([2, 0, 1, 3, 4, 5], 1),
            ([3, 4, 5, 0, 1, 2], 3),
        )
    )
    assert parts.total + parts.dual == pytest.approx(s, abs=1e-10)


def test_gates_by_counting():
    a, b = np.repeat([0, 1], 50), np.tile([0, 1], 50)
    xor = discrete_parts([a, b, a ^ b])
    assert xor.total - xor.dual == pytest.approx(-LOG2, abs=1e-12)
    copies = discrete_parts([a, a, a])
    assert copies.total - copies.dual == pytest.approx(LOG2, abs=1e-12)
    columns = np.column_stack([a, b, a ^ b])
    assert get("interaction.o_information")(columns).value == pytest.approx(-LOG2, abs=1e-12)
    assert get("interaction.s_information")(columns).value == pytest.approx(3 * LOG2, abs=1e-12)


def test_factorised_pairs_miss_synergy_that_triples_see():
    a, b = np.repeat([0, 1], 50), np.tile([0, 1], 50)
    xor = np.column_stack([a, b, a ^ b])
    f = get("interaction.factorised")
    assert f(xor).value == pytest.approx(0, abs=1e-12)
    assert f(xor, order=3).value == pytest.approx(LOG2, abs=1e-12)
    copies = np.column_stack([a, a, a])
    assert f(copies).value == pytest.approx(LOG2, abs=1e-12)
    assert f(copies, order=3).value == pytest.approx(2 * LOG2, abs=1e-12)


def test_factorised_says_when_it_selects_groups():
    t = np.random.default_rng(0).standard_normal((50, 64))
    assert "groups" in get("interaction.factorised")(t, order=3, levels=2).flags


@pytest.mark.parametrize("kind", ["xor", "and", "copy"])
def test_decomposition_of_gates(kind):
    task = truth.get(kind)
    table = np.zeros((4, 2, 2))
    for a in (0, 1):
        for b in (0, 1):
            out = {"xor": a ^ b, "and": a & b, "copy": 2 * a + b}[kind]
            table[out, a, b] += 0.25
    table = table[table.sum(axis=(1, 2)) > 0]
    parts = decompose(table)
    assert parts["synergy"] == pytest.approx(task.facts["synergy"], abs=2e-3)
    assert parts["redundancy"] == pytest.approx(task.facts["redundancy"], abs=2e-3)
    assert parts["unique_1"] == pytest.approx(task.facts["unique"], abs=2e-3)
    assert sum(parts.values()) == pytest.approx(task.mi, abs=1e-9)


def test_redundant_bit_and_unique_bit():
    same = np.zeros((2, 2, 2))
    same[0, 0, 0] = same[1, 1, 1] = 0.5
    assert decompose(same)["redundancy"] == pytest.approx(LOG2, abs=1e-9)
    alone = np.zeros((2, 2, 2))
    for a in (0, 1):
        alone[a, a, :] = 0.25
    assert decompose(alone)["unique_1"] == pytest.approx(LOG2, abs=1e-9)


def test_union_information_is_the_least_over_random_feasible_tables():
    rng = np.random.default_rng(3)
    p = rng.dirichlet(np.ones(8)).reshape(2, 2, 2)
    best = union_information(p)
    from infoplane.estimators.decomposition import information

    shift = np.array([[1, -1], [-1, 1]])  # the one direction that keeps both margins of each y
    values = []
    for a in np.linspace(-0.5, 0.5, 401):
        for b in np.linspace(-0.5, 0.5, 401):
            q = p + np.array([a, b])[:, None, None] * shift
            if q.min() >= 0:
                values.append(information(q.reshape(2, -1)))
    assert best <= min(values) + 1e-6
    assert best == pytest.approx(min(values), abs=1e-3)


def test_pid_from_samples_and_its_guards():
    x, y = truth.get("and").sample(4000, seed=0)
    result = get("interaction.pid")([x[:, :1], x[:, 1:]], y, part="redundancy")
    assert result.value == pytest.approx(truth.get("and").facts["redundancy"], abs=0.02)
    assert get("interaction.pid")(x, y).value == pytest.approx(0.5 * LOG2, abs=0.02)
    with pytest.raises(InputError, match="at least two columns"):
        get("interaction.pid")(x[:, :1], y)
    with pytest.raises(InputError, match="at most 100000 cells"):
        get("interaction.pid")([np.arange(400), np.arange(400)], np.arange(400) % 2)


def test_constant_layers_and_too_many():
    t = np.ones((20, 3))
    assert get("interaction.total_correlation")(t).status is Status.DEGENERATE
    with pytest.raises(InputError, match="at most 64"):
        get("interaction.total_correlation")(np.random.default_rng(0).standard_normal((20, 65)))


# ------------------------------------------------------------------ too few samples


QUANTITIES = {
    "tc": "interaction.total_correlation",
    "dtc": "interaction.dual_total_correlation",
    "o": "interaction.o_information",
    "s": "interaction.s_information",
}


@pytest.mark.parametrize("pick", QUANTITIES)
def test_the_bias_of_few_samples_is_known_and_told(pick):
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((6, 6))
    mixing /= np.linalg.norm(mixing, axis=1, keepdims=True)
    exact = gaussian_parts(mixing @ mixing.T, [2, 1, 3])
    truths = {"tc": exact.total, "dtc": exact.dual}
    truths |= {"o": exact.total - exact.dual, "s": exact.total + exact.dual}
    found = []
    for _ in range(200):
        t = rng.standard_normal((25, 6)) @ mixing.T
        found.append(get(QUANTITIES[pick])([t[:, :2], t[:, 2:3], t[:, 3:]]))
    error = np.array([one.value for one in found]) - truths[pick]
    assert error.mean() == pytest.approx(found[0].info["bias"], abs=4 * error.std() / 200**0.5)


@pytest.mark.parametrize("name", QUANTITIES.values())
def test_more_columns_than_samples_and_copies_are_not_believed(name):
    rng = np.random.default_rng(0)
    t = rng.standard_normal((400, 3))
    assert get(name)(t).status is Status.OK
    for broken in (rng.standard_normal((10, 20)), np.column_stack([t, t[:, 0]])):
        found = get(name)(broken)
        assert "linear_function" in found.flags
        assert found.status is Status.UNRELIABLE
    layers = [rng.standard_normal((30, 8)) for _ in range(5)]  # independent
    assert get(name)(layers).status is Status.UNRELIABLE
    assert get(name)(layers, shrinkage=0.99).status is Status.OK
    symbols = rng.integers(0, 4, (30, 8))
    assert "few_samples" in get(name)(symbols).flags


def test_counts_of_few_samples_are_not_believed():
    rng = np.random.default_rng(0)
    t, y = rng.standard_normal((60, 2)), np.arange(60) % 3
    for levels, status in ((2, Status.OK), (8, Status.UNRELIABLE)):
        pid = get("interaction.pid")(t, y, levels=levels)
        pairs = get("interaction.factorised")(t, levels=levels)
        assert pid.status is status
        assert pairs.status is status
        assert ("few_samples" in pid.flags) == ("few_samples" in pairs.flags)
        assert pairs.info["bias"] == pytest.approx((levels - 1) ** 2 / 120)


def test_dead_columns_are_left_out_and_counted():
    rng = np.random.default_rng(0)
    t = rng.standard_normal((80, 3))
    dead = np.column_stack([t, np.full(80, 0.5)])
    for name in ("total_correlation", "o_information", "factorised"):
        found = get(f"interaction.{name}")(dead)
        assert found.value == pytest.approx(get(f"interaction.{name}")(t).value, abs=1e-12)
        assert "dead=1" in found.flags
    codes = [np.arange(80) % 2, np.zeros(80, int), np.arange(80) % 3]
    assert "dead=1" in get("interaction.total_correlation")(codes).flags
    parts = [np.column_stack([t[:, 0], np.zeros(80)]), t[:, 1:]]
    assert "dead=1" in get("interaction.pid")(parts, np.arange(80) % 2, levels=2).flags
    vectors = list(t.T)
    whole = get("interaction.total_correlation")(t).value
    assert get("interaction.total_correlation")(vectors).value == pytest.approx(whole, abs=1e-12)
