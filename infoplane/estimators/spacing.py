"""Entropy of single units from the gaps between their sorted values (E2MC)."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import numpy as np
from scipy.special import expit, ndtr

from infoplane.estimators.contract import Rng, conclude, heavy_tailed, live_columns, samples
from infoplane.estimators.neighbours import standardise
from infoplane.estimators.registry import Bounds, check_params, estimator
from infoplane.estimators.shared import Shared
from infoplane.types import Cost, Estimate, FloatArray, Kind, Quantity, Status

SPACING = "entropy.spacing"
FLOOR = 1e-7  # least gap: repeated values give a finite entropy, as published


def spacing_entropy(u: FloatArray, m: int) -> FloatArray:
    """Entropy (d,) of each column by m-spacings: mean of log((u_(i+m) − u_(i))(n+1)/m + 1e−7)."""
    n = len(u)
    ordered = np.sort(u, axis=0)
    gaps = ordered[m:] - ordered[:-m]
    return np.asarray(np.log(gaps * (n + 1) / m + FLOOR).mean(axis=0))


@estimator(
    id=SPACING,
    label="marginal entropy",
    quantity=Quantity.ENTROPY,
    measures="mean entropy of single units mapped to (0, 1): 0 when each is spread like a normal",
    formula="mean_c ⟨log((u_(i+m) − u_(i))(n+1)/m + 1e−7)⟩,  u = Φ(z)",
    accepts=(Kind.CONTINUOUS,),
    cost=Cost.QUICK,
    complexity="d n log n",
    min_samples=4,
    ceiling="0",
    assumes=("rows i.i.d.", "each unit by itself counts"),
    invariant=("row order", "unit order", "constant unit", "scaling", "shift"),
    limits=(
        "no joint information: the sum bounds the joint entropy from above",
        "biased down by ψ(m) − ψ(n+1) + log((n+1)/m), 0.02 at n = 400",
    ),
    reference="Vasicek, J. R. Stat. Soc. B 38 (1976); Chakraborty et al. (E2MC), ICML 2025",
    tolerance={"independent": 0.03},
    needs="representation",
    meaningful_null=(),
    version=2,
)
def spacing(
    t: Any,
    *,
    onto: Literal["normal", "logistic"] = "normal",
    m: Annotated[int, Bounds(1, 1_000_000)] | None = None,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """Mean marginal entropy of the units in nats, after mapping each to (0, 1).

    Parameters
    ----------
    t : array_like, (n, d)
        Representation; columns are brought to variance 1, constant ones are left out.
    onto : {"normal", "logistic"}
        u = Φ(z), or the logistic function of z.
    m : int or None
        Spacing; None is √n rounded.
    rng, shared
        Not used.

    Returns
    -------
    Estimate
        ``info["covariance"]`` is Σ_{i≠j} C_ij² / d of the standardised units, what decorrelation
        drives to zero; ``info["effective"]`` is value minus that.
    """
    params = check_params(SPACING, {"onto": onto, "m": m})
    points = samples(t, minimum=4, estimator=SPACING)
    n = len(points)
    points, flags = live_columns(points)
    d = points.shape[1]
    common: dict[str, Any] = {"estimator": SPACING, "n": n, "d": d, "params": params}
    if d == 0:
        low = math.log(FLOOR)  # all gaps are zero
        return conclude(low, flags=flags, status=Status.DEGENERATE, **common)
    z = standardise(points, wild_rows=False)
    u = ndtr(z) if onto == "normal" else expit(z)
    step = min(m or round(math.sqrt(n)), n - 1)
    value = float(spacing_entropy(u, step).mean())
    gram = z @ z.T if n < d else z.T @ z
    squares = float((gram**2).sum()) / n**2
    own = float(((z**2).mean(axis=0) ** 2).sum())
    covariance = max(squares - own, 0.0) / d
    info = {"covariance": covariance, "effective": value - covariance, "m": step}
    return conclude(value, flags=[*flags, *heavy_tailed(points)], info=info, **common)
