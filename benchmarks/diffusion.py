"""Diffusion entropy and information: ours beside the published algorithm, restated.

    python benchmarks/diffusion.py [--n 2000] [--d 512] [--large]

The peer takes all distances in float64, normalises with two products by dense diagonal matrices
(n³ each) and then all eigenvalues; DSMI does so for each class and for five subsets of its size.
The same subsets are handed to both. ``--large`` adds n = 10,000: information beside the peer, and
entropy of ours alone by quadrature and exactly, a minute; ``--peer`` takes the peer's too, which is
five minutes and 3.6 GiB. The floor is one eigenvalue call on the finished matrix (for the
quadrature: its products).
"""

from __future__ import annotations

import argparse
import time
from random import Random

import numpy as np
from arena import NATS_TO_BITS, peak, seconds, table, wide_layers

from infoplane.estimators import get
from infoplane.estimators.distances import Distances

SIGMA = 10.0


def published(t, sigma=SIGMA):
    """Entropy in nats of one set of rows."""
    t = np.asarray(t, dtype=np.float64)
    square = (t * t).sum(axis=1)
    distance = np.sqrt(np.maximum(square[:, None] + square - 2 * t @ t.T, 0.0))
    gauss = np.exp(-(distance**2) / (2 * sigma**2)) / (sigma * np.sqrt(2 * np.pi))
    root = np.diag(gauss.sum(axis=1) ** -0.5)
    values = np.abs(np.linalg.eigvalsh(root @ gauss @ root))
    p = values / values.sum() + np.finfo(float).eps
    return float(-(p * np.log(p)).sum())


def published_information(t, y, subsets, sigma=SIGMA):
    """DSMI in nats with given subsets of each class size."""
    total = 0.0
    for label, count in zip(*np.unique(y, return_counts=True), strict=True):
        matched = np.mean([published(t[rows], sigma) for rows in subsets[int(count)]])
        total += count / len(y) * (matched - published(t[y == label], sigma))
    return total


def the_subsets(y, seed=0):
    """Those that `mi.diffusion` draws from this seed, as the published code does."""
    result = {}
    for count in sorted({int(c) for c in np.bincount(y)}):
        stream = Random(seed)
        result[count] = [np.array(stream.sample(range(len(y)), count)) for _ in range(5)]
    return result


def compile_loops():
    """Have numba's part compiled, or read from where it is kept, before anything is timed."""
    rng = np.random.default_rng(0)
    for n, method in ((3001, "exact"), (5001, "quadrature")):
        get("entropy.diffusion")(rng.normal(size=(n, 20)), sigma=2.0, method=method)


def floor(t, sigma=SIGMA):
    """Time of one eigenvalue call on the finished operator."""
    kernel = Distances(np.asarray(t, dtype=np.float64)).gaussian(sigma)
    root = np.sqrt(kernel.sum(axis=1))
    kernel /= root[:, None] * root
    return seconds(lambda: np.linalg.eigvalsh(kernel), 1)[0]


def row(name, work, against, truth, least):
    taken, value = work
    return [
        name,
        f"{1e3 * taken:.0f}",
        f"{against / taken:.1f}×",
        f"{abs(value - truth) * NATS_TO_BITS:.2g}",
        f"{taken / least:.1f}×",
    ]


def entropies(n, d):
    t = wide_layers(n, (d,))[1][0]
    ours = get("entropy.diffusion")
    peer = seconds(lambda: published(t), 1)
    exact = seconds(lambda: ours(t, method="exact").value, 1)
    quick = seconds(lambda: ours(t, method="quadrature"), 1)
    least = floor(t)
    truth = peer[1]
    rows = [
        row("published", peer, peer[0], truth, least),
        row("exact", exact, peer[0], truth, least),
        row("quadrature", (quick[0], quick[1].value), peer[0], truth, least),
    ]
    memory = [peak(lambda: published(t)), peak(lambda: ours(t, method="exact"))]
    memory.append(peak(lambda: ours(t, method="quadrature")))
    for line, size in zip(rows, memory, strict=True):
        line.append(f"{size:.0f}")
    head = ("DSE", "ms", "ratio", "error, bit", "× floor", "MiB")
    table(
        f"n = {n}, d = {d}; quadrature stderr {quick[1].stderr * NATS_TO_BITS:.2g} bit", rows, head
    )


def informations(n, d):
    y, (t,) = wide_layers(n, (d,))
    subsets = the_subsets(y)
    ours = get("mi.diffusion")
    start = time.process_time()
    truth = published_information(t, y, subsets)
    peer = time.process_time() - start
    taken, value = seconds(lambda: ours(y, t, sigma=SIGMA, rng=0).value, 1)
    error = f"{abs(value - truth) * NATS_TO_BITS:.2g}"
    rows = [
        ["published", f"{1e3 * peer:.0f}", "1.0×", "0"],
        ["ours", f"{1e3 * taken:.0f}", f"{peer / taken:.1f}×", error],
    ]
    balanced = np.arange(n) % 10
    subsets = the_subsets(balanced)
    start = time.process_time()
    truth = published_information(t, balanced, subsets)
    peer = time.process_time() - start
    taken, value = seconds(lambda: ours(balanced, t, sigma=SIGMA, rng=0).value, 1)
    error = f"{abs(value - truth) * NATS_TO_BITS:.2g}"
    rows.append(["ours, equal classes", f"{1e3 * taken:.0f}", f"{peer / taken:.1f}×", error])
    head = ("", "ms", "ratio", "error, bit")
    table(f"DSMI, ten classes, same subsets, n = {n}, d = {d}", rows, head)


def large(d, with_peer):
    informations(10_000, d)
    t = wide_layers(10_000, (d,))[1][0]
    ours, rows = get("entropy.diffusion"), []
    for method in ("quadrature", "exact"):
        taken, found = seconds(lambda method=method: ours(t, method=method, rng=0), 1)
        error = "" if found.stderr is None else f" ± {found.stderr * NATS_TO_BITS:.2g}"
        rows.append([method, f"{taken:.1f}", f"{found.bits:.6f}{error}"])
    for row in rows:
        row.append(f"{peak(lambda method=row[0]: ours(t, method=method)):.0f}")
    if with_peer:
        taken, value = seconds(lambda: published(t), 1)
        rows.append(["published", f"{taken:.1f}", f"{value * NATS_TO_BITS:.6f}", ""])
    table(f"DSE, n = 10,000, d = {d}", rows, ("", "s", "bit", "MiB"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--d", type=int, default=512)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--peer", action="store_true", help="with --large: the peer's entropy too")
    options = parser.parse_args()
    compile_loops()
    entropies(options.n, options.d)
    informations(options.n, options.d)
    if options.large:
        large(options.d, options.peer)


if __name__ == "__main__":
    main()
