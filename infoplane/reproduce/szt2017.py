"""Shwartz-Ziv & Tishby 2017, Opening the black box of deep neural networks via information."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from infoplane.reproduce.claims import (
    NOTICEABLE,
    Claim,
    Evidence,
    Finding,
    Paper,
    curve,
    fall,
    in_all,
    peak_epoch,
    spread,
)
from infoplane.tasks import szt

BINNING = "mi.binning"
LAST = "tanh5"
HIDDEN = ("tanh1", "tanh2", "tanh3", "tanh4", LAST)
LAYERS = (*HIDDEN, "softmax")


def _label_information(_: Evidence) -> Finding:
    share = np.bincount(szt()[1]) / 4096
    bits = float(-(share * np.log2(share)).sum())
    return Finding(
        "holds" if abs(bits - 0.99) < 0.01 else "does not hold",
        f"I(X;Y) = H(Y) = {bits:.6f} bits over all 4096 patterns, computed",
    )


def _order(evidence: Evidence) -> Finding:
    ends = [[float(curve(ds, BINNING, layer)[-1]) for layer in LAYERS] for ds in evidence["tanh"]]
    ordered = [all(a >= b - 0.01 for a, b in pairwise(end)) for end in ends]
    means = " ≥ ".join(f"{value:.2f}" for value in np.mean(ends, axis=0))
    return Finding(
        in_all(ordered), f"means {means} bits; ordered in {sum(ordered)} of {len(ordered)} seeds"
    )


def _fitting(evidence: Evidence) -> Finding:
    curves = [curve(ds, BINNING, LAST, "Y") for ds in evidence["tanh"]]
    if any(bits["epoch"][-1] <= 300 for bits in curves):
        return Finding("undecided", "the training has no more than 300 epochs")
    early = [float(bits[bits["epoch"] <= 300][-1] - bits[0]) for bits in curves]
    whole = [float(bits[-1] - bits[0]) for bits in curves]
    return Finding(
        in_all([gain > 0 and part > 0.5 * gain for part, gain in zip(early, whole, strict=True)]),
        f"gain of I(T;Y) by epoch 300 {spread(early)} of {spread(whole)} bits in all",
    )


def _falls(evidence: Evidence, layers: tuple[str, ...]) -> Finding:
    falls = {
        layer: [fall(curve(ds, BINNING, layer)) for ds in evidence["tanh"]] for layer in layers
    }
    per_seed = zip(*falls.values(), strict=True)
    decision = in_all([all(value > NOTICEABLE for value in seed) for seed in per_seed])
    numbers = "; ".join(f"{layer} {spread(values)}" for layer, values in falls.items())
    peaks = [peak_epoch(curve(ds, BINNING, layers[-1])) for ds in evidence["tanh"]]
    return Finding(
        decision, f"bits below the peak: {numbers}; {layers[-1]} peaks at epoch {spread(peaks, 0)}"
    )


PAPER = Paper(
    key="szt2017",
    reference="Shwartz-Ziv & Tishby 2017, Opening the black box of deep neural networks "
    "via information",
    trainings={"tanh": lambda recipe: recipe},
    estimators=((BINNING, {}),),
    claims=(
        Claim(
            "1",
            "The labels of the task carry about 0.99 bit.",
            "H(Y) of the regenerated task within 0.01 bit of 0.99.",
            _label_information,
        ),
        Claim(
            "2",
            "Information about the input falls from layer to layer.",
            "I(X;T) on 30 bins at the last step does not rise along the layers (0.01 bit), in "
            "every seed.",
            _order,
        ),
        Claim(
            "3",
            "Fitting comes first and is short.",
            "More than half of the last hidden layer's gain of I(T;Y) is there by epoch 300.",
            _fitting,
        ),
        Claim(
            "4",
            "Then the layers near the output compress.",
            f"I(X;T) of the last hidden layer and of the output ends more than {NOTICEABLE} bit "
            "below its peak, in every seed.",
            lambda evidence: _falls(evidence, (LAST, "softmax")),
        ),
        Claim(
            "5",
            "All hidden layers compress.",
            f"I(X;T) of each hidden layer ends more than {NOTICEABLE} bit below its peak, in every "
            "seed.",
            lambda evidence: _falls(evidence, HIDDEN),
        ),
    ),
    left_out=(
        "More hidden layers shorten the training: the paper shows it as a picture; no number to "
        "hold a measurement against.",
        "Converged layers lie near the information-bottleneck bound: the page draws the bound and "
        "each layer's distance; the paper gives no distance.",
        "Drift and diffusion of the gradients: needs gradient statistics; record them with "
        "`ip.watch(…, capture=('output', 'gradients'))`.",
    ),
)
