"""Discrete pairs: memoryless channels, and logic gates of two fair bits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from infoplane.truth.closed_forms import binary_entropy
from infoplane.truth.distribution import LOG2, Pair, Truth
from infoplane.types import FloatArray, Kind


def _channel(name: str, about: str, rows: FloatArray, source: FloatArray, capacity: float) -> Truth:
    """Discrete memoryless channel p(y|x) = rows[x, y] with input distribution ``source``."""
    output = source @ rows
    ratio = np.log(np.divide(rows, output, out=np.ones_like(rows), where=rows > 0))
    mi = float((source[:, None] * rows * ratio).sum())
    ladder = rows.cumsum(axis=1)

    def draw(n: int, rng: np.random.Generator) -> Pair:
        x = rng.choice(len(source), n, p=source)
        y = (rng.random(n)[:, None] > ladder[x, :-1]).sum(axis=1)
        return x, y

    return Truth(name, about, mi, draw, (Kind.DISCRETE,) * 2, {"capacity": capacity})


def binary_symmetric(flip: float = 0.1, p: float = 0.5) -> Truth:
    """Binary symmetric channel, P(x=1) = p: at p = ½, I = log 2 − H_b(flip)."""
    rows = np.array([[1 - flip, flip], [flip, 1 - flip]])
    return _channel(f"binary_symmetric-{flip:g}-{p:g}", "bits flipped at random", rows,
                    np.array([1 - p, p]), LOG2 - binary_entropy(flip))  # fmt: skip


def z_channel(fall: float = 0.3, p: float = 0.5) -> Truth:
    """Z channel, a one falls to zero: I = H_b(p(1−fall)) − p H_b(fall)."""
    rows = np.array([[1.0, 0.0], [fall, 1 - fall]])
    capacity = math.log1p((1 - fall) * fall ** (fall / (1 - fall)))
    return _channel(f"z_channel-{fall:g}-{p:g}", "ones that fall to zero", rows,
                    np.array([1 - p, p]), capacity)  # fmt: skip


def erasure(lost: float = 0.25, p: float = 0.5) -> Truth:
    """Binary erasure channel: I = (1 − lost) H_b(p); the erased symbol is 2."""
    rows = np.array([[1 - lost, 0.0, lost], [0.0, 1 - lost, lost]])
    return _channel(f"erasure-{lost:g}-{p:g}", "bits lost at random", rows,
                    np.array([1 - p, p]), (1 - lost) * LOG2)  # fmt: skip


_AND = binary_entropy(0.25)
_GATES: dict[str, tuple[Callable[[Any, Any], Any], float, dict[str, float]]] = {
    "xor": (np.bitwise_xor, LOG2, {"synergy": LOG2, "redundancy": 0.0, "unique": 0.0}),
    "and": (np.bitwise_and, _AND, {"synergy": 0.5 * LOG2, "redundancy": _AND - 0.5 * LOG2,
                                   "unique": 0.0}),
    "copy": (lambda a, b: 2 * a + b, 2 * LOG2,
             {"synergy": 0.0, "redundancy": 0.0, "unique": LOG2}),
}  # fmt: skip


def gate(kind: str) -> Truth:
    """Two fair bits X = (a, b) and Y = a xor b, a and b, or the copy (a, b) as one symbol.

    ``facts`` hold the partial information decomposition (BROJA) of I(X;Y); for "xor"
    O(a, b, Y) = −log 2.
    """
    rule, mi, facts = _GATES[kind]

    def draw(n: int, rng: np.random.Generator) -> Pair:
        x = rng.integers(2, size=(n, 2))
        return x, rule(x[:, 0], x[:, 1])

    extra = {"o_information": -LOG2} if kind == "xor" else {}
    return Truth(kind, f"{kind} of two fair bits", mi, draw, (Kind.DISCRETE,) * 2, facts | extra)
