"""The information-bottleneck bound against closed forms and exhaustive search on small tables."""

import json
from itertools import product

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import xlogy

from infoplane.analysis import bottleneck
from infoplane.analysis.bottleneck import (
    add_bound,
    bound_curve,
    bound_of,
    equal_groups,
    joint_of,
)
from infoplane.analysis.bound import ib_bound
from infoplane.errors import InputError

R = np.linspace(0.01, 0.68, 12)


def binary_entropy(p):
    return -(xlogy(p, p) + xlogy(1 - p, 1 - p))


def test_deterministic_labels_have_a_closed_form():
    # 4096 inputs, labels a function of them: F(r) = min(r, H(Y))
    y = (np.arange(4096) % 7 < 3).astype(int)
    bound = ib_bound(joint_of(np.arange(4096), y))
    entropy = binary_entropy(y.mean())
    assert bound.method == "closed form"
    assert bound.information == pytest.approx(entropy, abs=1e-12)
    np.testing.assert_allclose(bound([0.1, 0.5, 5.0]), [0.1, 0.5, entropy], atol=1e-12)


@pytest.mark.parametrize("noise", [0.05, 0.11, 0.3])
def test_binary_symmetric_channel(noise):
    # Mrs Gerber's lemma: F(log 2 − h(a)) = log 2 − h(a ∗ noise)
    joint = 0.5 * np.array([[1 - noise, noise], [noise, 1 - noise]])
    bound = ib_bound(joint)
    exact = []
    for r in R:
        a = brentq(lambda a, r=r: binary_entropy(a) - (np.log(2) - r), 1e-12, 0.5)
        exact.append(np.log(2) - binary_entropy(a * (1 - noise) + (1 - a) * noise))
    np.testing.assert_allclose(bound(R), exact, atol=1e-3)
    assert bound.method == "annealing"
    assert bound.converged
    assert bound.spread < 1e-6


@pytest.mark.parametrize("erased", [0.1, 0.5])
def test_binary_erasure_channel(erased):
    # p(y|x) differs only where nothing is erased: F(r) = (1 − erased) r
    joint = 0.5 * np.array([[1 - erased, erased, 0], [0, erased, 1 - erased]])
    np.testing.assert_allclose(ib_bound(joint)(R), (1 - erased) * R, atol=1e-6)


def test_gaussian_through_discretisation():
    rho, grid = 0.8, np.linspace(-4, 4, 61)
    x, y = np.meshgrid(grid, grid, indexing="ij")
    bound = ib_bound(np.exp(-(x**2 - 2 * rho * x * y + y**2) / (2 * (1 - rho**2))), points=30)
    r = np.linspace(0.1, 1.5, 8)
    exact = -0.5 * np.log(1 - rho**2 * (1 - np.exp(-2 * r)))
    np.testing.assert_allclose(bound(r), exact, atol=3e-3)
    assert bound.information == pytest.approx(-0.5 * np.log(1 - rho**2), abs=2e-3)


def table(p_x, p_y_x, encoder):
    """I(X;T) and I(T;Y) of one encoder by plain sums."""
    joint = p_x[:, None] * encoder
    p_t = joint.sum(axis=0)
    t_y = joint.T @ p_y_x
    p_y = p_x @ p_y_x

    def information(j, a, b):
        return sum(
            j[i, k] * np.log(j[i, k] / (a[i] * b[k]))
            for i, k in product(*map(range, j.shape))
            if j[i, k] > 0
        )

    return information(joint, p_x, p_t), information(t_y, p_t, p_y)


def test_no_encoder_of_a_small_table_lies_above_the_bound():
    rng = np.random.default_rng(0)
    p_x = np.array([0.2, 0.3, 0.5])
    p_y_x = np.array([[0.9, 0.05, 0.05], [0.2, 0.6, 0.2], [0.1, 0.3, 0.6]])
    bound = ib_bound(p_x[:, None] * p_y_x, points=80)
    best = -np.inf
    levels = np.linspace(0, 1, 21)
    encoders = [
        np.array([[a, 1 - a], [b, 1 - b], [c, 1 - c]]) for a, b, c in product(levels, repeat=3)
    ]
    encoders += list(rng.dirichlet(np.full(4, 0.3), size=(500, 3)))
    for encoder in encoders:
        i_x, i_y = table(p_x, p_y_x, encoder)
        best = max(best, i_y - float(bound(i_x)))
    assert best < 1e-3  # the chords of the hull lie this close below the true curve
    assert best > -0.02  # and some encoder comes near it


