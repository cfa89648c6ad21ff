"""The reading in one paragraph, for somebody who sees the information plane for the first time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import xarray as xr

from infoplane.analysis.agreement import compare_estimators
from infoplane.analysis.case import bits
from infoplane.analysis.layer_reading import Compression, Fitting, compression, fitting
from infoplane.analysis.reading import (
    contradiction,
    count_of,
    dead_clause,
    geometry,
    meaning,
    most_usable,
    names_of,
    nothing_measured,
    other_probe_sets,
    says_compressed,
    when,
)
from infoplane.analysis.trajectory import trajectories

if TYPE_CHECKING:
    from infoplane.store import Run


def conclusion(source: Run | xr.Dataset, *, estimator: str | None = None) -> str:
    """Say the same in one paragraph for somebody who sees the information plane for the first time.

    For each layer: fitted by when, compressed by how much or not, and the verdict.
    """
    ds = source if isinstance(source, xr.Dataset) else trajectories(source)
    if nothing_measured(ds):
        return nothing_measured(ds)
    chosen = estimator or most_usable(ds)
    layers = _in_short(ds, chosen)
    sentences = [
        f"In plain words, from {count_of(ds.sizes['step'], 'snapshot')} of "
        f"{count_of(int(ds.attrs.get('n', 0)), 'sample')} read with {chosen}:",
        *layers,
        meaning(chosen, " ".join(layers)),
        _sentence(geometry(ds, chosen)) if says_compressed(" ".join(layers)) else "",
        contradiction(ds, chosen),
        "" if isinstance(source, xr.Dataset) else other_probe_sets(source, ds, chosen),
        _short_agreement(ds, chosen),
        "This is one run: nothing is said about other seeds.",
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _sentence(clause: str) -> str:
    return f"{clause[:1].upper()}{clause[1:]}." if clause else ""


def _in_short(ds: xr.Dataset, estimator: str) -> list[str]:
    """Return one sentence for the layers that can be read and one for each reason they cannot."""
    read: list[str] = []
    unread: dict[str, list[str]] = {}
    for layer in map(str, ds["layer"].values):
        fit, squeeze = fitting(ds, layer, estimator), compression(ds, layer, estimator)
        if dead_clause(fit, squeeze):
            unread.setdefault("dead: no unit changes from sample to sample", []).append(layer)
        elif {fit.kind, squeeze.kind} <= {"unreadable", "absent"}:
            why = dict.fromkeys(c.judged.against for c in (fit, squeeze) if c.judged.against)
            reason = f"unreadable (verdict not usable): {', and '.join(why)}"
            unread.setdefault(reason, []).append(layer)
        else:
            read.append(f"{layer} {_briefly(ds, fit, squeeze)}")
    sentences = [f"{'; '.join(read)}."] if read else []
    for reason, layers in unread.items():
        sentences.append(f"{names_of(layers)} {'are' if len(layers) > 1 else 'is'} {reason}.")
    return sentences


def _briefly(ds: xr.Dataset, fit: Fitting, squeeze: Compression) -> str:
    """Say of one layer what it tells about the labels, whether it compresses, and the verdicts."""
    about = {
        "absent": "",
        "fitted": f"had fitted by {when(ds, fit.step, short=True)}"
        f"{', at the end of the run,' if fit.late else ''}",
        "nothing": "shows no dependence on the labels",
        "little": f"tells at most {bits(fit.peak)} about the labels",
        "crowded": "tells hardly more about the labels than about shuffled ones",
        "unreadable": f"cannot be read about the labels, because {fit.judged.against},",
    }
    inputs = {
        "absent": "",
        "rises": "was not compressed",
        "flat": "was not seen to compress",
        "few": "has too few usable steps to look for compression",
        "clipped": "cannot be said to compress, because many values lie beyond the bins",
        "unreadable": f"cannot be read about the inputs, because {squeeze.judged.against}",
    }
    if squeeze.fall is not None:
        amount, back = bits(squeeze.fall.amount), bits(squeeze.again)
        start = when(ds, squeeze.fall.onset, short=True)
        kept = f", of which {back} came back" if squeeze.again else ""
        inputs["falls"] = f"was compressed by {amount} from {start} on{kept}"
        inputs["dips"] = (
            f"lost {amount} from {start} on but regained {back}, so it was not compressed"
        )
    said = [about[fit.kind], inputs[squeeze.kind]]
    return f"{' and '.join(filter(None, said))}{_verdicts(fit, squeeze)}"


def _verdicts(fit: Fitting, squeeze: Compression) -> str:
    """Return the verdicts on what was said of the labels and of the inputs, in brackets."""
    labels = {"fitted": fit.support, "little": fit.judged, "crowded": fit.judged}.get(fit.kind)
    inputs = squeeze.judged if squeeze.kind not in ("absent", "unreadable") else None
    inputs = squeeze.support if squeeze.fall is not None else inputs
    told = [
        (counts.word, counts.why, about)
        for counts, about in ((labels, "the labels"), (inputs, "the inputs"))
        if counts is not None
    ]
    if len({(word, why) for word, why, _ in told}) == 1:
        word, why, _ = told[0]
        return f" (verdict {word}{' because ' + why if why else ''})"
    each = ", ".join(f"{w} on {about}{' because ' + why if why else ''}" for w, why, about in told)
    return f" (verdict {each})" if each else ""


def _short_agreement(ds: xr.Dataset, estimator: str) -> str:
    """Say which other estimators see I(X;T) rise and fall at the same steps."""
    agree: list[str] = []
    differ: list[str] = []
    for pair in compare_estimators(ds):
        if pair.target == "X" and estimator in (pair.first, pair.second) and pair.mean is not None:
            other = pair.second if pair.first == estimator else pair.first
            (agree if pair.agrees else differ).append(f"{other} ({pair.mean:.2f})")
    if not agree and not differ:
        return ""
    parts = []
    if agree:
        parts.append(f"{' and '.join(agree)} {'see' if len(agree) > 1 else 'sees'} much the same")
    if differ:
        parts.append(f"{' and '.join(differ)} {'do' if len(differ) > 1 else 'does'} not")
    return (
        f"Whether the same rises and falls show with other estimators: {', '.join(parts)} (in "
        "brackets the rank correlation of the curves)."
    )
