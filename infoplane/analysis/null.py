"""When the pairing is shuffled, and when that says anything.

The distribution itself comes from :mod:`infoplane.estimators.nulls`: one pass for all draws where
the estimator has such a form, one call a draw otherwise.
"""

from __future__ import annotations

from infoplane.estimators.registry import Card
from infoplane.types import Cost


def has_null(card: Card, target: str) -> bool:
    """Whether shuffling tells something for this estimator and target.

    I(X;T) of distinct inputs under binning is H(T) whatever the pairing: its null says nothing.
    Another layer as the target is continuous like X.
    """
    return ("Y" if target == "Y" else "X") in card.meaningful_null


def is_cheap(card: Card) -> bool:
    """Whether the null may be drawn unasked: it has a fast form, or one call is not thorough."""
    return card.null is not None or card.cost is not Cost.THOROUGH
