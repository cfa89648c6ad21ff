"""What all figures share: bits on screen, one colour a layer, log steps, and the lazy import."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from infoplane.analysis.naming import PLAIN, quantities
from infoplane.errors import InputError
from infoplane.types import NATS_TO_BITS, FloatArray

# Categorical, told apart under the common colour-vision deficiencies, in the network's order.
PALETTE = (
    "#3b6fd4", "#d9822b", "#2a9d74", "#c0447f", "#7a5cc7",
    "#8a6d1f", "#1f8fae", "#b3452c", "#5f7f2e", "#6b7280",
)  # fmt: skip
NULL, CEILING = "#9aa3ad", "#c2410c"


def holoviews() -> Any:
    """Return the holoviews module with its Bokeh backend loaded, on first use."""
    import holoviews as hv

    if "bokeh" not in hv.Store.renderers or hv.Store.current_backend != "bokeh":
        hv.extension("bokeh", logo=False, inline=True)  # no CDN: a notebook may be offline
    return hv


def information(estimator: str) -> tuple[Any, Any]:
    """Return the axes of the plane, labelled with what is measured; one name each: they compose."""
    told = zip(PLAIN, quantities(estimator), strict=True)
    x, y = (holoviews().Dimension(name, label=label, unit="bits") for name, label in told)
    return x, y


def pick(ds: xr.Dataset, estimator: str | None) -> str:
    """Return the estimator asked for, or the first; raise InputError naming those there are."""
    known = [str(name) for name in ds["estimator"].values] if "estimator" in ds.coords else []
    if not known:
        raise InputError(
            "the Dataset holds no mutual information; run `infoplane.evaluate` on the run first."
        )
    if estimator is None:
        return known[0]
    if estimator not in known:
        raise InputError(f"`estimator` must be one of {', '.join(known)}; got {estimator!r}.")
    return estimator


def curve(ds: xr.Dataset, name: str, **at: str) -> FloatArray:
    """Return a variable in bits along the steps at one layer, estimator, target; NaN if absent."""
    present = {key: value for key, value in at.items() if key in ds[name].dims}
    if any(value not in ds[key].values for key, value in present.items()):
        return np.full(ds.sizes["step"], np.nan)
    return np.asarray(ds[name].sel(present).values * NATS_TO_BITS, dtype=float)


def axis(ds: xr.Dataset) -> FloatArray:
    """Return 1 + step, so that the untrained network has a place on a log axis."""
    return np.asarray(ds["step"].values, dtype=float) + 1.0


def colour(i: int) -> str:
    """Return the colour of the i-th layer."""
    return PALETTE[i % len(PALETTE)]
