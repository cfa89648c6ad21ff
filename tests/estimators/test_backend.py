"""Exponentials by torch and by numpy: the same digits, chosen by their number alone."""

import numpy as np
import pytest

from infoplane.estimators import backend
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
    for name, value in (("LARGE", 3000), ("_ssyev", lambda: None), ("LARGE", 1)):
        monkeypatch.setattr(backend, name, value)
        found = backend.eigvalsh(matrix)
        assert found.dtype == dtype
        assert found == pytest.approx(plain, abs=error)
    assert np.array_equal(matrix, before)
