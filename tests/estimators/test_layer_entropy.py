import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infoplane.errors import InputError
from infoplane.estimators.layer_entropy import binary_entropy_of_logits, layer_entropy


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def binary(p):
    return -p * np.log(p) - (1 - p) * np.log(1 - p)


@given(st.floats(-30, 30))
def test_binary_entropy(z):
    direct = binary(sigmoid(z)) if abs(z) < 20 else abs(z) * math.exp(-abs(z)) + math.exp(-abs(z))
    assert binary_entropy_of_logits(np.array(z)) == pytest.approx(direct, rel=1e-6, abs=1e-12)


def test_binary_entropy_at_the_ends():
    ends = np.array([0.0, 1e3, -1e308])
    assert binary_entropy_of_logits(ends).tolist() == [math.log(2), 0.0, 0.0]


def test_closed_form_is_the_limit_of_the_path_form():
    end = 4 * np.random.default_rng(0).normal(size=(10, 6))
    closed = layer_entropy(end)
    assert closed.value == pytest.approx((binary(sigmoid(end)) - math.log(2)).sum())
    assert closed.info["mean"] == pytest.approx(closed.value / 60)
    one = layer_entropy(end, form="path").value
    assert one == pytest.approx(-(end * (sigmoid(end) - 0.5)).sum())
    assert one < 2 * closed.value
    for steps, tolerance in ((100, 0.02), (10_000, 2e-4)):
        way = np.linspace(0, 1, steps + 1)[:-1, None, None] * end
        path = layer_entropy(end, previous=way, form="path")
        assert path.value == pytest.approx(closed.value, rel=tolerance)
        assert path.info["steps"] == steps
        assert layer_entropy(end, previous=way).value == pytest.approx(closed.value)


def test_from_one_step_to_the_next():
    rng = np.random.default_rng(1)
    start, end = rng.normal(size=(2, 8, 3))
    assert layer_entropy(end, previous=start).value == pytest.approx(
        (binary(sigmoid(end)) - binary(sigmoid(start))).sum()
    )
    assert layer_entropy(start, previous=start).value == 0.0
    change = sigmoid(end) - sigmoid(start)
    cosine = (end * change).sum() / np.linalg.norm(end) / np.linalg.norm(change)
    assert layer_entropy(end, previous=start).info["alignment"] == pytest.approx(cosine)
    with pytest.raises(InputError, match="previous"):
        layer_entropy(end, previous=start[:, :2])
