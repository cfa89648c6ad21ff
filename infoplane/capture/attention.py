"""Attention probabilities: recomputed from what the attention functions are given."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

ATTENTION = frozenset({"scaled_dot_product_attention", "multi_head_attention_forward", "softmax"})
"""Functions inside which attention probabilities arise."""

ENTRIES = 4096
"""Probabilities kept of one sample at most: heads × queries × keys."""


def attention_of(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor | None:
    """Return the probabilities (n, heads, queries, keys) of one attention call, or None.

    Every query's row sums to 1. Where there are more than `ENTRIES` per sample, evenly spaced
    queries are kept. The call itself is not touched: this is a second, smaller computation.
    """
    name = func.__name__
    if name == "scaled_dot_product_attention":
        return _scaled_dot_product(*args, **kwargs)
    if name == "multi_head_attention_forward":
        wanted = {**kwargs, "need_weights": True, "average_attn_weights": False}
        weights: Tensor = func(*args, **wanted)[1]
        return _fewer(weights)
    return _softmax(func, args, kwargs)


def queries_kept(heads: int, queries: int, keys: int) -> Tensor:
    """Return the indices of the queries that are kept."""
    kept = max(1, min(queries, ENTRIES // max(heads * keys, 1)))
    return torch.linspace(0, queries - 1, kept).round().long()


def _scaled_dot_product(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor | None:
    """softmax(q kᵀ · scale + mask) for the queries kept, in float32."""
    if query.ndim != 4:
        return None
    rows = queries_kept(query.shape[1], query.shape[2], key.shape[2]).to(query.device)
    if enable_gqa:
        key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = query[:, :, rows].float() @ key.float().transpose(-2, -1) * scale
    if is_causal:
        later = torch.arange(key.shape[2], device=rows.device) > rows[:, None]
        scores = scores.masked_fill(later, -math.inf)
    if attn_mask is not None:
        mask = attn_mask.expand(*scores.shape[:2], query.shape[2], key.shape[2])[:, :, rows]
        allowed = mask.dtype == torch.bool
        scores = scores.masked_fill(~mask, -math.inf) if allowed else scores + mask
    return scores.softmax(-1).nan_to_num()  # a query that may see nothing attends to nothing


def _softmax(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor | None:
    """Read written-out attention: a softmax over the last axis of (n, heads, queries, keys)."""
    scores = args[0] if args else kwargs.get("input")
    axis = kwargs.get("dim", args[1] if len(args) > 1 else None)
    if not isinstance(scores, Tensor) or scores.ndim != 4 or axis not in (-1, 3):
        return None
    return _fewer(scores.float().softmax(-1))


def _fewer(weights: Tensor) -> Tensor:
    rows = queries_kept(*weights.shape[1:]).to(weights.device)
    return weights[:, :, rows]
