"""Rows for a file: small whole numbers instead of floats, so that they compress.

Numbers are rounded to a tenth of a thousandth of a nat, far below what a page tells. A column is
then the differences from row to row, and travels byte by byte: all lowest bytes, all second ones …
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence

import numpy as np

from infoplane.types import FloatArray
from infoplane.views.frame import COLUMNS, Packed

MISSING = -(2**31)
"""What stands for NaN."""
_STEP, _NATS, _WHOLE = 0.125, 1e-4, 1.0  # quanta: a step may be the mean of a bin


def quanta(rows: Packed) -> list[float]:
    """Return what each column of packed rows is rounded to; more where numbers are very large."""
    return [
        max(base, float(np.nanmax(np.abs(column), initial=0.0)) / 2**30)
        for base, column in zip(map(_quantum, COLUMNS), _finite(rows).T, strict=True)
    ]


def pack(rows: Packed, of: Sequence[float]) -> bytes:
    """Return packed rows (k, len(COLUMNS)) in the quanta given, compressed."""
    finite = _finite(rows)
    missing = np.isnan(finite)
    whole = np.where(missing, 0.0, np.rint(finite / np.asarray(of))).astype(np.int64)
    whole[missing] = MISSING
    steps = np.diff(whole, axis=0, prepend=0).astype(np.uint32)  # modulo 2³²
    planes = np.ascontiguousarray(steps.T).astype("<u4").view(np.uint8).reshape(-1, 4)
    return gzip.compress(planes.T.tobytes(), 9, mtime=0)


def _finite(rows: Packed) -> FloatArray:
    numbers = np.asarray(rows, dtype=np.float64)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _quantum(column: str) -> float:
    if column == "step":
        return _STEP
    whole = column in ("probe", "layer", "estimator", "bin", "count", "band")
    return _WHOLE if whole or column.endswith(("_verdict", "_reason")) else _NATS
