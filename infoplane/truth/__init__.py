"""Distributions whose information is known exactly: what every estimator is measured against.

>>> task = get("binary_symmetric")
>>> x, y = task.sample(1000, seed=0)
>>> round(task.mi, 4)
0.3681

``tasks()`` lists the 40 tasks of the "Beyond Normal" benchmark (Czyż et al., NeurIPS 2023), made
from their closed forms; ``names()`` lists everything. The makers below (:func:`gaussian`,
:func:`student`, :func:`blobs` …) build the same kinds with other parameters. All in nats.
"""

from infoplane.truth.channels import binary_symmetric, erasure, gate, z_channel
from infoplane.truth.closed_forms import (
    ball_entropy,
    binary_entropy,
    etf,
    gaussian_mi,
    student_mi,
)
from infoplane.truth.continuous import (
    additive,
    autoregressive,
    gaussian,
    independent,
    multinormal,
    student,
)
from infoplane.truth.distribution import LOG2, Draw, Map, Pair, Truth
from infoplane.truth.images import gaussian_images, rectangles
from infoplane.truth.index import get, names, tasks
from infoplane.truth.layers import ball, blobs, simplex

__all__ = [
    "LOG2",
    "Draw",
    "Map",
    "Pair",
    "Truth",
    "additive",
    "autoregressive",
    "ball",
    "ball_entropy",
    "binary_entropy",
    "binary_symmetric",
    "blobs",
    "erasure",
    "etf",
    "gate",
    "gaussian",
    "gaussian_images",
    "gaussian_mi",
    "get",
    "independent",
    "multinormal",
    "names",
    "rectangles",
    "simplex",
    "student",
    "student_mi",
    "tasks",
    "z_channel",
]
