import time

import pytest

from infoplane.errors import InputError
from infoplane.store import open_run
from infoplane.tasks import training
from infoplane.views import playground, workshop
from infoplane.views.hub import Hub
from infoplane.views.shelf import Shelf
from infoplane.views.workshop import CHOICES, RANGES, Workshop, checked

GOOD = {
    "task": "szt",
    "activation": "tanh",
    "regulariser": "none",
    "optimiser": "adam",
    "widths": "6,3",
    "strength": 0,
    "lr": 0.001,
    "batch": 512,
    "epochs": 3,
    "seed": 1,
    "probes": "whole",
}


def test_the_choices_are_those_of_the_training_loop():
    assert CHOICES["activation"] == tuple(training.ACTIVATIONS)
    assert CHOICES["regulariser"] == training.REGULARISERS
    assert CHOICES["optimiser"] == training.OPTIMISERS
    assert set(CHOICES["task"]) <= set(training.TASKS)


def test_a_good_recipe_becomes_words():
    assert checked(GOOD)["widths"] == "6,3"
    assert checked(GOOD)["lr"] == "0.001"
    assert "corruption" not in checked(GOOD)
    assert checked(GOOD | {"task": "blobs", "corruption": 0.5})["corruption"] == "0.5"


@pytest.mark.parametrize(
    "forged",
    [
        {"task": "mnist"},
        {"probes": "all"},
        {"task": "szt --out /etc"},
        {"task": ["szt"]},
        {"activation": "__import__"},
        {"widths": ""},
        {"widths": "0"},
        {"widths": "513"},
        {"widths": "1,2,3,4,5,6,7,8,9"},
        {"widths": "10; rm -rf"},
        {"widths": [10]},
        {"epochs": 10**9},
        {"epochs": -1},
        {"epochs": 2.5},
        {"epochs": True},
        {"epochs": "3"},
        {"lr": float("nan")},
        {"lr": float("inf")},
        {"seed": None},
        {"strength": -1},
        {"strength": 0, "regulariser": "l2"},
        {"strength": 1.5, "regulariser": "dropout"},
        {"limit": 10**9, "task": "idx"},
    ],
)
def test_forged_recipes_are_refused(forged):
    with pytest.raises(InputError, match=f"`{next(iter(forged))}`"):
        checked(GOOD | forged)


def test_every_field_of_the_form_is_one_that_is_checked():
    form = str(playground._fields())
    for name in (*CHOICES, *RANGES, "widths", "images", "labels"):
        assert f'name="{name}"' in form


@pytest.fixture
def shop():
    made = Workshop(limit=1)
    yield made
    for job in made._jobs:
        for process in (job.train, job.estimate):
            process.kill()
            process.wait()
    made.close()


def until(condition, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_training_runs_is_limited_and_can_be_cancelled(shop, tmp_path):
    shelf = Shelf.at(tmp_path, Hub())
    endless = GOOD | {"epochs": 5000}
    told = playground.answer(shop, shelf, {"start": endless})["jobs"]
    assert [job["state"] for job in told] == ["running"]
    with pytest.raises(InputError, match="At most 1"):
        playground.answer(shop, shelf, {"start": endless})
    path = tmp_path / "playground" / "szt-1"
    until(lambda: (path / "run.json").exists() and shop.jobs()[0]["epoch"] > 0)
    playground.answer(shop, shelf, {"cancel": 1})
    until(lambda: shop.jobs()[0]["state"] == "cancelled")
    assert open_run(path).status().state == "interrupted"
    shelf._due = 0
    until(lambda: playground.answer(shop, shelf, {"cancel": "all"})["jobs"][0]["run"])
    (job,) = playground.answer(shop, shelf, {"cancel": "all"})["jobs"]
    assert job["run"] == open_run(path).uuid


def test_a_training_that_fails_says_why(shop, tmp_path, monkeypatch):
    monkeypatch.setattr(workshop, "SNAPSHOTS", "many")
    shop.start(tmp_path, GOOD)
    until(lambda: shop.jobs()[0]["state"] == "failed")
    assert "many" in shop.jobs()[0]["error"]


def test_no_name_from_outside_reaches_the_path(shop, tmp_path):
    job = shop.start(tmp_path, GOOD | {"name": "../../x", "out": "/etc"})
    assert job.path == tmp_path / "playground" / "szt-1"


def test_a_run_is_measured_once_at_a_time_and_a_few_runs_at_once(shop, tmp_path, monkeypatch):
    class Going:
        code = None

        def poll(self):
            return self.code

        def kill(self): ...

        wait = kill

    started = []
    monkeypatch.setattr(
        workshop, "_infoplane", lambda *words, sink: started.append((words, sink)) or Going()
    )
    one, two = tmp_path / "one", tmp_path / "two"
    shop.measure(one, ["rank.effective"])
    assert started[0][0][:3] == ("evaluate", str(one), "rank.effective")
    assert shop.measuring(one)
    for path in (one, two):  # the limit of this shop is one
        with pytest.raises(InputError, match="being measured"):
            shop.measure(path, ["rank.effective"])
    shop._measuring[one][0].code = 1
    started[0][1].write(b"a traceback\ninfoplane: `bins` must be <b>positive</b>\n")
    assert not shop.measuring(one)
    assert shop.refusal(one) == "infoplane: `bins` must be <b>positive</b>"
    assert shop.refusal(two) == ""
    shop.measure(two, ["rank.effective"])
    assert shop.measuring(two)
    shop._measuring[two][0].code = 0
