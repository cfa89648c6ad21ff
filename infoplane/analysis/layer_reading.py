"""What the trajectories of one layer show: the facts behind the sentences of the reading.

Nothing is written here; :mod:`~infoplane.analysis.reading` puts the facts into words.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from infoplane.analysis.checks import BRIEFLY
from infoplane.analysis.null import above
from infoplane.analysis.phases import Phase, phases_of
from infoplane.types import FloatArray, Verdict

FITTED = 0.9  # share of the largest I(T;Y) reached at which a layer counts as fitted
KNOWS = 0.5  # share of H(Y) that a layer must reach for the word "fitted"
CROWDED = 0.25  # share of H(Y) in the null from which the excess over it is no information
LASTING = 0.5  # share of a fall that may come back afterwards before it is no compression
CHANCE = 0.2  # share of steps above their 5 % null that chance alone hardly reaches

Fitted = Literal["absent", "unreadable", "nothing", "crowded", "little", "fitted"]
Compressed = Literal["absent", "unreadable", "few", "falls", "dips", "clipped", "rises", "flat"]


@dataclass(frozen=True, slots=True)
class Judged:
    """How many measurements of a trajectory have which verdict, and the commonest reasons.

    ``against`` is why most of the unusable ones are not usable, ``doubt`` what most of those that
    call for caution are doubted for; in a few words, "" where there are none.
    """

    ok: int = 0
    caution: int = 0
    unusable: int = 0
    constant: int = 0
    against: str = ""
    doubt: str = ""

    @property
    def total(self) -> int:
        """Points with a verdict."""
        return self.ok + self.caution + self.unusable

    @property
    def readable(self) -> bool:
        """Whether at least half of the points can be used."""
        return self.total > 0 and 2 * self.unusable <= self.total

    @property
    def word(self) -> str:
        """The verdict of most usable points, ``"ok"`` or ``"caution"``; else ``"not usable"``."""
        if not self.readable:
            return "not usable"
        return "ok" if self.ok >= self.caution else "caution"

    @property
    def why(self) -> str:
        """The commonest reason for that verdict, "" for ok."""
        return {"ok": "", "caution": self.doubt, "not usable": self.against}[self.word]

    def said(self, which: str = "") -> str:
        """Return the verdict in words; ``which`` follows the steps: ``"since"``, ``"of it"``."""
        count = {"ok": self.ok, "caution": self.caution, "not usable": self.unusable}[self.word]
        text = f"verdict {self.word} at {of(count, self.total)}{which and ' ' + which}"
        text += f", chiefly because {self.why}" if self.why else ""
        if self.readable and self.unusable:
            text += f"; {self.unusable} not usable because {self.against}"
        return text


def of(count: int, total: int) -> str:
    """Return ``"9 of 41 steps"`` or ``"all 41 steps"``."""
    return f"all {total} steps" if count == total else f"{count} of {total} steps"


@dataclass(frozen=True, slots=True)
class Fitting:
    """What a layer tells about Y, in nats.

    ``judged`` counts all points, ``support`` those from ``step`` on.
    ``step`` is the first at which it has 90 % of its largest value above the null (medians of three
    neighbouring points), ``late`` says that this is one of the last two, ``peak`` that largest
    value and ``crowd`` the null there; ``last``, ``null`` and ``last_step`` are the last usable
    point, the mean of its null (NaN where none was drawn) and its step.
    """

    kind: Fitted
    judged: Judged = Judged()
    support: Judged = Judged()
    step: int = 0
    late: bool = False
    peak: float = 0.0
    crowd: float = 0.0
    last: float = 0.0
    null: float = float("nan")
    last_step: int = 0


@dataclass(frozen=True, slots=True)
class Compression:
    """Whether I(X;T) falls from a peak: the largest fall, what follows it, or why none is named.

    ``judged`` counts all points, ``support`` those of the fall where there is one.
    ``again`` is the amount in nats by which it rises directly after the fall, 0 when it does not.
    It "dips" when half of the fall or more comes back, and is "clipped" when values lie beyond the
    range of the bins at most steps of the fall, so that growth shows as a fall.
    """

    kind: Compressed
    judged: Judged = Judged()
    support: Judged = Judged()
    fall: Phase | None = None
    again: float = 0.0
    rise: float = 0.0
    refusal: str = ""


def series(ds: xr.Dataset, name: str, layer: str, estimator: str, target: str) -> NDArray[Any]:
    """Return one variable of one trajectory, (step,)."""
    at = {"layer": layer, "estimator": estimator, "target": target}
    return np.asarray(ds[name].sel(at).values)


def judged(
    ds: xr.Dataset,
    layer: str,
    estimator: str,
    target: str,
    *,
    first: int | None = None,
    last: int | None = None,
) -> Judged:
    """Count the verdicts of a trajectory, or of its steps from ``first`` to ``last``."""
    ds = ds.sel(step=slice(first, last))
    verdict = series(ds, "verdict", layer, estimator, target)
    checks = (
        series(ds, "checks", layer, estimator, target)
        if "checks" in ds
        else np.full(len(verdict), "", dtype=object)
    )
    named = [str(text).partition(", ")[0] for text in checks]
    bad, doubted = (verdict == v for v in (Verdict.NOT_USABLE, Verdict.CAUTION))
    return Judged(
        ok=int((verdict == Verdict.OK).sum()),
        caution=int(doubted.sum()),
        unusable=int(bad.sum()),
        constant=sum(name == "constant" for name in named),
        against=_commonest(named, bad),
        doubt=_commonest(named, doubted),
    )


def _commonest(names: list[str], where: NDArray[np.bool_]) -> str:
    counts = Counter(name for name, there in zip(names, where, strict=True) if there and name)
    return BRIEFLY.get(counts.most_common(1)[0][0], "") if counts else ""


def fitting(ds: xr.Dataset, layer: str, estimator: str) -> Fitting:
    """Return what a layer tells about Y: fitted by when, against its null."""
    if "Y" not in ds["target"].values:
        return Fitting("absent")
    value = np.asarray(series(ds, "mi", layer, estimator, "Y"), dtype=float)
    counts = judged(ds, layer, estimator, "Y")
    if not counts.total:
        return Fitting("absent")
    usable = np.isfinite(value) & (series(ds, "verdict", layer, estimator, "Y") < 2)
    if not counts.readable or not usable.any():
        return Fitting("unreadable", counts)
    null = np.asarray(series(ds, "mi_null", layer, estimator, "Y"), dtype=float)
    steps = ds["step"].values[usable]
    excess = _medians((value - np.nan_to_num(null))[usable])
    peak, at = float(excess.max()), int(np.argmax(excess >= FITTED * excess.max()))
    crowd = float(np.nan_to_num(null)[usable][int(excess.argmax())])
    entropy = float(ds.attrs.get("h_y", np.nan))
    kind: Fitted = "fitted"
    if _detected(ds, layer, estimator)[usable].mean() < CHANCE:
        kind = "nothing"
    elif peak < KNOWS * entropy:
        kind = "crowded" if crowd > CROWDED * entropy else "little"
    return Fitting(
        kind,
        counts,
        judged(ds, layer, estimator, "Y", first=int(steps[at])),
        step=int(steps[at]),
        late=at >= len(steps) - 2,
        peak=peak,
        crowd=crowd,
        last=float(value[usable][-1]),
        null=float(null[usable][-1]),
        last_step=int(steps[-1]),
    )


def _medians(curve: FloatArray) -> FloatArray:
    """Return running medians of three; the ends stay as they are."""
    if len(curve) < 3:
        return curve
    inner = np.median(np.stack([curve[:-2], curve[1:-1], curve[2:]]), axis=0)
    return np.concatenate([curve[:1], inner, curve[-1:]])


def _detected(ds: xr.Dataset, layer: str, estimator: str) -> NDArray[np.bool_]:
    """Where the estimate is above its null; everywhere when no null was drawn."""
    p = np.asarray(series(ds, "mi_null_p", layer, estimator, "Y"), dtype=float)
    if not np.isfinite(p).any():
        return np.ones(len(p), dtype=bool)
    return np.asarray(above(p, int(ds.attrs.get("null_draws", 20))))


def compression(ds: xr.Dataset, layer: str, estimator: str, *, spread: float = 0.0) -> Compression:
    """Return whether I(X;T) of a layer falls after a peak, by how much, or why nothing is said."""
    if "X" not in ds["target"].values:
        return Compression("absent")
    counts = judged(ds, layer, estimator, "X")
    if not counts.total:
        return Compression("absent")
    if not counts.readable:
        return Compression("unreadable", counts)
    phases = phases_of(ds, layer, estimator, "X", spread=spread)
    if phases.refusal.startswith("not read"):
        return Compression("few", counts, refusal=phases.refusal.removeprefix("not read: "))
    fall, rise = phases.largest("fall"), phases.largest("rise")
    if fall is not None:
        after = [phase for phase in phases.found if phase.onset >= fall.end]
        again = after[0].amount if after else 0.0
        kind: Compressed = "dips" if again > LASTING * fall.amount else "falls"
        if _clipped(ds, layer, estimator, fall):
            kind = "clipped"
        support = judged(ds, layer, estimator, "X", first=fall.onset, last=fall.end)
        return Compression(kind, counts, support, fall, again)
    if rise is not None:
        return Compression("rises", counts, rise=rise.amount)
    return Compression("flat", counts, refusal=phases.refusal.removeprefix("none found: "))


def _clipped(ds: xr.Dataset, layer: str, estimator: str, fall: Phase) -> bool:
    """Whether values lie beyond the range of the bins at most steps of a fall."""
    if "checks" not in ds:
        return False
    steps = ds["step"].values
    during = (steps >= fall.onset) & (steps <= fall.end)
    checks = series(ds, "checks", layer, estimator, "X")[during]
    return 2 * sum("outside_range" in str(text) for text in checks) > len(checks)
