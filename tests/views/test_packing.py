import gzip

import numpy as np
import pytest

from infoplane.views import packing
from infoplane.views.frame import COLUMNS

PLACES = {"step", "probe", "layer", "estimator", "bin", "count", "band"}


def unpacked(content, quanta):
    """Read what `pack` wrote, as the start script of a report does."""
    planes = np.frombuffer(gzip.decompress(content), np.uint8).reshape(4, len(quanta), -1)
    steps = sum(planes[i].astype(np.uint64) << np.uint64(8 * i) for i in range(4))
    whole = np.cumsum(steps, axis=1).astype(np.uint32).astype(np.int32).astype(np.int64)
    return np.where(whole == packing.MISSING, np.nan, whole * np.array(quanta)[:, None]).T


def noisy(steps, series, seed=0):
    """Rows as of a run in which every number is noise: the hardest to compress."""
    rng = np.random.default_rng(seed)
    rows = np.zeros((steps * series, len(COLUMNS)), np.float32)
    rows[:, COLUMNS.index("step")] = np.tile(np.arange(steps), series)
    rows[:, COLUMNS.index("layer")] = np.repeat(np.arange(series), steps)
    for name, spread in {"x": 0.02, "y": 0.003, "y_null": 0.002, "y_null95": 0.002}.items():
        rows[:, COLUMNS.index(name)] = rng.normal(2, spread, len(rows))
    return rows


def test_what_was_packed_is_read_back_to_a_ten_thousandth_of_a_nat():
    rng = np.random.default_rng(1)
    rows = rng.normal(0, 5, (200, len(COLUMNS))).astype(np.float32)
    for i, name in enumerate(COLUMNS):
        if name in PLACES or name.endswith(("_verdict", "_reason")):
            rows[:, i] = rng.integers(-1, 1000, 200)
    rows[rng.random(rows.shape) < 0.1] = np.nan
    rows[3, COLUMNS.index("x_high")] = np.inf
    quanta = packing.quanta(rows)
    back = unpacked(packing.pack(rows, quanta), quanta)
    finite = np.isfinite(rows)
    assert np.array_equal(np.isfinite(back), finite)
    assert np.abs(back - rows)[finite].max() <= 0.51e-4
    whole = [i for i, name in enumerate(COLUMNS) if name.endswith("_verdict") or name in PLACES]
    assert np.array_equal(back[:, whole], rows[:, whole], equal_nan=True)


@pytest.mark.parametrize("size", [1e9, 1e30])
def test_huge_numbers_lose_digits_but_not_their_size(size):
    rows = np.zeros((3, len(COLUMNS)), np.float32)
    rows[:, COLUMNS.index("x")] = (size, -size, 1.0)
    rows[:, COLUMNS.index("step")] = (0, 1, size)
    quanta = packing.quanta(rows)
    assert unpacked(packing.pack(rows, quanta), quanta) == pytest.approx(rows, abs=1e-9 * size)


def test_no_rows_are_no_rows():
    rows = np.zeros((0, len(COLUMNS)), np.float32)
    quanta = packing.quanta(rows)
    assert unpacked(packing.pack(rows, quanta), quanta).shape == (0, len(COLUMNS))


def test_all_rows_of_a_long_run_leave_a_report_below_its_size():
    """6 layers × 3 estimators × 5,000 steps may take 0.7 MB of the 1.5: six times this."""
    rows = noisy(5000, 3)
    content = packing.pack(rows, packing.quanta(rows))
    assert len(content) * 5 / 4 < 0.7e6 / 6
