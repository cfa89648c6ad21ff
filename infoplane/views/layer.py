"""What the Layer panel shows of one layer at one step: numbers for its five pictures.

Plain numpy on arrays that are read from the snapshot when asked for; no panel, no bokeh.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from infoplane.errors import InfoplaneError
from infoplane.store import Run
from infoplane.types import FloatArray, ProbeData

FIGURES = Markup("""<div class="figures">
<figure><figcaption>Activations over training<small>stronger = more often · blue = this step</small>
</figcaption><div data-figure="history"></div></figure>
<figure><figcaption>Spectrum<small>share of variance · blue = effective rank</small></figcaption>
<div data-figure="spectrum"></div></figure>
<figure><figcaption>Bin occupancy<small>units cut into 30 bins over the layer’s range</small>
</figcaption><div data-figure="cells"></div></figure>
<figure><figcaption>Classes<small>first two directions · name = class mean</small>
</figcaption><div data-figure="map"></div></figure></div>""")
"""Where ``layer.js`` draws its four pictures."""
BINS = 30  # cuts of each unit's range, as the binning estimators make them
SHADES = 40  # rows of the histogram over time
MOMENTS = 48  # columns of it, log-spaced over the run
_VALUES = 20_000  # values of a layer from which one histogram is made
_ROWS = 2_048  # samples from which spectrum and cells are taken
_UNITS = 512  # units of a wide layer that are looked at


def picture(
    run: Run, layer: str, step: int, probe: str | None = None, *, points: int = 400
) -> dict[str, Any]:
    """Describe T of one layer at one step.

    Parameters
    ----------
    run : Run
        Where the snapshot is.
    layer, step, probe
        Which one.
    points : int
        Samples drawn in the map of classes, at most.

    Returns
    -------
    dict
        ``facts`` (counts and shares), ``spectrum`` (share of the variance per direction, largest
        first), ``cells`` (samples in each occupied cell of the binned layer, largest first),
        ``map`` (2-D projection of samples and class means).

    Raises
    ------
    InfoplaneError
        If there is no such snapshot or it is damaged.
    """
    whole = np.asarray(run.load(step, layer, probe), dtype=np.float64)
    finite = np.asarray(np.isfinite(whole).all(axis=1))
    t = _thinned(whole[finite])
    labels = _labels(run.probe(probe), finite)
    facts = {"n": len(whole), "d": whole.shape[1], "step": step, "lost": int((~finite).sum())}
    if len(t) < 2:
        return {"facts": facts}
    share = spectrum(t)
    cells = occupancy(t)
    low, high = float(t.min()), float(t.max())
    near = 0.01 * (high - low)
    constant = t.max(axis=0) == t.min(axis=0)
    facts |= {
        "looked_at": list(t.shape),
        "dead": int(constant.sum()),
        "extreme": float(((t <= low + near) | (t >= high - near)).mean()) if high > low else 1.0,
        "low": low,
        "high": high,
        "rank": effective_rank(share),
        "cells": len(cells),
        "single": float((cells == 1).sum() / len(t)),
        "bins": BINS,
    }
    return {
        "facts": facts,
        "spectrum": share[:64].tolist(),
        "cells": cells[:64].tolist(),
        "map": _map(whole[finite], labels, points),
    }


def history(
    run: Run, layer: str, probe: str | None = None, *, moments: int = MOMENTS
) -> dict[str, Any]:
    """Histogram of a layer's activations at up to `moments` log-spaced steps of the run.

    Returns
    -------
    dict
        ``steps``, ``low``, ``high`` and ``density``: one list of shares a step, from low to high.
    """
    steps, found = log_spread(run.steps_of(probe), moments), []
    for step in steps:
        try:
            t = np.asarray(run.load(step, layer, probe)).reshape(-1)
        except InfoplaneError:  # thinned out or damaged: a gap, not an end
            continue
        t = t[:: -(-len(t) // _VALUES)].astype(np.float64)
        found.append((step, t[np.isfinite(t)]))
    found = [(step, t) for step, t in found if len(t)]
    if not found:
        return {"steps": [], "low": 0.0, "high": 0.0, "density": []}
    low = min(float(t.min()) for _, t in found)
    high = max(float(t.max()) for _, t in found)
    ends = (low, high) if high > low else (low - 0.5, high + 0.5)
    density = [(np.histogram(t, SHADES, ends)[0] / len(t)).round(4).tolist() for _, t in found]
    return {"steps": [s for s, _ in found], "low": ends[0], "high": ends[1], "density": density}


def spectrum(t: FloatArray) -> FloatArray:
    """Return the share of the variance in each principal direction, largest first."""
    centred = t - t.mean(axis=0)
    energy = np.linalg.svd(centred, compute_uv=False) ** 2
    total = energy.sum()
    return energy / total if total > 0 else energy


def effective_rank(share: FloatArray) -> float:
    """Return exp of the entropy of a spectrum: directions in use; 0 for a constant layer."""
    held = share[share > 0]
    return float(np.exp(-(held * np.log(held)).sum())) if len(held) else 0.0


def occupancy(t: FloatArray, bins: int = BINS) -> NDArray[np.int64]:
    """Count samples in each occupied cell, every unit cut into bins over the layer's range."""
    low, high = t.min(), t.max()
    scale = bins / (high - low) if high > low else 0.0
    codes = np.minimum((t - low) * scale, bins - 1).astype(np.uint8)
    counts = np.unique(codes, axis=0, return_counts=True)[1]
    return np.sort(counts)[::-1].astype(np.int64)


def log_spread(steps: Sequence[int], most: int) -> list[int]:
    """At most `most` of the steps, about equally far apart on a log scale; the ends always."""
    if len(steps) <= most:
        return list(steps)
    wanted = np.geomspace(steps[0] + 1, steps[-1] + 1, most) - 1
    places = np.searchsorted(steps, wanted).clip(0, len(steps) - 1)
    return [steps[i] for i in np.unique(places)]


def _thinned(t: FloatArray) -> FloatArray:
    rows, units = -(-len(t) // _ROWS) or 1, -(-t.shape[1] // _UNITS) or 1
    return t[::rows, ::units]


def _labels(probe: ProbeData, kept: NDArray[np.bool_]) -> NDArray[Any] | None:
    y = probe.y
    if y is None or probe.target != "class" or len(y) != len(kept):
        return None
    flat = np.asarray(y).reshape(len(y), -1)
    return flat[kept, 0] if flat.shape[1] == 1 else None


def _map(t: FloatArray, labels: NDArray[Any] | None, points: int) -> dict[str, Any]:
    """Project on the two directions of largest variance; class means are of all samples."""
    part = _thinned(t)
    centre = part.mean(axis=0)
    units = -(-t.shape[1] // _UNITS) or 1
    axes = np.linalg.svd(part - centre, full_matrices=False)[2][:2]
    flat = np.zeros((len(t), 2))
    flat[:, : len(axes)] = (t[:, ::units] - centre) @ axes.T
    some = slice(None, None, -(-len(flat) // points))
    drawn: dict[str, Any] = {
        "x": flat[some, 0].round(4).tolist(),
        "y": flat[some, 1].round(4).tolist(),
    }
    if labels is None:
        return drawn
    classes, codes = np.unique(labels, return_inverse=True)
    if len(classes) > 20:
        return drawn
    means = [flat[codes == c].mean(axis=0).round(4).tolist() for c in range(len(classes))]
    return drawn | {
        "label": codes[some].tolist(),
        "names": [str(name)[:24] for name in classes.tolist()],
        "means": means,
    }
