import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twins.spectral import effective_rank as slow_rank
from twins.spectral import gaussian_kernel
from twins.spectral import matrix_entropy as slow_entropy
from twins.spectral import vendi as slow_vendi

from infoplane.errors import InputError, NonFiniteError, RefusedError, TooFewSamplesError
from infoplane.estimators import gram
from infoplane.estimators.diversity import vendi, vendi_of_kernel
from infoplane.estimators.rank import (
    effective_rank,
    matrix_entropy,
    nuclear_norm,
    participation_ratio,
)
from infoplane.estimators.renyi import renyi_entropy
from infoplane.estimators.shared import Shared
from infoplane.types import Status

SEEDS = st.integers(0, 10**6)
ALL = (vendi, effective_rank, matrix_entropy, participation_ratio, nuclear_norm)


def layer(n=40, d=6, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) * np.arange(1, d + 1) + 0.5


@pytest.mark.parametrize("shape", [(40, 6), (6, 40)])
@pytest.mark.parametrize("order", [0.5, 1.0, 2.0, "inf"])
@pytest.mark.parametrize("centre", [False, True])
def test_vendi_matches_the_slow_version(shape, order, centre):
    t = layer(*shape)
    true = slow_vendi(t, math.inf if order == "inf" else order, centre)
    assert vendi(t, q=order, centre=centre).value == pytest.approx(true, rel=1e-6)


def test_vendi_with_a_gaussian_kernel_is_the_exponential_of_renyi():
    t = layer()
    for order in (1.0, 1.01, 2.0):
        score = vendi(t, kernel="gaussian", sigma=3.0, q=order).value
        assert math.log(score) == pytest.approx(
            renyi_entropy(t, alpha=order, sigma=3.0).value, abs=1e-10
        )
        assert math.log(score) == pytest.approx(
            slow_entropy(gaussian_kernel(t, 3.0), order), abs=1e-9
        )


def test_vendi_with_a_gaussian_kernel_of_many_samples(monkeypatch):
    t = layer(300)
    exact = vendi(t, kernel="gaussian", sigma=3.0)
    monkeypatch.setattr(gram, "EXACT", 100)
    rough = vendi(t, kernel="gaussian", sigma=3.0)
    assert abs(rough.value - exact.value) < 4 * rough.stderr < 0.1 * exact.value
    with pytest.raises(RefusedError, match="order 2"):
        vendi(t, kernel="gaussian", q="inf")


def test_vendi_of_a_kernel():
    points = np.array([0, 0, 10, 10, 20, 20.0])
    kernel = np.exp(-np.abs(points[:, None] - points))
    assert vendi_of_kernel(kernel) == pytest.approx(3.0, abs=1e-4)
    for order in (1.0, 2.0, math.inf):
        assert vendi_of_kernel(np.eye(5), order=order) == pytest.approx(5.0)
        assert vendi_of_kernel(np.ones((5, 5)), order=order) == pytest.approx(1.0)
    weights = np.array([0.5, 0.25, 0.25])
    assert vendi_of_kernel(np.eye(3), weights=weights) == pytest.approx(2**1.5)
    with pytest.raises(InputError, match="diagonal"):
        vendi_of_kernel(2 * np.eye(3))
    with pytest.raises(InputError, match="positive semi-definite"):
        vendi_of_kernel([[1.0, 2.0], [2.0, 1.0]])


def test_vendi_of_known_sets():
    assert vendi(np.eye(12)).value == pytest.approx(12.0)
    assert vendi(np.ones((12, 3))).value == pytest.approx(1.0)
    assert vendi(np.repeat(np.eye(4), 3, axis=0)).value == pytest.approx(4.0)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(2, 12), st.integers(3, 20))
def test_verified_identities(seed, d, n):
    t = layer(n, d, seed)
    rank = effective_rank(t)
    assert rank.value == pytest.approx(vendi(t, centre=True).value, rel=1e-12)
    assert matrix_entropy(t).value == pytest.approx(math.log(rank.value) / math.log(d), abs=1e-12)
    assert matrix_entropy(t, normalised=False).value == pytest.approx(rank.info["entropy"])
    assert 1 - 1e-9 <= rank.value <= min(n - 1, d) + 1e-9
    assert 1 - 1e-9 <= participation_ratio(t).value <= min(n - 1, d) + 1e-9
    assert vendi(t, q=2.0).value <= vendi(t).value + 1e-9 <= vendi(t, q=0.5).value + 2e-9


