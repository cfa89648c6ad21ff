"""Kernel sums over near pairs against all pairs, in every path the code can take."""

import math

import numpy as np
import pytest

from infoplane.estimators import near_pairs as module
from infoplane.estimators import swept
from infoplane.estimators.kernel_sums import Kernel, kernel_products, kernel_sums
from infoplane.estimators.low_rank import LowRank


def dense(t, power):
    difference = t[:, None] - t
    return np.exp(-power * (difference**2).sum(axis=2))


def clouds(n=260, d=3, spread=0.3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(5, d))[rng.integers(0, 5, n)] * 4 + spread * rng.normal(size=(n, d))


CASES = {
    "clouds": clouds(),
    "all near": 1e-3 * clouds(),
    "none near": 1e3 * clouds(),
    "few near": clouds(spread=3.0),
    "wide": clouds(180, d=150, spread=0.6),
    "wide, all near": 1e-3 * clouds(180, d=150),
    "one column": clouds(d=1),
    "far from zero": clouds() + 1e6,
    "large": np.repeat(1e5 * clouds(130), 2, axis=0) + 0.1 * clouds(seed=3),
    "two rows": clouds(2),
    "far below its noise": 1e-200 * clouds(),
}


@pytest.fixture(params=["plain", "compiled"])
def way(request, monkeypatch):
    if request.param == "compiled":
        pytest.importorskip("numba")
        monkeypatch.setattr(swept, "MANY", 1)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("t", CASES.values(), ids=CASES)
@pytest.mark.parametrize("classes", [1, 2, 150])
@pytest.mark.parametrize("powers", [(4,), (1,), (1, 4)])
def test_sums_equal_those_over_all_pairs(t, classes, powers):
    codes = np.unique(np.arange(len(t)) * 7 % classes, return_inverse=True)[1]
    sums = kernel_sums(t, codes, powers)
    same = codes[:, None] == codes
    for power in powers:
        kernel = dense(t, power)
        assert sums[power].everyone == pytest.approx(kernel.sum(axis=1), rel=1e-9)
        assert sums[power].own == pytest.approx((kernel * same).sum(axis=1), rel=1e-9)


@pytest.mark.parametrize("t", CASES.values(), ids=CASES)
@pytest.mark.parametrize("power", [1, 4])
def test_a_compiled_kernel_multiplies_in_single_precision(t, power):
    pytest.importorskip("numba")
    weights = np.random.default_rng(1).uniform(size=(len(t), 3))
    others = dense(t, power) @ weights - weights
    error = np.abs(swept.Swept(t, power).times(weights, power) - weights - others)
    assert (error <= 3e-6 * others + 1e-13).all()


def test_compiled_sums_keep_their_digits():
    # pairs at every distance up to the reach, in one chunk, across chunks and leaves, alone too
    pytest.importorskip("numba")
    steps = np.linspace(0, math.sqrt(31.9), 400)
    for t in (steps[:, None], steps[:65, None], np.array([[0.0], [5.6]])):
        everyone, _ = swept.Swept(t, 1).sums(np.zeros(len(t), int), 2)
        assert everyone[0] == pytest.approx(dense(t, 1).sum(axis=1), rel=1e-12)
        assert everyone[1] == pytest.approx(dense(t, 4).sum(axis=1), rel=1e-12)
    _, own = swept.Swept(np.array([[0.0], [4.0]]), 1).sums(np.zeros(2, int))
    assert own[0, 0] - 1 == pytest.approx(math.exp(-16), rel=1e-8)  # 1 takes the last digits


def test_single_precision_never_hides_a_near_pair():
    # rows far from each other on the leading axes, pairs within and just beyond the reach
    pytest.importorskip("numba")
    rng = np.random.default_rng(3)
    t = rng.normal(size=(300, 7)) * [1e5, 1e4, 1e3, 1, 1, 1, 1]
    t[150:] = t[:150] + rng.normal(size=(150, 7))
    everyone, _ = swept.Swept(t, 1).sums(np.zeros(300, int))
    assert everyone[0] == pytest.approx(dense(t, 1).sum(axis=1), rel=1e-12)


def test_compiled_sums_are_for_narrow_layers_of_many_rows():
    assert not swept.worthwhile(swept.MANY - 1, 2)
    assert not swept.worthwhile(swept.MANY, swept.NARROW + 1)


@pytest.mark.parametrize("t", CASES.values(), ids=CASES)
@pytest.mark.parametrize("power", [1, 4])
def test_products_equal_those_over_all_pairs(t, power):
    weights = np.random.default_rng(1).uniform(size=(len(t), 3))
    product = kernel_products(t, weights, power)
    assert product == pytest.approx(dense(t, power) @ weights, rel=1e-9)


def test_every_path_is_taken():
    kinds = {
        name: {type(block) for block in module.Pairs(t, np.zeros(len(t), int), 40.0).blocks()}
        for name, t in CASES.items()
    }
    assert kinds["all near"] == kinds["wide, all near"] == {module.Block}
    assert module.Few in kinds["few near"]
    assert module.Few in kinds["wide"]
    slips = {n: module.Pairs(t, np.zeros(len(t), int), 40.0).slip for n, t in CASES.items()}
    assert slips["far from zero"] > module._ROUNDING > slips["clouds"]


