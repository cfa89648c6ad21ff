"""One call of an estimator that describes a layer: what was read on entry, and how it ends.

:func:`read` opens the call for f(t), :func:`read_labelled` for f(t, y): parameters checked against
the card, T finite and float64, the flags of the data. :meth:`Call.conclude` ends it, so that no
estimator spells out size, parameters, flags and status again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from infoplane.estimators.contract import (
    classes,
    conclude,
    heavy_tailed,
    live_columns,
    plain,
    same_length,
    samples,
)
from infoplane.estimators.distances import standing
from infoplane.estimators.registry import check_params
from infoplane.estimators.shared import Shared, serving
from infoplane.types import Estimate, Flags, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Call:
    """One call: the layer as read, the parameters completed, and the flags of the data.

    Attributes
    ----------
    name : str
        Id of the estimator.
    x : ndarray, (n, d)
        T, finite.
    params : mapping
        Checked and completed with the card's defaults.
    flags : Flags
        ``constant``, ``dead=k``, ``heavy_tail``; with labels ``single_class``, ``rare_class=k``.
    shared : Shared or None
        Memo of this very T.
    """

    name: str
    x: FloatArray
    params: Mapping[str, Any]
    flags: Flags
    shared: Shared | None = None

    @property
    def n(self) -> int:
        """Samples."""
        return len(self.x)

    @property
    def d(self) -> int:
        """Columns."""
        return int(self.x.shape[1])

    @property
    def trivial(self) -> bool:
        """Whether the data leave nothing to estimate: no live unit, or a single class."""
        return "constant" in self.flags or "single_class" in self.flags

    @property
    def scale(self) -> float:
        """Largest |entry|, positive: what to divide by so that squares stay finite."""
        return max(float(np.abs(self.x).max()), np.finfo(np.float64).tiny)

    def with_flags(self, flags: Iterable[str]) -> Call:
        """Return the same call with further flags."""
        return replace(self, flags=Flags([*self.flags, *flags]))

    def conclude(self, value: float, *, flags: Iterable[str] = (), **more: Any) -> Estimate:
        """Build the Estimate; ``more`` is what :func:`~.contract.conclude` takes.

        A diagnostic that is at its largest value is no saturated estimate, so that ``saturates``
        is False unless said.
        """
        marks = Flags([*self.flags, *flags])
        more.setdefault("status", standing(marks, trivial=self.trivial))
        more.setdefault("saturates", False)
        return conclude(
            value,
            estimator=self.name,
            n=self.n,
            d=self.d,
            params=self.params,
            flags=marks,
            **more,
        )


@dataclass(frozen=True, slots=True)
class LabelledCall(Call):
    """A call with class labels, as codes 0 … C−1 of shape (n,)."""

    codes: IntArray = field(kw_only=True)

    @property
    def counts(self) -> IntArray:
        """Samples of each class, (C,)."""
        return np.bincount(self.codes)


def read(
    name: str,
    t: Any,
    params: Mapping[str, Any] | None = None,
    shared: Shared | None = None,
) -> Call:
    """Open a call of ``f(t, *, …)``.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError
    """
    checked = check_params(name, params or {})
    x = samples(t, estimator=name)
    return Call(name, x, checked, column_flags(x), serving(shared, t))


def read_labelled(
    name: str,
    t: Any,
    y: Any,
    params: Mapping[str, Any] | None = None,
    shared: Shared | None = None,
) -> LabelledCall:
    """Open a call of ``f(t, y, *, …)`` with class labels Y.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError
    """
    call = read(name, t, params, shared)
    same_length(plain(y, name="y"), call.x, first="y")
    codes = classes(y, estimator=name)
    counts = np.bincount(codes)
    flags = [*call.flags, *(["single_class"] if len(counts) == 1 else [])]
    rare = int((counts < 2).sum())
    flags += [f"rare_class={rare}"] if rare else []
    return LabelledCall(name, call.x, call.params, Flags(flags), call.shared, codes=codes)


def column_flags(x: FloatArray) -> Flags:
    """Return the flags that the columns of a layer raise, whatever is done with them."""
    return Flags([*live_columns(x)[1], *heavy_tailed(x)])
