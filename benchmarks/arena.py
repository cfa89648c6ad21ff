"""What the benchmarks have in common: real layers to measure on, timing, memory, a table.

Ratios are taken inside one run on the same arrays; absolute times say more about the machine.
"""

from __future__ import annotations

import gc
import itertools
import time
import tracemalloc
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch

from infoplane.tasks import szt

WIDTHS = (10, 7, 5, 4, 3, 2)
NATS_TO_BITS = 1 / np.log(2)


def task_layers(
    activation: str = "tanh", snapshots: int = 8, epochs: int = 600, seed: int = 0
) -> tuple[np.ndarray, list[list[np.ndarray]]]:
    """Train 12-10-7-5-4-3-2 on the 12-bit task; return the labels and all layers per snapshot."""
    x, y = (torch.as_tensor(np.asarray(a)) for a in szt())
    inputs = x.to(torch.float32)
    generator = torch.Generator().manual_seed(seed)
    sizes = (inputs.shape[1], *WIDTHS)
    weights = [
        torch.randn(a, b, generator=generator).div_(a**0.5).requires_grad_()
        for a, b in itertools.pairwise(sizes)
    ]
    biases = [torch.zeros(b, requires_grad=True) for b in WIDTHS]
    function = {"tanh": torch.tanh, "relu": torch.relu}[activation]

    def forward() -> list[torch.Tensor]:
        layers, h = [], inputs
        for w, b in zip(weights, biases, strict=True):
            h = h @ w + b
            h = function(h) if len(layers) < len(WIDTHS) - 1 else torch.softmax(h, dim=1)
            layers.append(h)
        return layers

    optimiser = torch.optim.Adam([*weights, *biases], lr=4e-3)
    when = {round(s) for s in np.linspace(0, epochs, snapshots)}
    taken = []
    for epoch in range(epochs + 1):
        layers = forward()
        if epoch in when:
            taken.append([layer.detach().numpy().copy() for layer in layers])
        loss = torch.nn.functional.nll_loss(torch.log(layers[-1] + 1e-9), y.long())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return y.numpy().astype(np.int64), taken


def wide_layers(n: int = 10_000, widths: Sequence[int] = (1024, 512, 10), seed: int = 0) -> list:
    """Activations (float32) of a random ReLU network on Gaussian inputs in ten classes."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 10, n)
    h = rng.normal(size=(10, 64))[y] + rng.normal(size=(n, 64))
    layers = []
    for width in widths:
        h = np.maximum(h @ rng.normal(size=(h.shape[1], width)) * (2 / h.shape[1]) ** 0.5, 0)
        layers.append(h.astype(np.float32))
    return [y, layers]


def seconds(
    work: Callable[[], Any], repeats: int = 3, clock: Callable[[], float] = time.process_time
) -> tuple[float, Any]:
    """Least processor time of some calls, all threads together, and the last result.

    Processor time, because a machine that does other work too makes wall times of short calls
    meaningless; run with OMP_NUM_THREADS=1 to compare like with like. ``time.perf_counter`` is the
    clock on the wall, for what several threads save.
    """
    taken = []
    for _ in range(repeats):
        gc.collect()
        start = clock()
        result = work()
        taken.append(clock() - start)
    return min(taken), result


def peak(work: Callable[[], Any]) -> float:
    """Largest memory that numpy and Python took during the call, in MiB."""
    tracemalloc.start()
    work()
    size = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return size / 2**20


def table(title: str, rows: Iterable[Sequence[str]], head: Sequence[str]) -> None:
    """Print rows under a head, columns aligned."""
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    print(f"\n{title}")
    for line in lines:
        print("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip())
