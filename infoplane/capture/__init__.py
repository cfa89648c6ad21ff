"""Capture: snapshots of every layer while a network trains, without changing the training."""

from infoplane.capture.faults import CaptureWarning
from infoplane.capture.intake import Imported, import_activations
from infoplane.capture.neutrality import Neutrality, verify_neutrality
from infoplane.capture.probe import Probe
from infoplane.capture.recorder import Watcher, watch
from infoplane.capture.schedule import Schedule, at, every, log_spaced
from infoplane.capture.sinks import CallableSink, MemorySink

__all__ = [
    "CallableSink",
    "CaptureWarning",
    "Imported",
    "MemorySink",
    "Neutrality",
    "Probe",
    "Schedule",
    "Watcher",
    "at",
    "every",
    "import_activations",
    "log_spaced",
    "verify_neutrality",
    "watch",
]
