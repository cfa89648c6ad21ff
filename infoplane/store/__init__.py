"""Runs on disk: journals with checksums, a safetensors file a snapshot, one writer, any readers."""

from infoplane.store.annotator import Annotator
from infoplane.store.listing import Listing, RunSummary, is_run, list_runs
from infoplane.store.run import Run, open_run
from infoplane.store.snapshots import read_file
from infoplane.store.status import RunStatus
from infoplane.store.tail import Tail, decode_measurements
from infoplane.store.verify import Inspection, verify

__all__ = [
    "Annotator",
    "Inspection",
    "Listing",
    "Run",
    "RunStatus",
    "RunSummary",
    "Tail",
    "decode_measurements",
    "is_run",
    "list_runs",
    "open_run",
    "read_file",
    "verify",
]
