"""The softmax channel: identities, exact channels, hostile shapes."""

import math

import numpy as np
import pytest
from scipy.special import softmax as softmax_rows

from infoplane import truth
from infoplane.errors import InputError
from infoplane.estimators import card, get
from infoplane.estimators.softmax import probabilities, softmax
from infoplane.types import Status


@pytest.fixture
def logits():
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=200)
    return y, rng.standard_normal((200, 3)) + 2 * np.eye(3)[y]


def by_hand(p, v):
    """I(V;Ŷ) from the joint table p(v, ŷ)."""
    table = np.array([p[v == a].sum(0) for a in np.unique(v)]) / len(p)
    outside = table.sum(1, keepdims=True) * table.sum(0)
    kept = table > 0
    return (table[kept] * np.log(table[kept] / outside[kept])).sum()


def test_equals_the_joint_table(logits):
    y, t = logits
    p = softmax_rows(t, axis=1)
    assert softmax(y, t).value == pytest.approx(by_hand(p, y), abs=1e-12)
    assert softmax(np.arange(200), t).value == pytest.approx(by_hand(p, np.arange(200)), abs=1e-12)


def test_the_three_parts_add_up(logits):
    y, t = logits
    info = softmax(y, t).info
    assert info["I(X;Ŷ)"] == pytest.approx(info["I(V;Ŷ)"] + info["I(X;Ŷ|V)"], abs=1e-12)
    divergence = [
        (p * np.log(p / s)).sum()
        for a in range(3)
        for s in [softmax_rows(t, axis=1)[y == a].mean(0)]
        for p in softmax_rows(t, axis=1)[y == a]
    ]
    assert info["I(X;Ŷ|V)"] == pytest.approx(np.mean(divergence), abs=1e-12)


def test_a_real_input_counts_row_by_row(logits):
    _, t = logits
    x = np.random.default_rng(1).standard_normal((200, 7))
    assert softmax(x, t).value == pytest.approx(softmax(np.arange(200), t).value, abs=1e-12)
    assert softmax(x[:, 0], t).value == pytest.approx(softmax(x, t).value, abs=1e-12)


def test_one_hot_outputs_are_a_noiseless_channel():
    y = np.arange(90) % 3
    result = softmax(y, np.eye(3)[y])
    assert result.value == pytest.approx(math.log(3), abs=1e-12)
    assert result.status is Status.SATURATED
    assert result.info["I(X;Ŷ|V)"] == pytest.approx(0, abs=1e-12)


def test_binary_symmetric_channel_is_exact():
    x = np.arange(100) % 2
    p = np.array([[0.9, 0.1], [0.1, 0.9]])[x]
    exact = truth.binary_symmetric(0.1).mi
    assert softmax(x, p).value == pytest.approx(exact, abs=1e-12)
    assert softmax(x, np.log(p[:, 1:] / p[:, :1])).value == pytest.approx(exact, abs=1e-12)


def test_logits_and_probabilities_are_told_apart(logits):
    y, t = logits
    p = softmax_rows(t, axis=1)
    assert softmax(y, p).value == pytest.approx(softmax(y, t).value, abs=1e-12)
    assert softmax(y, p, form="logits").value < softmax(y, p).value
    with pytest.raises(InputError, match="must hold probabilities"):
        softmax(y, t, form="probabilities")


def test_huge_logits_do_not_overflow(logits):
    y, t = logits
    assert softmax(y, t * 1e200).value <= math.log(3) + 1e-12
    np.testing.assert_allclose(probabilities(np.array([[1e308, -1e308]] * 2)), [[1, 0]] * 2)


def test_degenerate():
    y = np.arange(20) % 2
    assert softmax(y, np.zeros((20, 4))).status is Status.DEGENERATE
    assert softmax(np.zeros(20, int), np.eye(20)).flags == ("single_class",)


def test_fast_null_equals_the_loop(logits):
    y, t = logits
    fast = card("mi.softmax").null(y, t, draws=4, rng=np.random.default_rng(0))
    rng = np.random.default_rng(0)
    slow = [softmax(rng.permutation(y), t).value for _ in range(4)]
    np.testing.assert_allclose(fast, slow, atol=1e-12)


def test_class_separation_is_the_mean_over_pairs_of_different_classes():
    rng = np.random.default_rng(0)
    y, z = rng.integers(3, size=30), rng.standard_normal((30, 4))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    pairs = [-(p[i] @ np.log(p[j])) for i in range(30) for j in range(30) if y[i] != y[j]]
    info = get("mi.softmax")(y, z).info
    assert info["Γ"] == pytest.approx(np.mean(pairs), abs=1e-12)
    assert info["NCMI"] == pytest.approx(info["I(X;Ŷ|V)"] / np.mean(pairs), abs=1e-12)
