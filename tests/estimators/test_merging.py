import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infoplane.errors import InputError
from infoplane.estimators.merging import _Channels, feature_complexity


def slow(produced, consumed, beta):
    """All pairs anew after each merge."""
    groups = [(p.copy(), c.copy(), 1) for p, c in zip(produced, consumed, strict=True)]
    while len(groups) > 1:
        pairs = {
            (i, j): ((a[0] - b[0]) ** 2).sum() + ((a[1] - b[1]) ** 2).sum()
            for i, a in enumerate(groups)
            for j, b in enumerate(groups)
            if i < j
        }
        (i, j), least = min(pairs.items(), key=lambda item: item[1])
        if least > beta * max(pairs.values()):
            break
        a, b = groups[i], groups.pop(j)
        groups[i] = (a[0] + b[0], (a[2] * a[1] + b[2] * b[1]) / (a[2] + b[2]), a[2] + b[2])
    return groups


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.05, 0.2, 0.5, 0.9]))
def test_matches_the_slow_version(seed, beta):
    rng = np.random.default_rng(seed)
    produced, consumed = rng.normal(size=(14, 5)), rng.normal(size=(3, 14))
    found = feature_complexity(produced, weight=consumed, beta=beta)
    groups = slow(produced, consumed.T, beta)
    assert found.value == len(groups)
    assert found.info["sizes"] == sorted((count for _, _, count in groups), reverse=True)


def test_duplicated_channels_are_found_at_any_small_beta():
    rng = np.random.default_rng(0)
    produced, consumed = rng.normal(size=(4, 6)), rng.normal(size=(3, 4))
    twice = feature_complexity(
        np.repeat(produced, 2, axis=0), weight=np.repeat(consumed, 2, axis=1), beta=0.01
    )
    assert twice.value == 4
    assert twice.info["sizes"] == [2, 2, 2, 2]
    values = [
        feature_complexity(np.repeat(produced, 2, axis=0), beta=b).value
        for b in (0.0, 0.1, 0.3, 0.6, 1.0)
    ]
    assert values == sorted(values, reverse=True)
    assert values[0] == 4
    assert values[-1] == 1


def test_merging_duplicates_keeps_the_function():
    rng = np.random.default_rng(1)
    produced = np.repeat(rng.normal(size=(4, 6)), 2, axis=0)
    consumed = np.repeat(rng.normal(size=(3, 4)), 2, axis=1)
    x = rng.normal(size=(50, 6))
    before = np.maximum(x @ produced.T, 0) @ consumed.T
    channels = _Channels(produced, consumed.T)
    assert channels.run(0.01) == 4
    kept = channels.alive
    after = np.maximum(x @ channels.produced[kept].T, 0) @ channels.consumed[kept]
    np.testing.assert_allclose(after, before, atol=1e-12)


def test_edges():
    assert feature_complexity([[1.0, 2.0]]).value == 1.0
    assert feature_complexity(np.zeros((5, 3))).value == 1.0
    with pytest.raises(InputError, match="one column a channel"):
        feature_complexity(np.eye(3), weight=np.ones((3, 2)))
    big = np.random.default_rng(2).normal(size=(6, 3))
    assert feature_complexity(big * 1e200).value == feature_complexity(big).value
