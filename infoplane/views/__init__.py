"""The page: one Explore view for server, notebook and offline file, and the app around it.

Names are resolved on first use: ``import infoplane.views`` loads neither panel nor bokeh.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOMES = {
    "dashboard": "viewer",
    "Dashboard": "viewer",
    "PlaneKit": "plane",
    "ViewState": "plane",
    "FrameBuilder": "builder",
}

__all__ = ["Dashboard", "FrameBuilder", "PlaneKit", "ViewState", "dashboard"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"infoplane.views.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'infoplane.views' has no attribute {name!r}")


if TYPE_CHECKING:
    from infoplane.views.builder import FrameBuilder
    from infoplane.views.plane import PlaneKit, ViewState
    from infoplane.views.viewer import Dashboard, dashboard
