"""Self-consistency: estimators that pass, one that cannot, and what is refused."""

import numpy as np
import pytest

from infoplane.errors import InputError, TooFewSamplesError
from infoplane.estimators import get, self_consistency
from infoplane.estimators.consistency import Consistency, gaussian_rows


def test_the_closed_form_passes_on_gaussian_rows_and_follows_the_line():
    found = self_consistency("mi.gaussian", rng=1)
    x, y, truth = gaussian_rows(rng=1)
    assert found.whole == pytest.approx(truth, abs=0.1)
    assert found.passed(0.1)
    for rows, ratio in found.baseline:
        assert ratio == pytest.approx(rows / 4, abs=0.06)
    assert found.additivity == pytest.approx(2.0, abs=0.12)
    whole = get("mi.gaussian")(x.reshape(1000, -1), y.reshape(1000, -1)).value
    assert found.whole == pytest.approx(whole, abs=1e-12)


def test_a_bound_with_a_ceiling_fails_additivity():
    x, y, truth = gaussian_rows(400, 4, 2, noise=0.05, rng=0)  # 24 nats, log 16 = 2.8
    found = self_consistency("mi.infonce", x, y, params={"steps": 30, "batch": 16}, rng=0)
    assert truth > 20
    assert found.misses()["additivity"] > 0.2
    assert not found.passed()


def test_copies_themselves_as_published():
    images = np.random.default_rng(0).standard_normal((300, 4, 2))
    found = self_consistency("mi.ksg", images, rng=0)
    ratios = [ratio for _, ratio in found.baseline]
    assert ratios == sorted(ratios)
    assert abs(found.independence) < 0.1
    assert "additivity" in str(found)


def test_misses_are_relative_to_what_should_be():
    found = Consistency("x", 1.0, -0.2, ((1, 0.5), (2, 0.4), (4, 1.0)), 1.3, 1.0)
    assert found.misses() == pytest.approx(
        {"independence": 0.2, "baseline": 0.1, "data processing": 0.3, "additivity": 0.5}
    )


@pytest.mark.parametrize("name", ["mi.binning", "rank.effective"])
def test_other_quantities_are_refused(name):
    with pytest.raises(InputError, match="no estimator of I"):
        self_consistency(name)


def test_shapes_are_refused():
    x = np.zeros((100, 3, 2))
    with pytest.raises(InputError, match="rows, columns"):
        self_consistency("mi.ksg", x[:, :, 0])
    with pytest.raises(InputError, match="shape of `x`"):
        self_consistency("mi.ksg", x, x[:, :2])
    with pytest.raises(InputError, match="drop"):
        self_consistency("mi.ksg", x, drop=3)
    with pytest.raises(InputError, match="finds nothing"):
        self_consistency("mi.ksg", x)
    with pytest.raises(TooFewSamplesError):
        self_consistency("mi.ksg", x[:5])
