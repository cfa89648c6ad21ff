"""Partial information decomposition of two sources about a target (Bertschinger et al., BROJA)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np

from infoplane.errors import InputError
from infoplane.estimators.contract import (
    Rng,
    classes,
    conclude,
    enough,
    entropy_of_counts,
    is_discrete,
    plain,
    ranks,
    same_length,
    samples,
)
from infoplane.estimators.factorised import symbol_codes
from infoplane.estimators.interaction import TOLERATED, Others, column_marks, on_arrays
from infoplane.estimators.registry import Bounds, check_params, estimator
from infoplane.estimators.shared import Shared
from infoplane.types import Cost, Estimate, FloatArray, Kind, Quantity, Status

PID = "interaction.pid"
CELLS = 100_000  # |Y| |T1| |T2| up to which the programme is solved
SWEEPS = 4000
CHECK = 25  # sweeps between two looks at the value
EXACTLY = 20  # steps that bring the margins to where they belong
CLOSE = 1e-7  # gain from one look to the next at which the value has settled


def information(joint: FloatArray) -> float:
    """I(A;B) of a joint table p(a, b)."""
    outside = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    kept = joint > 1e-150  # smaller ones add nothing, and the product of margins underflows
    return float((joint[kept] * np.log(joint[kept] / outside[kept])).sum())


def union_information(p: FloatArray) -> float:
    """min_Q I_Q(Y; T1, T2) over all Q that keep p(y, t1) and p(y, t2); p is (Y, T1, T2).

    I_Q = min_R Σ_y p(y) KL(Q_y ‖ R), so R (the mean of the Q_y) and the Q_y (R scaled to the two
    margins of y) are found in turns: both steps lower a jointly convex function. The Q_y are kept
    as the factors a, b of Q_y = a R b, of which one step a turn is enough.
    """
    of_y = p.sum(axis=(1, 2))
    first = p.sum(axis=2) / of_y[:, None]  # p(t1|y)
    second = p.sum(axis=1) / of_y[:, None]  # p(t2|y)
    mean = (of_y * first.T) @ second

    def scaled(b: FloatArray, steps: int) -> tuple[FloatArray, FloatArray]:
        for _ in range(steps):
            a = _ratio(first, b @ mean.T)
            b = _ratio(second, a @ mean)
        return a, b

    a, b = scaled(np.ones_like(second), EXACTLY)
    value = np.inf
    for sweep in range(1, SWEEPS + 1):
        mean *= (of_y * a.T) @ b
        a, b = scaled(b, 1)
        if sweep % CHECK == 0:
            one, two = scaled(b, EXACTLY)
            joint = (of_y[:, None] * one)[:, :, None] * mean * two[:, None, :]
            before, value = value, min(value, information(joint.reshape(len(of_y), -1)))
            if before - value < CLOSE:
                break
    return float(value)


def _ratio(wanted: FloatArray, found: FloatArray) -> FloatArray:
    return np.divide(wanted, found, out=np.zeros_like(wanted), where=found > 0)


def decompose(p: FloatArray) -> dict[str, float]:
    """Redundancy, both unique parts and synergy in nats of a table p(y, t1, t2)."""
    one, two = information(p.sum(axis=2)), information(p.sum(axis=1))
    both, union = information(p.reshape(len(p), -1)), union_information(p)
    return {
        "redundancy": one + two - union,
        "unique_1": union - two,
        "unique_2": union - one,
        "synergy": both - union,
    }


def _sources(t: Any) -> tuple[Any, Any]:
    """Two arrays, or the two halves of one array's columns."""
    if isinstance(t, (list, tuple)) and len(t) == 2 and all(np.ndim(one) >= 1 for one in t):
        one, two = (plain(part, name="t") for part in t)
        same_length(one, two, first="t[0]", second="t[1]")
        return one, two
    whole = plain(t, name="t") if is_discrete(t) else samples(t, estimator=PID)
    whole = whole.reshape(len(whole), -1)
    if whole.shape[1] < 2:
        raise InputError(
            f"`t` of `{PID}` must be a pair of arrays, or one of at least two columns; "
            f"got shape {whole.shape}."
        )
    middle = whole.shape[1] // 2
    return whole[:, :middle], whole[:, middle:]


