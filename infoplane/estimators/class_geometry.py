"""Class means, the scatter around them, and how near they are to a simplex frame.

The geometry behind neural collapse: computed once for a layer and its labels, asked by every
``collapse.*`` estimator.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from infoplane.errors import InputError, RefusedError
from infoplane.estimators.call import LabelledCall
from infoplane.estimators.contract import plain, samples
from infoplane.estimators.shared import recall
from infoplane.types import FloatArray, IntArray


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


def geometry_of(call: LabelledCall) -> Geometry:
    """Return the class geometry of a call, remembered with its layer."""
    key = ("class geometry", hashlib.sha256(call.codes.tobytes()).hexdigest())
    return recall(call.shared, key, lambda: geometry(call.x, call.codes))


def wide(call: LabelledCall) -> list[str]:
    """Flag ``wide`` when there are as many units as samples beyond the class means.

    The means of noise are then nearly a simplex frame, and hold most of the noise.
    """
    return ["wide"] if call.d >= call.n - len(call.counts) else []


def refuse_coincident(call: LabelledCall, squares: FloatArray | float) -> None:
    """Raise RefusedError when a squared distance between class means is zero."""
    if not np.all(np.asarray(squares) > 1e-26):
        raise RefusedError(
            f"`{call.name}` compares with the distances between class means, and some means "
            "coincide: the value would be infinite. The layer does not separate these classes."
        )


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


def classifier_rows(call: LabelledCall, y: Any, weight: Any) -> tuple[FloatArray, IntArray]:
    """Rows of the classifier's weights that belong to the classes present, and their indices."""
    if weight is None:
        raise InputError(
            f"`{call.name}` needs the classifier's weights: pass weight=layer.weight, (C, d), of "
            "the linear layer that reads T."
        )
    rows = samples(weight, name="weight", minimum=1, estimator=call.name)
    if rows.shape[1] != call.x.shape[1]:
        raise InputError(
            f"`weight` of `{call.name}` must be (C, {call.x.shape[1]}), one row a class; got shape "
            f"{rows.shape}. Pass T as it enters that layer."
        )
    labels = np.unique(plain(y, name="y"))
    count = int(call.codes.max()) + 1
    numbers = labels.dtype.kind in "iu" and labels.min() >= 0 and labels.max() < len(rows)
    if numbers and len(labels) == count:
        present = labels.astype(np.int64)
    elif len(rows) == count:
        present = np.arange(count)
    else:
        raise InputError(
            f"`weight` of `{call.name}` has {len(rows)} rows for {count} classes. Give labels as "
            "the row numbers 0 … C−1."
        )
    return rows[present], present
