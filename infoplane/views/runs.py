"""The Runs page: every run of the directory with its status, searchable; nothing can be deleted."""

from __future__ import annotations

from bokeh.document import Document
from markupsafe import Markup

from infoplane.views.feed import SessionFeed
from infoplane.views.hub import Hub
from infoplane.views.page import Page
from infoplane.views.shelf import Shelf
from infoplane.views.state import PageState
from infoplane.views.text import plain

_BODY = Markup("""
<div class="page"><header><h1>Runs</h1><p>in {directory}</p><span class="grow"></span>
<p id="shown" role="status" aria-live="polite"></p>
<input type="search" id="search" placeholder="name, folder, status"
aria-label="Search runs"></header>
<table class="list"><thead><tr><th scope="col">name</th><th scope="col">status</th>
<th scope="col" class="n">last step</th><th scope="col" class="n">snapshots</th>
<th scope="col" class="n">started</th>
<th scope="col"><span class="ip-hidden">other pages</span></th>
</tr></thead><tbody id="runs"></tbody></table>
<div class="nothing" id="nothing" hidden><p id="no-match" hidden>No run matches.</p>
<div id="none" hidden><p>No run here yet. As soon as there is one, it appears here by itself.</p>
<p>Train one now in the <a href="?page=playground">Playground</a>, or in a terminal:
<code>infoplane demo</code></p></div></div></div>""")


def build(document: Document, state: PageState, shelf: Shelf, hub: Hub) -> Page:
    """Build the list as plain HTML; the feed sends it again whenever a run changes."""
    feed = SessionFeed(document, shelf, shelf.version, receive="infoplane.runs")
    return Page(
        heading="Runs",
        body=_BODY.format(directory=plain(shelf.directory, 200)),
        first={"runs": shelf.rows()},
        start=lambda: feed.start(hub, shelf.key),
        scripts=("runs.js",),
        close=feed.close,
    )
