"""Kernel bounds: ours beside the published algorithm, restated from its formulas.

    python benchmarks/kde.py [--wide]

The peer (ibsgd) holds all n² squared distances in float32 and takes upper and lower bound of
H(T̃) and, class by class, of H(T̃|Y) separately; here with torch. "blocked numpy" is float64 in
blocks of rows. All compute I(X;T̃) and I(T̃;Y), both bounds. The error is the largest difference
from plain float64 in bits. The floor is one product of matrices for the upper triangle plus
n²/2 exponentials.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from arena import NATS_TO_BITS, peak, seconds, table, task_layers, wide_layers

from infoplane.estimators import Shared, get
from infoplane.estimators.nulls import null_distribution


def ours(y, layers, variance):
    kde, x, out = get("mi.kde"), np.arange(len(y)), []
    for t in layers:
        shared = Shared(t, y, nulls=False)
        out += [
            kde(v, t, variance=variance, bound=bound, shared=shared).value
            for bound in ("lower", "upper")
            for v in (x, y)
        ]
    return np.array(out)


def published(y, layers, variance, dtype=torch.float32):
    """All pairs at once; D from squares, not clipped, a new array for every step."""
    labels = [torch.as_tensor(np.flatnonzero(y == c)) for c in np.unique(y)]
    out = []
    for layer in layers:
        t = torch.as_tensor(layer, dtype=dtype)
        for factor in (8.0, 2.0):
            whole = _entropy_gap(t, factor * variance)
            parts = sum(len(c) / len(y) * _entropy_gap(t[c], factor * variance) for c in labels)
            out += [whole, whole - parts]
    return np.array(out)


def _entropy_gap(t, spread):
    square = (t * t).sum(1, keepdim=True)
    distance = square + square.T - 2 * (t @ t.T)
    mass = torch.logsumexp(-distance / spread, dim=1) - np.log(len(t))
    return -float(mass.double().mean())


def blocked(y, layers, variance, rows=512):
    """Float64, blocks of rows against all, clipped: plain numpy without a thought of nearness."""
    out = []
    codes = np.searchsorted(np.unique(y), y)
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(codes.max() + 1))
    sizes = np.bincount(codes)
    for layer in layers:
        t = layer[order].astype(np.float64)
        t -= t.mean(axis=0)
        square = (t * t).sum(axis=1)
        logs = np.zeros((2, 2))
        for start in range(0, len(t), rows):
            block = t[start : start + rows]
            distance = np.maximum(square[start : start + rows, None] + square - 2 * block @ t.T, 0)
            kernel = np.exp(-distance / (8 * variance))
            own = codes[order][start : start + rows]
            for k in range(2):
                classes = np.add.reduceat(kernel, starts, axis=1)
                logs[k, 0] += np.log(classes.sum(axis=1) / len(t)).sum()
                logs[k, 1] += np.log(classes[np.arange(len(own)), own] / sizes[own]).sum()
                kernel = kernel**4 if k == 0 else kernel
        logs /= len(t)
        for k in range(2):
            out += [-logs[k, 0], logs[k, 1] - logs[k, 0]]
    return np.array(out)


def floor_ms(layers):
    start = time.process_time()
    for layer in layers:
        t = layer.astype(np.float64)
        n = len(t)
        for first in range(0, n, 512):
            product = t[first : first + 512] @ t[first:].T
            np.exp(np.minimum(product, 0, out=product), out=product)
    return 1e3 * (time.process_time() - start)


def compare(title, y, layers, variance, repeats=3):
    own, values = seconds(lambda: ours(y, layers, variance), repeats)
    plain, exact = seconds(lambda: blocked(y, layers, variance), 1)
    taken, theirs = seconds(lambda: published(y, layers, variance), 1)
    floor = floor_ms(layers)
    memory = [peak(lambda f=f: f(y, layers[:1], variance)) for f in (ours, blocked)]

    def row(who, duration, result, size):
        error = NATS_TO_BITS * float(np.abs(result - exact).max())
        return (who, f"{1e3 * duration:.0f}", size, f"{duration / own:.1f}", f"{error:.1e}",
                f"{1e3 * duration / floor:.1f}")  # fmt: skip

    table(title, [
        row("ours", own, values, f"{memory[0]:.0f}"),
        row("ibsgd", taken, theirs, f"{6 * 4 * len(y) ** 2 / 2**20:.0f}"),
        row("blocked numpy", plain, exact, f"{memory[1]:.0f}"),
    ], ("who", "CPU ms", "MiB", "ratio", "error, bit", "× floor"))  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wide", action="store_true", help="also 10,000 × (1024, 512, 10)")
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    for activation in ("tanh", "relu"):
        y, taken = task_layers(activation, 2)
        layers = [t for snapshot in taken for t in snapshot]
        compare(f"{len(layers)} layers of 4096, {activation}, σ²=1e-3", y, layers, 1e-3)
        nulls, _ = seconds(
            lambda y=y, layers=layers: [null_distribution("mi.kde", y, t) for t in layers], 1
        )
        upper, _ = seconds(
            lambda y=y, layers=layers: [get("mi.kde")(np.arange(4096), t) for t in layers], 1
        )
        print(f"upper bound of I(X;T) alone {1e3 * upper:.0f} ms; 20 nulls {1e3 * nulls:.0f} ms")
    if chosen.wide:
        y, layers = wide_layers()
        compare("10,000 × (1024, 512, 10), ReLU, σ²=0.1", y, layers, 0.1, repeats=1)


if __name__ == "__main__":
    main()
