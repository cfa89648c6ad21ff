"""From the rows of a run to one xarray Dataset, from which plots and statements are made."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from infoplane.analysis.plan import complete
from infoplane.analysis.portrait import Variables
from infoplane.errors import InfoplaneError
from infoplane.types import Measurement, Quantity, Status, Verdict

if TYPE_CHECKING:
    from infoplane.store import Run

PLANE = ("step", "layer", "estimator", "target")
_NUMBERS = (
    "mi",
    "mi_stderr",
    "mi_low",
    "mi_high",
    "mi_null",
    "mi_null_q95",
    "mi_null_p",
    "ceiling",
)


def trajectories(run: Run, *, probe: str | None = None) -> xr.Dataset:
    """Return the measurements of a run as a Dataset over steps, layers, estimators and targets.

    Parameters
    ----------
    run : Run
        Any run; one that still grows gives what is there now.
    probe : str, optional
        Which probe set; the run's first by default.

    Returns
    -------
    xarray.Dataset
        ``mi``, ``mi_stderr``, ``mi_low``, ``mi_high``, ``mi_null`` (mean of the null),
        ``mi_null_q95``, ``mi_null_p``, ``ceiling``, ``verdict`` (0 ok, 1 caution, 2 not usable),
        ``reason`` and ``checks`` (names of the checks that held, worst first) over
        (step, layer, estimator, target); every other quantity under its estimator's id over
        (step, layer), ``<id>(X)`` where it relates T to a target, with ``<id>_verdict`` beside it;
        recorded scalars over step.
        Information is in nats. What was not measured is NaN (verdict −1, reason ""), what has no
        value is NaN with verdict 2 and its reason. A scalar that was not recorded at a step has
        the value of the last step before it. Coordinate ``epoch`` when epochs were recorded.
        Attributes: run, uuid, n, h_y, h_x, log_n, classes, commonest (share of the commonest
        class), units, versions.

    Notes
    -----
    An estimator measured with several parameter settings has one label each,
    ``"mi.binning(bins=100)"``, the default setting its plain id.
    """
    name = probe if probe is not None else (run.probes[0] if run.probes else "probe")
    rows = [row for row in run.measurements() if row.probe == name]
    steps = sorted({row.step for row in rows})
    layers = list(run.layers)
    layers += sorted({row.layer for row in rows} - set(layers))
    plane = [row for row in rows if row.quantity == Quantity.MI and row.target]
    others = [row for row in rows if not (row.quantity == Quantity.MI and row.target)]
    ds = _plane(plane, steps, layers)
    for label, group in _by_target(others):
        ds[label] = _quantity(group, steps, layers, "value", group[0])
        ds[f"{label}_verdict"] = _quantity(group, steps, layers, "verdict", group[0])
    for scalar, series in _scalars(run, steps).items():
        if scalar == "epoch":
            ds = ds.assign_coords(epoch=("step", series))
        elif scalar not in ds:
            ds[scalar] = ("step", series)
    ds.attrs = _attributes(run, name, rows)
    return ds


def label_of(estimator: str, params: Mapping[str, Any]) -> str:
    """Name a parameter setting: the id, with what differs from the defaults in brackets."""
    try:
        return complete((estimator, {key: _tuples(value) for key, value in params.items()}))[2]
    except InfoplaneError:  # an estimator of another installation, or parameters of another version
        inside = ", ".join(f"{key}={value}" for key, value in sorted(params.items()))
        return f"{estimator}({inside})" if inside else estimator


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _grouped(rows: Iterable[Measurement]) -> dict[str, list[Measurement]]:
    groups: dict[str, list[Measurement]] = {}
    labels: dict[tuple[str, str], str] = {}
    for row in rows:
        setting = (row.estimator, repr(sorted(row.params.items())))
        if setting not in labels:
            labels[setting] = label_of(row.estimator, row.params)
        groups.setdefault(labels[setting], []).append(row)
    return groups


def _by_target(rows: Iterable[Measurement]) -> list[tuple[str, list[Measurement]]]:
    """Group rows by setting and target; what relates T to a target has it in its label."""
    targets: dict[str, list[Measurement]] = {}
    for row in rows:
        targets.setdefault(row.target, []).append(row)
    return [
        (f"{label}({target})" if target else label, group)
        for target, those in targets.items()
        for label, group in _grouped(those).items()
    ]


def _plane(rows: Sequence[Measurement], steps: Sequence[int], layers: Sequence[str]) -> xr.Dataset:
    groups = _grouped(rows)
    found = {row.target for row in rows}
    targets = [t for t in ("X", "Y") if t in found or not found]
    targets += sorted(found - {"X", "Y"})
    shape = (len(steps), len(layers), len(groups), len(targets))
    numbers = {name: np.full(shape, np.nan) for name in _NUMBERS}
    verdict = np.full(shape, -1, dtype=np.int8)
    reason, checks = np.full(shape, "", dtype=object), np.full(shape, "", dtype=object)
    step_at, layer_at, target_at = (_index(names) for names in (steps, layers, targets))
    for e, group in enumerate(groups.values()):
        for row in group:
            at = step_at[row.step], layer_at[row.layer], e, target_at[row.target]
            for name, number in zip(_NUMBERS, _numbers(row), strict=True):
                numbers[name][at] = np.nan if number is None else number
            verdict[at], reason[at] = int(row.verdict), row.reason
            checks[at] = ", ".join(map(str, row.info.get("checks", ())))
    data: dict[str, Any] = {
        name: (PLANE, values, {"units": "nat"} if name != "mi_null_p" else {})
        for name, values in numbers.items()
    }
    data["verdict"] = (
        PLANE,
        verdict,
        {"meaning": "0 ok, 1 caution, 2 not usable, -1 not measured"},
    )
    data["reason"] = (PLANE, reason)
    data["checks"] = (PLANE, checks, {"meaning": "names of the checks that held, worst first"})
    coords = {
        "step": np.asarray(steps, dtype=np.int64),
        "layer": np.asarray(layers, dtype=object),
        "estimator": np.asarray(list(groups), dtype=object),
        "target": np.asarray(targets, dtype=object),
    }
    return xr.Dataset(data, coords)


def _numbers(row: Measurement) -> tuple[float | None, ...]:
    null = row.null
    shuffled = (null.mean, null.q95, null.p) if null is not None else (None, None, None)
    return row.value, row.stderr, row.low, row.high, *shuffled, row.ceiling


def _index(names: Sequence[Any]) -> dict[Any, int]:
    return {name: i for i, name in enumerate(names)}


def _quantity(
    rows: Sequence[Measurement],
    steps: Sequence[int],
    layers: Sequence[str],
    what: str,
    example: Measurement,
) -> xr.Variable:
    missing = np.nan if what == "value" else -1
    values = np.full(
        (len(steps), len(layers)), missing, dtype=float if what == "value" else np.int8
    )
    step_at, layer_at = _index(steps), _index(layers)
    for row in rows:
        number = getattr(row, what)
        if number is not None:
            values[step_at[row.step], layer_at[row.layer]] = number
    units = example.unit if what == "value" else ""
    return xr.Variable(("step", "layer"), values, {"units": units, "quantity": example.quantity})


def _scalars(run: Run, steps: Sequence[int]) -> dict[str, NDArray[np.float64]]:
    """Each recorded scalar at the steps asked for, the last value at or before them."""
    at = np.asarray(steps, dtype=np.int64)
    result = {}
    for name, series in run.scalars().items():
        known = np.array(sorted(series), dtype=np.int64)
        values = np.array([math.nan if series[s] is None else series[s] for s in known.tolist()])
        before = np.searchsorted(known, at, side="right") - 1
        result[name] = np.where(before >= 0, values[np.maximum(before, 0)], np.nan)
    return result


def _installed() -> str:
    """Version of the installed package; "unknown" for sources that were never installed."""
    try:
        return metadata.version("infoplane")
    except metadata.PackageNotFoundError:
        return "unknown"


def _commonest(codes: NDArray[np.int64] | None) -> float:
    """Share of the commonest class; NaN without classes."""
    return math.nan if codes is None else float(np.bincount(codes).max() / len(codes))


def _attributes(run: Run, probe: str, rows: Sequence[Measurement]) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "run": run.name,
        "uuid": run.uuid,
        "probe": probe,
        "units": "nat",
        "infoplane": _installed(),
        "versions": {row.estimator: row.version for row in rows},
        "null_draws": min((row.null.draws for row in rows if row.null is not None), default=0),
        "failed": sum(row.status is Status.FAILED for row in rows),
        "not_usable": sum(row.verdict is Verdict.NOT_USABLE for row in rows),
    }
    if probe in run.probes:
        variables = Variables(run.probe(probe))
        n = len(variables.probe.x)
        attributes |= {"n": n, "log_n": math.log(n), "h_x": variables.x.entropy}
        attributes["h_y"] = math.nan if variables.y.entropy is None else variables.y.entropy
        attributes["classes"] = variables.y.symbols or 0
        attributes["commonest"] = _commonest(variables.y_codes)
        attributes["y"] = "none" if variables.probe.y is None else variables.probe.target
    return attributes
