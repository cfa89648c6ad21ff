"""infoplane: see what a network keeps and what it forgets while it trains.

The names below are resolved on first use, so that ``import infoplane`` loads neither torch nor panel.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "Probe": "infoplane.capture",
    "watch": "infoplane.capture",
    "every": "infoplane.capture",
    "log_spaced": "infoplane.capture",
    "at": "infoplane.capture",
    "verify_neutrality": "infoplane.capture",
    "Run": "infoplane.store",
    "open_run": "infoplane.store",
    "evaluate": "infoplane.analysis",
    "trajectories": "infoplane.analysis",
    "plane": "infoplane.plots",
    "dashboard": "infoplane.views",
    "report": "infoplane.report",
}
_ROOMS = (
    "capture",
    "store",
    "estimators",
    "analysis",
    "plots",
    "views",
    "tasks",
    "truth",
    "types",
    "errors",
)

__all__ = [*_PUBLIC, *_ROOMS, "__version__"]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    if name in _ROOMS:
        return importlib.import_module(f"infoplane.{name}")
    raise AttributeError(f"module 'infoplane' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


if TYPE_CHECKING:
    from infoplane import (  # noqa: F401
        analysis,
        capture,
        errors,
        estimators,
        plots,
        store,
        tasks,
        truth,
        types,
        views,
    )
    from infoplane.analysis import evaluate, trajectories  # noqa: F401
    from infoplane.capture import Probe, at, every, log_spaced, verify_neutrality, watch  # noqa: F401
    from infoplane.plots import plane  # noqa: F401
    from infoplane.report import report  # noqa: F401
    from infoplane.store import Run, open_run  # noqa: F401
    from infoplane.views import dashboard  # noqa: F401
