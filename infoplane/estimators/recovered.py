"""Weights of a linear layer from what goes in and what comes out, where a run keeps no weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from infoplane.errors import InputError, RefusedError
from infoplane.estimators.contract import same_length, samples
from infoplane.types import FloatArray

NARROWEST = 1e-4  # of the widest direction: below it single precision hides the weights
RESIDUAL = 1e-3  # of the output's spread: above it the output is no linear function of T
LARGEST = 1e100  # entries whose squares are safe


def recovered_weight(t: FloatArray, output: Any, *, name: str, estimator: str) -> FloatArray:
    """Return W (d_out, d) of output = T Wᵀ + b by least squares, exact where it is determined.

    Raises
    ------
    RefusedError
        When the rows do not determine W (dead or dependent units, too few samples), or when the
        output is no linear function of T.
    """
    out = samples(output, name=name, minimum=1, estimator=estimator)
    same_length(out, t, first=name, second="t")
    if float(np.abs(out).max()) > LARGEST:
        raise InputError(f"`{name}` of `{estimator}` has entries above {LARGEST:g}; rescale it.")
    inputs, answers = t - t.mean(axis=0), out - out.mean(axis=0)
    scale = np.abs(inputs).max(axis=0)
    if not scale.all() or len(t) <= t.shape[1]:
        raise _undetermined(estimator, int((scale == 0).sum()), t.shape)
    left, sizes, right = np.linalg.svd(inputs / scale, full_matrices=False)
    if sizes[-1] < NARROWEST * sizes[0]:
        raise _undetermined(estimator, 0, t.shape)
    weight = ((left.T @ answers) / sizes[:, None]).T @ right
    missed = np.linalg.norm(answers - inputs / scale @ weight.T)
    if missed > RESIDUAL * np.linalg.norm(answers):
        share = missed / np.linalg.norm(answers)
        raise RefusedError(
            f"`{name}` of `{estimator}` is no linear function of T: it misses by {share:.2g} of "
            "its spread. Ask about the layer that enters the linear layer, or pass its weights as "
            "`weight=`."
        )
    return np.asarray(weight / scale)


def _undetermined(estimator: str, dead: int, shape: tuple[int, ...]) -> RefusedError:
    why = f"{dead} units never move" if dead else "units depend on each other, or samples are few"
    return RefusedError(
        f"`{estimator}` cannot read the weights off {shape[0]} samples of {shape[1]} units: {why}. "
        "Pass them as `weight=`, or use a larger probe set."
    )


def not_on_arrays(estimator: str, parameter: str, keyword: str) -> InputError:
    """Say that only ``evaluate`` looks up a layer by name."""
    return InputError(
        f"`{parameter}` of `{estimator}` names a layer of a run, which `evaluate` looks up; on "
        f"arrays pass what it puts out as `{keyword}=`."
    )
