"""What a number is called: what an estimator really measures, in its own symbols."""

from __future__ import annotations

import re

from infoplane.errors import UnknownEstimatorError
from infoplane.estimators.registry import card

PLAIN = ("I(X;T)", "I(T;Y)")


def axis_titles(measures: str) -> tuple[str, str]:
    """Return what the x and the y axis say, read off a card's ``measures``.

    ``"I(V; bin(T)), fixed bins"`` gives ``("I(X; bin(T))", "I(bin(T); Y)")``. Where V stands
    elsewhere too it is replaced by X and Y; a sentence that does not start with an information of V
    gives the plain names.
    """
    match = re.match(r"\s*I\(((?:[^()]|\([^()]*\))+)\)", measures)
    if match is None or not re.search(r"\b[VX]\b", match.group(1)):
        return PLAIN
    inside = match.group(1).strip()
    first, _, second = (part.strip() for part in inside.partition(";"))
    if first in ("V", "X") and not re.search(r"\bV\b", second):
        return f"I(X; {second})", f"I({second}; Y)"
    x, y = (re.sub(r"\bV\b", target, inside) for target in "XY")
    return f"I({x})", f"I({y})"


def measures(estimator: str) -> str:
    """Return what a card says that its number is; "" for an unknown estimator.

    ``estimator`` may be a label with parameters, ``"mi.binning(bins=100)"``.
    """
    try:
        return card(estimator.partition("(")[0]).measures
    except UnknownEstimatorError:
        return ""


def quantities(estimator: str) -> tuple[str, str]:
    """Return the names of what an estimator puts on the two axes of the plane.

    What its card calls a bound is called one (``"bound on I(X;T)"``); a dependence that is no
    Shannon information has the estimator's own name (``"DiME(X; T)"``).
    """
    told = measures(estimator)
    titles = axis_titles(told)
    if titles != PLAIN or not told:
        return titles
    if "I(V;T)" in told:
        bound = "bound on " if re.search(r"lower bound\b.* on I\(V;T\)", told) else ""
        return f"{bound}{PLAIN[0]}", f"{bound}{PLAIN[1]}"
    label = re.sub(r"\s*\(.*\)$", "", card(estimator.partition("(")[0]).label)
    return f"{label}(X; T)", f"{label}(T; Y)"
