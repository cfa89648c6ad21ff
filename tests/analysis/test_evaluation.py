import importlib
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

import infoplane as ip
from infoplane.errors import EvaluationError, InfoplaneError, InputError
from infoplane.estimators import registry
from infoplane.store import Run, open_run
from infoplane.types import Kind, Layer, ProbeData, Quantity, Snapshot, Status, Verdict

QUICK = ["mi.binning", "mi.adaptive"]


def growing(steps=(0, 1, 5, 20), n=256):
    """Layers that learn the label: more separated at every step."""
    rng = np.random.default_rng(1)
    y = rng.permutation(np.arange(n) % 2)
    noise = rng.standard_normal((n, 2))
    return y, {
        step: {
            "wide": np.tanh(rng.standard_normal((n, 12))),
            "narrow": np.tanh(0.3 * noise + np.log1p(step) * (2 * y[:, None] - 1)),
        }
        for step in steps
    }


def values(run):
    return {row.key: (row.value, row.null, row.verdict, row.reason) for row in run.measurements()}


def test_every_layer_step_and_target_is_measured_once(record):
    y, snapshots = growing()
    run = record(snapshots, y=y)
    summary = ip.evaluate(run, QUICK)
    assert (summary.computed, summary.failed, summary.present) == (4 * 2 * 2 * 2, 0, 0)
    rows = run.measurements()
    assert len({row.key for row in rows}) == len(rows) == 32
    assert {(r.step, r.layer, r.estimator, r.target) for r in rows} == {
        (s, layer, e, t)
        for s in snapshots
        for layer in ("wide", "narrow")
        for e in QUICK
        for t in "XY"
    }
    by_label = [r for r in rows if r.target == "Y"]
    assert all(r.null is not None and r.null.draws == 20 for r in by_label)
    assert all(r.null is None for r in rows if r.target == "X")  # H(T) whatever the pairing
    assert all(r.n == 256 and r.unit == "nat" and r.ceiling is not None for r in rows)


def test_values_equal_a_direct_call(record):
    y, snapshots = growing()
    run = record(snapshots, y=y)
    ip.evaluate(run, ["mi.binning", ("mi.binning", {"bins": 8}), "mi.kde"], null=0)
    for row in run.measurements():
        t = run.load(row.step, row.layer)
        v = y if row.target == "Y" else np.arange(len(y))
        direct = registry.get(row.estimator)(v, t, **row.params)
        assert row.value == pytest.approx(direct.value, abs=1e-12)


def test_running_again_computes_nothing_and_new_asks_only_themselves(record):
    y, snapshots = growing()
    run = record(snapshots, y=y)
    ip.evaluate(run, ["mi.binning"], steps=[0, 5])
    first = values(run)
    assert ip.evaluate(run, ["mi.binning"], steps=[0, 5]).computed == 0
    summary = ip.evaluate(run, ["mi.binning", ("mi.binning", {"bins": 10})], layers=["narrow"])
    assert (summary.computed, summary.present) == (2 * 4 * 2 - 4, 4)
    assert first.items() <= values(run).items()


def test_results_are_the_same_in_any_number_of_threads(record):
    y, snapshots = growing(steps=(0, 5))
    alone, together = record(snapshots, y=y, name="alone"), record(snapshots, y=y, name="together")
    # The run's uuid is part of every key; everything else must agree, random nulls included.
    ip.evaluate(alone, QUICK, seed=3)
    ip.evaluate(together, QUICK, seed=3, workers=2, backend="thread")
    where = lambda row: (row.step, row.layer, row.estimator, row.target)  # noqa: E731
    one = {where(r): (r.value, r.null, r.verdict) for r in alone.measurements()}
    two = {where(r): (r.value, r.null, r.verdict) for r in together.measurements()}
    assert one == two
    assert len(one) == 16


def test_same_run_gives_the_same_nulls_whoever_works(record, tmp_path):
    import shutil

    y, snapshots = growing(steps=(0, 5))
    run = record(snapshots, y=y)
    shutil.copytree(run.path, tmp_path / "copy")
    ip.evaluate(run, QUICK)
    ip.evaluate(tmp_path / "copy", QUICK, workers=2)
    assert values(run) == values(open_run(tmp_path / "copy"))


