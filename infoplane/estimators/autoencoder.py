"""A small autoencoder that compresses wide arrays to a few coordinates. Needs torch when called.

The weights are drawn from numpy with a private seed and updated by hand-made batches, so that
neither torch's nor numpy's global random state is read or changed, nor any thread setting.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from infoplane.estimators.kept import Arrays
from infoplane.types import FloatArray

HIDDEN = 64
BATCH = 256
RATE = 3e-3
SLOPE = 0.1


def train(reference: FloatArray, dim: int, steps: int, seed: int) -> tuple[dict[str, Any], float]:
    """Train on ``reference`` (m, d); return the encoder as arrays and the share restored.

    d → 64 → dim → 64 → d with leaky ReLUs, squared error, Adam with a cosine schedule.

    Returns
    -------
    encoder : dict of arrays
        What :func:`encode` needs: weights, centre and scale of the input, mean and deviation of
        the codes over the reference.
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
    data = _ready(reference, centre, scale)
    optimiser = torch.optim.Adam(parameters, lr=RATE)
    with torch.enable_grad():
        for step in range(steps):
            for group in optimiser.param_groups:
                group["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * step / steps))
            rows = rng.integers(len(data), size=min(BATCH, len(data)))
            batch = data[torch.from_numpy(rows)]
            loss = ((_through(layers, batch) - batch) ** 2).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    with torch.no_grad():
        code = _half(layers[:2], data)
        lost = float(((_half(layers[2:], code) - data) ** 2).sum() / (data**2).sum())
        middle, spread = code.mean(0), code.std(0) + 1e-12
    names = ("w1", "b1", "w2", "b2")
    weights = {name: p.detach().numpy() for name, p in zip(names, parameters[:4], strict=True)}
    codes = {"middle": middle.numpy(), "spread": spread.numpy()}
    inputs = {"input_centre": centre, "input_scale": np.array([scale])}
    return {**weights, **codes, **inputs}, 1.0 - lost


def encode(encoder: Arrays, t: FloatArray) -> FloatArray:
    """Codes (n, dim) of rows (n, d), standardised by what the encoder was trained on."""
    import torch

    w1, b1, w2, b2, middle, spread = (
        torch.tensor(encoder[name]) for name in ("w1", "b1", "w2", "b2", "middle", "spread")
    )
    with torch.no_grad():
        data = _ready(t, encoder["input_centre"], float(encoder["input_scale"][0]))
        code = _half([(w1, b1), (w2, b2)], data)
        return np.asarray(((code - middle) / spread).numpy().astype(float))


def _ready(array: FloatArray, centre: FloatArray, scale: float) -> Any:
    import torch

    return torch.from_numpy(((array - centre) / scale).astype(np.float32))


def _half(layers: Sequence[tuple[Any, Any]], x: Any) -> Any:
    """Send rows through the encoder or the decoder: two layers, a leaky ReLU between them."""
    import torch

    (w1, b1), (w2, b2) = layers
    return torch.nn.functional.leaky_relu(x @ w1 + b1, SLOPE) @ w2 + b2


def _through(layers: Sequence[tuple[Any, Any]], x: Any) -> Any:
    return _half(layers[2:], _half(layers[:2], x))


def _layer(fan_in: int, fan_out: int, rng: np.random.Generator) -> tuple[Any, Any]:
    """Weights (fan_in, fan_out) of He's scale and zero biases, as leaf tensors."""
    import torch

    draw = rng.standard_normal((fan_in, fan_out)) * math.sqrt(2.0 / fan_in)
    weight = torch.from_numpy(draw.astype(np.float32)).requires_grad_(True)
    return weight, torch.zeros(fan_out, requires_grad=True)
