import math

import numpy as np
import pytest
from scipy.special import entr

from infoplane.estimators.description import description_length, mdl


def binary(p):
    return -p * math.log(p) - (1 - p) * math.log(1 - p)


def slow(t, bins):
    """Unit by unit, value by value."""
    total = 0.0
    for column in t.T:
        active = [v for v in column if v != 0]
        p = len(active) / len(column)
        total += binary(p) if 0 < p < 1 else 0.0
        low, high = min(0.0, min(column)), max(0.0, max(column))
        if max(column) <= 0:
            high = 0.0
        cells = {}
        for v in active:
            cell = min(int((v - low) / ((high - low) / bins)), bins - 1)
            cells[cell] = cells.get(cell, 0) + 1
        total += p * -sum(c / len(active) * math.log(c / len(active)) for c in cells.values())
    return total


def test_matches_the_slow_version():
    t = np.random.default_rng(0).normal(size=(200, 70))
    for layer in (np.maximum(t, 0), t, np.tanh(t)):
        assert mdl(layer, bins=8).value == pytest.approx(slow(layer, 8))


def test_a_bernoulli_unit_costs_its_entropy():
    t = np.zeros((100, 2))
    t[:30, 0] = 5.0
    t[:50, 1] = 0.1
    assert mdl(t).value == pytest.approx(binary(0.3) + math.log(2))
    assert mdl(t, compat=True).value > mdl(t).value + 0.1


def test_uniform_values_cost_the_bins():
    t = np.random.default_rng(1).uniform(0.001, 1, size=(40_000, 1))
    for bins in (4, 8, 32):
        assert mdl(t, bins=bins).value == pytest.approx(math.log(bins), abs=0.01)


def test_auto_takes_the_fewest_bins_that_reach_the_precision():
    t = np.maximum(np.random.default_rng(2).normal(size=(500, 20)), 0)
    errors = {bins: mdl(t, bins=bins).info["error"] for bins in (4, 6, 8, 12, 16, 32)}
    assert list(errors.values()) == sorted(errors.values(), reverse=True)
    for precision in (0.2, 0.1, 0.05):
        found = mdl(t, precision=precision).info
        assert found["bins"] == min(bins for bins in errors if errors[bins] <= precision)
    assert "coarse" in mdl(t, precision=1e-6).flags
    assert mdl(t, precision=1e-6).info["bins"] == 32


def test_quantisation_error():
    t = np.array([[0.0], [1.0], [2.0], [4.0]])
    assert description_length(t, 4)[1] == pytest.approx(0.25 + 0.25 + 0.25)


@pytest.mark.parametrize("factor", [1.0, 3.0, 0.1, 1e-6, 1e200])
def test_what_lies_on_an_edge_of_a_bin_stays_there(factor):
    t = np.random.default_rng(0).integers(-3, 4, (40, 3)).astype(float)
    t[0], t[1] = -3, 3  # bins of width one: whole numbers lie on their edges
    assert mdl(t, bins=6).value == pytest.approx(slow(t, 6), abs=1e-12)
    assert mdl(factor * t, bins=6).value == pytest.approx(slow(factor * t, 6), abs=1e-12)


def test_quantised_values_on_an_edge_fall_as_in_a_histogram():
    t = np.maximum(np.round(np.random.default_rng(1).standard_normal((300, 7)), 1), 0.0)
    for bins in (10, 30, 32):
        parts = [np.histogram(unit[unit > 0], bins, (0, unit.max()))[0] for unit in t.T]
        active = (t > 0).mean(axis=0)
        true = sum(
            entr([p, 1 - p]).sum() + p * entr(counts / counts.sum()).sum()
            for p, counts in zip(active, parts, strict=True)
        )
        assert mdl(t, bins=bins).value == pytest.approx(true, rel=1e-12)
