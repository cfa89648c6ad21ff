"""Ours beside the packages that a user would install instead, on the same arrays in one process.

    pip install -e ".[bench]"
    OMP_NUM_THREADS=1 python benchmarks/peers.py [--n 10000] [--rows 2000] [--only ksg dse]

A peer that is not installed is said so and left out. Time is processor time, memory what numpy and
Python allocated beyond the arrays, the error is against exact information where there is one, else
against the peer. The floor is what no way of computing it could leave out: the k-d tree's query or
n² · d differences, whichever is less, for neighbours; one eigenvalue call for spectra; one product
of matrices for a covariance.
"""

from __future__ import annotations

import argparse
import importlib
import warnings

import numpy as np
from arena import peak, seconds, table, task_layers, wide_layers
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from infoplane import truth
from infoplane.estimators import get

HEAD = ("work", "who", "ms", "MiB", "value", "error", "peer/ours", "× floor")


def installed(name):
    """The peer, or None after saying that it is missing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ImportError:
        print(f"{name}: not installed, left out")
        return None


def compare(work, exact, ours, peers, floor, repeats=3):
    """Rows of one piece of work; ``exact`` None means that the first peer is the truth."""
    calls = {"infoplane": ours, **peers}
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for who, call in calls.items():
            taken, value = seconds(call, repeats if who == "infoplane" else 1)
            found[who] = taken, float(value), peak(call)
    truth_ = (
        exact if exact is not None else next((found[p][1] for p in peers), found["infoplane"][1])
    )
    own = found["infoplane"][0]
    return [
        (
            work if who == "infoplane" else "",
            who,
            f"{1e3 * taken:.1f}",
            f"{mib:.0f}",
            f"{value:.4f}",
            f"{value - truth_:+.1e}",
            f"{taken / own:.1f}",
            f"{taken / floor:.1f}",
        )
        for who, (taken, value, mib) in found.items()
    ]  # fmt: skip


def neighbour_floor(x, t, k):
    joint = np.hstack([x, t])
    some = joint[:256]
    sweep = seconds(lambda: cdist(some, joint, "chebyshev"))[0] * len(joint) / len(some)
    if joint.shape[1] > 12:
        return sweep
    tree = seconds(lambda: cKDTree(joint).query(joint, [k + 1], p=np.inf), 1)[0]
    return min(sweep, tree)


def ksg(n, rows):
    k, out = 5, []
    npeet, ennemi, infomeasure = map(installed, ("npeet_plus", "ennemi", "infomeasure"))
    for d in (1, 2, 3, 4, 10):
        task = truth.gaussian(0.6, d)
        x, t = task.sample(n)
        peers = {}
        if npeet is not None:
            peers["npeet_plus"] = lambda x=x, t=t: npeet.mi(x, t, k=k, base=np.e)
        if ennemi is not None and d == 1:  # several columns are conditions there, not one variable
            peers["ennemi"] = lambda x=x, t=t: ennemi.estimate_mi(
                t[:, 0], x, k=k, preprocess=False
            ).item()
        if infomeasure is not None:
            peers["infomeasure"] = lambda x=x, t=t: infomeasure.mutual_information(
                x, t, approach="ksg", k=k, noise_level=0, base="e"
            )
        out += compare(
            f"KSG {d}+{d}, n = {n}",
            task.mi,
            lambda x=x, t=t: get("mi.ksg")(x, t, k=k, standardise=False).value,
            peers,
            neighbour_floor(x, t, k),
        )
    return out


def labels(n, rows):
    selection = installed("sklearn.feature_selection")
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, n)
    t = rng.normal(size=(n, 1)) + y[:, None]
    t /= t.std()
    peers = {}
    if selection is not None:
        peers["scikit-learn"] = lambda: selection.mutual_info_classif(
            t, y, n_neighbors=3, random_state=0
        )[0]
    floor = seconds(lambda: cKDTree(t).query(t, [4]))[0]
    ours = get("mi.ksg")
    return compare(f"Ross, one unit, n = {n}", None, lambda: ours(y, t, k=3).value, peers, floor)


def dse(n, rows):
    package = installed("dse_dsmi")
    y, (t,) = wide_layers(rows, (512,))
    t = t.astype(np.float64)
    kernel = np.exp(-cdist(t, t, "sqeuclidean") / 200)
    floor = seconds(lambda: np.linalg.eigvalsh(kernel), 1)[0]
    one, two = {}, {}
    if package is not None:
        one["dse-dsmi"] = lambda: package.diffusion_spectral_entropy(t, 10)
        two["dse-dsmi"] = lambda: package.diffusion_spectral_mutual_information(
            t, y, reference_discrete=True, gaussian_kernel_sigma=10
        )[0]
    # the published code counts in bits; its subsets of a class's size are other random ones
    ours = get("entropy.diffusion")
    out = compare(
        f"DSE exact, {rows} × 512, bits", None, lambda: ours(t, method="exact").bits, one, floor, 1
    )
    out += compare(
        f"DSE quadrature, {rows} × 512, bits",
        None,
        lambda: ours(t, method="quadrature").bits,
        one,
        floor,
        1,
    )
    blocks = 6 * 10 * (1 / 10) ** 3 * floor
    return out + compare(
        f"DSMI 10 classes, {rows} × 512, bits",
        None,
        lambda: get("mi.diffusion")(y, t).bits,
        two,
        blocks,
        1,
    )


def vendi(n, rows):
    package = installed("vendi_score")
    t = wide_layers(n, (64,))[1][0].astype(np.float64)
    peers = {}
    if package is not None:
        module = importlib.import_module("vendi_score.vendi")
        some = t[:rows]
        peers["vendi-score, samples"] = lambda: module.score_X(some)
        peers["vendi-score, columns"] = lambda: module.score_dual(some)
    some = t[:rows]
    floor = seconds(lambda: np.linalg.eigvalsh(some.T @ some))[0]
    ours = get("diversity.vendi")
    return compare(f"Vendi, {rows} × 64", None, lambda: ours(some).value, peers, floor)


def counting(n, rows):
    package = installed("infomeasure")
    y, taken = task_layers(snapshots=1, epochs=200)
    t = taken[-1][3]
    codes = np.digitize(t.astype(np.float64), np.linspace(-1, 1, 30))
    symbols = np.unique(codes, axis=0, return_inverse=True)[1].ravel()
    peers = {}
    if package is not None:
        peers["infomeasure"] = lambda: package.mutual_information(
            symbols, y, approach="discrete", base="e"
        )
    floor = seconds(lambda: np.sort(symbols * 2 + y))[0]
    ours = get("mi.binning")
    return compare("bins (ours) and counts, 4096 × 4", None, lambda: ours(y, t).value, peers, floor)


WORK = {"ksg": ksg, "labels": labels, "dse": dse, "vendi": vendi, "counting": counting}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=10_000, help="samples of neighbour estimates")
    parser.add_argument("--rows", type=int, default=2000, help="rows of spectra")
    parser.add_argument("--only", nargs="*", choices=WORK, default=list(WORK))
    options = parser.parse_args()
    rows = [row for name in options.only for row in WORK[name](options.n, options.rows)]
    table("the same arrays, one process", rows, HEAD)


if __name__ == "__main__":
    main()
