import tracemalloc

import numpy as np
import pytest
import torch  # noqa: F401  (its modules are no estimator's memory)
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from twins.spectral import gaussian_kernel, squared_distances

from infoplane.estimators import distances
from infoplane.estimators.distances import Distances, nearest, pairwise
from infoplane.estimators.kernel_sums import kernel_sums
from infoplane.estimators.neighbours import joint_counts
from infoplane.estimators.shared import Shared

CLOUDS = arrays(np.float64, (7, 3), elements=st.floats(-100, 100, width=16))


def cloud(n=60, d=4, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


@given(CLOUDS)
def test_squared_distances_match_the_slow_version(t):
    pairs = Distances(t)
    squared = pairs.squared() * pairs.scale**2
    np.testing.assert_allclose(squared, squared_distances(t), atol=1e-10 * 300**2)
    assert (squared >= 0).all()
    assert (np.diag(squared) == 0).all()


def test_a_far_away_cloud_keeps_its_digits():
    t = cloud()
    moved = pairwise(t + 2.0**20)
    np.testing.assert_allclose(
        moved.squared() * moved.scale**2, squared_distances(t), rtol=1e-8, atol=1e-8
    )


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1.0, 1e30, 1e200])
def test_any_scale(scale):
    t = cloud()
    pairs = Distances(t * scale)
    np.testing.assert_allclose(
        np.sqrt(pairs.squared()) * (pairs.scale / scale),
        np.sqrt(squared_distances(t)),
        rtol=1e-7,
        atol=1e-7,
    )


@pytest.mark.parametrize("sigma", [1e-6, 0.3, 10.0, 1e9])
def test_gaussian(sigma):
    t = cloud()
    np.testing.assert_allclose(Distances(t).gaussian(sigma), gaussian_kernel(t, sigma), atol=1e-13)


def test_gaussian_of_some_rows_and_of_a_huge_layer():
    t = cloud()
    among = np.array([3, 1, 50])
    np.testing.assert_allclose(
        Distances(t).gaussian(1.0, among), gaussian_kernel(t[among], 1.0), atol=1e-13
    )
    np.testing.assert_array_equal(Distances(t * 1e200).gaussian(1.0), np.eye(60))
    np.testing.assert_array_equal(Distances(t * 1e-200).gaussian(1.0), np.ones((60, 60)))
    np.testing.assert_array_equal(Distances(np.ones((5, 2))).gaussian(1.0), np.ones((5, 5)))


def test_blocks_agree_with_the_whole_and_nothing_is_held(monkeypatch):
    t = cloud()
    whole = Distances(t).squared()
    kernel = Distances(t).gaussian(0.7)
    near = Distances(t).nearest(5)
    monkeypatch.setattr(distances, "HELD", 0)
    monkeypatch.setattr(distances, "BLOCK", 60 * 8 * 7)
    pairs = Distances(t)
    blocks = list(pairs.blocks())
    assert len(blocks) == 9
    np.testing.assert_allclose(np.vstack([b for _, b in blocks]), whole, atol=1e-14)
    np.testing.assert_allclose(pairs.gaussian(0.7), kernel, atol=1e-14)
    np.testing.assert_allclose(pairs.nearest(5)[0], near[0], atol=1e-14)
    assert pairs._held is None


def test_held_matrix_is_read_only_and_gaussian_is_not():
    pairs = Distances(cloud())
    with pytest.raises(ValueError, match="read-only"):
        pairs.squared()[0, 0] = 1.0
    pairs.gaussian(1.0)[0, 0] = 2.0
    assert pairs.squared()[0, 1] > 0


@pytest.mark.parametrize("d", [1, 3, 40])
def test_nearest(d):
    t = cloud(d=d)
    true = np.sqrt(squared_distances(t))
    np.fill_diagonal(true, np.inf)
    found, index = Distances(t).nearest(6)
    np.testing.assert_allclose(found, np.sort(true, axis=1)[:, :6], rtol=1e-12)
    np.testing.assert_allclose(np.take_along_axis(true, index, axis=1), found, rtol=1e-12)


def test_near_duplicates_keep_their_distance():
    t = np.vstack([cloud(), cloud()[:1] + 1e-10])
    found, index = Distances(t).nearest(1)
    assert index[-1, 0] == 0
    np.testing.assert_allclose(found[-1, 0], 1e-10 * 2, rtol=1e-4)


def test_shared_computes_once():
    t = cloud()
    shared = Shared(t)
    assert pairwise(t, shared) is pairwise(t, shared)
    assert nearest(t, 3, shared)[0].base is nearest(t, 7, shared)[0].base
    np.testing.assert_array_equal(nearest(t, 3, shared)[0], nearest(t, 3)[0])
    np.testing.assert_array_equal(nearest(t, 30, shared)[0][:, :3], nearest(t, 3)[0])


def test_median_of_all_pairs_and_of_a_sample(monkeypatch):
    t = cloud()
    true = np.median(np.sqrt(squared_distances(t))[np.triu_indices(60, 1)])
    rng = np.random.default_rng(0)
    assert Distances(t).median(rng) == pytest.approx(true, rel=1e-12)
    monkeypatch.setattr(distances, "MEDIAN_ROWS", 40)
    assert Distances(t).median(rng) == pytest.approx(true, rel=0.1)


