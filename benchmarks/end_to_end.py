"""Training with an information plane beside it, end to end: what the plane costs on top.

    python benchmarks/end_to_end.py --epochs 1000

trains 12-10-7-5-4-3-2 on the 12-bit task with batches of 256 and takes 100 snapshots, measured with
EBAB and both kernel bounds, I(X;T) and I(T;Y): bare, with capture alone, measured afterwards in the
same process ("in the loop"), and by a worker beside the training. The published codes are restated
and timed on a few of the same snapshots; their time is that, times the number of snapshots.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import binning
import kde
import numpy as np
import torch
from torch import nn

import infoplane as ip

ESTIMATORS = ("mi.adaptive", "mi.kde", ("mi.kde", {"bound": "lower"}))
SIZES = (12, 10, 7, 5, 4, 3, 2)
BATCH, VARIANCE = 256, 1e-3


def network() -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for i in range(len(SIZES) - 1):
        layers += [nn.Linear(SIZES[i], SIZES[i + 1])]
        layers += [nn.Tanh()] if i < len(SIZES) - 2 else []
    return nn.Sequential(*layers)


def train(model: nn.Module, x: torch.Tensor, y: torch.Tensor, epochs: int, after: Callable) -> None:
    optimiser = torch.optim.Adam(model.parameters(), lr=4e-4)
    generator, step = torch.Generator().manual_seed(0), 0
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=generator).split(BATCH):
            loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            after(step)
            step += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=1000)
    parser.add_argument("--snapshots", type=int, default=100)
    parser.add_argument("--peers", type=int, default=3, help="snapshots for the published codes")
    options = parser.parse_args()
    x, y = (torch.as_tensor(np.asarray(array)) for array in ip.tasks.szt())
    x, y = x.float(), y.long()
    probe, steps = ip.Probe(x, y), options.epochs * -(-len(x) // BATCH)
    when = ip.at(*(round(step) for step in np.linspace(0, steps - 1, options.snapshots)))

    def timed(ending: Callable[[], None], sink=None) -> float:
        model, start = network(), time.perf_counter()
        if sink is None:
            train(model, x, y, options.epochs, lambda step: None)
        else:
            with ip.watch(model, probe, sink, every=when) as watcher:
                train(model, x, y, options.epochs, watcher.step)
        ending()
        return time.perf_counter() - start

    def row(name: str, seconds: float) -> None:
        print(f"{name:34}{seconds:9.1f} s{seconds / bare:9.2f} × bare", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        bare = timed(lambda: None)
        row("training alone", bare)
        run = ip.Run.create(Path(folder) / "kept")
        row("with capture", timed(run.close, run))
        run = ip.Run.create(Path(folder) / "loop")

        def measure() -> None:
            run.close()
            ip.evaluate(run.path, ESTIMATORS, null=0, progress=False)

        loop = timed(measure, run)
        row("and measured in the same process", loop)
        sink = ip.online(ESTIMATORS, null=0)
        row("measured by a worker beside it", timed(lambda: None, sink))
        held = ip.open_run(run.path)
        peers = 0.0
        for step in held.steps[:: max(1, len(held.steps) // options.peers)][: options.peers]:
            layers = [held.load(step, layer) for layer in held.layers]
            start = time.perf_counter()
            binning.per_task(y.numpy(), layers, binning.adaptive)
            kde.published(y.numpy(), layers, VARIANCE)
            peers += time.perf_counter() - start
    published = bare + peers / options.peers * options.snapshots
    row("the published codes in the loop", published)
    print(f"published ÷ ours, in the loop: {published / loop:.1f}")


if __name__ == "__main__":
    main()
