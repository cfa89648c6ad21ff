"""infoplane: see what a network keeps and what it forgets while it trains.

The names below are resolved on first use: ``import infoplane`` loads neither torch nor panel.
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
    "online": "infoplane.analysis",
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
    from infoplane import analysis as analysis
    from infoplane import capture as capture
    from infoplane import errors as errors
    from infoplane import estimators as estimators
    from infoplane import plots as plots
    from infoplane import store as store
    from infoplane import tasks as tasks
    from infoplane import truth as truth
    from infoplane import types as types
    from infoplane import views as views
    from infoplane.analysis import evaluate as evaluate
    from infoplane.analysis import online as online
    from infoplane.analysis import trajectories as trajectories
    from infoplane.capture import Probe as Probe
    from infoplane.capture import at as at
    from infoplane.capture import every as every
    from infoplane.capture import log_spaced as log_spaced
    from infoplane.capture import verify_neutrality as verify_neutrality
    from infoplane.capture import watch as watch
    from infoplane.plots import plane as plane
    from infoplane.report import report as report
    from infoplane.store import Run as Run
    from infoplane.store import open_run as open_run
    from infoplane.views import dashboard as dashboard
