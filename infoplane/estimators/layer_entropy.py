"""Layer entropy of Structured Knowledge Accumulation (SKA): its closed form and its path form.

Published as a path sum over steps k with D = σ(z), H = −(1/ln 2) Σ_k z_k (D_k − D_{k−1}), it is the
right-endpoint sum of −∫ z dD, and that integral is known: the change of the binary entropy of each
unit, H_b(σ(z_end)) − H_b(σ(z_start)). The sum depends on how many steps were taken, the closed form
does not.
"""

from __future__ import annotations

import itertools
from typing import Any, Literal

import numpy as np
from scipy.special import expit

from infoplane.errors import InputError
from infoplane.estimators.call import read
from infoplane.estimators.contract import Rng, plain, samples
from infoplane.estimators.registry import estimator
from infoplane.estimators.shared import Shared
from infoplane.types import Cost, Estimate, FloatArray, Kind, Quantity

NAME = "entropy.layer"


def binary_entropy_of_logits(z: FloatArray) -> FloatArray:
    """Entropy in nats of a coin with log odds z: log(1 + e^{−|z|}) + |z| σ(−|z|)."""
    size = np.abs(z)
    return np.asarray(np.log1p(np.exp(-size)) + size * expit(-size))


@estimator(
    id=NAME,
    label="SKA layer entropy",
    quantity=Quantity.ENTROPY,
    measures="change of the summed binary entropies of the units, each read as a sigmoid",
    formula="Σ H_b(σ(z_end)) − H_b(σ(z_start)); path: −Σ_k z_k (σ(z_k) − σ(z_{k−1}))",
    accepts=(Kind.CONTINUOUS,),
    cost=Cost.QUICK,
    complexity="n d",
    min_samples=2,
    ceiling="n d log 2 − H(start)",
    assumes=("T holds pre-activations, each unit read as a sigmoid",),
    invariant=("row order", "unit order"),
    limits=(
        "pre-activations are expected; no joint information, units are summed",
        "scales with the number of samples and units (info has the mean)",
        "the path form depends on the number of steps: 10⁴ of them come near the closed form",
    ),
    tolerance={"path of 10,000 steps against closed": 0.001},
    bound="exact",
    meaningful_null=(),
    reference="Mahi 2025, Structured Knowledge Accumulation, arXiv:2503.13942",
)
def layer_entropy(
    t: Any,
    *,
    previous: Any = None,
    form: Literal["closed", "path"] = "closed",
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """SKA layer entropy: summed change of the units' binary entropies, in nats.

    Parameters
    ----------
    t : array, (n, d)
        Pre-activations z at the end.
    previous : array, (n, d) or (k, n, d), optional
        Pre-activations at the start, or along the way in order; z = 0 when none are given, where
        SKA starts.
    form : {"closed", "path"}
        Exact difference between start and end, or the published sum over the steps.
    rng, shared
        Not used: the value is exact and needs no intermediate.

    Returns
    -------
    Estimate
        ``info["mean"]`` is the value for one sample and unit; ``info["alignment"]`` the cosine
        between z and the last change of σ(z).

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError

    Examples
    --------
    >>> round(layer_entropy([[50.0], [-50.0]]).bits, 9)
    -2.0
    """
    call = read(NAME, t, {"form": form})
    z = call.x
    path = _path(z, previous)
    if form == "closed":
        change = binary_entropy_of_logits(z) - binary_entropy_of_logits(path[0])
        value = float(change.sum())
    else:
        value = -sum(
            float(np.vdot(after, expit(after) - expit(before)))
            for before, after in itertools.pairwise(path)
        )
    room = z.size * np.log(2) - float(binary_entropy_of_logits(path[0]).sum())
    return call.conclude(
        value,
        ceiling=room if form == "closed" else None,
        slack=1e-9 * z.size,
        info={
            "mean": value / z.size,
            "steps": len(path) - 1,
            "alignment": _cosine(z, expit(z) - expit(path[-2])),
        },
    )


def _path(z: FloatArray, previous: Any) -> list[FloatArray]:
    if previous is None:
        return [np.zeros_like(z), z]
    array = plain(previous, name="previous")
    steps = array if array.ndim == 3 else array[None]
    path = [samples(step, name="previous", minimum=1, estimator=NAME) for step in steps]
    if not path or any(step.shape != z.shape for step in path):
        raise InputError(
            f"`previous` of `{NAME}` must be {z.shape} or (k, *{z.shape}), as `t`; got shape "
            f"{array.shape}."
        )
    return [*path, z]


def _cosine(a: FloatArray, b: FloatArray) -> float:
    largest = float(np.abs(a).max())
    unit = a / largest if largest > 0 else a
    length = float(np.linalg.norm(unit) * np.linalg.norm(b))
    return float(np.vdot(unit, b)) / length if length > 0 else 0.0
