"""From snapshots to trajectories, and from trajectories to statements that survive a review.

``evaluate`` measures, ``trajectories`` makes the Dataset, the others add what is needed to read it.
``bound_curve(run)`` is the information-bottleneck bound as plain lists in nats, ready to be drawn.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "Bound": "bound",
    "BoundCurve": "bottleneck",
    "Interval": "uncertainty",
    "add_bound": "bottleneck",
    "add_phases": "phases",
    "add_processing": "processing",
    "analyse": "whole",
    "bootstrap": "uncertainty",
    "calibrate": "calibration",
    "calibrate_run": "calibration",
    "capture_cost": "cost",
    "compare_estimators": "agreement",
    "conclusion": "paragraph",
    "extrapolation": "uncertainty",
    "find_phases": "phases",
    "findings": "reading",
    "methods": "protocol",
    "phases_of": "phases",
    "replicates": "uncertainty",
    "subsampling": "uncertainty",
    "violations": "processing",
    "EvaluationSummary": "evaluation",
    "bound_curve": "bottleneck",
    "bound_of": "bottleneck",
    "evaluate": "evaluation",
    "export": "exporting",
    "tidy": "exporting",
    "gather": "replication",
    "ib_bound": "bound",
    "online": "online_sink",
    "judge": "checks",
    "trajectories": "trajectory",
}

__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)


if TYPE_CHECKING:
    from infoplane.analysis.agreement import compare_estimators as compare_estimators
    from infoplane.analysis.bottleneck import BoundCurve as BoundCurve
    from infoplane.analysis.bottleneck import add_bound as add_bound
    from infoplane.analysis.bottleneck import bound_curve as bound_curve
    from infoplane.analysis.bottleneck import bound_of as bound_of
    from infoplane.analysis.bound import Bound as Bound
    from infoplane.analysis.bound import ib_bound as ib_bound
    from infoplane.analysis.calibration import calibrate as calibrate
    from infoplane.analysis.calibration import calibrate_run as calibrate_run
    from infoplane.analysis.checks import judge as judge
    from infoplane.analysis.cost import capture_cost as capture_cost
    from infoplane.analysis.evaluation import EvaluationSummary as EvaluationSummary
    from infoplane.analysis.evaluation import evaluate as evaluate
    from infoplane.analysis.exporting import export as export
    from infoplane.analysis.exporting import tidy as tidy
    from infoplane.analysis.online_sink import online as online
    from infoplane.analysis.paragraph import conclusion as conclusion
    from infoplane.analysis.phases import add_phases as add_phases
    from infoplane.analysis.phases import find_phases as find_phases
    from infoplane.analysis.phases import phases_of as phases_of
    from infoplane.analysis.processing import add_processing as add_processing
    from infoplane.analysis.processing import violations as violations
    from infoplane.analysis.protocol import methods as methods
    from infoplane.analysis.reading import findings as findings
    from infoplane.analysis.replication import gather as gather
    from infoplane.analysis.trajectory import trajectories as trajectories
    from infoplane.analysis.uncertainty import Interval as Interval
    from infoplane.analysis.uncertainty import bootstrap as bootstrap
    from infoplane.analysis.uncertainty import extrapolation as extrapolation
    from infoplane.analysis.uncertainty import replicates as replicates
    from infoplane.analysis.uncertainty import subsampling as subsampling
    from infoplane.analysis.whole import analyse as analyse
