import math
import time

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from infoplane.store import Run
from infoplane.types import Measurement, ProbeData, Snapshot
from infoplane.views import compare, replicates
from infoplane.views.hub import Hub
from infoplane.views.shelf import Shelf

BITS = 1 / np.log(2)
PROBE = ProbeData(np.eye(4, dtype=np.float32), np.arange(4) % 2)


def dataset(values, accuracy=0.9, name="run"):
    """One layer, one estimator, I(X;T) as given in bits at steps 0, 10, 20 …"""
    values = np.asarray(values, dtype=float)
    mi = np.stack([values, values / 10], axis=-1)[:, None, None, :] / BITS
    coordinates = {
        "step": np.arange(len(values)) * 10,
        "layer": ["a"],
        "estimator": ["mi.binning"],
        "target": ["X", "Y"],
    }
    dims = ("step", "layer", "estimator", "target")
    ds = xr.Dataset({"mi": (dims, mi)}, coordinates, {"run": name})
    ds["test_accuracy"] = ("step", np.full(len(values), accuracy))
    return ds


def test_settings_that_differ_are_found():
    configs = [{"a": 1, "b": [1, 2], "seed": 0}, {"a": 1, "b": [1, 3], "seed": 1}, {"a": 1}]
    assert replicates.varying(configs) == ["b", "seed"]


def test_seeds_become_mean_and_range():
    sets = [(dataset([1, 2, 3]), {"act": "tanh"}), (dataset([3, 4, 5]), {"act": "tanh"})]
    (group,) = replicates.groups(sets, "mi.binning", "act")
    assert (group["title"], group["runs"], group["differ"]) == ("tanh", 2, [])
    curve = group["layers"][0]["X"]
    assert (curve["mean"][0], curve["low"][0], curve["high"][0]) == (2, 1, 3)
    assert (curve["mean"][-1], curve["low"][-1], curve["high"][-1]) == (4, 3, 5)
    assert [each["y"] for each in curve["each"]] == [[1, 2, 3], [3, 4, 5]]


def test_runs_of_different_length_are_averaged_where_all_have_points():
    sets = [(dataset([1, 1, 1, 1]), {}), (dataset([3, 3]), {})]
    curve = replicates.groups(sets, "mi.binning", "")[0]["layers"][0]["X"]
    assert curve["x"][-1] == 10
    assert set(curve["mean"]) == {2}


def test_a_path_in_the_plane_has_the_range_over_runs_in_both_directions():
    sets = [(dataset([1, 2, 3]), {}), (dataset([3, 4, 5]), {})]
    path = replicates.groups(sets, "mi.binning", "")[0]["layers"][0]["plane"]
    assert (path["step"][0], path["step"][-1]) == (0, 20)
    assert (path["x"][0], path["y"][0]) == (2, 0.2)
    assert (path["mid_x"][-1], path["rx"][-1]) == (4, 1)
    assert path["ry"][-1] == pytest.approx(0.1)
    assert [(each["x"][-1], each["y"][-1]) for each in path["each"]] == [(3, 0.3), (5, 0.5)]


def test_one_run_has_a_path_without_a_band_and_no_path_where_a_target_is_missing():
    ds = dataset([1, 2, 3])
    assert replicates.path([ds], "mi.binning", 0)["each"] == []
    assert replicates.path([ds.sel(target=["Y"])], "mi.binning", 0)["x"] == []


def test_cells_are_made_by_any_setting_by_run_or_by_all_that_differs():
    sets = [
        (dataset([1, 2], name=f"r{i}"), {"act": act, "lr": lr, "seed": i})
        for i, (act, lr) in enumerate([("relu", 0.1), ("tanh", 0.1), ("tanh", 0.01), ("tanh", 0.1)])
    ]
    cells = {
        key: {title: len(m) for title, m in replicates.gathered(sets, key).items()}
        for key in ("act", "lr", "", "run", "settings")
    }
    assert cells["act"] == {"relu": 1, "tanh": 3}
    assert list(cells["lr"]) == ["lr 0.01", "lr 0.1"]
    assert cells[""] == {"all chosen runs": 4}
    assert cells["run"] == {f"r{i}": 1 for i in range(4)}
    assert cells["settings"] == {"relu · lr 0.1": 1, "tanh · lr 0.01": 1, "tanh · lr 0.1": 2}
    mixed = {g["title"]: g["differ"] for g in replicates.groups(sets, "mi.binning", "act")}
    assert mixed == {"relu": [], "tanh": ["lr"]}


def test_a_title_names_a_file_without_its_folder():
    sets = [(dataset([1, 2]), {"images": f"/somewhere/{name}.idx"}) for name in "ab"]
    assert list(replicates.gathered(sets, "images")) == ["a.idx", "b.idx"]


def test_the_run_whose_estimators_can_be_compared_is_read_first():
    one, two = dataset([1, 2, 3]), dataset([1, 2])
    two = xr.concat([two, two.assign_coords(estimator=["mi.kde"])], "estimator", data_vars="all")
    assert max((one, two), key=compare._comparable) is two


