"""Several spectral quantities of the same layers: one shared pass beside separate calls.

    python benchmarks/spectral.py [--layers 2] [--n 2048] [--d 768] [--threads 2]

Asked for: diffusion entropy, Rényi entropy of order 2, LID, TwoNN, Vendi score. The peers each
compute their own distances in plain numpy (Vendi: the n × n matrix of cosines), as separate
packages do. Then, for n ≫ d, Vendi, effective rank and matrix entropy from the covariance side
beside the sample side. Errors are relative, against the peer. The floor is one product of matrices
and two eigenvalue calls a layer. ``--threads`` takes layers in as many threads and gives wall-clock
times (run with OMP_NUM_THREADS=1: threads within threads wait for each other).
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from arena import peak, seconds, table, wide_layers
from diffusion import published

from infoplane.estimators import Shared, get

SIGMA = 10.0


def squares(t):
    square = (t * t).sum(axis=1)
    return np.maximum(square[:, None] + square - 2 * t @ t.T, 0.0)


def plain_renyi(t):
    kernel = np.exp(-squares(t) / (2 * SIGMA**2))
    values = np.linalg.eigvalsh(kernel / np.trace(kernel))
    return -np.log(np.sum(np.maximum(values, 0) ** 2))


def plain_lid(t, k=20):
    near = np.sqrt(np.sort(squares(t), axis=1)[:, 1 : k + 1])
    return np.mean((k - 2) / -np.log(near / near[:, -1:]).sum(axis=1))


def plain_twonn(t):
    near = np.sqrt(np.sort(squares(t), axis=1)[:, 1:3])
    logs = np.log(near[:, 1] / near[:, 0])
    return (len(t) - 1) / logs.sum()


def plain_vendi(t):
    rows = t / np.linalg.norm(t, axis=1, keepdims=True)
    values = np.linalg.eigvalsh(rows @ rows.T / len(t))
    values = values[values > 0]
    return np.exp(-(values * np.log(values)).sum())


def one_by_one(layers):
    plain = (published, plain_renyi, plain_lid, plain_twonn, plain_vendi)
    return np.array([[quantity(t) for quantity in plain] for t in layers])


def together(layers):
    asked = (
        ("entropy.diffusion", {}),
        ("entropy.renyi", {"alpha": 2.0, "sigma": SIGMA}),
        ("dimension.lid", {}),
        ("dimension.twonn", {"method": "ml"}),
        ("diversity.vendi", {}),
    )
    out = []
    for t in layers:
        shared = Shared(t)
        out.append([get(name)(t, shared=shared, **params).value for name, params in asked])
    return np.array(out)


def floor(t):
    def work():
        gram = t @ t.T
        np.linalg.eigvalsh(gram)
        np.linalg.eigvalsh(t.T @ t)

    return seconds(work, 1)[0]


def in_threads(layers, threads):
    """Print the wall-clock time of both, ours with layers in threads."""
    start = time.perf_counter()
    truth = one_by_one(layers)
    peer = time.perf_counter() - start
    with ThreadPoolExecutor(threads) as pool:
        start = time.perf_counter()
        found = np.concatenate(list(pool.map(lambda t: together([t]), layers)))
        ours = time.perf_counter() - start
    error = np.abs(found / truth - 1).max()
    row = [f"{1e3 * peer:.0f}", f"{1e3 * ours:.0f}", f"{peer / ours:.1f}×", f"{error:.1g}"]
    head = ("one by one, ms", "shared, ms", "ratio", "rel. error")
    table(f"wall clock, ours in {threads} threads", [row], head)


def shared_pass(count, n, d, threads):
    layers = [
        np.asarray(wide_layers(n, (d,), seed)[1][0], dtype=np.float64) for seed in range(count)
    ]
    together(layers[:1])  # numba compiles, or reads what it kept
    peer, truth = seconds(lambda: one_by_one(layers), 1)
    ours, found = seconds(lambda: together(layers), 1)
    error = np.abs(found / truth - 1).max()
    least = count * floor(layers[0])
    rows = [
        ["one by one", f"{1e3 * peer:.0f}", "1.0×", "0", f"{peer / least:.1f}×"],
        [
            "shared",
            f"{1e3 * ours:.0f}",
            f"{peer / ours:.1f}×",
            f"{error:.1g}",
            f"{ours / least:.1f}×",
        ],
    ]
    for line, work in zip(rows, (one_by_one, together), strict=True):
        line.append(f"{peak(lambda work=work: work(layers[:1])):.0f}")
    head = ("", "ms", "ratio", "rel. error", "× floor", "MiB")
    table(f"DSE, Rényi-2, LID, TwoNN, Vendi on {count} layers of {n} × {d}", rows, head)
    if threads > 1:
        in_threads(layers, threads)


def covariance_side(n=4000, d=64):
    t = np.asarray(wide_layers(n, (d,))[1][0], dtype=np.float64)
    peer, truth = seconds(lambda: plain_vendi(t), 1)
    rows = []
    for name in ("diversity.vendi", "rank.effective", "entropy.matrix", "rank.participation"):
        taken, found = seconds(lambda name=name: get(name)(t).value)
        error = f"{abs(found / truth - 1):.1g}" if name == "diversity.vendi" else ""
        rows.append([name, f"{1e3 * taken:.1f}", f"{peer / taken:.0f}×", error])
    head = ("", "ms", f"ratio to Vendi on the sample side, {1e3 * peer:.0f} ms", "rel. error")
    table(f"n = {n}, d = {d}", rows, head)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--n", type=int, default=2048)
    parser.add_argument("--d", type=int, default=768)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    shared_pass(options.layers, options.n, options.d, options.threads)
    covariance_side()


if __name__ == "__main__":
    main()