def test_curve_is_concave_and_ends_at_the_information():
    rng = np.random.default_rng(1)
    joint = rng.dirichlet(np.full(24, 0.4)).reshape(8, 3)
    bound = ib_bound(joint, points=30)
    slopes = np.diff(bound.i_y) / np.diff(bound.i_x)
    assert (np.diff(slopes) <= 1e-9).all()
    assert slopes[0] <= 1 + 1e-9  # nobody learns more about Y than about X
    assert bound.i_y[-1] == pytest.approx(bound.information, abs=1e-9)
    assert (bound.i_y <= bound.i_x + 1e-12).all()


def test_many_inputs_are_merged_at_a_known_loss():
    p = np.random.default_rng(2).random(4096)
    bound = ib_bound(np.column_stack([p, 1 - p]) / 4096, points=12)
    assert 0 < bound.lost < 1e-4
    assert bound.information == pytest.approx(
        binary_entropy(p.mean()) - binary_entropy(p).mean(), abs=1e-9
    )


def test_merging_equal_inputs_changes_nothing():
    joint = np.array([[0.2, 0.1], [0.1, 0.2], [0.3, 0.1]])
    split = np.repeat(joint, 2, axis=0) / 2
    np.testing.assert_allclose(ib_bound(split)(R), ib_bound(joint)(R), atol=1e-9)


def test_distance_is_what_is_missing_and_negative_above():
    bound = ib_bound(np.eye(4) / 4)
    np.testing.assert_allclose(bound.distance([1.0, 1.0], [0.4, 1.2]), [0.6, -0.2], atol=1e-12)


@pytest.mark.parametrize("joint", [np.ones(3), -np.ones((2, 2)), np.zeros((2, 2)), [[np.nan, 1]]])
def test_what_is_no_table_is_refused(joint):
    with pytest.raises(InputError, match="joint"):
        ib_bound(joint)


def test_bound_of_a_run(record):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 300)
    run = record({0: {"a": rng.standard_normal((300, 2))}}, y=y)
    bound = bound_of(run)
    counts = np.bincount(y) / 300
    assert bound.information == pytest.approx(-(counts * np.log(counts)).sum())
    real = record(
        {0: {"a": rng.standard_normal((300, 2))}}, y=rng.random(300), target="regression", name="r"
    )
    assert bound_of(real, bins=5).information == pytest.approx(np.log(5), abs=1e-3)
    assert bound_of(record({0: {"a": rng.standard_normal((300, 2))}}, name="bare")) is None


def test_a_curve_to_draw_has_its_corner_and_is_made_once(record, monkeypatch):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 300)
    run = record({0: {"a": rng.standard_normal((300, 2))}}, y=y)
    curve = bound_curve(run)
    h_y = float(binary_entropy(y.mean()))
    np.testing.assert_allclose(curve["i_x"], [0.0, h_y, np.log(300)], atol=1e-12)
    np.testing.assert_allclose(curve["i_y"], [0.0, h_y, h_y], atol=1e-12)
    assert curve["corner"] == pytest.approx((h_y, h_y))
    assert json.loads(json.dumps(curve))["method"] == "closed form"
    curve["i_x"].clear()  # the caller's own lists
    monkeypatch.setattr(bottleneck, "bound_of", None)
    assert len(bound_curve(run)["i_x"]) == 3


def test_a_curve_of_noisy_labels_lies_below_the_diagonal(record):
    x = np.repeat(np.arange(4.0), 25)[:, None]  # repeated inputs, labels that differ
    y = (np.tile(np.arange(25), 4) < np.repeat([2, 10, 15, 23], 25)).astype(int)
    run = record({0: {"a": np.tile(x, 2)}}, x=x, y=y)
    curve = bound_curve(run)
    assert curve["method"] == "annealing"
    assert curve["i_y"][-1] == pytest.approx(curve["information"])
    assert all(b <= a + 1e-12 for a, b in zip(curve["i_x"], curve["i_y"], strict=True))
    assert "bits" in curve["note"]


def test_no_labels_no_curve(record):
    assert bound_curve(record({0: {"a": np.ones((30, 2))}})) is None


def test_distance_becomes_a_variable(dataset):
    ds = dataset([0, 1], ["a"], {("e", "X"): [[0.5], [2.0]], ("e", "Y"): [[0.5], [0.2]]})
    with_bound = add_bound(ds, ib_bound(np.eye(2) / 2))
    np.testing.assert_allclose(
        with_bound["bound_distance"].values.ravel(), [0.0, np.log(2) - 0.2], atol=1e-12
    )
    np.testing.assert_allclose(with_bound["bound_i_y"], [0.0, np.log(2)], atol=1e-12)
    with pytest.raises(InputError, match="both targets"):
        add_bound(ds.sel(target=["X"]), ib_bound(np.eye(2)))


def test_groups_are_equal():
    assert np.bincount(equal_groups(np.random.default_rng(0).random(1000), 8)).tolist() == [125] * 8
