import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infoplane.views import lod

steps = st.lists(st.integers(0, 10**7), min_size=1, max_size=60)


def test_early_steps_have_a_bin_each():
    assert lod.bin_of(np.arange(lod.EXACT)).tolist() == list(range(lod.EXACT))


def test_a_million_steps_need_few_bins():
    bins = lod.bin_of(np.arange(0, 1_000_001))
    assert len(np.unique(bins)) < 340
    decades = lod.bin_of([10**3, 10**4, 10**5, 10**6])
    assert np.diff(decades).tolist() == pytest.approx([lod.PER_DECADE] * 3, abs=1)


@given(steps)
def test_bins_are_in_the_order_of_steps(values):
    ordered = np.sort(np.array(values))
    assert (np.diff(lod.bin_of(ordered)) >= 0).all()


@given(steps, st.integers(0, 2**32 - 1))
def test_reduce_agrees_with_a_loop(values, seed):
    step = np.array(values)
    value = np.random.default_rng(seed).normal(size=len(step))
    got = lod.reduce(step, value)
    assert got["bin"].tolist() == sorted({int(b) for b in lod.bin_of(step)})
    bins = lod.bin_of(step)
    for i, at in enumerate(got["bin"]):
        inside = [j for j in range(len(step)) if bins[j] == at]
        assert got["count"][i] == len(inside)
        assert got["value"][i] == pytest.approx(np.mean(value[inside]), abs=1e-12)
        assert got["low"][i] == value[inside].min()
        assert got["high"][i] == value[inside].max()
        assert got["low"][i] <= got["value"][i] <= got["high"][i]
        assert step[inside].min() <= got["step"][i] <= step[inside].max()


@given(steps)
def test_reduce_does_not_depend_on_the_order(values):
    step = np.array(values)
    value = step % 7.0
    forward, backward = lod.reduce(step, value), lod.reduce(step[::-1], value[::-1])
    for name in forward:
        np.testing.assert_allclose(forward[name], backward[name], rtol=1e-12)


def test_values_that_are_not_finite_are_left_out():
    got = lod.reduce([1, 2, 3], [1.0, np.nan, np.inf])
    assert got["bin"].tolist() == [1]
    assert lod.reduce([], [])["value"].size == 0


def test_one_step_falls_where_many_do():
    steps = np.unique(np.geomspace(1, 2**53, 5000).astype(np.int64))
    steps = np.concatenate([np.arange(3000), steps])
    assert [lod.bin_at(int(step)) for step in steps] == lod.bin_of(steps).tolist()
