"""PlaneKit: the Explore view as one Bokeh model, shared by server page, notebook and offline file.

Pure Bokeh. Python writes six small sources; everything a reader does (scrubbing, replay, estimator,
unit, null) happens in ``controller/`` on those, without a round trip. Models that the controller
changes have ``syncable=False``, so that nothing of it is mirrored to Python.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np
from bokeh.models import (
    ColumnDataSource,
    CustomJS,
    Div,
    GridBox,
    InlineStyleSheet,
    LayoutDOM,
    Model,
)

from infoplane.views import figures
from infoplane.views.cards import UNMEASURED
from infoplane.views.frame import COLUMNS, SCALAR_COLUMNS, Delta, Live, Meta, Packed
from infoplane.views.text import label
from infoplane.views.theme import FONT, TOKENS, css_variables, time_palette

# On a narrow window, or a wide one enlarged, the figures stand one above the other.
_STACK = (
    "@media(max-width:860px){:host{display:flex!important;flex-direction:column;"
    "height:auto!important;overflow:visible!important}"
    ".bk-Figure{flex:0 0 220px}:nth-child(2 of .bk-Figure,.bk-Div){flex-basis:460px}"
    ":nth-child(6 of .bk-Figure,.bk-Div){flex-basis:58px}"
    ":nth-child(7 of .bk-Figure,.bk-Div){flex:0 0 auto;height:auto!important}"
    ":nth-child(8 of .bk-Figure,.bk-Div){position:sticky;bottom:0;background:var(--ip-surface);"
    "z-index:5;padding-bottom:6px}}"
)

VIEW_COLUMNS = ("estimator", "unit", "minus", "probe", "step", "layer", "overlay", "heat")


@dataclass(frozen=True, slots=True)
class ViewState:
    """What a reader has chosen: what a deep link restores.

    ``step`` None follows the newest snapshot; ``layer`` is a label ("T3") or None; ``overlay``
    draws the paths of all estimators, ``heat`` a row a layer in place of the curves over time.
    """

    estimator: str | None = None
    unit: str = "bits"
    minus: bool = False
    probe: str | None = None
    step: int | None = None
    layer: str | None = None
    overlay: bool = False
    heat: bool = False


_CONTROLLER = (
    *("begin", "known", "chosen", "drawing", "plane", "curves", "heat"),
    *("words", "theme", "saving", "act", "frames"),
)


def resource(name: str) -> str:
    """Return the text of a packaged resource of the views (``page.css``)."""
    return files("infoplane.views").joinpath(name).read_text(encoding="utf-8")


@cache
def controller() -> str:
    """Return the script behind the view: the parts in ``controller/``, one function body."""
    parts = (f"controller/{part}.js" for part in _CONTROLLER)
    return "\n".join(map(resource, (next(parts), "saving.js", *parts)))


def flat(packed: Packed) -> dict[str, Packed]:
    """Return packed rows as the one column they travel in: one binary buffer, no keys."""
    return {"v": np.ascontiguousarray(packed, dtype=np.float32).reshape(-1)}


class PlaneKit:
    """The Explore view of one run.

    Parameters
    ----------
    delta : Delta or None
        What is known now (``FrameBuilder.delta()``); None shows the page empty.
    live : Live
        The status line.
    view : ViewState
        What is chosen when the page opens.
    mode : str
        "auto" (the system's choice), "light" or "dark".
    keys : str
        "page" listens for keys in the whole document, "focus" only inside the view (notebooks).
    height : str
        CSS height of the view.

    Attributes
    ----------
    raw, scalars, texts : ColumnDataSource
        Append-only logs of packed rows (column ``v``), reasons (column ``text``).
    head, scalar_head, facts, live : ColumnDataSource
        Replaced with every frame; ``live`` always last: it is what the controller listens to.
    view : ColumnDataSource
        What the reader has chosen, one row of :data:`VIEW_COLUMNS`, written by the controller at
        most about three times a second.
    ack : ColumnDataSource
        ``seq`` of the newest frame that has been painted: the credit of a feed.
    """

    def __init__(
        self,
        delta: Delta | None = None,
        live: Live | None = None,
        *,
        view: ViewState | None = None,
        mode: str = "auto",
        keys: str = "page",
        height: str = "100%",
    ) -> None:
        empty = np.zeros((0, len(COLUMNS)), np.float32)
        self.raw = ColumnDataSource(flat(empty), name="raw")
        self.head = ColumnDataSource(flat(empty), name="head")
        self.scalars = ColumnDataSource(flat(empty), name="scalars")
        self.scalar_head = ColumnDataSource(flat(empty), name="scalar_head")
        self.texts = ColumnDataSource({"text": []}, name="texts")
        self.facts = ColumnDataSource({"json": [Meta().as_json()]}, name="facts")
        self.live = ColumnDataSource(self._live(live or Live(), 0), name="live")
        state = asdict(view or ViewState())
        self.view = ColumnDataSource({name: [state[name]] for name in VIEW_COLUMNS}, name="view")
        self.ack = ColumnDataSource({"seq": [0]}, name="ack")
        self._meta = Meta()
        if delta is not None:
            self.apply(delta, live or Live())
        self._layout = self._build(mode, keys, height)

    @staticmethod
    def _live(live: Live, generation: int) -> dict[str, list[Any]]:
        return live.columns() | {"generation": [generation]}

    def apply(self, delta: Delta, live: Live) -> None:
        """Bring the sources up to date. Hold the document around it to send one message."""
        if delta.reset:
            self.raw.data = flat(delta.rows.packed)
            self.scalars.data = flat(delta.scalars)
        else:
            if len(delta.rows):
                self.raw.stream(flat(delta.rows.packed))
            if len(delta.scalars):
                self.scalars.stream(flat(delta.scalars))
        if delta.texts:
            self.texts.stream({"text": list(delta.texts)})
        if delta.meta is not None:
            self._meta = delta.meta
            self.facts.data = {"json": [delta.meta.as_json()]}
        self.head.data = flat(delta.head.packed)
        self.scalar_head.data = flat(delta.scalar_head)
        self.live.data = self._live(live, delta.cursor.generation)

    def tell(self, live: Live) -> None:
        """Change the status line only."""
        generation = self.live.data["generation"][0]
        self.live.data = self._live(live, generation)

    def layout(self) -> LayoutDOM:
        """Return the view: one Bokeh model, always the same one."""
        return self._layout

    # -- inside ------------------------------------------------------------------------------

    def _build(self, mode: str, keys: str, height: str) -> LayoutDOM:
        start = CustomJS(code=controller(), module=False)
        drawn = figures.build({"start": start})
        style = InlineStyleSheet(css=resource("page.css"))
        parts = {
            name: Div(
                text=text,
                disable_math=True,
                stylesheets=[style],
                sizing_mode="stretch_both" if name == "table" else "stretch_width",
                name=f"ip-{name}",
            )
            for name, text in self._words().items()
        }
        root = GridBox(
            children=[
                (parts["header"], 0, 0, 1, 2),
                (drawn.plane, 1, 0, 5, 1),
                (drawn.compression, 1, 1),
                (drawn.fitting, 2, 1),
                (drawn.training, 3, 1),
                (drawn.strip, 4, 1),
                (parts["table"], 5, 1),
                (parts["footer"], 6, 0, 1, 2),
            ],
            rows=[
                "auto",
                "minmax(0, 10fr)",
                "minmax(0, 8.4fr)",
                "minmax(0, 5.8fr)",
                "58px",
                "minmax(0, 11fr)",
                "auto",
            ],
            cols=["minmax(0, 54fr)", "minmax(0, 46fr)"],
            sizing_mode="stretch_width",
            styles={"height": height, "overflow": "hidden"},
            stylesheets=[
                InlineStyleSheet(
                    css=css_variables(mode)
                    + f":host{{--ip-font:{FONT};background:var(--ip-surface);"
                    "color:var(--ip-ink);grid-template-areas:none}"
                    + (_STACK if keys == "page" else "")
                )
            ],
            name="ip-root",
        )
        start.args = self._arguments(drawn, parts, root, mode, keys)
        self.live.js_on_change("data", start)
        self.view.js_on_change("data", start)
        self._own(root)
        return root

    def _words(self) -> dict[str, str]:
        """Return the HTML around the figures; the controller fills what is marked ``data-ip``."""
        meta = self._meta
        header = Template(resource("header.html"))
        return {
            "header": header.substitute(run=label(meta.name), subtitle=label(meta.subtitle)),
            "table": resource("table.html"),
            "footer": resource("footer.html"),
        }

    def _arguments(
        self,
        drawn: figures.Figures,
        parts: Mapping[str, Div],
        root: LayoutDOM,
        mode: str,
        keys: str,
    ) -> dict[str, Any]:
        return {
            "raw": self.raw,
            "head_rows": self.head,
            "scalars": self.scalars,
            "scalar_head": self.scalar_head,
            "texts": self.texts,
            "facts": self.facts,
            "live": self.live,
            "view": self.view,
            "ack": self.ack,
            "root": root,
            "header": parts["header"],
            "table": parts["table"],
            "footer": parts["footer"],
            "figures": {
                "plane": drawn.plane,
                "compression": drawn.compression,
                "fitting": drawn.fitting,
                "training": drawn.training,
                "strip": drawn.strip,
            },
            "sources": drawn.sources,
            "models": drawn.models,
            "options": {
                "mode": mode,
                "keys": keys,
                "columns": list(COLUMNS),
                "unmeasured": UNMEASURED,
                "scalar_columns": list(SCALAR_COLUMNS),
                "tokens": {name: dict(tokens) for name, tokens in TOKENS.items()},
                "palettes": {name: time_palette(name) for name in TOKENS},
            },
        }

    def _own(self, root: LayoutDOM) -> None:
        """Give everything but the sources that Python reads or writes to the browser."""
        ours = {id(source) for source in self.sources}
        for model in root.references():
            if isinstance(model, Model) and id(model) not in ours:
                model.syncable = False

    @property
    def sources(self) -> tuple[ColumnDataSource, ...]:
        """The sources shared with Python, in the order in which they must be written."""
        return (
            self.raw,
            self.scalars,
            self.texts,
            self.facts,
            self.head,
            self.scalar_head,
            self.live,
            self.view,
            self.ack,
        )
