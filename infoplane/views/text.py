"""The one choke point for untrusted text: run names, layer names, reasons, notes.

A run directory is untrusted input. No string that came out of one reaches markup but through
:func:`label`; the controller in the browser writes text nodes only.
"""

from __future__ import annotations

import html
import unicodedata

LIMIT = 120
_DROPPED = (
    "Cc",
    "Cf",
    "Cs",
    "Co",
    "Cn",
    "Zl",
    "Zp",
)  # control, bidi and format, surrogate, unassigned


def plain(text: object, limit: int = LIMIT) -> str:
    """Return one line of visible text: control and bidi characters dropped, cut to ``limit``.

    For places that take text and never markup (a canvas, a text node, a JSON value).
    """
    start = str(text)[: 8 * limit + 8]
    spaced = "".join(" " if c.isspace() else c for c in start)
    line = "".join(c for c in spaced if unicodedata.category(c) not in _DROPPED)
    line = " ".join(line.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def label(text: object, limit: int = LIMIT) -> str:
    """Return :func:`plain` text escaped for HTML, attribute values included."""
    return html.escape(plain(text, limit), quote=True)
