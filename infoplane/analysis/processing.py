"""The data-processing check: no layer can know more than the one before it.

For a chain X → T₁ → T₂ → … the true informations fall along the layers: I(X;T₁) ≥ I(X;T₂) ≥ … and
I(T₁;Y) ≥ I(T₂;Y) ≥ …. Estimates need not obey it: bins and noise are put on every layer anew, in
its own units. A violation is a fact about the estimator (or about a skip connection), never about
the network; it says how far the layers can be compared with each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from infoplane.analysis.case import bits
from infoplane.analysis.naming import quantities

TOLERANCE = 0.02  # nats below which no excess is counted
_NORMAL = 1.96


@dataclass(frozen=True, slots=True)
class Violation:
    """A layer that reads more than the one before it: largest excess over the steps, in nats."""

    before: str
    layer: str
    estimator: str
    target: str
    step: int
    excess: float
    share: float

    def __str__(self) -> str:
        variable = quantities(self.estimator)[0 if self.target == "X" else 1]
        return (
            f"{self.estimator} reads up to {bits(self.excess)} more {variable} in {self.layer} "
            f"than in {self.before} (step {self.step}; at {100 * self.share:.0f} % of steps)"
        )


def add_processing(ds: xr.Dataset) -> xr.Dataset:
    """Add ``dpi_excess``: how much more a layer reads than the layer before it, in nats.

    Over (step, layer, estimator, target); 0 where the inequality holds within its tolerance, which
    is 0.02 nat or 1.96 standard errors of the difference where both are known; NaN for the first
    layer and for other targets than X and Y.
    """
    excess = np.full(ds["mi"].shape, np.nan)
    values, errors = ds["mi"].values, ds["mi_stderr"].values
    step = values[:, 1:] - values[:, :-1]
    tolerance = np.maximum(TOLERANCE, _NORMAL * _joint_error(errors))
    excess[:, 1:] = np.where(np.isnan(step), np.nan, np.where(step > tolerance, step, 0.0))
    named = ~np.isin(ds["target"].values.astype(str), ("X", "Y"))
    excess[..., named] = np.nan
    return ds.assign(dpi_excess=(ds["mi"].dims, excess, {"units": "nat"}))


def _joint_error(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    squares = np.nan_to_num(errors) ** 2
    return np.asarray(np.sqrt(squares[:, 1:] + squares[:, :-1]))


def violations(ds: xr.Dataset) -> list[Violation]:
    """List the pairs of neighbouring layers that break the inequality anywhere, largest first.

    Measurements that are not usable are left out: of them nothing is said anyway.
    """
    if "dpi_excess" not in ds:
        ds = add_processing(ds)
    good = ds["verdict"].values < 2
    excess = np.where(good, ds["dpi_excess"].values, np.nan)
    excess[:, 1:][~good[:, :-1]] = np.nan
    layers, steps = ds["layer"].values, ds["step"].values
    found = []
    for i in range(1, len(layers)):
        for e, estimator in enumerate(ds["estimator"].values):
            for t, target in enumerate(ds["target"].values):
                series = excess[:, i, e, t]
                measured = np.isfinite(series)
                if not (series[measured] > 0).any():
                    continue
                worst = int(np.nanargmax(series))
                found.append(
                    Violation(
                        str(layers[i - 1]),
                        str(layers[i]),
                        str(estimator),
                        str(target),
                        int(steps[worst]),
                        float(series[worst]),
                        float((series[measured] > 0).mean()),
                    )
                )
    return sorted(found, key=lambda violation: -violation.excess)
