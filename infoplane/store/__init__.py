"""Runs on disk: journals with checksums, a safetensors file a snapshot, one writer, many readers.

Layout of a run, format 1.0::

    run.json                      identity, format, config, layer table, probe sets, H(Y) in nats
    journal/w0.jsonl              what the run's one writer recorded
    journal/a<16 hex>.jsonl       what one annotator added: measurements, notes
    snapshots/w0-<8 digits>.safetensors    the layers at one step, or a probe set's arrays
    kept/<name>.safetensors       costly intermediates, named by their content; may be deleted
    lock                          held by the writer, freed by the kernel when it dies

A journal is lines of ``crc32 JSON``, appended and never changed. A snapshot exists if and only if
a good line names it and its length and the checksums of header and tensors match: file, fsync,
rename, fsync of the folder, line, fdatasync, in this order. Records of ``w0``: open (a writer
came), begin (capture starts: layer ids in the network's order, info), probe, snapshot, scalars,
measurements, event, annotation, forget (arrays thinned out), end. Order is the order of lines;
times are labels. Readers follow by byte offset, lock nobody out, pass over kinds and fields they
do not know, and refuse a newer major format.
"""

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