def test_a_failing_measurement_is_a_row_that_says_why(record):
    y, snapshots = growing(steps=(0, 5))
    snapshots[5]["wide"] = np.where(np.arange(256)[:, None] == 3, np.nan, snapshots[5]["wide"])
    run = record(snapshots, y=y)
    summary = ip.evaluate(run, ["mi.binning"])
    assert (summary.computed, summary.failed) == (8, 2)
    bad = [row for row in run.measurements() if row.status is Status.FAILED]
    assert {(row.step, row.layer) for row in bad} == {(5, "wide")}
    assert all(row.value is None and row.verdict is Verdict.NOT_USABLE for row in bad)
    assert all("NonFiniteError" in row.note and "non-finite" in row.reason for row in bad)
    assert ip.evaluate(run, ["mi.binning"]).computed == 0  # a failure is a result
    assert ip.evaluate(run, ["mi.binning"], retry=True).computed == 2


def test_a_damaged_snapshot_fails_its_rows_and_no_others(record):
    y, snapshots = growing(steps=(0, 5))
    run = record(snapshots, y=y)
    largest = sorted((run.path / "snapshots").iterdir(), key=lambda p: p.stat().st_size)[-1]
    data = bytearray(largest.read_bytes())
    data[-8:] = b"\xff" * 8
    largest.write_bytes(bytes(data))
    summary = ip.evaluate(run, ["mi.binning"])
    assert summary.computed == 8
    assert 0 < summary.failed <= 4


POISON = """
import os, time
from pathlib import Path
import numpy as np
from infoplane.estimators import estimator
from infoplane.types import Cost, Estimate, Kind, Quantity

@estimator(id="mi.poison", label="poison", quantity=Quantity.MI, measures="nothing", formula="",
           accepts=((Kind.DISCRETE, Kind.CONTINUOUS),), cost=Cost.QUICK, complexity="1",
           min_samples=2, reference="")
def poison(v, t, *, how: str = "die", rng=None, shared=None):
    \"\"\"Die, sleep or ask for memory on wide layers.\"\"\"
    if t.shape[1] > 4:
        if how == "die":
            os._exit(9)
        if how == "sleep":
            Path(__file__).with_name("asleep").touch()
            time.sleep(600)
        np.ones(2**29)  # 4 GiB
    return Estimate(0.5, ceiling=1.0)
"""


@pytest.fixture
def poison(tmp_path, monkeypatch):
    """An estimator that misbehaves on wide layers, in a module that workers can import."""
    (tmp_path / "poison_estimator.py").write_text(POISON)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("poison_estimator", None)
    importlib.import_module("poison_estimator")
    yield "mi.poison"
    registry._cards.pop("mi.poison", None)


class Alarm:
    """A timer whose time is up when the estimator sleeps, however fast or slow the machine is."""

    def __init__(self, seconds, function, args):
        self.seconds, self.ring = seconds, lambda: function(*args)
        self.over = threading.Event()

    def start(self):
        threading.Thread(target=self.watch, daemon=True).start()

    def cancel(self):
        self.over.set()

    def watch(self):
        while not self.over.wait(0.01):
            if self.asleep.exists():
                self.asleep.unlink()
                return self.ring()


@pytest.mark.parametrize(
    ("how", "limits", "reason"),
    [
        ("die", {"workers": 1}, "died 2 times"),
        ("sleep", {"timeout": 900.0}, "longer than the 900 s"),
        pytest.param(
            "memory", {"memory": 2.0}, "MemoryError",
            marks=pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA is Linux's"),
        ),
    ],
)  # fmt: skip
def test_a_job_that_dies_sleeps_or_devours_is_given_up_and_the_others_finish(
    record, poison, monkeypatch, tmp_path, how, limits, reason
):
    set_for = []
    if how == "sleep":
        alarm = type("Alarm", (Alarm,), {"asleep": tmp_path / "asleep"})
        make = lambda *given: set_for.append(given[0]) or alarm(*given)  # noqa: E731
        monkeypatch.setattr("infoplane.analysis.hands.threading.Timer", make)
    monkeypatch.setattr("infoplane.analysis.labour.BATCH", 1e9)  # one batch holds all
    monkeypatch.setattr("infoplane.analysis.hands.ATTEMPTS", 2)
    y, snapshots = growing(steps=(5,))
    run = record(snapshots, y=y)
    summary = ip.evaluate(run, [(poison, {"how": how})], targets=("Y",), null=0, **limits)
    assert (summary.computed, summary.failed) == (2, 1)
    states = {(row.layer, row.status) for row in run.measurements()}
    assert states == {("wide", Status.FAILED), ("narrow", Status.OK)}
    (bad,) = [row for row in run.measurements() if row.layer == "wide"]
    assert reason in bad.note
    assert bad.reason.startswith("no value: ")
    assert set(set_for) == ({900.0} if how == "sleep" else set())


