"""The null: when the pairing is shuffled, when that says anything, and how it is drawn.

One pass for all draws where the estimator has such a form, one call a draw otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infoplane.analysis.plan import accepted
from infoplane.estimators.registry import Card
from infoplane.types import Cost, FloatArray, Null

SIGNIFICANT = 0.05  # permutation p-value up to which an estimate is above its null


def has_null(card: Card, target: str) -> bool:
    """Whether shuffling tells something for this estimator and target.

    I(X;T) of distinct inputs under binning is H(T) whatever the pairing: its null says nothing.
    Another layer as the target is continuous like X.
    """
    return ("Y" if target == "Y" else "X") in card.meaningful_null


def is_cheap(card: Card) -> bool:
    """Whether the null may be drawn unasked: it has a fast form, or one call is not thorough."""
    return card.null is not None or card.cost is not Cost.THOROUGH


def null_values(
    card: Card,
    v: NDArray[Any],
    t: NDArray[Any],
    params: Mapping[str, Any],
    *,
    draws: int,
    rng: np.random.Generator,
    given: Mapping[str, Any],
) -> FloatArray:
    """Return the estimate under ``draws`` random pairings, shape (draws,), in the card's unit.

    ``given`` are keyword arguments that are data: the memo, arrays of other steps and layers.
    A parameter of an estimator may have the name of an argument here (``draws``); then its fast
    form cannot be told the two apart and it is called once a draw.
    """
    if card.null is not None and "draws" not in params:
        values = card.null(v, t, draws=draws, rng=rng, **params, **given)
        return np.asarray(values, dtype=np.float64)
    assert card.function is not None
    taken = {name: given[name] for name in given.keys() & accepted(card.function)}
    pairings = (v[rng.permutation(len(v))] for _ in range(draws))
    return np.array([card.function(w, t, rng=rng, **params, **taken).value for w in pairings])


def above(p: Any, draws: int) -> Any:
    """Whether a permutation p-value puts an estimate above its null.

    With fewer than 19 draws no p reaches 0.05; being above all draws is then all that can be asked.
    """
    return np.asarray(p) <= max(SIGNIFICANT, 1.0 / (1 + draws) + 1e-9)


def is_above(null: Null) -> bool:
    """Whether an estimate is above this null."""
    return bool(above(null.p, null.draws))
