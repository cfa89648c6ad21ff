"""Exact information of factorised codes: a layer read as several k-way categorical variables."""

from __future__ import annotations

import math
from typing import Annotated, Any

import numpy as np
from scipy.special import xlogy

from infoplane.errors import InputError
from infoplane.estimators.contract import (
    Rng,
    conclude,
    entropy_of_counts,
    generator,
    heavy_tailed,
    is_discrete,
    plain,
    ranks,
    same_length,
    samples,
    symbols,
)
from infoplane.estimators.registry import Bounds, check_params, estimator
from infoplane.estimators.shared import Shared
from infoplane.types import Cost, Estimate, Flags, FloatArray, IntArray, Kind, Quantity, Status

CODES = "mi.codes"
SUMS_TO_ONE = 1e-3


def distributions(t: Any, levels: int) -> FloatArray:
    """p(c_j = a | x) as (n, parts, levels): one-hot for integers, softmax of blocks for floats.

    Blocks of ``levels`` columns that already are distributions stay as they are.
    """
    if is_discrete(t):
        array = plain(t, name="t")
        columns = array.reshape(len(array), -1).T
        codes = np.stack([ranks(column) for column in columns], axis=1)  # (n, parts)
        return np.asarray(np.eye(int(codes.max()) + 1)[codes])
    points = samples(t, name="t", minimum=2, estimator=CODES)
    if points.shape[1] % levels:
        raise InputError(
            f"`t` of `{CODES}` must have a multiple of `levels` = {levels} columns; "
            f"got {points.shape[1]}."
        )
    blocks = points.reshape(len(points), -1, levels)
    if blocks.min() >= 0 and np.abs(blocks.sum(axis=2) - 1).max() <= SUMS_TO_ONE:
        return np.asarray(blocks / blocks.sum(axis=2, keepdims=True))
    with np.errstate(over="ignore"):
        odds = np.exp(blocks - blocks.max(axis=2, keepdims=True))
    return np.asarray(odds / odds.sum(axis=2, keepdims=True))


def _tail(t: Any) -> Flags:
    return Flags() if is_discrete(t) else heavy_tailed(samples(t, name="t"))


def entropy(p: FloatArray) -> FloatArray:
    """−Σ p log p along the last axis."""
    return np.asarray(-xlogy(p, p).sum(axis=-1))


def per_code(p: FloatArray, codes: IntArray) -> FloatArray:
    """I(c_j; V) of each code, (parts,), exact for the mean distributions on the probe set."""
    counts = np.bincount(codes)
    sums = np.zeros((len(counts), *p.shape[1:]))
    np.add.at(sums, codes, p)
    inside = entropy(sums / counts[:, None, None])  # (symbols, parts)
    return np.asarray(entropy(p.mean(axis=0)) - counts / len(codes) @ inside)


def redundancy(p: FloatArray) -> float:
    """Σ_{i<j} I(c_i; c_j), codes independent given the sample: what the sum counts twice."""
    n, parts, levels = p.shape
    flat = p.reshape(n, -1)
    joint = (flat.T @ flat / n).reshape(parts, levels, parts, levels)
    if parts == 1:
        return 0.0
    alone = entropy(p.mean(axis=0))
    first, second = np.triu_indices(parts, 1)
    both = entropy(joint.transpose(0, 2, 1, 3)[first, second].reshape(len(first), -1))
    return float((alone[first] + alone[second] - both).sum())


def _null(
    v: Any, t: Any, *, draws: int, rng: Rng = None, shared: Shared | None = None, **params: Any
) -> FloatArray:
    """Shuffle V; the codes stay."""
    rng = generator(rng)
    p = distributions(t, check_params(CODES, params)["levels"])
    codes = symbols(v, name="v", estimator=CODES)
    return np.array([per_code(p, rng.permutation(codes)).sum() for _ in range(draws)])


@estimator(
    id=CODES,
    label="factorised codes",
    quantity=Quantity.MI,
    measures="Σ_j I(V; c_j) of the k-way codes that T spells, exact if the codes are independent",
    formula="Σ_j [H(p̄_j) − Σ_v π_v H(p̄_j|v)]",
    accepts=((Kind.DISCRETE, Kind.CONTINUOUS), (Kind.DISCRETE, Kind.DISCRETE)),
    cost=Cost.QUICK,
    complexity="n d",
    min_samples=2,
    ceiling="parts × log levels",
    assumes=("rows i.i.d.", "the codes share no information with each other"),
    invariant=("row order", "label names"),
    limits=(
        "counts information twice that several codes share: info['redundancy'] says how much "
        "(flag redundant, unreliable beyond H(V))",
        "floats are read as logits of `levels`-way codes, whether the network means them so or not",
    ),
    reference="Song et al., Discrete infomax codes for supervised representation learning, "
    "Entropy 24 (2022)",
    tolerance={"binary_symmetric": 0.065, "z_channel": 0.05, "erasure": 0.035},
    needs="codes",
    null=_null,
)
def codes(
    v: Any,
    t: Any,
    *,
    levels: Annotated[int, Bounds(2, 65536)] = 2,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """Sum over codes of I(V; c_j) = H(p̄_j) − Σ_v π_v H(p̄_j|v), in nats.

    Parameters
    ----------
    v : array_like, (n,) or (n, k)
        Discrete variable asked about.
    t : array_like, (n, parts) integers or (n, parts × levels) floats
        Codes, or logits (or probabilities) of ``levels``-way codes, block after block.
    levels : int
        Symbols of a code given as floats.
    rng, shared
        Not used.

    Returns
    -------
    Estimate
        ``info["redundancy"]`` is Σ_{i<j} I(c_i; c_j), ``info["per_code"]`` the terms.
    """
    params = check_params(CODES, {"levels": levels})
    p = distributions(t, levels)
    of_v = symbols(v, name="v", estimator=CODES)
    same_length(of_v, p)
    n, parts, k = p.shape
    if np.ptp(p, axis=0).max() == 0 or of_v.max() == 0:
        mark = "constant" if of_v.max() else "single_class"
        return conclude(0.0, estimator=CODES, n=n, d=parts, params=params, flags=[mark],
                        status=Status.DEGENERATE)  # fmt: skip
    terms = per_code(p, of_v)
    shared_part = redundancy(p) if parts <= 512 else None
    value = float(terms.sum())
    above = value > entropy_of_counts(np.bincount(of_v)) + 1e-9
    info: dict[str, Any] = {"per_code": [float(term) for term in terms[:64]], "parts": parts}
    return conclude(
        value,
        estimator=CODES,
        n=n,
        d=parts,
        params=params,
        ceiling=parts * math.log(k),
        floor=0.0,
        flags=[*(["redundant"] if above else []), *_tail(t)],
        status=Status.UNRELIABLE if above else Status.OK,
        info=info if shared_part is None else {**info, "redundancy": shared_part},
    )
