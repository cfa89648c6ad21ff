import numpy as np
import pytest

import infoplane as ip
from infoplane.analysis.processing import add_processing, violations

STEPS = [0, 10, 20]


def test_a_falling_chain_passes(dataset):
    ds = dataset(STEPS, ["a", "b", "c"], {("e", "X"): [[3, 2, 1]] * 3})
    assert violations(ds) == []
    checked = add_processing(ds)["dpi_excess"]
    assert np.isnan(checked.sel(layer="a")).all()
    assert (checked.sel(layer=["b", "c"]) == 0).all()


def test_a_layer_that_reads_more_is_named_with_the_amount(dataset):
    curves = [[3, 2, 1], [3, 2.5, 2.9], [3, 1, 1.2]]
    (found,) = violations(dataset(STEPS, ["a", "b", "c"], {("e", "Y"): curves}))
    assert (found.before, found.layer, found.step) == ("b", "c", 10)
    assert found.excess == pytest.approx(0.4)
    assert found.share == pytest.approx(2 / 3)
    assert "0.58 bits more I(T;Y) in c than in b" in str(found)


def test_errors_of_both_estimates_make_the_tolerance(dataset):
    curves = {("e", "X"): [[1.0, 1.2]] * 3}
    assert violations(dataset(STEPS, ["a", "b"], curves))
    assert violations(dataset(STEPS, ["a", "b"], curves, stderr=0.1)) == []
    assert violations(dataset(STEPS, ["a", "b"], curves, stderr=0.05))


def test_other_targets_are_no_chain(dataset):
    ds = dataset(STEPS, ["a", "b"], {("e", "a"): [[0.0, 1.0]] * 3})
    assert violations(ds) == []


def test_discrete_layers_that_are_functions_of_each_other_pass(record):
    rng = np.random.default_rng(0)
    snapshots = {}
    for step in (0, 1):
        first = rng.integers(0, 16, 512)
        snapshots[step] = {
            "first": first[:, None].astype(float),
            "second": (first // 2)[:, None].astype(float),
            "third": (first // 5)[:, None].astype(float),
        }
    run = record(snapshots, y=first % 3)
    ip.evaluate(run, [("mi.binning", {"width": 1.0})])
    assert violations(ip.trajectories(run)) == []
