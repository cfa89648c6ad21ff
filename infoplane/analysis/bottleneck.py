"""The bottleneck of a run: the bound of its probe set, as a curve to draw and as distances to it.

:func:`bound_curve` is what a page draws: plain lists in nats, kept in memory, a few milliseconds
for labels that are a function of the input.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from infoplane.analysis.bound import Bound, ib_bound
from infoplane.analysis.case import bits
from infoplane.analysis.portrait import Variables
from infoplane.errors import InputError
from infoplane.estimators.contract import symbols
from infoplane.types import FloatArray, IntArray

if TYPE_CHECKING:
    from infoplane.store import Run

_KEPT = 32  # curves that are remembered
_memory: dict[tuple[str, str, int], BoundCurve] = {}
_lock = threading.Lock()


class BoundCurve(TypedDict):
    """A bound ready to be drawn or sent as JSON; all amounts in nats.

    ``i_x`` and ``i_y`` are the points of the line from (0, 0) over ``corner`` (the least I(X;T)
    with which all of I(X;Y) can be kept) and flat on to H(X). ``method`` is "closed form" or
    "annealing", ``converged`` says whether the latter did, ``note`` is a sentence for a tooltip.
    """

    i_x: list[float]
    i_y: list[float]
    corner: tuple[float, float]
    h_x: float
    information: float
    method: str
    converged: bool
    note: str


def bound_curve(run: Run, *, probe: str | None = None, bins: int = 10) -> BoundCurve | None:
    """Return the bound of a run's p(x, y) as plain lists in nats; None without a probe set or Y.

    Computed once for a probe set and kept in memory. For labels that are a function of the input
    (every probe set whose inputs are all different) it is the closed form, a few milliseconds:
    up along I(T;Y) = I(X;T) to the corner (H(Y), H(Y)), then flat to H(X). Repeated inputs with
    different labels need the annealing, which takes seconds the first time: ask from a thread.

    Parameters
    ----------
    run : Run
        Any run, also one that grows.
    probe : str, optional
        Which probe set; the first by default.
    bins : int
        Groups of equal size into which a regression target is cut.
    """
    if not run.probes:
        return None
    key = (run.uuid, probe if probe is not None else run.probes[0], bins)
    with _lock:
        if key not in _memory:
            bound = bound_of(run, probe=key[1], bins=bins)
            if bound is None:
                return None
            while len(_memory) >= _KEPT:
                _memory.pop(next(iter(_memory)))
            _memory[key] = as_curve(bound, Variables(run.probe(key[1])).x.entropy or 0.0)
        kept = _memory[key]
    return {**kept, "i_x": list(kept["i_x"]), "i_y": list(kept["i_y"])}


def as_curve(bound: Bound, h_x: float) -> BoundCurve:
    """Return a bound as plain lists, carried on flat to H(X)."""
    i_x, i_y = bound.i_x.tolist(), bound.i_y.tolist()
    corner = (i_x[-1], i_y[-1])
    if h_x > corner[0]:
        i_x, i_y = [*i_x, h_x], [*i_y, corner[1]]
    return {
        "i_x": i_x,
        "i_y": i_y,
        "corner": corner,
        "h_x": h_x,
        "information": bound.information,
        "method": bound.method,
        "converged": bound.converged,
        "note": _note(bound),
    }


def _note(bound: Bound) -> str:
    told = (
        f"Information-bottleneck bound of this probe set: no representation has more I(T;Y) at its "
        f"I(X;T), and none more than I(X;Y) = {bits(bound.information)}. An estimate above the "
        "line says that its two axes do not fit together there."
    )
    return told if bound.converged else f"{told} The search for the line has not fully converged."


def bound_of(run: Run, *, probe: str | None = None, bins: int = 10) -> Bound | None:
    """Return the bound for a run's probe set, its rows taken as the population; None without Y.

    A regression target is cut into ``bins`` groups of equal size first, so the curve is that of the
    binned target.
    """
    variables = Variables(run.probe(probe))
    if variables.probe.y is None:
        return None
    codes = variables.y_codes
    if codes is None:
        codes = equal_groups(np.asarray(variables.probe.y), bins)
    return ib_bound(joint_of(variables.x_codes, codes))


def add_bound(ds: xr.Dataset, bound: Bound) -> xr.Dataset:
    """Add the bound and each layer's distance to it, in nats.

    ``bound_i_x`` and ``bound_i_y`` over ``bound_point`` are the curve. ``bound_distance`` over
    (step, layer, estimator) is F(I(X;T)) − I(T;Y), information about Y that T could still have at
    its size; negative where an estimate lies above the bound, which says that the estimator's two
    axes do not fit together there.
    """
    if not {"X", "Y"} <= set(ds["target"].values):
        raise InputError("the Dataset must hold I(X;T) and I(T;Y); evaluate with both targets.")
    i_x, i_y = ds["mi"].sel(target="X", drop=True), ds["mi"].sel(target="Y", drop=True)
    known = np.isfinite(i_x.values) & np.isfinite(i_y.values)
    distance = np.where(known, bound.distance(np.nan_to_num(i_x.values), i_y.values), np.nan)
    nats = {"units": "nat"}
    return ds.assign(
        bound_distance=(i_x.dims, distance, nats),
        bound_i_x=("bound_point", bound.i_x, nats),
        bound_i_y=("bound_point", bound.i_y, nats),
    )


def equal_groups(y: NDArray[Any], groups: int) -> IntArray:
    """Cut each column of a continuous target into groups of equal size; codes of the rows, (n,)."""
    columns = y.reshape(len(y), -1)
    edges = np.quantile(columns, np.linspace(0, 1, groups + 1)[1:-1], axis=0)
    cut = [np.searchsorted(edges[:, j], columns[:, j]) for j in range(columns.shape[1])]
    return symbols(np.stack(cut, axis=1))


def joint_of(x: IntArray, y: IntArray) -> FloatArray:
    """Return p(x, y) of two vectors of codes, shape (codes of x, codes of y)."""
    table = np.zeros((int(x.max()) + 1, int(y.max()) + 1))
    np.add.at(table, (x, y), 1.0)
    return table / len(x)
