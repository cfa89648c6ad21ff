"""The nouns that walk through the rooms: Snapshot, Estimate, Measurement and the words they use.

Everything here is plain data: numpy arrays, numbers and text, no behaviour that needs another room.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from infoplane.errors import InputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

NATS_TO_BITS = 1.0 / math.log(2.0)
"""Multiply nats by this to get bits. Nats everywhere inside, bits only at display."""


class Kind(StrEnum):
    """What sort of variable an estimator takes on one side."""

    CONTINUOUS = "continuous"
    DISCRETE = "discrete"


class Quantity(StrEnum):
    """What is measured. One word per thing; the axis titles and the Dataset's variables use it."""

    MI = "mi"
    ENTROPY = "entropy"
    RANK = "rank"
    DIVERSITY = "diversity"
    DIMENSION = "dimension"
    NORM = "norm"
    RATE = "rate"
    COLLAPSE = "collapse"
    SPARSITY = "sparsity"
    ATTENTION = "attention"
    COMPLEXITY = "complexity"
    INTERACTION = "interaction"
    DISTANCE = "distance"
    SHARE = "share"


class Cost(StrEnum):
    """Cost tier of an estimator: what a user may ask for while training runs."""

    QUICK = "quick"  # below about 20 ms at n = 1000, d = 512: every snapshot
    STANDARD = "standard"  # seconds at n = 4096: live at a stride
    THOROUGH = "thorough"  # on demand, after the fact


class Status(StrEnum):
    """How an estimate came out."""

    OK = "ok"
    DEGENERATE = "degenerate"  # the value is exact but trivial (constant layer, single class)
    SATURATED = "saturated"  # at a ceiling that the estimator cannot pass
    UNRELIABLE = "unreliable"  # computed, but an assumption or a bound is broken
    FAILED = "failed"  # no value


class Verdict(IntEnum):
    """What a measurement is good for."""

    OK = 0
    CAUTION = 1
    NOT_USABLE = 2


class Flags(tuple[str, ...]):
    """Flags of an estimate: names, some with a value (``"dead=3"``).

    ``"dead" in flags`` and ``"dead=3" in flags`` are both true for ``Flags(["dead=3"])``.
    """

    __slots__ = ()

    def __new__(cls, flags: Iterable[str] = ()) -> Flags:
        """Keep the order given, drop repeats."""
        return super().__new__(cls, tuple(dict.fromkeys(str(flag) for flag in flags)))

    def __contains__(self, name: object) -> bool:
        return any(flag == name or flag.partition("=")[0] == name for flag in self)

    def value(self, name: str) -> str | None:
        """Text after the ``=`` of a flag, or None when the flag is absent or has no value."""
        for flag in self:
            head, separator, tail = flag.partition("=")
            if head == name and separator:
                return tail
        return None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one call of an estimator returns: a value in nats with all that is needed to judge it.

    Attributes
    ----------
    value : float
        The raw estimate, in the card's unit (nats for information); never clipped, always finite.
    stderr : float or None
        Standard error, where the estimator has one.
    info : mapping
        Whatever else the estimator found out (bins used, eigenvalues kept, noise, sizes …).
    flags : Flags
        What is special about the data or the result: ``constant``, ``dead=3``, ``saturated`` …
    low, high : float or None
        Interval, where the estimator has one; ``info["interval"]`` says what it covers.
    status : Status
        ok, degenerate, saturated, unreliable or failed.
    ceiling : float or None
        The largest value this estimator can return on these data (log n, H(Y) …).
    n, d : int
        Samples and dimensions that entered.
    params : mapping
        The parameters it was computed with.
    """

    value: float
    stderr: float | None = None
    info: Mapping[str, Any] = field(default_factory=dict)
    flags: Flags = field(default_factory=Flags)
    low: float | None = None
    high: float | None = None
    status: Status = Status.OK
    ceiling: float | None = None
    n: int = 0
    d: int = 0
    params: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("value", "stderr", "low", "high", "ceiling"):
            number = getattr(self, name)
            if number is None and name != "value":
                continue
            if not math.isfinite(number):
                raise InputError(
                    f"`{name}` of an Estimate must be a finite number; got {number!r}. "
                    "An estimator that has no finite answer must raise instead."
                )
            object.__setattr__(self, name, float(number))
        object.__setattr__(self, "flags", Flags(self.flags))

    @property
    def bits(self) -> float:
        """The value in bits (for quantities in nats)."""
        return self.value * NATS_TO_BITS


@dataclass(frozen=True, slots=True)
class Layer:
    """One row of a run's layer table.

    Attributes
    ----------
    name : str
        Dotted path of the module, ``"#k"`` appended for the k-th call of a shared module (k ≥ 1).
        Untrusted text when read from disk.
    kind : str
        Class name of the module (``"Linear"``, ``"Conv2d"`` …).
    shape : tuple of int
        Shape of one sample's activation before ``reduce``.
    width : int
        d of the representation after ``reduce``.
    reduce : str
        Name of the reduce policy that made (n, d) of it.
    dtype : str
        dtype in which it is stored.
    what : str
        "output", "input", "pre_activation", "attention", "logits", "loss", "gradient", "weight".
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    width: int
    reduce: str
    dtype: str = "float32"
    what: str = "output"


