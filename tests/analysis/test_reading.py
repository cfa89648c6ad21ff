"""Planted runs are called what they are, in plain words."""

import numpy as np
import pytest

import infoplane as ip
from infoplane.analysis import conclusion, findings, methods
from infoplane.analysis.reading import names_of

N = 512
STEPS = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256)
Y = np.random.default_rng(0).permutation(np.arange(N) % 2)
SIGNAL = 2.0 * Y[:, None] - 1.0
NOISE = np.random.default_rng(1).standard_normal((N, 2))


def learning(step):
    """One unit that separates the classes better and better."""
    return np.tanh(NOISE[:, :1] * 0.5 + 0.4 * np.log1p(step) * SIGNAL)


def compressing(step):
    """Spreads out, then collapses onto the class."""
    grow = min(1.0, np.log1p(step) / np.log1p(16))
    shrink = max(0.0, (np.log1p(step) - np.log1p(16)) / (np.log1p(256) - np.log1p(16)))
    return (0.05 + grow * (1 - shrink)) * 0.4 * np.clip(NOISE[:, :1], -1.2, 1.2) + (
        0.45 * grow * SIGNAL
    )


def planted(record, layer, y=Y, **kwargs):
    run = record({step: {"layer": layer(step)} for step in STEPS}, y=y, **kwargs)
    ip.evaluate(run, ["mi.binning"])
    return run


def line(run, name="layer"):
    (text,) = [t for t in findings(run).splitlines() if t.startswith(f"{name}: ")]
    return text


def test_a_learning_layer_is_fitted_by_a_step(record):
    text = line(planted(record, learning))
    assert "fitted by step" in text
    assert "bits at the end" in text


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["fc1"], "fc1"),
        (["fc1", "fc2", "out"], "fc1, fc2 and out"),
        (["1", "3"], "layer 1 and layer 3"),
        (["0.1", "head", "3", "5"], "layer 0.1 … layer 5 (4)"),
    ],
)
def test_a_module_with_a_number_for_a_name_is_called_a_layer(names, said):
    assert names_of(names) == said


def test_fit_then_compress_is_seen_with_its_onset(record):
    text = line(planted(record, compressing))
    assert "fitted by step" in text
    assert "compressed: I(X; bin(T)) falls by" in text
    onset = int(text.partition("falls by")[2].partition("from step ")[2].split()[0])
    assert 8 <= onset <= 32


def test_a_fall_that_comes_back_is_no_compression(dataset):
    steps = np.unique(np.geomspace(1, 1000, 60).astype(int))
    axis = np.log(steps) / np.log(1000)
    curve = 3.0 - 2.0 * np.clip(axis - 0.3, 0, 0.3) / 0.3 + 1.5 * np.clip(axis - 0.7, 0, 0.3) / 0.3
    text = findings(dataset(steps, ["layer"], {("mi.binning", "X"): curve[:, None]}))
    assert "no lasting compression: I(X; bin(T)) falls by" in text
    assert "and then rises by" in text
    short = conclusion(dataset(steps, ["layer"], {("mi.binning", "X"): curve[:, None]}))
    assert "so it was not compressed" in short


def test_a_null_that_fills_the_labels_leaves_nothing_to_say_about_them(record):
    # every row its own place: H(Y) of random labels is read, and so it is with shuffled ones
    places = np.linspace(-0.99, 0.99, N)[:, None] * [1, 0.3, 0.1, 0.05]
    random = np.random.default_rng(4).permutation(Y)
    run = record({s: {"layer": places} for s in STEPS}, y=random)
    ip.evaluate(run, [("mi.binning", {"bins": 2000})])
    assert "I(bin(T); Y) cannot be read" in line(run)
    half = record({s: {"layer": learning(0)} for s in STEPS}, y=Y, name="half")
    ip.evaluate(half, [("mi.binning", {"bins": 500})])
    assert "too little to say how much of it is about Y" in line(half)


def test_a_linear_chain_is_ordered_and_a_break_is_told(record):
    def layers(step):
        t = learning(step)
        return {"first": t, "second": np.clip(np.round(t * 3) / 3, -1, 1)}

    run = record({s: layers(s) for s in STEPS}, y=Y)
    ip.evaluate(run, ["mi.binning"])
    assert "more I(X; bin(T))" not in findings(run)
    spread = record(
        {s: {"first": 0.1 * learning(s), "second": learning(s)} for s in STEPS}, y=Y, name="s"
    )
    ip.evaluate(spread, ["mi.binning"])
    assert "more I(X; bin(T)) in second than in first" in findings(spread)


