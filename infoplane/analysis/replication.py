"""Replicates: the same configuration trained with other seeds, gathered into one Dataset."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from infoplane.analysis.phases import Phases, find_phases
from infoplane.errors import InputError
from infoplane.types import FloatArray


def gather(datasets: Sequence[xr.Dataset]) -> xr.Dataset:
    """Put replicates beside each other along a new dimension ``replicate``.

    Only steps, layers, estimators and targets that all of them have are kept. Beside the variables
    themselves, ``mi_mean`` and ``mi_spread`` (standard deviation over seeds) ignore measurements
    that are not usable; ``mi_count`` says how many seeds are behind them.

    Raises
    ------
    InputError
        With fewer than two, or when nothing is common to them.
    """
    if len(datasets) < 2:
        raise InputError(
            f"`datasets` must be at least two replicates; got {len(datasets)}. "
            "Train the same configuration with other seeds."
        )
    names = [name for name in datasets[0].data_vars if all(name in ds for ds in datasets)]
    both = xr.concat(
        [ds[names].drop_attrs(deep=False) for ds in datasets],
        dim="replicate",
        join="inner",
        coords="minimal",
        compat="override",
    )
    if not both.sizes["step"] or not both.sizes["layer"]:
        raise InputError(
            "the replicates have no step or no layer in common; record them with one schedule."
        )
    usable = both["mi"].where(both["verdict"].isin((0, 1)))
    return both.assign(
        mi_mean=_quiet(usable, "mean"),
        mi_spread=_quiet(usable, "std"),
        mi_count=usable.notnull().sum("replicate"),
    ).assign_attrs({**datasets[0].attrs, "replicates": len(datasets)})


def _quiet(usable: xr.DataArray, what: str) -> xr.DataArray:
    """Mean or standard deviation over replicates; NaN, without a warning, where there are none."""
    counts = usable.notnull().sum("replicate")
    filled = usable.fillna(0.0)
    mean = filled.sum("replicate") / counts.where(counts > 0)
    if what == "mean":
        return mean
    squares = ((filled - mean) ** 2).where(usable.notnull(), 0.0).sum("replicate")
    return (squares / (counts - 1).where(counts > 1)) ** 0.5


def spread(both: xr.Dataset, layer: str, estimator: str, target: str) -> float:
    """Typical standard deviation over seeds of one trajectory, in nats; NaN when not known."""
    values = both["mi_spread"].sel(layer=layer, estimator=estimator, target=target).values
    kept: FloatArray = values[np.isfinite(values)]
    return float(np.sqrt(np.mean(kept**2))) if len(kept) else float("nan")


def common_phases(both: xr.Dataset, layer: str, estimator: str, target: str) -> Phases:
    """Find the phases of the mean over seeds, against the spread of that mean.

    A swing of the mean counts when it exceeds the mean's own standard error by the same rule that
    a single run's swing must exceed its spread.
    """
    at = {"layer": layer, "estimator": estimator, "target": target}
    each = spread(both, layer, estimator, target)
    error = each / np.sqrt(both.sizes["replicate"]) if np.isfinite(each) else 0.0
    return find_phases(both["step"].values, both["mi_mean"].sel(at).values, spread=float(error))
