import fractions
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from twins.spectral import matrix_entropy, renyi_entropy

from infoplane.errors import InputError
from infoplane.estimators.spectrum import (
    covariance_side,
    eigenvalues,
    entropy,
    low_rank_eigenvalues,
    purity,
    quadrature,
    shares,
    unit_rows,
)

ORDERS = [0.5, 0.99, 1.0, 1.01, 2.0, 5.0, math.inf]
WEIGHTS = arrays(np.float64, 6, elements=st.floats(0.0, 1.0)).filter(lambda w: w.sum() > 1e-3)


def kernel(n=40, d=5, seed=0):
    z = np.random.default_rng(seed).normal(size=(n, d))
    return z @ z.T


@given(WEIGHTS, st.sampled_from(ORDERS))
def test_entropy_matches_the_definition_and_its_bounds(weights, order):
    p = shares(weights)
    value = entropy(p, order)
    assert value == pytest.approx(renyi_entropy(p, order), abs=1e-9)
    assert -1e-12 <= value <= math.log(np.count_nonzero(p)) + 1e-9


@given(WEIGHTS)
def test_entropy_falls_with_its_order(weights):
    values = [entropy(shares(weights), order) for order in ORDERS]
    assert all(a >= b - 1e-9 for a, b in itertools.pairwise(values))


@pytest.mark.parametrize("order", ORDERS)
def test_known_spectra(order):
    n, m = 12, 4
    assert entropy(shares(eigenvalues(np.eye(n))), order) == pytest.approx(math.log(n))
    assert entropy(shares(eigenvalues(np.ones((n, n)))), order) == pytest.approx(0, abs=1e-12)
    blocks = np.kron(np.eye(m), np.ones((n // m, n // m)))
    assert entropy(shares(eigenvalues(blocks)), order) == pytest.approx(math.log(m))
    assert entropy(shares(eigenvalues(kernel())), order) == pytest.approx(
        matrix_entropy(kernel(), order),
        abs=1e-9 if order > 0.9 else 1e-5,  # the twin counts rounding as eigenvalues
    )


@pytest.mark.parametrize("order", [1.49, 1.5, 3.0, 5.0, 20.0, 1000.0])
def test_many_directions_at_high_orders(order):
    """Where Σ p^q is below the rounding of 1, the entropy still has all its digits."""
    assert entropy(np.full(3000, 1 / 3000), order) == pytest.approx(math.log(3000), rel=1e-13)
    geometric = np.append(0.5 ** np.arange(1, 40), 0.5**39)
    powers = sum(fractions.Fraction(1, 2 ** min(i, 39)) ** 3 for i in range(1, 41))
    assert entropy(geometric, 3.0) == pytest.approx(-0.5 * math.log(powers), rel=1e-13)


def test_purity_is_order_two():
    assert -math.log(purity(kernel())) == pytest.approx(
        entropy(shares(eigenvalues(kernel())), 2.0), abs=1e-12
    )


def test_both_sides_have_the_same_spectrum():
    z = np.random.default_rng(1).normal(size=(30, 8))
    np.testing.assert_allclose(covariance_side(z)[:8], covariance_side(z.T)[:8], rtol=1e-10)
    assert len(covariance_side(z)) == len(covariance_side(z.T)) == 8


def test_an_indefinite_matrix_is_refused():
    with pytest.raises(InputError, match="positive semi-definite"):
        eigenvalues(np.array([[0.0, 1.0], [1.0, 0.0]]))


@pytest.mark.parametrize(("d", "sigma"), [(1, 0.3), (2, 3.0), (3, 30.0), (4, 30.0), (40, 1.0)])
def test_low_rank_kernels_keep_their_entropy(d, sigma):
    t = np.random.default_rng(d).normal(size=(400, d))
    gram = np.exp(-((t[:, None] - t[None]) ** 2).sum(axis=2) / (2 * sigma**2))
    exact, quick = eigenvalues(gram), low_rank_eigenvalues(gram)
    assert (quick is None) == (d == 40)
    if quick is None:
        return
    for order in (1.0, 1.01, 2.0, math.inf):
        assert entropy(shares(quick), order) == pytest.approx(
            entropy(shares(exact), order), abs=1e-10
        )


def test_unit_rows_leave_out_rows_without_a_direction():
    t = np.array([[1.0, 2.0], [0.0, 0.0], [3.0, 4.0]])
    rows, flags = unit_rows(t, centre=False)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0)
    assert flags == ("zero_rows=1",)
    rows, flags = unit_rows(np.array([[1.0], [3.0], [2.0]]), centre=True)
    assert len(rows) == 2
    assert flags == ("zero_rows=1",)


def plogp(values):
    return -values * np.log(np.maximum(values, 1e-300))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_quadrature_agrees_with_eigenvalues_within_its_error(dtype):
    t = np.random.default_rng(2).normal(size=(400, 3))
    gram = np.exp(-((t[:, None] - t[None]) ** 2).sum(axis=2) / 0.5)
    degree = gram.sum(axis=1)
    walk = gram / np.sqrt(degree[:, None] * degree)
    values = eigenvalues(walk)
    result = quadrature(walk.astype(dtype), [plogp, np.square], rng=np.random.default_rng(0))
    true = np.array([plogp(values).sum(), (values**2).sum()])
    error = result.stderr(np.array([1.0, 0.0]))
    assert 0 < error < 0.02 * true[0]
    assert abs(result.mean[0] - true[0]) < 4 * error
    # the control variate makes every quadratic exact
    assert result.mean[1] == pytest.approx(true[1], rel=1e-5)
    assert result.stderr(np.array([0.0, 1.0])) < 1e-5 * true[1]


def test_quadrature_is_exact_on_trivial_matrices():
    rng = np.random.default_rng(0)
    n = 50
    ones = quadrature(np.full((n, n), 1 / n), [plogp], rng=rng)
    assert ones.mean[0] == pytest.approx(0, abs=1e-10)
    scaled = quadrature(np.eye(n) / n, [plogp], rng=rng)
    assert scaled.mean[0] == pytest.approx(math.log(n))


def test_quadrature_error_covers_the_truth_over_seeds():
    matrix = kernel(200, 60) / np.trace(kernel(200, 60))
    true = plogp(eigenvalues(matrix)).sum()
    gradient = np.array([1.0])
    inside = 0
    for seed in range(40):
        result = quadrature(matrix, [plogp], rng=np.random.default_rng(seed), probes=16, steps=40)
        inside += abs(result.mean[0] - true) < 2 * result.stderr(gradient)
    assert inside >= 33
