"""The reading: what can and what cannot be concluded from a run, and the methods paragraph.

Every clause is made from a measurement, a phase, a null or a verdict of the Dataset; what the data
do not support is said not to be supported. Amounts in bits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from infoplane.analysis.agreement import compare_estimators
from infoplane.analysis.agreement import reading as read_agreement
from infoplane.analysis.calibration import Reading
from infoplane.analysis.case import bits
from infoplane.analysis.null import above
from infoplane.analysis.phases import fastest_loss_decrease, gradient_transition, phases_of
from infoplane.analysis.plan import DEFAULT
from infoplane.analysis.processing import violations
from infoplane.analysis.trajectory import label_of, trajectories
from infoplane.errors import UnknownEstimatorError
from infoplane.estimators import card
from infoplane.types import Measurement, Quantity, Status, Verdict

if TYPE_CHECKING:
    from infoplane.store import Run

FITTED = 0.9  # share of the largest I(T;Y) reached at which a layer counts as fitted
KNOWS = 0.5  # share of H(Y) that a layer must reach for the word "fitted"
GRADIENT = "gradient_snr"  # scalars of this name, or "gradient_snr/<layer>", are such ratios
CHANCE = 0.2  # share of steps above their 5 % null that chance alone hardly reaches
NEAR = 0.1  # difference in usable shares that does not decide between estimators


def findings(source: Run | xr.Dataset, *, estimator: str | None = None) -> str:
    """Say in plain words what the measurements of a run show and what they do not.

    Parameters
    ----------
    source
        A run, or its Dataset.
    estimator : str, optional
        Which estimator's trajectories are read layer by layer; by default the one with the most
        usable points (the first of those, as measured).

    Returns
    -------
    str
        Paragraphs: the run, the layers, what cannot be concluded, agreement of the estimators.
    """
    ds = source if isinstance(source, xr.Dataset) else trajectories(source)
    if not ds.sizes["step"]:
        return "Nothing has been measured on this run yet: run `infoplane evaluate` on it."
    if not ds.sizes["estimator"]:
        return "No mutual information has been measured on this run; nothing is said about it."
    chosen = estimator or most_usable(ds)
    parts = [_opening(ds, chosen), *_layers(ds, chosen), _cannot(ds, chosen)]
    if ds.sizes["estimator"] > 1:
        parts.append(read_agreement(compare_estimators(ds)))
    if not isinstance(source, xr.Dataset):
        parts.append(_calibrated(source, chosen))
    return "\n".join(part for part in parts if part)


def most_usable(ds: xr.Dataset) -> str:
    """Return the first estimator whose share of usable measurements is near the largest."""
    verdict = ds["verdict"].transpose("estimator", ...).values.reshape(ds.sizes["estimator"], -1)
    usable = np.isin(verdict, (0, 1)).sum(axis=1) / np.maximum((verdict >= 0).sum(axis=1), 1)
    names = [str(name) for name in ds["estimator"].values]
    # Among many, those that everybody asks for: others measure something else than bits of Shannon.
    usual = np.array([name.partition("(")[0] in DEFAULT for name in names])
    usable = np.where(usual, usable, -1.0) if usual.any() else usable
    return names[int(np.argmax(usable >= usable.max() - NEAR))]


def _opening(ds: xr.Dataset, estimator: str) -> str:
    steps = ds["step"].values
    text = (
        f"Read from {estimator} at {len(steps)} steps ({steps[0]} to {steps[-1]}), "
        f"{_plural(ds.attrs.get('n', 0), 'sample')}, amounts in bits."
    )
    fastest = fastest_loss_decrease(ds)
    if fastest is not None:
        text += f" The loss falls fastest around {_when(ds, fastest)}."
    return text + _gradients(ds)


def _gradients(ds: xr.Dataset) -> str:
    """Say from when on the gradient is more noise than signal, where gradients were recorded."""
    recorded = [str(name) for name in ds.data_vars if str(name).startswith(GRADIENT)]
    turned = {name: gradient_transition(ds, name) for name in recorded}
    clauses = [
        f"{name.removeprefix(GRADIENT).lstrip('/') or 'all'} from {_when(ds, step)} on"
        for name, step in turned.items()
        if step is not None
    ]
    if not recorded:
        return ""
    if not clauses:
        return " The gradient never falls for good below its own noise."
    return f" The gradient is more noise than signal in {', '.join(clauses)}."


def _layers(ds: xr.Dataset, estimator: str) -> list[str]:
    """Say what each layer does; neighbours of which the same is said share a line."""
    said = [
        (layer, _join([_fitting(ds, layer, estimator), _compression(ds, layer, estimator)]))
        for layer in map(str, ds["layer"].values)
    ]
    lines = []
    for text, group in groupby(said, key=lambda pair: pair[1]):
        names = [layer for layer, _ in group]
        shown = ", ".join(names) if len(names) < 4 else f"{names[0]} … {names[-1]} ({len(names)})"
        lines.append(f"{shown}: {text}.")
    return lines


def _join(clauses: Sequence[str]) -> str:
    return "; ".join(clause for clause in clauses if clause) or "not measured"


def _series(
    ds: xr.Dataset, name: str, layer: str, estimator: str, target: str
) -> np.ndarray[Any, Any] | None:
    if target not in ds["target"].values:
        return None
    at = {"layer": layer, "estimator": estimator, "target": target}
    values: np.ndarray[Any, Any] = ds[name].sel(at).values
    return values


def _fitting(ds: xr.Dataset, layer: str, estimator: str) -> str:
    """Say what the layer knows about Y: fitted by when, against its null."""
    value = _series(ds, "mi", layer, estimator, "Y")
    if value is None or not np.isfinite(value).any():
        return ""
    verdict = _series(ds, "verdict", layer, estimator, "Y")
    null = _series(ds, "mi_null", layer, estimator, "Y")
    assert verdict is not None
    assert null is not None
    usable = np.isfinite(value) & (verdict < 2)
    measured = int(np.isfinite(value).sum())
    if 2 * usable.sum() < measured:
        return (
            f"I(T;Y) cannot be read ({measured - usable.sum()} of {measured} points are not usable:"
            f" {_why(ds, layer, estimator, 'Y')})"
        )
    above = np.where(usable, value - np.nan_to_num(null), np.nan)
    last = int(np.flatnonzero(usable)[-1])
    detected = _detected(ds, layer, estimator)
    if detected[usable].mean() < CHANCE:
        return (
            f"no dependence on Y is detected at any step (I(T;Y) {bits(value[last])} at the end, "
            f"{bits(np.nan_to_num(null)[last])} with shuffled labels)"
        )
    peak = float(np.nanmax(above))
    reached = int(np.flatnonzero(usable & (above >= FITTED * peak))[0])
    share = _of_labels(ds)
    entropy = float(ds.attrs.get("h_y", np.nan))
    if peak < KNOWS * entropy:
        return (
            f"reads at most {bits(peak)} of I(T;Y) above its null{share.replace('of', 'where', 1)},"
            " too little to say when it fitted"
        )
    unusable = "" if usable.all() else f", from the {usable.sum()} usable steps of {len(usable)}"
    net = ", null taken off" if np.nan_to_num(null)[last] >= 0.01 else ""
    return (
        f"fitted by {_when(ds, int(ds['step'].values[reached]))} (90 % of its largest I(T;Y){net}"
        f"{unusable}), {bits(value[last])} at step {int(ds['step'].values[last])}{share}"
    )


def _detected(ds: xr.Dataset, layer: str, estimator: str) -> np.ndarray[Any, Any]:
    """Where the estimate is above its null; everywhere it was measured when no null was drawn."""
    p = _series(ds, "mi_null_p", layer, estimator, "Y")
    value = _series(ds, "mi", layer, estimator, "Y")
    assert p is not None
    assert value is not None
    if not np.isfinite(p).any():
        return np.asarray(np.isfinite(value))
    return np.asarray(above(p, int(ds.attrs.get("null_draws", 20))))


def _of_labels(ds: xr.Dataset) -> str:
    entropy = float(ds.attrs.get("h_y", np.nan))
    return f" of H(Y) = {bits(entropy)}" if np.isfinite(entropy) else ""


def _compression(ds: xr.Dataset, layer: str, estimator: str) -> str:
    """Say whether I(X;T) falls after a peak, by how much, or why nothing is said."""
    value = _series(ds, "mi", layer, estimator, "X")
    if value is None or not np.isfinite(value).any():
        return ""
    phases = phases_of(ds, layer, estimator, "X")
    if phases.refusal.startswith("not read"):
        return f"compression cannot be read ({phases.refusal.removeprefix('not read: ')})"
    fall = phases.largest("fall")
    if fall is not None:
        return (
            f"I(X;T) falls by {bits(fall.amount)} from {_when(ds, fall.onset)} on"
            f"{_onset_range(fall.onset_low, fall.onset_high)} (confidence {fall.confidence:.2f})"
        )
    rise = phases.largest("rise")
    if rise is not None:
        return f"no compression: I(X;T) rises by {bits(rise.amount)} and does not fall again"
    return f"no compression is concluded, {phases.refusal}"


def _onset_range(low: int, high: int) -> str:
    return f" (between steps {low} and {high})" if high > low else ""


def _when(ds: xr.Dataset, step: int) -> str:
    if "epoch" not in ds.coords:
        return f"step {step}"
    epoch = float(ds["epoch"].sel(step=step))
    return f"epoch {epoch:.0f} (step {step})" if np.isfinite(epoch) else f"step {step}"


def _why(ds: xr.Dataset, layer: str, estimator: str, target: str) -> str:
    reasons = _series(ds, "reason", layer, estimator, target)
    verdict = _series(ds, "verdict", layer, estimator, target)
    assert reasons is not None
    assert verdict is not None
    bad = [str(reason).partition(":")[0].partition(" at ")[0] for reason in reasons[verdict == 2]]
    return Counter(bad).most_common(1)[0][0] if bad else "no usable point"


def _cannot(ds: xr.Dataset, estimator: str) -> str:
    """Say what the numbers do not support."""
    clauses = []
    chosen = ds.sel(estimator=estimator)
    verdict = chosen["verdict"].values
    measured, bad = int((verdict >= 0).sum()), int((verdict == 2).sum())
    if bad:
        clauses.append(f"{bad} of {measured} measurements by {estimator} are not usable")
    measures = _measures(estimator)
    if measures and "X" in ds["target"].values:
        clauses.append(
            f"{estimator} measures {measures}; in a deterministic network a fall of it is a change "
            "of geometry at that resolution, and not by itself a loss of information about X"
        )
    broken = [violation for violation in violations(ds) if violation.estimator == estimator]
    if broken:
        clauses.append(
            f"{broken[0]}, which no true information does, so layers cannot be ranked by it there"
        )
    clauses.append(
        "this is one run, so nothing is said about other seeds; curves of single runs vary by bits"
    )
    return "What cannot be concluded: " + "; ".join(clauses) + "."


def _calibrated(run: Run, estimator: str) -> str:
    """Say how wrong the estimator was found to be on twins of a layer, when that was measured."""
    notes = [note.get("detail", note) for note in run.annotations("calibration")]
    if not notes:
        return ""
    note = notes[-1]
    found = [Reading(**r) for r in note["readings"] if r["estimator"] == estimator]
    known = [reading for reading in found if reading.bias is not None]
    if not known:
        return ""
    worst = max(known, key=lambda reading: abs(reading.bias or 0.0))
    return f"Calibration on twins of {note['layer']} (step {note['step']}): {worst}."


def _measures(estimator: str) -> str:
    try:
        return card(estimator.partition("(")[0]).measures
    except UnknownEstimatorError:
        return ""


def _plural(count: Any, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def methods(run: Run, *, probe: str | None = None) -> str:
    """Write the methods paragraph: everything a reviewer needs to redo the measurements."""
    ds = trajectories(run, probe=probe)
    rows = [row for row in run.measurements() if row.probe == ds.attrs["probe"]]
    parts = [_data(run, ds), _reductions(run)]
    settings: dict[str, list[Measurement]] = {}
    for row in rows:
        settings.setdefault(label_of(row.estimator, row.params), []).append(row)
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
        f"(run {run.name!r}, {run.uuid})."
    )


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
    params = ", ".join(f"{key} = {_value(value)}" for key, value in sorted(row.params.items()))
    text = f"{label} (version {row.version}"
    text += f"; {params})" if params else ")"
    measures = _measures(row.estimator)
    text += f" measures {measures}" if measures else ""
    reference = card(row.estimator).reference if measures else ""
    text += f" [{reference}]" if reference else ""
    targets = sorted({r.target for r in rows if r.target})
    text += f"; targets {', '.join(targets)}" if targets else ""
    covered = sorted({str(r.info["interval"]) for r in rows if "interval" in r.info})
    text += f"; intervals: {covered[0]}" if covered else ""
    draws = sorted({r.null.draws for r in rows if r.null is not None})
    shuffled = sorted({r.target for r in rows if r.null is not None})
    if draws:
        text += f"; null for {', '.join(shuffled)} from {_numbers(draws)} shuffled pairings"
    elif row.quantity == Quantity.MI:
        text += "; no null was drawn"
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
        "Estimates are in nats, shown in bits (÷ ln 2), raw and unclipped; phases are named at a "
        "family-wise level of 5 % per trajectory. "
        f"infoplane {ds.attrs['infoplane']}, numpy {np.__version__}, scipy {scipy.__version__}."
    )
