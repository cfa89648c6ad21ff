"""The methods paragraph: everything a reviewer needs to redo the measurements of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from infoplane.analysis.case import bits
from infoplane.analysis.naming import measures
from infoplane.analysis.trajectory import label_of, trajectories
from infoplane.estimators import card
from infoplane.types import Measurement, Quantity, Status, Verdict

if TYPE_CHECKING:
    from infoplane.store import Run


def methods(run: Run, *, probe: str | None = None) -> str:
    """Write the methods paragraph: everything a reviewer needs to redo the measurements."""
    ds = trajectories(run, probe=probe)
    rows = [row for row in run.measurements() if row.probe == ds.attrs["probe"]]
    parts = [_data(run, ds), _reductions(run)]
    settings: dict[str, list[Measurement]] = {}
    for row in rows:
        settings.setdefault(label_of(row.estimator, row.params), []).append(row)
    if any("V" in measures(group[0].estimator) for group in settings.values()):
        parts.append("Below, V is the target that an estimator is asked about.")
    parts += [_estimator(label, group) for label, group in settings.items()]
    parts += [_verdicts(rows), _software(ds)]
    return " ".join(part for part in parts if part)


def _data(run: Run, ds: xr.Dataset) -> str:
    attrs = ds.attrs
    if "n" not in attrs:
        return f"Run {run.name!r} ({run.uuid}) has no stored probe set."
    if attrs["y"] == "class":
        labels = f"{attrs['classes']} classes, H(Y) = {bits(attrs['h_y'])}"
    else:
        labels = "real-valued targets" if attrs["y"] == "regression" else "no labels"
    steps = run.steps
    span = f", from step {steps[0]} to {steps[-1]}" if steps else ""
    return (
        f"Representations of {len(run.layers)} layers were recorded in evaluation mode on a fixed "
        f"probe set of n = {attrs['n']} samples ({labels}; log n = {bits(attrs['log_n'])}, "
        f"H(X) = {bits(attrs['h_x'])} over its distinct rows) at {len(steps)} steps{span} "
        f"(run {run.name!r}, {run.uuid}{_seed(run)})."
    )


def _seed(run: Run) -> str:
    seed = (run.config or {}).get("seed")
    return f", training seed {seed}" if isinstance(seed, int) else ""


def _reductions(run: Run) -> str:
    rows = [
        f"{layer.name} ({layer.kind}, {'×'.join(map(str, layer.shape)) or '1'} → d = {layer.width} "
        f"by {layer.reduce}, {layer.dtype})"
        for layer in run.layer_table
    ]
    return f"Layers: {', '.join(rows)}." if rows else ""


def _estimator(label: str, rows: Sequence[Measurement]) -> str:
    """Say what one estimator setting is, with all its parameters."""
    row = rows[0]
    given = {key: value for key, value in sorted(row.params.items()) if value is not None}
    params = ", ".join(f"{key} = {_value(value)}" for key, value in given.items())
    text = f"{label} (version {row.version}"
    text += f"; {params})" if params else ")"
    what = measures(row.estimator)
    text += f" measures {what}" if what else ""
    reference = card(row.estimator).reference if what else ""
    text += f" [{reference}]" if reference else ""
    targets = sorted({r.target for r in rows if r.target})
    text += f"; targets {', '.join(targets)}" if targets else ""
    covered = sorted({str(r.info["interval"]) for r in rows if "interval" in r.info})
    text += f"; intervals: {covered[0]}" if covered else ""
    draws = sorted({r.null.draws for r in rows if r.null is not None})
    shuffled = sorted({r.target for r in rows if r.null is not None})
    seeds = sorted({int(r.info["seed"]) for r in rows if "seed" in r.info})
    if draws:
        text += f"; null for {', '.join(shuffled)} from {_numbers(draws)} shuffled pairings"
    elif row.quantity == Quantity.MI:
        text += "; no null was drawn"
    text += f"; random streams from seed {_numbers(seeds)}" if seeds else ""
    return text + "."


def _numbers(values: Sequence[int]) -> str:
    return " or ".join(map(str, values))


def _value(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "(" + ", ".join(_value(item) for item in value) + ")"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _verdicts(rows: Sequence[Measurement]) -> str:
    if not rows:
        return "Nothing has been measured."
    counts = Counter(row.verdict for row in rows)
    failed = sum(row.status is Status.FAILED for row in rows)
    checks = Counter(name for row in rows for name in row.info.get("checks", ()))
    named = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in checks.most_common())
    text = (
        f"Of {len(rows)} measurements {counts[Verdict.OK]} are ok, {counts[Verdict.CAUTION]} call "
        f"for caution and {counts[Verdict.NOT_USABLE]} are not usable"
    )
    text += f" ({failed} without a value)" if failed else ""
    return text + (f"; checks that held: {named}." if named else ".")


def _software(ds: xr.Dataset) -> str:
    import scipy

    return (
        "Estimates are in nats, shown in bits (÷ ln 2), raw and unclipped. Rises and falls of a "
        "trajectory are named at a family-wise level of 5 % per trajectory, against flat curves "
        "with Gaussian noise of the size that neighbouring points show and, from 30 points, the "
        "wander about a smoother curve; noise correlated by more than 0.5 between snapshots, or at "
        "all with fewer points, can be named a phase. "
        f"Written with infoplane {ds.attrs['infoplane']}, numpy {np.__version__}, "
        f"scipy {scipy.__version__}."
    )
