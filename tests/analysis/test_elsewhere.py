"""Parameters that name another step or layer of the run, what is kept with it, and the device."""

import os

import numpy as np
import pytest
import torch

import infoplane as ip
from infoplane.analysis import online
from infoplane.analysis.agenda import Agenda
from infoplane.analysis.work import Settings
from infoplane.errors import EvaluationError, InputError, RefusedError
from infoplane.estimators import autoencoder, clusters, compressed, get
from infoplane.store import Run, open_run
from infoplane.types import Layer, ProbeData, Snapshot, Status

N = 120
RNG = np.random.default_rng(0)
Y = RNG.permutation(np.arange(N) % 3)
X = RNG.normal(size=(N, 12)) + 2 * np.eye(3, 12)[Y]
TURN = np.linalg.qr(RNG.normal(size=(12, 12)))[0]
STEPS = {
    step: {"net.0": np.tanh((X @ TURN) * (1 + step / 10) + 0.1 * RNG.normal(size=X.shape))}
    for step in (0, 3, 9)
}
FIXED = ("mi.compressed", {"reference_step": 3, "dim": 2})


@pytest.fixture
def run(record):
    return record(STEPS, y=Y, x=X)


def rows(run, estimator, target="Y"):
    found = [r for r in run.measurements() if (r.estimator, r.target) == (estimator, target)]
    assert all(row.status is not Status.FAILED for row in found), [row.note for row in found]
    return {row.step: row for row in found}


def never(*_, **__):
    raise AssertionError("made again")


def kept(run):
    folder = run.path / "kept"
    return sorted(p.name.partition("-")[0] for p in folder.iterdir()) if folder.exists() else []


def test_principal_components_of_one_step_serve_all(run):
    ip.evaluate(run, [FIXED], targets=["Y"], null=3)
    found = rows(run, "mi.compressed")
    reference = run.load(3, "net.0")
    for step, row in found.items():
        direct = get("mi.compressed")(Y, run.load(step, "net.0"), dim=2, reference=reference)
        assert row.value == pytest.approx(direct.value, abs=1e-12)
        assert row.params["reference_step"] == 3
        assert row.null.draws == 3
    refitted = get("mi.compressed")(Y, run.load(9, "net.0"), dim=2).value
    assert found[9].value != pytest.approx(refitted, abs=1e-6)
    ip.evaluate(run, [FIXED], targets=["X"], null=0)
    assert kept(run) == ["projection"]  # whatever the target


def test_what_is_kept_is_what_other_processes_use(run, monkeypatch):
    """Made here, used in a worker process on a torch device, and the other way round."""
    trained = ("mi.compressed", {"compressor": "autoencoder", "dim": 2, "steps": 5})
    asked = [FIXED, trained, ("mi.diffusion", {"clusters": 4, "sigma": 1.0})]
    ip.evaluate(run, asked[:2], targets=["X"], steps=[0], null=0)
    assert kept(run) == ["codes", "projection"]
    ip.evaluate(run, asked, targets=["X"], steps=[9], null=0, workers=1, device="cpu")
    assert kept(run) == ["clusters", "codes", "projection"]
    monkeypatch.setattr(clusters, "_spectral", never)
    compressed._codes.clear()
    clusters._memory.clear()
    trainings, train = [], autoencoder.train
    monkeypatch.setattr(autoencoder, "train", lambda *a: trainings.append(1) or train(*a))
    assert ip.evaluate(run, asked, targets=["X"], null=0).failed == 0
    assert len(trainings) == 1  # for T at the one step that is left, none for X
    named = {r.step: r.info.get("device") for r in run.measurements() if "diff" in r.estimator}
    assert named == {0: None, 3: None, 9: "cpu"}


