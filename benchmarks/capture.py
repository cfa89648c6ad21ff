"""What watching costs: the same training with and without, step by step in one run.

    OMP_NUM_THREADS=1 python benchmarks/capture.py --seconds 20

Two copies of each model are trained in turn, a step bare and a step watched, so that whatever else
the machine does hits both. Printed for each model:

- the step's time and what a snapshot and an idle ``w.step`` take of the training thread (medians;
  of the idle one what reading the clock takes is subtracted);
- the share of the training time that capture took in this run, and the share that 200 snapshots of
  10,000 steps take at these costs (the aim is 2 %);
- the writer thread's share beside it, in processor time;
- the floor: the bytes of a snapshot at the speed at which this machine copies memory, next to the
  forward pass over the probe set, without which there is nothing to copy;
- the same with ``budget="2%"``: how many snapshots it allowed, and their share of both trainings,
  which is the time that the watch sees pass.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from arena import table
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import infoplane as ip

torch.set_num_threads(1)


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))


class Text(nn.Module):
    def __init__(self, width: int = 128, depth: int = 4, words: int = 256) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, width)
        layer = nn.TransformerEncoderLayer(width, 4, 4 * width, 0.1, batch_first=True)
        self.blocks, self.head = nn.TransformerEncoder(layer, depth), nn.Linear(width, 10)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.blocks(self.embed(tokens)).mean(1))


def mlp() -> nn.Module:
    sizes = (12, 10, 7, 5, 4, 3)
    hidden = [(nn.Linear(a, b), nn.Tanh()) for a, b in itertools.pairwise(sizes)]
    return nn.Sequential(*(part for pair in hidden for part in pair), nn.Linear(3, 10))


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(), nn.Linear(9216, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


def resnet() -> nn.Module:
    blocks = (Residual(32) for _ in range(6))
    pool = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))
    return nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), *blocks, *pool)


def real(*shape: int) -> Callable[[int], Tensor]:
    return lambda n: torch.randn(n, *shape)


def words(n: int) -> Tensor:
    return torch.randint(0, 256, (n, 64))


MODELS: dict[str, tuple[Callable[[], nn.Module], Callable[[int], Tensor], int, int]] = {
    "MLP 12-10-7-5-4-3": (mlp, real(12), 256, 1000),
    "CNN 28 × 28": (cnn, real(1, 28, 28), 64, 200),
    "ResNet 32 × 32": (resnet, real(3, 32, 32), 64, 200),
    "transformer, 64 tokens": (Text, words, 32, 100),
}
"""Name → (model, inputs, mini-batch, probe rows)."""


@dataclass
class Side:
    """One of the two trainings, and the seconds of its steps."""

    model: nn.Module
    seconds: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=1e-3)

    def step(self, number: int, x: Tensor, y: Tensor) -> None:
        torch.manual_seed(number)  # the two draw their dropout in turn from one generator
        begun = time.thread_time()
        loss = F.cross_entropy(self.model(x), y)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.seconds.append(time.thread_time() - begun)


@dataclass
class Cost:
    """What one watched training took, in seconds of processor time."""

    training: float
    both: float
    watching: float
    writer: float
    snapshot: float
    idle: float
    step: float
    taken: int
    rows: int
    size: int
    forward: float

    @property
    def share(self) -> float:
        return self.watching / self.training

    @property
    def projected(self) -> float:
        return (200 * self.snapshot + 9_800 * self.idle) / (10_000 * self.step)


def train(name: str, seconds: float, folder: Path, **options: object) -> Cost:
    build, inputs, batch, rows = MODELS[name]
    sides = []
    for _ in range(2):
        torch.manual_seed(0)
        sides.append(Side(build()))
    bare, seen = sides
    batches = [(inputs(batch), torch.randint(0, 10, (batch,))) for _ in range(8)]
    probe = ip.Probe(inputs(rows), torch.randint(0, 10, (rows,)))
    process, thread = time.process_time(), time.thread_time()
    watching, idle, taking, nothing = 0.0, [], [], []
    with ip.Run.create(folder) as run, ip.watch(seen.model, probe, run, **options) as w:
        start, step = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            for side in (sides, sides[::-1])[step % 2]:
                side.step(step, *batches[step % len(batches)])
            before, begun = w.snapshots, time.thread_time()
            nothing.append(time.thread_time() - begun)
            begun = time.thread_time()
            w.step(step)
            took = time.thread_time() - begun
            watching += took
            (taking if w.snapshots > before else idle).append(took)
            step += 1
        size = 4 * rows * sum(layer.width for layer in w.layers)
        taken = w.snapshots
    writer = (time.process_time() - process) - (time.thread_time() - thread)
    assert all(map(torch.equal, bare.model.parameters(), seen.model.parameters()))
    return Cost(
        sum(seen.seconds), sum(bare.seconds + seen.seconds), watching, writer,
        statistics.median(taking or [0.0]),
        statistics.median(idle or [0.0]) - statistics.median(nothing),
        statistics.median(bare.seconds + seen.seconds), taken,
        rows, size, forward(seen.model, probe),
    )  # fmt: skip


def forward(model: nn.Module, probe: ip.Probe, repeats: int = 5) -> float:
    """Seconds of a plain forward pass over the probe set, in eval mode."""
    model.eval()
    taken = []
    with torch.no_grad():
        for _ in range(repeats):
            begun = time.thread_time()
            probe.run(model, 0, probe.n)
            taken.append(time.thread_time() - begun)
    return min(taken)


def memcpy() -> float:
    """Bytes a second that this machine copies."""
    a = np.ones(64 << 20, np.uint8)
    b = np.empty_like(a)
    taken = []
    for _ in range(5):
        begun = time.perf_counter()
        np.copyto(b, a)
        taken.append(time.perf_counter() - begun)
    return a.nbytes / min(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=15, help="of each training")
    parser.add_argument("models", nargs="*", default=list(MODELS), help=f"of {list(MODELS)}")
    options = parser.parse_args()
    speed = memcpy()
    costs, frugal = [], []
    with tempfile.TemporaryDirectory() as folder:
        for number, name in enumerate(options.models):
            costs.append(train(name, options.seconds, Path(folder) / f"{number}"))
            frugal.append(
                train(name, options.seconds, Path(folder) / f"{number}-frugal", budget="2%")
            )
    print(f"memory is copied at {speed / 1e9:.1f} GB/s; processor times of the training thread")
    table(
        "Capture with log_spaced(200)",
        [
            (
                name, f"{1e3 * c.step:.2f} ms", f"{c.rows}", f"{1e3 * c.snapshot:.2f} ms",
                f"{1e3 * c.forward:.2f} ms", f"{1e3 * c.size / speed:.3f} ms",
                f"{1e6 * c.idle:.0f} µs", f"{c.taken}", f"{c.share:.1%}", f"{c.projected:.2%}",
                f"{c.writer / c.both:.1%}",
            )
            for name, c in zip(options.models, costs, strict=True)
        ],
        ("model", "step", "probe", "snapshot", "forward", "floor", "idle", "taken", "share",
         "200 of 10,000", "writer"),
    )  # fmt: skip
    table(
        'The same with budget="2%"',
        [(name, f"{c.taken}", f"{c.watching / c.both:.2%}")
         for name, c in zip(options.models, frugal, strict=True)],
        ("model", "taken", "share"),
    )  # fmt: skip


if __name__ == "__main__":
    main()