def test_no_pair_is_seen_twice():
    t = clouds(300)
    seen = np.zeros((300, 300), int)
    for block in module.Pairs(t, np.arange(300) % 2, 1e9).blocks():
        seen[block.rows, block.columns] += 1
        if block.mirror:
            seen[block.columns[:, None], np.arange(300)[block.rows]] += 1
    assert (seen == 1).all()


def test_a_layer_without_columns_is_one_point():
    codes = np.array([0, 0, 1])
    sums = kernel_sums(np.zeros((3, 0)), codes, (1, 4))
    for power in (1, 4):
        assert sums[power].everyone.tolist() == [3, 3, 3]
        assert sums[power].own.tolist() == [2, 2, 1]
    assert kernel_products(np.zeros((3, 0)), np.ones((3, 2)), 4).tolist() == [[3, 3]] * 3


@pytest.mark.parametrize("t", CASES.values(), ids=CASES)
@pytest.mark.parametrize("power", [1, 4])
def test_a_kept_kernel_multiplies_in_single_precision(monkeypatch, t, power):
    monkeypatch.setattr("infoplane.estimators.kernel_sums.KEPT", range(9999))
    codes = np.arange(len(t)) % 2
    weights = np.random.default_rng(1).uniform(size=(len(t), 3))
    kernel = kernel_sums(t, codes, (1, 4), keep=True)[power].kernel
    others = dense(t, power) @ weights - weights
    error = np.abs(kernel.times(weights, power) - weights - others)
    assert (error <= 3e-6 * others + 1e-13).all()


@pytest.mark.parametrize(("spread", "kind"), [(0.15, LowRank), (1e-9, LowRank), (30.0, Kernel)])
def test_a_kernel_of_low_rank_is_found_and_sums_alike(spread, kind):
    rng = np.random.default_rng(5)
    t = spread * rng.normal(size=(1100, 2))
    t[7] += 50.0  # a row apart from all others
    codes = rng.integers(0, 3, 1100)
    sums = kernel_sums(t, codes, (4,), keep=True)[4]
    assert type(sums.kernel) is kind
    kernel, same = dense(t, 4), codes[:, None] == codes
    assert sums.everyone == pytest.approx(kernel.sum(axis=1), abs=2e-9)
    assert sums.own == pytest.approx((kernel * same).sum(axis=1), abs=2e-9)
    weights = rng.uniform(size=(1100, 2))
    assert sums.kernel.times(weights, 4) == pytest.approx(kernel @ weights, rel=1e-6)


@pytest.mark.parametrize("length", [0.0, 3.0, 40.0])
def test_a_line_is_a_fourier_series(length):
    rng = np.random.default_rng(6)
    t = length * rng.uniform(size=(1100, 1)) * [[0.6, -0.8]] + 5.0
    codes = rng.integers(0, 3, 1100)
    sums = kernel_sums(t, codes, (4,))[4]
    assert isinstance(sums.kernel, LowRank)
    kernel, same = dense(t, 4), codes[:, None] == codes
    assert sums.everyone == pytest.approx(kernel.sum(axis=1), abs=1e-9)
    assert sums.own == pytest.approx((kernel * same).sum(axis=1), abs=1e-9)


def test_a_bent_line_is_none():
    x = 3.0 * np.random.default_rng(7).uniform(size=1100)
    sums = kernel_sums(np.column_stack([x, 1e-3 * x**2]), np.zeros(1100, int), (4,))[4]
    kernel = dense(np.column_stack([x, 1e-3 * x**2]), 4)
    assert sums.everyone == pytest.approx(kernel.sum(axis=1), abs=1e-9)


@pytest.mark.parametrize("screened", [50, 2048])
def test_every_near_pair_comes_once_and_slabs_spare_most_others(monkeypatch, screened):
    monkeypatch.setattr(module, "_SCREENED", screened)
    rng = np.random.default_rng(4)
    t, codes = rng.uniform(0, 25, size=(1500, 8)), np.arange(1500) % 2
    seen = np.zeros((1500, 1500), int)
    pairs = module.Pairs(t, codes, 32.0)
    for block in pairs.blocks():
        rows, columns = block.rows, block.columns
        if isinstance(block, module.Block):
            rows, columns = np.broadcast_arrays(np.arange(1500)[rows, None], columns)
        assert np.all((codes[pairs.order[rows]] == codes[pairs.order[columns]]) == block.same)
        np.add.at(seen, (rows, columns), 1)
        if block.mirror:
            np.add.at(seen, (columns, rows), 1)
    ordered = t[pairs.order]
    near = ((ordered[:, None] - ordered) ** 2).sum(axis=2) <= 32.0
    assert seen.max() == 1
    assert np.all(seen[near] == 1)
    looked = (pairs.near_leaves * np.outer(pairs.sizes, pairs.sizes)).sum() / 1500**2
    assert near.mean() < looked < 0.75
