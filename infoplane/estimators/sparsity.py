"""How many units of a layer are silent: exact zeros, small ones, top-k, and by their contribution.

All are shares between 0 and 1 of the entries of T, or of what T sends on. Li et al., The Lazy
Neuron Phenomenon (2023); Luo et al., Sparsing Law (2024), for FAT-ε, top-k and CETT.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

import numpy as np

from infoplane.errors import InputError
from infoplane.estimators.call import read
from infoplane.estimators.contract import Rng, samples
from infoplane.estimators.recovered import not_on_arrays, recovered_weight
from infoplane.estimators.registry import Bounds, estimator
from infoplane.estimators.shared import Shared
from infoplane.types import Cost, Estimate, FloatArray, Kind, Quantity

GRID = 65_536  # thresholds of CETT, evenly spaced up to the 99 % quantile, as published

_COMMON: dict[str, Any] = {
    "quantity": Quantity.SPARSITY,
    "accepts": (Kind.CONTINUOUS,),
    "cost": Cost.QUICK,
    "complexity": "n d",
    "min_samples": 2,
    "unit": "1",
    "ceiling": "1",
    "bound": "exact",
    "meaningful_null": (),
    "tolerance": {"counting": 0.0},
}
_SPARSING = "Luo et al. 2024, Sparsing Law, arXiv:2411.02335"


@estimator(
    id="sparsity.zero",
    label="Exact zeros",
    measures="share of entries that are exactly zero",
    formula="mean of 1[t_ij = 0]",
    assumes=("a silent unit is exactly zero, as after ReLU",),
    invariant=("row order", "scaling", "unit order"),
    limits=("0 for GELU, SiLU and tanh: use sparsity.threshold or sparsity.cett",),
    reference="Li et al. 2023, The Lazy Neuron Phenomenon, ICLR",
    **_COMMON,
)
def zeros(t: Any, *, rng: Rng = None, shared: Shared | None = None) -> Estimate:
    """Share of exactly zero activations of a layer (ReLU sparsity).

    Parameters
    ----------
    t : array, (n, d)
        T.
    rng, shared
        Not used: the value is exact and needs no intermediate.

    Returns
    -------
    Estimate
        ``info["dead"]`` is the share of units that are zero on all samples.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError

    Examples
    --------
    >>> zeros([[0.0, 1.0], [0.0, 0.0]]).value
    0.75
    """
    call = read("sparsity.zero", t)
    dead = float((~call.x.any(axis=0)).mean())
    return call.conclude(float((call.x == 0).mean()), floor=0.0, info={"dead": dead})


@estimator(
    id="sparsity.threshold",
    label="FAT-ε",
    measures="share of entries of absolute value below ε",
    formula="mean of 1[|t_ij| < ε]",
    assumes=("what is below ε does not matter on this layer's scale",),
    invariant=("row order", "unit order"),
    limits=("ε is on the layer's own scale: not comparable between layers",),
    reference=_SPARSING,
    **_COMMON,
)
def threshold(
    t: Any,
    *,
    epsilon: Annotated[float, Bounds(0, math.inf)] = 0.01,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """Share of activations below a threshold, |t| < ε.

    Parameters
    ----------
    t : array, (n, d)
        T.
    epsilon : float
        Threshold ε, in the layer's own unit.
    rng, shared
        Not used: the value is exact and needs no intermediate.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError
    """
    call = read("sparsity.threshold", t, {"epsilon": epsilon})
    return call.conclude(float((np.abs(call.x) < epsilon).mean()), floor=0.0)


@estimator(
    id="sparsity.topk",
    label="Top-k energy",
    measures="share of a sample's squared length that its largest entries hold",
    formula="mean over rows of Σ_{top k·d} t² / Σ t²",
    assumes=("squared length says how much an entry matters",),
    invariant=("row order", "scaling", "unit order"),
    limits=("k for a layer without structure, about 0.4 for a Gaussian one at k = 0.1",),
    reference=_SPARSING + "; published code takes the top k over the whole tensor",
    **{**_COMMON, "complexity": "n d log d", "tolerance": {"equal entries": 1e-12}},
)
def topk(
    t: Any,
    *,
    k: Annotated[float, Bounds(0, 1, open_low=True)] = 0.1,
    whole: bool = False,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """Share of the squared length held by the top k share of entries; 1 when the rest is silent.

    Parameters
    ----------
    t : array, (n, d)
        T.
    k : float
        Share of entries kept, rounded up to whole entries.
    whole : bool
        Take the largest entries over the whole layer, as published code does, not of each row.
    rng, shared
        Not used: the value is exact and needs no intermediate.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError
    """
    call = read("sparsity.topk", t, {"k": k, "whole": whole})
    x = call.x
    largest = np.abs(x).max(axis=None if whole else 1, keepdims=True)
    squares = np.square(x / np.maximum(largest, np.finfo(np.float64).tiny))
    squares = squares.reshape(1, -1) if whole else squares
    kept = int(np.ceil(round(k * squares.shape[1], 9)))
    top = np.partition(squares, squares.shape[1] - kept, axis=1)[:, -kept:].sum(axis=1)
    total = squares.sum(axis=1)
    alive = total > 0
    value = float((top[alive] / total[alive]).mean()) if alive.any() else 1.0
    return call.conclude(value, floor=0.0, info={"kept": kept})


@estimator(
    id="sparsity.cett",
    label="CETT sparsity",
    measures="share of units that can be dropped at a given relative error of the next layer's sum",
    formula="share with ‖a_i w_i‖ ≤ τ, τ the largest with mean ‖Σ_dropped a_i w_i‖ / ‖Wa‖ ≤ target",
    assumes=("T enters the down projection that is given, without bias",),
    invariant=("row order",),
    limits=(
        "needs the weights that read T, or their output to read them off; without a bias",
        "the error is not quite monotone in the threshold: bisection as published",
    ),
    needs="classifier",
    reference=_SPARSING,
    **{**_COMMON, "cost": Cost.STANDARD, "complexity": "16 n d d_out"},
)
def cett(
    t: Any,
    *,
    weight: Any = None,
    output: Any = None,
    target: Annotated[float, Bounds(0, 1)] = 0.2,
    output_layer: str | None = None,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """Sparsity at a cumulative error of tail truncation (CETT) of the layer's output.

    Parameters
    ----------
    t : array, (n, d)
        T: the gated activations a that enter the down projection.
    weight : array, (d_out, d)
        Weights W of that projection, one column a unit.
    output : array, (n, d_out), optional
        What it puts out, instead of ``weight``: the weights are read off by least squares, which
        takes more samples than units, none of them dead or dependent on others.
    target : float
        Largest mean relative error allowed.
    output_layer : str or None
        In a run: the layer that the projection puts out, at the same step.
    rng, shared
        Not used: the value is exact and needs no intermediate.

    Returns
    -------
    Estimate
        ``info`` has the threshold and the error reached there. When even the smallest threshold
        passes the target nothing is dropped, where published code drops all.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError
    """
    call = read("sparsity.cett", t, {"target": target, "output_layer": output_layer})
    if weight is None and output is None and output_layer is not None:
        raise not_on_arrays(call.name, "output_layer", "output")
    if weight is None and output is not None:
        weight = recovered_weight(call.x, output, name="output", estimator=call.name)
    rows = _reader(call.name, weight, call.d)
    x = call.x / call.scale
    sizes = np.abs(x) * np.linalg.norm(rows, axis=0)
    low, high = float(sizes.min()), float(np.quantile(sizes, 0.99))
    length = np.linalg.norm(x @ rows.T, axis=1)
    alive = length > 0

    def error(size: float) -> float:
        dropped = np.where(sizes <= size, x, 0.0)[alive] @ rows.T
        return float((np.linalg.norm(dropped, axis=1) / length[alive]).mean())

    if not alive.any():
        return call.conclude(1.0, floor=0.0, info={"threshold": 0.0, "error": 0.0})
    step = (high - low) / (GRID - 1)
    below, above = -1, GRID  # error(below) ≤ target < error(above), −1 drops nothing
    while above - below > 1:
        middle = (below + above) // 2
        below, above = (middle, above) if error(low + middle * step) <= target else (below, middle)
    size = low + below * step if below >= 0 else -1.0
    info = {"threshold": size, "error": error(size)}
    return call.conclude(float((sizes <= size).mean()), floor=0.0, info=info)


def _reader(name: str, weight: Any, d: int) -> FloatArray:
    if weight is None:
        raise InputError(
            f"`{name}` needs the weights that read T: pass weight=down_proj.weight, (d_out, {d})."
        )
    rows = samples(weight, name="weight", minimum=1, estimator=name)
    if rows.shape[1] != d:
        raise InputError(
            f"`weight` of `{name}` must be (d_out, {d}), one column a unit of T; got shape "
            f"{rows.shape}. Transpose it if it is the other way round."
        )
    return rows / max(float(np.abs(rows).max()), np.finfo(np.float64).tiny)
