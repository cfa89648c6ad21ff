"""The Explore view in a notebook cell: the same figures and the same controller, no server.

Changes travel over the notebook's own comm. A thread follows the run, so the view grows while a
training runs in another process, in a thread, or in the cell itself.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any

import panel as pn
from panel.viewable import Viewer

from infoplane.store import Run, open_run
from infoplane.views.plane import PlaneKit, ViewState
from infoplane.views.tail import RunTail

EVERY = 0.25  # seconds between two looks at the run
OVER = ("finished", "failed", "broken")


class Dashboard(Viewer):
    """The Explore view of one run as a Panel viewer; make it with :func:`dashboard`.

    Attributes
    ----------
    kit : PlaneKit
        The figures and their sources.
    """

    def __init__(self, tail: RunTail, *, height: int, view: ViewState | None) -> None:
        super().__init__()
        self._tail = tail
        delta, live = tail.now()
        self._cursor, self._state = delta.cursor, live.state
        self.kit = PlaneKit(delta, live, keys="focus", height=f"{height}px", view=view)
        self._pane = pn.pane.Bokeh(self.kit.layout(), height=height, sizing_mode="stretch_width")
        self._ended = threading.Event()

    def __panel__(self) -> Any:
        return self._pane

    @property
    def following(self) -> bool:
        """Whether the view still grows with the run."""
        return not self._ended.is_set()

    def refresh(self) -> bool:
        """Take in what the run has new, and show it; False when there was nothing."""
        if not self._tail.poll():
            return False
        delta, live = self._tail.now(self._cursor)
        self._cursor, self._state = delta.cursor, live.state
        self.kit.apply(delta, live)
        if self._pane._models:  # it is displayed somewhere
            pn.io.push_notebook(self._pane)
        return True

    def stop(self) -> None:
        """Stop following the run; what is shown stays."""
        self._ended.set()
        self._tail.close()

    def follow(self) -> None:
        """Refresh in a thread until the run is over, the view is stopped, or nobody holds it."""
        me = weakref.ref(self)
        threading.Thread(target=_follow, args=(me, self._ended), daemon=True).start()


def _follow(held: weakref.ref[Dashboard], ended: threading.Event) -> None:
    while not ended.wait(EVERY):
        view = held()
        if view is None:
            return
        view.refresh()
        if view._state in OVER:
            view.stop()
        del view


def dashboard(
    run: Run | str | os.PathLike[str],
    *,
    live: bool = True,
    height: int = 720,
    view: ViewState | None = None,
) -> Dashboard:
    """Show a run in a notebook cell: the Explore view of the page, without a server.

    Parameters
    ----------
    run : Run or path
        The run; it may still be growing.
    live : bool
        Follow the run until it is over.
    height : int
        Height of the view in pixels.
    view : ViewState, optional
        What is chosen when it opens.

    Returns
    -------
    Dashboard
        A Panel viewer: the last value of a cell shows it; ``.stop()`` ends following.
    """
    if not getattr(pn.extension, "_loaded", False):
        pn.extension(inline=True)  # the scripts from this machine: a notebook may be offline
    path = run.path if isinstance(run, Run) else run
    shown = Dashboard(RunTail(open_run(path)), height=height, view=view)
    if live and shown._state not in OVER:
        shown.follow()
    else:
        shown.stop()
    return shown
