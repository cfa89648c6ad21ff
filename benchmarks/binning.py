"""Binned information: ours beside the published algorithms, restated from their formulas.

    python benchmarks/binning.py [--wide]

Peers: IDNNs (for H(T|X) every input is a task of its own, handed out by joblib; and the same as a
plain loop, two to three times faster than what was published), ibsgd floor binning, rows by
np.unique(axis=0), and the published adaptive binning (the IDNNs tasks on adaptive edges). All
compute I(X;T) and I(T;Y) of every layer; the error is the largest difference from ours in bits. The
floor is what the memory and a sort must cost: the layer read once plus a sort of n keys; for
adaptive bins a sort of all n·d values.
"""

from __future__ import annotations

import argparse
import math
import time

import numpy as np
from arena import NATS_TO_BITS, peak, seconds, table, task_layers, wide_layers
from joblib import Parallel, delayed

from infoplane.estimators import Shared, get


def ours(name, y, layers, **params):
    function, x = get(name), np.arange(len(y))
    out = []
    for t in layers:
        shared = Shared(t, y)
        out += [function(v, t, shared=shared, **params).value for v in (x, y)]
    return np.array(out)


def entropy(counts):
    p = counts / counts.sum()
    return -float((p * np.log(p)).sum())


def rows_as_void(codes):
    codes = np.ascontiguousarray(codes)
    return codes.view(np.dtype((np.void, codes.dtype.itemsize * codes.shape[1]))).ravel()


def per_input(y, layers, digitize):
    """Every input its own group: as published, n searches of n rows for H(T|X) = 0."""
    n, out = len(y), []
    x = np.arange(n)
    for t in layers:
        rows = rows_as_void(digitize(t))
        whole = entropy(np.unique(rows, return_counts=True)[1])
        for v in (x, y):
            left = 0.0
            for value in np.unique(v):
                group = rows[v == value]
                left += len(group) / n * entropy(np.unique(group, return_counts=True)[1])
            out.append(whole - left)
    return np.array(out)


def group_entropy(group, share):
    counts = np.unique(rows_as_void(group), return_inverse=True, return_counts=True)[2]
    return share * entropy(counts)


def per_task(y, layers, digitize):
    """The same, every group a task for joblib: here in this process, there over all cores."""
    out = []
    for t in layers:
        codes = digitize(t)
        whole = entropy(void_counts(codes))
        for v in (np.arange(len(y)), y):
            values, group_of, counts = np.unique(v, return_inverse=True, return_counts=True)
            tasks = (
                delayed(group_entropy)(codes[group_of == i], counts[i] / len(y))
                for i in range(len(values))
            )
            out.append(whole - sum(Parallel(n_jobs=1)(tasks)))
    return np.array(out)


def per_class(y, layers, digitize, rows_of):
    """H(T) once and H(T|Y) class by class; I(X;T) = H(T)."""
    out = []
    for t in layers:
        codes = digitize(t)
        whole = entropy(rows_of(codes))
        left = sum((y == c).mean() * entropy(rows_of(codes[y == c])) for c in np.unique(y))
        out += [whole, whole - left]
    return np.array(out)


def void_counts(codes):
    return np.unique(rows_as_void(codes), return_counts=True)[1]


def row_counts(codes):
    return np.unique(codes, axis=0, return_counts=True)[1]


EDGES = np.linspace(-1, 1, 30)


def fixed(t):
    return np.digitize(t.ravel().astype(np.float64), EDGES).reshape(t.shape)


def floored(t):
    return np.floor(t.astype(np.float64) / 0.07).astype(np.int64)


def adaptive(t, bins=30):
    low = t.min()
    u = np.setdiff1d(np.unique(t), low)
    edges = np.concatenate([[low], u[[int(k * len(u) / bins) for k in range(bins)]], u[-1:]])
    return np.digitize(t.ravel(), edges).reshape(t.shape)


def floor_ms(layers, sort_values):
    """Milliseconds for one pass over the layer and the sort that cannot be avoided."""
    start = time.process_time()
    for t in layers:
        t.sum()
        if sort_values:
            np.sort(t, axis=None)
        np.sort(np.arange(len(t))[::-1].copy())
    return 1e3 * (time.process_time() - start)


def compare(title, y, layers, name, params, peers, repeats=5):
    own, values = seconds(lambda: ours(name, y, layers, **params), repeats)
    floor = floor_ms(layers, name == "mi.adaptive")
    memory = peak(lambda: ours(name, y, layers, **params))
    rows = [("ours", f"{1e3 * own:.1f}", f"{memory:.0f}", "", "", f"{1e3 * own / floor:.1f}")]
    for peer, (work, times) in peers.items():
        taken, theirs = seconds(work, times)
        error = NATS_TO_BITS * float(np.abs(theirs - values).max())
        rows.append(
            (peer, f"{1e3 * taken:.1f}", "", f"{taken / own:.1f}", f"{error:.1e}",
             f"{1e3 * taken / floor:.1f}")
        )  # fmt: skip
    table(title, rows, ("who", "CPU ms", "MiB", "ratio", "error, bit", "× floor"))


def small(activation, snapshots):
    y, taken = task_layers(activation, snapshots)
    layers = [t for snapshot in taken for t in snapshot]
    what = f"{len(layers)} layers of 4096 × 10-7-5-4-3-2, {activation}, I(X;T) and I(T;Y)"
    compare(f"fixed bins: {what}", y, layers, "mi.binning", {}, {
        "IDNNs, tasks": (lambda: per_task(y, layers, fixed), 1),
        "IDNNs, a loop": (lambda: per_input(y, layers, fixed), 1),
        "np.unique(axis=0)": (lambda: per_class(y, layers, fixed, row_counts), 1),
        "void view": (lambda: per_class(y, layers, fixed, void_counts), 3),
    })  # fmt: skip
    compare(f"floor bins: {what}", y, layers, "mi.binning", {"width": 0.07}, {
        "ibsgd floor": (lambda: per_class(y, layers, floored, void_counts), 3),
    })  # fmt: skip
    compare(f"adaptive bins: {what}", y, layers, "mi.adaptive", {}, {
        "published, tasks": (lambda: per_task(y, layers, adaptive), 1),
        "published, a loop": (lambda: per_input(y, layers, adaptive), 1),
        "np.unique(axis=0)": (lambda: per_class(y, layers, adaptive, row_counts), 1),
    })  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wide", action="store_true", help="also 10,000 × (1024, 512, 10)")
    parser.add_argument("--snapshots", type=int, default=8)
    chosen = parser.parse_args()
    for activation in ("tanh", "relu"):
        small(activation, chosen.snapshots)
    if chosen.wide:
        y, layers = wide_layers()
        compare("adaptive bins: 10,000 × (1024, 512, 10), ReLU", y, layers, "mi.adaptive", {}, {
            "published, tasks": (lambda: per_task(y, layers, adaptive), 1),
            "published, a loop": (lambda: per_input(y, layers, adaptive), 1),
            "np.unique(axis=0)": (lambda: per_class(y, layers, adaptive, row_counts), 1),
        })  # fmt: skip
        assert math.isclose(ours("mi.adaptive", y, layers)[0], math.log(len(y)))


if __name__ == "__main__":
    main()
