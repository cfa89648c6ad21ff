"""Runs that differ in one setting: gathered, averaged over their replicates, laid side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
import xarray as xr

from infoplane.types import NATS_TO_BITS, FloatArray
from infoplane.views.text import plain

POINTS = 120  # of a mean curve, log-spaced
PATH = 60  # of a mean path in the plane
SINGLE, ALL = "run", "settings"
"""Instead of one setting: each run in a cell of its own, or each combination of settings."""

Told = tuple[xr.Dataset, Mapping[str, Any]]
"""A run as it is compared: its trajectories and its settings."""


def settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a run by name, those of its task among them."""
    inner = {
        k: v for value in config.values() if isinstance(value, Mapping) for k, v in value.items()
    }
    return {k: v for k, v in config.items() if not isinstance(v, Mapping)} | inner


def varying(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the settings that are not the same in all runs."""
    names = dict.fromkeys(name for config in configs for name in config)
    return [name for name in names if len({str(config.get(name)) for config in configs}) > 1]


def besides_seed(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the settings that differ, without the seed: what makes runs more than replicates."""
    return [name for name in varying(configs) if name != "seed"]


def telling(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return as few settings as tell the combinations apart, those that come first in a recipe."""
    names = besides_seed(configs)

    def combinations(of: Sequence[str]) -> int:
        return len({tuple(str(config.get(name)) for name in of) for config in configs})

    for name in reversed(names.copy()):
        others = [kept for kept in names if kept != name]
        if others and combinations(others) == combinations(names):
            names = others
    return names


def gathered(sets: Sequence[Told], key: str) -> dict[str, list[xr.Dataset]]:
    """Return the runs by what a cell is titled: the value of a setting, their name, or nothing."""
    cells: dict[str, list[xr.Dataset]] = {}
    keys = [key] if key else []
    if key == ALL:
        keys = telling([config for _, config in sets])
    for i, (ds, config) in enumerate(sets):
        title = "all chosen runs"
        if key == SINGLE:
            title = plain(ds.attrs.get("run", ""), 80) or f"run {i + 1}"
            while title in cells:
                title += " ′"
        elif keys:
            # of a combination, what another task alone has says nothing here
            told = [name for name in keys if key != ALL or config.get(name) is not None]
            title = plain(" · ".join(_named(name, config.get(name)) for name in told), 80)
        cells.setdefault(title, []).append(ds)
    return dict(sorted(_of_one_depth(cells).items(), key=lambda cell: _natural(cell[0])))


def _of_one_depth(cells: Mapping[str, list[xr.Dataset]]) -> dict[str, list[xr.Dataset]]:
    """Split cells whose networks differ in depth: the third layers of 3 and of 30 are no pair."""
    split: dict[str, list[xr.Dataset]] = {}
    for title, members in cells.items():
        depths = sorted({ds.sizes["layer"] for ds in members})
        for depth in depths:
            words = [title or "settings not recorded"]
            words += [f"{depth} layer{'s' if depth > 1 else ''}"] if len(depths) > 1 else []
            split[" · ".join(words)] = [ds for ds in members if ds.sizes["layer"] == depth]
    return split


def groups(sets: Sequence[Told], estimator: str, key: str) -> list[dict[str, Any]]:
    """Tell each cell in bits: layer by layer the curves over steps and the path in the plane."""
    cells = gathered(sets, key)
    configs = {id(ds): config for ds, config in sets}
    mixed = {
        title: besides_seed([configs[id(ds)] for ds in members]) for title, members in cells.items()
    }
    return [
        {
            "title": title,
            "runs": len(members),
            "differ": mixed[title],
            "h_y": max(map(_label_entropy, members)),
            "layers": [
                {"label": f"T{i + 1}", "X": bundle(members, estimator, "X", i),
                 "Y": bundle(members, estimator, "Y", i), "plane": path(members, estimator, i)}
                for i in range(max(ds.sizes["layer"] for ds in members))
            ],
        }
        for title, members in cells.items()
    ]  # fmt: skip


def bundle(members: Sequence[xr.Dataset], estimator: str, target: str, i: int) -> dict[str, Any]:
    """Return the curves of one layer in bits: each run's, and mean and range on common steps."""
    found = (curve(ds, estimator, target, i) for ds in members if i < ds.sizes["layer"])
    curves = [(steps, values) for steps, values in found if len(steps)]
    if not curves:
        return {"each": [], "x": [], "mean": [], "low": [], "high": []}
    steps = common_steps([steps for steps, _ in curves], POINTS)
    rows = np.array([at_steps(steps, s, v) for s, v in curves])
    each = [{"x": s.tolist(), "y": v.round(4).tolist()} for s, v in curves]
    return {"each": each, "x": steps.tolist()} | _rounded(
        mean=rows.mean(axis=0), low=rows.min(axis=0), high=rows.max(axis=0)
    )


def path(members: Sequence[xr.Dataset], estimator: str, i: int) -> dict[str, Any]:
    """Return one layer's way through the plane in bits: mean, range in both directions, each run.

    ``rx`` and ``ry`` are half the range over runs around its middle (``x``, ``y`` are the means).
    """
    pairs = [
        tuple(curve(ds, estimator, target, i) for target in "XY")
        for ds in members
        if i < ds.sizes["layer"]
    ]
    pairs = [pair for pair in pairs if all(len(steps) for steps, _ in pair)]
    if not pairs:
        return {"step": [], "x": [], "y": [], "each": []}
    steps = common_steps([steps for pair in pairs for steps, _ in pair], PATH)
    rows = np.array([[at_steps(steps, s, v) for s, v in pair] for pair in pairs])  # (run, 2, step)
    x, y = rows.mean(axis=0)
    low, high = rows.min(axis=0), rows.max(axis=0)
    (mid_x, mid_y), (rx, ry) = (low + high) / 2, (high - low) / 2
    each = [_rounded(x=run[0], y=run[1]) for run in rows] if len(rows) > 1 else []
    return {"step": steps.tolist(), "each": each} | _rounded(
        x=x, y=y, mid_x=mid_x, mid_y=mid_y, rx=rx, ry=ry
    )


def curve(ds: xr.Dataset, estimator: str, target: str, i: int) -> tuple[FloatArray, FloatArray]:
    """Return the points of one layer that have a value, as (steps, bits)."""
    names = {name: list(ds.variables[name].values) for name in ("estimator", "target")}
    if target not in names["target"] or estimator not in names["estimator"]:
        return np.empty(0), np.empty(0)
    at = names["estimator"].index(estimator), names["target"].index(target)
    # by position: label look-ups take a millisecond each, and a page asks for hundreds
    mi = ds.variables["mi"].values[:, i, at[0], at[1]]
    values = np.asarray(mi, dtype=np.float64) * NATS_TO_BITS
    good = np.isfinite(values)
    return np.asarray(ds.variables["step"].values, dtype=np.float64)[good], values[good]


def common_steps(of_each: Sequence[FloatArray], most: int) -> FloatArray:
    """Return log-spaced steps from where all runs have begun to where the first of them ends."""
    first, last = max(s[0] for s in of_each), min(s[-1] for s in of_each)
    return np.unique(np.geomspace(first + 1, max(last, first) + 1, most).round() - 1)


def at_steps(steps: FloatArray, known: FloatArray, values: FloatArray) -> FloatArray:
    """Read a curve off at some steps, straight between its points on a log axis."""
    return np.interp(np.log1p(steps), np.log1p(known), values)


def _label_entropy(ds: xr.Dataset) -> float:
    value = ds.attrs.get("h_y")
    return float(value) * NATS_TO_BITS if isinstance(value, float) and np.isfinite(value) else 0.0


def _rounded(**curves: FloatArray) -> dict[str, list[float]]:
    return {name: values.round(4).tolist() for name, values in curves.items()}


def _named(name: str, value: Any) -> str:
    """Write a setting for a title: words speak for themselves, numbers need their name."""
    if isinstance(value, list | tuple):
        return "-".join(map(str, value))
    if value in (None, "none"):
        return f"no {name.replace('_', ' ')}"
    if isinstance(value, str):
        return PurePath(value).name or value  # of a file, its name
    return f"{name.replace('_', ' ')} {value}"


def _natural(title: str) -> tuple[list[tuple[int, float, str]], str]:
    """Order titles as people do: numbers by size."""

    def part(word: str) -> tuple[int, float, str]:
        try:
            return 0, float(word), ""
        except ValueError:
            return 1, 0.0, word

    return [part(word) for word in title.split()], title
