"""Loaded by ``panel serve apps/`` before its server is built: who may come in."""

from infoplane.views.guard import Guard, protect_all

protect_all(Guard.from_environment())
