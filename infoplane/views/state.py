"""What a page shows, as one object, and its address.

Everything that arrives in the address or from a browser passes through here: wrong values are
dropped, numbers are clamped, and a run is named by the id in its ``run.json``, never by a path.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import param

PAGES = ("explore", "compare", "diagnostics", "calibrate", "limits", "playground", "runs")
_WORD = re.compile(r"[A-Za-z0-9_.:+-]{1,128}")
_WORDS = re.compile(r"[A-Za-z0-9]{1,64}(,[A-Za-z0-9]{1,64}){0,23}")
_LAST_STEP = 2**53  # the largest whole number that a browser counts with exactly


class PageState(param.Parameterized):
    """What is shown: page, run, and where in it.

    ``PageState.from_arguments`` reads an address, ``query`` writes one; they are inverse to each
    other for every valid state.
    """

    page = param.Selector(default="explore", objects=list(PAGES), doc="Which page.")
    run = param.String(default="", doc="Id of the run; empty means the newest one.")
    runs = param.String(default="", doc="Ids of the runs compared, with commas.")
    estimator = param.String(default="", doc="Id of the estimator; empty: the page chooses.")
    probe = param.String(default="", doc="Name of the probe set; empty means the first one.")
    layer = param.String(default="", doc="Layer whose panel is open (T1, T2 …); empty: none.")
    step = param.Integer(default=-1, bounds=(-1, _LAST_STEP), doc="Step looked at; -1: newest.")
    minus = param.Selector(default="", objects=["", "1"], doc="Estimates minus their null?")
    overlay = param.Selector(default="", objects=["", "1"], doc="All estimators in the plane?")
    heat = param.Selector(default="", objects=["", "1"], doc="Layers as rows over time?")
    unit = param.Selector(default="bits", objects=["bits", "nats"], doc="Unit on the axes.")

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Sequence[Any]]) -> PageState:
        """Read the arguments of a request (bytes or text); what is not valid keeps its default."""
        words = {name: _word(arguments.get(name)) for name in cls.names()}
        state = cls()
        for name in ("run", "estimator", "probe", "layer"):
            if words[name] and _WORD.fullmatch(words[name]):
                setattr(state, name, words[name])
        if _WORDS.fullmatch(words["runs"]):
            state.runs = words["runs"]
        for name in ("page", "unit", "minus", "overlay", "heat"):
            if words[name] in state.param[name].objects:
                setattr(state, name, words[name])
        if words["step"].isascii() and words["step"].isdigit():
            # int() of more than 4300 digits raises; 17 digits are already beyond the bound
            state.step = min(int(words["step"][:17]), _LAST_STEP)
        return state

    @classmethod
    def names(cls) -> list[str]:
        """Names of the parameters that an address may hold."""
        return [name for name in cls.param if name != "name"]

    def query(self, **changes: Any) -> str:
        """Write the query of this state with `changes`; defaults are left out."""
        state = {name: changes.get(name, getattr(self, name)) for name in self.names()}
        told = {name: v for name, v in state.items() if v != self.param[name].default}
        return "?" + urlencode(told) if told else "?"


def _word(values: Sequence[Any] | None) -> str:
    if not values:
        return ""
    value = values[0]
    if isinstance(value, bytes):
        value = value[:2048].decode("utf-8", "replace")
    return str(value)[:2048]
