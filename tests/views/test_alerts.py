"""Every alert has a run that raises it and one, as near as may be, that must not."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from infoplane.cli import main
from infoplane.store import Run, open_run
from infoplane.types import Flags, Measurement, ProbeData, Snapshot
from infoplane.views import alerts, diagnostics

ROW = Measurement(
    "k", 10, "a", "mi", "X", "mi.binning", 1, {}, 2.0, ceiling=4.0, n=50, d=4, reason=""
)


def kinds(found):
    return [(alert.level, alert.kind) for alert in found]


def test_a_scalar_that_became_nan_is_an_error_with_its_step():
    (alert,) = alerts.not_finite({"loss": {0: 1.0, 7: float("nan"), 9: float("nan")}})
    assert (alert.level, alert.step) == ("ERROR", 7)
    assert not list(alerts.not_finite({"loss": {0: 1.0, 7: 1e300}}))


def test_memorising_needs_a_gap():
    scalars = {"accuracy": {0: 0.5, 9: 1.0}, "test_accuracy": {0: 0.5, 9: 0.85}}
    (alert,) = alerts.memorising(scalars)
    assert "1.000" in alert.words
    assert "0.850" in alert.words
    assert not list(alerts.memorising(scalars | {"test_accuracy": {9: 0.95}}))
    assert not list(alerts.memorising({"accuracy": {9: 1.0}}))


def test_dead_layers_and_units():
    assert kinds(alerts.dead([replace(ROW, flags=Flags(["constant"]))])) == [
        ("ERROR", "dead layer")
    ]
    assert kinds(alerts.dead([replace(ROW, flags=Flags(["dead=2"]))])) == [("WARN", "dead units")]
    assert not list(alerts.dead([replace(ROW, flags=Flags(["dead=1"]))]))
    revived = [replace(ROW, flags=Flags(["constant"])), replace(ROW, step=20, key="later")]
    assert not list(alerts.dead(revived))


def test_saturated_means_under_every_estimator():
    top = [replace(ROW, value=3.99), replace(ROW, value=3.95, estimator="mi.kde")]
    assert kinds(alerts.saturated(top)) == [("INFO", "saturated")]
    assert not list(alerts.saturated([top[0], replace(top[1], value=3.0)]))
    assert not list(alerts.saturated([replace(top[0], ceiling=None)]))


def test_collapse_is_a_fall_to_one_direction():
    rank = replace(ROW, quantity="rank", estimator="rank.effective", target="")
    fell = [replace(rank, step=1, value=8.0), replace(rank, step=2, value=1.1)]
    assert kinds(alerts.collapsed(fell)) == [("WARN", "collapse")]
    assert not list(alerts.collapsed([fell[0], replace(fell[1], value=3.0)]))
    assert not list(alerts.collapsed([replace(rank, value=1.1)]))  # it always was


def test_train_and_test_planes_that_part():
    train = replace(ROW, target="Y", probe="train", value=0.69)
    test = replace(train, probe="test", value=0.4)
    (alert,) = alerts.apart([train, test], 0.69)
    assert "42 %" in alert.words
    assert not list(alerts.apart([train, replace(test, value=0.62)], 0.69))
    assert not list(alerts.apart([train, test], None))
    assert not list(alerts.apart([train], 0.69))


def test_estimates_without_a_value_are_counted_by_reason():
    rows = [replace(ROW, value=None, note="too few samples", key=str(i)) for i in range(3)]
    (alert,) = alerts.failed([*rows, ROW])
    assert "3 times: too few samples" in alert.words


def test_events_of_the_capture():
    events = [{"event": "dropped", "detail": {}}, {"event": "fault", "detail": {"error": "oom"}}]
    assert kinds(alerts.lost(events)) == [("WARN", "dropped"), ("ERROR", "capture")]
    (*_, fault) = alerts.lost([*events, {"event": "cost", "detail": {"faults": 94}}])
    assert fault.words == "94 faults while capturing; last kind: oom"
    replaced = [{"event": "worker replaced", "detail": {}}]
    assert kinds(alerts.lost(replaced)) == [("WARN", "worker")]
    assert not list(alerts.lost([{"event": "cost", "detail": {}}]))


@pytest.fixture
def run(tmp_path):
    with Run.create(tmp_path / "run") as made:
        made.record(0, {"loss": 1.0})
        made.record(5, {"loss": float("nan")})
        made.measure([replace(ROW, quantity="rank", estimator="rank.effective", target="")])
    return open_run(tmp_path / "run")


def test_alerts_are_kept_in_the_run_once(run):
    found = alerts.alerts(run)
    assert alerts.keep(run, found) == 1
    assert alerts.keep(run, found) == 0
    assert open_run(run.path).annotations("alert") == [asdict(found[0])]


def test_the_page_tells_what_is_kept(run):
    assert diagnostics.answer(run, {})["alerts"][0]["kept"] is False
    assert diagnostics.answer(run, {"keep": "yes"})["alerts"][0]["kept"] is False
    assert diagnostics.answer(run, {"keep": True})["alerts"][0]["kept"] is True


def test_quantities_have_their_unit_and_information_is_in_bits():
    entropy = replace(
        ROW, quantity="entropy", estimator="entropy.renyi", value=np.log(8), target=""
    )
    rank = replace(ROW, quantity="rank", estimator="rank.effective", unit="1", target="")
    first, second = diagnostics.quantities([entropy, rank, ROW], {"a": "T1"})
    assert first["unit"] == "bit"
    assert first["curves"][0]["y"] == pytest.approx([3.0])
    assert second["curves"] == [{"label": "T1", "kind": "probe", "x": [10], "y": [2.0]}]


def test_train_and_test_of_one_thing_share_a_figure_train_first():
    scalars = {
        "test_accuracy": {0: 0.4, 9: 0.8},
        "accuracy": {0: 0.5, 9: 1.0},
        "loss": {0: 1.0, 3: float("nan"), 9: 0.1},
        "epoch": {0: 0.0},
    }
    figures = {figure["name"]: figure["curves"] for figure in diagnostics.training(scalars)}
    assert [curve["kind"] for curve in figures["accuracy"]] == ["train", "test"]
    assert figures["loss"][0]["x"] == [0, 9]
    assert "epoch" not in figures


def test_planes_are_shown_where_two_probe_sets_were_measured():
    rows = [replace(ROW, probe=probe, value=np.log(4)) for probe in ("test", "train")]
    (figure,) = diagnostics.planes(rows, {"a": "T1"})
    assert figure["name"].startswith("I(X; bin(T))")  # what was measured
    assert [curve["kind"] for curve in figure["curves"]] == ["train", "test"]
    assert figure["curves"][0]["y"] == pytest.approx([2.0])  # bits
    assert diagnostics.planes(rows[:1], {"a": "T1"}) == []


def test_evaluating_keeps_the_alerts_in_the_run_once(tmp_path, capsys):
    rng = np.random.default_rng(0)
    with Run.create(tmp_path / "run") as run:
        run.begin((ProbeData(rng.normal(size=(50, 2)).astype(np.float32), np.arange(50) % 2),))
        run.write(Snapshot(0, {"a": np.zeros((50, 3), np.float32)}, {"loss": float("nan")}))
        run.report("cost", {"seconds": 1.0, "training_seconds": 50.0})
    words = ["evaluate", str(tmp_path / "run"), "mi.binning", "--null", "0", "--quiet", "--json"]
    for _ in range(2):
        assert main(words) == 0
        assert json.loads(capsys.readouterr().out)["alerts"]["ERROR"] == 2
    kept = [note["kind"] for note in open_run(tmp_path / "run").annotations(alerts.KIND)]
    assert sorted(kept) == ["dead layer", "diverged"]
    shown = diagnostics.answer(open_run(tmp_path / "run"), {})
    assert all(alert["kept"] for alert in shown["alerts"])
    assert shown["cost"] == "capture took 2.00 % of the training (1.00 of 50.0 s)"
