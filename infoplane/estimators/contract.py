"""What every estimator does on entry and on exit: one place for the rules on hostile input.

Entry: :func:`samples` turns whatever array came into a finite float64 (n, d) that the estimator
owns, :func:`symbols` turns a discrete variable into integer codes, :func:`generator` a seed into a
private generator. Exit: :func:`conclude` builds the Estimate and checks it against its bounds.
The global random state is never touched; inputs are never modified.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infoplane.errors import InputError, NonFiniteError, TooFewSamplesError
from infoplane.types import Estimate, Flags, FloatArray, IntArray, Status

DENSE_LIMIT = 1 << 30  # bytes up to which a scipy sparse matrix is made dense
SATURATED = 0.95  # share of the ceiling from which an estimate counts as saturated

Rng = np.random.Generator | int | None


def generator(rng: Rng) -> np.random.Generator:
    """Return a private numpy Generator: the one given, or one seeded with the int (0 for None)."""
    if isinstance(rng, np.random.Generator):
        return rng
    if rng is None:
        return np.random.default_rng(0)
    if isinstance(rng, (int, np.integer)) and not isinstance(rng, bool) and rng >= 0:
        return np.random.default_rng(int(rng))
    raise InputError(
        f"`rng` must be a numpy Generator, a non-negative int seed or None; got {rng!r}."
    )


def plain(array: Any, *, name: str) -> NDArray[Any]:
    """Return a numpy array of bool, int or float for any array-like, without touching its values.

    torch tensors (any device, bfloat16, requires_grad) and scipy sparse matrices up to 1 GiB are
    converted; complex, object, datetime and meta tensors are refused.
    """
    if hasattr(array, "detach"):  # a torch tensor, known by duck: this room imports no torch
        if getattr(getattr(array, "device", None), "type", "") == "meta":
            raise InputError(f"`{name}` is a meta tensor and has no values; pass real activations.")
        if getattr(array, "is_sparse", False):
            raise InputError(f"`{name}` is a sparse tensor; pass `{name}.to_dense()`.")
        if getattr(array, "is_complex", bool)():
            raise InputError(f"`{name}` must be real; got a complex tensor.")
        array = array.detach().cpu()
        if str(array.dtype) in ("torch.bfloat16", "torch.float8_e4m3fn", "torch.float8_e5m2"):
            array = array.float()
        array = array.numpy()
    elif hasattr(array, "toarray") and hasattr(array, "nnz"):
        size = int(np.prod(array.shape)) * 8
        if size > DENSE_LIMIT:
            raise InputError(
                f"`{name}` is sparse and would take {size / 2**30:.1f} GiB when dense; the "
                f"limit is {DENSE_LIMIT / 2**30:.0f} GiB. Select fewer rows or columns first."
            )
        array = array.toarray()
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        masked = int(np.ma.getmaskarray(array).sum())
        raise InputError(f"`{name}` has {masked} masked values; drop those rows or fill them.")
    try:
        result = np.asarray(array)
    except ValueError as error:  # ragged nested lists
        raise InputError(f"`{name}` must be a rectangular array; {error}.") from None
    if result.ndim == 0:
        raise InputError(f"`{name}` must have samples on axis 0; got a single value {array!r}.")
    return result


def samples(t: Any, *, name: str = "t", minimum: int = 2, estimator: str = "") -> FloatArray:
    """Return ``t`` as a finite float64 array (n, d), C-contiguous and owned by the caller.

    One column is added to a vector; more than two axes are refused, since how to flatten is a
    choice (`reduce`) that must be visible.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError
    """
    array = reals(t, name=name, minimum=minimum, estimator=estimator)
    with np.errstate(over="ignore"):
        result = np.array(array, dtype=np.float64, order="C")
    finite = np.isfinite(result)
    if not finite.all():
        bad = np.argwhere(~finite)
        first = tuple(int(i) for i in bad[0])
        raise NonFiniteError(
            f"`{name}` holds {len(bad)} non-finite value{'s' * (len(bad) > 1)} (NaN or inf) out of "
            f"{result.size}, the first at {first}. Drop those rows, or find out why they are there "
            "(overflow in float16, a diverged training).",
            count=len(bad),
            first=first,
        )
    return result


def reals(t: Any, *, name: str = "t", minimum: int = 2, estimator: str = "") -> NDArray[Any]:
    """Return ``t`` as an array (n, d) of real numbers in the type it came in.

    The checks of :func:`samples` but that every entry is finite, and no copy.
    """
    array = plain(t, name=name)
    if array.dtype.kind not in "biuf":
        raise InputError(
            f"`{name}` must hold real numbers; got dtype {array.dtype}."
            + (" Encode text as integer labels." if array.dtype.kind in "OUS" else "")
        )
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim > 2:
        raise InputError(
            f"`{name}` must be (n, d) with samples on axis 0; got shape {array.shape}. "
            f"Reduce it first, for example `{name}.reshape(len({name}), -1)`."
        )
    if array.shape[1] == 0:
        raise InputError(f"`{name}` must have at least one column; got shape {array.shape}.")
    enough(len(array), minimum, name=name, estimator=estimator)
    return array


def enough(n: int, minimum: int, *, name: str = "t", estimator: str = "") -> None:
    """Raise TooFewSamplesError when ``n < minimum``."""
    if n < minimum:
        by = f" for `{estimator}`" if estimator else ""
        raise TooFewSamplesError(
            f"`{name}` has {n} sample{'s' * (n != 1)}; at least {minimum} are needed{by}. "
            "Use a larger probe set."
        )


def is_discrete(v: Any) -> bool:
    """Whether an array is a discrete variable: integers, booleans or text, in any columns.

    A float vector of few whole numbers, ten samples or more to each, is one too: labels that a loss
    wanted as floats.
    """
    array = plain(v, name="v")
    if array.dtype.kind == "f" and array.ndim == 1:
        return _whole_numbers(array)
    return array.dtype.kind in "biuUS" or (
        array.dtype.kind == "O" and all(isinstance(item, str) for item in array.ravel())
    )


def _whole_numbers(vector: NDArray[Any]) -> bool:
    if not len(vector) or not np.isfinite(vector).all() or (vector != np.rint(vector)).any():
        return False
    return len(np.unique(vector)) <= max(2, len(vector) // 10)


def symbols(v: Any, *, name: str = "v", estimator: str = "") -> IntArray:
    """Return codes 0 … C−1 of the distinct rows of ``v``, shape (n,).

    Integer, boolean and text arrays of one or many columns are discrete variables. Float arrays of
    two axes are taken row by row too (a fixed set of inputs is a discrete variable). A float vector
    whose values are mostly distinct is a continuous target, not a label, and is refused.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError
    """
    array = plain(v, name=name)
    if array.dtype.kind == "O" and all(isinstance(item, str) for item in array.ravel()):
        array = array.astype(str)
    if array.dtype.kind not in "biufUS":
        raise InputError(f"`{name}` must be integers, booleans, text or floats; got {array.dtype}.")
    enough(len(array), 1, name=name, estimator=estimator)
    if array.size == 0:
        raise InputError(f"`{name}` must have at least one column; got shape {array.shape}.")
    vector = array.ndim == 1
    array = array.reshape(len(array), -1)
    if array.dtype.kind == "f":
        array = samples(array, name=name, minimum=1, estimator=estimator)
    if array.shape[1] > 1:
        return row_codes(array)
    column = array[:, 0]
    codes = ranks(column)
    if vector and array.dtype.kind == "f":
        _refuse_continuous(column, codes, name, estimator)
    return codes


def _refuse_continuous(column: FloatArray, codes: IntArray, name: str, estimator: str) -> None:
    count = int(codes.max()) + 1
    if count > 0.5 * len(codes) and (column != np.rint(column)).any():
        raise InputError(
            f"`{name}` holds float labels, {count} distinct values in {len(codes)} samples: a "
            f"continuous target, where {f'`{estimator}`' if estimator else 'a class'} needs a "
            "discrete one. Pass target='regression' (an estimator for a continuous Y), bin it, or, "
            f"when it is the input X, pass `{name}.reshape(-1, 1)`."
        )


def classes(y: Any, *, name: str = "y", estimator: str = "") -> IntArray:
    """Return codes 0 … C−1 of class labels, shape (n,).

    As :func:`symbols`, but more than n/2 classes are refused: those are not labels (n > 2).
    """
    codes = symbols(y, name=name, estimator=estimator)
    count = int(codes.max()) + 1
    if len(codes) > 2 and count > 0.5 * len(codes):
        raise InputError(
            f"`{name}` must be class labels; got {count} distinct values in {len(codes)} samples. "
            "Pass target='regression' for a continuous target."
        )
    return codes


def ranks(column: NDArray[Any]) -> IntArray:
    """Return the rank 0 … C−1 of each entry among the distinct values of a vector.

    Small non-negative integers are counted, not sorted.
    """
    if column.dtype.kind in "iu" and len(column):
        low, high = int(column.min()), int(column.max())
        if low >= 0 and high < 4 * len(column) + 1024:
            entries = column.astype(np.int64)
            present = np.bincount(entries) > 0
            if np.count_nonzero(present) == len(present):
                return entries
            return np.asarray((np.cumsum(present) - 1)[entries], dtype=np.int64)
    return np.unique(column, return_inverse=True)[1].astype(np.int64).reshape(-1)


def row_codes(array: NDArray[Any]) -> IntArray:
    """Return codes 0 … C−1 of the distinct rows of a two-axis array, exactly (no hashing)."""
    return fold((_ascending(column) for column in np.ascontiguousarray(array.T)), len(array))


def _ascending(column: NDArray[Any]) -> IntArray:
    """Integers ≥ 0 in the order of the entries: whole numbers of a small range less the lowest."""
    kind = column.dtype.kind
    if len(column) and (kind in "biu" or (kind == "f" and (column == np.rint(column)).all())):
        low, high = column.min(), column.max()
        if int(high) - int(low) < 4 * len(column) + 1024:
            if kind in "bi":  # a difference of small integers overflows
                return np.asarray(column.astype(np.int64) - int(low))
            return np.asarray((column - low).astype(np.int64))
    return ranks(column)


def fold(columns: Iterable[IntArray], n: int) -> IntArray:
    """Return codes 0 … C−1 of the distinct rows whose columns are given as non-negative integers.

    Columns are packed into one 62-bit key a row; the keys are re-ranked when the next column would
    not fit. Columns are no longer asked for once all n rows are known to be distinct.
    """
    keys = np.zeros(n, dtype=np.int64)
    room = 1  # all keys are < room
    for column in columns:
        radix = int(column.max()) + 1 if n else 1
        if radix == 1:
            continue
        if room == 1 and radix == n and np.bincount(column).all():
            return column.astype(np.int64)  # the first column that varies tells all apart
        if room > (1 << 62) // radix:
            keys = ranks(keys)
            room = int(keys.max()) + 1
            if room == n:
                return keys
        if room > (1 << 62) // radix:
            column = ranks(column)
            radix = int(column.max()) + 1
        keys *= radix
        keys += column
        room *= radix
    return ranks(keys)


def same_length(v: Any, t: Any, *, first: str = "v", second: str = "t") -> None:
    """Raise InputError unless both have the same number of samples."""
    if len(v) != len(t):
        raise InputError(
            f"`{first}` and `{second}` must have the same number of samples on axis 0; "
            f"got {len(v)} and {len(t)}."
        )


def column_ends(t: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the smallest and the largest entry of every column."""
    if t.shape[1] < 64:  # narrow: numpy is several times faster along contiguous rows
        rows = np.ascontiguousarray(t.T)
        return rows.min(axis=1), rows.max(axis=1)
    return t.min(axis=0), t.max(axis=0)


