"""What a page shows of one run, as plain arrays and words: the nouns, no panel, no bokeh.

Trajectory points travel as *packed rows*: one float32 array a message, whose columns are named
here. :class:`~infoplane.views.builder.FrameBuilder` makes them, the controller reads them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Packed = NDArray[np.float32]

_SIDE = ("", "_low", "_high", "_null", "_null95", "_ceiling", "_verdict", "_reason")
COLUMNS: tuple[str, ...] = (
    *("step", "probe", "layer", "estimator", "bin", "count", "band"),
    *(f"x{part}" for part in _SIDE),
    *(f"y{part}" for part in _SIDE),
)
"""Columns of a packed row. Nats; NaN where nothing is known; verdict and reason are −1 then.

``band`` says what low … high is: 0 nothing, 1 the estimator's own interval, 2 the range of the
steps pooled in a log bin. ``bin`` is −1 for the exact newest point of a series whose bin is pooled.
"""
SCALAR_COLUMNS: tuple[str, ...] = ("name", "bin", "step", "count", "value", "low", "high")
EXACT_HEAD = -1


@dataclass(frozen=True, slots=True)
class LayerInfo:
    """One layer as the page names it: ``T1`` and its dotted name."""

    label: str
    name: str
    kind: str = ""
    width: int = 0


@dataclass(frozen=True, slots=True)
class EstimatorInfo:
    """One choice of the estimator switch.

    ``x_title`` and ``y_title`` are what the axes say ("I(X; bin(T))"), ``measures`` the card's
    whole sentence, ``reason`` why it cannot be chosen (empty when it can).
    """

    id: str
    label: str
    x_title: str
    y_title: str
    measures: str = ""
    ceiling: str = ""
    params: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """The largest change of a layer that its noise does not explain.

    A fall of I(X;T) is compression, a rise of I(T;Y) is fitting. ``probe``, ``layer`` and
    ``estimator`` are indices, ``onset`` and ``end`` steps; ``amount`` is in nats, ``confidence``
    is 1 − p of a flat curve with the same noise.
    """

    probe: int
    layer: int
    estimator: int
    onset: int
    end: int
    amount: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Limit:
    """The information-bottleneck bound of a probe set: no T lies above it. Nats.

    ``x`` and ``y`` are the curve, rising from (0, 0) and flat from ``corner`` on.
    """

    probe: int
    x: tuple[float, ...]
    y: tuple[float, ...]
    corner: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Meta:
    """Everything about a run that is not a trajectory. Numbers in nats; None where unknown."""

    name: str = ""
    subtitle: str = ""
    layers: tuple[LayerInfo, ...] = ()
    estimators: tuple[EstimatorInfo, ...] = ()
    probes: tuple[str, ...] = ("probe",)
    scalars: tuple[str, ...] = ()
    n: int | None = None
    log_n: float | None = None
    h_y: float | None = None
    falls: tuple[Turn, ...] = ()
    rises: tuple[Turn, ...] = ()
    limits: tuple[Limit, ...] = ()

    def as_json(self) -> str:
        """Return the same as JSON text, for the controller."""
        return json.dumps(asdict(self), separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True, slots=True)
class Rows:
    """Packed rows (k, len(COLUMNS)) with named access: ``rows["x"]`` is a vector of nats."""

    packed: Packed

    def __getitem__(self, column: str) -> Packed:
        return self.packed[:, COLUMNS.index(column)]

    def __len__(self) -> int:
        return len(self.packed)


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a reader has got in one builder's logs."""

    generation: int = -1
    rows: int = 0
    scalars: int = 0
    texts: int = 0
    meta: int = -1


@dataclass(frozen=True, slots=True)
class Live:
    """The status line: one row, replaced with every frame.

    ``state`` is "live", "stalled", "finished", "interrupted", "failed", "broken" or "empty";
    ``age`` the seconds since the last record when the frame was made, None in a file.
    """

    state: str = "empty"
    reason: str = ""
    age: float | None = None
    step: int | None = None
    seq: int = 0
    note: str = ""

    def columns(self) -> dict[str, list[Any]]:
        """Return one-row columns for a ColumnDataSource."""
        return {name: [value] for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Delta:
    """What a reader must apply to get from its cursor to now.

    ``reset`` tells it to drop everything it holds first. ``rows`` and ``scalars`` are upserts,
    ``head`` and ``scalar_head`` replace the previous ones, ``meta`` is None when unchanged.
    """

    cursor: Cursor
    reset: bool
    rows: Rows
    head: Rows
    scalars: Packed
    scalar_head: Packed
    texts: tuple[str, ...]
    meta: Meta | None

    def __bool__(self) -> bool:
        return bool(self.reset or len(self.rows) or len(self.scalars) or self.texts or self.meta)
