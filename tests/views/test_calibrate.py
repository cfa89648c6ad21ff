import math
from dataclasses import replace

import numpy as np
import pytest

from infoplane.errors import InputError
from infoplane.store import Run, open_run
from infoplane.types import Measurement, ProbeData, Quantity, Snapshot
from infoplane.views import calibrate


@pytest.fixture
def run(tmp_path):
    rng = np.random.default_rng(0)
    with Run.create(tmp_path / "run") as made:
        made.begin((ProbeData(rng.normal(size=(64, 2)).astype(np.float32), np.arange(64) % 2),))
        made.write(Snapshot(3, {"a": rng.normal(size=(64, 3)).astype(np.float32)}))
    return open_run(tmp_path / "run")


def test_readings_are_kept_and_told_in_bits(run):
    empty = calibrate.answer(run, {"layer": 0})
    assert empty == {
        "place": [0, run.steps[-1], next(iter(calibrate.targets(run)))],
        "here": {},
        "readings": [],
    }
    told = calibrate.answer(run, {"layer": 0, "estimators": ["mi.binning"]})
    truths = [row["truth"] for row in told["readings"]]
    assert truths == pytest.approx([0, 0.1, 0.3, 0.6, 0.9], abs=1e-3)  # shares of H(Y) = 1 bit
    for row in told["readings"]:
        assert row["bias"] == pytest.approx(row["mean"] - row["truth"], abs=2e-4)
    assert told["about"] == {"step": "3", "n": "64", "d": "3"}
    assert calibrate.answer(open_run(run.path), {"layer": 0}) == told


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"layer": 1},
        {"layer": -1},
        {"layer": True},
        {"layer": "a"},
        {"layer": 0, "step": 4},
        {"layer": 0, "step": "3"},
        {"layer": 0, "step": True},
        {"layer": 0, "target": "Z"},
        {"layer": 0, "target": ["X"]},
        {"layer": 0, "estimators": ["mi.unknown"]},
        {"layer": 0, "estimators": [None, ["mi.binning"]]},
    ],
)
def test_forged_questions_are_refused_and_nothing_is_kept(run, question):
    with pytest.raises(InputError):
        calibrate.answer(run, question)
    assert open_run(run.path).annotations("calibration") == []


def test_a_kept_note_may_hold_anything():
    rows = [3, {"estimator": "<b>", "truth": "x", "mean": True, "bias": 1e308, "seconds": []}]
    (row,) = calibrate.told([{"readings": rows}])["readings"]
    assert row["truth"] is row["mean"] is row["seconds"] is row["bias"] is None
    assert calibrate.told([{"readings": None}])["readings"] == []


def test_readings_of_one_place_are_joined_each_estimators_newest(run):
    here = {"layer": 0, "step": 3, "target": "Y"}
    for name in ("mi.binning", "mi.gaussian", "mi.binning"):
        told = calibrate.answer(run, here | {"estimators": [name]})
    assert len(told["readings"]) == 10
    assert calibrate.answer(run, here | {"target": "X"})["readings"] == []


def test_a_continuous_target_is_for_estimators_that_take_one(run):
    able = calibrate.offered(run)
    assert able["mi.ksg"] == "X Y"
    assert able["mi.binning"] == "Y"
    asked = {"layer": 0, "target": "X", "estimators": ["mi.binning", "mi.gaussian"]}
    told = calibrate.answer(run, asked)
    assert {row["estimator"] for row in told["readings"]} == {"Gaussian (CCA)"}
    with pytest.raises(InputError, match="takes this target"):
        calibrate.answer(run, asked | {"estimators": ["mi.binning"]})


def test_what_the_run_itself_reads_there_is_told_beside(run):
    row = Measurement("k", 3, "a", Quantity.MI, "Y", "mi.binning", 1, {}, math.log(2))
    with run.annotator() as annotator:
        annotator.measure([row, replace(row, key="l", target="X"), replace(row, key="m", step=4)])
    run.refresh()
    assert calibrate.answer(run, {"layer": 0})["here"] == {"fixed bins": pytest.approx(1.0)}


def test_the_standing_table_is_told_in_bits_with_where_it_comes_from():
    told = calibrate.standing_table()
    assert all(words in told["about"] for words in ("draws of 1,000 samples", "2026-", "seed 0"))
    kinds = {part["title"]: part for part in told["tables"]}
    assert len(kinds["Two continuous variables"]["rows"]) == 40
    for part in told["tables"]:
        for row in part["rows"]:
            assert len(row["cells"]) == len(part["estimators"])
            for cell in row["cells"]:
                if cell["bias"] is not None:
                    assert cell["bias"] == pytest.approx(cell["mean"] - row["truth"], abs=2e-4)
