"""Curves over log steps: compression, fitting, any other quantity, and the layer × step heatmap."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from infoplane.analysis.naming import measures, quantities
from infoplane.analysis.phases import phases_of
from infoplane.errors import InputError
from infoplane.plots.theme import CEILING, NULL, axis, colour, curve, holoviews, information, pick
from infoplane.types import NATS_TO_BITS, FloatArray

_STEP = "1 + step"


def compression(ds: xr.Dataset, *, estimator: str | None = None, phases: bool = True) -> Any:
    """Draw I(X;T) of each layer over log steps, log n as its ceiling, onsets of falls marked.

    Parameters
    ----------
    ds : xarray.Dataset
        From `trajectories`.
    estimator : str, optional
        The first by default.
    phases : bool
        Mark where a fall begins, in the layer's colour, when one is found.
    """
    hv = holoviews()
    name = pick(ds, estimator)
    parts = _all_layers(hv, ds, name, "X", null=False)
    parts += _ceiling(hv, ds.attrs.get("log_n"))
    if phases:
        parts += _onsets(hv, ds, name)
    title = f"Compression · {name}\n{measures(name)}".rstrip()
    return _over_steps(hv, parts, title, f"{quantities(name)[0]} [bits]")


def fitting(ds: xr.Dataset, *, estimator: str | None = None) -> Any:
    """Draw I(T;Y) of each layer over log steps, with H(Y) and each layer's null up to its 95 %."""
    hv = holoviews()
    name = pick(ds, estimator)
    parts = _all_layers(hv, ds, name, "Y", null=True)
    parts += _ceiling(hv, ds.attrs.get("h_y"))
    return _over_steps(hv, parts, f"Fitting · {name}", f"{quantities(name)[1]} [bits]")


def quantity(ds: xr.Dataset, name: str) -> Any:
    """Draw another quantity of each layer over log steps, or a recorded scalar.

    Raises
    ------
    InputError
        If the Dataset has no such variable over step.
    """
    hv = holoviews()
    known = [str(v) for v in ds.data_vars if set(ds[v].dims) in ({"step"}, {"step", "layer"})]
    if name not in known:
        raise InputError(f"`name` must be one of {', '.join(known) or 'none'}; got {name!r}.")
    scale = NATS_TO_BITS if ds[name].attrs.get("units") == "nat" else 1.0
    unit = " [bits]" if scale != 1.0 else ""
    if "layer" not in ds[name].dims:
        parts = [_line(hv, axis(ds), ds[name].values * scale, name, name, colour(0))]
    else:
        parts = [
            _line(hv, axis(ds), ds[name].sel(layer=at).values * scale, name, str(at), colour(i))
            for i, at in enumerate(ds["layer"].values)
        ]
    return _over_steps(hv, parts, name, f"{name}{unit}")


def heatmap(ds: xr.Dataset, *, target: str = "X", estimator: str | None = None) -> Any:
    """Draw the information of every layer at every step as colour, in bits; not usable is empty."""
    hv = holoviews()
    name = pick(ds, estimator)
    layers = [str(layer) for layer in ds["layer"].values]
    steps = [str(step) for step in ds["step"].values]
    cells = []
    for layer in layers:
        at = {"layer": layer, "estimator": name, "target": target}
        values = np.where(
            curve(ds, "verdict", **at) / NATS_TO_BITS >= 2, np.nan, curve(ds, "mi", **at)
        )
        cells += [(step, layer, value) for step, value in zip(steps, values, strict=True)]
    label = quantities(name)["XY".index(target)]
    drawn = hv.HeatMap(cells, ["step", "layer"], f"{label} [bits]")
    return drawn.opts(
        width=720, height=60 + 40 * len(layers), colorbar=True, cmap="viridis", tools=["hover"],
        xrotation=90, invert_yaxis=True, title=f"{label} · {name}",
    )  # fmt: skip


def _all_layers(hv: Any, ds: xr.Dataset, name: str, target: str, *, null: bool) -> list[Any]:
    parts: list[Any] = []
    value = information(name)["XY".index(target)]
    x = axis(ds)
    for i, layer in enumerate(map(str, ds["layer"].values)):
        at = {"layer": layer, "estimator": name, "target": target}
        if null:
            parts += _null(hv, x, curve(ds, "mi_null", **at), curve(ds, "mi_null_q95", **at), value)
        parts += _band(hv, x, curve(ds, "mi_low", **at), curve(ds, "mi_high", **at), colour(i))
        parts.append(_line(hv, x, curve(ds, "mi", **at), value, layer, colour(i)))
    return parts


def _line(hv: Any, x: FloatArray, y: FloatArray, value: Any, label: str, tint: str) -> Any:
    kept = np.isfinite(y)
    rows = np.stack([x[kept], y[kept]], axis=1)
    return hv.Curve(rows, _STEP, value, label=label).opts(color=tint, line_width=1.5)


def _null(hv: Any, x: FloatArray, mean: FloatArray, q95: FloatArray, value: Any) -> list[Any]:
    """Mean of the null as a dotted line, its upper 5 % as a band."""
    if not np.isfinite(mean).any():
        return []
    line = _line(hv, x, mean, value, "", NULL).opts(line_dash="dotted", line_width=1)
    return [*_band(hv, x, mean, q95, NULL), line]


def _band(hv: Any, x: FloatArray, low: FloatArray, high: FloatArray, tint: str) -> list[Any]:
    kept = np.isfinite(low) & np.isfinite(high)
    if not kept.any():
        return []
    rows = np.stack([x, low, high], axis=1)[kept]
    area = hv.Area(rows, _STEP, ["low", "high"])
    return [area.opts(color=tint, alpha=0.18, line_alpha=0.0)]


def _ceiling(hv: Any, value: float | None) -> list[Any]:
    if value is None or not np.isfinite(value):
        return []
    line = hv.HLine(float(value) * NATS_TO_BITS)
    return [line.opts(color=CEILING, line_width=1, line_dash="dotted")]


def _onsets(hv: Any, ds: xr.Dataset, name: str) -> list[Any]:
    marks = []
    for i, layer in enumerate(map(str, ds["layer"].values)):
        if "X" not in ds["target"].values:
            break
        fall = phases_of(ds, layer, name, "X").largest("fall")
        if fall is not None:
            mark = hv.VLine(fall.onset + 1.0)
            marks.append(mark.opts(color=colour(i), line_width=1, line_dash="dashed", alpha=0.7))
    return marks


def _over_steps(hv: Any, parts: list[Any], title: str, ylabel: str) -> Any:
    return hv.Overlay(parts).opts(
        hv.opts.Overlay(
            width=640, height=360, logx=True, legend_position="right", title=title,
            xlabel=_STEP, ylabel=ylabel, show_grid=True,
        )
    )  # fmt: skip
