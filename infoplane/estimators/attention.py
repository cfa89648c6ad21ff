"""Entropy of attention maps, with the ceiling that each row really has.

A causal query at position i can look at i + 1 keys, so that its ceiling is log(i + 1); published
code takes log(context) for every row and so calls early rows collapsed. Jha and Reagen,
Entropy-Guided Attention for Private LLMs (2025).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from infoplane.errors import InputError, NonFiniteError
from infoplane.estimators.contract import Rng, conclude, enough, plain
from infoplane.estimators.registry import check_params, estimator
from infoplane.estimators.shared import Shared
from infoplane.types import Cost, Estimate, FloatArray, Kind, Quantity

NAME = "attention.entropy"
OFF_BY = 0.02  # by how much a row may miss a sum of 1: what bfloat16 does to a long row
BLOCK = 1 << 22  # rows × keys taken at once


def _maps(t: Any) -> FloatArray:
    """Attention maps as (maps, queries, keys): probabilities along the last axis."""
    array = plain(t, name="t")
    if array.dtype.kind not in "biuf":
        raise InputError(f"`t` must hold real numbers; got dtype {array.dtype}.")
    if not 2 <= array.ndim <= 4 or 0 in array.shape[1:]:
        raise InputError(
            f"`t` of `{NAME}` must be attention maps (…, queries, keys) with two to four axes; got "
            f"shape {array.shape}."
        )
    enough(len(array), 1, estimator=NAME)
    maps = array.reshape(-1, *array.shape[-2:])
    for index, one in enumerate(maps):
        _check(one, index)
    return np.asarray(maps, dtype=np.float64)


def _check(one: Any, index: int) -> None:
    if not np.isfinite(one).all():
        bad = np.argwhere(~np.isfinite(one))
        raise NonFiniteError(
            f"`t` of `{NAME}` holds {len(bad)} non-finite values in map {index}; a fully masked "
            "row gives NaN. Drop those queries.",
            count=len(bad),
            first=(index, *(int(i) for i in bad[0])),
        )
    low, high = float(one.min()), float(one.max())
    if low >= 0 and high <= 1 + OFF_BY:
        sums = one.sum(axis=-1, dtype=np.float64)
        if np.abs(sums - 1.0).max() <= OFF_BY:
            return
    raise InputError(
        f"`t` of `{NAME}` must be probabilities that sum to 1 along the last axis; map {index} has "
        f"entries from {low:.3g} to {high:.3g} that do not. Pass the maps after the softmax (and "
        "before dropout)."
    )


def _ceilings(maps: FloatArray, causal: bool) -> FloatArray:
    """Largest entropy of each query, (queries,)."""
    queries, keys = maps.shape[1:]
    if not causal:
        return np.full(queries, np.log(keys))
    if queries % keys:
        raise InputError(
            "`causal=True` needs maps of as many queries as keys (or whole maps below each other); "
            f"got {queries} queries and {keys} keys."
        )
    position = np.arange(queries) % keys
    future = np.arange(keys) > position[:, None]
    if float(np.where(future, maps, 0.0).max()) > OFF_BY:
        raise InputError("the maps look ahead, so they are not causal; pass causal=False.")
    return np.asarray(np.log(position + 1.0))


@estimator(
    id=NAME,
    label="Attention entropy",
    quantity=Quantity.ATTENTION,
    measures="mean entropy of the attention rows: how widely a query looks",
    formula="mean over queries of −Σ_j A_ij log A_ij; ceiling log(i + 1) when causal",
    accepts=(Kind.CONTINUOUS,),
    cost=Cost.QUICK,
    complexity="heads · context²",
    min_samples=1,
    ceiling="mean over queries of log(keys) or log(i + 1)",
    assumes=("rows are probabilities over keys",),
    invariant=("row order",),
    limits=(
        "fused attention kernels return no maps: recompute them from queries and keys",
        "rows are renormalised; they must sum to 1 within 2 %",
    ),
    tolerance={"uniform causal rows": 1e-12},
    bound="exact",
    meaningful_null=(),
    needs="attention",
    reference="Jha and Reagen 2025, Entropy-Guided Attention for Private LLMs",
)
def attention_entropy(
    t: Any, *, causal: bool = False, rng: Rng = None, shared: Shared | None = None
) -> Estimate:
    """Mean entropy of attention rows, in nats, with the ceiling of each row.

    Parameters
    ----------
    t : array, (n, heads, queries, keys) or (n, queries, keys) or (queries, keys)
        Attention probabilities.
    causal : bool
        Query i sees keys 0 … i only, so that its ceiling is log(i + 1).
    rng, shared
        Not used: the value is exact and needs no intermediate.

    Returns
    -------
    Estimate
        ``info["share"]`` is the mean share of each row's own ceiling (rows that can see one key are
        left out), ``info["collapsed"]`` and ``info["overloaded"]`` the shares of rows below 5 % and
        above 75 % of it, ``info["heads"]`` the mean entropy of each head.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError

    Examples
    --------
    >>> round(attention_entropy([[0.25, 0.25, 0.25, 0.25], [1.0, 0.0, 0.0, 0.0]]).bits, 9)
    1.0
    """
    params = check_params(NAME, {"causal": causal})
    maps = _maps(t)
    ceilings = _ceilings(maps, causal)
    rows = np.stack([_row_entropies(one) for one in maps])
    free = ceilings > 0
    shares = rows[:, free] / ceilings[free] if free.any() else np.zeros((1, 1))
    return conclude(
        float(rows.mean()),
        estimator=NAME,
        n=maps.shape[0] * maps.shape[1],
        d=maps.shape[2],
        params=params,
        ceiling=float(ceilings.mean()),
        floor=0.0,
        saturates=False,
        slack=1e-6,
        info={
            "share": float(shares.mean()),
            "collapsed": float((shares < 0.05).mean()),
            "overloaded": float((shares > 0.75).mean()),
            "heads": _by_head(t, rows),
        },
    )


def _row_entropies(one: FloatArray) -> FloatArray:
    result = np.empty(len(one))
    step = max(1, BLOCK // one.shape[1])
    for start in range(0, len(one), step):
        part = one[start : start + step]
        p = part / part.sum(axis=1, keepdims=True)
        result[start : start + step] = -(p * np.log(np.where(p > 0, p, 1.0))).sum(axis=1)
    return result


def _by_head(t: Any, rows: FloatArray) -> list[float]:
    shape = np.shape(plain(t, name="t"))
    if len(shape) < 4:
        return [float(rows.mean())]
    return [float(value) for value in rows.reshape(shape[0], shape[1], -1).mean(axis=(0, 2))]