def test_float32_is_close():
    t = cloud()
    single = Distances(t, np.float32)
    assert single.squared().dtype == np.float32
    np.testing.assert_allclose(single.gaussian(1.0), Distances(t).gaussian(1.0), atol=1e-5)


def test_a_wild_outlier_is_flagged():
    t = cloud()
    t[0] = 1e12
    assert Distances(t).at_an_end(1.0) == ("rounding",)
    assert Distances(cloud()).at_an_end(1e12) == ("sigma_high",)
    assert Distances(cloud()).at_an_end(1e-12) == ("sigma_low",)
    assert Distances(cloud()).at_an_end(1.0) == ()


@pytest.mark.parametrize("work", ["kernel sums", "neighbours", "distances"])
def test_pairs_are_taken_in_blocks_and_never_all_held(monkeypatch, work):
    n = 3000
    t = np.random.default_rng(0).normal(size=(n, 12))
    monkeypatch.setattr("infoplane.estimators.distances.HELD", 0)
    monkeypatch.setattr("infoplane.estimators.distances.BLOCK", 1 << 20)
    ask = {
        "kernel sums": lambda: kernel_sums(3.0 * t, np.arange(n) % 3, (4,)),
        "neighbours": lambda: joint_counts(t[:, :6], t[:, 6:], 5),
        "distances": lambda: Distances(t).nearest(5),
    }[work]
    ask()  # what is compiled at a first call is not counted
    tracemalloc.start()
    ask()
    largest = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert largest < n * n * 8 / 6  # 12 MiB: a sixth of all pairs in float64


@pytest.mark.parametrize("copies", [1, 7])
def test_nearest_are_the_same_from_a_bound_and_from_all_columns(monkeypatch, copies):
    t = np.repeat(np.random.default_rng(4).normal(size=(980 // copies, 3)), copies, axis=0)
    whole = Distances(t).nearest(2)
    monkeypatch.setattr("infoplane.estimators.distances._MANY", 1e9)
    plain = Distances(t).nearest(2)
    assert whole[0].tolist() == plain[0].tolist()
    assert copies > 1 or whole[1].tolist() == plain[1].tolist()


@pytest.fixture
def compiled(monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.setattr(distances, "MANY", 1)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_compiled_loops_give_the_plain_values(compiled, monkeypatch, dtype):
    t = np.vstack([cloud(75), cloud(20), cloud(1) + 300])  # ties, and one that is far away
    among = np.random.default_rng(1).permutation(len(t))[:50]
    answers = []
    for rows in (1, 1 << 40):
        monkeypatch.setattr(distances, "MANY", rows)
        pairs = Distances(t, dtype, keep=False)
        kernels = [pairs.gaussian(sigma, some) for sigma in (2.0, 1e-200) for some in (None, among)]
        kernels.append(Distances(t, dtype).gaussian(2.0))
        answers.append(
            (pairs.squared(), pairs.squared(among, among[:9]), pairs.nearest(7), kernels)
        )
    (squared, some, nearest_, kernels), (squared_, some_, nearest__, kernels_) = answers
    np.testing.assert_array_equal(squared, squared_)
    np.testing.assert_array_equal(some, some_)
    np.testing.assert_array_equal(nearest_[0], nearest__[0])
    for one, other in zip(kernels, kernels_, strict=True):
        np.testing.assert_allclose(one, other, rtol=4 * np.finfo(dtype).eps, atol=1e-37)
        np.testing.assert_array_equal(one, one.T)


@pytest.mark.parametrize("loops", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_pairs_made_slab_by_slab_are_those_of_one_product(request, monkeypatch, loops, dtype):
    if loops:
        request.getfixturevalue("compiled")
    t = cloud(n=101)
    whole = Distances(t, dtype, keep=False).gaussian(1.5)
    monkeypatch.setattr(distances, "SLAB", 16)
    slabs = Distances(t, dtype, keep=False).gaussian(1.5)
    np.testing.assert_allclose(slabs, whole, rtol=1e-13 if dtype == np.float64 else 1e-5)
    np.testing.assert_allclose(
        slabs, gaussian_kernel(t, 1.5), atol=1e-13 if dtype == np.float64 else 1e-5
    )
    np.testing.assert_array_equal(slabs, slabs.T)


def test_compiled_exponentials_are_exact_to_the_last_digit(compiled):
    loops = distances.sweeps("spectra")
    x = np.concatenate(
        [np.random.default_rng(0).exponential(50, 5000), [0, 1e-300, 707.9, 709, np.inf]]
    )
    for decay, dtype, error in (
        (loops.decay, np.float64, 5e-16),
        (loops.decay_single, np.float32, 2e-7),
    ):
        row = x[None].astype(dtype)
        true = np.exp(-row.astype(np.float64))
        decay(row, (0, 1), 0, dtype(1))
        normal = true > 2 * np.finfo(dtype).tiny
        np.testing.assert_allclose(row[normal], true[normal], rtol=error)
        assert (row[~normal] <= 4 * np.finfo(dtype).tiny).all()
        assert row[0, -1] == 0
