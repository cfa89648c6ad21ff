"""The worker of online estimation: snapshots on stdin, measurements on stdout, nothing on disk.

``python -m infoplane.analysis.online_worker``. A message is one line of JSON whose ``arrays`` tell
names, dtypes and shapes, followed by the arrays' bytes. The first message holds the probe sets and
the settings, each further one a snapshot with its jobs, answered by one line of encoded rows.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from infoplane.analysis.plan import Job
from infoplane.analysis.work import Bench, Settings
from infoplane.store.codec import encode_measurement
from infoplane.types import ProbeData

Arrays = Mapping[str, NDArray[Any]]


def send(stream: IO[bytes], head: Mapping[str, Any], arrays: Arrays) -> None:
    """Write one message."""
    solid = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    table = [[name, array.dtype.str, list(array.shape)] for name, array in solid.items()]
    stream.write(json.dumps({**head, "arrays": table}).encode() + b"\n")
    for array in solid.values():
        stream.write(array.data.cast("B") if array.size else b"")
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]] | None:
    """Read one message; None when the stream has ended."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        return None
    head = json.loads(line)
    arrays = {}
    for name, dtype, shape in head.pop("arrays"):
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        data = stream.read(size)
        if len(data) < size:
            return None
        arrays[name] = np.frombuffer(data, dtype).reshape(shape)
    return head, arrays


def serve(stream: IO[bytes], answers: IO[bytes]) -> None:
    """Measure snapshots until the stream ends."""
    begun = receive(stream)
    if begun is None:
        return
    setup, arrays = begun
    for module in setup["modules"]:
        importlib.import_module(module)  # where the caller's own estimators are registered
    probes = {
        name: ProbeData(arrays[f"x/{name}"], arrays.get(f"y/{name}"), target, name)
        for name, target in setup["probes"]
    }
    snapshot: dict[str, NDArray[Any]] = {}
    bench = Bench(
        lambda step, layer, probe: snapshot[layer],
        probes.__getitem__,
        Settings(**setup["settings"]),
    )
    while (message := receive(stream)) is not None:
        head, arrays = message
        snapshot.clear()
        snapshot.update(arrays)
        rows = [row for line in head["jobs"] for row in bench.do(Job.from_json(line))]
        answers.write(json.dumps([encode_measurement(row) for row in rows]).encode() + b"\n")
        answers.flush()


def main() -> None:
    """Keep the answers' channel to ourselves: whatever a library prints goes to stderr."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