def test_a_bound_goes_on_from_the_critic_of_one_step_whatever_the_order(record):
    ask = ("mi.infonce", {"start_step": 0, "steps": 30, "hidden": 8, "embed": 4})
    whole, parts = record(STEPS, y=Y, x=X, name="whole"), record(STEPS, y=Y, x=X, name="parts")
    ip.evaluate(whole, [ask], targets=["Y"], null=0)
    for step in (3, 0, 9):
        ip.evaluate(parts, [ask], targets=["Y"], steps=[step], null=0)
    found = rows(whole, "mi.infonce")
    assert {s: r.value for s, r in found.items()} == {
        s: r.value for s, r in rows(parts, "mi.infonce").items()
    }
    assert all(row.info["warm"] and row.info["held_out"] == N // 4 for row in found.values())
    assert kept(whole) == kept(parts) == ["critic"]


def test_a_step_that_is_not_there_is_refused_before_anything_begins(run):
    for name, param in (("mi.compressed", "reference_step"), ("mi.nwj", "start_step")):
        with pytest.raises(InputError, match=r"no snapshot at \[4\]"):
            ip.evaluate(run, [(name, {param: 4})])
    with pytest.raises(InputError, match=r"no snapshot at \[4\]"):
        ip.evaluate(run, [("mi.compressed", {"reference_step": 4})], follow=True)
    assert run.measurements() == []


def test_a_growing_run_is_measured_once_the_named_step_is_there(tmp_path):
    layer = Layer("net.0", "Tanh", (12,), 12, "flatten")
    with Run.create(tmp_path / "run") as writer:
        writer.begin((ProbeData(X, Y),), (layer,), {})
        writer.write(Snapshot(0, STEPS[0]))
        agenda = Agenda(
            open_run(writer.path), [FIXED], targets=["Y"], settings=Settings(), follow=True
        )
        assert agenda.take() == []
        assert not agenda.over
        assert agenda.unseen() == [3]
        writer.write(Snapshot(3, STEPS[3]))
        agenda._polled = -1e9  # long ago
        assert [job.step for job in agenda.take(2)] == [3, 0]
        os.utime(writer.path / "lock", (1, 1))  # no sign of life since 1970: a laptop slept
        agenda._polled = -1e9
        assert agenda.take() == []
        assert not agenda.over


def test_a_named_step_whose_arrays_were_given_up_still_serves(tmp_path):
    layer = Layer("net.0", "Tanh", (12,), 12, "flatten")
    with Run.create(tmp_path / "run") as writer:
        writer.begin((ProbeData(X, Y),), (layer,), {})
        for step, arrays in STEPS.items():
            writer.write(Snapshot(step, arrays))
        ip.evaluate(writer.path, [FIXED], targets=["Y"], steps=[0], null=0)
        writer.forget(3)
    run = open_run(writer.path)
    ip.evaluate(run, [FIXED], targets=["Y"], null=0)
    assert sorted(rows(run, "mi.compressed")) == [0, 9]
    ip.evaluate(run, [("mi.compressed", {"reference_step": 3, "dim": 3})], targets=["Y"], null=0)
    lost = [row for row in run.measurements() if row.status is Status.FAILED]
    assert len(lost) == 2
    assert all("thinned out" in row.note for row in lost)


def test_online_estimation_refuses_steps_that_it_does_not_keep():
    sink = online([FIXED, ("mi.mine", {"start_step": 0})])
    with pytest.raises(InputError, match="no snapshot is kept"):
        sink.begin((ProbeData(X, Y),), (Layer("net.0", "Tanh", (12,), 12, "flatten"),), {})


def test_a_layer_is_compared_with_itself_at_an_earlier_step(run):
    ip.evaluate(run, [("mi.autoinformation", {"earlier_step": 3, "dim": 2})], null=2)
    found = rows(run, "mi.autoinformation", "T@3")
    before = run.load(3, "net.0")
    for step, row in found.items():
        direct = get("mi.autoinformation")(before, run.load(step, "net.0"), dim=2)
        assert row.value == pytest.approx(direct.value, abs=1e-12)
        assert row.value > row.null.mean + 0.5
    assert "T@3" in ip.trajectories(run).target
    with pytest.raises(EvaluationError, match="`earlier_step`"):
        ip.evaluate(run, ["mi.autoinformation"])


def test_what_a_layer_tells_beyond_another_and_how_its_classifier_decides(record):
    logits = 3 * np.eye(4)[[0, 1, 3]][Y] + np.random.default_rng(1).normal(size=(N, 4))
    arrays = {"hidden": STEPS[9]["net.0"], "output": logits}
    labels = np.array([0, 1, 3])[Y]  # class 2 is not in the probe set
    run = record({0: arrays}, y=labels, x=X)
    beyond = ("mi.usable", {"given_layer": "hidden"})
    decided = ("collapse.nc4", {"logits_layer": "output"})
    ip.evaluate(run, [beyond, decided], targets=["Y"], null=0)
    found = {(row.estimator, row.layer): row for row in run.measurements()}
    hidden = run.load(0, "hidden")
    direct = get("collapse.nc4")(hidden, labels, logits=run.load(0, "output"))
    assert found["collapse.nc4", "hidden"].value == direct.value
    assert 0 < direct.value < 0.9
    more = get("mi.usable")(labels, run.load(0, "output"), given=hidden)
    assert found["mi.usable", "output"].value == pytest.approx(more.value, abs=3 * more.stderr)
    assert found["mi.usable", "hidden"].value < 0.05  # nothing beyond itself
    with pytest.raises(InputError, match="given="):
        get("mi.usable")(labels, hidden, given_layer="hidden")
    with pytest.raises(InputError, match="logits="):
        get("collapse.nc4")(hidden, labels, logits_layer="output")
    with pytest.raises(EvaluationError, match="logits_layer"):
        ip.evaluate(run, ["collapse.nc4"])


# ---------------------------------------------------------------------------- stochastic layers


@pytest.fixture
def stochastic(record):
    """Means, log variances and both side by side, as an encoder puts them out."""
    mean, logs = np.random.default_rng(2).normal(size=(2, N, 2))
    mean, logs = mean + Y[:, None], logs - 1
    arrays = {"mean": mean, "log": logs, "both": np.hstack([mean, np.exp(logs / 2)])}
    return record({0: arrays}, y=Y, x=X)


def test_a_stochastic_layer_is_measured_from_the_layers_that_put_it_out(stochastic):
    apart = {"mean_layer": "mean", "deviation_layer": "log", "spread": "log_variance"}
    asks = [("mi.stochastic", {**apart, "conditional": c, "draws": 50}) for c in (False, True)]
    asks.append(("mi.stochastic", {"mean_layer": "both", "draws": 50}))
    ip.evaluate(stochastic, asks, null=2)
    found = stochastic.measurements()
    assert len(found) == 6
    assert {(row.layer, row.params["mean_layer"]) for row in found} == {
        ("mean", "mean"),
        ("both", "both"),
    }
    for row in found:
        v = Y if row.target == "Y" else np.arange(N)
        direct = get("mi.stochastic")(
            v, stochastic.load(0, "both"), conditional=row.params["conditional"], draws=50
        )
        assert row.value == pytest.approx(direct.value, abs=5 * np.hypot(row.stderr, direct.stderr))
        assert (row.null is None) == (row.target == "X")


def test_a_stochastic_layer_without_names_says_what_it_wants(stochastic):
    with pytest.raises(EvaluationError, match=r"mean_layer.*deviation_layer"):
        ip.evaluate(stochastic, ["mi.stochastic"])
    with pytest.raises(EvaluationError, match="must be a layer of the run; got 'sigma'"):
        ip.evaluate(
            stochastic, [("mi.stochastic", {"mean_layer": "mean", "deviation_layer": "sigma"})]
        )


# ------------------------------------------------------------------------------------- the device

PLACES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("hands", [{}, {"workers": 2, "backend": "thread"}])
def test_a_device_gives_the_numbers_of_numpy_and_is_recorded(record, place, hands):
    asked = ["mi.kde", "mi.ksg", ("mi.diffusion", {"sigma": 1.0}), "mi.renyi", "dimension.lid"]
    plain, there = record(STEPS, y=Y, x=X, name="plain"), record(STEPS, y=Y, x=X, name="there")
    ip.evaluate(plain, asked, null=3)
    ip.evaluate(there, asked, null=3, device=place, **hands)
    where = lambda r: (r.step, r.estimator, r.target)  # noqa: E731
    expected = {where(r): r for r in plain.measurements()}
    assert len(expected) == 27
    for row in there.measurements():
        other = expected.pop(where(row))
        assert row.value == pytest.approx(other.value, abs=1e-9)
        assert (row.null is None) == (other.null is None)
        assert row.null is None or row.null.mean == pytest.approx(other.null.mean, abs=1e-9)
        assert row.info["device"] == place
        assert "device" not in other.info
    assert not expected


def test_a_device_that_is_not_there_is_told_at_once(run):
    with pytest.raises(InputError, match="must name a torch device"):
        ip.evaluate(run, ["mi.kde"], device="cuda:99")
    assert run.measurements() == []


BESIDE = {
    step: {
        "a": np.tanh(X[:, :3] + 0.1 * step),
        "b": np.tanh(X[:, :2] + 0.3 * RNG.normal(size=(N, 2))),
        "c": X[:, :1] + 0.3 * RNG.normal(size=(N, 1)),
    }
    for step in (0, 4)
}


def test_layers_beside_a_layer_are_looked_up_by_name(record):
    run = record(BESIDE, y=Y, x=X)
    requests = [
        ("interaction.o_information", {"other_layers": ("b", "c")}),
        ("interaction.pid", {"other_layers": ("b",), "levels": 2}),
        ("interaction.factorised", {"other_layers": ("b",)}),
    ]
    ip.evaluate(run, requests, layers=["a", "b"])
    for (name, params), kinds in zip(requests, ["abc", "ab", "ab"], strict=True):
        found = rows(run, name, "")
        assert sorted(found) == [0, 4]
        assert {row.layer for row in found.values()} <= {"a", "b"}
        at = next(r for r in run.measurements() if r.estimator == name and r.layer == "a")
        layers = [run.load(at.step, layer) for layer in kinds]
        labels = (Y,) if name == "interaction.pid" else ()
        settings = {key: value for key, value in params.items() if key != "other_layers"}
        assert at.value == pytest.approx(get(name)(layers, *labels, **settings).value, abs=1e-12)
    with pytest.raises(InputError, match="as a list"):
        get("interaction.o_information")(X, other_layers=("b",))
    for wrong in ("interaction.o_information", ("interaction.score", {"other_layers": ("z",)})):
        with pytest.raises(EvaluationError, match="other_layers"):
            ip.evaluate(run, [wrong])


def test_predictions_of_a_real_target_are_a_layer(record):
    target = X[:, :1]
    run = record(BESIDE, y=target, x=X, target="regression")
    name = "divergence.cauchy_schwarz_conditional"
    ip.evaluate(run, [(name, {"prediction_layer": "c"})], layers=["a", "c"])
    found = rows(run, name, "")
    assert {row.layer for row in found.values()} == {"a"}
    direct = get(name)(run.load(4, "a"), target, run.load(4, "c")).value
    assert found[4].value == pytest.approx(direct, abs=1e-12)
    with pytest.raises(EvaluationError, match="prediction_layer"):
        ip.evaluate(run, [name])


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("collapse.nc3", "logits_layer"),
        ("sparsity.cett", "output_layer"),
        ("fisher.share", "gradient="),
        ("complexity.merging", "weights"),
    ],
)
def test_what_a_run_lacks_is_said_with_what_would_do(run, name, missing):
    with pytest.raises(EvaluationError, match=missing):
        ip.evaluate(run, [name])


