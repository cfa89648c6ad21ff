"""The choice of a run at the head of a page that shows one run."""

from __future__ import annotations

from markupsafe import Markup

from infoplane.views.shelf import Shelf
from infoplane.views.state import PageState
from infoplane.views.text import plain

OFFERED = 200  # runs in the list, newest first


def picker(shelf: Shelf, page: str, chosen: str) -> Markup:
    """Return a list of the runs that can be opened; choosing one goes to its page."""
    rows = [row for row in shelf.rows() if row["open"]]
    shown = rows[:OFFERED] + [row for row in rows[OFFERED:] if row["id"] == chosen]
    options = Markup("").join(
        Markup('<option value="{0}"{1}>{2}</option>').format(
            PageState(page=page, run=row["id"]).query(),
            Markup(" selected") if row["id"] == chosen else "",
            plain(row["name"], 60),
        )
        for row in shown
    )
    return Markup('<select id="run-choice" aria-label="Run">{0}</select>').format(options)
