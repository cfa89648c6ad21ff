"""What a run gives cause to look at: alerts from its measurements, scalars and events.

Each rule says what was seen, where, and why it matters; none of them reads activations.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from infoplane.store import Run
from infoplane.types import Measurement, Quantity

LEVELS = ("ERROR", "WARN", "INFO")
KIND = "alert"
"""Under which alerts are kept in a run."""

_GAP = 0.1  # accuracy on train above test from which a network is said to memorise
_NEAR = 0.97  # share of log n at which an estimate of I(X;T) says nothing but n
_COLLAPSED = 1.5  # effective rank below which a layer has one direction left
_FALLEN = 0.25  # and share of its own largest value
_APART = 0.2  # difference of train and test I(T;Y), in shares of H(Y)


@dataclass(frozen=True, slots=True)
class Alert:
    """One finding: how grave, which kind, where, and a sentence in plain words."""

    level: str
    kind: str
    words: str
    layer: str = ""
    step: int | None = None


def alerts(run: Run) -> list[Alert]:
    """Return what there is to say about a run, gravest first."""
    rows, scalars, entropy = run.measurements(), run.scalars(), run.label_entropy()
    found = [
        *not_finite(scalars),
        *memorising(scalars),
        *dead(rows),
        *saturated(rows),
        *collapsed(rows),
        *apart(rows, entropy),
        *failed(rows),
        *lost(run.events()),
    ]
    return sorted(found, key=lambda alert: LEVELS.index(alert.level))


def keep(run: Run, found: Iterable[Alert]) -> int:
    """Write the alerts that a run does not hold yet into it; return how many those were."""
    known = [dict(note) for note in run.annotations(KIND)]
    new = [asdict(alert) for alert in found if asdict(alert) not in known]
    if new:
        with run.annotator() as annotator:
            for alert in new:
                annotator.annotate(KIND, alert)
        run.refresh()
    return len(new)


def not_finite(scalars: Mapping[str, Mapping[int, float]]) -> Iterator[Alert]:
    """Find scalars that became NaN or infinite."""
    for name, values in scalars.items():
        step = next((step for step, value in values.items() if not math.isfinite(value)), None)
        if step is not None:
            words = f"{name} is not a finite number from step {step:,} on; the training diverged."
            yield Alert("ERROR", "diverged", words, step=step)


def memorising(scalars: Mapping[str, Mapping[int, float]]) -> Iterator[Alert]:
    """Compare accuracy on the train and the test part, where both were recorded."""
    pairs = (("accuracy", "test_accuracy"), ("train_accuracy", "test_accuracy"))
    for ours, theirs in pairs:
        shared = scalars.get(ours, {}).keys() & scalars.get(theirs, {}).keys()
        if not shared:
            continue
        step = max(shared)
        train, test = scalars[ours][step], scalars[theirs][step]
        if train - test > _GAP:
            words = f"Accuracy is {train:.3f} in training and {test:.3f} on the test part."
            yield Alert("WARN", "memorising", words, step=step)


def dead(rows: Sequence[Measurement]) -> Iterator[Alert]:
    """Find layers that are constant, or of which half the units are."""
    for row in _newest(rows):
        if "constant" in row.flags:
            words = "The layer has the same value for every sample: nothing passes it."
            yield Alert("ERROR", "dead layer", words, row.layer, row.step)
        elif 2 * _count(row.flags.value("dead")) >= max(row.d, 1):
            words = f"{row.flags.value('dead')} of {row.d} units have one value on all samples."
            yield Alert("WARN", "dead units", words, row.layer, row.step)


def saturated(rows: Sequence[Measurement]) -> Iterator[Alert]:
    """Find layers whose I(X;T) is at log n under every estimator that was used."""
    newest = [row for row in _newest(rows, each_estimator=True) if row.target == "X"]
    for layer in dict.fromkeys(row.layer for row in newest):
        mine = [row for row in newest if row.layer == layer and row.value is not None]
        ceilings = [(row.value, row.ceiling) for row in mine if row.ceiling]
        if mine and len(ceilings) == len(mine) and all(v >= _NEAR * c for v, c in ceilings if v):
            words = (
                "I(X;T) is at its ceiling under every estimator used: the number says how many "
                "samples there are, not what the layer keeps."
            )
            yield Alert("INFO", "saturated", words, layer, mine[0].step)


def collapsed(rows: Sequence[Measurement]) -> Iterator[Alert]:
    """Find layers whose effective rank has fallen to about one direction."""
    ranks = [r for r in rows if r.estimator == "rank.effective" and r.value is not None]
    for layer in dict.fromkeys(row.layer for row in ranks):
        values = [(r.step, r.value) for r in ranks if r.layer == layer and r.value is not None]
        step, last = max(values)
        top = max(value for _, value in values)
        if last < _COLLAPSED and last < _FALLEN * top:
            words = f"Its effective rank fell from {top:.1f} to {last:.1f}."
            yield Alert("WARN", "collapse", words, layer, step)


def apart(rows: Sequence[Measurement], entropy: float | None) -> Iterator[Alert]:
    """Compare I(T;Y) on the probe sets ``train`` and ``test``, where both were watched."""
    newest = {
        (row.layer, row.estimator, row.probe): row
        for row in _newest(rows, each_estimator=True)
        if row.target == "Y" and row.value is not None
    }
    for (layer, estimator, probe), row in newest.items():
        test = newest.get((layer, estimator, "test"))
        if probe != "train" or test is None or not entropy:
            continue
        share = ((row.value or 0.0) - (test.value or 0.0)) / entropy
        if share > _APART:
            words = f"I(T;Y) on train exceeds test by {100 * share:.0f} % of H(Y) ({estimator})."
            yield Alert("WARN", "planes diverge", words, layer, row.step)


def failed(rows: Sequence[Measurement]) -> Iterator[Alert]:
    """Count the estimates that gave no value, one alert for each estimator and reason."""
    reasons: dict[tuple[str, str], int] = {}
    for row in rows:
        if row.value is None:
            place = (row.estimator, row.note or row.reason)
            reasons[place] = reasons.get(place, 0) + 1
    for (estimator, note), count in reasons.items():
        words = f"{estimator} gave no value {count:,} times: {note or 'no reason was kept'}"
        yield Alert("INFO", "no value", words)


def lost(events: Sequence[Mapping[str, Any]]) -> Iterator[Alert]:
    """Tell of snapshots that were dropped and of faults in the capture."""
    dropped = sum(event["event"] == "dropped" for event in events)
    if dropped:
        words = f"{dropped:,} snapshots were dropped: what takes them was slower than the schedule."
        yield Alert("WARN", "dropped", words)
    replaced = [event["detail"] for event in events if event["event"] == "worker replaced"]
    if replaced:
        why = replaced[-1].get("why", "no reason was kept")
        words = f"The online worker was replaced {len(replaced):,} times; last: {why}"
        yield Alert("WARN", "worker", words)
    faults = [event for event in events if event["event"] == "fault"]
    if faults:
        detail = faults[-1]["detail"]
        about = detail.get("error") or detail.get("what") or "see the run's events"
        counts = [event["detail"].get("faults") for event in events if event["event"] == "cost"]
        count = max([len(faults), *(n for n in counts if isinstance(n, int))])  # one event a place
        word = "fault" if count == 1 else "faults"
        yield Alert("ERROR", "capture", f"{count:,} {word} while capturing; last kind: {about}")


def _newest(rows: Sequence[Measurement], *, each_estimator: bool = False) -> list[Measurement]:
    """Return the newest row of each layer and probe (of each estimator and target, if asked)."""
    newest: dict[tuple[str, ...], Measurement] = {}
    for row in rows:
        if row.quantity == Quantity.MI:
            key = (row.layer, row.probe)
            place = (*key, row.estimator, row.target) if each_estimator else key
            if place not in newest or newest[place].step <= row.step:
                newest[place] = row
    return list(newest.values())


def _count(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else 0
