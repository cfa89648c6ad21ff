"""Collapse of the classifier: its rows are the class means (NC3), it picks the nearest (NC4)."""

from __future__ import annotations

from typing import Any

import numpy as np

from infoplane.estimators.call import LabelledCall, read_labelled
from infoplane.estimators.class_geometry import (
    classifier_rows,
    geometry_of,
    refuse_coincident,
)
from infoplane.estimators.collapse import COMMON, PAPYAN
from infoplane.estimators.contract import Rng, same_length, samples
from infoplane.estimators.recovered import not_on_arrays, recovered_weight
from infoplane.estimators.registry import estimator
from infoplane.estimators.shared import Shared
from infoplane.types import Estimate, FloatArray, IntArray


@estimator(
    id="collapse.nc3",
    label="NC3",
    measures="distance between the classifier's rows and the centred class means",
    formula="‖W/‖W‖_F − M/‖M‖_F‖_F²",
    ceiling="4",
    assumes=("balanced classes", "T is the input of the linear layer whose weights are given"),
    invariant=("row order", "scaling", "shift"),
    limits=("needs the weights of the linear layer that reads T, or its outputs to read them off",),
    tolerance={"simplex": 1e-12},
    reference=PAPYAN,
    **{**COMMON, "needs": "classifier"},
)
def nc3(
    t: Any,
    y: Any,
    *,
    weight: Any = None,
    logits: Any = None,
    logits_layer: str | None = None,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """NC3, ‖W/‖W‖ − M/‖M‖‖²: self-duality of classifier and class means; 0 when reached.

    Parameters
    ----------
    t : array, (n, d)
        T, the input of the classifier.
    y : array, (n,)
        Class labels; integers number the rows of ``weight``.
    weight : array, (C, d)
        Weights of the linear classifier.
    logits : array, (n, C), optional
        Its outputs, instead of ``weight``: the weights are read off by least squares, which takes
        more samples than units, none of them dead or dependent on others.
    logits_layer : str or None
        In a run: the layer that holds these outputs, at the same step.
    rng : Generator or seed
        Not used: the value is exact.
    shared : Shared, optional
        Memo of this representation's class geometry.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError, RefusedError
    """
    call = read_labelled("collapse.nc3", t, y, {"logits_layer": logits_layer}, shared)
    if weight is None and logits is None and logits_layer is not None:
        raise not_on_arrays(call.name, "logits_layer", "logits")
    if weight is None and logits is not None and not call.trivial:
        weight = recovered_weight(call.x, logits, name="logits", estimator=call.name)
    rows = classifier_rows(call, y, weight)[0]
    if call.trivial:
        return call.conclude(0.0)
    centred = geometry_of(call).centred
    rows = rows / max(float(np.abs(rows).max()), np.finfo(np.float64).tiny)
    refuse_coincident(call, np.square(centred).sum())
    refuse_coincident(call, np.square(rows).sum())
    difference = rows / np.linalg.norm(rows) - centred / np.linalg.norm(centred)
    return call.conclude(float(np.square(difference).sum()), ceiling=4.0, floor=0.0)


@estimator(
    id="collapse.nc4",
    label="NC4",
    measures="share of samples where the classifier and the nearest class mean disagree",
    formula="mean of 1[argmax_c ⟨w_c, h⟩ + b_c ≠ argmin_c ‖h − μ_c‖]",
    ceiling="1",
    assumes=("T is the input of the classifier that is given",),
    invariant=("row order",),
    limits=("needs the classifier's weights, or its logits",),
    tolerance={"simplex": 0.0},
    reference=PAPYAN,
    **{**COMMON, "needs": "classifier"},
)
def nc4(
    t: Any,
    y: Any,
    *,
    weight: Any = None,
    bias: Any = None,
    logits: Any = None,
    logits_layer: str | None = None,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """NC4: share of samples not decided as by the nearest class mean; 0 when reached.

    Parameters
    ----------
    t : array, (n, d)
        T, the input of the classifier.
    y : array, (n,)
        Class labels; integers number the rows of ``weight`` and the columns of ``logits``.
    weight, bias : arrays, (C, d) and (C,)
        The linear classifier; no bias counts as zero.
    logits : array, (n, C), optional
        Its outputs, instead of ``weight`` and ``bias``.
    logits_layer : str or None
        In a run: the layer that holds these outputs, at the same step.
    rng : Generator or seed
        Not used: the value is exact.
    shared : Shared, optional
        Memo of this representation's class geometry.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError
    """
    call = read_labelled("collapse.nc4", t, y, {"logits_layer": logits_layer}, shared)
    if logits is None and logits_layer is not None:
        raise not_on_arrays(call.name, "logits_layer", "logits")
    scores, present = _scores(call, y, weight, bias, logits)
    if call.trivial:
        return call.conclude(0.0)
    shape = geometry_of(call)
    points = shape.within + shape.means[call.codes]
    # ‖h − μ‖² without ‖h‖², which is the same for all means
    nearest = (np.square(shape.means).sum(axis=1) - 2 * points @ shape.means.T).argmin(axis=1)
    wrong = present[nearest] != scores.argmax(axis=1)
    return call.conclude(float(wrong.mean()), ceiling=1.0, floor=0.0)


def _scores(
    call: LabelledCall, y: Any, weight: Any, bias: Any, logits: Any
) -> tuple[FloatArray, IntArray]:
    """Logits (n, C) and the columns that belong to the classes present."""
    if logits is not None:
        scores = samples(logits, name="logits", estimator=call.name)
        same_length(scores, call.x, first="logits")
        stand_in = np.zeros((scores.shape[1], call.x.shape[1]))
        return scores, classifier_rows(call, y, stand_in)[1]
    present = classifier_rows(call, y, weight)[1]
    rows = samples(weight, name="weight", minimum=1)
    # both brought to order one, so that the largest doubles do not overflow; the argmax is the same
    large, wide = (max(float(np.abs(a).max()), np.finfo(np.float64).tiny) for a in (call.x, rows))
    scores = (call.x / large) @ (rows / wide).T
    if bias is not None:
        offsets = samples(bias, name="bias", minimum=1)[:, 0]
        same_length(offsets, rows, first="bias", second="weight")
        with np.errstate(over="ignore"):
            scores += np.clip(offsets / large / wide, -1e300, 1e300)
    return scores, present
