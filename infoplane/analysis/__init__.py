"""From snapshots to trajectories, and from trajectories to statements that survive a review.

``evaluate`` measures, ``trajectories`` makes the Dataset, the others add what is needed to read it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "Bound": "bound",
    "Interval": "uncertainty",
    "add_phases": "phases",
    "add_processing": "processing",
    "bootstrap": "uncertainty",
    "calibrate": "calibration",
    "calibrate_run": "calibration",
    "compare_estimators": "agreement",
    "extrapolation": "uncertainty",
    "find_phases": "phases",
    "findings": "reading",
    "methods": "reading",
    "phases_of": "phases",
    "replicates": "uncertainty",
    "subsampling": "uncertainty",
    "violations": "processing",
    "EvaluationSummary": "evaluation",
    "bound_of": "bound",
    "evaluate": "evaluation",
    "ib_bound": "bound",
    "judge": "checks",
    "trajectories": "trajectory",
}

__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)


if TYPE_CHECKING:
    from infoplane.analysis.agreement import compare_estimators  # noqa: F401
    from infoplane.analysis.bound import Bound, bound_of, ib_bound  # noqa: F401
    from infoplane.analysis.calibration import calibrate, calibrate_run  # noqa: F401
    from infoplane.analysis.checks import judge  # noqa: F401
    from infoplane.analysis.evaluation import EvaluationSummary, evaluate  # noqa: F401
    from infoplane.analysis.phases import add_phases, find_phases, phases_of  # noqa: F401
    from infoplane.analysis.processing import add_processing, violations  # noqa: F401
    from infoplane.analysis.reading import findings, methods  # noqa: F401
    from infoplane.analysis.trajectory import trajectories  # noqa: F401
    from infoplane.analysis.uncertainty import (  # noqa: F401
        Interval,
        bootstrap,
        extrapolation,
        replicates,
        subsampling,
    )
