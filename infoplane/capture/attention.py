"""Attention probabilities: recomputed from what the attention functions are given."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor

Read = Callable[..., Tensor | None]

ATTENTION = frozenset({"scaled_dot_product_attention", "multi_head_attention_forward", "softmax"})
"""Functions inside which attention probabilities arise."""

ENTRIES = 4096
"""Probabilities kept of one sample at most: heads × queries × keys."""


def attention_of(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor | None:
    """Return the probabilities (n, heads, queries, keys) of one attention call, or None.

    Every query's row sums to 1. Where there are more than `ENTRIES` per sample, evenly spaced
    queries are kept. The call itself is not touched: this is a second, smaller computation, in
    float32 whatever the autocast, without dropout.
    """
    reads: dict[str, Read] = {
        "scaled_dot_product_attention": _scaled_dot_product,
        "multi_head_attention_forward": partial(_multi_head, func),
    }
    read: Read = reads.get(func.__name__, _softmax)
    devices = {part.device.type for part in (*args, *kwargs.values()) if isinstance(part, Tensor)}
    with ExitStack() as stack:
        for device in devices:
            stack.enter_context(torch.autocast(device, enabled=False))
        return read(*args, **kwargs)


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
    """softmax(q kᵀ · scale + mask) for the queries kept; without an axis of heads there is one."""
    if query.ndim == 3:
        query, key = query.unsqueeze(1), key.unsqueeze(1)
        if attn_mask is not None and attn_mask.ndim == 3:
            attn_mask = attn_mask.unsqueeze(1)
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


def _multi_head(
    func: Any, query: Tensor, key: Tensor, value: Tensor, width: int, heads: int, *rest: Any,
    **options: Any,
) -> Tensor | None:  # fmt: skip
    """Ask the function behind nn.MultiheadAttention for the weights of the queries kept."""
    if query.ndim != 3:
        return None
    rows = queries_kept(heads, len(query), len(key)).to(query.device)
    mask = options.get("attn_mask")
    options |= {"need_weights": True, "average_attn_weights": False, "training": False}
    options |= {"is_causal": False, "attn_mask": None if mask is None else mask[..., rows, :]}
    weights: Tensor = func(query[rows], key, value, width, heads, *rest, **options)[1]
    return weights.nan_to_num()


def _softmax(scores: Any, dim: int | None = None, *rest: Any, **options: Any) -> Tensor | None:
    """Read written-out attention: a softmax over the keys.

    Scores are (n, heads, queries, keys), (n, queries, keys) of one head, or, time first,
    (queries, keys, n, heads); the last two only where there are as many queries as keys, since a
    softmax over classes looks alike.
    """
    if not isinstance(scores, Tensor) or dim is None:
        return None
    axis, last = dim % max(scores.ndim, 1), scores.ndim - 1
    if scores.ndim == 3 and axis == last and scores.shape[1] == scores.shape[2]:
        scores, axis, last = scores.unsqueeze(1), 3, 3
    elif scores.ndim == 4 and axis == 1 and scores.shape[0] == scores.shape[1]:
        scores, axis = scores.permute(2, 3, 0, 1), 3
    if scores.ndim != 4 or axis != last:
        return None
    rows = queries_kept(*scores.shape[1:]).to(scores.device)
    weights: Tensor = scores[:, :, rows].float().softmax(-1)
    return weights.nan_to_num()
