"""Reduce policies: from a layer's activation (n, …) to its representation (n, d)."""

from __future__ import annotations

import fnmatch
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from infoplane.errors import CaptureError, InputError

Policy = Callable[[Tensor], Tensor]
ReduceLike = str | Policy | Mapping[str, str | Policy]


def flatten(t: Tensor) -> Tensor:
    """Every unit of every position: (n, …) → (n, product of the rest)."""
    return t if t.ndim == 2 else t.reshape(t.shape[0], -1)


def mean(t: Tensor) -> Tensor:
    """Mean over space: (n, channels, …) → (n, channels)."""
    return t.flatten(2).mean(2) if t.ndim > 2 else flatten(t)


def mean_token(t: Tensor) -> Tensor:
    """Mean over positions: (n, tokens, d) → (n, d)."""
    return t.flatten(1, -2).mean(1) if t.ndim > 2 else flatten(t)


def last_token(t: Tensor) -> Tensor:
    """Last position: (n, tokens, d) → (n, d)."""
    return t.flatten(1, -2)[:, -1] if t.ndim > 2 else flatten(t)


def first_token(t: Tensor) -> Tensor:
    """First position (the class token): (n, tokens, d) → (n, d)."""
    return t.flatten(1, -2)[:, 0] if t.ndim > 2 else flatten(t)


POLICIES: dict[str, Policy] = {
    policy.__name__: policy for policy in (flatten, mean, mean_token, last_token, first_token)
}


@dataclass(frozen=True, slots=True)
class Reducer:
    """A policy, and the units kept of what it gives.

    Attributes
    ----------
    name : str
        How it reads in the run's layer table: ``"mean"``, ``"flatten[1024 of 50176]"``.
    policy : callable
        (n, …) → (n, d).
    units : Tensor of int or None
        Columns kept, increasing; None keeps all.
    """

    name: str
    policy: Policy
    units: Tensor | None = None

    def __call__(self, t: Tensor) -> Tensor:
        """Reduce `t` (n, …) to (n, d)."""
        t = self.policy(torch.view_as_real(t) if t.is_complex() else t)
        return t if self.units is None else t[:, self.units.to(t.device)]


def reducer(
    reduce: ReduceLike | None, layer: str, kind: str, sample: Tensor, *, units: int, seed: int
) -> Reducer:
    """Choose the policy of one layer and cap its units.

    Parameters
    ----------
    reduce : str, callable, mapping of layer glob to either, or None
        None chooses by the kind of layer: spatial mean of feature maps, last token of recurrent
        layers, mean token of other sequences, flatten of the rest.
    layer : str
        The layer's name.
    kind : str
        Class name of the module that made the activation ("Conv2d", "LSTM", …).
    sample : Tensor, (n, …)
        An activation of the layer.
    units : int
        Units kept at most; which ones is drawn once with a private generator.
    seed : int
        Seed of that draw.
    """
    chosen = _lookup(reduce, layer)
    chosen = automatic(kind, sample.ndim) if chosen is None else chosen
    policy = _named(chosen) if isinstance(chosen, str) else chosen
    name = chosen if isinstance(chosen, str) else getattr(policy, "__name__", "custom")
    width = _width(name, layer, policy, sample)
    if width <= units:
        return Reducer(name, policy)
    generator = np.random.default_rng([seed, zlib.crc32(layer.encode())])
    kept = np.sort(generator.choice(width, units, replace=False))
    return Reducer(f"{name}[{units} of {width}]", policy, torch.from_numpy(kept))


def automatic(kind: str, ndim: int) -> str:
    """Name of the policy for an activation of `ndim` axes made by a module of this kind."""
    if ndim <= 2:
        return "flatten"
    if kind in ("RNN", "LSTM", "GRU"):
        return "last_token"
    if kind.startswith("InstanceNorm"):
        return "flatten"  # its mean over space is the same for every sample
    spatial = ndim > 3 or kind.endswith(("1d", "2d", "3d"))
    return "mean" if spatial else "mean_token"


def _lookup(reduce: ReduceLike | None, layer: str) -> str | Policy | None:
    if not isinstance(reduce, Mapping):
        return reduce
    hits = [policy for glob, policy in reduce.items() if fnmatch.fnmatchcase(layer, glob)]
    return hits[0] if hits else None


def _named(name: str) -> Policy:
    if name not in POLICIES:
        raise InputError(
            f"`reduce` must be one of {', '.join(POLICIES)}, a callable (n, …) → (n, d), or a "
            f"mapping of layer names to either; got {name!r}."
        )
    return POLICIES[name]


def _width(name: str, layer: str, policy: Policy, sample: Tensor) -> int:
    made = Reducer(name, policy)(sample)
    if made.ndim != 2 or len(made) != len(sample):
        raise CaptureError(
            f"`reduce` {name!r} must turn an activation (n, …) into (n, d); for layer {layer!r} it "
            f"turned {tuple(sample.shape)} into {tuple(made.shape)}."
        )
    return int(made.shape[1])
