"""Names that notebooks, checks and readers outside the project rely on: ids, parameters, fields."""

import inspect
import json
from pathlib import Path

import numpy as np
import pytest

import infoplane as ip
from infoplane.cli import main
from infoplane.errors import NotARunError, RunExistsError
from infoplane.types import Estimate

RECORDED = Path(__file__).parents[1] / "data" / "format-1.0" / "run"
DIFFUSION = {"sigma": 10.0, "t": 1}
CRITIC = {"steps": ..., "batch": ...}

PARAMETERS = {
    "mi.binning": {"bins": 30, "range": (-1, 1), "width": None},
    "mi.adaptive": {"bins": 30},
    "mi.kde": {"variance": 1e-3, "bound": "upper"},
    "mi.kde_adaptive": {"scale": ...},
    "mi.ksg": {"k": 5},
    "mi.kl": {"k": 5},
    "mi.compressed": {"compressor": "pca", "dim": 4, "inner": "mi.ksg"},
    "entropy.diffusion": DIFFUSION,
    "mi.diffusion": DIFFUSION,
    "mi.renyi": {"alpha": 1.01, "sigma": ...},
    "entropy.renyi": {"alpha": 1.01, "sigma": ...},
    "mi.cauchy_schwarz": {"sigma": 1.0, "normalised": False},
    "mi.noisy": {"sigma": ..., "bound": ...},
    "mi.softmax": {},
    "mi.gaussian": {"shrinkage": ...},
    "mi.mine": CRITIC,
    "mi.infonce": CRITIC,
    "mi.nwj": CRITIC,
    "mi.js": CRITIC,
    "mi.smile": {**CRITIC, "clip": ...},
    "rank.effective": {},
    "diversity.vendi": {},
    "entropy.matrix": {},
    "norm.nuclear": {},
    "dimension.lid": {},
    "collapse.nc1": {},
    "collapse.nc2": {},
    "collapse.nc3": {},
    "collapse.nc4": {},
    "rate.coding": {},
    "rate.reduction": {},
    "sparsity.zero": {},
    "attention.entropy": {},
}
"""Defaults by id and parameter; an ellipsis is any default."""

CHOICES = {
    "mi.binning": [{"range": "layer"}, {"range": "unit"}, {"width": 0.07}, {"width": 0.5}],
    "mi.kde": [{"bound": "lower"}],
    "mi.compressed": [{"compressor": lambda t: t[:, :2]}, {"inner": "mi.kl", "dim": 2}],
    "entropy.diffusion": [{"sigma": "median"}, {"sigma": "sqrt_d"}, {"t": 2}],
    "mi.diffusion": [{"sigma": "median"}, {"sigma": "sqrt_d"}, {"t": 2}],
    "mi.renyi": [{"alpha": 2, "sigma": 1.0}],
    "mi.cauchy_schwarz": [{"normalised": True}],
    "mi.noisy": [{"sigma": 0.5, "bound": "jensen"}],
    "mi.gaussian": [{"shrinkage": 0.0}],
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_ids_parameters_and_defaults(name):
    signature = inspect.signature(ip.estimators.get(name)).parameters
    for parameter, default in PARAMETERS[name].items():
        found = signature[parameter]
        assert found.kind is inspect.Parameter.KEYWORD_ONLY
        assert default is ... or found.default == default
    assert signature["rng"].default is None
    first = [p for p in signature.values() if p.kind is not inspect.Parameter.KEYWORD_ONLY]
    assert len(first) == 2 if name.startswith("mi.") else len(first) >= 1
    assert name in {card.id for card in ip.estimators.catalogue()}


@pytest.mark.parametrize(("name", "chosen"), [(n, c) for n, some in CHOICES.items() for c in some])
def test_every_documented_choice_is_taken(name, chosen):
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=90)
    t = np.eye(3)[y] + 0.5 * rng.standard_normal((90, 3))
    needed = (t,) if name.startswith("entropy.") else (y, t)
    estimate = ip.estimators.get(name)(*needed, rng=0, **chosen)
    assert np.isfinite(estimate.value)
    assert {name: estimate.params[name] for name in chosen} == chosen


def test_an_estimate_has_its_fields():
    estimate = ip.estimators.get("mi.ksg")(np.arange(40.0), np.arange(40.0)[::-1] ** 2, k=5)
    assert isinstance(estimate, Estimate)
    for field in ("value", "stderr", "info", "flags"):
        assert hasattr(estimate, field)


@pytest.mark.parametrize("rng", [0, np.random.default_rng(0)])
def test_rng_is_a_generator_or_a_seed(rng):
    x = np.random.default_rng(1).standard_normal((60, 2))
    assert np.isfinite(ip.estimators.get("mi.noisy")(np.arange(60), x, rng=rng).value)


def test_a_run_offers_its_steps_layers_arrays_and_numbers():
    run = ip.open_run(RECORDED)
    array = run.load(run.steps[0], run.layers[0])
    assert array.ndim == 2
    assert run.scalars()
    assert isinstance(run.measurements(), list)
    names = {"uuid", "name", "config", "created", "probe", "snapshot", "events", "status"}
    assert names <= set(dir(run))


def test_a_run_is_created_once_and_resumed_on_request(tmp_path):
    with pytest.raises(NotARunError):
        ip.Run.create(tmp_path / "run", name="tanh", resume="must")
    ip.Run.create(tmp_path / "run", name="tanh", resume="never").close()
    with pytest.raises(RunExistsError):
        ip.Run.create(tmp_path / "run", name="tanh", resume="never")
    for resume in ("allow", "must"):
        with ip.Run.create(tmp_path / "run", name="tanh", resume=resume) as run:
            assert run.name == "tanh"


def test_the_dataset_has_its_variables():
    found = ip.trajectories(ip.open_run(RECORDED))
    of_information = {
        "mi", "mi_stderr", "mi_low", "mi_high", "mi_null", "mi_null_q95", "verdict", "reason",
    }  # fmt: skip
    for name in of_information:
        assert set(found[name].dims) == {"step", "layer", "estimator", "target"}
    for name in ip.open_run(RECORDED).scalars():
        assert found[name].dims == ("step",)
    assert list(found.layer.values) == ip.open_run(RECORDED).layers


def test_the_tasks_have_their_shapes():
    x, y = ip.tasks.szt()
    assert (x.shape, y.shape) == ((4096, 12), (4096,))
    x, y = ip.tasks.digits()
    assert len(x) == len(y)
    assert list(inspect.signature(ip.tasks.idx).parameters)[:2] == ["images", "labels"]


def test_the_watcher_takes_its_arguments():
    arguments = inspect.signature(ip.watch).parameters
    assert list(arguments)[:3] == ["model", "probe", "run"]
    assert {"layers", "every"} <= set(arguments)
    assert {"x", "y", "target"} <= set(inspect.signature(ip.Probe).parameters)
    assert callable(ip.log_spaced(200))
    assert {"workers"} <= set(inspect.signature(ip.evaluate).parameters)
    for name in ("plane", "dashboard", "report"):
        assert callable(getattr(ip, name))


COMMANDS = (
    "demo", "train", "evaluate", "serve", "list", "show", "export", "report", "import",
    "reproduce", "catalogue", "verify",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert "example: infoplane" in capsys.readouterr().out


@pytest.mark.parametrize("line", [["list", str(RECORDED.parent)], ["show", str(RECORDED)]])
def test_what_a_machine_may_read_is_json(line, capsys):
    assert main([*line, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)
    assert main(["show", "/no/such/run"]) == 1
    with pytest.raises(SystemExit) as ended:
        main(["show"])
    assert ended.value.code == 2
