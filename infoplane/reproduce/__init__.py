"""Published claims about the information plane, tried again: claim · measured · holds or not.

One file per paper: the trainings it needs, its claims, and how each is decided. The rule of each
claim is written down before anything is measured, and every claim names what it does not cover.
"""

from __future__ import annotations

from infoplane.reproduce.claims import Claim, Finding, Reproduction
from infoplane.reproduce.trial import PAPERS, reproduce

__all__ = ["PAPERS", "Claim", "Finding", "Reproduction", "reproduce"]
