"""One small denoiser for every question about a group of variables. Needs torch when called.

Each variable is diffused, clean or absent; the network is told which and predicts the noise of the
diffused ones. Weights, batches and noise come from private numpy generators: no global random
state and no thread setting is read or changed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from infoplane.types import FloatArray

DIFFUSED, CLEAN, ABSENT = 1.0, 0.0, -1.0
HIDDEN = 96
BATCH = 256
RATE = 2e-3
KEEP = 0.995  # weight of the past in the running mean of the weights


@dataclass
class Denoiser:
    """Network (x with states, states, log noise ratio) → noise of every column.

    The answer is σ·x_t plus the network's: exact already for an uncorrelated Gaussian, so training
    only has to learn what differs from it.
    """

    layers: list[tuple[Any, Any]]
    sizes: tuple[int, ...]

    def __call__(self, x: Any, states: Any, level: Any) -> Any:
        """Noise predicted for x (n, d), states (n, groups), level (n, 1) = log σ²/m²."""
        import torch

        sigma = torch.sigmoid(level).sqrt()
        wide = states.repeat_interleave(torch.tensor(self.sizes), dim=1)
        h = torch.cat([x * (wide != ABSENT), states, level / 10, sigma], dim=1)
        for weight, bias in self.layers[:-1]:
            h = torch.nn.functional.silu(h @ weight + bias)
        weight, bias = self.layers[-1]
        return sigma * x * (wide == DIFFUSED) + h @ weight + bias


def new_denoiser(sizes: Sequence[int], seed: int) -> Denoiser:
    """Build an untrained denoiser of three hidden layers whose network answers zero."""
    import torch

    rng = np.random.default_rng(seed)
    d, groups = sum(sizes), len(sizes)
    layers = []
    for fan_in, fan_out in pairwise((d + groups + 2, HIDDEN, HIDDEN, HIDDEN, d)):
        draw = rng.standard_normal((fan_in, fan_out)) * math.sqrt(2 / fan_in)
        weight = torch.from_numpy(draw.astype(np.float32))
        layers.append((weight.requires_grad_(), torch.zeros(fan_out, requires_grad=True)))
    with torch.no_grad():
        layers[-1][0].zero_()
    return Denoiser(layers, tuple(sizes))


def train(
    data: FloatArray,
    sizes: Sequence[int],
    questions: FloatArray,
    levels: tuple[float, float],
    steps: int,
    rng: np.random.Generator,
) -> Denoiser:
    """Train on ``data`` (n, d), each batch row under a random one of ``questions`` (q, groups).

    The weights returned are a running mean over the steps.
    """
    import torch

    model = new_denoiser(sizes, int(rng.integers(2**31)))
    parameters = [tensor for layer in model.layers for tensor in layer]
    smooth = [tensor.detach().clone() for tensor in parameters]
    optimiser = torch.optim.Adam(parameters, lr=RATE)
    clean = np.asarray(data, dtype=float)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * step / steps))
        batch = clean[rng.integers(len(clean), size=BATCH)]
        states = questions[rng.integers(len(questions), size=BATCH)]
        x, noise, level = diffuse(batch, states, sizes, rng, levels)
        wide = torch.from_numpy(np.repeat(states, sizes, axis=1) == DIFFUSED)
        tensors = (torch.from_numpy(a.astype(np.float32)) for a in (x, states, level))
        with torch.enable_grad():
            error = (model(*tensors) - torch.from_numpy(noise.astype(np.float32))) ** 2
            loss = (error * wide).sum() / wide.sum()
            optimiser.zero_grad()
            loss.backward()
        optimiser.step()
        with torch.no_grad():
            keep = min(KEEP, (1 + step) / (10 + step))
            for mean, now in zip(smooth, parameters, strict=True):
                mean.mul_(keep).add_(now, alpha=1 - keep)
    with torch.no_grad():
        for mean, now in zip(smooth, parameters, strict=True):
            now.copy_(mean)
    return model


def diffuse(
    clean: FloatArray,
    states: FloatArray,
    sizes: Sequence[int],
    rng: np.random.Generator,
    levels: tuple[float, float],
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Draw levels log σ²/m² evenly and noise, and mix both into the diffused columns.

    Returns
    -------
    x, noise : ndarray, (n, d)
    level : ndarray, (n, 1)
    """
    level = rng.uniform(*levels, (len(clean), 1))
    noise = rng.standard_normal(clean.shape)
    mixed, wide = mix(clean, noise, level), np.repeat(states, sizes, axis=1)
    return np.where(wide == DIFFUSED, mixed, clean), noise, level


def mix(clean: FloatArray, noise: FloatArray, level: FloatArray) -> FloatArray:
    """M x + σ ε with σ² = 1 − m² and log σ²/m² = level."""
    sigma2 = 1 / (1 + np.exp(-level))
    return np.asarray(np.sqrt(1 - sigma2) * clean + np.sqrt(sigma2) * noise)


def predict(
    model: Denoiser, x: FloatArray, state: Sequence[float], level: FloatArray
) -> FloatArray:
    """Noise predicted for all columns, one state per variable, in numpy."""
    import torch

    states = np.tile(np.asarray(state, dtype=np.float32), (len(x), 1))
    with torch.no_grad():
        tensors = (torch.from_numpy(a.astype(np.float32)) for a in (x, states, level))
        result: FloatArray = model(*tensors).double().numpy()
    return result
