"""How many directions a layer uses: effective rank, matrix entropy, participation, nuclear norm.

Functions of the spectrum of the centred rows, taken on the smaller of the sample side and the unit
side:

    erank = exp H_1(λ / Σλ)          rows centred, then of unit length: Vendi_1 of centred rows
    matrix entropy = H_1 / log d     the same spectrum
    participation = (Σλ)² / Σλ²      rows centred only: no eigenvalues needed
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from infoplane.estimators.call import Call, read
from infoplane.estimators.contract import Rng
from infoplane.estimators.diversity import GROWS
from infoplane.estimators.registry import estimator
from infoplane.estimators.shared import Shared
from infoplane.estimators.spectrum import entropy, unit_rows, unit_spectrum
from infoplane.types import Cost, Estimate, Flags, Kind, Quantity


def bounded(call: Call, value: float, ceiling: float, **more: Any) -> Estimate:
    """Conclude a number of directions; at the ceiling it tells nothing when samples are few."""
    more.setdefault("floor", 0.0)
    more.setdefault("slack", 1e-6)
    more.setdefault("saturates", call.n - 1 < call.d)
    return call.conclude(value, ceiling=ceiling, **more)


_MATRIX = "Wei et al. 2024, Large Language Model Evaluation via Matrix Entropy / Diff-eRank"


@estimator(
    id="rank.effective",
    label="Effective rank",
    quantity=Quantity.RANK,
    measures="effective number of directions of the centred, unit-length rows",
    formula="exp(−Σ λ log λ), λ of ZᵀZ/n, Z centred and row-normalised",
    accepts=(Kind.CONTINUOUS,),
    cost=Cost.QUICK,
    complexity="n d min(n, d)",
    min_samples=2,
    ceiling="min(n − 1, d)",
    assumes=("directions from the mean count, lengths do not",),
    unit="1",
    invariant=("row order", "rotation", "scaling", "constant unit"),
    limits=(GROWS, "not RankMe, which takes singular values of Z, not their squares"),
    tolerance={"equal to Vendi of centred rows": 1e-12, "simplex": 1e-9},
    bound="exact",
    meaningful_null=(),
    reference=_MATRIX,
)
def effective_rank(t: Any, *, rng: Rng = None, shared: Shared | None = None) -> Estimate:
    """Effective rank exp H(λ) of a layer's centred, row-normalised representation.

    Rows equal to the mean have no direction and are left out (flag ``zero_rows``). ``info`` has the
    entropy in nats.

    Parameters
    ----------
    t : array, (n, d)
        T.
    rng : Generator or seed
        Not used: the value is exact.
    shared : Shared, optional
        Memo of this representation's spectra.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError
    """
    call = read("rank.effective", t, shared=shared)
    p, flags = unit_spectrum(call.x, call.shared, centre=True)
    h = entropy(p)
    value = math.exp(h) if p.any() else 0.0
    return bounded(call, value, min(call.n - 1, call.d), flags=flags, info={"entropy": h})


@estimator(
    id="entropy.matrix",
    label="Matrix entropy",
    quantity=Quantity.ENTROPY,
    measures="log effective rank as a share of its maximum log d (or in nats)",
    formula="−Σ λ log λ / log d, λ of ZᵀZ/n, Z centred and row-normalised",
    accepts=(Kind.CONTINUOUS,),
    cost=Cost.QUICK,
    complexity="n d min(n, d)",
    min_samples=2,
    ceiling="1 (log min(n − 1, d) / log d)",
    assumes=("directions from the mean count, lengths do not",),
    unit="1",
    invariant=("row order", "rotation", "scaling"),
    limits=(GROWS, "a constant unit changes log d", "two samples always give 0"),
    tolerance={"isotropic": 0.01, "simplex": 1e-9},
    bound="exact",
    meaningful_null=(),
    reference=_MATRIX,
)
def matrix_entropy(
    t: Any, *, normalised: bool = True, rng: Rng = None, shared: Shared | None = None
) -> Estimate:
    """Matrix entropy of a layer: H(λ) / log d as published, or H(λ) in nats.

    Parameters
    ----------
    t : array, (n, d)
        T.
    normalised : bool
        Divide by log d. ``info["entropy"]`` has the nats in any case.
    rng : Generator or seed
        Not used: the value is exact.
    shared : Shared, optional
        Memo of this representation's spectra.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError
    """
    call = read("entropy.matrix", t, {"normalised": normalised}, shared)
    p, flags = unit_spectrum(call.x, call.shared, centre=True)
    h = entropy(p)
    unit = math.log(call.d) if normalised and call.d > 1 else 1.0
    ceiling = math.log(min(call.n - 1, call.d)) / unit
    return bounded(call, h / unit, ceiling, flags=flags, info={"entropy": h})


@estimator(
    id="rank.participation",
    label="Participation ratio",
    quantity=Quantity.RANK,
    measures="number of directions among which the variance is spread",
    formula="(tr C)² / tr C², C the covariance",
    accepts=(Kind.CONTINUOUS,),
    cost=Cost.QUICK,
    complexity="n d min(n, d)",
    min_samples=2,
    ceiling="min(n − 1, d)",
    assumes=("variance is what counts: second moments describe the layer",),
    unit="1",
    invariant=("row order", "rotation", "scaling", "constant unit"),
    limits=(GROWS, "dominated by the units of largest variance"),
    tolerance={"isotropic": 1e-9, "simplex": 1e-9},
    bound="exact",
    meaningful_null=(),
    reference="Gao et al. 2017; exp of the Rényi-2 entropy of the covariance spectrum",
)
def participation_ratio(t: Any, *, rng: Rng = None, shared: Shared | None = None) -> Estimate:
    """Participation ratio (tr C)² / tr C² of a layer's covariance, without eigenvalues.

    Parameters
    ----------
    t : array, (n, d)
        T.
    rng, shared
        Not used: the value is exact and needs no intermediate.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError

    Examples
    --------
    >>> round(participation_ratio([[1, 0], [-1, 0], [0, 1], [0, -1]]).value, 9)
    2.0
    """
    call = read("rank.participation", t)
    z = call.x / call.scale
    z -= z.mean(axis=0)
    gram = z.T @ z if call.d < call.n else z @ z.T
    square = float(np.vdot(gram, gram))
    alive = float(np.abs(z).max()) > 1e-15 and square > 0
    value = float(np.trace(gram)) ** 2 / square if alive else 0.0
    return bounded(call, value, min(call.n - 1, call.d))


@estimator(
    id="norm.nuclear",
    label="Matrix nuclear norm",
    quantity=Quantity.NORM,
    measures="nuclear norm of the centred, row-normalised rows, or its column approximation",
    formula="Σ of the min(n, d) largest column norms; exact: Σ singular values",
    accepts=(Kind.CONTINUOUS,),
    cost=Cost.QUICK,
    complexity="n d; exact: n d min(n, d)",
    min_samples=2,
    ceiling="√(n min(n, d))",
    assumes=("directions from the mean count, lengths do not",),
    unit="1",
    invariant=("row order", "scaling", "constant unit"),
    limits=(
        "the column form is not rotation invariant, and no upper bound when n < d (flag truncated)",
        "grows with √n",
    ),
    tolerance={"one live column": 1e-9},
    bound="upper",
    meaningful_null=(),
    reference="Li et al. 2024, Large Language Model Evaluation via Matrix Nuclear-Norm",
)
def nuclear_norm(
    t: Any,
    *,
    method: Literal["columns", "exact"] = "columns",
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """Nuclear norm ‖Z‖_* of a layer, Z centred with rows of unit length.

    Parameters
    ----------
    t : array, (n, d)
        T.
    method : {"columns", "exact"}
        The published approximation by the largest column norms (not divided by n), or the sum of
        the singular values.
    rng : Generator or seed
        Not used: the value is exact.
    shared : Shared, optional
        Memo of this representation's spectra.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError
    """
    call = read("norm.nuclear", t, {"method": method}, shared)
    sides = min(call.n, call.d)
    if method == "exact":
        p, flags = unit_spectrum(call.x, call.shared, centre=True)
        rows = call.n - int(flags.value("zero_rows") or 0)
        value = math.sqrt(rows) * float(np.sqrt(p).sum())
    else:
        z, flags = unit_rows(call.x, centre=True)
        norms = np.sort(np.linalg.norm(z, axis=0))[::-1]
        value = float(norms[:sides].sum())
        if np.count_nonzero(norms[sides:]):
            flags = Flags([*flags, "truncated"])
    return bounded(call, value, math.sqrt(call.n * sides), flags=flags)
