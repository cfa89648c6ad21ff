"""A small autoencoder that compresses wide arrays to a few coordinates. Needs torch when called.

The weights are drawn from numpy with a private seed and updated by hand-made batches, so that
neither torch's nor numpy's global random state is read or changed, nor any thread setting.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, cast

import numpy as np

from infoplane.types import FloatArray

HIDDEN = 64
BATCH = 256
RATE = 3e-3
SLOPE = 0.1


def encode(
    reference: FloatArray, arrays: tuple[FloatArray, ...], dim: int, steps: int, seed: int
) -> tuple[tuple[FloatArray, ...], float]:
    """Train on ``reference`` (m, d) and return the codes (n, dim) of ``arrays``.

    d → 64 → dim → 64 → d with leaky ReLUs, squared error, Adam with a cosine schedule. Codes are
    standardised by the mean and deviation over the reference.

    Returns
    -------
    codes : tuple of ndarray, (n, dim)
    share : float
        Share of the reference's variance that the decoder restores.
    """
    import torch

    rng = np.random.default_rng(seed)
    centre = reference.mean(axis=0)
    scale = float(np.sqrt(((reference - centre) ** 2).mean()))
    sizes = (reference.shape[1], HIDDEN, dim, HIDDEN, reference.shape[1])
    layers = [_layer(a, b, rng) for a, b in pairwise(sizes)]
    parameters = [tensor for layer in layers for tensor in layer]
    leaky = torch.nn.functional.leaky_relu

    def ready(array: FloatArray) -> torch.Tensor:
        return torch.from_numpy(((array - centre) / scale).astype(np.float32))

    def encoder(x: torch.Tensor) -> torch.Tensor:
        (w1, b1), (w2, b2) = layers[:2]
        return cast(torch.Tensor, leaky(x @ w1 + b1, SLOPE) @ w2 + b2)

    def decoder(z: torch.Tensor) -> torch.Tensor:
        (w3, b3), (w4, b4) = layers[2:]
        return cast(torch.Tensor, leaky(z @ w3 + b3, SLOPE) @ w4 + b4)

    data = ready(reference)
    optimiser = torch.optim.Adam(parameters, lr=RATE)
    with torch.enable_grad():
        for step in range(steps):
            for group in optimiser.param_groups:
                group["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * step / steps))
            rows = rng.integers(len(data), size=min(BATCH, len(data)))
            batch = data[torch.from_numpy(rows)]
            loss = ((decoder(encoder(batch)) - batch) ** 2).mean()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    with torch.no_grad():
        code = encoder(data)
        lost = float(((decoder(code) - data) ** 2).sum() / (data**2).sum())
        middle, spread = code.mean(0), code.std(0) + 1e-12
        codes = [((encoder(ready(a)) - middle) / spread).numpy().astype(float) for a in arrays]
    return tuple(codes), 1.0 - lost


def _layer(fan_in: int, fan_out: int, rng: np.random.Generator) -> tuple[Any, Any]:
    """Weights (fan_in, fan_out) of He's scale and zero biases, as leaf tensors."""
    import torch

    draw = rng.standard_normal((fan_in, fan_out)) * math.sqrt(2.0 / fan_in)
    weight = torch.from_numpy(draw.astype(np.float32)).requires_grad_(True)
    return weight, torch.zeros(fan_out, requires_grad=True)
