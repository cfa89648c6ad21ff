"""Phases on synthetic curves of known truth."""

import numpy as np
import pytest
import xarray as xr
from scipy.signal import lfilter

from infoplane.analysis.phases import (
    FLOOR,
    add_phases,
    fastest_loss_decrease,
    find_phases,
    gradient_transition,
    phases_of,
)
from infoplane.errors import InputError

STEPS = np.unique(np.r_[0, np.round(np.geomspace(1, 10_000, 100))]).astype(int)
AXIS = np.log1p(STEPS)


def tent(turn, rise=2.0, fall=1.5):
    """Rise to a peak at a step, then fall, straight on the log axis."""
    at = np.log1p(turn)
    up = rise * AXIS / at
    down = rise - fall * (AXIS - at) / (AXIS[-1] - at)
    return np.where(turn >= STEPS, up, down)


def test_onset_is_found_where_it_is():
    rng = np.random.default_rng(0)
    errors, covered, amounts = [], [], []
    for _ in range(60):
        turn = 10 ** rng.uniform(1.5, 3)
        found = find_phases(STEPS, tent(turn) + 0.1 * rng.standard_normal(len(STEPS)))
        fall = found.largest("fall")
        assert fall is not None
        errors.append(abs(np.log10(fall.onset / turn)))
        covered.append(fall.onset_low <= turn <= fall.onset_high)
        amounts.append(fall.amount)
        assert fall.amount == pytest.approx(1.5, abs=0.35)
        assert fall.confidence > 0.95
    assert np.median(errors) < 0.1  # of a decade
    assert np.mean(amounts) == pytest.approx(1.44, abs=0.04)  # three points at a sharp peak: −0.06
    assert np.mean(covered) >= 0.9


@pytest.mark.parametrize("noise", [0.05, 0.5])
def test_flat_noisy_curves_have_no_phase(noise):
    rng = np.random.default_rng(1)
    found = [
        bool(find_phases(STEPS, 3 + noise * rng.standard_normal(len(STEPS))).found)
        for _ in range(300)
    ]
    assert np.mean(found) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 300)


@pytest.mark.parametrize("correlation", [0.3, 0.5])
def test_flat_curves_with_correlated_noise_rarely_have_a_phase(correlation):
    rng = np.random.default_rng(5)
    found = []
    for _ in range(300):
        shocks = rng.standard_normal(len(STEPS) + 20)
        noise = lfilter([1.0], [1.0, -correlation], shocks)[20:]
        found.append(bool(find_phases(STEPS, 3 + noise).found))
    assert np.mean(found) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 300)


def test_a_smooth_trend_is_not_taken_for_noise():
    quiet = find_phases(STEPS, tent(100))
    assert quiet.noise < 0.1
    assert [phase.direction for phase in quiet.found] == ["rise", "fall"]


def test_refusal_gives_both_numbers():
    rng = np.random.default_rng(2)
    phases = find_phases(STEPS, 3 + 0.3 * rng.standard_normal(len(STEPS)))
    assert phases.refusal.startswith("none found: the largest")
    assert phases.refusal.count("bits") == 2
    assert phases.threshold > max(phases.swings.values())


def test_a_constant_curve_is_refused_at_the_floor():
    phases = find_phases(STEPS, np.full(len(STEPS), 2.0))
    assert not phases.found
    assert phases.threshold == FLOOR
    assert "0.05 bits below which" in phases.refusal


def test_several_phases_are_told_apart():
    curve = tent(30) + np.where(STEPS > 1000, 2.0 * (AXIS - np.log1p(1000)), 0)
    directions = [phase.direction for phase in find_phases(STEPS, curve).found]
    assert directions == ["rise", "fall", "rise"]


def test_replicate_spread_raises_the_threshold():
    curve = tent(100, fall=0.5)
    assert find_phases(STEPS, curve).largest("fall") is not None
    refused = find_phases(STEPS, curve, spread=1.0)
    assert not refused.found
    assert "spread over replicates" in refused.refusal


def test_standard_errors_count_as_noise():
    curve = tent(100, fall=0.3)
    calm = find_phases(STEPS, curve)
    assert find_phases(STEPS, curve, stderr=np.full(len(STEPS), 0.4)).noise == pytest.approx(0.4)
    assert calm.noise < 0.05


def test_order_and_gaps_do_not_matter():
    curve = tent(100)
    shuffled = np.random.default_rng(3).permutation(len(STEPS))
    assert find_phases(STEPS[shuffled], curve[shuffled]) == find_phases(STEPS, curve)
    with_gap = np.where(np.arange(len(STEPS)) % 7 == 3, np.nan, curve)
    fall = find_phases(STEPS, with_gap).largest("fall")
    assert fall.onset == pytest.approx(100, rel=0.2)


def test_too_few_points_are_not_read():
    assert "7 usable points" in find_phases(STEPS[:7], tent(10)[:7]).refusal


def test_lengths_must_match():
    with pytest.raises(InputError, match="one length"):
        find_phases([1, 2, 3], [1, 2])


def test_unusable_points_are_left_out_and_named(dataset):
    curve = tent(100)[:, None]
    verdict = np.zeros((len(STEPS), 1, 1, 1))
    verdict[:60] = 2
    ds = dataset(
        STEPS, ["a"], {("mi.binning", "X"): curve}, verdict=verdict,
        reason="saturated at 100 % of log n: any finer layer reads the same",
    )  # fmt: skip
    phases = phases_of(ds, "a", "mi.binning", "X")
    assert not phases.found
    assert phases.refusal == f"not read: 60 of {len(STEPS)} points are not usable (saturated)"


def test_phases_become_variables(dataset):
    curves = np.stack([tent(100), np.full(len(STEPS), 1.0)], axis=1)
    ds = add_phases(dataset(STEPS, ["moves", "flat"], {("mi.binning", "X"): curves}))
    at = {"estimator": "mi.binning", "target": "X"}
    assert float(ds["fall"].sel(layer="moves", **at)) == pytest.approx(1.5, abs=0.15)
    assert np.isnan(ds["fall"].sel(layer="flat", **at))
    assert str(ds["phase_note"].sel(layer="flat", **at).values).startswith("none found")


def test_fastest_loss_decrease_is_the_steepest_log_step():
    loss = 1 / (1 + np.exp(4 * (AXIS - np.log1p(200))))
    ds = xr.Dataset({"loss": ("step", loss)}, {"step": STEPS})
    assert fastest_loss_decrease(ds) == pytest.approx(200, rel=0.2)
    assert fastest_loss_decrease(ds.drop_vars("loss")) is None
    rising = xr.Dataset({"loss": ("step", AXIS)}, {"step": STEPS})
    assert fastest_loss_decrease(rising) is None


def test_gradient_transition_is_where_noise_wins_for_good():
    snr = np.where(STEPS < 300, 5.0, 0.2)
    snr[3] = 0.5
    ds = xr.Dataset({"snr": ("step", snr)}, {"step": STEPS})
    assert gradient_transition(ds, "snr") == STEPS[STEPS >= 300][0]
    assert gradient_transition(ds, "other") is None
    assert (
        gradient_transition(xr.Dataset({"snr": ("step", snr + 1)}, {"step": STEPS}), "snr") is None
    )
