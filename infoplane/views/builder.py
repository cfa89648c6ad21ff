"""From a run's records to packed rows.

A :class:`FrameBuilder` is fed the run's measurements and scalars in whatever order they arrive
(workers finish out of order, I(X;T) and I(T;Y) of one layer come separately) and keeps one *cell*
per (probe, layer, estimator, log bin). What it hands out are *upserts*: packed rows that replace
the cell with the same key, so a reader that applies them in order always holds the newest state,
and a reader that comes late gets one row a cell. The open, newest cell of each series changes with
every snapshot and therefore travels in ``head``, not in the append-only log.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from infoplane.analysis.phases import Direction, find_phases
from infoplane.types import FloatArray, IntArray, Layer, Measurement, Quantity, Verdict
from infoplane.views import lod
from infoplane.views.cards import choice
from infoplane.views.cells import Box, Cell, Side
from infoplane.views.frame import (
    COLUMNS,
    EXACT_HEAD,
    SCALAR_COLUMNS,
    Cursor,
    Delta,
    EstimatorInfo,
    LayerInfo,
    Limit,
    Meta,
    Packed,
    Rows,
    Turn,
)
from infoplane.views.text import plain

Series: TypeAlias = tuple[int, int, int]
"""Places of probe, layer and estimator."""
Corner: TypeAlias = tuple[float, float]


class FrameBuilder:
    """Builds what a page shows of one run, record by record.

    Parameters
    ----------
    name : str
        Name of the run, as it is to be shown.
    subtitle : str
        One line about the run (task, widths, optimiser …).
    generation : int
        Which reading of the run this is: readers of another one drop what they hold.
    """

    def __init__(self, name: str = "", subtitle: str = "", *, generation: int = 0) -> None:
        self._name, self._subtitle = name, subtitle
        self._layers: list[LayerInfo] = []
        self._entropies: dict[str, tuple[int, float | None]] = {}  # probe → (n, H(Y))
        self._probes: list[str] = []
        self._estimators: list[EstimatorInfo] = []
        self._estimator_index: dict[tuple[str, int, str], int] = {}
        self._layer_index: dict[str, int] = {}  # by name as recorded
        self._refused: dict[str, str] = {}
        self._offered: dict[str, str] = {}
        self._scalar_names: list[str] = []
        self._texts: list[str] = []
        self._text_index: dict[str, int] = {}
        self._generation, self._meta_version = generation, 0
        self._turns: tuple[tuple[Turn, ...], ...] = ((), ())
        self._limits: tuple[Limit, ...] = ()
        self._series: dict[Series, dict[int, Cell]] = {}
        self._dirty: set[tuple[int, int, int, int]] = set()
        self._log: list[list[float]] = []
        self._scalar_bins: list[dict[int, Box]] = []
        self._scalar_dirty: set[tuple[int, int]] = set()
        self._scalar_log: list[list[float]] = []

    # -- feeding -----------------------------------------------------------------------------

    def describe(
        self,
        layers: Sequence[Layer] = (),
        *,
        name: str | None = None,
        subtitle: str | None = None,
    ) -> None:
        """Give the layer table (network order) and the words at the top of the page."""
        if layers:
            for layer in layers:
                if layer.name not in self._layer_index:
                    self._add_layer(layer.name, layer.kind, layer.width)
        self._name = self._name if name is None else name
        self._subtitle = self._subtitle if subtitle is None else subtitle
        self._meta_version += 1

    def add_probe(self, name: str, n: int, labels: NDArray[Any] | None = None) -> None:
        """Give a probe set's size and labels, from which the ceilings log n and H(Y) follow.

        ``labels`` None (or real-valued targets) leaves H(Y) unknown.
        """
        h_y = None
        if labels is not None and len(labels) and np.asarray(labels).dtype.kind in "biuUS":
            rows = np.asarray(labels).reshape(len(labels), -1)
            counts = np.unique(rows, axis=0, return_counts=True)[1] / len(rows)
            h_y = float(-(counts * np.log(counts)).sum())
        self._entropies[name] = (int(n), h_y)
        self._probe(name)
        self._meta_version += 1

    def offer(self, estimators: Mapping[str, str]) -> None:
        """Show estimators that cannot be chosen here, greyed out: id → reason in plain words."""
        self._offered.update(estimators)
        self._meta_version += 1

    def add(self, measurements: Iterable[Measurement]) -> None:
        """Take measurements in any order; a later one replaces an earlier one of the same place."""
        for m in measurements:
            if m.quantity != Quantity.MI or m.target not in ("X", "Y"):
                continue
            if m.value is None:
                self._refuse(m)
                continue
            series = (self._probe(m.probe), self._layer(m), self._estimator(m))
            at = lod.bin_at(m.step)
            cell = self._series.setdefault(series, {}).setdefault(at, Cell())
            cell.put(m.step, "XY".index(m.target), self._side(m))
            self._dirty.add((*series, at))

    def add_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        """Take the scalars recorded at a step."""
        at = lod.bin_at(step)
        for name, value in scalars.items():
            if not isinstance(value, (int, float)) or not math.isfinite(value):
                continue
            index = self._scalar(name)
            self._scalar_bins[index].setdefault(at, Box()).take(step, value)
            self._scalar_dirty.add((index, at))

    def add_history(self, name: str, steps: IntArray, values: FloatArray) -> None:
        """Take one scalar's whole past at once, by growing step, however long."""
        finite = np.isfinite(values)
        steps, numbers = steps[finite], values[finite]
        if not len(steps):
            return
        index = self._scalar(name)
        bins, starts, counts = np.unique(lod.bin_of(steps), return_index=True, return_counts=True)
        sums = np.add.reduceat(steps.astype(np.float64), starts), np.add.reduceat(numbers, starts)
        ends = np.minimum.reduceat(numbers, starts), np.maximum.reduceat(numbers, starts)
        last = starts + counts - 1
        newest = zip(steps[last].tolist(), numbers[last].tolist(), strict=True)
        summed = zip(*(c.tolist() for c in (counts, *sums, *ends)), strict=True)
        for at, totals, value in zip(bins.tolist(), summed, newest, strict=True):
            self._scalar_bins[index].setdefault(at, Box()).add(totals, value)
            self._scalar_dirty.add((index, at))

    def find_turns(self) -> bool:
        """Look where I(X;T) falls and I(T;Y) rises by more than noise; True when that has changed.

        A few milliseconds a series: call it when a run is opened and now and then while it grows.
        """
        falls = (self._turn(series, "x", "fall") for series in self._series)
        rises = (self._turn(series, "y", "rise") for series in self._series)
        before, self._turns = self._turns, (tuple(filter(None, falls)), tuple(filter(None, rises)))
        self._meta_version += before != self._turns
        return before != self._turns

    def limit(self, probe: str, x: Sequence[float], y: Sequence[float], corner: Corner) -> None:
        """Give the information-bottleneck bound of a probe set, in nats."""
        place, digits = self._probe(probe), 6
        curve = [tuple(round(v, digits) for v in values) for values in (x, y)]
        others = tuple(limit for limit in self._limits if limit.probe != place)
        self._limits = (*others, Limit(place, curve[0], curve[1], corner))
        self._meta_version += 1

    # -- reading -----------------------------------------------------------------------------

    @property
    def measured_steps(self) -> int:
        """Number of steps at which something was estimated."""
        cells = (cell for cells in self._series.values() for cell in cells.values())
        return len({step for cell in cells for step in cell.points})

    @property
    def last_step(self) -> int | None:
        """Newest step with a measurement or a scalar, None when there is nothing yet."""
        steps = [cells[max(cells)].last for cells in self._series.values() if cells]
        steps += [bins[max(bins)].last[0] for bins in self._scalar_bins if bins]
        return max(steps, default=None)

    def meta(self) -> Meta:
        """Return everything that is not a trajectory."""
        n, h_y = self._entropies.get(self._probes[0] if self._probes else "", (None, None))
        greyed = self._offered | self._refused
        measured = {info.id for info in self._estimators}
        grey = [choice(i, reason=why) for i, why in greyed.items() if i not in measured]
        return Meta(
            name=plain(self._name),
            subtitle=plain(self._subtitle),
            layers=tuple(self._layers),
            estimators=(*self._estimators, *grey),
            probes=tuple(map(plain, self._probes)) or ("probe",),
            scalars=tuple(map(plain, self._scalar_names)),
            n=n,
            log_n=math.log(n) if n else None,
            h_y=h_y,
            falls=self._turns[0],
            rises=self._turns[1],
            limits=self._limits,
        )

    def rows(self) -> Rows:
        """Return one row a cell: everything that is known, newest state only."""
        return Rows(
            _pack(
                (self._row(series, at) for series, cells in self._series.items() for at in cells),
                len(COLUMNS),
            )
        )

    def every_row(self) -> Rows:
        """Return one row a point, nothing pooled: what a report with all rows holds."""
        rows = []
        for series, cells in self._series.items():
            alone = (
                cells[at].alone(step) for at in sorted(cells) for step in sorted(cells[at].points)
            )
            rows += [[row[0], *series, i, *row[1:]] for i, row in enumerate(alone)]
        return Rows(_pack(rows, len(COLUMNS)))

    def head(self) -> Rows:
        """Return the newest cell of each series, and its exact newest point."""
        return Rows(_pack(self._head_rows(), len(COLUMNS)))

    def delta(self, since: Cursor | None = None) -> Delta:
        """Return what a reader with that cursor has to apply; everything when it has none."""
        self._flush()
        now = Cursor(
            self._generation,
            len(self._log),
            len(self._scalar_log),
            len(self._texts),
            self._meta_version,
        )
        reset = since is None or since.generation != self._generation
        if since is None or reset:
            closed = list(self._closed_rows())
            boxes = [
                self._scalar_row(index, at)
                for index, bins in enumerate(self._scalar_bins)
                for at in sorted(bins)[:-1]
            ]
            since = Cursor(self._generation, texts=since.texts if since else 0)
        else:
            closed, boxes = self._log[since.rows :], self._scalar_log[since.scalars :]
        return Delta(
            cursor=now,
            reset=reset,
            rows=Rows(_pack(closed, len(COLUMNS))),
            head=self.head(),
            scalars=_pack(boxes, len(SCALAR_COLUMNS)),
            scalar_head=_pack(self._scalar_heads(), len(SCALAR_COLUMNS)),
            texts=tuple(self._texts[since.texts :]),
            meta=self.meta() if since.meta != self._meta_version else None,
        )

    # -- inside ------------------------------------------------------------------------------

    def _turn(self, series: Series, side: Literal["x", "y"], direction: Direction) -> Turn | None:
        cells = self._series[series]
        rows = _pack((self._row(series, at) for at in sorted(cells)), len(COLUMNS))
        rows = rows[rows[:, COLUMNS.index(f"{side}_verdict")] < Verdict.NOT_USABLE]
        values = rows[:, COLUMNS.index(side)]
        turn = find_phases(rows[:, COLUMNS.index("step")], values).largest(direction)
        if turn is None:
            return None
        return Turn(*series, turn.onset, turn.end, turn.amount, turn.confidence)

    def _flush(self) -> None:
        """Move closed dirty cells into the append-only log; open ones stay dirty."""
        still = set()
        for *series, at in sorted(self._dirty):
            key = (series[0], series[1], series[2])
            if at == max(self._series[key]):
                still.add((*key, at))
            else:
                self._log.append(self._row(key, at))
        self._dirty = still
        open_bins = set()
        for index, at in sorted(self._scalar_dirty):
            if at == max(self._scalar_bins[index]):
                open_bins.add((index, at))
            else:
                self._scalar_log.append(self._scalar_row(index, at))
        self._scalar_dirty = open_bins

    def _closed_rows(self) -> Iterable[list[float]]:
        for series, cells in self._series.items():
            for at in sorted(cells)[:-1]:
                yield self._row(series, at)

    def _head_rows(self) -> Iterable[list[float]]:
        for series, cells in self._series.items():
            at = max(cells)
            yield self._row(series, at)
            yield self._row(series, at, exact=True)  # of one point too: frames keep their shape

    def _row(self, series: Series, at: int, *, exact: bool = False) -> list[float]:
        cell = self._series[series][at]
        step, count, band, *sides = cell.newest() if exact else cell.row()
        return [step, *series, EXACT_HEAD if exact else at, count, band, *sides]

    def _scalar_row(self, index: int, at: int) -> list[float]:
        return [index, at, *self._scalar_bins[index][at].pooled()]

    def _scalar_heads(self) -> Iterable[list[float]]:
        for index, bins in enumerate(self._scalar_bins):
            if bins:
                at = max(bins)
                yield self._scalar_row(index, at)
                step, value = bins[at].last
                yield [index, EXACT_HEAD, step, 1, value, value, value]

    def _side(self, m: Measurement) -> Side:
        said = m.verdict is not Verdict.OK or m.reason
        return Side.of(m, self._text(m.reason) if said else -1)

    def _text(self, text: str) -> int:
        if text not in self._text_index:
            words = plain(text, 400)
            self._text_index[text] = len(self._texts) if words else -1
            self._texts += [words] if words else []
        return self._text_index[text]

    def _probe(self, name: str) -> int:
        if name not in self._probes:
            self._probes.append(name)
            self._meta_version += 1
        return self._probes.index(name)

    def _layer(self, m: Measurement) -> int:
        if m.layer not in self._layer_index:
            self._add_layer(m.layer, "", m.d)
        return self._layer_index[m.layer]

    def _add_layer(self, name: str, kind: str, width: int) -> None:
        self._layer_index[name] = len(self._layers)
        label = f"T{len(self._layers) + 1}"
        self._layers.append(LayerInfo(label, plain(name), plain(kind), int(width)))
        self._meta_version += 1

    def _scalar(self, name: str) -> int:
        if name not in self._scalar_names:
            self._scalar_names.append(name)
            self._scalar_bins.append({})
            self._meta_version += 1
        return self._scalar_names.index(name)

    def _estimator(self, m: Measurement) -> int:
        key = (m.estimator, m.version, repr(m.params))
        if key not in self._estimator_index:
            self._estimator_index[key] = len(self._estimators)
            self._estimators.append(choice(m.estimator, m.params))
            self._meta_version += 1
        return self._estimator_index[key]

    def _refuse(self, m: Measurement) -> None:
        """Remember why an estimator gave no value; it is greyed unless it works elsewhere."""
        if m.estimator not in self._refused:
            self._refused[m.estimator] = m.note or m.reason or "it gave no value on this run"
            self._meta_version += 1


def _pack(rows: Iterable[Sequence[float]], width: int) -> Packed:
    packed = np.array(list(rows), dtype=np.float64).reshape(-1, width)
    with np.errstate(over="ignore"):
        return packed.astype(np.float32)