@dataclass(frozen=True, slots=True)
class ProbeData:
    """The fixed samples on which snapshots are taken, as arrays.

    Attributes
    ----------
    x : ndarray, (n, …)
        Inputs.
    y : ndarray, (n,) or (n, k), or None
        Labels (integers) when ``target`` is "class", real targets when it is "regression".
    target : str
        "class" or "regression".
    name : str
        Which probe this is: "probe" by default, "train" and "test" when both are watched.
    """

    x: NDArray[Any]
    y: NDArray[Any] | None
    target: str = "class"
    name: str = "probe"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Representations of all watched layers on the probe set at one step.

    Attributes
    ----------
    step : int
        Optimiser updates done when it was taken; 0 is the untrained network.
    layers : mapping of str to ndarray (n, d)
        Representation of each layer, in the network's order.
    scalars : mapping of str to float
        What was recorded at that step (``epoch``, ``loss``, ``accuracy`` …).
    info : mapping
        Capture's own notes (seconds taken, rows kept …).
    probe : str
        Name of the probe set it was taken on.
    """

    step: int
    layers: Mapping[str, NDArray[Any]]
    scalars: Mapping[str, float] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)
    probe: str = "probe"


@runtime_checkable
class Sink(Protocol):
    """Where capture sends what it sees. ``store.Run`` is one; a plain callable is wrapped into one.

    All calls come from one thread at a time; a sink may raise, capture then counts and goes on.
    """

    def begin(
        self, probes: tuple[ProbeData, ...], layers: tuple[Layer, ...], info: Mapping[str, Any]
    ) -> None:
        """Receive the probe sets and the layer table, once, before the first snapshot."""

    def write(self, snapshot: Snapshot) -> None:
        """Keep a snapshot."""

    def record(self, step: int, scalars: Mapping[str, float]) -> None:
        """Keep scalars of a step."""

    def report(self, event: str, detail: Mapping[str, Any]) -> None:
        """Keep an event, such as ``"dropped"``, ``"fault"`` or ``"cost"``."""

    def end(self, status: str) -> None:
        """Capture is over: ``"finished"``, ``"interrupted"`` or ``"failed"``."""


@dataclass(frozen=True, slots=True)
class Null:
    """The same estimate with the pairing shuffled, as a distribution summary (card's unit).

    ``p`` is the one-sided permutation p-value (1 + #{null ≥ estimate}) / (1 + draws).
    """

    mean: float
    sd: float
    q05: float
    q50: float
    q95: float
    draws: int
    p: float


@dataclass(frozen=True, slots=True)
class Measurement:
    """An estimate plus where, when and with what it was made: one row of a run.

    ``key`` is a content hash of (run uuid, snapshot crc, layer, target, estimator + version,
    params, seed): computing the same thing twice gives the same key. ``value`` is None when
    ``status`` is "failed"; ``note`` then says why. ``snapshot`` is the crc32 of the snapshot it
    was computed from (0: none was stored): when a step is recorded anew, measurements of the old
    snapshot leave the view.
    """

    key: str
    step: int
    layer: str
    quantity: str
    target: str
    estimator: str
    version: int
    params: Mapping[str, Any]
    value: float | None
    stderr: float | None = None
    low: float | None = None
    high: float | None = None
    null: Null | None = None
    ceiling: float | None = None
    verdict: Verdict = Verdict.OK
    reason: str = ""
    flags: Flags = field(default_factory=Flags)
    n: int = 0
    d: int = 0
    seconds: float = 0.0
    status: Status = Status.OK
    note: str = ""
    unit: str = "nat"
    info: Mapping[str, Any] = field(default_factory=dict)
    probe: str = "probe"
    snapshot: int = 0
