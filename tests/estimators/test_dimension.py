import math

import numpy as np
import pytest
from twins.spectral import local_dimension

from infoplane.errors import RefusedError, TooFewSamplesError
from infoplane.estimators.dimension import lid, local_dimensions, twonn
from infoplane.estimators.shared import Shared
from infoplane.types import Status


def cloud(n=300, d=3, seed=0):
    return np.random.default_rng(seed).uniform(size=(n, d))


def ball_radii(d, k, draws=20_000, seed=0):
    """Sorted distances from the centre of a uniform d-ball to the k nearest of many points."""
    rng = np.random.default_rng(seed)
    waiting = rng.exponential(size=(draws, k)).cumsum(axis=1)
    return waiting ** (1 / d)


@pytest.mark.parametrize("d", [2, 5, 10])
def test_expectations_at_the_centre_of_a_ball(d):
    radii = ball_radii(d, 20)
    assert local_dimensions(radii, "unbiased").mean() == pytest.approx(d, rel=0.01)
    assert local_dimensions(radii, "published").mean() == pytest.approx(d * 20 / 18, rel=0.01)
    assert local_dimensions(radii, "mom").mean() == pytest.approx(d, rel=0.12)


@pytest.mark.parametrize(("method", "factor"), [("unbiased", 6), ("published", 8)])
def test_matches_the_slow_version(method, factor):
    t = cloud(60)
    true = local_dimension(t, 8, factor)
    assert lid(t, k=8, method=method).value == pytest.approx(true, rel=1e-10)


def ball(n, d, seed):
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=(n, d))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return direction * rng.random((n, 1)) ** (1 / d)


def test_whole_ball_means_of_the_published_form():
    two = np.mean([lid(ball(400, 2, s), method="published").value for s in range(5)])
    eight = np.mean([lid(ball(400, 8, s), method="published").value for s in range(5)])
    assert two == pytest.approx(2.12, abs=0.05)
    assert eight == pytest.approx(7.35, abs=0.15)
    more = np.mean([lid(ball(400, 8, s), k=64, method="published").value for s in range(5)])
    assert more == pytest.approx(6.26, abs=0.15)


def test_averages_and_their_order():
    t = cloud()
    mean, geometric, harmonic = (lid(t, average=a).value for a in ("mean", "geometric", "harmonic"))
    assert mean > geometric > harmonic > 2.0
    assert lid(t).stderr > 0
    low, middle, high = lid(t).info["quantiles"]
    assert low < middle < high


@pytest.mark.parametrize("d", [1, 2, 4])
def test_twonn_on_cubes(d):
    t = np.hstack([cloud(2000, d), np.zeros((2000, 2))])
    fit, ml = twonn(t), twonn(t, method="ml")
    assert fit.value == pytest.approx(d, rel=0.1)
    assert ml.value == pytest.approx(d, rel=0.1)
    assert abs(ml.value - d) < 5 * ml.stderr
    assert fit.flags == ("dead=2",)


def test_twonn_on_exact_ratios():
    # distances to a pair of neighbours from the law itself, on a line of isolated triples
    rng = np.random.default_rng(0)
    mu = (1 - rng.random(4000)) ** (-1 / 7.0)
    logs = np.sort(np.log(mu))
    assert (len(mu) - 1) / logs.sum() == pytest.approx(7.0, rel=0.05)


def test_embedding_scale_rotation_and_shift():
    t = cloud(200, 3)
    rng = np.random.default_rng(1)
    frame = np.linalg.qr(rng.normal(size=(20, 3)))[0]
    for quantity in (lid, twonn):
        value = quantity(t).value
        assert quantity(t @ frame.T).value == pytest.approx(value, rel=1e-6)
        for changed in (t * 1e-100, t * 1e100, t + 7.0):
            assert quantity(changed).value == pytest.approx(value, rel=1e-6)


def test_duplicates_enter_once():
    t = cloud(100)
    for quantity in (lid, twonn):
        found = quantity(np.vstack([t, t[:7]]))
        assert "duplicates=7" in found.flags
        assert found.value == pytest.approx(quantity(t).value, rel=1e-9)


def test_atoms_and_grids():
    atoms = np.repeat(cloud(5), 20, axis=0)
    found = lid(atoms)
    assert (found.value, found.status) == (0.0, Status.DEGENERATE)
    assert "discrete" in found.flags
    constant = twonn(np.full((30, 2), 3.0))
    assert (constant.value, constant.flags[0]) == (0.0, "constant")
    with pytest.raises(RefusedError, match="grid"):
        lid(np.eye(40))
    with pytest.raises(RefusedError, match="grid"):
        twonn(np.array([[i, j] for i in range(9) for j in range(9)], float))


def test_too_few_samples_and_shared():
    t = cloud(25)
    with pytest.raises(TooFewSamplesError, match="at least 32"):
        lid(t, k=30)
    with pytest.raises(TooFewSamplesError):
        twonn(t[:10])
    shared = Shared(t)
    assert twonn(t, shared=shared).value == twonn(t).value
    assert lid(t, shared=shared).value == lid(t).value
    assert math.isfinite(lid(t.astype(np.float16)).value)