@estimator(
    id=PID,
    label="PID (BROJA)",
    quantity=Quantity.INTERACTION,
    measures="part of I(T1,T2;Y) that is redundant, unique or synergistic, on small alphabets",
    formula="U = min_Q I_Q(Y;T1,T2) at fixed p(y,t1), p(y,t2);  Syn = I − U,  Red = I1 + I2 − U",
    accepts=(Kind.CONTINUOUS, Kind.DISCRETE),
    cost=Cost.THOROUGH,
    complexity="sweeps × |Y| |T1| |T2|",
    assumes=("rows i.i.d.", "the samples fill the cells of |Y| × |T1| × |T2|"),
    min_samples=4,
    invariant=("row order", "label names"),
    limits=(
        "plug-in: the whole is biased up by about (|Y| − 1)(|T1||T2| − 1) / 2n, mostly synergy "
        "(info['bias'], flag few_samples, unreliable above 0.1 nat)",
        "a continuous layer enters as `levels` bins of its first principal component",
    ),
    reference="Bertschinger, Rauh, Olbrich, Jost & Ay, Entropy 16 (2014)",
    tolerance={"xor": 0.004, "and": 0.04, "copy": 1e-9},
    needs="layers",
    meaningful_null=("Y",),
    version=2,
)
def pid(
    t: Any,
    y: Any,
    *,
    part: Literal["synergy", "redundancy", "unique_1", "unique_2"] = "synergy",
    levels: Annotated[int, Bounds(2, 32)] = 4,
    other_layers: Others = None,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """Part of I(T1,T2;Y) in nats that is synergistic, redundant or unique to one layer.

    Parameters
    ----------
    t : pair of (n, d_i) arrays, or one array (n, d)
        The two layers (one array: the two halves of its columns). Integers are symbols, floats
        are cut into ``levels`` equally full bins of their first principal component.
    y : array_like, (n,)
        Labels.
    part : {"synergy", "redundancy", "unique_1", "unique_2"}
        Which part is the value; all four are in ``info``.
    levels : int
        Bins of a continuous layer.
    other_layers : tuple of one str or None
        In a run: the second layer, at the same step.
    rng, shared
        Not used.

    Raises
    ------
    InputError
        For more than 100,000 cells |Y| |T1| |T2|.

    References
    ----------
    Bertschinger, Rauh, Olbrich, Jost & Ay, Quantifying unique information, Entropy 16 (2014).
    """
    params = check_params(PID, {"part": part, "levels": levels, "other_layers": other_layers})
    on_arrays(t, params["other_layers"], PID)
    one, two = _sources(t)
    same_length(one, plain(y, name="y"), first="t", second="y")
    n = len(one)
    enough(n, 4, estimator=PID)
    first, second = (symbol_codes(part, levels, PID) for part in (one, two))
    labels = classes(y, estimator=PID)
    common: dict[str, Any] = {"estimator": PID, "n": n, "d": 2, "params": params}
    if first.max() == 0 and second.max() == 0:
        return conclude(0.0, flags=["constant"], status=Status.DEGENERATE, **common)
    if labels.max() == 0:
        return conclude(0.0, flags=["single_class"], status=Status.DEGENERATE, **common)
    shape = (int(labels.max()) + 1, int(first.max()) + 1, int(second.max()) + 1)
    if np.prod(shape) > CELLS:
        raise InputError(
            f"`{PID}` solves tables of at most {CELLS} cells; got {shape}. Cluster the codes first."
        )
    cell = np.ravel_multi_index((ranks(labels), first, second), shape)
    table = np.bincount(cell, minlength=int(np.prod(shape))).reshape(shape) / n
    parts = decompose(table)
    bias = (shape[0] - 1) * (np.count_nonzero(table.sum(axis=0)) - 1) / (2 * n)
    few = bias > TOLERATED
    ceiling = entropy_of_counts(np.bincount(labels))
    return conclude(
        parts[part],
        ceiling=ceiling,
        floor=0.0,
        slack=1e-3,
        flags=[*column_marks([one, two]), *(["few_samples"] if few else [])],
        status=Status.UNRELIABLE if few else Status.OK,
        info={**parts, "bias": bias},
        **common,
    )
