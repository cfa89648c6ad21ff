"""Estimators beside each other: how far they agree on a run, how wrong they are on its twins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from infoplane.analysis.agreement import compare_estimators
from infoplane.analysis.calibration import Reading
from infoplane.plots.theme import colour, holoviews
from infoplane.types import NATS_TO_BITS


def agreement(ds: xr.Dataset, *, target: str = "X") -> Any:
    """Draw the rank correlation of the trajectories of every two estimators, layer by layer."""
    hv = holoviews()
    cells = [
        (layer, f"{pair.first} · {pair.second}", rho)
        for pair in compare_estimators(ds)
        if pair.target == target
        for layer, rho in pair.direction.items()
    ]
    label = "I(X;T)" if target == "X" else "I(T;Y)"
    drawn = hv.HeatMap(cells, ["layer", "estimators"], "rank correlation")
    return drawn.opts(
        width=640, height=280, cmap="RdBu", clim=(-1, 1), colorbar=True, tools=["hover"],
        title=f"Do the estimators agree on {label}, as each measures it?",
    )  # fmt: skip


def calibration(readings: Sequence[Reading]) -> Any:
    """Draw what each estimator reads against what is true, in bits, with the spread over twins."""
    hv = holoviews()
    known = [reading for reading in readings if reading.mean is not None]
    top = max([reading.truth for reading in known], default=1.0) * NATS_TO_BITS
    parts = [hv.Curve([(0.0, 0.0), (top, top)], "true MI [bits]", "read MI [bits]", label="exact")]
    parts[0].opts(color="#6b7280", line_dash="dashed")
    for i, name in enumerate(dict.fromkeys(reading.estimator for reading in known)):
        rows = np.array(
            [
                (reading.truth, reading.mean, reading.spread)
                for reading in known
                if reading.estimator == name
            ],
            dtype=float,
        )
        rows = rows[np.argsort(rows[:, 0])] * NATS_TO_BITS
        parts.append(
            hv.Curve(rows[:, :2], "true MI [bits]", "read MI [bits]", label=name).opts(
                color=colour(i)
            )
        )
        bars = hv.ErrorBars(rows, "true MI [bits]", ["read MI [bits]", "spread"])
        parts.append(bars.opts(color=colour(i)))
    return hv.Overlay(parts).opts(
        hv.opts.Overlay(
            width=560, height=420, legend_position="right", show_grid=True,
            title="Calibration on twins of this layer",
        )
    )  # fmt: skip
