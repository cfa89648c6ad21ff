"""One page of the app: what its builder returns, and the HTML frame into which it is put.

A session's document holds two small models, its feed; what is drawn lives in the browser alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from bokeh.core.json_encoder import serialize_json
from bokeh.document import Document
from bokeh.models import CustomJS
from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from infoplane.views.guard import NONCE
from infoplane.views.state import PageState
from infoplane.views.theme import FONT, SHADES, time_palette, variables

_BOKEH = re.compile(r'src="([^"]*static/js/bokeh(?:-widgets)?(?:\.min)?\.js[^"]*)"')

MARK = Markup(
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" aria-hidden="true">'
    '<path d="M5 27C15 26 21 21 22 13S16 4 11 6" fill="none" stroke="#b73779" stroke-width="3.2" '
    'stroke-linecap="round"/><circle cx="10.5" cy="6.2" r="4" fill="#f1605d"/>'
    '<circle cx="5.5" cy="27" r="2.4" fill="#51127c"/></svg>'
)
"""The mark: a layer's path through the plane."""

_ICONS = {
    "explore": '<path d="M4 20V4M4 20h16M8 16c6-1 9-4 8.500-8"/><circle cx="16" cy="7" r="1.500"/>',
    "compare": '<path d="M4 20V4M4 20h16M7 15c4-1 5-7 12-8M7 17c5 0 7-4 12-4"/>',
    "diagnostics": '<path d="M3 12h4l3-7 4 14 3-7h4"/>',
    "calibrate": '<path d="M4 20L20 4M4 20V4M4 20h16"/><circle cx="15" cy="14" r="1.500"/>',
    "limits": '<path d="M12 4L21 20H3z"/><path d="M12 10v5M12 17.500h.01"/>',
    "playground": '<path d="M7 4v16l13-8z"/>',
    "runs": '<path d="M8 6h12M8 12h12M8 18h12"/><path d="M4 6h.01M4 12h.01M4 18h.01"/>',
}
_LABELS = {
    "explore": "Explore",
    "compare": "Compare",
    "diagnostics": "Diagnostics",
    "calibrate": "Calibrate",
    "limits": "Limits",
    "playground": "Playground",
    "runs": "Runs",
}

_SCRIPTS = ("saving.js", "charts.js", "shell.js")  # of every page
TIMES = 12  # colours of training time in a small figure
_EARLY = """
try { const theme = localStorage.getItem("infoplane-theme")
if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme } catch {}
"""


@dataclass(slots=True)
class Page:
    """What a page's builder returns: words, figures, and what is to happen after.

    Attributes
    ----------
    heading : str
        Title of the browser's tab; untrusted text is escaped by the template.
    drawn : tuple of Model
        Models that are placed on the page, in this order.
    body : Markup
        HTML before them, made of labels and our own words only.
    first : mapping
        What the page's script starts from.
    scripts : tuple of str
        Packaged scripts of this page alone, after those of every page.
    start : callable or None
        Called when the document is complete: the feed begins to listen.
    close : callable or None
        Called when the session ends.
    """

    heading: str
    body: Markup = field(default_factory=Markup)
    figures: Markup = field(default_factory=Markup)
    first: Mapping[str, Any] = field(default_factory=dict)
    scripts: tuple[str, ...] = ()
    start: Callable[[], None] | None = None
    close: Callable[[], None] | None = None


def place(document: Document, page: Page, state: PageState) -> None:
    """Put a page into the frame of a document."""
    document.title = page.heading
    document.template = _template()
    document.js_on_event("connection_lost", CustomJS(code="infoplane.lost()"))
    navigation = [
        {
            "page": name,
            "label": _LABELS[name],
            "icon": Markup(f'<svg viewBox="0 0 24 24" aria-hidden="true">{_ICONS[name]}</svg>'),
            "href": PageState(page=name, run=state.run, runs=state.runs).query(),
        }
        for name in _LABELS
    ]
    document.template_variables.update(
        heading=page.heading,
        page=state.page,
        home="?",
        icon=MARK,
        navigation=navigation,
        body=page.body,
        figures=page.figures,
        first=in_script(page.first),
        nonce=_nonce(document),
        signed=_signed(_nonce(document)),
        scripts=_scripts,
        css=Markup(_css()),
        early=Markup(_EARLY),
        script=Markup("".join(map(resource, (*_SCRIPTS, *page.scripts)))),
    )


@cache
def resource(name: str) -> str:
    """Text of a packaged file of the views."""
    return files("infoplane.views").joinpath(name).read_text(encoding="utf-8")


@cache
def _template() -> Any:
    return Environment(loader=PackageLoader("infoplane", "views"), autoescape=True).get_template(
        "shell.html"
    )


@cache
def _css() -> str:
    light, dark = (variables(mode) + _times(mode) for mode in ("light", "dark"))
    tokens = (
        f":root{{color-scheme:light;--ip-font:{FONT};{light}}}"
        f"@media(prefers-color-scheme:dark){{:root{{color-scheme:dark;{dark}}}}}"
        f":root[data-theme=light]{{color-scheme:light;{light}}}"
        f":root[data-theme=dark]{{color-scheme:dark;{dark}}}"
    )
    return tokens + "".join(map(resource, ("shell.css", "charts.css", "pages.css")))


def _times(mode: str) -> str:
    """Return the colours of training time as properties: ``--ip-t0`` … and all of them in a row."""
    shades = time_palette(mode)[:: SHADES // TIMES]
    each = "".join(f"--ip-t{i}:{shade};" for i, shade in enumerate(shades))
    return f"{each}--ip-times:{','.join(shades)};"


def in_script(value: Any) -> Markup:
    """Write JSON so that no text inside can end the script element."""
    text = (
        serialize_json(value)
        .replace("<", "\\u003c")
        .replace(">", "\\u003e")
        .replace("&", "\\u0026")
    )
    return Markup(text)


def _scripts(bokeh_js: Any) -> list[str]:
    return _BOKEH.findall(str(bokeh_js))


def _nonce(document: Document) -> str:
    request = getattr(document.session_context, "request", None)
    return str((getattr(request, "headers", None) or {}).get(NONCE, ""))


def _signed(nonce: str) -> Callable[[Any], Markup]:
    """Give the scripts that Bokeh wrote into the page its nonce."""

    def signed(scripts: Any) -> Markup:
        # Bokeh's own JSON and start script; text from a run inside them is escaped there
        return Markup(re.sub(r"<script(?=[\s>])", f'<script nonce="{nonce}"', str(scripts)))

    return signed
