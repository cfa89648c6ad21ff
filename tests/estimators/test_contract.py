"""The rules on entry and exit, one by one."""

import math

import numpy as np
import pytest
import torch

from infoplane.errors import InputError, NonFiniteError, TooFewSamplesError
from infoplane.estimators import contract
from infoplane.types import Status


def test_samples_are_a_copy_of_their_own():
    t = np.arange(6, dtype=np.float32).reshape(3, 2)
    owned = contract.samples(t)
    owned[:] = -1
    assert t.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert owned.dtype == np.float64
    assert contract.samples(t[:, 0]).shape == (3, 1)


def test_the_first_non_finite_entry_is_named():
    t = np.zeros((4, 3))
    t[2, 1], t[3, 0] = np.nan, np.inf
    with pytest.raises(NonFiniteError, match=r"2 non-finite values .* first at \(2, 1\)") as caught:
        contract.samples(t)
    assert (caught.value.count, caught.value.first) == (2, (2, 1))


def test_tensors_of_every_precision_arrive_widened():
    values = [[0.5, -2.0], [1.0, 3.0]]
    for dtype in (torch.bfloat16, torch.float16, torch.float32, torch.float64):
        tensor = torch.tensor(values, dtype=dtype, requires_grad=True)
        assert contract.samples(tensor).tolist() == values


@pytest.mark.parametrize(
    ("v", "codes"),
    [
        ([7, -3, 7], [1, 0, 1]),
        (["b", "a", "b"], [1, 0, 1]),
        ([True, False, True], [1, 0, 1]),
        ([[0, 1], [0, 0], [0, 1]], [1, 0, 1]),
        ([[0.5], [0.25], [0.5]], [1, 0, 1]),
        (np.array([2**63 + 5, 2**63, 2**63 + 5], dtype=np.uint64), [1, 0, 1]),
        ([1.0, 0.0, 1.0], [1, 0, 1]),
        ([[0.1, 0.2], [0.1, 0.1], [0.1, 0.2]], [1, 0, 1]),
    ],
)
def test_symbols_number_the_distinct_rows(v, codes):
    assert contract.symbols(v).tolist() == codes


def test_a_continuous_vector_is_no_label_but_float_codes_are():
    with pytest.raises(InputError, match="target='regression'"):
        contract.symbols(np.linspace(0, 1, 10))
    assert contract.symbols(np.arange(10.0)).tolist() == list(range(10))
    assert contract.symbols(np.linspace(0, 1, 10)[:, None]).tolist() == list(range(10))
    assert len(set(contract.symbols(np.repeat([0.5, 1.5], 5)))) == 2


def test_classes_are_fewer_than_half_the_samples():
    assert contract.classes([0, 0, 1, 1]).tolist() == [0, 0, 1, 1]
    with pytest.raises(InputError, match="3 distinct values in 4 samples"):
        contract.classes([0, 1, 2, 2])


