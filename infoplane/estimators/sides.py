"""The two sides of an information from neighbours: points, or symbols to be counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from infoplane.estimators.contract import (
    conclude,
    fold,
    heavy_tailed,
    is_discrete,
    live_columns,
    plain,
    ranks,
    samples,
    symbols,
)
from infoplane.estimators.neighbours import standardise
from infoplane.estimators.plugin import information, tally
from infoplane.types import Estimate, Flags, FloatArray, IntArray, Status

GRID = 2.0**40  # steps to a standard deviation
LEVELS = 10  # values of a column up to which it is no continuous variable
ATOMS = 0.9  # share of rows with over k copies from which a float variable counts as discrete


@dataclass(frozen=True, slots=True)
class Side:
    """One variable as the neighbours see it: codes (n,) when discrete, points (n, d) otherwise."""

    points: FloatArray | None
    codes: IntArray | None
    d: int
    flags: Flags

    @property
    def n(self) -> int:
        """Samples."""
        return len(self.codes if self.codes is not None else self.points)  # type: ignore[arg-type]


def side(
    array: Any, *, name: str, estimator: str, k: int, scale: bool = True, grid: bool = False
) -> Side:
    """Read a variable: integers are symbols, floats points, floats that mostly repeat symbols too.

    Several integer columns whose rows are mostly distinct (quantised activations) are points. With
    ``grid`` standardised points are rounded to 1e-12: where V is a multiple of columns of T their
    distances tie, in whatever units they come.
    """
    flags = Flags()
    if is_discrete(array):
        values = plain(array, name=name)
        codes = symbols(array, name=name, estimator=estimator)
        several = values.dtype.kind in "iu" and values.ndim == 2 and values.shape[1] > 1
        if not (several and codes.max() >= 0.5 * len(codes)):
            return Side(None, codes, values[:1].size, flags)
        flags = Flags(["as_continuous"])
    points = samples(array, name=name, minimum=2, estimator=estimator)
    points, dead = live_columns(points)
    flags = Flags([*flags, *dead])
    d = points.shape[1]
    if d == 0:
        return Side(None, np.zeros(len(points), dtype=np.int64), 0, flags)
    repeated = atoms(points, k)
    if repeated is not None:
        return Side(None, repeated, d, Flags([*flags, "discrete"]))
    flags = Flags([*flags, *heavy_tailed(points), *(["lattice"] if on_lattice(points) else [])])
    if scale:
        points = standardise(points)
        points = np.rint(points * GRID) / GRID if grid else points
    return Side(points, None, d, flags)


def on_lattice(points: FloatArray) -> bool:
    """Whether every column takes few values: then most distances are equal and none is the k-th."""
    return all(len(np.unique(column)) <= LEVELS for column in points.T)


def atoms(points: FloatArray, k: int) -> IntArray | None:
    """Codes of the distinct rows when at least 90 % of the rows have more than k copies, else None.

    The first columns settle it for most layers: distinct values there are distinct rows.
    """
    n = len(points)
    most = n * ATOMS / (k + 1) + n * (1 - ATOMS)
    codes = ranks(points[:, 0])
    for column in points.T[1:]:
        if codes.max() >= most:
            return None
        codes = fold([codes, ranks(column)], n)
    counts = np.bincount(codes)
    return codes if counts[counts > k].sum() >= ATOMS * n else None


def mixed(first: Side, second: Side) -> tuple[IntArray, FloatArray]:
    """Return the codes of the discrete one and the points of the continuous one."""
    codes = first.codes if first.codes is not None else second.codes
    points = first.points if first.points is not None else second.points
    assert codes is not None
    assert points is not None
    return codes, points


def without_neighbours(
    first: Side, second: Side, flags: list[str], common: dict[str, Any]
) -> Estimate | None:
    """Return the estimate that needs none: 0 for a constant, the plug-in for two discrete sides."""
    single = "constant" if first.d == 0 else "single_class"
    for one, mark in ((second, "constant"), (first, single)):
        if one.codes is not None and one.codes.max() == 0:
            return conclude(0.0, flags=[*flags, mark], status=Status.DEGENERATE, **common)
    if first.codes is None or second.codes is None:
        return None
    of_v, of_t = tally(first.codes), tally(second.codes)
    ceiling = min(of_v.entropy, of_t.entropy)
    return conclude(information(of_v, of_t), ceiling=ceiling, floor=0.0, flags=flags, **common)
