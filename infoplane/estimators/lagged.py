"""Autoinformation between checkpoints: what a layer still knows of its own earlier state."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

from infoplane.errors import InputError
from infoplane.estimators.compressed import compressed
from infoplane.estimators.contract import Rng
from infoplane.estimators.registry import Bounds, check_params, estimator
from infoplane.estimators.shared import Shared
from infoplane.types import Cost, Estimate, Kind, Quantity

LAGGED = "mi.autoinformation"


@estimator(
    id=LAGGED,
    label="autoinformation",
    quantity=Quantity.MI,
    measures="I(T at an earlier step; T now) of compressed codes, by an inner estimator",
    formula="Î(E(T^(s)); E(T^(s+τ)))",
    accepts=((Kind.CONTINUOUS, Kind.CONTINUOUS),),
    cost=Cost.STANDARD,
    complexity="n d min(n, d), then the inner estimator",
    min_samples=7,
    ceiling="that of the inner estimator",
    invariant=("row order", "constant unit"),
    assumes=("rows i.i.d.", "the same probe set in the same order at both steps"),
    limits=(
        "with the Gaussian inner estimator: linear dependence only",
        "both checkpoints are functions of the input: the true value is infinite or H(X)",
    ),
    reference="Federici et al., Latent representation and simulation of Markov processes via "
    "time-lagged information bottleneck, ICLR 2024",
    tolerance={"autoregressive": 0.1, "gaussian": 0.08, "independent": 5e-4},
    needs="layers",
    meaningful_null=("X",),
)
def autoinformation(
    v: Any,
    t: Any,
    *,
    dim: Annotated[int, Bounds(1, 64)] = 4,
    inner: str = "mi.gaussian",
    earlier_step: Annotated[int, Bounds(0, math.inf)] | None = None,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """I(T^(s); T^(s+τ)) in nats between two checkpoints of one layer on the same probe set.

    Parameters
    ----------
    v : array_like, (n, d_v)
        The layer at the earlier step.
    t : array_like, (n, d)
        The layer now.
    dim : int
        Principal components kept of each.
    inner : str
        Estimator used on the codes: "mi.gaussian" is quick, "mi.ksg" sees any dependence.
    earlier_step : int or None
        In a run: the step that V is taken from. On arrays it is only noted.
    rng, shared
        Passed on.
    """
    params = check_params(LAGGED, {"dim": dim, "inner": inner, "earlier_step": earlier_step})
    if inner == LAGGED:
        raise InputError(f"`inner` of `{LAGGED}` must be another estimator; got itself.")
    estimate = compressed(v, t, dim=dim, inner=inner, rng=rng, shared=shared)
    return replace(estimate, params=params)


def along(checkpoints: Sequence[Any], lag: int = 1, **params: Any) -> list[Estimate]:
    """Autoinformation of each checkpoint with the one ``lag`` places before it."""
    if not 1 <= lag < len(checkpoints):
        raise InputError(
            f"`lag` must be in [1, {len(checkpoints) - 1}], the checkpoints less one; got {lag}."
        )
    pairs = zip(checkpoints[:-lag], checkpoints[lag:], strict=True)
    return [autoinformation(before, now, **params) for before, now in pairs]
