"""Colours, type and sizes of every page, once for light and once for dark.

Colour means training time and nothing else; identity is a label, judgement is a word and a shape.
The palettes are crops of magma whose contrast against the surface is at least 3:1 in their mode.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bokeh.palettes import Magma256

FONT = (
    '-apple-system, "Segoe UI", Roboto, "Helvetica Neue", Helvetica, Arial, '
    '"Liberation Sans", sans-serif'
)
SHADES = 48  # colours of the time axis

_CROPS = {"light": (0.06, 0.68), "dark": (0.49, 0.97)}

_LIGHT = {
    "page": "#f6f7f9",
    "surface": "#ffffff",
    "raised": "#ffffff",
    "ink": "#14181f",
    "muted": "#565f6c",
    "faint": "#868f9c",
    "line": "#d5dae1",
    "grid": "#edf0f3",
    "ghost": "#c3c9d2",
    "null": "#8a93a0",
    "accent": "#1f5fae",
    "accent-soft": "#e4eefb",
    "ok": "#1c6b3c",
    "ok-soft": "#e1f3e7",
    "caution": "#835400",
    "caution-soft": "#fcf0d4",
    "bad": "#a3222b",
    "bad-soft": "#fbe5e6",
    "head": "#14181f",
    "head-ink": "#ffffff",
    "shadow": "0 1px 2px rgba(20,24,31,.05), 0 4px 16px rgba(20,24,31,.05)",
}
_DARK = {
    "page": "#0c0f14",
    "surface": "#12161d",
    "raised": "#1a2029",
    "ink": "#eef1f5",
    "muted": "#a3adba",
    "faint": "#7b8694",
    "line": "#2e3642",
    "grid": "#1d232c",
    "ghost": "#414b59",
    "null": "#8792a1",
    "accent": "#7db3f2",
    "accent-soft": "#1a2a3e",
    "ok": "#7fd6a0",
    "ok-soft": "#16301f",
    "caution": "#f0c064",
    "caution-soft": "#362a10",
    "bad": "#ff9a9f",
    "bad-soft": "#3d1a1d",
    "head": "#eef1f5",
    "head-ink": "#12161d",
    "shadow": "0 1px 2px rgba(0,0,0,.4), 0 6px 20px rgba(0,0,0,.25)",
}
TOKENS: Mapping[str, Mapping[str, str]] = MappingProxyType({"light": _LIGHT, "dark": _DARK})


def time_palette(mode: str) -> list[str]:
    """Return the :data:`SHADES` colours of training time, first step to last, for a mode."""
    first, last = (round(255 * end) for end in _CROPS[mode])
    return [Magma256[first + round((last - first) * i / (SHADES - 1))] for i in range(SHADES)]


def variables(mode: str) -> str:
    """Return the tokens of a mode as CSS custom properties ``--ip-ink: #…;``."""
    return "".join(f"--ip-{name}:{value};" for name, value in TOKENS[mode].items())


def css_variables(mode: str = "auto") -> str:
    """Return the ``:host`` rules that define the tokens on the root of a view.

    They are inherited by everything inside. In mode "auto" the system's ``prefers-color-scheme``
    decides until the controller or a host page sets ``data-theme`` on the root element.
    """
    rules = f":host{{{variables('dark' if mode == 'dark' else 'light')}}}"
    if mode == "auto":
        rules += f"@media(prefers-color-scheme:dark){{:host{{{variables('dark')}}}}}"
    for name in TOKENS:
        rules += f":host([data-theme={name}]){{{variables(name)}color-scheme:{name}}}"
    return rules