def test_settings_of_a_task_are_settings():
    assert replicates.settings({"lr": 1, "options": {"corruption": 0.2}}) == {
        "lr": 1,
        "corruption": 0.2,
    }


def test_bits_lost_since_the_peak_against_accuracy():
    sets = [(dataset([1, 5, 2], 0.7), {}), (dataset([1, 2, 2], 0.8), {})]
    told = compare.scatter(sets, "mi.binning", 0)
    assert [(p["x"], p["y"]) for p in told["points"]] == [
        (pytest.approx(3), 0.7),
        (pytest.approx(0), 0.8),
    ]
    assert "rho" not in told


def test_the_rank_correlation_is_spearmans():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(12, 2)).round(1)  # with ties
    told = compare.rank_correlation(points)
    assert told["rho"] == pytest.approx(stats.spearmanr(points).statistic, abs=1e-12)
    assert -1 <= told["low"] <= told["rho"] <= told["high"] <= 1
    assert compare.rank_correlation(points) == told  # no hidden randomness
    assert compare.rank_correlation(np.ones((5, 2))) == {}


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """However slow the machine, an answer is whole at once."""
    monkeypatch.setattr(compare, "PATIENCE", math.inf)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for seed in range(2):
        config = {"seed": seed, "activation": "tanh"}
        with Run.create(folder / f"r{seed}", name=f"r{seed}", config=config) as run:
            run.begin((PROBE,))
            for step in range(8):
                run.write(Snapshot(step, {"a": np.zeros((4, 2), np.float32)}, {"accuracy": 0.5}))
                run.measure(
                    Measurement(f"{step}{e}{t}", step, "a", "mi", t, e, 1, {}, 1.0 + 0.1 * step)
                    for e in ("mi.binning", "mi.kde")
                    for t in "XY"
                )
    with Run.create(folder / "bare") as run:
        run.begin((PROBE,))
        run.write(Snapshot(0, {"a": np.zeros((4, 2), np.float32)}))
    return Shelf.at(folder, Hub())


def test_an_answer_compares_what_was_asked_for(shelf):
    ids = [run.id for run in shelf.runs()]
    told = compare.answer(shelf, {"runs": ids, "estimator": "mi.kde", "key": "seed", "layer": 0})
    assert told["estimator"] == "mi.kde"
    assert told["titles"] == ("I(X; T + ε)", "I(T + ε; Y)")  # what was measured, on every axis
    assert sorted(group["title"] for group in told["groups"]) == ["seed 0", "seed 1"]
    assert told["problems"] == ["bare: nothing was estimated yet"]
    assert told["agreement"]["pairs"][0]["rho"] == pytest.approx(1)


def test_what_takes_long_to_read_is_told_run_by_run_and_ends(shelf, monkeypatch):
    monkeypatch.setattr(compare, "PATIENCE", -1.0)
    ids = [run.id for run in shelf.runs()]
    known, told = 0, []
    while "reading" in (answer := compare.answer(shelf, {"runs": ids, "read": known})):
        told.append(answer["reading"])
        known = answer["reading"][0]
    assert told == [[i, len(ids)] for i in range(1, len(ids))]
    assert answer["groups"]


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"runs": None},
        {"runs": "../../etc/passwd"},
        {"runs": [None, 3, "../x", ["a"]]},
        {"runs": ["x"] * 100_000},
    ],
)
def test_questions_that_name_no_run_give_no_group(shelf, question):
    assert compare.answer(shelf, question)["groups"] == []


@pytest.mark.parametrize(
    "forged", [{"estimator": 3}, {"key": "__class__"}, {"layer": 10**9}, {"layer": "a"}]
)
def test_forged_choices_fall_back(shelf, forged):
    ids = [run.id for run in shelf.runs() if run.name != "bare"]
    told = compare.answer(shelf, {"runs": ids} | forged)
    assert told["estimator"] == "mi.binning"
    assert told["layer"] == 0


def test_a_growing_run_is_not_read_again_at_once():
    reading = compare._Reading("before", at=time.monotonic(), took=60.0, told=None)
    assert reading.holds("before")
    assert reading.holds("after")  # 20 minutes for a minute of reading
    old = compare._Reading("before", at=time.monotonic() - 61.0, took=3.0, told=None)
    assert old.holds("before")
    assert not old.holds("after")


def test_networks_of_different_depth_are_never_one_cell():
    deep = dataset([1, 2]).isel(layer=[0, 0])
    for key, titles in (("", ["all chosen runs · 1 layer", "all chosen runs · 2 layers"]),
                        ("act", ["tanh · 1 layer", "tanh · 2 layers"])):  # fmt: skip
        cells = replicates.gathered(
            [(dataset([1, 2]), {"act": "tanh"}), (deep, {"act": "tanh"})], key
        )
        assert list(cells) == titles
    assert list(replicates.gathered([(deep, {}), (deep, {"act": "tanh"})], replicates.ALL)) == [
        "settings not recorded",
        "tanh",
    ]
