"""Functional Fisher information: how much of a function's variation goes through a layer.

For f > 0 on data with covariance Σ, the functional entropy is bounded by the Fisher information
(log-Sobolev, with equality for f = exp(⟨a, x⟩) under a Gaussian):

    Ent(f) = E[f log f] − E[f] log E[f]  ≤  ½ E[∇fᵀ Σ ∇f / f]

f is usually the loss of each sample and ∇f its gradient with respect to T, both recorded by the
user. Gat, Schwartz, Schwing and Hazan, Removing Bias in Multi-modal Classifiers (2020); Gat,
Calderon, Reichart and Hazan, A Functional Information Perspective (2022).
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import numpy as np

from infoplane.errors import InputError
from infoplane.estimators.call import Call, read
from infoplane.estimators.contract import Rng, same_length, samples
from infoplane.estimators.registry import Bounds, estimator
from infoplane.estimators.shared import Shared
from infoplane.types import Cost, Estimate, FloatArray, Kind, Quantity, Status

Covariance = Literal["data", "unit"]
LARGEST = 1e50  # entries from which the products of three of them are not safe

_REFERENCE = "Gat et al. 2020, NeurIPS; Gat et al. 2022, ICML"
_COMMON: dict[str, Any] = {
    "accepts": (Kind.CONTINUOUS,),
    "cost": Cost.STANDARD,
    "complexity": "n d min(n, d)",
    "min_samples": 2,
    "invariant": (),
    "meaningful_null": (),
    "needs": "gradient",
    "reference": _REFERENCE,
}


def functional_entropy(f: FloatArray) -> float:
    """Ent(f) = E[f log f] − E[f] log E[f] of positive values, in nats times the unit of f."""
    mean = float(f.mean())
    return float((f * np.log(f / mean)).mean())


def _function(call: Call, gradient: Any, function_values: Any) -> tuple[FloatArray, FloatArray]:
    """∇f, (n, d), and f > 0, (n,), of a call."""
    name, x = call.name, call.x
    if gradient is None or function_values is None:
        raise InputError(
            f"`{name}` needs the gradient of a positive function with respect to T and its values: "
            "pass gradient=, (n, d), and function_values=, (n,), such as the loss of each sample."
        )
    g = samples(gradient, name="gradient", estimator=name)
    f = samples(function_values, name="function_values", estimator=name)
    same_length(g, x, first="gradient", second="t")
    same_length(f, x, first="function_values", second="t")
    if g.shape != x.shape or f.shape[1] != 1:
        raise InputError(
            f"`gradient` of `{name}` must be {x.shape} as `t`, and `function_values` ({len(x)},); "
            f"got {g.shape} and {f.shape}."
        )
    if (f <= 0).any():
        raise InputError(
            f"`function_values` of `{name}` must be positive; the least is {f.min():.3g}. A "
            "cross-entropy is; add a constant to a function that can be zero."
        )
    for label, array in (("t", x), ("gradient", g), ("function_values", f)):
        if float(np.abs(array).max()) > LARGEST:
            raise InputError(f"`{label}` of `{name}` has entries above {LARGEST:g}; rescale it.")
    if float(f.min()) < 1 / LARGEST:
        raise InputError(
            f"`function_values` of `{name}` must be at least {1 / LARGEST:g}; got {f.min():.3g}. "
            "Rescale them."
        )
    return g, f[:, 0]


def _energies(x: FloatArray, g: FloatArray, covariance: str) -> FloatArray:
    """∇fᵀ Σ ∇f of each sample, (n,)."""
    if covariance == "unit":
        return np.asarray(np.einsum("ij,ij->i", g, g))
    n, d = x.shape
    z = (x - x.mean(axis=0)) / math.sqrt(n)
    if d <= n:
        return np.asarray(np.einsum("ij,ij->i", g @ (z.T @ z), g))
    return np.asarray(np.square(g @ z.T).sum(axis=1))


@estimator(
    id="fisher.information",
    label="Functional Fisher information",
    quantity=Quantity.ENTROPY,
    measures="bound on the entropy of the loss over samples, through its gradient at this layer",
    formula="½ E[∇fᵀ Σ ∇f / f]",
    assumes=("T is Gaussian of covariance Σ", "f is positive"),
    limits=(
        "the bound holds for Gaussian T; elsewhere it is an index",
        "in the unit of f: compare shares, or info['relative']",
    ),
    tolerance={"exponential of a Gaussian": 0.05},
    bound="upper",
    **_COMMON,
)
def fisher_information(
    t: Any,
    *,
    gradient: Any = None,
    function_values: Any = None,
    covariance: Covariance = "data",
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """Return the functional Fisher information ½ E[∇fᵀ Σ ∇f / f] of a layer.

    Parameters
    ----------
    t : array, (n, d)
        T.
    gradient : array, (n, d)
        ∇f of each sample with respect to its row of T.
    function_values : array, (n,)
        f of each sample, positive.
    covariance : {"data", "unit"}
        Σ: the covariance of T, or the identity.
    rng, shared
        Not used: the value is exact and needs no intermediate.

    Returns
    -------
    Estimate
        ``info`` has the functional entropy of f (plug-in) and the value relative to E[f].

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError
    """
    call = read("fisher.information", t, {"covariance": covariance})
    g, f = _function(call, gradient, function_values)
    each = 0.5 * _energies(call.x, g, covariance) / f
    return call.conclude(
        float(each.mean()),
        floor=0.0,
        stderr=float(each.std(ddof=1) / math.sqrt(len(each))),
        info={
            "functional_entropy": functional_entropy(f),
            "relative": float(each.mean() / f.mean()),
        },
    )


@estimator(
    id="fisher.share",
    label="Functional Fisher share",
    quantity=Quantity.SHARE,
    measures="share of a block of units in the functional Fisher information of the layer",
    formula="I_B / (I_B + I_rest), I of each block with its own Σ",
    ceiling="1",
    assumes=("T is Gaussian of covariance Σ", "f is positive", "the blocks vary apart"),
    unit="1",
    limits=("blocks that vary together are judged apart: the two parts need not add up to I",),
    tolerance={"linear exponent": 0.02},
    bound="neither",
    **_COMMON,
)
def fisher_share(
    t: Any,
    *,
    gradient: Any = None,
    function_values: Any = None,
    covariance: Covariance = "data",
    begin: Annotated[int, Bounds(0, 1 << 30)] = 0,
    end: Annotated[int, Bounds(1, 1 << 30)] | None = None,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """Share of the columns ``begin`` … ``end`` − 1 in the functional Fisher information of T.

    Parameters
    ----------
    t : array, (n, d)
        T, for example the features of two modalities side by side.
    gradient, function_values, covariance
        As for ``fisher.information``.
    begin, end : int
        The block of columns; the first half by default.
    rng, shared
        Not used: the value is exact and needs no intermediate.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError
    """
    given = {"covariance": covariance, "begin": begin, "end": end}
    call = read("fisher.share", t, given)
    g, f = _function(call, gradient, function_values)
    x, d = call.x, call.d
    last = max(1, d // 2) if end is None else end
    if not begin < last <= d:
        raise InputError(
            f"`begin` and `end` of `{call.name}` must be 0 ≤ begin < end ≤ {d}; "
            f"got {begin} and {last}."
        )
    inside = np.zeros(d, dtype=bool)
    inside[begin:last] = True
    block, rest = (
        float((_energies(x[:, part], g[:, part], covariance) / f).mean()) if part.any() else 0.0
        for part in (inside, ~inside)
    )
    total = block + rest
    return call.conclude(
        block / total if total > 0 else 0.0,
        floor=0.0,
        flags=[] if total > 0 else ["flat"],
        status=Status.OK if total > 0 else Status.DEGENERATE,
        info={"block": 0.5 * block, "rest": 0.5 * rest},
    )
