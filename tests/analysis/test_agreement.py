import numpy as np
import pytest

from infoplane.analysis.agreement import compare_estimators, reading

STEPS = list(range(12))
UP = np.arange(12.0)


def stack(*curves):
    return np.stack(curves, axis=1)


def test_the_same_story_in_other_units_agrees(dataset):
    one = stack(UP, -UP, np.sin(UP), -2 * UP)
    ds = dataset(STEPS, ["a", "b", "c", "d"], {("e", "X"): one, ("f", "X"): np.exp(one / 4) + 3})
    (pair,) = compare_estimators(ds)
    assert pair.mean == pytest.approx(1.0)
    assert pair.order == pytest.approx(1.0)
    assert "the two estimators agree" in reading([pair])
    assert "the same order" in reading([pair])


def test_opposite_directions_are_named(dataset):
    ds = dataset(STEPS, ["a", "b"], {("e", "X"): stack(UP, UP), ("f", "X"): stack(-UP, UP)})
    (pair,) = compare_estimators(ds)
    assert pair.opposed == ["a"]
    text = reading([pair])
    assert "do not all agree" in text
    assert "in a some go opposite ways" in text


def test_unusable_points_do_not_vote(dataset):
    verdict = np.zeros((12, 1, 2, 1))
    verdict[3:, :, 1] = 2
    ds = dataset(STEPS, ["a"], {("e", "X"): stack(UP), ("f", "X"): stack(-UP)}, verdict=verdict)
    (pair,) = compare_estimators(ds)
    assert pair.direction == {}
    assert pair.mean is None
    assert "Too few usable points" in reading([pair])


def test_flat_curves_have_no_direction(dataset):
    ds = dataset(STEPS, ["a"], {("e", "Y"): stack(UP), ("f", "Y"): stack(np.ones(12))})
    assert compare_estimators(ds)[0].direction == {}
