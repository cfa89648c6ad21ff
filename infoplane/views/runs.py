"""The Runs page: every run of the directory with its status, searchable; nothing can be deleted."""

from __future__ import annotations

from bokeh.document import Document
from markupsafe import Markup

from infoplane.views.feed import SessionFeed
from infoplane.views.hub import Hub
from infoplane.views.page import Page
from infoplane.views.state import PageState
from infoplane.views.tail import Shelf
from infoplane.views.text import plain

_BODY = Markup("""
<div class="page"><header><h1>Runs</h1><p>in {directory}</p><span class="grow"></span>
<p id="shown" role="status" aria-live="polite"></p>
<input type="search" id="search" placeholder="name, folder, status"
aria-label="Search runs"></header>
<table class="list"><thead><tr><th scope="col">name</th><th scope="col">status</th>
<th scope="col" class="n">last step</th><th scope="col" class="n">snapshots</th>
<th scope="col" class="n">started</th></tr></thead><tbody id="runs"></tbody></table>
<p class="nothing" id="nothing" hidden></p></div>""")


def build(document: Document, state: PageState, shelf: Shelf, hub: Hub) -> Page:
    """Build the list as plain HTML; the feed sends it again whenever a run changes."""
    feed = SessionFeed(document, shelf, shelf.version, receive="infoplane.runs")
    return Page(
        heading="Runs",
        body=_BODY.format(directory=plain(shelf.directory, 200)),
        first={
            "runs": shelf.rows(),
            "nothing": "No run here yet. infoplane demo makes one.",
        },
        start=lambda: feed.start(hub, shelf.key),
        close=feed.close,
    )
