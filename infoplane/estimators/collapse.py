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

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from infoplane.errors import InputError, RefusedError
from infoplane.estimators.contract import (
    Rng,
    classes,
    conclude,
    live_columns,
    plain,
    same_length,
    samples,
)
from infoplane.estimators.registry import check_params, estimator
from infoplane.estimators.shared import Shared, recall, serving
from infoplane.types import Cost, Estimate, Flags, FloatArray, IntArray, Kind, Quantity, Status

_PAPYAN = "Papyan, Han and Donoho 2020, PNAS 117(40)"
_COMMON: dict[str, Any] = {
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


@dataclass(frozen=True, slots=True)
class Geometry:
    """Class means of a layer and the scatter within classes, in units of the layer's largest entry.

    Attributes
    ----------
    means : ndarray, (C, d)
    counts : ndarray, (C,)
    within : ndarray, (n, d)
        Each row minus its class mean.
    variances : ndarray, (C,)
        Mean squared length of ``within`` in each class.
    centre : ndarray, (d,)
        Unweighted mean of the class means.
    """

    means: FloatArray
    counts: IntArray
    within: FloatArray
    variances: FloatArray
    centre: FloatArray

    @property
    def centred(self) -> FloatArray:
        """Class means minus their centre, (C, d)."""
        return self.means - self.centre

    @property
    def within_trace(self) -> float:
        """Return tr Σ_W, the mean over samples."""
        return float((self.variances * self.counts).sum() / self.counts.sum())

    def axes(self) -> tuple[FloatArray, FloatArray]:
        """Nonzero eigenvalues (r,) of Σ_B and its eigenvectors (r, d), r ≤ C − 1."""
        values, axes = np.linalg.svd(self.centred, full_matrices=False)[1:]
        rank = min(len(self.means) - 1, len(values))
        alive = values[:rank] > values[:1].sum() * 1e-13 * max(self.means.shape)
        rank = int(alive.sum())
        return values[:rank] ** 2 / len(self.means), axes[:rank]


def geometry(x: FloatArray, codes: IntArray) -> Geometry:
    """Return the class geometry of a layer (n, d) with codes 0 … C−1."""
    x = x / max(float(np.abs(x).max()), np.finfo(np.float64).tiny)
    x -= x.mean(axis=0)
    counts = np.bincount(codes)
    order = np.argsort(codes, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    means = np.add.reduceat(x[order], starts, axis=0) / counts[:, None]
    within = x - means[codes]
    squares = np.bincount(codes, weights=np.einsum("ij,ij->i", within, within))
    return Geometry(means, counts, within, squares / counts, means.mean(axis=0))


@dataclass(frozen=True, slots=True)
class _Case:
    """One call: the data read, and how to conclude it."""

    name: str
    x: FloatArray
    codes: IntArray
    params: dict[str, Any]
    flags: Flags
    shared: Shared | None

    @property
    def trivial(self) -> bool:
        return "constant" in self.flags or "single_class" in self.flags

    @property
    def geometry(self) -> Geometry:
        key = ("class geometry", hashlib.sha256(self.codes.tobytes()).hexdigest())
        return recall(self.shared, key, lambda: geometry(self.x, self.codes))

    def conclude(
        self, value: float, *, flags: Any = (), info: dict[str, Any] | None = None, **bounds: float
    ) -> Estimate:
        return conclude(
            value,
            estimator=self.name,
            n=len(self.x),
            d=self.x.shape[1],
            params=self.params,
            floor=0.0,
            saturates=False,
            flags=(*self.flags, *flags),
            info=info,
            status=Status.DEGENERATE if self.trivial else Status.OK,
            **bounds,
        )

    def refuse_coincident(self, squares: FloatArray | float) -> None:
        if not np.all(np.asarray(squares) > 1e-26):
            raise RefusedError(
                f"`{self.name}` compares with the distances between class means, and some means "
                "coincide: the value would be infinite. The layer does not separate these classes."
            )


def _read(name: str, t: Any, y: Any, params: dict[str, Any], shared: Shared | None) -> _Case:
    shared = serving(shared, t)
    params = check_params(name, params)
    x = samples(t, estimator=name)
    same_length(plain(y, name="y"), x, first="y")
    codes = classes(y, estimator=name)
    flags = [*live_columns(x)[1]]
    count = int(codes.max()) + 1
    if count == 1:
        flags.append("single_class")
    rare = int((np.bincount(codes) < 2).sum())
    return _Case(
        name, x, codes, params, Flags([*flags, *([f"rare_class={rare}"] if rare else [])]), shared
    )


@estimator(
    id="collapse.nc1",
    label="NC1",
    measures="variability within classes against that between, along the class means",
    formula="tr(Σ_W Σ_B⁺) / C",
    invariant=_LAWS,
    limits=("Papyan's notebook leaves out the 1/C", "infinite when class means coincide: refused"),
    tolerance={"simplex with isotropic noise": 1e-9},
    reference=_PAPYAN,
    **_COMMON,
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
    case = _read("collapse.nc1", t, y, {"normalised": normalised}, shared)
    if case.trivial:
        return case.conclude(0.0)
    shape = case.geometry
    values, axes = shape.axes()
    case.refuse_coincident(values.sum())
    spread = np.square(shape.within @ axes.T).mean(axis=0)
    count = len(shape.means)
    value = float((spread / values).sum()) / (count if normalised else 1)
    low = ["rank_deficient"] if len(values) < min(count - 1, case.x.shape[1]) else []
    return case.conclude(value, flags=low, info={"rank": len(values), "classes": count})


@estimator(
    id="collapse.quotient",
    label="NC1 quotient",
    measures="variance within classes over variance between",
    formula="tr Σ_W / tr Σ_B",
    invariant=_LAWS,
    limits=("dominated by the directions of largest variance",),
    tolerance={"simplex with isotropic noise": 1e-9},
    reference="Tirer, Huang and Niles-Weed 2023, Perturbation Analysis of Neural Collapse",
    **_COMMON,
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
    case = _read("collapse.quotient", t, y, {}, shared)
    if case.trivial:
        return case.conclude(0.0)
    between = float(np.square(case.geometry.centred).sum()) / len(case.geometry.means)
    case.refuse_coincident(between)
    return case.conclude(case.geometry.within_trace / between)


@estimator(
    id="collapse.cdnv",
    label="CDNV",
    measures="variance of two classes against the distance of their means, averaged over pairs",
    formula="mean over c ≠ c' of (σ²_c + σ²_c') / (2 ‖μ_c − μ_c'‖²)",
    invariant=_LAWS,
    limits=("dominated by the closest pair of classes",),
    tolerance={"simplex with isotropic noise": 1e-9},
    reference="Galanti, György and Hutter 2022, ICLR",
    **_COMMON,
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
    case = _read("collapse.cdnv", t, y, {}, shared)
    if case.trivial:
        return case.conclude(0.0)
    shape = case.geometry
    first, second = np.triu_indices(len(shape.means), 1)
    gram = shape.centred @ shape.centred.T
    lengths = np.diag(gram)
    squares = lengths[first] + lengths[second] - 2 * gram[first, second]
    case.refuse_coincident(squares)
    ratios = (shape.variances[first] + shape.variances[second]) / (2 * squares)
    return case.conclude(float(ratios.mean()), info={"largest": float(ratios.max())})


def frame_errors(rows: FloatArray, centred: FloatArray) -> dict[str, float]:
    """How far class vectors (C, d) are from a simplex frame, in four ways; all 0 at NC2.

    ``etf``: ‖MMᵀ/‖MMᵀ‖ − (I − 11ᵀ/C)/√(C−1)‖; ``norms``: spread of the lengths over their mean;
    ``angles``: mean |cos + 1/(C−1)|; ``orthogonal``: mean squared cosine, not centred, as a root,
    0 for means that are orthogonal with any lengths (the imbalanced form).
    """
    count = len(rows)
    gram = centred @ centred.T
    simplex = (np.eye(count) - 1 / count) / np.sqrt(count - 1)
    lengths = np.sqrt(np.diag(gram))
    apart = ~np.eye(count, dtype=bool)
    cosines = (gram / np.outer(lengths, lengths))[apart]
    own = np.linalg.norm(rows, axis=1)
    others = (rows @ rows.T / np.outer(own, own))[apart]
    return {
        "etf": float(np.linalg.norm(gram / np.linalg.norm(gram) - simplex)),
        "norms": float(lengths.std(ddof=1) / lengths.mean()),
        "angles": float(np.abs(cosines + 1 / (count - 1)).mean()),
        "orthogonal": float(np.sqrt(np.square(others).mean())),
    }


@estimator(
    id="collapse.nc2",
    label="NC2",
    measures="distance of the class means (or of the classifier's rows) from a simplex frame",
    formula="‖MMᵀ/‖MMᵀ‖ − (I − 11ᵀ/C)/√(C−1)‖; lengths; angles; orthogonality",
    invariant=("row order", "label names", "rotation", "scaling"),
    limits=(
        "with unbalanced classes the limit is no simplex: use form='orthogonal'",
        "impossible when d < C − 1, and always reached by two classes",
    ),
    tolerance={"simplex": 1e-9},
    reference=_PAPYAN + "; unbalanced: Dang et al. 2023",
    **_COMMON,
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
        The classifier's weights: its rows are then judged instead of the means.
    rng : Generator or seed
        Not used: the value is exact.
    shared : Shared, optional
        Memo of this representation's class geometry.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError, RefusedError
    """
    case = _read("collapse.nc2", t, y, {"form": form}, shared)
    if case.trivial:
        return case.conclude(0.0)
    if weight is not None:
        rows = _classifier(case, y, weight)[0]
        centred = rows - rows.mean(axis=0)
    else:
        scale = max(float(np.abs(case.x).max()), np.finfo(np.float64).tiny)
        centred = case.geometry.centred
        # `geometry` is centred on the samples; orthogonality asks for the means as they are
        rows = case.geometry.means + (case.x / scale).mean(axis=0)
    case.refuse_coincident(np.square(centred).sum(axis=1))
    case.refuse_coincident(np.square(rows).sum(axis=1))
    errors = frame_errors(rows, centred)
    return case.conclude(errors[form], info=errors)


def _classifier(case: _Case, y: Any, weight: Any) -> tuple[FloatArray, IntArray]:
    """Rows of the classifier's weights that belong to the classes present, and their indices."""
    if weight is None:
        raise InputError(
            f"`{case.name}` needs the classifier's weights: pass weight=layer.weight, (C, d), of "
            "the linear layer that reads T."
        )
    rows = samples(weight, name="weight", minimum=1, estimator=case.name)
    if rows.shape[1] != case.x.shape[1]:
        raise InputError(
            f"`weight` of `{case.name}` must be (C, {case.x.shape[1]}), one row a class; got shape "
            f"{rows.shape}. Pass T as it enters that layer."
        )
    labels = np.unique(plain(y, name="y"))
    count = int(case.codes.max()) + 1
    numbers = labels.dtype.kind in "iu" and labels.min() >= 0 and labels.max() < len(rows)
    if numbers and len(labels) == count:
        present = labels.astype(np.int64)
    elif len(rows) == count:
        present = np.arange(count)
    else:
        raise InputError(
            f"`weight` of `{case.name}` has {len(rows)} rows for {count} classes. Give labels as "
            "the row numbers 0 … C−1."
        )
    return rows[present], present


@estimator(
    id="collapse.nc3",
    label="NC3",
    measures="distance between the classifier's rows and the centred class means",
    formula="‖W/‖W‖_F − M/‖M‖_F‖_F²",
    ceiling="4",
    invariant=("row order", "scaling", "shift"),
    limits=("needs the weights of the linear layer that reads T",),
    tolerance={"simplex": 1e-12},
    reference=_PAPYAN,
    **{**_COMMON, "needs": "classifier"},
)
def nc3(
    t: Any, y: Any, *, weight: Any = None, rng: Rng = None, shared: Shared | None = None
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
    rng : Generator or seed
        Not used: the value is exact.
    shared : Shared, optional
        Memo of this representation's class geometry.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError, RefusedError
    """
    case = _read("collapse.nc3", t, y, {}, shared)
    rows = _classifier(case, y, weight)[0]
    if case.trivial:
        return case.conclude(0.0)
    centred = case.geometry.centred
    rows = rows / max(float(np.abs(rows).max()), np.finfo(np.float64).tiny)
    case.refuse_coincident(np.square(centred).sum())
    case.refuse_coincident(np.square(rows).sum())
    difference = rows / np.linalg.norm(rows) - centred / np.linalg.norm(centred)
    return case.conclude(float(np.square(difference).sum()), ceiling=4.0)


@estimator(
    id="collapse.nc4",
    label="NC4",
    measures="share of samples where the classifier and the nearest class mean disagree",
    formula="mean of 1[argmax_c ⟨w_c, h⟩ + b_c ≠ argmin_c ‖h − μ_c‖]",
    ceiling="1",
    invariant=("row order",),
    limits=("needs the classifier's weights, or its logits",),
    tolerance={"simplex": 0.0},
    reference=_PAPYAN,
    **{**_COMMON, "needs": "classifier"},
)
def nc4(
    t: Any,
    y: Any,
    *,
    weight: Any = None,
    bias: Any = None,
    logits: Any = None,
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
    rng : Generator or seed
        Not used: the value is exact.
    shared : Shared, optional
        Memo of this representation's class geometry.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError
    """
    case = _read("collapse.nc4", t, y, {}, shared)
    scores, present = _scores(case, y, weight, bias, logits)
    if case.trivial:
        return case.conclude(0.0)
    shape = case.geometry
    points = shape.within + shape.means[case.codes]
    # ‖h − μ‖² without ‖h‖², which is the same for all means
    nearest = (np.square(shape.means).sum(axis=1) - 2 * points @ shape.means.T).argmin(axis=1)
    wrong = present[nearest] != scores.argmax(axis=1)
    return case.conclude(float(wrong.mean()), ceiling=1.0)


def _scores(
    case: _Case, y: Any, weight: Any, bias: Any, logits: Any
) -> tuple[FloatArray, IntArray]:
    """Logits (n, C) and the columns that belong to the classes present."""
    if logits is not None:
        scores = samples(logits, name="logits", estimator=case.name)
        same_length(scores, case.x, first="logits")
        stand_in = np.zeros((scores.shape[1], case.x.shape[1]))
        return scores, _classifier(case, y, stand_in)[1]
    present = _classifier(case, y, weight)[1]
    rows = samples(weight, name="weight", minimum=1)
    # both brought to order one, so that the largest doubles do not overflow; the argmax is the same
    large, wide = (max(float(np.abs(a).max()), np.finfo(np.float64).tiny) for a in (case.x, rows))
    scores = (case.x / large) @ (rows / wide).T
    if bias is not None:
        offsets = samples(bias, name="bias", minimum=1)[:, 0]
        same_length(offsets, rows, first="bias", second="weight")
        with np.errstate(over="ignore"):
            scores += np.clip(offsets / large / wide, -1e300, 1e300)
    return scores, present
