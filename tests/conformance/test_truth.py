"""Every card over every truth it claims: the tolerance on the card, at n = 2000 and the defaults.

A card claims a truth by naming it in ``tolerance``; names that are no truths are conditions that
the card's own tests build.
"""

import numpy as np
import pytest

from infoplane import truth
from infoplane.estimators import catalogue
from infoplane.types import Kind, Quantity

N = 2000

BOUNDS = ("mine", "nwj", "js", "infonce", "smile", "tuba")

# Names of what a truth knows about a card's quantity, where it is not the quantity's own name.
FACTS = {
    "interaction.pid": "synergy",
    "interaction.o_information": "o_information",
    "rank.effective": "effective_rank",
    "rank.participation": "effective_rank",
}

# Interactions of two variables are so many times their information.
OF_A_PAIR = {
    "interaction.total_correlation": 1.0,
    "interaction.dual_total_correlation": 1.0,
    "interaction.o_information": 0.0,
    "interaction.s_information": 2.0,
}

# Trained estimators: fewer updates than by default, and fewer rows, at the same tolerance.
TRAINED = {
    **{f"mi.{name}": {"steps": 100, "rate": 5e-3} for name in BOUNDS},
    "mi.minde": {"steps": 500},
}


def expected(card, task):
    """The exact value of the card's quantity, or None when the truth does not say."""
    if card.quantity is Quantity.MI:
        return task.mi
    if card.quantity is Quantity.DISTANCE and task.mi < 1e-12:
        return 0.0  # a distance from independence
    if card.id in OF_A_PAIR and task.kinds == (Kind.CONTINUOUS, Kind.CONTINUOUS):
        return OF_A_PAIR[card.id] * task.mi
    if card.quantity is Quantity.COLLAPSE and "nc1" in task.facts:
        return 0.0
    return task.facts.get(FACTS.get(card.id, card.quantity.value))


def claims():
    for card in catalogue():
        for name, tolerance in card.tolerance.items():
            if name in truth.names() and expected(card, truth.get(name)) is not None:
                yield pytest.param(card, truth.get(name), tolerance, id=f"{card.id}-{name}")


@pytest.mark.parametrize(("card", "task", "tolerance"), list(claims()))
def test_within_the_tolerance_on_the_card(card, task, tolerance):
    settings = TRAINED.get(card.id, {})
    n = 1000 if settings else 500 if "n³" in card.complexity else N
    x, y = task.sample(n, seed=0)
    value = call(card, task, x, y, settings).value
    assert value == pytest.approx(expected(card, task), abs=tolerance)


def call(card, task, x, y, settings):
    """Hand the pair over in the order the card takes it: labels first, for an information."""
    if card.id in OF_A_PAIR:
        return card.function(np.column_stack([x, y]) if task.name == "xor" else [x, y])
    if card.needs == "classifier":  # the one that reads the class means
        weight = np.array([x[y == label].mean(axis=0) for label in np.unique(y)])
        return card.function(x, y, weight=weight)
    if "y" in names(card):
        return card.function(x, y)
    if isinstance(card.accepts[0], Kind):
        return card.function(x)
    labels = task.kinds == (Kind.CONTINUOUS, Kind.DISCRETE)
    if card.needs == "logits":  # the channel itself, as probabilities
        rows = np.array([[0.9, 0.1], [0.1, 0.9]])[x]
        return card.function(x, rows)
    v, t = (y, x) if labels else (x, y)
    return card.function(v, t, **settings)


def names(card):
    code = card.function.__code__
    return code.co_varnames[: code.co_argcount]


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