def test_two_evaluations_of_one_run_share_its_steps(record, monkeypatch):
    monkeypatch.setattr("infoplane.analysis.labour.MOST", 1)
    y, snapshots = growing(steps=tuple(range(8)))
    run = record(snapshots, y=y)
    other = []

    def meanwhile(done, total):
        if not other:
            other.append(ip.evaluate(run.path, ["mi.binning"], steps=[2, 3], progress=False))

    summary = ip.evaluate(run, ["mi.binning"], progress=meanwhile)
    assert (summary.computed, summary.present) == (32 - 8, 8)
    assert other[0].computed == 8


def test_quick_jobs_share_a_line_of_the_journal(record):
    y, snapshots = growing(steps=tuple(range(20)))
    run = record(snapshots, y=y)
    ip.evaluate(run, ["mi.binning"], null=0)
    (journal,) = (run.path / "journal").glob("a*.jsonl")
    assert len(journal.read_text().splitlines()) < 20  # of 40 jobs
    assert len(run.measurements()) == 80


def test_what_cannot_be_asked_is_told_and_not_run(record):
    _, snapshots = growing(steps=(0, 5))
    run = record(snapshots, y=np.linspace(0, 1, 256), target="regression")
    summary = ip.evaluate(run, ["mi.binning"])
    assert summary.computed == 4
    assert [(r.estimator, r.target) for r in summary.refused] == [("mi.binning", "Y")]
    assert "mi.binning about Y" in str(summary)
    with pytest.raises(EvaluationError, match="nothing that was asked"):
        ip.evaluate(run, ["mi.binning"], targets=("Y",))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": ["nowhere"]}, "layers"),
        ({"steps": [0, 99]}, r"steps.*99"),
        ({"workers": -1}, "workers"),
        ({"null": 1.5}, "null"),
        ({"targets": "Y"}, "targets"),
        ({"estimators": []}, "estimators"),
        ({"params": {"mi.binning": {"bins": 0}}}, "bins"),
        ({"timeout": 0}, "timeout"),
        ({"memory": 1.0, "workers": 2, "backend": "thread"}, "memory.*process"),
    ],
)
def test_bad_arguments_are_named(record, arguments, message):
    y, snapshots = growing(steps=(0,))
    run = record(snapshots, y=y)
    with pytest.raises(InputError, match=message):
        ip.evaluate(run, **{"estimators": ["mi.binning"], **arguments})


def test_intervals_by_subsampling_say_what_they_cover(record):
    y, snapshots = growing(steps=(5,))
    run = record(snapshots, y=y)
    ip.evaluate(run, [("mi.binning", {"bins": 6})], layers=["narrow"], subsamples=20)
    for row in run.measurements():
        assert row.low < row.value < row.high
        assert row.stderr > 0
        assert "20 subsamples of 128 rows" in row.info["interval"]
    assert ip.evaluate(run, [("mi.binning", {"bins": 6})], layers=["narrow"]).computed == 2
    with pytest.raises(InputError, match="subsamples"):
        ip.evaluate(run, subsamples=3)


def test_few_null_draws_can_still_detect(record):
    y, snapshots = growing(steps=(20,))
    run = record(snapshots, y=y)
    ip.evaluate(run, ["mi.binning"], layers=["narrow"], targets=("Y",), null=5)
    (row,) = run.measurements()
    assert row.null.p == pytest.approx(1 / 6)
    assert "null" not in " ".join(row.info["checks"])


def test_layers_that_an_estimator_needs_are_named_when_absent(record):
    y, snapshots = growing(steps=(5,))
    with pytest.raises(EvaluationError, match=r"mi\.fft_kde needs 'scalar', and no layer"):
        ip.evaluate(record(snapshots, y=y), ["mi.fft_kde"])


def test_another_layer_may_be_the_target(record):
    y, snapshots = growing(steps=(5,))
    run = record(snapshots, y=y)
    ip.evaluate(run, ["mi.binning"], targets=("narrow",), layers=["wide"])
    (row,) = run.measurements()
    assert (row.target, row.layer) == ("narrow", "wide")


