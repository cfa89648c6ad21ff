"""What the estimators' cards say on the page: the choices of the switch and the axes' titles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from infoplane.analysis.naming import quantities
from infoplane.errors import UnknownEstimatorError
from infoplane.estimators import registry
from infoplane.types import Layer, Quantity
from infoplane.views.frame import EstimatorInfo
from infoplane.views.text import plain

UNMEASURED = "Not measured in this run"


def choice(
    name: str, params: Mapping[str, Any] | None = None, *, reason: str = ""
) -> EstimatorInfo:
    """Return an estimator as a choice of the switch; ``reason`` says why it cannot be chosen.

    An id without a card (measured by a newer version, or by hand) is shown as it is.
    """
    words = plain(", ".join(f"{key}={value}" for key, value in (params or {}).items()), 200)
    try:
        card = registry.card(name)
    except UnknownEstimatorError:
        return EstimatorInfo(
            plain(name), plain(name), "I(X;T)", "I(T;Y)", "", "", words, plain(reason, 400)
        )
    x_title, y_title = quantities(name)
    return EstimatorInfo(
        id=card.id,
        label=card.label,
        x_title=x_title,
        y_title=y_title,
        measures=card.measures,
        ceiling=card.ceiling,
        params=words,
        reason=plain(reason, 400),
    )


def unmeasured(layers: Sequence[Layer], measured: Iterable[str] = ()) -> dict[str, str]:
    """Return the estimators that a run could be asked for and was not: id → why.

    Only those that take a representation as it is; one whose neighbours or densities fail in high
    dimension says so.
    """
    known, widest = set(measured), max((layer.width for layer in layers), default=0)
    offers = {}
    for card in registry.catalogue():
        if card.quantity != Quantity.MI or card.needs != "representation" or card.id in known:
            continue
        words = UNMEASURED
        if card.max_dim is not None and widest > card.max_dim:
            words += (
                f"; made for at most {card.max_dim} dimensions, "
                f"and the widest layer here has {widest}"
            )
        offers[card.id] = words
    return offers
