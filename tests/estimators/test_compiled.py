"""Compiled sweeps give what the plain ones give, to the last bit, and are never needed."""

import sys

import numpy as np
import pytest

from infoplane.estimators import card, compiled, counting, neighbours, screen
from infoplane.estimators.boxes import Boxes
from infoplane.estimators.knn import ksg
from infoplane.estimators.screen import Screen

NEVER = 1 << 40  # rows


@pytest.fixture
def sweeps(monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.setattr(screen, "MANY", 1)
    return screen.compiled(1)


def _cloud(name):
    rng = np.random.default_rng(5)
    points = rng.standard_normal((1300, 5))
    points[:650] = points[650:].round(1)  # distances that tie with the radius
    return {
        "ties": points,
        "far away": points + 1e9,
        "one column rules": points * [0.1, 1, 1, 0.5, 3],
        "copies": points[rng.integers(0, 200, 1300)],  # k copies: the radius is 0
        "few": points[:9],
    }[name]


@pytest.mark.parametrize("name", ["ties", "far away", "one column rules", "copies", "few"])
@pytest.mark.parametrize("workers", [1, 2])
def test_compiled_sweeps_equal_all_distances(sweeps, name, workers):
    points = _cloud(name)
    assert Screen(points).fine
    distances = neighbours.chebyshev(points, points)
    radius = neighbours._swept_kth(sweeps, points, 5, workers)
    np.testing.assert_array_equal(radius, np.sort(distances, axis=1)[:, 5])
    for reach in (radius, 3 * radius, np.full(len(points), 1e300)):
        inside = np.maximum((distances < reach[:, None]).sum(axis=1) - 1, 0)
        np.testing.assert_array_equal(counting.window_closer(points, reach, workers), inside)


@pytest.mark.parametrize("name", ["ties", "far away", "one column rules", "copies", "few"])
@pytest.mark.parametrize("workers", [1, 2])
def test_the_compiled_tree_equals_all_distances(sweeps, name, workers):
    for points in (_cloud(name), _cloud(name)[:, :2], _cloud(name)[:517, :1] ** 9):
        distances = neighbours.chebyshev(points, points)
        radius = neighbours._tree_kth(points, 5, workers)
        np.testing.assert_array_equal(radius, np.sort(distances, axis=1)[:, 5])
        for reach in (radius, 3 * radius, np.full(len(points), 1e300)):
            inside = np.maximum((distances < reach[:, None]).sum(axis=1) - 1, 0)
            found = Boxes(screen.compiled(1, "tree"), points).closer(reach, workers)
            np.testing.assert_array_equal(found, inside)


@pytest.mark.parametrize("k", [1, 2, 40, 299])
def test_any_number_of_neighbours(sweeps, k):
    points = _cloud("ties")[:300]
    expected = np.sort(neighbours.chebyshev(points, points), axis=1)[:, k]
    np.testing.assert_array_equal(neighbours._tree_kth(points, k, 1), expected)
    np.testing.assert_array_equal(neighbours._swept_kth(sweeps, points, k, 1), expected)


@pytest.mark.parametrize("name", ["ties", "far away", "copies", "few"])
def test_compiled_ranks_equal_all_distances(sweeps, name):
    for points in (_cloud(name)[:, :2], _cloud(name)[:, :1]):
        distances = neighbours.chebyshev(points, points)
        radius = np.sort(distances, axis=1)[:, 5]  # 0 for copies
        for reach in (radius, 3 * radius, np.full(len(points), 1e300)):
            inside = np.maximum((distances < reach[:, None]).sum(axis=1) - 1, 0)
            np.testing.assert_array_equal(counting.closer(points, reach), inside)


def test_an_estimate_is_the_same_with_and_without(sweeps, monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 4))
    t = x + rng.standard_normal((400, 4))
    y = (x[:, 0] > 0).astype(int)
    pairs = [(x, t), (x[:, :1], t[:, :2]), (y, np.hstack([x, t])), (y, t[:, :1])]
    swept = [ksg(*pair) for pair in pairs]
    monkeypatch.setattr(screen, "MANY", NEVER)
    assert [ksg(*pair) for pair in pairs] == swept


@pytest.mark.parametrize("size", [2, 60, 500])
def test_compiled_places_equal_all_distances(sweeps, size):
    rng = np.random.default_rng(3)
    points = rng.standard_normal((500, 3)).round(1)  # many neighbours equally far away
    codes = np.r_[rng.integers(0, 4, 480), np.full(17, 4), np.full(2, 5), 6]  # two, and one alone
    drawn = [rng.permutation(codes) for _ in range(3)]
    k_of = np.minimum(5, np.bincount(codes) - 1)
    distances = neighbours.chebyshev(points, points)
    np.fill_diagonal(distances, np.inf)
    found = neighbours.class_places(points, iter(drawn), k_of, size, 2)
    for labels, places in zip(drawn, found, strict=True):
        entering = np.flatnonzero(labels != 6)
        own = np.where(labels[entering, None] == labels, distances[entering], np.inf)
        radius = np.sort(own, axis=1)[np.arange(len(own)), k_of[labels[entering]] - 1]
        closer = (distances[np.ix_(entering, entering)] < radius[:, None]).sum(axis=1)
        np.testing.assert_array_equal(places, closer + 1)


def test_a_null_of_labels_is_the_same_with_and_without(sweeps, monkeypatch):
    rng = np.random.default_rng(0)
    t = rng.standard_normal((400, 4))
    y = np.r_[rng.integers(0, 3, 390), 3, np.full(3, 4), np.full(6, 5)]
    swept = card("mi.ksg").null(y, t, draws=3, rng=5)
    monkeypatch.setattr(screen, "MANY", NEVER)
    assert swept == pytest.approx(card("mi.ksg").null(y, t, draws=3, rng=5), abs=1e-12)


def test_what_cannot_be_screened_is_sought_in_the_tree(sweeps):
    points = np.random.default_rng(1).standard_normal((300, 9))
    points[7] *= 1e7
    assert not Screen(points).fine
    distances = neighbours.chebyshev(points, points)
    radius = neighbours.kth_distance(points, 5)
    np.testing.assert_array_equal(radius, np.sort(distances, axis=1)[:, 5])
    inside = (distances < radius[:, None]).sum(axis=1) - 1
    np.testing.assert_array_equal(counting.closer(points, radius), inside)


def test_a_directory_that_cannot_be_written_only_costs_the_cache(monkeypatch):
    jit = pytest.importorskip("infoplane.estimators.compiled.jit")

    def njit(cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    monkeypatch.setattr(jit, "njit", njit)
    assert jit.jit(len)([0, 0]) == 2


def test_without_numba_there_are_no_sweeps(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "infoplane.estimators.compiled.near", raising=False)
    monkeypatch.delitem(sys.modules, "infoplane.estimators.compiled.jit", raising=False)
    assert compiled.sweeps.__wrapped__("near") is None


def test_few_rows_never_load_them(monkeypatch):
    monkeypatch.setattr(screen, "sweeps", lambda _: pytest.fail("numba was asked for"))
    assert screen.compiled(screen.MANY - 1) is None
