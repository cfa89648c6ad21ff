"""Numbers from arrays: pure functions, each with a card that says what it really measures.

``get("mi.ksg")(x, t, k=5)`` returns an :class:`~infoplane.types.Estimate` in nats;
``catalogue()`` lists every card. This room sees arrays only, never a run or a model.
"""

from infoplane.estimators.consistency import self_consistency
from infoplane.estimators.on_device import device
from infoplane.estimators.registry import (
    Bounds,
    Card,
    Estimator,
    card,
    catalogue,
    check_params,
    estimator,
    get,
)
from infoplane.estimators.shared import Shared

__all__ = [
    "Bounds",
    "Card",
    "Estimator",
    "Shared",
    "card",
    "catalogue",
    "check_params",
    "device",
    "estimator",
    "get",
    "self_consistency",
]
