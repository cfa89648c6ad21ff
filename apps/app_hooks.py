"""Loaded by ``panel serve apps/`` before its server is built: who may come in."""

from typing import Any

from infoplane.views.guard import Guard, protect_all
from infoplane.views.shell import warm

protect_all(Guard.from_environment())


def on_server_loaded(server_context: Any) -> None:
    """Make what is the same for all visitors before the first one comes."""
    warm()
