"""The command line as a user types it: real processes, real files."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import infoplane as ip
from infoplane.cli import main, printable
from infoplane.types import Verdict

ENV = {**os.environ, "OMP_NUM_THREADS": "1"}


def infoplane(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "infoplane", *map(str, arguments)],
        capture_output=True, text=True, env=ENV, timeout=900, **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "mine"
    result = infoplane(
        "demo", "--no-open", "--exit", "--out", out, "--epochs", "300", "--snapshots", "40"
    )
    assert result.returncode == 0, result.stderr
    return out, result


@pytest.fixture(scope="module")
def dataset(demo):
    return ip.trajectories(ip.open_run(demo[0] / "run"))


def test_demo_writes_a_finished_run_and_a_report(demo):
    out, result = demo
    run = ip.open_run(out / "run")
    assert run.status().state == "finished"
    assert run.steps[0] == 0
    assert run.steps[-1] == 300 * 13
    assert run.layers == ["tanh1", "tanh2", "tanh3", "tanh4", "tanh5", "softmax"]
    assert {row.step for row in run.measurements()} == set(run.steps)
    assert (out / "report.html").stat().st_size > 100_000
    assert "loss" in result.stderr
    assert "steps/s" in result.stderr
    assert "softmax had fitted by epoch" in result.stdout
    assert "estimating what is left" in result.stdout


def test_demo_shows_fitting_then_compression(dataset):
    mi = dataset["mi"].sel(estimator="mi.binning") * 1.4426950408889634
    x = mi.sel(target="X")
    for layer in ("tanh5", "softmax"):
        curve = x.sel(layer=layer)
        peak_epoch = float(curve["step"][int(curve.argmax("step"))]) / 13
        assert 3 <= peak_epoch <= 100
        assert float(curve.max()) - float(curve[0]) > 0.3
        assert float(curve.max()) - float(curve[-1]) > 0.3
    assert float(x.sel(layer="tanh1").min()) > 11.9


def test_demo_marks_saturated_first_layers_and_null_at_step_0(dataset):
    binning = dataset.sel(estimator="mi.binning")
    first = binning.sel(layer="tanh1", target="X")
    assert (first["verdict"] == int(Verdict.NOT_USABLE)).all()
    assert "ceiling" in str(first["reason"].values[-1]) or "satur" in str(
        first["reason"].values[-1]
    )
    start = binning.sel(layer="tanh1", target="Y").isel(step=0)
    assert int(start["verdict"]) != int(Verdict.OK)
    assert "null" in str(start["reason"].values)


def test_demo_never_overwrites(demo):
    out, _ = demo
    before = sorted((p.name, p.stat().st_size) for p in (out / "run").rglob("*"))
    result = infoplane("demo", "--no-open", "--exit", "--out", out)
    assert result.returncode == 1
    assert "never overwrites" in result.stderr
    assert result.stderr.count("\n") == 1
    assert sorted((p.name, p.stat().st_size) for p in (out / "run").rglob("*")) == before


def test_demo_without_out_takes_the_next_free_directory(tmp_path):
    (tmp_path / "demo").mkdir()
    result = infoplane(
        "demo", "--no-open", "--exit", "--epochs", "1", "--snapshots", "3", cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "demo-2" / "report.html").exists()
    assert list((tmp_path / "demo").iterdir()) == []


CLEARED = """
import signal, sys
from infoplane.cli import main
# a suite that a shell runs in the background hands down an ignored SIGINT
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main())
"""


def test_ctrl_c_leaves_a_readable_run(tmp_path):
    run_path = tmp_path / "d" / "run"
    process = subprocess.Popen(
        [sys.executable, "-c", CLEARED, "demo", "--no-open", "--exit", "--out",
         str(tmp_path / "d"), "--epochs", "100000"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENV,
    )  # fmt: skip
    try:
        while len(list(run_path.glob("snapshots/*"))) < 7 and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=600)
    finally:
        process.kill()
    assert "Traceback" not in errors
    run = ip.open_run(run_path)
    assert run.status().state == "interrupted"
    assert len(run.steps) >= 4
    for step in run.steps:
        assert run.load(step, "softmax").shape == (4096, 2)
    assert (tmp_path / "d" / "report.html").exists()


def test_list_and_show_in_words_and_json(demo, capsys):
    out, _ = demo
    assert main(["list", str(out)]) == 0
    assert "finished" in capsys.readouterr().out
    assert main(["list", str(out), "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert listed["status"] == "finished"
    assert main(["show", str(out / "run"), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["id"] == listed["id"]
    assert {row["verdict"] for row in shown["last"]} <= {"ok", "caution", "not usable"}
    assert shown["findings"]
    assert "% of the training" in shown["capture"]
    assert main(["show", str(out / "run")]) == 0
    told = capsys.readouterr().out
    assert "tanh5" in told
    assert "capture took" in told


def test_evaluate_computes_only_what_is_missing(demo, capsys):
    out, _ = demo
    arguments = ["evaluate", str(out / "run"), "mi.binning", "--quiet", "--json"]
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["computed"] == 0
    assert main([*arguments, "--param", "bins=12", "--null", "2", "--device", "cpu"]) == 0
    run = ip.open_run(out / "run")
    assert json.loads(capsys.readouterr().out)["computed"] == 2 * 6 * len(run.steps)
    named = [r.info.get("device") for r in run.measurements() if r.params.get("bins") == 12]
    assert named == ["cpu"] * (2 * 6 * len(run.steps))


def test_report_command(demo, tmp_path, capsys):
    out, _ = demo
    assert main(["report", str(out / "run"), "--out", str(tmp_path / "r.html")]) == 0
    assert (
        (tmp_path / "r.html").read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype")
    )


def test_train_records_a_run(tmp_path, capsys):
    arguments = ["train", "blobs", "--out", str(tmp_path / "b"), "--epochs", "2", "--quiet",
                 "--corruption", "0.5", "--snapshots", "4", "--widths", "8-4"]  # fmt: skip
    assert main(arguments) == 0
    run = ip.open_run(tmp_path / "b")
    assert run.config["options"] == {"corruption": 0.5}
    assert len(run.layers) == 3
    assert main(arguments) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_catalogue(capsys):
    assert main(["catalogue", "--json"]) == 0
    cards = {card["id"]: card for card in json.loads(capsys.readouterr().out)}
    assert {"mi.binning", "mi.adaptive", "mi.kde"} <= set(cards)
    assert main(["catalogue", "mi.binning"]) == 0
    text = capsys.readouterr().out
    assert "bins = 30" in text
    assert main(["catalogue", "mi.gaussian", "--self-consistency"]) == 0
    assert "data processing" in capsys.readouterr().out
    assert main(["catalogue", "mi.gaussian", "--self-consistency", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["passed"] is True
    assert main(["catalogue", "rank.effective", "--self-consistency"]) == 1
    assert "no estimator of I(V;T)" in capsys.readouterr().err
    assert main(["catalogue", "--self-consistency"]) == 1
    assert "name one" in capsys.readouterr().err
    assert main(["catalogue", "mi.bining"]) == 1
    assert "mi.binning" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ([], 2, "VERB"),
        (["paint"], 2, "invalid choice"),
        (["serve", "--port", "99999"], 2, "port"),
        (["show", "absent"], 1, "absent"),
        (["train", "szt", "--out", "x", "--activation", "gelu"], 1, "activation"),
        (["train", "szt", "--out", "x", "--widths", "ten"], 1, "--widths"),
        (["evaluate", "absent"], 1, "absent"),
    ],
)
def test_wrong_usage_is_2_and_failure_is_1_with_one_line(arguments, status, words, tmp_path):
    result = infoplane(*arguments, cwd=tmp_path)
    assert result.returncode == status
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    if status == 1:
        assert result.stderr.count("\n") == 1


def test_debug_shows_the_traceback(tmp_path):
    result = infoplane("--debug", "show", tmp_path / "absent")
    assert "Traceback" in result.stderr


@pytest.mark.parametrize(
    "verb",
    ["demo", "train", "evaluate", "serve", "list", "show", "report", "reproduce", "export",
     "import", "verify", "catalogue"],
)  # fmt: skip
def test_every_verb_has_help_with_an_example(verb, capsys):
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    assert stop.value.code == 0
    assert f"infoplane {verb}" in capsys.readouterr().out


def test_control_characters_never_reach_the_terminal():
    assert "\x1b" not in printable("layer\x1b]0;owned\x07")


def test_import_turns_saved_activations_into_a_run(tmp_path, capsys):
    rng = np.random.default_rng(0)
    folder = tmp_path / "saved"
    folder.mkdir()
    for epoch in (0, 10):
        np.savez(folder / f"epoch_{epoch}.npz", fc1=rng.normal(size=(50, 4)))
    call = ["import", str(folder), "--out", str(tmp_path / "run")]
    np.save(tmp_path / "labels.npy", np.arange(40) % 2)
    assert main([*call, "--y", str(tmp_path / "labels.npy")]) == 1
    assert "50 rows" in capsys.readouterr().err
    np.save(tmp_path / "labels.npy", np.arange(50) % 2)
    assert main([*call, "--y", str(tmp_path / "labels.npy")]) == 0  # nothing stands in the way
    assert "2 steps from 0 to 10, 50 samples, layers fc1\n" in capsys.readouterr().out
    run = ip.open_run(tmp_path / "run")
    assert run.layers == ["fc1"]
    assert run.steps == [0, 10]
    np.testing.assert_array_equal(run.probe().y, np.arange(50) % 2)
    assert main([*call[:-1], str(tmp_path / "other")]) == 0
    assert "no labels were found" in capsys.readouterr().out


def test_the_way_out_of_a_pickle_keeps_its_lines(tmp_path, capsys):
    (tmp_path / "epoch1").write_bytes(b"\x80\x04N.")
    assert main(["import", str(tmp_path), "--out", str(tmp_path / "run")]) == 1
    assert "\n    import pathlib, pickle" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("suffix", ["csv", "json", "parquet", "nc", "tex", "bib"])
def test_export_writes_every_format(demo, tmp_path, suffix):
    out, _ = demo
    path = tmp_path / f"tanh.{suffix}"
    assert main(["export", str(out / "run"), "--out", str(path)]) == 0
    assert path.stat().st_size > 100
    if suffix == "json":
        rows = json.loads(path.read_text(encoding="utf-8"))
        assert {"layer", "estimator", "value", "null", "unit", "verdict"} <= set(rows[0])
        assert len(rows) == len(ip.open_run(out / "run").measurements())


def test_export_refuses_another_suffix(demo, tmp_path, capsys):
    assert main(["export", str(demo[0] / "run"), "--out", str(tmp_path / "a.xls")]) == 1
    assert ".csv" in capsys.readouterr().err


def test_verify_tells_a_good_run_from_a_damaged_one(demo, tmp_path, capsys):
    copy = tmp_path / "run"
    shutil.copytree(demo[0] / "run", copy)
    assert main(["verify", str(copy), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["problems"] == []
    victim = max((copy / "snapshots").iterdir(), key=lambda p: p.stat().st_size)
    content = bytearray(victim.read_bytes())
    content[-1] ^= 1
    victim.write_bytes(content)
    assert main(["verify", str(copy)]) == 1
    assert "damaged" in capsys.readouterr().err
