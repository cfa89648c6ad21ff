"""Memory of every estimator at n = 10,000, d = 1,024: resident size above the arrays.

    python benchmarks/memory.py [--n 10000] [--d 1024] [--only mi.kde mi.ksg]

Each estimate runs in a process of its own, which has imported everything and made the arrays
before; what it grew by at its largest is printed beside the budget of 1 GiB. A refusal is an answer
too: it is printed instead. Without ``--only`` it is every estimator of one layer, alone or with
labels, that is not thorough; what takes over ten minutes is said so and left.
"""

from __future__ import annotations

import argparse
import inspect
import os
import resource
import subprocess
import sys
import time

import numpy as np

from infoplane.estimators import catalogue, get
from infoplane.types import Cost

BUDGET = 1024  # MiB
PATIENCE = 600  # seconds


def asked():
    """Estimators of one layer, alone or with labels, that are not thorough."""
    return [
        card.id
        for card in catalogue()
        if card.needs in ("representation", "labels") and card.cost is not Cost.THOROUGH
    ]


def arguments(name, y, t):
    """What an estimator takes: f(v, t), f(t, y) or f(t)."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    every = inspect.signature(get(name)).parameters.values()
    names = [parameter.name for parameter in every if parameter.kind in kinds]
    return [y if position in ("v", "y") else t for position in names]


def one(name, n, d):
    """Run one estimate in this process and print its line."""
    import torch  # noqa: F401  (its own size is not the estimator's)

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
        said = f"{get(name)(*arguments(name, y, t), **params).value:.4f}"
    except Exception as error:  # a refusal is told, whatever it is
        said = str(error).splitlines()[0]
    taken = time.process_time() - start
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{name:20}{grown:8.0f} MiB{grown / BUDGET:7.0%}{taken:9.1f} s  {said}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--d", type=int, default=1024)
    parser.add_argument("--only", nargs="*", help="ids")
    parser.add_argument("--here", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        one(options.here, options.n, options.d)
        return
    print(f"n = {options.n:,}, d = {options.d:,}; budget {BUDGET} MiB above the arrays")
    for name in options.only or asked():
        command = [sys.executable, __file__, "--here", name, "--n", str(options.n)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        command += ["--d", str(options.d)]
        try:
            subprocess.run(command, env=environment, check=True, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            print(f"{name:20} over {PATIENCE} s", flush=True)


if __name__ == "__main__":
    main()
