"""Memory of each estimator at n = 10,000, d = 1,024: resident size above the arrays, in a process.

    python benchmarks/memory.py [--n 10000] [--d 1024] [--only mi.kde mi.ksg]

Each estimate runs in a process of its own, which has imported everything and made the arrays
before; what it grew by at its largest is printed beside the budget of 1 GiB. A refusal is an answer
too: it is printed instead.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time

import numpy as np

BUDGET = 1024  # MiB
LAYERWISE = ("entropy.diffusion", "entropy.renyi", "dimension.lid", "diversity.vendi",
             "entropy.sphere", "rank.effective")  # fmt: skip
WITH_LABELS = ("mi.binning", "mi.adaptive", "mi.kde", "mi.ksg", "mi.diffusion", "mi.renyi")


def one(name, n, d):
    """Run one estimate in this process and print its line."""
    import torch  # noqa: F401  (its own size is not the estimator's)

    from infoplane.estimators import catalogue, get

    catalogue()
    rng = np.random.default_rng(0)
    y = np.arange(n) % 10
    t = rng.standard_normal((n, d), dtype=np.float32)
    t += np.float32(0.1) * y[:, None]
    params = {"variance": d / 10} if name == "mi.kde" else {}
    if name.endswith("diffusion"):
        params["sigma"] = d**0.5
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try:
        said = f"{get(name)(*((t,) if name in LAYERWISE else (y, t)), **params).value:.4f}"
    except Exception as error:  # a refusal is told, whatever it is
        said = str(error).splitlines()[0]
    taken = time.process_time() - start
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{name:20}{grown:8.0f} MiB{grown / BUDGET:7.0%}{taken:9.1f} s  {said}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--d", type=int, default=1024)
    parser.add_argument("--only", nargs="*", default=[*WITH_LABELS, *LAYERWISE])
    parser.add_argument("--here", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        one(options.here, options.n, options.d)
        return
    print(f"n = {options.n:,}, d = {options.d:,}; budget {BUDGET} MiB above the arrays")
    for name in options.only:
        command = [sys.executable, __file__, "--here", name, "--n", str(options.n)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run([*command, "--d", str(options.d)], env=environment, check=True)


if __name__ == "__main__":
    main()
