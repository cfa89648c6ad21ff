"""Neural collapse: how close a layer is to one point a class, at the corners of a simplex.

With class means μ_c, their unweighted mean μ_G, Σ_W the covariance within classes over all samples
and Σ_B = (1/C) Σ (μ_c − μ_G)(μ_c − μ_G)ᵀ:

    NC1   tr(Σ_W Σ_B⁺) / C; its quotient tr Σ_W / tr Σ_B
    CDNV  (σ²_c + σ²_c') / 2‖μ_c − μ_c'‖²
    NC2   the means form an equiangular tight frame of equal lengths
    NC3   the classifier's rows are those means
    NC4   it decides by the nearest mean

All are 0 at collapse. Papyan, Han and Donoho (2020); Han, Papyan and Donoho (2022); Galanti, György
and Hutter (2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from infoplane.estimators.call import LabelledCall, read_labelled
from infoplane.estimators.class_geometry import (
    classifier_rows,
    frame_errors,
    geometry_of,
    refuse_coincident,
    wide,
)
from infoplane.estimators.contract import Rng
from infoplane.estimators.registry import estimator
from infoplane.estimators.shared import Shared
from infoplane.types import Cost, Estimate, Kind, Quantity, Status

PAPYAN = "Papyan, Han and Donoho 2020, PNAS 117(40)"
COMMON: dict[str, Any] = {
    "quantity": Quantity.COLLAPSE,
    "accepts": ((Kind.CONTINUOUS, Kind.DISCRETE),),
    "cost": Cost.QUICK,
    "complexity": "n d C",
    "min_samples": 2,
    "unit": "1",
    "bound": "exact",
    "meaningful_null": (),
    "needs": "labels",
}
_LAWS = ("row order", "label names", "rotation", "scaling", "shift", "constant unit")


def _judged(
    call: LabelledCall, value: float, *, flags: Sequence[str] = (), **more: Any
) -> Estimate:
    """Conclude what noise in many units passes for collapse: unreliable in a wide layer."""
    marks = wide(call)
    status = {"status": Status.UNRELIABLE} if marks else {}
    return call.conclude(value, floor=0.0, flags=[*flags, *marks], **status, **more)


@estimator(
    id="collapse.nc1",
    label="NC1",
    measures="variability within classes against that between, along the class means",
    formula="tr(Σ_W Σ_B⁺) / C",
    assumes=("several samples a class, more than units", "T is the input of the last linear layer"),
    invariant=_LAWS,
    limits=(
        "Papyan's notebook leaves out the 1/C",
        "infinite when class means coincide: refused",
        "needs more samples than units: noise in a wide layer looks collapsed (flag wide)",
    ),
    tolerance={"simplex with isotropic noise": 1e-9, "simplex": 1e-12},
    reference=PAPYAN,
    **COMMON,
)
def nc1(
    t: Any, y: Any, *, normalised: bool = True, rng: Rng = None, shared: Shared | None = None
) -> Estimate:
    """NC1, tr(Σ_W Σ_B⁺)/C: collapse of the variability within classes; 0 when complete.

    The pseudo-inverse is cut at rank C − 1. ``info["rank"]`` is the rank found.

    Parameters
    ----------
    t : array, (n, d)
        T.
    y : array, (n,)
        Class labels.
    normalised : bool
        Divide by the number of classes C, as in the paper; the authors' notebook does not.
    rng : Generator or seed
        Not used: the value is exact.
    shared : Shared, optional
        Memo of this representation's class geometry.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError, RefusedError
    """
    call = read_labelled("collapse.nc1", t, y, {"normalised": normalised}, shared)
    if call.trivial:
        return call.conclude(0.0)
    shape = geometry_of(call)
    values, axes = shape.axes()
    refuse_coincident(call, values.sum())
    spread = np.square(shape.within @ axes.T).mean(axis=0)
    count = len(shape.means)
    value = float((spread / values).sum()) / (count if normalised else 1)
    low = ["rank_deficient"] if len(values) < min(count - 1, call.d) else []
    return _judged(call, value, flags=low, info={"rank": len(values), "classes": count})


@estimator(
    id="collapse.quotient",
    label="NC1 quotient",
    measures="variance within classes over variance between",
    formula="tr Σ_W / tr Σ_B",
    assumes=("several samples a class", "T is the input of the last linear layer"),
    invariant=_LAWS,
    limits=("dominated by the directions of largest variance",),
    tolerance={"simplex with isotropic noise": 1e-9, "simplex": 1e-12},
    reference="Tirer, Huang and Niles-Weed 2023, Perturbation Analysis of Neural Collapse",
    **COMMON,
)
def quotient(t: Any, y: Any, *, rng: Rng = None, shared: Shared | None = None) -> Estimate:
    """Quotient tr Σ_W / tr Σ_B of variance within and between classes; 0 at collapse.

    Parameters
    ----------
    t : array, (n, d)
        T.
    y : array, (n,)
        Class labels.
    rng : Generator or seed
        Not used: the value is exact.
    shared : Shared, optional
        Memo of this representation's class geometry.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError, RefusedError
    """
    call = read_labelled("collapse.quotient", t, y, {}, shared)
    if call.trivial:
        return call.conclude(0.0)
    shape = geometry_of(call)
    between = float(np.square(shape.centred).sum()) / len(shape.means)
    refuse_coincident(call, between)
    return call.conclude(shape.within_trace / between, floor=0.0)


@estimator(
    id="collapse.cdnv",
    label="CDNV",
    measures="variance of two classes against the distance of their means, averaged over pairs",
    formula="mean over c ≠ c' of (σ²_c + σ²_c') / (2 ‖μ_c − μ_c'‖²)",
    assumes=("several samples a class", "class means are apart"),
    invariant=_LAWS,
    limits=("dominated by the closest pair of classes",),
    tolerance={"simplex with isotropic noise": 1e-9, "simplex": 1e-12},
    reference="Galanti, György and Hutter 2022, ICLR",
    **COMMON,
)
def cdnv(t: Any, y: Any, *, rng: Rng = None, shared: Shared | None = None) -> Estimate:
    """Class-distance normalised variance, averaged over pairs of classes; 0 at collapse.

    ``info["largest"]`` is that of the worst pair.

    Parameters
    ----------
    t : array, (n, d)
        T.
    y : array, (n,)
        Class labels.
    rng : Generator or seed
        Not used: the value is exact.
    shared : Shared, optional
        Memo of this representation's class geometry.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError, RefusedError
    """
    call = read_labelled("collapse.cdnv", t, y, {}, shared)
    if call.trivial:
        return call.conclude(0.0)
    shape = geometry_of(call)
    first, second = np.triu_indices(len(shape.means), 1)
    gram = shape.centred @ shape.centred.T
    lengths = np.diag(gram)
    squares = lengths[first] + lengths[second] - 2 * gram[first, second]
    refuse_coincident(call, squares)
    ratios = (shape.variances[first] + shape.variances[second]) / (2 * squares)
    return call.conclude(float(ratios.mean()), floor=0.0, info={"largest": float(ratios.max())})


@estimator(
    id="collapse.nc2",
    label="NC2",
    measures="distance of the class means (or of the classifier's rows) from a simplex frame",
    formula="‖MMᵀ/‖MMᵀ‖ − (I − 11ᵀ/C)/√(C−1)‖; lengths; angles; orthogonality",
    assumes=(
        "balanced classes, but for form='orthogonal'",
        "T is the input of the last linear layer",
    ),
    invariant=("row order", "label names", "rotation", "scaling"),
    limits=(
        "with unbalanced classes the limit is no simplex: use form='orthogonal'",
        "impossible when d < C − 1, and always reached by two classes",
        "needs more samples than units: the means of noise are nearly a simplex (flag wide)",
    ),
    tolerance={"simplex": 1e-9},
    reference=PAPYAN + "; unbalanced: Dang et al. 2023",
    **COMMON,
)
def nc2(
    t: Any,
    y: Any,
    *,
    form: Literal["etf", "norms", "angles", "orthogonal"] = "etf",
    weight: Any = None,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """NC2: distance of the class means from a simplex equiangular tight frame; 0 when reached.

    Parameters
    ----------
    t : array, (n, d)
        T.
    y : array, (n,)
        Class labels.
    form : {"etf", "norms", "angles", "orthogonal"}
        Error of the whole frame; spread of the lengths; mean error of the angles; for unbalanced
        classes, root mean squared cosine between the means as they are. ``info`` has all four.
    weight : array, (C, d), optional
        The classifier's weights: its rows, as they are, are then judged instead of the means.
    rng : Generator or seed
        Not used: the value is exact.
    shared : Shared, optional
        Memo of this representation's class geometry.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError, RefusedError
    """
    call = read_labelled("collapse.nc2", t, y, {"form": form}, shared)
    if call.trivial:
        return call.conclude(0.0)
    if weight is not None:
        rows = classifier_rows(call, y, weight)[0]
        rows = rows / max(float(np.abs(rows).max()), np.finfo(np.float64).tiny)
        centred = rows  # lengths and angles are those of the rows as they are
    else:
        shape = geometry_of(call)
        centred = shape.centred
        # the geometry is centred on the samples; orthogonality asks for the means as they are
        rows = shape.means + (call.x / call.scale).mean(axis=0)
    refuse_coincident(call, np.square(centred).sum(axis=1))
    refuse_coincident(call, np.square(rows).sum(axis=1))
    errors = frame_errors(rows, centred)
    if weight is not None:
        return call.conclude(errors[form], floor=0.0, info=errors)
    return _judged(call, errors[form], info=errors)
