"""Cauchy–Schwarz quantities against the propositions as printed."""

import math

import numpy as np
import pytest
from twins import mixtures as twin

from infoplane.errors import InputError
from infoplane.estimators import get
from infoplane.types import Status

qmi = get("mi.cauchy_schwarz")
conditional = get("divergence.cauchy_schwarz_conditional")


def toy(n=40, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    return x, np.tanh(x[:, :2] + 0.3 * rng.normal(size=(n, 2)))


@pytest.mark.parametrize("sigma", [0.5, 1.0, 3.0])
def test_matches_proposition_2(sigma):
    x, t = toy()
    k, q = twin.gram(x, x, sigma), twin.gram(t, t, sigma)
    assert qmi(x, t, sigma=sigma).value == pytest.approx(twin.qmi(k, q), abs=1e-12)
    normalised = twin.qmi(k, q) / math.sqrt(twin.qmi(k, k) * twin.qmi(q, q))
    assert qmi(x, t, sigma=sigma, normalised=True).value == pytest.approx(normalised, abs=1e-12)


def test_one_axis_and_one_column_are_the_same_variable():
    x, t = toy()
    assert qmi(x[:, 0], t).value == qmi(x[:, :1], t).value


def test_labels_have_a_kernel_of_equality():
    _, t = toy()
    y = np.random.default_rng(1).integers(0, 3, 40)
    k = (y[:, None] == y).astype(float)
    assert qmi(y, t).value == pytest.approx(twin.qmi(k, twin.gram(t, t, 1.0)), abs=1e-12)
    assert qmi(70 - 3 * y, t).value == pytest.approx(qmi(y, t).value, abs=1e-12)


def test_zero_without_dependence_and_positive_with():
    # every pair of values once: the empirical distribution is a product
    a, b = (m.ravel() for m in np.meshgrid(np.linspace(-1, 1, 6), np.linspace(-1, 1, 7)))
    assert qmi(a, b[:, None]).value == pytest.approx(0.0, abs=1e-12)
    x, t = toy()
    assert qmi(x, t).value > 0.01
    assert qmi(x, t, normalised=True).value > qmi(x, np.random.default_rng(9).permutation(t)).value


def test_trivial_data_have_value_zero():
    x, t = toy()
    for normalised in (False, True):
        constant = qmi(x, np.ones_like(t), normalised=normalised)
        assert constant.value == pytest.approx(0.0, abs=1e-12)
        assert constant.status is Status.DEGENERATE
        single = qmi(np.zeros(40, int), t, normalised=normalised)
        assert single.value == pytest.approx(0.0, abs=1e-12)
        assert "single_class" in single.flags


def test_blocks_change_no_value(monkeypatch):
    x, t = toy()
    y = t[:, 0]
    whole = qmi(x, t).value, conditional(x, y, y + 0.1).value
    monkeypatch.setattr("infoplane.estimators.cauchy_schwarz._BLOCK", 100)
    assert (qmi(x, t).value, conditional(x, y, y + 0.1).value) == pytest.approx(whole, abs=1e-13)


@pytest.mark.parametrize("shape", [(40,), (40, 1), (40, 2)])
def test_conditional_divergence_matches_proposition_1(shape):
    x, t = toy()
    y = t[:, 0] if len(shape) == 1 else t[:, : shape[1]]
    guess = y + 0.4 * np.random.default_rng(2).normal(size=y.shape)
    gram = twin.gram
    truth = twin.conditional_divergence(
        gram(x, x, 0.8), gram(y, y, 0.8), gram(guess, guess, 0.8), gram(guess, y, 0.8)
    )
    assert conditional(x, y, guess, sigma=0.8).value == pytest.approx(truth, abs=1e-12)
    assert conditional(x, y, y).value == pytest.approx(0.0, abs=1e-12)


def test_conditional_divergence_is_no_sum_of_squared_errors():
    # with targets on one axis the released training code is the squared error over log 2
    x, t = toy()
    y, guess = t[:, 0], t[:, 0] + 0.5
    assert conditional(x, y, guess).value != pytest.approx(10.0 / math.log(2), rel=0.1)


def test_wrong_predictions_are_refused():
    x, t = toy()
    with pytest.raises(InputError, match=r"must have the shape of `y`, \(40, 1\)"):
        conditional(x, t[:, 0], t)
    with pytest.raises(InputError, match="same number of samples"):
        conditional(x, t[1:, 0], t[1:, 0])
    with pytest.raises(InputError, match="no prediction is within reach"):
        conditional(x, t[:, 0], t[:, 0] + 1e4)
