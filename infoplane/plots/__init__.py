"""Figures from a Dataset: HoloViews objects that compose with ``*`` and ``+``; no widgets.

Bits on screen; axes say what is measured; null and ceilings are drawn. HoloViews is imported when a
figure is asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "agreement": "comparison",
    "bound": "planes",
    "calibration": "comparison",
    "compression": "curves",
    "fitting": "curves",
    "heatmap": "curves",
    "plane": "planes",
    "quantity": "curves",
}

__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if TYPE_CHECKING:
    from infoplane.plots.comparison import agreement as agreement
    from infoplane.plots.comparison import calibration as calibration
    from infoplane.plots.curves import compression as compression
    from infoplane.plots.curves import fitting as fitting
    from infoplane.plots.curves import heatmap as heatmap
    from infoplane.plots.curves import quantity as quantity
    from infoplane.plots.planes import bound as bound
    from infoplane.plots.planes import plane as plane
