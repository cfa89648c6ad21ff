"""What a layer may look like: blobs with corrupted labels, a ball, collapsed classes."""

from __future__ import annotations

import math

import numpy as np

from infoplane.errors import InputError
from infoplane.truth.closed_forms import ball_entropy, binary_entropy, etf
from infoplane.truth.distribution import Pair, Truth
from infoplane.types import Kind


def blobs(classes: int = 3, d: int = 20, corruption: float = 0.0, spread: float = 0.05) -> Truth:
    """Well separated Gaussian blobs X (n, d) with labels Y, a share of which is drawn anew.

    With e = corruption·(C−1)/C the share of wrong labels, I = log C − H_b(e) − e log(C−1); exact as
    long as the blobs do not touch (spread ≪ 1; the centres are a simplex frame of side ≥ √2).
    """
    if d < classes:
        raise InputError(f"`d` must be at least `classes`; got {d} and {classes}.")
    wrong = corruption * (classes - 1) / classes
    mi = math.log(classes) - binary_entropy(wrong) - wrong * math.log(max(classes - 1, 1))
    centres = np.pad(etf(classes), ((0, 0), (0, d - classes)))

    def draw(n: int, rng: np.random.Generator) -> Pair:
        blob = rng.integers(classes, size=n)
        x = centres[blob] + spread * rng.standard_normal((n, d))
        anew = rng.random(n) < corruption
        return x, np.where(anew, rng.integers(classes, size=n), blob)

    name = f"blobs-{classes}-{d}-{corruption:g}"
    kinds = (Kind.CONTINUOUS, Kind.DISCRETE)
    return Truth(name, "blobs with corrupted labels", max(mi, 0.0), draw, kinds)


def ball(d: int = 5) -> Truth:
    """X uniform in the unit d-ball, Y an independent uniform: I = 0, dimension d."""

    def draw(n: int, rng: np.random.Generator) -> Pair:
        x = rng.standard_normal((n, d))
        x *= rng.random((n, 1)) ** (1 / d) / np.linalg.norm(x, axis=1, keepdims=True)
        return x, rng.random((n, 1))

    surface = math.log(d) + ball_entropy(d)
    facts = {"dimension": float(d), "entropy": ball_entropy(d), "direction_entropy": surface}
    return Truth(f"ball-{d}", "uniform in a ball", 0.0, draw, facts=facts)


def simplex(classes: int = 4) -> Truth:
    """X at the vertex of a simplex frame that belongs to Y: neural collapse in its exact form."""
    frame = etf(classes)

    def draw(n: int, rng: np.random.Generator) -> Pair:
        y = rng.permutation(np.arange(n) % classes)
        return frame[y], y

    facts = {"nc1": 0.0, "entropy_y": math.log(classes), "effective_rank": classes - 1.0}
    kinds = (Kind.CONTINUOUS, Kind.DISCRETE)
    return Truth(f"simplex-{classes}", "collapsed classes", math.log(classes), draw, kinds, facts)
