"""What a card claims of a truth: the exact value of its quantity there, and how to ask for it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from infoplane import truth
from infoplane.estimators.registry import Card
from infoplane.types import Estimate, Kind, Quantity

# Names of what a truth knows about a card's quantity, where it is not the quantity's own name.
FACTS = {
    "interaction.pid": "synergy",
    "interaction.o_information": "o_information",
    "rank.effective": "effective_rank",
    "rank.participation": "effective_rank",
    "entropy.sphere": "direction_entropy",
}
# Interactions of two variables are so many times their information.
OF_A_PAIR = {
    "interaction.total_correlation": 1.0,
    "interaction.dual_total_correlation": 1.0,
    "interaction.o_information": 0.0,
    "interaction.s_information": 2.0,
}
# Interactions counted by the symbols of a channel: its information, as for any pair.
COUNTED = "interaction.factorised"
CHANNEL = np.array([[0.9, 0.1], [0.1, 0.9]])
"""Rows p(y|x) of the binary symmetric truth: probabilities for a card that reads logits."""


def on_simplex(classes: int) -> dict[str, float]:
    """Return exact values at the defaults, rows at the vertices of a simplex frame, alike often.

    The C × C frame has C − 1 equal directions; two vertices are √(2C/(C − 1)) apart.
    """
    c, sides = classes, classes - 1
    near = math.exp(-(c / sides) / 10.0**2)  # the kernel of two vertices, σ = 10
    leading, other = 1.0, (1 - near) / (1 + sides * near)
    shares = np.array([leading, *[other] * sides]) / (leading + sides * other)
    rate = {eps2: 0.5 * sides * math.log1p(c / eps2 / sides) for eps2 in (0.5, 0.01)}
    return {
        "diversity.vendi": float(sides),
        "entropy.matrix": math.log(sides) / math.log(c),
        "entropy.renyi_joint": math.log(c),
        "entropy.renyi_conditional": 0.0,
        "entropy.diffusion": float(-(shares * np.log(shares)).sum()),
        "rate.coding": rate[0.5],
        "rate.reduction": rate[0.5] - 0.5 * math.log1p(c / 0.5),
        "rate.sparse": rate[0.01],
    }


def expected(card: Card, task: truth.Truth) -> float | None:
    """Return the exact value of the card's quantity, None when the truth does not say."""
    if card.quantity is Quantity.MI or card.id == COUNTED:
        return task.mi
    if task.name == "simplex" and card.id in (exact := on_simplex(4)):
        return exact[card.id]
    if task.name == "independent" and card.id in ("entropy.spacing", "interaction.score"):
        return 0.0  # standard normal units are uniform after Φ; and Ω of any pair is 0
    if card.quantity is Quantity.DISTANCE and task.mi < 1e-12:
        return 0.0  # a distance from independence
    if card.id in OF_A_PAIR and task.kinds == (Kind.CONTINUOUS, Kind.CONTINUOUS):
        return OF_A_PAIR[card.id] * task.mi
    if card.quantity is Quantity.COLLAPSE and "nc1" in task.facts:
        return 0.0
    return task.facts.get(FACTS.get(card.id, card.quantity.value))


def claims(card: Card) -> Iterator[tuple[truth.Truth, float, float]]:
    """Yield (truth, tolerance, exact value) of every truth that the card names.

    Other names in ``tolerance`` are conditions that the card's own tests build.
    """
    for name, tolerance in card.tolerance.items():
        value = expected(card, truth.get(name)) if name in truth.names() else None
        if value is not None:
            yield truth.get(name), tolerance, value


def ask(
    card: Card, task: truth.Truth, n: int, seed: int, settings: Mapping[str, Any] | None = None
) -> Estimate:
    """Estimate the card's quantity on ``n`` samples of a truth, in the order the card takes them.

    Labels come first for an information, second for what knows of classes.
    """
    assert card.function is not None
    x, y = task.sample(n, seed)
    given: dict[str, Any] = {"rng": seed, **(settings or {})}
    if card.id in OF_A_PAIR or card.id in (COUNTED, "interaction.score"):
        together = np.column_stack([x, y]) if task.kinds[0] is Kind.DISCRETE else [x, y]
        return card.function(together, **given)
    if card.needs == "classifier":  # the one that reads the class means
        given["weight"] = np.array([x[y == label].mean(axis=0) for label in np.unique(y)])
    code = card.function.__code__
    if "y" in code.co_varnames[: code.co_argcount]:
        return card.function(x, y, **given)
    if isinstance(card.accepts[0], Kind):
        return card.function(x, **given)
    if card.needs == "logits":
        return card.function(x, CHANNEL[x], **given)
    labels = task.kinds == (Kind.CONTINUOUS, Kind.DISCRETE)
    return card.function(*((y, x) if labels else (x, y)), **given)
