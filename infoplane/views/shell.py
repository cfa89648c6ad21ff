"""The app: one document a page, a rail to the others, and an address that brings each of them back.

Pages are separate documents reached by plain links: documents stay small (every message walks the
models of its document), the back button works, and a page that is left frees everything.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bokeh.application.application import SessionContext
from bokeh.document import Document
from bokeh.io import curdoc

from infoplane.estimators import registry
from infoplane.views import explore
from infoplane.views.hub import HUB, Hub
from infoplane.views.opening import reading, searching
from infoplane.views.page import Page, place
from infoplane.views.shelf import Shelf
from infoplane.views.state import PAGES, PageState

Builder = Callable[[Document, PageState, Shelf, Hub], Page]

OF_ONE_RUN = ("explore", "diagnostics", "calibrate")
LATER = 3.0  # seconds after the start, when the first visitor has their page


def build_app(
    directory: str | os.PathLike[str] | None = None,
    *,
    document: Document | None = None,
    hub: Hub = HUB,
    page: str | None = None,
) -> None:
    """Build the page that the address asks for; ``apps/main.py`` calls it once a session.

    Parameters
    ----------
    directory : path, optional
        Where the runs are; else the script's first argument (``panel serve apps/ --args DIR``),
        else ``INFOPLANE_RUNS``, else ``./runs``.
    document : Document, optional
        The document to fill; the session's by default.
    hub : Hub, optional
        The hub that follows the runs; the process's by default.
    page : str, optional
        One of `PAGES`, to serve one page alone; the address says which by default.
    """
    document = document or curdoc()
    request = getattr(document.session_context, "request", None)
    state = PageState.from_arguments(getattr(request, "arguments", None) or {})
    shelf = Shelf.at(runs_directory(directory), hub)
    if page is not None:
        state.page = page
    built = _not_yet(document, state, shelf, hub)
    built = built or builder(state.page)(document, state, shelf, hub)
    place(document, built, state)
    close = built.close

    def closed(session_context: SessionContext) -> None:  # Bokeh insists on the parameter's name
        if close is not None:
            close()

    document.on_session_destroyed(closed)
    if built.start is not None:
        built.start()


def _not_yet(document: Document, state: PageState, shelf: Shelf, hub: Hub) -> Page | None:
    """Return a page to wait on where the runs, or the run asked for, take long to read."""
    if not shelf.read:
        return searching(document, shelf, hub)
    if state.page not in OF_ONE_RUN:
        return None
    return reading(document, shelf.find(state.run) if state.run else shelf.newest(), hub)


def builder(page: str) -> Builder:
    """Return what builds a page; its rooms are imported with its first visitor, or by `warm`."""
    build: Builder = importlib.import_module(f"infoplane.views.{page}").build
    return build


def warm() -> None:
    """Make in a thread what visitors would otherwise wait for: first Explore, then the rest.

    What was loaded is taken out of garbage collection: Bokeh collects at the end of each session,
    in the event loop, and a tenth of a second each adds up when many leave at once.
    """

    def make() -> None:
        explore.kit()
        registry.catalogue()  # imports every estimator
        gc.freeze()
        time.sleep(LATER)
        for page in PAGES:
            builder(page)
        importlib.import_module("scipy.stats")  # for the agreement of estimators, in Compare
        if not HUB.listeners:  # pages that are open now would never be let go of
            gc.freeze()

    threading.Thread(target=make, name="infoplane warm", daemon=True).start()


def runs_directory(directory: str | os.PathLike[str] | None = None) -> Path:
    """Return the directory of runs: as given, or told by command line or environment."""
    if directory is not None:
        return Path(directory).expanduser()
    argument = next((word for word in sys.argv[1:] if not word.startswith("-")), None)
    return Path(argument or os.environ.get("INFOPLANE_RUNS") or "runs").expanduser()
