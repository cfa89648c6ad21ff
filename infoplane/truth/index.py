"""All truths by name."""

from __future__ import annotations

import difflib
from dataclasses import replace
from functools import cache

from infoplane.errors import InputError
from infoplane.truth.benchmark import benchmark
from infoplane.truth.channels import binary_symmetric, erasure, gate, z_channel
from infoplane.truth.continuous import additive, autoregressive, gaussian, independent, student
from infoplane.truth.distribution import Truth
from infoplane.truth.images import gaussian_images, rectangles
from infoplane.truth.layers import ball, blobs, simplex


@cache
def _all() -> dict[str, Truth]:
    named = {
        "gaussian": gaussian(), "gaussian_2d": gaussian(0.75, 2), "gaussian_5d": gaussian(0.6, 5),
        "independent": independent(), "autoregressive": autoregressive(),
        "student": student(2, 2, 3), "additive": additive(0.1),
        "binary_symmetric": binary_symmetric(), "z_channel": z_channel(),
        "erasure": erasure(), "gaussian_images": gaussian_images(), "rectangles": rectangles(),
        "blobs": blobs(), "corrupted_blobs": blobs(corruption=0.5),
        "random_labels": blobs(corruption=1.0),
        "ball": ball(), "simplex": simplex(), "xor": gate("xor"), "and": gate("and"),
        "copy": gate("copy"),
    }  # fmt: skip
    return {name: replace(truth, name=name) for name, truth in named.items()} | {
        task.name: task for task in benchmark()
    }


def names() -> list[str]:
    """Names of all truths that :func:`get` knows."""
    return list(_all())


def tasks() -> list[Truth]:
    """List the 40 benchmark tasks, in the order of the published table."""
    return [_all()[task.name] for task in benchmark()]


def get(name: str) -> Truth:
    """Return the truth of that name, or raise InputError naming the closest ones."""
    known = _all()
    if name not in known:
        close = difflib.get_close_matches(str(name), known, n=3)
        hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise InputError(f"no truth is called {name!r}.{hint} `truth.names()` lists all of them.")
    return known[name]