def test_progress_is_told(record):
    y, snapshots = growing(steps=(0, 5))
    run = record(snapshots, y=y)
    told = []
    ip.evaluate(run, ["mi.binning"], progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (8, 8)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_bar_is_shown_when_asked(record, capfd):
    y, snapshots = growing(steps=(0, 5))
    ip.evaluate(record(snapshots, y=y), ["mi.binning"], progress=True)
    assert "estimating" in capfd.readouterr().err


def test_a_stop_is_prompt_and_loses_nothing(record, monkeypatch):
    monkeypatch.setattr("infoplane.analysis.labour.MOST", 1)
    y, snapshots = growing(steps=tuple(range(12)))
    run = record(snapshots, y=y)
    told = []
    summary = ip.evaluate(
        run, ["mi.binning"], progress=lambda *a: told.append(a), stop=lambda: len(told) >= 3
    )
    assert summary.stopped
    assert summary.computed == 6
    assert ip.evaluate(run, ["mi.binning"]).computed == 48 - 6


@pytest.mark.parametrize("workers", [0, 1])
def test_follow_measures_what_arrives_until_the_run_ends(tmp_path, workers):
    y, snapshots = growing()
    run = Run.create(tmp_path / "live")
    result = []
    thread = threading.Thread(
        target=lambda: result.append(
            ip.evaluate(tmp_path / "live", ["mi.binning"], follow=True, workers=workers)
        )
    )
    thread.start()
    try:
        time.sleep(0.3)  # it waits for a run that has not begun
        table = tuple(
            Layer(n, "Tanh", (t.shape[1],), t.shape[1], "flatten") for n, t in snapshots[0].items()
        )
        run.begin((ProbeData(np.arange(256.0)[:, None], y),), table, {})
        run.write(Snapshot(0, snapshots[0]))
        reader = open_run(tmp_path / "live")
        _await(lambda: _has(reader, 0))  # measured while the run is live
        for step in (1, 5, 20):
            run.write(Snapshot(step, snapshots[step]))
        _await(lambda: _has(reader, 20))
        assert thread.is_alive()
    finally:
        run.close()
        thread.join(timeout=300)
    assert result[0].computed == 4 * 2 * 2


def _has(reader, step):
    reader.refresh()
    return any(row.step == step for row in reader.measurements())


def _await(condition, patience=300.0):
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "nothing arrived"
        time.sleep(0.02)


def test_one_variable_quantities_have_no_target(record, monkeypatch):
    from infoplane.types import Estimate

    def spread(t, *, rng=None, shared=None):
        """Mean variance."""
        return Estimate(float(t.var()))

    def separation(t, y, *, rng=None, shared=None):
        """Distance of two class means."""
        return Estimate(float(abs(t[y == 0].mean() - t[y == 1].mean())))

    base = replace(registry.card("mi.binning"), quantity=Quantity.RANK, unit="1", null=None)
    one = replace(base, id="rank.test", function=spread, params={}, accepts=(Kind.CONTINUOUS,))
    two = replace(one, id="collapse.test", function=separation, quantity=Quantity.COLLAPSE)
    monkeypatch.setitem(registry._cards, "rank.test", one)
    monkeypatch.setitem(registry._cards, "collapse.test", two)
    y, snapshots = growing(steps=(0, 5))
    run = record(snapshots, y=y)
    assert ip.evaluate(run, ["rank.test", "collapse.test"]).computed == 8
    assert {(r.estimator, r.target, r.unit) for r in run.measurements()} == {
        ("rank.test", "", "1"),
        ("collapse.test", "", "1"),
    }
    ds = ip.trajectories(run)
    assert ds["rank.test"].dims == ("step", "layer")
    assert ds["collapse.test"].sel(step=5, layer="narrow") > ds["collapse.test"].sel(
        step=0, layer="narrow"
    )


def test_evaluate_names_a_missing_run(tmp_path):
    with pytest.raises(InfoplaneError):
        ip.evaluate(tmp_path / "nothing")


def test_a_worker_ends_with_its_parent(record):
    import json
    import subprocess
    import sys

    y, snapshots = growing(steps=(0,))
    run = record(snapshots, y=y)
    setup = {"path": str(run.path), "settings": {"seed": 0, "null": 0}, "modules": []}
    worker = subprocess.Popen(
        [sys.executable, "-m", "infoplane.analysis.worker"], stdin=subprocess.PIPE, text=True
    )
    worker.communicate(json.dumps(setup) + "\n", timeout=300)
    assert worker.returncode == 0


def test_an_interrupt_stops_the_workers_and_keeps_what_is_done(record, monkeypatch):
    monkeypatch.setattr("infoplane.analysis.labour.MOST", 1)
    y, snapshots = growing(steps=tuple(range(10)))
    run = record(snapshots, y=y)

    def interrupt(done, total):
        if done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ip.evaluate(run, ["mi.binning"], workers=2, progress=interrupt)
    run.refresh()
    kept = len(run.measurements())
    assert 4 <= kept < 40
    assert ip.evaluate(run, ["mi.binning"]).computed == 40 - kept
