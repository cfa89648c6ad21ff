import numpy as np
import pytest
from scipy import stats

from infoplane.analysis.calibration import (
    calibrate,
    calibrate_run,
    classes,
    coupled,
    dressed,
    information_at,
)
from infoplane.analysis.portrait import Portrait
from infoplane.errors import InputError

RNG = np.random.default_rng(0)


def layer(n=1500, d=4):
    return np.tanh(RNG.standard_normal((n, 3)) @ RNG.standard_normal((3, d)) * [2, 1, 0.5, 0.2])


def test_information_of_classes_against_monte_carlo():
    shares, distance = np.array([0.5, 0.3, 0.2]), 1.7
    rng = np.random.default_rng(1)
    y = rng.choice(3, 400_000, p=shares)
    x = distance * y + rng.standard_normal(len(y))
    parts = shares * stats.norm.pdf(x[:, None] - distance * np.arange(3))
    truth = np.mean(np.log(stats.norm.pdf(x - distance * y) / parts.sum(axis=1)))
    assert information_at(shares, distance) == pytest.approx(truth, abs=3e-3)
    assert information_at(shares, 0.0) == pytest.approx(0.0, abs=1e-9)
    assert information_at(shares, 50.0) == pytest.approx(stats.entropy(shares), abs=1e-9)


def test_coupled_pairs_have_the_information_asked_for():
    v, t = coupled(200_000, 5, 3, 1.2, np.random.default_rng(2))
    rho = [np.corrcoef(v[:, j], t[:, j])[0, 1] for j in range(3)]
    assert -0.5 * np.log1p(-np.square(rho)).sum() == pytest.approx(1.2, abs=0.02)


def test_a_twin_has_the_layers_shape_spectrum_and_marginals():
    t = layer()
    twin = dressed(np.random.default_rng(3).standard_normal(t.shape), Portrait(t), RNG)
    assert twin.shape == t.shape
    np.testing.assert_allclose(np.sort(twin, axis=0), np.sort(t, axis=0))
    one = np.linalg.eigvalsh(np.cov(t.T))
    two = np.linalg.eigvalsh(np.cov(twin.T))
    np.testing.assert_allclose(two / two.sum(), one / one.sum(), atol=0.05)


def test_units_with_atoms_keep_no_marginal():
    t = np.maximum(layer(), 0)
    twin = dressed(np.random.default_rng(3).standard_normal(t.shape), Portrait(t), RNG)
    assert len(np.unique(twin[:, 0])) == len(twin)


def test_flat_directions_destroy_nothing():
    t = np.repeat(np.maximum(layer()[:, :1], 0), 3, axis=1)  # atoms: no marginal is laid over it
    twin = dressed(np.random.default_rng(3).standard_normal(t.shape), Portrait(t), RNG)
    assert np.linalg.matrix_rank(twin - twin.mean(axis=0)) == 3


def test_a_known_estimator_reads_the_truth_on_gaussian_twins():
    t = np.random.default_rng(4).standard_normal((3000, 3))
    for reading in calibrate(t, ["mi.gaussian"], truths=(0.0, 1.0), twins=3):
        assert reading.bias == pytest.approx(0.0, abs=0.05)
        assert reading.seconds > 0


def test_bins_are_found_wanting_and_the_sentence_says_so():
    labels = np.random.default_rng(5).integers(0, 2, 1500)
    readings = calibrate(layer(), ["mi.binning"], labels=labels, twins=2)
    nothing = readings[0]
    assert nothing.truth == 0.0
    assert nothing.bias > 0.1  # plug-in bias on four units
    assert "where 0.00 bits is true" in str(nothing)
    assert [reading.truth for reading in readings] == sorted(reading.truth for reading in readings)


def test_class_sizes_are_those_of_the_layer():
    labels, t = classes(np.array([5, 20, 75]), 3, 0.3, np.random.default_rng(6))
    assert np.bincount(labels).tolist() == [5, 20, 75]
    assert t.shape == (100, 3)


def test_what_an_estimator_cannot_take_is_a_note():
    (reading,) = calibrate(layer(), ["mi.binning"], truths=[1.0], twins=1)
    assert reading.mean is None
    assert "continuous" in reading.note
    assert "no reading" in str(reading)


def test_more_than_the_labels_hold_is_refused():
    with pytest.raises(InputError, match="H\\(Y\\)"):
        calibrate(layer(), ["mi.binning"], labels=np.arange(1500) % 2, truths=[0.7])


def test_calibration_is_kept_in_the_run(record):
    rng = np.random.default_rng(7)
    y = np.arange(300) % 2
    run = record({0: {"a": np.tanh(rng.standard_normal((300, 2)))}}, y=y)
    readings = calibrate_run(run, "a", ["mi.binning"], twins=2)
    run.refresh()
    (note,) = run.annotations("calibration")
    detail = note.get("detail", note)
    assert detail["layer"] == "a"
    assert [r["mean"] for r in detail["readings"]] == [r.mean for r in readings]
    bare = record({0: {"a": rng.standard_normal((300, 2))}}, name="bare")
    with pytest.raises(InputError, match="no classes"):
        calibrate_run(bare, "a", ["mi.binning"])
