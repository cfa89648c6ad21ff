"""Claims of papers are decided by what was measured, in both directions."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr

from infoplane.errors import InputError
from infoplane.reproduce import PAPERS, reproduce, saxe2018, szt2017
from infoplane.reproduce.claims import fall, in_all, peak_epoch, spread
from infoplane.types import NATS_TO_BITS

RISE_AND_FALL = [2.0, 4.0, 6.0, 6.0, 6.0, 5.0, 4.0, 3.0, 3.0, 3.0]
RISE = [2.0, 3.0, 4.0, 5.0, 5.5, 5.8, 5.9, 6.0, 6.0, 6.0]


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def trajectories(layers, bits, estimators=("mi.binning",)):
    """A Dataset whose every layer and estimator has the same curves of I(X;T) and I(T;Y)."""
    values = np.broadcast_to(
        np.array(bits)[:, None, None, None], (len(bits), len(layers), len(estimators), 2)
    )
    step = np.arange(len(bits)) * 100
    return xr.Dataset(
        {"mi": (("step", "layer", "estimator", "target"), values / NATS_TO_BITS)},
        coords={
            "step": step,
            "epoch": ("step", step.astype(float)),
            "layer": list(layers),
            "estimator": list(estimators),
            "target": ["X", "Y"],
        },
    )


def decide(paper, number, evidence):
    claim = next(claim for claim in paper.claims if claim.id == number)
    return claim.check(evidence)


def test_a_fall_is_measured_from_peak_to_end_and_one_outlier_makes_neither():
    assert fall(xr.DataArray(RISE_AND_FALL)) == 3.0
    assert fall(xr.DataArray(RISE)) == 0.0
    spiked = [*RISE[:4], 50.0, *RISE[5:7], 0.0, *RISE[8:]]
    assert fall(xr.DataArray(spiked)) < 0.1
    assert fall(xr.DataArray([*RISE[:-1], 0.0])) < 0.1
    bits = xr.DataArray(RISE_AND_FALL, dims="step", coords={"epoch": ("step", np.arange(10.0))})
    assert peak_epoch(bits) in (2.0, 3.0)
    assert spread([1.0, 2.0, 3.0]) == "2.00 (1.00 … 3.00)"
    assert in_all([True, False]) == "undecided"


def test_compression_holds_on_a_curve_that_falls_and_not_on_one_that_rises():
    falls = {"tanh": [trajectories(szt2017.LAYERS, RISE_AND_FALL)] * 3}
    rises = {"tanh": [trajectories(szt2017.LAYERS, RISE)] * 3}
    assert decide(szt2017.PAPER, "4", falls).decision == "holds"
    assert "3.00" in decide(szt2017.PAPER, "4", falls).measured
    assert decide(szt2017.PAPER, "4", rises).decision == "does not hold"
    mixed = {"tanh": [falls["tanh"][0], rises["tanh"][0]]}
    assert decide(szt2017.PAPER, "5", mixed).decision == "undecided"


def test_fitting_is_decided_by_the_gain_before_epoch_300():
    late = [0.0, 0.0, 0.1, 0.1, 0.1, 0.2, 0.4, 0.8, 0.9, 1.0]
    for bits, decision in ((RISE, "holds"), (late, "does not hold"), (RISE[::-1], "does not hold")):
        evidence = {"tanh": [trajectories(szt2017.LAYERS, bits)] * 2}
        assert decide(szt2017.PAPER, "3", evidence).decision == decision
    short = {"tanh": [trajectories(szt2017.LAYERS, RISE[:3])]}
    assert decide(szt2017.PAPER, "3", short).decision == "undecided"


def test_relu_without_compression_is_told_from_relu_with_it():
    layers = [f"relu{i}" for i in range(1, 6)]
    estimators = (saxe2018.FLOOR, saxe2018.KDE)
    rises = {"relu": [trajectories(layers, RISE, estimators)] * 2}
    falls = {"relu": [trajectories(layers, RISE_AND_FALL, estimators)] * 2}
    assert decide(saxe2018.PAPER, "1", rises).decision == "holds"
    assert decide(saxe2018.PAPER, "1", falls).decision == "does not hold"


def test_claims_about_mathematics_hold_by_our_own_estimators():
    assert decide(szt2017.PAPER, "1", {}).decision == "holds"
    assert decide(saxe2018.PAPER, "6", {}).decision == "holds"
    rescaled = decide(saxe2018.PAPER, "7", {})
    assert rescaled.decision == "holds", rescaled.measured


def test_a_paper_is_tried_from_the_training_to_the_table_and_goes_on_where_it_was(
    tmp_path, monkeypatch
):
    # Two of the trainings are enough to see the path; the claims that need the others are left.
    small = replace(
        saxe2018.PAPER,
        trainings={name: saxe2018.PAPER.trainings[name] for name in ("tanh", "full-batch")},
        claims=tuple(claim for claim in saxe2018.PAPER.claims if claim.id in "456"),
    )
    monkeypatch.setitem(PAPERS, "saxe2018", small)
    said = []
    options = {"seeds": 1, "epochs": 2, "snapshots": 3}
    outcome = reproduce("saxe2018", tmp_path, **options, tell=said.append)
    assert [claim.id for claim, _ in outcome.findings] == ["4", "5", "6"]
    data = json.loads((tmp_path / "claims.json").read_text())
    assert {row["decision"] for row in data["claims"]} <= {"holds", "does not hold", "undecided"}
    assert data["runs"]["full-batch"] == [str(tmp_path / "full-batch-seed-0")]
    table = (tmp_path / "claims.md").read_text()
    assert "65536 bins" in table
    assert "Not tried here" in table

    trained = [line for line in said if "training" in line]
    assert len(trained) == 2
    reproduce("saxe2018", tmp_path, **options, tell=said.append)
    assert [line for line in said if "training" in line] == trained
    with pytest.raises(InputError, match="another recipe"):
        reproduce("saxe2018", tmp_path, **{**options, "epochs": 3})


def test_unknown_papers_and_senseless_numbers_are_refused(tmp_path):
    with pytest.raises(InputError, match="szt2017, saxe2018"):
        reproduce("nobody2020", tmp_path)
    with pytest.raises(InputError, match="seeds"):
        reproduce("szt2017", tmp_path, seeds=0)