def test_neighbours_of_which_the_same_is_said_share_a_line(record):
    rng = np.random.default_rng(6)

    def layers(step):
        wide = {f"wide{i}": np.tanh(rng.standard_normal((N, 30))) for i in range(5)}
        return {**wide, "last": learning(step)}

    run = record({s: layers(s) for s in STEPS}, y=Y)
    ip.evaluate(run, ["mi.binning"])
    lines = findings(run).splitlines()
    assert any(text.startswith("wide0 … wide4 (5): I(bin(T); Y) cannot be read") for text in lines)
    assert any(text.startswith("last: fitted") for text in lines)


def test_epochs_are_named_when_they_were_recorded(record):
    scalars = {step: {"epoch": step / 4, "loss": 1 / (1 + step)} for step in STEPS}
    run = planted(record, learning, scalars=scalars)
    assert "fitted by epoch" in line(run)
    assert "the loss falls fastest around epoch" in findings(run)


def test_several_estimators_are_compared(record):
    run = planted(record, learning)
    ip.evaluate(run, ["mi.adaptive"])
    assert "rank correlation" in findings(run)


def test_limits_are_always_told(record):
    text = findings(planted(record, learning))
    assert "What cannot be concluded" in text
    assert "one run" in text
    assert "network without noise" in text


def test_every_number_of_the_findings_is_a_measurement(record):
    run = planted(record, learning)
    last = [r for r in run.measurements() if r.step == STEPS[-1] and r.target == "Y"]
    assert f"{last[0].value / np.log(2):.2f} bits at the end" in line(run)


def test_nothing_measured_says_so(record):
    run = record({0: {"layer": learning(0)}}, y=Y)
    assert "Nothing has been measured" in findings(run)


def test_findings_from_a_dataset_are_the_same(record):
    run = planted(record, learning)
    assert findings(ip.trajectories(run)) == findings(run)


def test_methods_hold_what_a_reviewer_asks_for(record):
    run = planted(record, learning)
    ip.evaluate(run, [("mi.kde", {"variance": 0.01})], null=10)
    text = methods(run)
    for needed in (
        f"n = {N} samples", "2 classes", "H(Y) = 1.00 bits", "log n = 9.00 bits", run.uuid,
        "10 steps, from step 0 to 256", "by flatten", "float32", "bins = 30", "range = (-1, 1)",
        "variance = 0.01", "20 shuffled pairings", "10 shuffled pairings", "version 1", "numpy",
        "infoplane", "are ok", "caution", "from seed 0", "V is the target", "not usable", "nats",
    ):  # fmt: skip
        assert needed in text, needed


@pytest.mark.parametrize("target", ["regression", None])
def test_methods_without_classes(record, target):
    rng = np.random.default_rng(0)
    y = rng.random(N) if target else None
    run = record({0: {"layer": learning(0)}}, y=y, target=target or "class")
    ip.evaluate(run, ["mi.binning"])
    assert ("real-valued targets" if target else "no labels") in methods(run)


def test_calibration_and_intervals_are_told_when_they_were_measured(record):
    from infoplane.analysis import calibrate_run

    run = planted(record, learning)
    assert "Calibration" not in findings(run)
    calibrate_run(run, "layer", ["mi.binning"], twins=2)
    ip.evaluate(run, ["mi.binning"], subsamples=10, steps=[0])
    run.refresh()
    assert "Calibration on twins of layer (step 256): on data shaped like this" in findings(run)
    assert "10 subsamples of 256 rows" in methods(run)


def test_gradients_are_read_where_they_were_recorded(record):
    ratio = {step: 4.0 if step < 16 else 0.3 for step in STEPS}
    scalars = {s: {"gradient_snr/layer": ratio[s], "gradient_snr/other": 2.0} for s in STEPS}
    text = findings(planted(record, learning, scalars=scalars))
    assert "more noise than signal in layer from step 16 on." in text
    assert "other from" not in text
