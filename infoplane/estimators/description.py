"""Description length of a layer as a sparse code: nats to transmit a sample at a precision.

    DL = Σ_f H_b(p_f) + p_f H(bins_f | active)

p_f is how often unit f is active; an active value is sent as one of ``bins`` equal bins. Ayonrinde,
Pearce and Sharkey, Interpretability as Compression (MDL-SAE, 2024). The published evaluation
histograms the inactive samples too, so that its second term is not conditional on being active.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np

from infoplane.estimators.call import read
from infoplane.estimators.contract import Rng
from infoplane.estimators.histogram import places
from infoplane.estimators.registry import Bounds, estimator
from infoplane.estimators.shared import Shared
from infoplane.types import Cost, Estimate, FloatArray, Kind, Quantity

NAME = "description.mdl"
CHOICES = (4, 6, 8, 12, 16, 32)  # of ``bins="auto"``, as published
BLOCK = 64  # units taken at once


def _entropy_of_rows(counts: FloatArray) -> FloatArray:
    """Entropy in nats of each row of counts; 0 for an empty row."""
    total = counts.sum(axis=1, keepdims=True)
    p = counts / np.maximum(total, 1)
    return np.asarray(-(p * np.log(np.where(p > 0, p, 1.0))).sum(axis=1))


def description_length(
    x: FloatArray, bins: int, *, inactive: bool = False
) -> tuple[FloatArray, float]:
    """Nats of each unit, (d,), and the squared error of the quantised layer summed over entries.

    Bins reach from 0 (or the least active value, if negative) to the largest.
    """
    d = x.shape[1]
    nats = np.empty(d)
    error = 0.0
    for start in range(0, d, BLOCK):
        part = x[:, start : start + BLOCK]
        active = part != 0
        low, high = np.minimum(part.min(axis=0), 0.0), np.maximum(part.max(axis=0), 0.0)
        low = np.where(high > 0, low, part.min(axis=0))
        width = np.maximum(high - low, np.finfo(np.float64).tiny) / bins
        codes = places(part, low, high, bins)
        middle = low + (codes + 0.5) * width
        error += float(np.square(np.where(active, part - middle, 0.0)).sum())
        counted = np.ones_like(active) if inactive else active
        cells = (codes + bins * np.arange(part.shape[1]))[counted]
        counts = np.bincount(cells, minlength=bins * part.shape[1]).reshape(-1, bins)
        p = active.mean(axis=0)
        on_off = _entropy_of_rows(np.stack([p, 1 - p], axis=1))
        nats[start : start + BLOCK] = on_off + p * _entropy_of_rows(counts.astype(np.float64))
    return nats, error


@estimator(
    id=NAME,
    label="Description length (MDL)",
    quantity=Quantity.COMPLEXITY,
    measures="nats to send one sample of the layer, unit by unit, at a stated precision",
    formula="Σ_f H_b(p_f) + p_f H(bins_f | active)",
    accepts=(Kind.CONTINUOUS,),
    cost=Cost.QUICK,
    complexity="n d",
    min_samples=2,
    ceiling="d log(bins + 1)",
    assumes=("units are sent one by one, a zero costs no value",),
    invariant=("row order", "scaling", "unit order", "constant unit"),
    limits=(
        "units are coded one by one: an upper bound of the layer's own entropy at that precision",
        "a dense layer costs about log(bins) a unit whatever it holds",
    ),
    tolerance={"Bernoulli unit of one magnitude": 1e-12},
    bound="upper",
    meaningful_null=(),
    reference="Ayonrinde, Pearce and Sharkey 2024, Interpretability as Compression",
    version=3,
)
def mdl(
    t: Any,
    *,
    bins: Annotated[int, Bounds(1, 4096)] | Literal["auto"] = "auto",
    precision: Annotated[float, Bounds(0, 1, open_low=True)] = 0.05,
    compat: bool = False,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """Return the description length of a layer, in nats a sample.

    Parameters
    ----------
    t : array, (n, d)
        T; an entry that is not exactly zero is active.
    bins : int or "auto"
        Bins of an active value; "auto" takes the fewest of 4, 6, 8, 12, 16, 32 that reach the
        ``precision``.
    precision : float
        Root mean square error of the quantised layer, relative to that of the layer itself.
    compat : bool
        Count the inactive samples into the histograms, as the published evaluation does.
    rng, shared
        Not used: the value is exact and needs no intermediate.

    Returns
    -------
    Estimate
        ``info`` has the bins used and the relative error reached; flag ``coarse`` when 32 bins do
        not reach the precision.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError
    """
    call = read(NAME, t, {"bins": bins, "precision": precision, "compat": compat})
    x = np.ldexp(call.x, -np.frexp(call.scale)[1])  # exactly: what lies on an edge stays there
    energy = max(float(np.square(x).sum()), np.finfo(np.float64).tiny)
    for count in CHOICES if isinstance(bins, str) else (bins,):
        nats, squares = description_length(x, count, inactive=compat)
        error = float(np.sqrt(squares / energy))
        if error <= precision:
            break
    return call.conclude(
        float(nats.sum()),
        ceiling=None if compat else call.d * float(np.log(count + 1)),
        floor=0.0,
        flags=["coarse"] if error > precision else [],
        info={"bins": count, "error": error, "active": float((x != 0).mean())},
    )
