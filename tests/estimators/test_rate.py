import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infoplane.errors import InputError
from infoplane.estimators.rate import (
    class_rate_of,
    coding_rate,
    coding_rate_of,
    rate_reduction,
    sparse_rate,
)
from infoplane.types import Status


def layer(n=60, d=7, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def unit(t):
    return t / np.linalg.norm(t, axis=1, keepdims=True)


def slow_rate(z, eps2):
    n, d = z.shape
    return 0.5 * np.linalg.slogdet(np.eye(d) + d / (n * eps2) * z.T @ z)[1]


@pytest.mark.parametrize("shape", [(60, 7), (7, 60)])
@pytest.mark.parametrize("eps2", [0.01, 0.5])
def test_matches_the_slow_version_on_both_sides(shape, eps2):
    t = layer(*shape)
    assert coding_rate(t, eps2=eps2).value == pytest.approx(slow_rate(unit(t), eps2))
    assert coding_rate(t, eps2=eps2, normalise=False).value == pytest.approx(slow_rate(t, eps2))


def test_known_rates():
    isotropic = np.vstack([np.eye(8), -np.eye(8)])
    assert coding_rate(isotropic).value == pytest.approx(4 * math.log1p(2))
    assert coding_rate(isotropic).value == pytest.approx(coding_rate(isotropic).ceiling)
    assert coding_rate(isotropic).flags == ()
    identical = np.tile([1.0, 0, 0, 0], (30, 1))
    assert coding_rate(identical).value == pytest.approx(0.5 * math.log1p(4 / 0.5))
    assert coding_rate(identical).status is Status.DEGENERATE


def test_reduction_of_orthogonal_and_of_equal_classes():
    y = np.repeat([0, 1], 40)
    t = np.zeros((80, 6))
    t[:40, :3], t[40:, 3:] = layer(40, 3, 1), layer(40, 3, 2)
    found = rate_reduction(t, y)
    z = unit(t)
    assert found.info["class_rate"] == pytest.approx(
        0.5 * slow_rate(z[:40], 0.5) + 0.5 * slow_rate(z[40:], 0.5)
    )
    assert found.value == pytest.approx(slow_rate(z, 0.5) - found.info["class_rate"])
    assert found.value > 0.5
    twice = np.vstack([layer(), layer()])
    assert rate_reduction(twice, np.repeat([0, 1], 60)).value == pytest.approx(0.0, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 5), st.floats(0.01, 5.0))
def test_reduction_is_never_negative(seed, classes, eps2):
    rng = np.random.default_rng(seed)
    t = layer(50, 5, seed)
    y = rng.integers(classes, size=50)
    found = rate_reduction(t, y, eps2=eps2)
    assert -1e-12 <= found.value <= found.info["rate"] + 1e-12
    assert coding_rate(t, eps2=eps2).value <= coding_rate(t, eps2=eps2).ceiling + 1e-9
    assert class_rate_of(t, np.zeros(50, int), eps2) == pytest.approx(coding_rate_of(t, eps2))


def test_trivial_labels_and_zero_rows():
    t = layer()
    single = rate_reduction(t, np.zeros(60, int))
    assert (single.value, single.status) == (0.0, Status.DEGENERATE)
    assert "single_class" in single.flags
    t[:4] = 0.0
    z = np.vstack([np.zeros((4, 7)), unit(t[4:])])
    found = coding_rate(t)
    assert "zero_rows=4" in found.flags
    assert found.value == pytest.approx(slow_rate(z, 0.5))
    assert math.isfinite(coding_rate(layer() * 1e200).value)
    with pytest.raises(InputError, match="rescale"):
        coding_rate(layer() * 1e200, normalise=False)


def test_rows_as_they_are_keep_their_digits_at_any_scale():
    t = layer(48, 4)
    for far in (t + 1e8, t * 1e30, 1e8 * t):
        sizes = np.linalg.svd(far, compute_uv=False) * math.sqrt(4 / 48 / 0.01)
        found = coding_rate(far, normalise=False, eps2=0.01)
        assert found.value == pytest.approx(0.5 * np.log1p(sizes**2).sum(), rel=1e-12)
    assert math.isfinite(coding_rate(t, normalise=False, eps2=1e-300).value)


def test_sparse_rate_over_heads():
    t = layer(30, 8)
    t[np.abs(t) < 0.3] = 0.0
    found = sparse_rate(t, heads=2)
    parts = [t[:, :4], t[:, 4:]]
    assert all(part.any(axis=1).all() for part in parts)
    assert found.value == pytest.approx(sum(slow_rate(unit(part), 0.01) for part in parts))
    assert found.info["rate"] == pytest.approx(slow_rate(unit(t), 0.01))
    assert found.info["zeros"] == (t == 0).mean()
    kept = (t != 0).sum() / 30
    assert found.info["sparse_rate_reduction"] == pytest.approx(
        found.info["rate"] - found.value - 0.1 * kept
    )
    assert sparse_rate(t).value == pytest.approx(coding_rate(t, eps2=0.01).value)
    with pytest.raises(InputError, match="divide"):
        sparse_rate(t, heads=3)