def test_weights_are_read_off_the_layer_they_make(record):
    hidden = STEPS[9]["net.0"][:, :5]
    weight = np.random.default_rng(7).normal(size=(3, 5))
    arrays = {"hidden": hidden, "logits": hidden @ weight.T + [1.0, 2.0, 3.0]}
    run = record({0: arrays}, y=Y, x=X)
    requests = [("collapse.nc3", {"logits_layer": "logits"}),
                ("sparsity.cett", {"output_layer": "logits"})]  # fmt: skip
    ip.evaluate(run, requests, layers=["hidden"])
    stored = run.load(0, "hidden")
    nc3 = get("collapse.nc3")(stored, Y, weight=weight).value
    assert rows(run, "collapse.nc3", "")[0].value == pytest.approx(nc3, abs=1e-5)
    cett = get("sparsity.cett")(stored, weight=weight).value
    assert rows(run, "sparsity.cett", "")[0].value == pytest.approx(cett, abs=1e-2)
    for bad, why in ((np.tanh(arrays["logits"]), "no linear function"), (X[:, :1], "no linear")):
        with pytest.raises(RefusedError, match=why):
            get("collapse.nc3")(hidden, Y, logits=bad)
    for blind in (np.column_stack([hidden, hidden[:, 0]]), np.column_stack([hidden, 0 * Y])):
        with pytest.raises(RefusedError, match="read the weights off"):
            get("sparsity.cett")(blind, output=arrays["logits"])
    with pytest.raises(InputError, match="output="):
        get("sparsity.cett")(hidden, output_layer="logits")