def live_columns(t: FloatArray) -> tuple[FloatArray, Flags]:
    """Drop columns of zero variance (dead units); return the rest and the flag ``dead=k``.

    When every column is constant the result has zero columns and the flag is ``constant``.
    """
    low, high = column_ends(t)
    alive = high > low
    if alive.all():
        return t, Flags()
    if not alive.any():
        return t[:, :0], Flags(["constant"])
    return np.ascontiguousarray(t[:, alive]), Flags([f"dead={int((~alive).sum())}"])


def heavy_tailed(t: FloatArray, largest: float | None = None) -> Flags:
    """Flag ``heavy_tail`` when a few |entries| are over 1000 times the 90 % quantile of |t|.

    Few are at most one in ten rows of half the largest: the softmax of many classes has one a row.
    The quantile is taken on some thousand entries, evenly spaced. ``largest`` is the largest
    |entry|, where it is known already.
    """
    if t.size == 0:
        return Flags()
    entries = t.reshape(-1)
    # an odd stride meets every column in turn whatever the width
    sample = np.abs(entries[:: (len(entries) // 2000) | 1])
    rank = int(0.9 * (len(sample) - 1))
    typical = float(np.partition(sample, rank)[rank])
    if largest is None:
        largest = max(float(t.max()), -float(t.min()))
    if not 0 < typical < largest / 1000:
        return Flags()
    far = np.count_nonzero(np.abs(t) > largest / 2)
    return Flags(["heavy_tail"] if far <= max(1, len(t) // 10) else [])


def entropy_of_counts(counts: NDArray[Any]) -> float:
    """Plug-in entropy H = log n − (1/n) Σ c log c of symbol counts, in nats.

    Of integers it is the same to the last bit in any order.
    """
    counts = np.asarray(counts)
    total, largest = float(counts.sum()), counts.max(initial=0)
    if largest == total:
        return 0.0
    return math.log(total) - c_log_c(counts) / total


def c_log_c(counts: NDArray[Any]) -> float:
    """Σ c log c of counts ≥ 0, in the order of their size; of integers one logarithm for each."""
    largest = counts.max(initial=0)
    if counts.dtype.kind in "iu" and largest <= 4 * len(counts) + 1024:
        if largest <= 1:
            return 0.0
        times = np.bincount(counts)
        times[0] = 0
        sizes = np.flatnonzero(times)
        return float((times[sizes] * sizes * np.log(sizes)).sum())
    sizes = np.sort(counts[counts > 0])
    return float((sizes * np.log(sizes)).sum())


def conclude(
    value: float,
    *,
    estimator: str,
    n: int,
    d: int,
    params: Mapping[str, Any],
    ceiling: float | None = None,
    floor: float | None = None,
    slack: float = 1e-9,
    stderr: float | None = None,
    low: float | None = None,
    high: float | None = None,
    flags: Iterable[str] = (),
    info: Mapping[str, Any] | None = None,
    status: Status = Status.OK,
    saturates: bool = True,
    fragile: bool = False,
) -> Estimate:
    """Build the Estimate and check it against the bounds that it must satisfy.

    Parameters
    ----------
    value
        Raw estimate. A non-finite one is an error of the estimator, never an answer.
    ceiling, floor
        Bounds that the *true* quantity obeys (H(Y), log n; 0 for an information). A value beyond
        one by more than ``slack`` is kept, flagged ``bound_violated=<amount>`` and unreliable; a
        value at 95 % of the ceiling or more is flagged ``saturated``.
    saturates
        Whether being near the ceiling says that the estimator can go no further. For a quantity
        that may really be at its largest value (all directions used alike) it says nothing.
    fragile
        Whether one entry far out sets the scale of all others (a variance, a range, noise in
        proportion to the largest): with the flag ``heavy_tail`` the estimate is then unreliable.
    """
    marks = list(flags)
    if not math.isfinite(value):
        raise InputError(
            f"`{estimator}` has no finite answer on these data (got {value}). "
            "Standardise the columns or drop extreme rows."
        )
    if fragile and "heavy_tail" in marks and status is Status.OK:
        status = Status.UNRELIABLE
    excess = 0.0
    if ceiling is not None and value > ceiling + slack:
        excess = value - ceiling
    if floor is not None and value < floor - slack:
        excess = max(excess, floor - value)
    if excess:
        marks.append(f"bound_violated={excess:.3g}")
        status = Status.UNRELIABLE
    elif saturates and ceiling is not None and ceiling > 0 and value >= SATURATED * ceiling:
        marks.append("saturated")
        status = Status.SATURATED if status is Status.OK else status
    return Estimate(
        value=float(value) + 0.0,  # no minus zero
        stderr=stderr,
        low=low,
        high=high,
        ceiling=ceiling,
        info=dict(info or {}),
        flags=Flags(marks),
        status=status,
        n=n,
        d=d,
        params=dict(params),
    )
