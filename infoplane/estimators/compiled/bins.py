"""Compiled counting of binned rows: what `bins` and `plugin` do in numpy, without its temporaries.

A row becomes one 64-bit key; keys are numbered through a table that holds the keys themselves, so
two different ones are never taken for one. Symbols come from comparisons with the same edges, or
the same division, as in numpy: the same rows are told apart.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infoplane.estimators.compiled.jit import jit
from infoplane.types import FloatArray, IntArray

FINE = 32  # cells for each edge: few hold one, with which an entry must then be compared
MOST = 1 << 16  # cells
LANES = 64  # columns of which the ends are sought at once
ANY = 1 << 62
KEPT = 1 << 16  # rows for which memory is kept

_kept = threading.local()


@jit
def _ends(values: NDArray[Any], low: NDArray[Any], high: NDArray[Any], stain: NDArray[Any]) -> None:
    for i in range(len(values)):
        for j in range(values.shape[1]):
            x = values[i, j]
            low[j] = x if x < low[j] else low[j]
            high[j] = x if x > high[j] else high[j]
            stain[j] += x - x


@jit
def _cell(x: float, low: float, scale: float, cells: int) -> int:
    """Which of some equal cells an entry lies in: never a later one than a larger entry.

    Cell 0 is below half of ``low``, the last one beyond the others.
    """
    return int(min(max((x * 0.5 - low) * scale + 1.0, 0.0), cells - 1.0))


@jit
def _index(edges: FloatArray, begins: IntArray) -> float:
    """Count the edges before each cell into ``begins`` (cells + 1,) zeros; return cells a unit."""
    cells, low = len(begins) - 1, edges[0] * 0.5
    half = edges[len(edges) - 2] * 0.5 - low
    scale = (cells - 2) / half if half > 0.0 else 0.0
    if not scale < np.inf:
        scale = 0.0  # a denormal range: all in one cell
    for e in range(len(edges) - 1):
        begins[_cell(edges[e], low, scale, cells) + 1] += 1
    for c in range(cells):
        begins[c + 1] += begins[c]
    return scale


@jit
def _fold(
    values: NDArray[Any], units: IntArray, edges: FloatArray, begins: IntArray, scale: float,
    top: int, radix: int, keys: IntArray,
) -> None:  # fmt: skip
    low, cells = edges[0] * 0.5, len(begins) - 1
    for i in range(len(keys)):
        key = keys[i]
        for u in range(len(units)):
            x = np.float64(values[i, units[u]])
            cell = _cell(x, low, scale, cells)
            symbol = begins[cell]
            symbol += edges[symbol] <= x
            if edges[symbol] <= x:  # several edges in this cell
                high = begins[cell + 1]
                while symbol < high:
                    middle = (symbol + high) >> 1
                    if edges[middle] <= x:
                        symbol = middle + 1
                    else:
                        high = middle
            key = key * radix + (symbol if symbol > 0 else top)
        keys[i] = key


@jit
def _fold_floors(
    values: NDArray[Any], units: IntArray, width: float, lowest: float, radix: int, keys: IntArray
) -> None:
    for i in range(len(keys)):
        key = keys[i]
        for u in range(len(units)):
            cell = np.floor(np.float64(values[i, units[u]]) / width) - lowest
            key = key * radix + np.int64(cell)
        keys[i] = key


@jit
def _number(keys: IntArray, room: int, found: IntArray, counts: IntArray, slots: Any) -> int:
    """Replace keys by 0, 1, 2 … in the order in which they first come; return how many there are.

    Keys below ``len(slots)`` have a slot of their own, others the next free one from where their
    mixed bits point to.
    """
    slots[:] = -1
    direct, shift, distinct, size = room <= len(slots), np.uint64(64), 0, len(slots)
    while size > 1:
        size >>= 1
        shift -= np.uint64(1)
    for i in range(len(keys)):
        key = keys[i]
        slot = key
        if not direct:
            mixed = np.uint64(key)
            mixed = (mixed ^ (mixed >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
            mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15)
            slot = np.int64(mixed >> shift)
            while slots[slot] >= 0 and found[slots[slot]] != key:
                slot = (slot + 1) & (len(slots) - 1)
        code = slots[slot]
        if code < 0:
            code = distinct
            slots[slot] = code
            found[code] = key
            counts[code] = 0
            distinct += 1
        keys[i] = code
        counts[code] += 1
    return distinct


def ends(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Smallest and largest entry of every column (n, d); NaN where one is not finite.

    Several rows at a time, side by side, fill the registers of the processor.
    """
    n, d = values.shape
    beside = min(max(1, LANES // d), n)
    while n % beside:
        beside -= 1
    rows = values.reshape(-1, beside * d)
    low, high, stain = rows[0].copy(), rows[0].copy(), np.zeros_like(rows[0])
    _ends(rows, low, high, stain)
    low += stain
    return low.reshape(beside, d).min(axis=0), high.reshape(beside, d).max(axis=0)


def fold(
    values: NDArray[Any], units: IntArray, edges: FloatArray, top: int, radix: int, keys: IntArray
) -> None:
    """Append the symbols of some units of (n, d) to the keys of the rows: key · radix + symbol.

    A symbol is the number of ascending ``edges`` ≤ the entry, ``top`` where there are none.
    """
    cells = min(1 << (FINE * len(edges)).bit_length(), MOST)
    begins, padded = np.zeros(cells + 1, np.int64), np.append(edges, np.inf)
    _fold(values, units, padded, begins, _index(padded, begins), top, radix, keys)


def fold_floors(
    values: NDArray[Any], units: IntArray, width: float, lowest: float, radix: int, keys: IntArray
) -> None:
    """Append symbols too: ⌊entry / width⌋ less ``lowest``."""
    _fold_floors(values, units, width, lowest, radix, keys)


def number(keys: IntArray, room: int) -> IntArray:
    """Replace keys by codes 0 … C−1 in the order in which they first come; return their counts.

    Keys are in 0 … room−1, or any integers where ``room`` is 2⁶² or more.
    """
    counts, (found, slots) = np.empty_like(keys), _room(len(keys))
    return counts[: _number(keys, min(room, ANY), found, counts, slots)]


def _room(n: int) -> tuple[IntArray, NDArray[np.int32]]:
    """Memory to number n keys in, the same at every call of a thread: new pages cost more."""
    if getattr(_kept, "n", -1) == n:
        return _kept.found, _kept.slots
    found, slots = np.empty(n, np.int64), np.empty(1 << (2 * n - 1).bit_length(), np.int32)
    if n <= KEPT:
        _kept.n, _kept.found, _kept.slots = n, found, slots
    return found, slots