@pytest.mark.parametrize("size", [1, 3, 40, 1 << 40])
def test_fold_tells_rows_apart_exactly(size):
    rng = np.random.default_rng(size)
    table = rng.integers(0, 3, (200, 9)) * (size // 2 + 1)
    expected = np.unique(table, axis=0, return_inverse=True)[1].ravel()
    found = contract.fold(table.T, 200)
    assert sorted(set(zip(expected.tolist(), found.tolist(), strict=True))) == [
        (i, j) for i, j in sorted(dict(zip(expected.tolist(), found.tolist(), strict=True)).items())
    ]
    assert len(set(found.tolist())) == expected.max() + 1


def test_fold_stops_asking_when_every_row_is_distinct():
    asked = []

    def columns():
        for i in range(100):
            asked.append(i)
            yield np.arange(50) * (1 << 20) + i

    assert len(set(contract.fold(columns(), 50).tolist())) == 50
    assert len(asked) < 10


@pytest.mark.parametrize(
    ("counts", "nats"),
    [
        ([4], 0.0),
        ([1, 1, 1, 1], math.log(4)),
        ([2, 2, 0], math.log(2)),
        ([3, 1], math.log(4) - 0.75 * math.log(3)),
        ([10**6, 10**6], math.log(2)),
        ([0.5, 0.5], math.log(2)),
        ([0, 0], 0.0),
    ],
)
def test_entropy_of_counts(counts, nats):
    assert contract.entropy_of_counts(np.array(counts)) == pytest.approx(nats, abs=1e-15)


def test_dead_columns_are_dropped_and_counted():
    t = np.column_stack([np.arange(4.0), np.ones(4), np.zeros(4)])
    live, flags = contract.live_columns(t)
    assert live.tolist() == [[0], [1], [2], [3]]
    assert flags.value("dead") == "2"
    assert contract.live_columns(np.ones((4, 100)))[0].shape == (4, 0)
    for d in (3, 100):
        t = np.random.default_rng(d).normal(size=(20, d))
        low, high = contract.column_ends(t)
        assert (low == t.min(axis=0)).all()
        assert (high == t.max(axis=0)).all()


def test_heavy_tail_is_an_outlier_not_a_wide_or_sparse_layer():
    t = np.random.default_rng(0).normal(size=(500, 4))
    assert not contract.heavy_tailed(t)
    assert not contract.heavy_tailed(t * [1, 10, 100, 100])
    assert not contract.heavy_tailed(np.maximum(t - 2, 0))
    t[17, 2] = 1e6
    assert "heavy_tail" in contract.heavy_tailed(t)


def test_the_softmax_of_many_classes_has_no_heavy_tail():
    scores = np.random.default_rng(0).normal(size=(300, 100))
    scores[np.arange(300), np.arange(300) % 100] += 20
    layer = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert not contract.heavy_tailed(layer)
    layer[7, 3] = 1e4
    assert "heavy_tail" in contract.heavy_tailed(layer)


def conclude(value, **more):
    return contract.conclude(value, estimator="mi.x", n=10, d=2, params={}, **more)


def test_bounds_are_checked_on_the_way_out():
    assert conclude(0.5, ceiling=1.0, floor=0.0).status is Status.OK
    full = conclude(0.96, ceiling=1.0)
    assert (full.status, "saturated" in full.flags) == (Status.SATURATED, True)
    for value in (1.2, -0.2):
        broken = conclude(value, ceiling=1.0, floor=0.0)
        assert broken.value == value  # raw, never clipped
        assert broken.status is Status.UNRELIABLE
        assert broken.flags.value("bound_violated") == "0.2"
    assert conclude(1.0 + 1e-12, ceiling=1.0).status is Status.SATURATED
    with pytest.raises(InputError, match=r"`mi\.x` has no finite answer"):
        conclude(math.nan)


def test_generators_are_private():
    first, second = contract.generator(3), contract.generator(3)
    assert first.random() == second.random()
    assert contract.generator(first) is first
    assert contract.generator(None).random() == contract.generator(0).random()
    for wrong in (-1, 2.5, "seed", True):
        with pytest.raises(InputError, match="`rng`"):
            contract.generator(wrong)


def test_too_few_samples_names_the_estimator():
    with pytest.raises(TooFewSamplesError, match=r"1 sample; at least 5 are needed for `mi\.x`"):
        contract.samples([[1.0]], minimum=5, estimator="mi.x")


@pytest.mark.parametrize(
    "array",
    [
        np.array([[-128, 3], [127, 3], [-128, 4], [127, 3]], np.int8),
        np.array([[2**64 - 1, 0], [2**64 - 2, 0], [2**64 - 1, 0]], np.uint64),
        np.array([[-(2**62), 2**62], [2**62, 2**62], [-(2**62), 0]]),
        np.array([[-1.0, 0.0], [1.0, -0.0], [-1.0, -0.0], [1e300, 0.0]]),
        np.array([[1e18, 0.5], [1e18 + 256, 0.5], [1e18, 0.25]]),
        np.array([[True, False], [False, False], [True, False]]),
        np.array([[7, 4], [7, 0], [7, 1], [7, 3], [7, 2]]),
        np.array([[4, 1], [0, 2], [4, 2], [1, 1], [4, 1]]),
    ],
    ids=["int8", "uint64", "int64", "whole", "large", "bool", "distinct", "not distinct"],
)
def test_codes_of_rows_are_those_of_their_order(array):
    expected = np.unique(array, axis=0, return_inverse=True)[1].reshape(-1)
    np.testing.assert_array_equal(contract.row_codes(array), expected)


def test_the_entropy_is_the_same_in_any_order():
    rng = np.random.default_rng(0)
    for counts in (rng.integers(1, 9, 500), rng.integers(0, 10**6, 30), np.array([5, 0, 3])):
        values = {contract.entropy_of_counts(rng.permutation(counts)) for _ in range(9)}
        assert len(values) == 1
        p = counts[counts > 0] / counts.sum()
        assert values.pop() == pytest.approx(-(p * np.log(p)).sum(), rel=1e-13)
