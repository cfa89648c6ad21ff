"""The reading: what can and what cannot be concluded from a run, in plain words.

Every clause is made from a measurement, a phase, a null or a verdict of the Dataset; what the data
do not support is said not to be supported. Amounts in bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from infoplane.analysis.agreement import compare_estimators
from infoplane.analysis.agreement import reading as read_agreement
from infoplane.analysis.calibration import Reading
from infoplane.analysis.case import bits
from infoplane.analysis.layer_reading import (
    Compression,
    Fitting,
    Judged,
    compression,
    fitting,
    of,
)
from infoplane.analysis.naming import quantities
from infoplane.analysis.phases import Phase, fastest_loss_decrease, gradient_transition
from infoplane.analysis.plan import DEFAULT
from infoplane.analysis.processing import violations
from infoplane.analysis.trajectory import trajectories

if TYPE_CHECKING:
    from infoplane.store import Run

GRADIENT = "gradient_snr"  # scalars of this name, or "gradient_snr/<layer>", are such ratios
NEAR = 0.1  # difference in usable shares that does not decide between estimators
ABOVE_CHANCE = (
    0.1  # accuracy over the share of the commonest class that shows that something is known
)
BLIND = {"absent", "unreadable", "crowded"}  # layers that say nothing either way
NOTHING = (
    "Nothing has been measured on this run yet: run `infoplane evaluate` on it.",
    "No mutual information has been measured on this run; nothing is said about it.",
)


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
    if nothing_measured(ds):
        return nothing_measured(ds)
    chosen = estimator or most_usable(ds)
    layers = _layers(ds, chosen)
    parts = [
        _opening(ds, chosen),
        *layers,
        meaning(chosen, " ".join(layers)),
        contradiction(ds, chosen),
    ]
    if not isinstance(source, xr.Dataset):
        parts.append(other_probe_sets(source, ds, chosen))
    parts.append(_cannot(ds, chosen))
    if ds.sizes["estimator"] > 1:
        parts.append(read_agreement(compare_estimators(ds)))
    if not isinstance(source, xr.Dataset):
        parts.append(_calibrated(source, chosen))
    return "\n".join(part for part in parts if part)


def meaning(estimator: str, told: str) -> str:
    """Say what "fitted" and "compressed" mean here, as far as these words were used."""
    across, up = quantities(estimator)
    parts = []
    if "fitted by" in told:
        parts.append(
            "has fitted when it first holds 90 % of the most that it ever tells about the labels "
            f"({up}, less what shuffled labels give)"
        )
    if says_compressed(told):
        parts.append(
            f"is compressed when {across}, how well its values tell the inputs apart, falls from a "
            "peak by more than noise explains and does not come back by half"
        )
    return f"A layer {', and '.join(parts)}." if parts else ""


def says_compressed(told: str) -> bool:
    """Whether a text says of some layer that it is compressed."""
    return "compressed: " in told.replace("not compressed", "") or "compressed by" in told


def geometry(ds: xr.Dataset, estimator: str) -> str:
    """Say what a fall of I(X;T) is not; nothing where X was not asked about."""
    if "X" not in ds["target"].values:
        return ""
    return (
        f"in a network without noise a fall of {quantities(estimator)[0]} is a change of geometry "
        "at this resolution, and not by itself a loss of information about X"
    )


def nothing_measured(ds: xr.Dataset) -> str:
    """Return the sentence for a run without information measured, "" for any other."""
    if not ds.sizes["step"]:
        return NOTHING[0]
    return "" if ds.sizes["estimator"] else NOTHING[1]


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
    steps, named = ds["step"].values, quantities(estimator)
    there = [name for name, target in zip(named, "XY", strict=True) if target in ds["target"]]
    span = f"steps ({steps[0]} to {steps[-1]})" if len(steps) > 1 else f"step ({steps[0]})"
    text = (
        f"Read with {estimator}, which measures {' and '.join(there) or 'nothing about X or Y'}, "
        f"at {len(steps)} {span} on {count_of(int(ds.attrs.get('n', 0)), 'sample')}, in bits"
    )
    entropy = float(ds.attrs.get("h_y", np.nan))
    text += f"; H(Y) = {bits(entropy)}." if np.isfinite(entropy) else "."
    fastest = fastest_loss_decrease(ds)
    if fastest is not None:
        text += f" On the log-step axis the loss falls fastest around {when(ds, fastest)}."
    return text + _gradients(ds)


def _gradients(ds: xr.Dataset) -> str:
    """Say from when on the gradient is more noise than signal, where gradients were recorded."""
    recorded = [str(name) for name in ds.data_vars if str(name).startswith(GRADIENT)]
    turned = {name: gradient_transition(ds, name) for name in recorded}
    clauses = [
        f"{name.removeprefix(GRADIENT).lstrip('/') or 'all'} from {when(ds, step)} on"
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
    across, up = quantities(estimator)
    said = []
    for layer in map(str, ds["layer"].values):
        fit, squeeze = fitting(ds, layer, estimator), compression(ds, layer, estimator)
        clauses = dead_clause(fit, squeeze) or [
            _fitting(ds, fit, up),
            _compression(ds, squeeze, across),
        ]
        said.append((layer, "; ".join(filter(None, clauses)) or "not measured"))
    return [
        f"{names_of([layer for layer, _ in group])}: {text}."
        for text, group in groupby(said, key=lambda pair: pair[1])
    ]


def names_of(layers: Sequence[str]) -> str:
    """Return ``"a"``, ``"a, b and c"``, or the ends of a longer list with its length.

    A module that has only its number for a name, as in ``nn.Sequential``, is "layer 3".
    """
    names = [f"layer {name}" if name.replace(".", "").isdigit() else name for name in layers]
    if len(names) < 4:
        return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    return f"{names[0]} … {names[-1]} ({len(names)})"


def dead_clause(fit: Fitting, squeeze: Compression) -> list[str]:
    """Say that a layer is dead, when it is at half of its steps or more; nothing otherwise."""
    counts = fit.judged if fit.judged.total else squeeze.judged
    if 2 * counts.constant < max(counts.total, 1) or fit.peak > 0.0:
        return []
    return [f"dead, all units are constant at {of(counts.constant, counts.total)}"]


def _fitting(ds: xr.Dataset, fit: Fitting, name: str) -> str:
    """Say what the layer tells about Y: fitted by when, against its null."""
    if fit.kind == "absent":
        return ""
    if fit.kind == "unreadable":
        return _unreadable(fit.judged, name)
    end = _end(ds, fit.last_step)
    if fit.kind == "crowded":
        return (
            f"{name} exceeds what shuffled labels give, {bits(fit.crowd)}, by {bits(fit.peak)} at "
            f"most, too little to say how much of it is about Y ({fit.judged.said()})"
        )
    if fit.kind == "nothing":
        null = f", {bits(fit.null)} with shuffled labels" if np.isfinite(fit.null) else ""
        return f"no dependence on Y is detected ({name} is {bits(fit.last)} {end}{null})"
    if fit.kind == "little":
        net = " above its null" if np.isfinite(fit.null) else ""
        return (
            f"{name} is at most {bits(fit.peak)}{net}, too little to say when the layer fitted "
            f"({fit.judged.said()})"
        )
    late = ", one of the last two usable steps" if fit.late else ""
    shuffled = fit.null > 0.05 * fit.last  # worth telling
    null = f" where shuffled labels give {bits(fit.null)}" if shuffled else ""
    verdict = fit.support.said("since")
    return f"fitted by {when(ds, fit.step)}{late}, {bits(fit.last)} {end}{null} ({verdict})"


def _compression(ds: xr.Dataset, squeeze: Compression, name: str) -> str:
    """Say whether I(X;T) falls after a peak, by how much, or why nothing is said."""
    if squeeze.kind == "absent":
        return ""
    if squeeze.kind == "unreadable":
        return _unreadable(squeeze.judged, name)
    if squeeze.kind == "few":
        return f"no phase of {name} is looked for, {squeeze.refusal}"
    if squeeze.fall is not None:
        fall = f"{bits(squeeze.fall.amount)} {_span(ds, squeeze.fall)}, {_p_value(squeeze.fall)}"
        again = f", and then rises by {bits(squeeze.again)}" if squeeze.again else ""
        head = {
            "falls": f"compressed: {name} falls by {fall}{again}",
            "dips": f"no lasting compression: {name} falls by {fall}{again}",
            "clipped": f"no compression is concluded: {name} falls by {fall}{again}, but values "
            "beyond the range of the bins make growth look like that",
        }[squeeze.kind]
        return f"{head} ({squeeze.support.said('of the fall')})"
    if squeeze.kind == "rises":
        return (
            f"not compressed: {name} rises by {bits(squeeze.rise)} and no fall follows "
            f"({squeeze.judged.said()})"
        )
    return f"no compression is concluded: {squeeze.refusal} ({squeeze.judged.said()})"


def _unreadable(counts: Judged, name: str) -> str:
    return (
        f"{name} cannot be read: {counts.against or 'its verdict is not usable'} at "
        f"{of(counts.unusable, counts.total)}"
    )


def _span(ds: xr.Dataset, fall: Phase) -> str:
    text = f"from {when(ds, fall.onset)} to {when(ds, fall.end)}"
    if fall.onset_high > fall.onset_low:
        text += f", the turn between steps {fall.onset_low} and {fall.onset_high}"
    return text


def _p_value(phase: Phase) -> str:
    p = 1.0 - phase.confidence
    return "p < 0.001" if p < 1e-3 else f"p = {p:.3f}"


def contradiction(ds: xr.Dataset, estimator: str) -> str:
    """Say so when the network knows its labels and no layer shows any dependence on Y."""
    if "accuracy" not in ds or "Y" not in ds["target"].values:
        return ""
    known = ds["accuracy"].values[np.isfinite(ds["accuracy"].values)]
    chance = float(ds.attrs.get("commonest", np.nan))
    kinds = {fitting(ds, str(layer), estimator).kind for layer in ds["layer"].values}
    if not len(known) or not known[-1] > chance + ABOVE_CHANCE or kinds - BLIND != {"nothing"}:
        return ""
    return (
        "No layer that can be read shows a dependence on Y, yet the recorded accuracy of "
        f"{known[-1]:.2f} is above the {chance:.2f} of the commonest class: either what the "
        "network has learned does not carry over to this probe set, or the rows of the probe set "
        "and its labels are not in the same order."
    )


def other_probe_sets(run: Run, ds: xr.Dataset, estimator: str) -> str:
    """Say which layers know Y on the first probe set and not on another one."""
    told = []
    for probe in run.probes:
        if probe == ds.attrs.get("probe"):
            continue
        other = trajectories(run, probe=probe)
        if estimator in other["estimator"] and "Y" in other["target"]:
            told.append(_carried_over(ds, other, estimator))
    return " ".join(filter(None, told))


def _carried_over(ds: xr.Dataset, other: xr.Dataset, estimator: str) -> str:
    both = [str(layer) for layer in ds["layer"].values if layer in other["layer"]]
    pairs = {name: (fitting(ds, name, estimator), fitting(other, name, estimator)) for name in both}
    known = {n: pair for n, pair in pairs.items() if pair[0].kind == "fitted"}
    here, there = ds.attrs["probe"], other.attrs["probe"]
    lost = [name for name, (_, second) in known.items() if second.kind == "nothing"]
    kept = {n: pair for n, pair in known.items() if pair[1].kind in ("fitted", "little")}
    text = ""
    if lost:
        text = (
            f"On the probe set {there!r} no dependence on Y is detected in {names_of(lost)}, so "
            f"nothing shows that what is known about the labels of {here!r} carries over."
        )
    if kept:
        name, (one, two) = list(kept.items())[-1]
        text += (
            f"{' ' if text else ''}At its last usable step {names_of([name])} holds "
            f"{bits(_net(one))} of "
            f"{quantities(estimator)[1]} above its null on {here!r} and {bits(_net(two))} on "
            f"{there!r}."
        )
    return text


def _net(fit: Fitting) -> float:
    return fit.last - (fit.null if np.isfinite(fit.null) else 0.0)


def _end(ds: xr.Dataset, step: int) -> str:
    return "at the end" if step == int(ds["step"].values[-1]) else f"at step {step}"


def when(ds: xr.Dataset, step: int, *, short: bool = False) -> str:
    """Return ``"epoch 26 (step 338)"``, or the step where no epochs were recorded."""
    if "epoch" not in ds.coords:
        return f"step {step}"
    epoch = float(ds["epoch"].sel(step=step))
    if not np.isfinite(epoch):
        return f"step {step}"
    number = f"{epoch:.0f}" if epoch >= 10 or epoch == round(epoch) else f"{epoch:.1f}"
    return f"epoch {number}" if short else f"epoch {number} (step {step})"


def _cannot(ds: xr.Dataset, estimator: str) -> str:
    """Say what the numbers do not support."""
    clauses = []
    chosen, up = ds.sel(estimator=estimator), quantities(estimator)[1]
    verdict = chosen["verdict"].values
    measured, bad = int((verdict >= 0).sum()), int((verdict == 2).sum())
    if bad:
        clauses.append(
            f"nothing is read from the {bad} of {measured} measurements by {estimator} that are "
            "not usable"
        )
    clauses += [caveat] if (caveat := geometry(ds, estimator)) else []
    if "Y" in ds["target"].values and not np.isfinite(chosen["mi_null"].sel(target="Y")).any():
        clauses.append(f"no null was drawn, so {up} may hold what shuffled labels give too")
    broken = [violation for violation in violations(ds) if violation.estimator == estimator]
    if broken:
        clauses.append(
            f"{broken[0]}, which along a chain of layers no information does, so these layers "
            "cannot be ranked by it"
        )
    clauses.append("this is one run, so nothing is said about other seeds")
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


def count_of(count: int, noun: str) -> str:
    """Return ``"1 sample"`` or ``"41 samples"``."""
    return f"{count} {noun}{'s' * (count != 1)}"
