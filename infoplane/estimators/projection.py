"""Projections of wide arrays to a few coordinates: fitted on one array, applied to any.

A projection is plain arrays, so that one fitted at one step of a run can be kept and used at all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from infoplane.estimators import autoencoder
from infoplane.estimators.kept import Arrays
from infoplane.types import FloatArray


@dataclass(frozen=True, slots=True)
class Projection:
    """What takes rows (n, d) to codes (n, dim).

    Attributes
    ----------
    arrays : mapping
        ``live`` (d,), the units that vary; and, where there are more of them than coordinates,
        ``scale`` (1,) and either ``centre`` (k,) and ``axes`` (k, dim) or the weights of an
        autoencoder. ``share`` (1,): of the variance of what it was fitted on that the codes keep.
    """

    arrays: Arrays

    @property
    def share(self) -> float:
        """Share of the variance kept."""
        return float(self.arrays["share"][0])

    def codes(self, t: FloatArray) -> FloatArray:
        """Return the codes (n, dim) of rows (n, d)."""
        t = t[:, self.arrays["live"]]
        if "scale" not in self.arrays:
            return t
        t = t / self.arrays["scale"]
        if "axes" in self.arrays:
            return np.asarray((t - self.arrays["centre"]) @ self.arrays["axes"])
        return autoencoder.encode(self.arrays, t)


def fit(reference: FloatArray, params: Mapping[str, Any]) -> Projection:
    """Fit ``params["compressor"]`` to ``params["dim"]`` coordinates of the rows (m, d)."""
    dim, kind = params["dim"], params["compressor"]
    live = reference.max(axis=0) > reference.min(axis=0)
    if live.sum() <= dim:
        return Projection({"live": live, "share": np.ones(1)})
    rows = reference[:, live]
    scale = np.abs(rows).max()
    rows = rows / scale
    arrays: dict[str, Any] = {"live": live, "scale": np.array([scale])}
    if kind == "autoencoder":
        weights, share = autoencoder.train(rows, dim, params["steps"], params["seed"])
        return Projection({**arrays, **weights, "share": np.array([share])})
    centre = rows.mean(axis=0)
    if kind == "random":
        axes = random_axes(rows.shape[1], dim, params["seed"])
        projected = ((rows - centre) @ np.linalg.qr(axes)[0]) ** 2
        share = float(projected.sum() / ((rows - centre) ** 2).sum())
    else:
        axes, share = principal_axes(rows - centre, dim)
    return Projection({**arrays, "centre": centre, "axes": axes, "share": np.array([share])})


def principal_axes(centred: FloatArray, dim: int) -> tuple[FloatArray, float]:
    """Return the ``dim`` leading axes (d, dim) of centred rows, and their share of the variance.

    Eigenvectors on the smaller side; the largest loading of each axis is positive.
    """
    n, d = centred.shape
    if d <= n:
        values, axes = np.linalg.eigh(centred.T @ centred)
    else:
        values, left = np.linalg.eigh(centred @ centred.T)
        axes = centred.T @ left
    kept = np.flatnonzero(values > values[-1] * 1e-12)[-dim:][::-1]
    axes = axes[:, kept] / np.linalg.norm(axes[:, kept], axis=0)
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(len(kept))])
    return axes, float(values[kept].sum() / np.maximum(values, 0).sum())


def random_axes(d: int, dim: int, seed: int) -> FloatArray:
    """Gaussian projection (d, dim) of a private seed."""
    return np.random.default_rng(seed).standard_normal((d, dim)) / math.sqrt(dim)
