import math

import numpy as np
import pytest

from infoplane.analysis.plan import Ask, Job, applies, asks_for, complete, key_of, next_step
from infoplane.errors import InputError, UnknownEstimatorError
from infoplane.estimators import card
from infoplane.types import Layer, ProbeData

CLASSES = ProbeData(np.zeros((4, 2)), np.array([0, 1, 0, 1]))
REAL = ProbeData(np.zeros((4, 2)), np.zeros(4), "regression")
BARE = ProbeData(np.zeros((4, 2)), None)


def ask(**changes):
    base = {"estimator": "mi.binning", "version": 1, "params": {"bins": 30}, "target": "Y"}
    return Ask(**{**base, "label": "mi.binning", **changes})


def key(of=None, **changes):
    base = {"uuid": "u", "step": 0, "crc": 7, "probe": "probe", "layer": "a", "draws": (0, 20, 0)}
    return key_of(of or ask(), **{**base, **changes})


def test_key_names_the_content_and_nothing_else():
    assert key() == key()
    assert len(key()) == 32
    assert key(ask(params={"bins": 30, "width": None})) == key(
        ask(params={"width": None, "bins": 30})
    )
    # the label is only for people
    assert key(ask(label="something")) == key()


@pytest.mark.parametrize(
    "change",
    [
        {"uuid": "w"},
        {"step": 1},
        {"crc": 8},
        {"probe": "test"},
        {"layer": "b"},
        {"draws": (1, 20, 0)},
        {"draws": (0, 0, 0)},
    ],
)
def test_key_changes_with_everything_that_decides_the_value(change):
    assert key(**change) != key()


@pytest.mark.parametrize(
    "change", [{"estimator": "mi.kde"}, {"version": 2}, {"params": {"bins": 31}}, {"target": "X"}]
)
def test_key_changes_with_the_ask(change):
    assert key(ask(**change)) != key()


def test_job_survives_json_with_tuples():
    job = Job(3, "a", "probe", (("k", ask(params={"range": (-1.0, 1.0), "bins": 30})),))
    assert Job.from_json(job.to_json()) == job


def test_label_names_what_differs_from_the_defaults():
    assert complete("mi.binning")[2] == "mi.binning"
    assert complete(("mi.binning", {"bins": 30}))[2] == "mi.binning"
    assert complete(("mi.binning", {"bins": 100}))[2] == "mi.binning(bins=100)"


def test_params_are_checked_before_anything_runs():
    with pytest.raises(InputError, match="bins"):
        complete(("mi.binning", {"bins": 1}))
    with pytest.raises(UnknownEstimatorError, match=r"mi\.binning"):
        complete("mi.bining")


def test_targets_that_an_estimator_cannot_take_are_refused_with_the_reason():
    asks, refusals = asks_for(["mi.binning"], ("X", "Y"), CLASSES, ["a"])
    assert [a.target for a in asks] == ["X", "Y"]
    assert not refusals
    asks, refusals = asks_for(["mi.binning"], ("X", "Y"), REAL, ["a"])
    assert [a.target for a in asks] == ["X"]
    assert "continuous" in refusals[0].why
    asks, refusals = asks_for(["mi.binning"], ("Y", "a", "nowhere"), BARE, ["a"])
    assert [a.target for a in asks] == ["a"]
    assert [r.target for r in refusals] == ["Y", "nowhere"]
    assert "no Y" in refusals[0].why


def test_a_layer_of_a_special_make_is_not_guessed():
    names = ["mi.stochastic", "mi.reconstruction"]
    asks, refusals = asks_for(names, ("X", "Y", "a"), CLASSES, ["a"])
    assert [(a.estimator, a.target) for a in asks] == [("mi.reconstruction", "a")]
    assert len(refusals) == 5
    assert all("call it on the arrays" in one.why for one in refusals)
    floats, codes = (
        Layer("a", "Linear", (2,), 2, "flatten", dtype) for dtype in ("float32", "int64")
    )
    assert not applies(card("mi.codes"), floats, "a")
    assert applies(card("mi.codes"), codes, "a")


def test_weights_and_losses_are_no_representations():
    entry = card("mi.binning")
    output = Layer("a", "Linear", (2,), 2, "flatten")
    weight = Layer("a", "Linear", (2,), 2, "flatten", what="weight")
    assert applies(entry, output, "z")
    assert not applies(entry, weight, "z")


def test_newest_step_first_then_the_widest_gap_of_the_log_axis():
    steps = [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
    done = []
    while len(done) < len(steps):
        done.append(next_step([s for s in steps if s not in done], done))
    assert done[:2] == [1000, 0]
    assert done[2] == 20  # log1p(1000) / 2 is nearest to log1p(20) … log1p(50)
    assert sorted(done) == steps
    # a newer step overtakes the gaps
    assert next_step([2, 5, 2000], [0, 1000]) == 2000


def test_coverage_stays_even_while_it_lasts():
    steps = sorted({round(math.expm1(x)) for x in np.linspace(0, 9, 60)})
    done = []
    for _ in range(12):
        done.append(next_step([s for s in steps if s not in done], done))
    gaps = np.diff(np.log1p(sorted(done)))
    assert gaps.max() < 9 / 11 * 2.5


def test_what_needs_classes_or_one_column_is_refused_before_it_runs():
    probe = ProbeData(np.zeros((40, 3)), np.linspace(0, 1, 40), "regression")
    names = ["collapse.nc1", "rate.reduction", "mi.birge_rozenholc", "mi.reconstruction"]
    asks, refusals = asks_for(names, ("X", "Y"), probe, ["a"])
    assert {(r.estimator, r.target) for r in refusals} == {
        ("collapse.nc1", ""), ("rate.reduction", ""), ("mi.birge_rozenholc", "X"),
        ("mi.reconstruction", "X"), ("mi.reconstruction", "Y"),
    }  # fmt: skip
    assert [(ask.estimator, ask.target) for ask in asks] == [("mi.birge_rozenholc", "Y")]


def test_a_distance_from_independence_is_asked_about_both_targets():
    probe = ProbeData(np.zeros((40, 3)), np.arange(40) % 2)
    asks, _ = asks_for(["distance.wasserstein"], ("X", "Y"), probe, ["a"])
    assert [ask.target for ask in asks] == ["X", "Y"]
