"""Exponentials by torch and by numpy: the same digits, chosen by their number alone."""

import numpy as np
import pytest

from infoplane.estimators import backend, banded
from infoplane.estimators.kernel_sums import kernel_sums


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_both_answer_alike(dtype):
    exponents = -np.random.default_rng(0).uniform(0, 90, (70, 1000)).astype(dtype)
    few, many = exponents.copy(), exponents.copy()
    assert backend.exp(few) is few
    assert backend.exp(many, backend.MANY) is many
    assert np.abs(few / many - 1).max() <= 16 * np.finfo(dtype).eps
    assert few == pytest.approx(np.exp(exponents.astype(np.float64)), rel=1e-5)


def test_kernel_sums_do_not_depend_on_who_answers(monkeypatch):
    t = np.random.default_rng(1).normal(size=(300, 3))
    codes = np.arange(300) % 2
    one = kernel_sums(t, codes, (1, 4))
    monkeypatch.setattr(backend, "MANY", 1)
    other = kernel_sums(t, codes, (1, 4))
    for power in (1, 4):
        assert other[power].everyone == pytest.approx(one[power].everyone, rel=1e-13)
        assert other[power].own == pytest.approx(one[power].own, rel=1e-13)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("size", [1, 2, 60])
def test_eigenvalues_of_all_are_alike(monkeypatch, dtype, size):
    rows = np.random.default_rng(2).normal(size=(size, 40))
    matrix = (rows @ rows.T).astype(dtype)
    before, plain = matrix.copy(), np.linalg.eigvalsh(matrix)
    error = float(20 * np.finfo(dtype).eps * plain[-1])
    for place, name, value in (
        (backend, "LARGE", 3000),
        (backend, "_ssyev", lambda: None),
        (backend, "BANDED", 1),
        (backend.banded, "ready", lambda: False),
        (backend, "LARGE", 1),
    ):
        monkeypatch.setattr(place, name, value)
        found = backend.eigvalsh(matrix)
        assert found.dtype == dtype
        assert found == pytest.approx(plain, abs=error)
    assert np.array_equal(matrix, before)


def spectra(n):
    """Matrices whose eigenvalues are many and small, all equal, few, of one entry; of any size."""
    rng = np.random.default_rng(n)
    points = rng.normal(size=(n, 3))
    near = np.exp(-((points[:, None] - points) ** 2).sum(axis=2))
    return [near, np.eye(n), 1e-30 * near, -1e20 * near, np.ones((n, n)), np.diag(points[:, 0])]


@pytest.mark.parametrize("n", [1, 2, 64, 65, 127, 128, 129, 192, 200])
def test_eigenvalues_by_way_of_a_band(n):
    pytest.importorskip("numba")
    for matrix in [*spectra(n), np.zeros((n, n))]:
        single = matrix.astype(np.float32)
        true = np.linalg.eigvalsh(single.astype(np.float64))
        found = banded.eigvalsh(single.copy())
        assert found.dtype == np.float32
        assert found == pytest.approx(true, abs=5e-6 * np.abs(true).max())


def test_only_one_half_of_the_matrix_is_read():
    pytest.importorskip("numba")
    whole = spectra(150)[0].astype(np.float32)
    half = np.triu(whole) + np.tril(np.full_like(whole, 0.5), -1)
    assert np.array_equal(banded.eigvalsh(half), banded.eigvalsh(whole.copy()))
