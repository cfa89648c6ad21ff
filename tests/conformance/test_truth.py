"""Every card over every truth it claims: the tolerance on the card, at n = 2000 and the defaults.

A card claims a truth by naming it in ``tolerance``; names that are no truths are conditions that
the card's own tests build.
"""

import pytest

from infoplane import truth
from infoplane.estimators import catalogue
from infoplane.estimators.claims import ask, claims
from infoplane.types import Quantity

N = 2000

BOUNDS = ("mine", "nwj", "js", "infonce", "smile", "tuba")

# Trained estimators: fewer updates than by default, and fewer rows, at the same tolerance.
TRAINED = {
    **{f"mi.{name}": {"steps": 100, "rate": 5e-3} for name in BOUNDS},
    "mi.minde": {"steps": 500},
    "interaction.score": {"steps": 50},
}


def claimed():
    for card in catalogue():
        for task, tolerance, value in claims(card):
            yield pytest.param(card, task, tolerance, value, id=f"{card.id}-{task.name}")


@pytest.mark.parametrize(("card", "task", "tolerance", "value"), list(claimed()))
def test_within_the_tolerance_on_the_card(card, task, tolerance, value):
    settings = TRAINED.get(card.id, {})
    n = 1000 if settings else 500 if "n³" in card.complexity else N
    assert ask(card, task, n, 0, settings).value == pytest.approx(value, abs=tolerance)


@pytest.mark.parametrize(("card", "task", "tolerance", "value"), list(claimed()))
def test_no_claim_is_so_wide_that_nothing_would_do(card, task, tolerance, value):
    """An estimator that always read 0, or half of the truth, would break every claim but that of 0.

    Where the truth is 0 the claim is narrow against what dependence looks like: 1 nat.
    """
    assert tolerance < 0.45 * abs(value) if abs(value) > 1e-9 else tolerance <= 0.15


def test_every_information_estimator_claims_something():
    silent = [c.id for c in catalogue() if c.quantity is Quantity.MI and not c.tolerance]
    assert len(silent) < 15, silent


def test_all_forty_tasks_under_the_nearest_neighbours_stay_in_order():
    """KSG on the benchmark: above 95 % of the truth in one dimension, never far above it."""
    from infoplane.estimators import get

    for task in truth.tasks():
        x, y = task.sample(1000, seed=1)
        if x.shape[1] > 5:
            continue
        result = get("mi.ksg")(x, y)
        assert result.value < task.mi + 4 * result.stderr, task.name
        if x.shape[1] + y.shape[1] == 2 and not task.name.startswith("student"):
            assert result.value > task.mi - 4 * result.stderr - 0.03, task.name
