"""Everything that is said of a run, as variables of one Dataset, kept until the run has grown."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import xarray as xr

from infoplane.analysis.bottleneck import add_bound, as_curve, bound_of
from infoplane.analysis.phases import add_phases, fastest_loss_decrease
from infoplane.analysis.processing import add_processing
from infoplane.analysis.trajectory import trajectories

if TYPE_CHECKING:
    from infoplane.store import Run

_KEPT = 8  # runs whose Dataset is remembered
_memory: dict[str, xr.Dataset] = {}


def analyse(run: Run, *, probe: str | None = None) -> xr.Dataset:
    """Return the trajectories of a run with phases, data-processing check and bound.

    Adds to :func:`trajectories` the variables of :func:`add_phases`, :func:`add_processing` and,
    with both targets and a Y, of :func:`add_bound`; the bound is in ``attrs["bound"]`` too, as
    :func:`bound_curve` returns it, the step of the fastest loss decrease in
    ``attrs["fastest_loss_step"]``. Computed once for the same measurements.
    """
    name = probe if probe is not None else (run.probes[0] if run.probes else "")
    content = hashlib.blake2b(f"{run.uuid}:{name}:{len(run.scalars())}".encode(), digest_size=16)
    for row in run.measurements():
        content.update(f"{row.key}{row.value}".encode())
    key = content.hexdigest()
    if key not in _memory:
        while len(_memory) >= _KEPT:
            _memory.pop(next(iter(_memory)))
        _memory[key] = _analysed(run, probe)
    return _memory[key].copy(deep=True)


def _analysed(run: Run, probe: str | None) -> xr.Dataset:
    ds = trajectories(run, probe=probe)
    if not ds.sizes["step"] or not ds.sizes["estimator"]:
        return ds
    ds = add_processing(add_phases(ds))
    step = fastest_loss_decrease(ds)
    ds.attrs["fastest_loss_step"] = -1 if step is None else step
    bound = bound_of(run, probe=probe) if {"X", "Y"} <= set(ds["target"].values) else None
    if bound is None:
        return ds
    ds = add_bound(ds, bound)
    ds.attrs["bound"] = as_curve(bound, ds.attrs["h_x"])
    return ds
