"""The shipped table holds what is measured: some of its cells are measured again."""

import pytest

from infoplane.analysis import standing
from infoplane.estimators import registry

TABLE = standing.standing()
CELLS = {(cell["task"], cell["estimator"]): cell for cell in TABLE["cells"]}
TASKS = {task.name: task for task in standing.tasks()}


def test_every_task_and_estimator_has_a_cell_and_the_truths_are_those_of_the_tasks():
    assert {task["name"]: task["truth"] for task in TABLE["tasks"]} == {
        name: pytest.approx(task.mi, abs=1e-12) for name, task in TASKS.items()
    }
    assert set(CELLS) == {(t, e) for t in TASKS for e in standing.ESTIMATORS}
    for name in standing.ESTIMATORS:
        assert registry.card(name).quantity == "mi"


@pytest.mark.parametrize(
    ("task", "estimator"),
    [
        ("1v1-normal-0.75", "mi.ksg"),
        ("student-identity-3-3-2", "mi.ksg"),
        ("multinormal-dense-5-5-0.5", "mi.gaussian"),
        ("spiral-multinormal-sparse-3-3-2-2.0", "mi.cauchy_schwarz"),
        ("1v1-additive-0.1", "mi.kl"),
        ("1v1-bimodal-0.75", "mi.renyi"),
        (TABLE["tasks"][-1]["name"], "mi.binning"),
        (TABLE["tasks"][-2]["name"], "mi.adaptive"),
        (TABLE["tasks"][-3]["name"], "mi.kde"),
        (TABLE["tasks"][-3]["name"], "mi.kde_adaptive"),
    ],
)
def test_a_cell_measured_again_is_the_same(task, estimator):
    kept = CELLS[task, estimator]
    again = standing.measure(TASKS[task], estimator, n=TABLE["n"], draws=TABLE["draws"])
    assert again.mean == pytest.approx(kept["mean"], abs=2e-5)
    assert again.spread == pytest.approx(kept["spread"], abs=2e-5)


def test_what_cannot_be_read_says_why():
    assert "first variable" in CELLS["1v1-normal-0.75", "mi.binning"]["note"]
    for cell in CELLS.values():
        assert (cell["mean"] is None) == bool(cell["note"])


def test_estimators_are_ranked_by_their_median_error():
    table = {
        "tasks": [{"name": n, "truth": 1.0, "of": "continuous"} for n in "ab"],
        "cells": [
            {"task": n, "estimator": e, "mean": m}
            for e, values in (("far", (3, 3)), ("near", (1, 1.5)), ("none", (None, None)))
            for n, m in zip("ab", values, strict=True)
        ],
    }
    assert standing.ranked(table, "continuous") == ["near", "far"]
    assert standing.ranked(table, "discrete") == []
