"""The softmax channel: read a layer's outputs as p(ŷ|x) and its information is a sum, no estimate.

Drawing Ŷ from the network's own predicted distribution makes X → Ŷ a stochastic channel, so that
I(X;Ŷ) is finite and exact on the probe set, without bins, kernels or noise:
I(X;Ŷ) = H(p̄) − ⟨H(p_i)⟩,  I(Y;Ŷ) = H(p̄) − Σ_y π_y H(p̄_y),  I(X;Ŷ|Y) their difference.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from scipy.special import expit, xlogy

from infoplane.errors import InputError
from infoplane.estimators.contract import (
    Rng,
    conclude,
    entropy_of_counts,
    generator,
    heavy_tailed,
    is_discrete,
    plain,
    same_length,
    samples,
    symbols,
)
from infoplane.estimators.registry import check_params, estimator
from infoplane.estimators.shared import Shared
from infoplane.types import Cost, Estimate, FloatArray, IntArray, Kind, Quantity, Status

SOFTMAX = "mi.softmax"
SUMS_TO_ONE = 1e-3  # largest |Σ p − 1| of rows that count as probabilities


def probabilities(t: Any, form: str = "auto") -> FloatArray:
    """Rows p(ŷ|x) (n, C) of logits or of probabilities; one column is the logit of class 1.

    "auto" takes non-negative rows that sum to one (within 1e-3) for probabilities.
    """
    t = samples(t, name="t", minimum=2, estimator=SOFTMAX)
    alike = t.shape[1] > 1 and t.min() >= 0 and np.abs(t.sum(axis=1) - 1).max() <= SUMS_TO_ONE
    if form == "probabilities" or (form == "auto" and alike):
        if t.shape[1] == 1:
            t = np.hstack([1 - t, t])
        sums = t.sum(axis=1, keepdims=True)
        if t.min() < 0 or np.abs(sums - 1).max() > SUMS_TO_ONE:
            raise InputError(
                f"`t` of `{SOFTMAX}` must hold probabilities; rows sum to "
                f"[{sums.min():.3g}, {sums.max():.3g}] and the least entry is {t.min():.3g}. "
                "Pass form='logits'."
            )
        return np.asarray(t / sums)
    if t.shape[1] == 1:
        return np.hstack([expit(-t), expit(t)])
    with np.errstate(over="ignore"):  # −inf is the right answer, and exp(−inf) = 0
        odds = np.exp(t - t.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def entropy(p: FloatArray) -> FloatArray:
    """−Σ p log p along the last axis, with 0 log 0 = 0."""
    return np.asarray(-xlogy(p, p).sum(axis=-1))


def group_means(p: FloatArray, codes: IntArray) -> FloatArray:
    """Mean distribution p̄_v of each symbol, (symbols, C)."""
    sums = np.zeros((int(codes.max()) + 1, p.shape[1]))
    np.add.at(sums, codes, p)
    return np.asarray(sums / np.bincount(codes)[:, None])


def decompose(p: FloatArray, codes: IntArray) -> dict[str, float]:
    """I(X;Ŷ), I(V;Ŷ) and I(X;Ŷ|V) in nats from p (n, C) and the codes of V (n,)."""
    total = float(entropy(p.mean(axis=0)))
    given_x = float(entropy(p).mean())
    given_v = float(np.bincount(codes) / len(codes) @ entropy(group_means(p, codes)))
    return {
        "I(X;Ŷ)": total - given_x,
        "I(V;Ŷ)": total - given_v,
        "I(X;Ŷ|V)": given_v - given_x,
        "H(Ŷ)": total,
    }


def separation(p: FloatArray, codes: IntArray, conditional: float) -> dict[str, float]:
    """Γ, the mean cross-entropy H(p_i, p_j) over pairs of different symbols, and I(X;Ŷ|V) / Γ.

    The second is the normalised conditional information (NCMI): small when symbols are tight and
    far apart. Empty when there is one symbol only.
    """
    counts = np.bincount(codes).astype(np.float64)
    pairs = len(codes) ** 2 - float(counts @ counts)
    if pairs == 0:
        return {}
    logs = np.log(np.maximum(p, np.finfo(float).tiny))
    of_p, of_logs = (group_means(a, codes) * counts[:, None] for a in (p, logs))
    apart = float(of_p.sum(axis=0) @ of_logs.sum(axis=0)) - float((of_p * of_logs).sum())
    gamma = -apart / pairs
    return {"Γ": gamma} | ({"NCMI": conditional / gamma} if gamma > 0 else {})


def _null(
    v: Any, t: Any, *, draws: int, rng: Rng = None, shared: Shared | None = None, **params: Any
) -> FloatArray:
    """Shuffle the labels; the probabilities stay."""
    rng = generator(rng)
    p = probabilities(t, check_params(SOFTMAX, params)["form"])
    codes = _codes(v)
    return np.array([decompose(p, rng.permutation(codes))["I(V;Ŷ)"] for _ in range(draws)])


def _codes(v: Any) -> IntArray:
    """Symbols of V; an input X of real numbers is taken row by row, also as a vector."""
    if is_discrete(v):
        return symbols(v, name="v", estimator=SOFTMAX)
    array = plain(v, name="v")
    return symbols(array.reshape(len(array), -1), name="v", estimator=SOFTMAX)


@estimator(
    id=SOFTMAX,
    label="softmax channel",
    quantity=Quantity.MI,
    measures="I(V;Ŷ), Ŷ drawn from the predicted probabilities; exact on the probe set",
    formula="I(V;Ŷ) = H(p̄) − Σ_v π_v H(p̄_v),  p̄_v = ⟨p(ŷ|x)⟩ over the rows of symbol v",
    accepts=((Kind.DISCRETE, Kind.CONTINUOUS), (Kind.CONTINUOUS, Kind.CONTINUOUS)),
    cost=Cost.QUICK,
    complexity="n C",
    min_samples=2,
    ceiling="min(H(V), log C)",
    invariant=("row order", "label names", "unit order"),
    assumes=("T holds logits or probabilities of a categorical output",),
    limits=(
        "only for the output layer, or any layer read through a softmax",
        "temperature changes every value, though the decisions stay",
    ),
    reference="Yang et al., arXiv:2309.09123; Ye et al., ICLR 2024 (conditional information of "
    "class clusters in output space)",
    bound="exact",
    tolerance={"binary_symmetric": 0.0015},
    needs="logits",
    null=_null,
)
def softmax(
    v: Any,
    t: Any,
    *,
    form: Literal["auto", "logits", "probabilities"] = "auto",
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """I(V;Ŷ) = H(p̄) − Σ_v π_v H(p̄_v) in nats: with V the labels I(Y;Ŷ), with V the inputs I(X;Ŷ).

    Parameters
    ----------
    v : array_like, (n,) or (n, d_v)
        Labels Y, or the inputs X: each distinct row is a symbol.
    t : array_like, (n, C)
        Logits or probabilities; one column is the logit of class 1.
    form : {"auto", "logits", "probabilities"}
        What ``t`` holds. "auto" takes non-negative rows that sum to one for probabilities.
    rng, shared
        Not used.

    Returns
    -------
    Estimate
        ``info`` holds all of I(X;Ŷ), I(V;Ŷ), I(X;Ŷ|V) and H(Ŷ), and the class separation Γ and
        NCMI = I(X;Ŷ|V)/Γ of :func:`separation`; ``stderr`` is the spread of the
        local terms Σ_c p_c log(p̄_vc / p̄_c) over √n.

    References
    ----------
    Yang et al., arXiv:2309.09123. Ye et al., ICLR 2024.
    """
    params = check_params(SOFTMAX, {"form": form})
    p = probabilities(t, form)
    codes = _codes(v)
    same_length(codes, p)
    n, c = p.shape
    parts = decompose(p, codes)
    of_v = entropy_of_counts(np.bincount(codes))
    degenerate = codes.max() == 0 or np.ptp(p, axis=0).max() == 0
    mark = "single_class" if codes.max() == 0 else "constant"
    return conclude(
        0.0 if degenerate else parts["I(V;Ŷ)"],
        estimator=SOFTMAX,
        n=n,
        d=c,
        params=params,
        ceiling=None if degenerate else min(of_v, math.log(c)),
        floor=0.0,
        stderr=_spread(p, codes) if n > 2 else None,
        flags=[*([mark] if degenerate else []), *heavy_tailed(samples(t, name="t", minimum=2))],
        status=Status.DEGENERATE if degenerate else Status.OK,
        info={**parts, **separation(p, codes, parts["I(X;Ŷ|V)"])},
    )


def _spread(p: FloatArray, codes: IntArray) -> float:
    tiny = np.finfo(float).tiny
    ratio = np.log(np.maximum(group_means(p, codes), tiny)) - np.log(np.maximum(p.mean(0), tiny))
    return float((p * ratio[codes]).sum(axis=1).std(ddof=1) / math.sqrt(len(p)))
