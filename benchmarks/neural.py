"""Trained bounds: time and error against exact information, beside KSG on the same pairs.

    python benchmarks/neural.py [--n 2000] [--steps 1500]

The peer is the training set-up of the published SMILE demonstration (separable critic, two hidden
layers of 256, batch 64, Adam 5e-4, in-batch value over the last updates), restated, with the same
number of updates.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from arena import seconds, table

from infoplane import truth
from infoplane.estimators import get, neural, neural_bounds
from infoplane.estimators.neural_critics import critic

BOUNDS = ("mi.mine", "mi.nwj", "mi.js", "mi.infonce", "mi.smile")
TASKS = ("1v1-normal-0.75", "multinormal-sparse-5-5-2-2.0", "1v1-additive-0.1",
         "asinh-student-identity-3-3-2")  # fmt: skip


def published_smile(x, t, steps, tau=5.0):
    """In-batch SMILE, mean over the last fifth of the updates."""
    rng = np.random.default_rng(0)
    model = critic("separable", x.shape[1], t.shape[1], 256, 32, 0)
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-4)
    pairs = [torch.from_numpy(a.astype(np.float32)) for a in (x, t)]
    values = []
    for _ in range(steps):
        rows = torch.from_numpy(rng.integers(len(x), size=64))
        scores = model.scores(pairs[0][rows], pairs[1][rows])
        loss = -neural_bounds.train_js(scores)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        values.append(neural.smile(scores.detach().double().numpy(), tau))
    return float(np.mean(values[-steps // 5 :]))


def measured(name, n, steps):
    """Rows of one task."""
    task = truth.get(name)
    x, t = task.sample(n)
    runs = {bound: lambda b=bound: get(b)(x, t, steps=steps).value for bound in BOUNDS}
    runs["published SMILE, in-batch"] = lambda: published_smile(x, t, steps)
    runs["mi.ksg"] = lambda: get("mi.ksg")(x, t).value
    rows = []
    for who, work in runs.items():
        taken, value = seconds(work, 1)
        error = f"{value - task.mi:+.3f}"
        rows.append((name, who, f"{taken:.2f}", f"{value:.3f}", f"{task.mi:.3f}", error))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=1500)
    chosen = parser.parse_args()
    rows = []
    for name in TASKS:
        rows += measured(name, chosen.n, chosen.steps)
    table(f"n = {chosen.n}, {chosen.steps} updates", rows,
          ("task", "who", "s", "value", "truth", "error"))  # fmt: skip


if __name__ == "__main__":
    main()
