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


def test_one_step_falls_where_many_do():
    steps = np.unique(np.geomspace(1, 2**53, 5000).astype(np.int64))
    steps = np.concatenate([np.arange(3000), steps])
    assert [lod.bin_at(int(step)) for step in steps] == lod.bin_of(steps).tolist()
