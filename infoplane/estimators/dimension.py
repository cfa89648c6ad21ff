"""Intrinsic dimension of a layer from its nearest neighbours: local (LID) and global (TwoNN).

With r_1 ≤ … ≤ r_k the distances to the k nearest others, LID is k / Σ log(r_k / r_i) in published
code, whose mean is d·k/(k−2) on data of dimension d; the unbiased form has k − 2 above the sum.
TwoNN uses μ = r_2 / r_1 alone, whose density is d μ^{−d−1}.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import numpy as np

from infoplane.errors import RefusedError
from infoplane.estimators.call import Call, read
from infoplane.estimators.contract import Rng, enough
from infoplane.estimators.distances import nearest
from infoplane.estimators.registry import Bounds, estimator
from infoplane.estimators.shared import Shared
from infoplane.types import Cost, Estimate, FloatArray, Kind, Quantity, Status

_LIMITS = (
    "biased low by the boundary of the data, the more so the higher the dimension",
    "a layer rounded to a grid has ties, not a dimension",
)


SLACK = 0.25  # share of d by which an estimate may pass the number of units without a flag


def _neighbours(call: Call, k: int) -> tuple[FloatArray, Call]:
    """Distances to the k nearest distinct others; repeated rows enter once (``duplicates=m``).

    A layer of too few distinct rows has none, and the flag ``discrete``.
    """
    x = call.x
    enough(len(x), k + 2, estimator=call.name)
    distances = nearest(x, k, call.shared)[0]
    if distances[:, 0].min() > 0:
        return distances, call
    distinct = np.unique(x, axis=0)
    if len(distinct) < len(x):
        call = call.with_flags([f"duplicates={len(x) - len(distinct)}"])
    if len(distinct) < k + 2:
        return np.empty((0, k)), call.with_flags(["discrete"])
    return nearest(distinct, k)[0], call


def _broken(call: Call, value: float, stderr: float | None) -> float | None:
    """Return d, the number of units, when the dimension found is clearly above it."""
    slack = SLACK * call.d + min(4 * (stderr or 0.0), call.d)
    return float(call.d) if value > call.d + slack else None


def _atoms(call: Call) -> Estimate:
    """Return the answer for a layer of a few atoms: a finite set has dimension 0."""
    return call.conclude(0.0, status=Status.DEGENERATE)


def local_dimensions(distances: FloatArray, method: str = "unbiased") -> FloatArray:
    """Local dimension at each point from the distances (n, k) to its neighbours, ascending.

    Points whose neighbours are all equally far have none and are left out.
    """
    k = distances.shape[1]
    last = distances[:, -1:]
    if method == "mom":
        inner = distances[:, :-1].mean(axis=1)
        spread = last[:, 0] - inner
        return np.asarray(inner[spread > 0] / spread[spread > 0])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(distances > 0, distances / last, 1.0)
    total = -np.log(ratios).sum(axis=1)
    factor = k - 2 if method == "unbiased" else k
    return np.asarray(factor / total[total > k * 1e-12])


def _refuse_ties(name: str, usable: int, points: int) -> None:
    if usable < max(2, points // 2):
        raise RefusedError(
            f"`{name}` needs neighbours at different distances; they are equal around "
            f"{points - usable} of {points} points. The layer sits on a grid (one-hot, rounded or "
            "binary codes): use `entropy.matrix` or a discrete estimator."
        )


@estimator(
    id="dimension.lid",
    label="LID",
    quantity=Quantity.DIMENSION,
    measures="mean over points of the local intrinsic dimension at the scale of k neighbours",
    formula="(k − 2) / Σ_{i<k} log(r_k / r_i); published: k above the sum",
    accepts=(Kind.CONTINUOUS,),
    cost=Cost.STANDARD,
    complexity="n² d",
    min_samples=22,
    unit="1",
    ceiling="d, the number of units",
    assumes=("rows i.i.d.", "a constant density within k neighbours"),
    invariant=("row order", "rotation", "scaling", "shift", "constant unit"),
    limits=(*_LIMITS, "the published form is too high by k/(k − 2)"),
    tolerance={"uniform ball, at the centre": 0.03, "ball": 0.6},
    meaningful_null=(),
    reference="Levina and Bickel 2004; Huang et al. 2024, LDReg, ICLR",
)
def lid(
    t: Any,
    *,
    k: Annotated[int, Bounds(3, 10_000)] = 20,
    method: Literal["unbiased", "published", "mom"] = "unbiased",
    average: Literal["mean", "geometric", "harmonic"] = "mean",
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """Local intrinsic dimension of a layer, averaged over its points.

    Parameters
    ----------
    t : array, (n, d)
        T; repeated rows enter once.
    k : int
        Neighbours of each point, itself not counted.
    method : {"unbiased", "published", "mom"}
        Maximum likelihood with k − 2 or with k above the sum, or the method of moments
        m / (r_k − m) with m the mean of the smaller distances.
    average : {"mean", "geometric", "harmonic"}
        How points are averaged.
    rng : Generator or seed
        Not used: the value is exact.
    shared : Shared, optional
        Memo of this representation's neighbours.

    Returns
    -------
    Estimate
        ``stderr`` takes points as independent, which overlapping neighbourhoods are not quite.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError, RefusedError
    """
    call = read("dimension.lid", t, {"k": k, "method": method, "average": average}, shared)
    distances, call = _neighbours(call, k)
    if "discrete" in call.flags:
        return _atoms(call)
    values = local_dimensions(distances, method)
    _refuse_ties(call.name, len(values), len(distances))
    value = {
        "mean": lambda: values.mean(),
        "geometric": lambda: np.exp(np.log(values).mean()),
        "harmonic": lambda: 1.0 / (1.0 / values).mean(),
    }[average]()
    stderr = float(values.std(ddof=1) / math.sqrt(len(values)))
    return call.conclude(
        float(value),
        stderr=stderr,
        ceiling=_broken(call, value, stderr),
        info={"quantiles": np.quantile(values, (0.05, 0.5, 0.95)).tolist(), "points": len(values)},
    )


@estimator(
    id="dimension.twonn",
    label="TwoNN",
    quantity=Quantity.DIMENSION,
    measures="one intrinsic dimension of the whole layer at the scale of nearest neighbours",
    formula="slope of −log(1 − F(μ)) against log μ, μ = r_2 / r_1; ML: (n − 1) / Σ log μ",
    accepts=(Kind.CONTINUOUS,),
    cost=Cost.STANDARD,
    complexity="n² d",
    min_samples=20,
    unit="1",
    ceiling="d, the number of units",
    assumes=("rows i.i.d.", "a constant density within two neighbours"),
    invariant=("row order", "rotation", "scaling", "shift", "constant unit"),
    limits=(*_LIMITS, "noise at the smallest scale counts as dimension"),
    tolerance={"uniform cube, d = 2, n = 2000": 0.15, "ball": 0.85},
    meaningful_null=(),
    reference="Facco, d'Errico, Rodriguez and Laio 2017, Sci. Rep. 7:12140",
)
def twonn(
    t: Any,
    *,
    method: Literal["fit", "ml"] = "fit",
    discard: Annotated[float, Bounds(0, 0.9)] = 0.1,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """Intrinsic dimension of a layer by the TwoNN estimator.

    Parameters
    ----------
    t : array, (n, d)
        T; repeated rows enter once.
    method : {"fit", "ml"}
        The published straight-line fit through the origin, or maximum likelihood (unbiased, with
        a standard error).
    discard : float
        Share of the largest ratios left out of the fit.
    rng : Generator or seed
        Not used: the value is exact.
    shared : Shared, optional
        Memo of this representation's neighbours.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError, RefusedError
    """
    call = read("dimension.twonn", t, {"method": method, "discard": discard}, shared)
    enough(call.n, 20, estimator=call.name)
    distances, call = _neighbours(call, 2)
    if "discrete" in call.flags:
        return _atoms(call)
    apart = distances[distances[:, 0] > 0]  # a wild outlier makes the others coincide
    logs = np.sort(np.log(apart[:, 1] / apart[:, 0]))
    n = len(logs)
    _refuse_ties(call.name, int((logs > 1e-12).sum()), len(distances))
    stderr = None
    if method == "ml":
        value = (n - 1) / float(logs.sum())
        stderr = value / math.sqrt(n)
    else:
        kept = max(2, int(n * (1 - discard)))
        kept = min(kept, n - 1)  # F = 1 has no logarithm
        height = -np.log1p(-np.arange(1, kept + 1) / n)
        value = float(logs[:kept] @ height / (logs[:kept] @ logs[:kept]))
    return call.conclude(
        value, stderr=stderr, ceiling=_broken(call, value, stderr), info={"points": n}
    )