@pytest.mark.parametrize("shape", [(30, 5), (5, 30)])
def test_effective_rank_matches_the_slow_version(shape):
    t = layer(*shape)
    assert effective_rank(t).value == pytest.approx(slow_rank(t), rel=1e-9)


def test_isotropic_and_flat_layers():
    wide = np.random.default_rng(0).normal(size=(20_000, 8))
    assert matrix_entropy(wide).value == pytest.approx(1.0, abs=1e-3)
    assert participation_ratio(wide).value == pytest.approx(8.0, abs=0.05)
    line = np.outer(np.linspace(-1.0, 1.1, 30), [1.0, 2.0, 3.0])
    assert effective_rank(line).value == pytest.approx(1.0)
    assert participation_ratio(line).value == pytest.approx(1.0)
    assert matrix_entropy(line[:2]).value == pytest.approx(0.0, abs=1e-12)


def test_participation_is_that_of_the_eigenvalues():
    for t in (layer(), layer().T):
        values = np.linalg.eigvalsh(np.cov(t.T))
        true = values.sum() ** 2 / (values**2).sum()
        assert participation_ratio(t).value == pytest.approx(true)


def test_nuclear_norm():
    t = layer()
    z = t - t.mean(axis=0)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    columns = nuclear_norm(t).value
    exact = nuclear_norm(t, method="exact").value
    assert columns == pytest.approx(np.linalg.norm(z, axis=0).sum())
    assert exact == pytest.approx(np.linalg.svd(z, compute_uv=False).sum())
    assert math.sqrt(40) <= exact <= columns <= math.sqrt(40 * 6)
    one = np.zeros((30, 4))
    one[:, 1] = np.random.default_rng(0).normal(size=30)
    assert nuclear_norm(one).value == pytest.approx(math.sqrt(30))
    wide = nuclear_norm(layer(6, 40))
    assert "truncated" in wide.flags
    assert wide.value < nuclear_norm(layer(6, 40), method="exact").value


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.sampled_from([1e-30, 0.1, 30.0, 1e30]))
def test_invariances(seed, scale):
    t = layer(seed=seed)
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    for quantity in ALL:
        value = quantity(t).value
        assert quantity(t[rng.permutation(40)]).value == pytest.approx(value, rel=1e-9)
        assert quantity(scale * t).value == pytest.approx(value, rel=1e-9)
        if quantity is not nuclear_norm:
            assert quantity(t @ rotation).value == pytest.approx(value, rel=1e-9)
    exact = nuclear_norm(t, method="exact").value
    assert nuclear_norm(t @ rotation, method="exact").value == pytest.approx(exact, rel=1e-9)
    wider = np.hstack([t, np.full((40, 1), 3.0)])
    assert effective_rank(wider).value == pytest.approx(effective_rank(t).value, rel=1e-9)
    assert participation_ratio(wider).value == pytest.approx(participation_ratio(t).value)


def test_shared_changes_nothing():
    t = layer()
    shared = Shared(t)
    for quantity in ALL:
        assert quantity(t, shared=shared).value == quantity(t).value


@pytest.mark.parametrize("quantity", ALL)
def test_hostile_inputs(quantity):
    constant = quantity(np.full((20, 3), 1e10))
    assert constant.status is Status.DEGENERATE
    assert "constant" in constant.flags
    assert math.isfinite(constant.value)
    with pytest.raises(TooFewSamplesError):
        quantity([[1.0, 2.0]])
    with pytest.raises(NonFiniteError):
        quantity([[1.0], [np.nan]])
    t = layer().astype(np.float16)
    assert quantity(t).value == pytest.approx(quantity(t.astype(np.float64)).value)
    assert math.isfinite(quantity(layer() * 1e200).value)


def test_rows_without_a_direction():
    t = np.vstack([layer(), np.zeros((2, 6))])
    assert "zero_rows=2" in vendi(t).flags
    assert vendi(t).value == pytest.approx(vendi(layer()).value)
    middle = np.array([[1.0, 0.0], [3.0, 0.0], [2.0, 0.0], [2.0, 1.0], [2.0, -1.0]])
    assert "zero_rows=1" in effective_rank(middle).flags
    with pytest.raises(InputError, match="q"):
        vendi(t, q=0.0)
