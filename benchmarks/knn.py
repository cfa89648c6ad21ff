"""Nearest-neighbour information: ours beside the peers' algorithms on the same arrays.

    python benchmarks/knn.py [--n 10000] [--repeats 3] [--workers 2]

With one thread, processor time; with more, ours on so many threads beside the peer as it is, by the
clock on the wall.

Peers: npeet's KSG (scikit-learn's KDTree: k-th neighbour in the joint space, radius counts in
each), scikit-learn's mutual_info_regression and mutual_info_classif for single units, weighted
Kozachenko–Leonenko on a BallTree as in Information-v3, and the null by repeating the estimator.
The error is against the exact information of the Gaussian. The floor of KSG is one pass over n²·d
differences at the machine's rate, or n log n steps of a tree where that is less.
"""

from __future__ import annotations

import argparse
import math
import time

import numpy as np
from arena import peak, seconds, table
from scipy.spatial.distance import cdist
from scipy.special import digamma
from sklearn.feature_selection import mutual_info_classif, mutual_info_regression
from sklearn.neighbors import BallTree, KDTree

from infoplane import truth
from infoplane.estimators import card, get
from infoplane.estimators.kl import weights, whitened

HEAD = ("what", "who", "ms", "ratio", "MiB", "value", "truth")


def npeet_ksg(x, t, k=5):
    joint = KDTree(np.hstack([x, t]), metric="chebyshev")
    radius = joint.query(np.hstack([x, t]), k=k + 1)[0][:, -1] - 1e-15
    total = digamma(k) + digamma(len(x))
    for one in (x, t):
        inside = KDTree(one, metric="chebyshev").query_radius(one, radius, count_only=True)
        total -= digamma(inside).mean()
    return total


def balltree_wkl(x, t, k=5):
    def entropy(points):
        white, log_det = whitened(points)
        n, d = white.shape
        radii = BallTree(white, leaf_size=40).query(white, k=k + 1)[0][:, 1:]
        volume = 0.5 * d * math.log(math.pi) - math.lgamma(0.5 * d + 1)
        log_density = digamma(np.arange(1, k + 1)) - volume - d * np.log(radii) - math.log(n - 1)
        return 0.5 * log_det - (log_density @ weights(k, d)).mean()

    return entropy(x) + entropy(t) - entropy(np.hstack([x, t]))


def compare(what, exact, ours, peers, repeats, clock=time.process_time):
    """Rows of one comparison: ours first, ratios are peer over ours."""
    ours()  # compiles
    own, value = seconds(ours, repeats, clock)
    rows = [(what, "infoplane", own, 1.0, peak(ours), value)]
    for name, peer in peers.items():
        taken, found = seconds(peer, repeats, clock)
        rows.append(("", name, taken, taken / own, peak(peer), found))
    return [
        (w, who, f"{1e3 * s:.1f}", f"{ratio:.2f}", f"{mib:.0f}", f"{v:.4f}", f"{exact:.4f}")
        for w, who, s, ratio, mib, v in rows
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    chosen = parser.parse_args()
    n, repeats, rows = chosen.n, chosen.repeats, []
    clock = time.process_time if chosen.workers == 1 else time.perf_counter
    ksg, kl = get("mi.ksg"), get("mi.kl")
    for d in (1, 2, 3, 4, 10, 32):
        task = truth.gaussian(0.6, d)
        x, t = task.sample(n)
        rows += compare(
            f"KSG {d}+{d}",
            task.mi,
            lambda x=x, t=t: ksg(x, t, standardise=False, workers=chosen.workers).value,
            {"npeet": lambda x=x, t=t: npeet_ksg(x, t)},
            repeats if d < 10 else 1,
            clock,
        )
    for d, k in ((2, 5), (4, 5), (10, 10)):  # 20 joint dimensions need six neighbours or more
        task = truth.gaussian(0.6, d)
        x, t = task.sample(n)
        rows += compare(
            f"weighted KL {d}+{d}, k = {k}",
            task.mi,
            lambda x=x, t=t, k=k: kl(x, t, k=k).value,
            {"Information-v3": lambda x=x, t=t, k=k: balltree_wkl(x, t, k)},
            repeats if d < 10 else 1,
            clock,
        )
    task = truth.gaussian(0.6)
    x, t = task.sample(n)
    t = t / t.std(0)
    rows += compare(
        "one unit", task.mi, lambda: ksg(x, t, k=3).value,
        {"scikit-learn": lambda: mutual_info_regression(t, x[:, 0], random_state=0)[0]}, repeats,
        clock,
    )  # fmt: skip
    y = (x[:, 0] > 0).astype(int)
    exact = ksg(y, t, k=3).value
    rows += compare(
        "one unit, labels", exact, lambda: ksg(y, t, k=3).value,
        {"scikit-learn": lambda: mutual_info_classif(t, y, random_state=0)[0]}, repeats, clock,
    )  # fmt: skip
    x, y = truth.blobs(10, 10, 0.5).sample(min(n, 4096))
    null = card("mi.ksg").null
    rng = np.random.default_rng(0)
    rows += compare(
        "null of 20 draws, labels × 10", 0.0, lambda: null(y, x, draws=20, rng=0).mean(),
        {"loop": lambda: np.mean([ksg(rng.permutation(y), x).value for _ in range(20)])}, 1,
    )  # fmt: skip
    table(f"n = {n}, {chosen.workers} thread(s); ratio: peer's time over ours", rows, HEAD)
    for d in (2, 4, 10):
        points = truth.gaussian(0.6, d).sample(n)[0]
        taken, _ = seconds(lambda points=points: cdist(points[:256], points, "chebyshev"), 1)
        print(f"plain sweep of n² × {d} differences: {1e3 * taken * n / 256:.0f} ms")


if __name__ == "__main__":
    main()
