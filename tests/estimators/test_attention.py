import math

import numpy as np
import pytest

from infoplane.errors import InputError, NonFiniteError
from infoplane.estimators.attention import attention_entropy


def maps(n=3, heads=2, length=6, causal=False, seed=0):
    raw = np.exp(np.random.default_rng(seed).normal(size=(n, heads, length, length)))
    if causal:
        raw = np.tril(raw)
    return raw / raw.sum(axis=-1, keepdims=True)


def test_matches_the_definition():
    a = maps()
    true = -(a * np.log(a)).sum(axis=-1)
    found = attention_entropy(a)
    assert found.value == pytest.approx(true.mean())
    assert found.info["heads"] == pytest.approx(true.mean(axis=(0, 2)).tolist())
    assert found.info["share"] == pytest.approx(true.mean() / math.log(6))
    assert found.ceiling == pytest.approx(math.log(6))
    assert attention_entropy(a[:, 0]).value == pytest.approx(true[:, 0].mean())


def test_uniform_causal_rows_reach_their_own_ceiling():
    a = np.tril(np.ones((6, 6)))
    a /= a.sum(axis=1, keepdims=True)
    found = attention_entropy(a, causal=True)
    assert found.value == pytest.approx(np.log(np.arange(1, 7)).mean())
    assert found.value == pytest.approx(found.ceiling)
    assert found.info["share"] == pytest.approx(1.0)
    assert found.info["overloaded"] == 1.0
    assert attention_entropy(a).info["share"] < 0.8  # what the published ceiling makes of it
    stacked = attention_entropy(np.vstack([a, a]), causal=True)
    assert stacked.value == pytest.approx(found.value)


def test_one_hot_rows_have_none():
    found = attention_entropy(np.eye(5)[None])
    assert found.value == 0.0
    assert found.info["collapsed"] == 1.0
    assert attention_entropy(np.ones((1, 1, 1, 1)), causal=True).info["share"] == 0.0


def test_rounded_maps_are_taken():
    a = maps(length=64)
    for dtype, tolerance in ((np.float32, 1e-6), (np.float16, 1e-3)):
        assert attention_entropy(a.astype(dtype)).value == pytest.approx(
            attention_entropy(a).value, abs=tolerance
        )


def test_what_is_no_attention_is_refused():
    a = maps()
    for wrong in (np.log(a), 2 * a, -a, a.sum(axis=-1)):
        with pytest.raises(InputError, match="sum to 1"):
            attention_entropy(wrong)
    with pytest.raises(InputError, match="two to four axes"):
        attention_entropy(a[None])
    with pytest.raises(InputError, match="look ahead"):
        attention_entropy(a, causal=True)
    with pytest.raises(InputError, match="as many queries"):
        attention_entropy(maps()[:, :, :4], causal=True)
    masked = a.copy()
    masked[1, 0, 2] = np.nan
    with pytest.raises(NonFiniteError, match="fully masked") as caught:
        attention_entropy(masked)
    assert caught.value.first == (2, 2, 0)
