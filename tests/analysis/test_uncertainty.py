"""Intervals: coverage on known information, and refusals where an interval would mislead."""

import numpy as np
import pytest

from infoplane.analysis.uncertainty import bootstrap, extrapolation, replicates, subsampling
from infoplane.errors import InputError, RefusedError
from infoplane.estimators import get

# A discrete pair of known information: Y a coin, T a noisy copy in 4 levels.
P_T_Y = np.array([[0.55, 0.25, 0.15, 0.05], [0.05, 0.15, 0.25, 0.55]])
JOINT = P_T_Y / 2
TRUTH = float((JOINT * np.log(JOINT / (JOINT.sum(0) * 0.5))).sum())
BINS = {"width": 1.0}


def draw(n, seed):
    rng = np.random.default_rng(seed)
    pairs = rng.choice(8, size=n, p=JOINT.ravel())
    return pairs // 4, (pairs % 4)[:, None].astype(float)


def coverage(make, rounds, n):
    hits = []
    for seed in range(rounds):
        interval = make(*draw(n, seed), seed)
        hits.append(interval.low <= TRUTH <= interval.high)
    return np.mean(hits)


def test_subsampling_covers_known_information():
    # bias of the plug-in at n = 500 is 0.003 nat, a seventh of the standard error
    share = coverage(
        lambda y, t, s: subsampling("mi.binning", y, t, draws=20, rng=s, params=BINS), 100, 500
    )
    assert 0.90 <= share <= 0.99  # nominal 0.95, ± 2 standard errors of 100 rounds


def test_subsampling_covers_known_information_of_gaussians():
    hits = []
    for seed in range(50):
        rng = np.random.default_rng(seed)
        v = rng.standard_normal((400, 1))
        t = 0.6 * v + 0.8 * rng.standard_normal((400, 1))
        interval = subsampling("mi.gaussian", v, t, draws=20, rng=seed, params={"shrinkage": 0.0})
        hits.append(interval.low <= -0.5 * np.log(0.64) <= interval.high)
    assert 0.88 <= np.mean(hits) <= 1.0  # nominal 0.95, ± 2 standard errors of 50 rounds


def test_extrapolation_removes_the_bias_of_small_samples():
    plain, extrapolated = [], []
    for seed in range(40):
        y, t = draw(200, seed)
        interval = extrapolation("mi.binning", y, t, draws=10, rng=seed, params=BINS)
        extrapolated.append(interval.value)
        plain.append(get("mi.binning")(y, t, **BINS).value)
    bias, left = np.mean(plain) - TRUTH, np.mean(extrapolated) - TRUTH
    assert bias > 0.003  # 3 / 400 in expectation, seen with an error of 0.006
    assert abs(np.mean(plain) - np.mean(extrapolated) - 3 / 400) < 0.004
    assert abs(left) < abs(bias) + 0.004


def test_intervals_say_what_they_cover():
    y, t = draw(500, 0)
    for interval in (
        subsampling("mi.binning", y, t, draws=10, params=BINS),
        extrapolation("mi.binning", y, t, draws=10, params=BINS),
        replicates([1.0, 1.1, 0.9]),
    ):
        assert interval.low < interval.value < interval.high
        assert len(interval.covers) > 60
        assert interval.level == 0.95


def test_replicates_have_the_t_interval():
    interval = replicates([1.0, 2.0, 3.0, np.nan])
    assert interval.value == 2.0
    assert interval.stderr == pytest.approx(1 / np.sqrt(3))
    assert interval.high - interval.value == pytest.approx(4.302653 / np.sqrt(3), rel=1e-6)
    assert "3 replicates" in interval.covers
    rng = np.random.default_rng(0)
    hits = [
        (lambda i: i.low <= 0 <= i.high)(replicates(rng.standard_normal(5))) for _ in range(400)
    ]
    assert 0.92 <= np.mean(hits) <= 0.98


def test_a_bootstrap_is_refused_where_repeats_are_information():
    y, t = draw(200, 0)
    with pytest.raises(RefusedError, match="subsampling"):
        bootstrap("mi.binning", y, t, params=BINS)


def test_bootstrap_of_moments_agrees_with_subsampling():
    rng = np.random.default_rng(0)
    v = rng.standard_normal((600, 1))
    t = 0.8 * v + 0.6 * rng.standard_normal((600, 1))
    one = bootstrap("mi.gaussian", v, t, draws=60)
    other = subsampling("mi.gaussian", v, t, draws=60)
    assert one.stderr == pytest.approx(other.stderr, rel=0.35)
    assert one.low < -0.5 * np.log(1 - 0.64) < one.high


def test_extrapolation_is_refused_without_a_law():
    y, t = draw(200, 0)
    with pytest.raises(RefusedError, match="no known law"):
        extrapolation("mi.kde", y, t)
    with pytest.raises(RefusedError, match="samples"):
        extrapolation("mi.binning", y, np.random.default_rng(0).uniform(-1, 1, (200, 2)))


@pytest.mark.parametrize(
    ("arguments", "name"),
    [({"share": 0.95}, "share"), ({"draws": 3}, "draws"), ({"level": 2}, "level")],
)
def test_arguments_are_checked(arguments, name):
    y, t = draw(100, 0)
    with pytest.raises(InputError, match=name):
        subsampling("mi.binning", y, t, **{"params": BINS, **arguments})


def test_one_replicate_is_none():
    with pytest.raises(InputError, match="two finite"):
        replicates([1.0, np.nan])


def test_same_seed_same_interval():
    y, t = draw(300, 0)
    assert subsampling("mi.binning", y, t, rng=4, params=BINS) == subsampling(
        "mi.binning", y, t, rng=4, params=BINS
    )
