"""The information plane: I(X;T) across, I(T;Y) up, one path a layer, colour and names by layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from infoplane.analysis.bound import Bound
from infoplane.analysis.naming import measures, quantities
from infoplane.plots.theme import CEILING, NULL, axis, colour, curve, holoviews, information, pick
from infoplane.types import NATS_TO_BITS, FloatArray


def plane(
    ds: xr.Dataset,
    *,
    estimator: str | None = None,
    ceilings: bool = True,
    null: bool = True,
    bound: Bound | None = None,
) -> Any:
    """Draw the information plane of a Dataset.

    Parameters
    ----------
    ds : xarray.Dataset
        From `trajectories`.
    estimator : str, optional
        Which one; the first by default. The axes say what it measures.
    ceilings, null : bool
        Draw log n and H(Y), and each layer's shuffled-label null as a faint ghost path.
    bound : Bound, optional
        The information-bottleneck curve, drawn behind; that of the Dataset when it holds one
        (:func:`~infoplane.analysis.analyse`).

    Returns
    -------
    holoviews.Overlay
        Composes with ``*`` and ``+``. Points judged not usable are hollow.
    """
    hv = holoviews()
    name = pick(ds, estimator)
    parts = []
    if bound is not None:
        parts.append(_bound_curve(hv, bound.i_x, bound.i_y))
    elif "bound_i_x" in ds:
        parts.append(_bound_curve(hv, ds["bound_i_x"].values, ds["bound_i_y"].values))
    if ceilings:
        parts += _ceilings(hv, ds)
    for i, layer in enumerate(map(str, ds["layer"].values)):
        parts += _layer(hv, ds, name, layer, colour(i), null)
    across, up = quantities(name)
    options: dict[str, Any] = {
        "width": 640,
        "height": 480,
        "show_legend": False,
        "title": f"Information plane · {name}\n{measures(name)}".rstrip(),
        "xlabel": f"{across} [bits]",
        "ylabel": f"{up} [bits]",
        "show_grid": True,
    }
    return hv.Overlay(parts).opts(hv.opts.Overlay(**options))


def bound(curve_: Bound) -> Any:
    """Draw an information-bottleneck curve, to be overlaid on a plane."""
    return _bound_curve(holoviews(), curve_.i_x, curve_.i_y)


def _bound_curve(hv: Any, i_x: FloatArray, i_y: FloatArray) -> Any:
    rows = np.stack([i_x, i_y], axis=1) * NATS_TO_BITS
    line = hv.Curve(rows, "I(X;T)", "I(T;Y)", label="bottleneck bound")
    return line.opts(color=CEILING, line_dash="dashed", line_width=1.5)


def _ceilings(hv: Any, ds: xr.Dataset) -> list[Any]:
    lines = []
    for value, line in ((ds.attrs.get("log_n"), hv.VLine), (ds.attrs.get("h_y"), hv.HLine)):
        if value is not None and np.isfinite(value):
            drawn = line(float(value) * NATS_TO_BITS)
            lines.append(drawn.opts(color=CEILING, line_width=1, line_dash="dotted"))
    return lines


def _layer(hv: Any, ds: xr.Dataset, name: str, layer: str, tint: str, null: bool) -> list[Any]:
    at, axes = {"layer": layer, "estimator": name}, information(name)
    x, y = curve(ds, "mi", **at, target="X"), curve(ds, "mi", **at, target="Y")
    verdict = np.maximum(*(curve(ds, "verdict", **at, target=t) / NATS_TO_BITS for t in ("X", "Y")))
    kept = np.isfinite(x) & np.isfinite(y)
    parts = []
    if null:
        ghost = curve(ds, "mi_null", **at, target="Y")
        rows = np.stack([x, ghost], axis=1)[kept & np.isfinite(ghost)]
        parts.append(hv.Curve(rows, *axes).opts(color=NULL, alpha=0.5, line_width=1))
    rows = np.stack([x, y, axis(ds) - 1.0, verdict], axis=1)[kept]
    parts.append(hv.Curve(rows[:, :2], *axes, label=layer).opts(color=tint, line_width=1.2))
    dimensions = (list(axes), ["step", "verdict"])
    usable, not_usable = rows[rows[:, 3] < 2], rows[rows[:, 3] >= 2]
    parts.append(hv.Points(usable, *dimensions).opts(color=tint, size=5, tools=["hover"]))
    parts.append(
        hv.Points(not_usable, *dimensions).opts(color=tint, size=5, fill_alpha=0.0, tools=["hover"])
    )
    if len(rows):
        named = hv.Labels([(*rows[-1, :2], layer)], list(axes), "layer")
        parts.append(
            named.opts(text_color=tint, text_font_size="9pt", text_align="left", xoffset=0.1)
        )
    return parts
