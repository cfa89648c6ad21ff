"""Saxe et al. 2018, On the information bottleneck theory of deep learning."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.stats import norm

from infoplane.estimators import get
from infoplane.reproduce.claims import (
    NOTICEABLE,
    Claim,
    Evidence,
    Finding,
    Paper,
    curve,
    fall,
    in_all,
    spread,
)
from infoplane.types import NATS_TO_BITS

BINNING, FINE = "mi.binning", "mi.binning(bins=65536)"
FLOOR, KDE = "mi.binning(width=0.07)", "mi.kde"
# The paper's figure: H(bin(T)) of one tanh neuron with weight w and a standard normal input.
TANH_NEURON = {1: 4.877, 5: 2.775, 20: 1.594, 100: 1.151}
# Thirty equal bins that hold -1 and 1: a neuron that is exactly saturated has no bin of its own.
THIRTY_BINS = {"bins": 31, "range": (-1 - 1e-9, 1 + 1e-9)}
HALF_STEP = 0.5 / 4096
GRID = norm.ppf(np.linspace(HALF_STEP, 1 - HALF_STEP, 4096))


def _relu(evidence: Evidence) -> Finding:
    falls = {
        estimator: [
            max(fall(curve(ds, estimator, f"relu{layer}")) for layer in range(1, 6))
            for ds in evidence["relu"]
        ]
        for estimator in (FLOOR, KDE)
    }
    per_seed = zip(*falls.values(), strict=True)
    numbers = "; ".join(f"{estimator} {spread(values)}" for estimator, values in falls.items())
    return Finding(
        in_all([all(value <= NOTICEABLE for value in seed) for seed in per_seed]),
        f"largest fall of any hidden layer, bits: {numbers}",
    )


def _against_tanh(name: str, evidence: Evidence) -> Finding:
    own = [fall(curve(ds, FLOOR, f"{name}5")) for ds in evidence[name]]
    tanh = [fall(curve(ds, FLOOR, "tanh5")) for ds in evidence["tanh"]]
    return Finding(
        in_all([a < b for a, b in zip(own, tanh, strict=True)]),
        f"fall of the last hidden layer, bits: {name} {spread(own)}, tanh {spread(tanh)}",
    )


def _fine_bins(evidence: Evidence) -> Finding:
    coarse = [fall(curve(ds, BINNING, "tanh5")) for ds in evidence["tanh"]]
    fine = [fall(curve(ds, FINE, "tanh5")) for ds in evidence["tanh"]]
    ends = [float(curve(ds, FINE, "tanh5")[-1]) for ds in evidence["tanh"]]
    return Finding(
        in_all([value <= NOTICEABLE for value in fine]),
        f"fall of tanh5, bits: 30 bins {spread(coarse)}, 65536 bins {spread(fine)}; with 65536 "
        f"bins it ends at {spread(ends)} of log2 4096 = 12",
    )


def _full_batch(evidence: Evidence) -> Finding:
    falls = [fall(curve(ds, BINNING, "tanh5")) for ds in evidence["full-batch"]]
    return Finding(
        in_all([value > NOTICEABLE for value in falls]),
        f"fall of the last hidden layer without mini-batches, bits: {spread(falls)}, after 13 "
        "times the epochs: as many updates as with mini-batches",
    )


def _tanh_neuron(_: Evidence) -> Finding:
    binning = get("mi.binning")
    samples = np.arange(len(GRID))
    measured = {
        weight: binning(samples, np.tanh(weight * GRID)[:, None], **THIRTY_BINS).value
        * NATS_TO_BITS
        for weight in TANH_NEURON
    }
    worst = max(abs(measured[weight] - TANH_NEURON[weight]) for weight in TANH_NEURON)
    numbers = ", ".join(f"w = {weight}: {bits:.3f}" for weight, bits in measured.items())
    return Finding(
        "holds" if worst < 0.05 and measured[100] < measured[20] < measured[5] else "does not hold",
        f"I(X; bin(tanh(wX))), bits: {numbers}",
    )


def _rescaling(_: Evidence) -> Finding:
    noisy = get("mi.noisy")
    samples = np.arange(len(GRID))
    measured = {
        weight: noisy(samples, weight * GRID[:, None], sigma=0.5, rng=0).value * NATS_TO_BITS
        for weight in (1.0, 0.1)
    }
    exact = {weight: 0.5 * np.log2(1 + (weight / 0.5) ** 2) for weight in measured}
    near = all(abs(measured[weight] - exact[weight]) < 0.05 for weight in measured)
    numbers = ", ".join(
        f"w = {weight:g}: {measured[weight]:.3f} (closed form {exact[weight]:.3f})"
        for weight in measured
    )
    return Finding(
        "holds" if near and measured[1.0] - measured[0.1] > NOTICEABLE else "does not hold",
        f"I(X; wX + ε) with σ = 0.5, bits: {numbers}",
    )


PAPER = Paper(
    key="saxe2018",
    reference="Saxe et al. 2018, On the information bottleneck theory of deep learning",
    trainings={
        "tanh": lambda recipe: recipe,
        "relu": lambda recipe: replace(recipe, activation="relu"),
        "softsign": lambda recipe: replace(recipe, activation="softsign"),
        "softplus": lambda recipe: replace(recipe, activation="softplus"),
        # One update an epoch: 13 times the epochs give as many updates as with mini-batches.
        "full-batch": lambda recipe: replace(recipe, batch=4096, epochs=13 * recipe.epochs),
    },
    estimators=(
        ("mi.binning", {}),
        ("mi.binning", {"bins": 65536}),
        ("mi.binning", {"width": 0.07}),
        ("mi.kde", {}),
    ),
    claims=(
        Claim(
            "1",
            "ReLU networks do not compress in their hidden layers.",
            f"No hidden layer's I(X;T) ends more than {NOTICEABLE} bit below its peak, on bins of "
            "0.07 and with the kernel bound, in every seed.",
            _relu,
        ),
        Claim(
            "2",
            "Softplus does not compress as tanh does.",
            "The last hidden layer falls less than with tanh on bins of 0.07, seed by seed.",
            lambda evidence: _against_tanh("softplus", evidence),
        ),
        Claim(
            "3",
            "Softsign compresses less than tanh.",
            "The last hidden layer falls less than with tanh on bins of 0.07, seed by seed.",
            lambda evidence: _against_tanh("softsign", evidence),
        ),
        Claim(
            "4",
            "Compression of tanh is in the bins: on bins fine enough it is gone.",
            f"On 65536 bins the last hidden layer ends at most {NOTICEABLE} bit below its peak.",
            _fine_bins,
        ),
        Claim(
            "5",
            "It needs no stochastic gradients: training on the full batch compresses too.",
            f"The last hidden layer ends more than {NOTICEABLE} bit below its peak, in every seed.",
            _full_batch,
        ),
        Claim(
            "6",
            "One saturating neuron compresses as its weight grows.",
            "I(X; bin(tanh(wX))) within 0.05 bit of the paper's curve at w = 1, 5, 20, 100.",
            _tanh_neuron,
        ),
        Claim(
            "7",
            "With added noise, a rescaling that leaves the function as it is changes I(X;T).",
            "I(X; wX + ε) within 0.05 bit of ½ log2(1 + w²/σ²), and more than "
            f"{NOTICEABLE} bit apart for w = 1 and w = 0.1.",
            _rescaling,
        ),
    ),
    left_out=(
        "The two phases of the gradients appear without compression too: needs gradient "
        "statistics; record them with `ip.watch(…, capture=('output', 'gradients'))`.",
        "Compression of the task-irrelevant part of the input: another network and task.",
        "Early stopping at 94 % validation accuracy: a choice of one threshold on one network.",
    ),
)
