"""A cell that keeps running sums against one that looks at all its points."""

import math

import numpy as np
import pytest

from infoplane.types import Measurement, Null, Verdict
from infoplane.views.cells import Cell, Side

MEANS = ("null", "null95", "ceiling")


def side(rng, *, bare=False):
    verdict = int(rng.integers(0, 3))
    null = math.nan if bare else float(rng.random())
    return Side(float(rng.normal()), 0.1, 0.2, null, null, 3.0, verdict, verdict)


def slowly(points):
    """The row of a cell, counted anew from its points."""
    columns = []
    for axis in (0, 1):
        sides = [points[step][axis] for step in sorted(points) if points[step][axis] is not None]
        if len(sides) < 2:
            columns += sides[-1].row() if sides else [math.nan] * 6 + [-1, -1]
            continue
        values = [s.value for s in sides]
        columns += [np.mean(values), min(values), max(values)]
        columns += [
            np.mean([x for s in sides if not math.isnan(x := getattr(s, n))]) for n in MEANS
        ]
        columns += [max(s.verdict for s in sides)] * 2  # here a reason is its verdict's number
    return [np.mean(list(points)), len(points), *columns]


def test_running_sums_are_the_sums_over_all_points():
    rng, cell = np.random.default_rng(0), Cell()
    points = {}
    for step in [9, 3, 7, 7, 1, 8, 3]:  # out of order, and twice
        for axis in (0, 1):
            if axis and step == 9:
                continue
            made = side(rng, bare=step == 1)
            cell.put(step, axis, made)
            points.setdefault(step, [None, None])[axis] = made
            row = cell.row()
            np.testing.assert_allclose(row[:2] + row[3:], slowly(points), rtol=1e-12)
    assert cell.newest()[0] == cell.last == 9
    assert cell.newest()[3] == points[9][0].value


def test_the_band_says_what_it_is():
    rng, cell = np.random.default_rng(0), Cell()
    cell.put(5, 0, Side(1.0, math.nan, math.nan, math.nan, math.nan, math.nan, 0, -1))
    assert cell.row()[2] == 0  # nothing known of its uncertainty
    cell.put(5, 0, side(rng))
    assert cell.row()[2] == 1  # the estimator's own interval
    cell.put(6, 0, side(rng))
    assert cell.row()[2] == 2  # the range of the pooled steps


def test_a_row_is_made_once_until_something_comes():
    rng, cell = np.random.default_rng(0), Cell()
    cell.put(5, 0, side(rng))
    assert cell.row() is cell.row()
    before = cell.row()
    cell.put(6, 1, side(rng))
    assert cell.row() is not before


def test_a_standard_error_alone_is_drawn_as_its_95_percent_interval():
    m = Measurement("k", 0, "a", "mi", "X", "mi.ksg", 1, {}, 1.0, stderr=0.1)
    assert Side.of(m, -1).low == pytest.approx(1 - 0.1959964)
    m = Measurement(
        *("k", 0, "a", "mi", "Y", "mi.ksg", 1, {}, 1.0),
        null=Null(0.1, 0.01, 0.1, 0.2, 0.3, 20, 0.05),
        verdict=Verdict.CAUTION,
    )
    assert Side.of(m, 4).row()[3:] == pytest.approx([0.1, m.null.q95, math.nan, 1, 4], nan_ok=True)
