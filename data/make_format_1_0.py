"""Record `format-1.0/run` and what a reader must find in it (made once, with infoplane 0.1.0)."""

from __future__ import annotations

import json
import math
import sys
import zlib
from pathlib import Path

import numpy as np

from infoplane.store import Run, codec, open_run
from infoplane.types import Flags, Layer, Measurement, Null, ProbeData, Snapshot, Status, Verdict

LAYERS = (
    Layer("hidden", "Linear", (6,), 6, "flatten"),
    Layer("hidden#1", "Tanh", (6,), 6, "flatten"),
    Layer("head.0", "Conv2d", (3, 2, 2), 3, "spatial_mean"),
)


def snapshot(step: int, probe: str = "train", salt: int = 0) -> Snapshot:
    """Seeded representations, with the scalars of the step."""
    rng = np.random.default_rng((step, salt, len(probe)))
    arrays = {layer.name: np.tanh(rng.normal(size=(64, layer.width))) for layer in LAYERS}
    return Snapshot(step, arrays, {"loss": 1 / (1 + step)}, {"seconds": 0.001}, probe)


def row(key: str, step: int, **changes: object) -> Measurement:
    """One measurement."""
    fields = {"quantity": "mi", "target": "Y", "estimator": "mi.binning", "version": 1}
    return Measurement(
        key, step, "hidden", params={"bins": 30, "range": (-1, 1)}, **fields, **changes
    )


def record(path: Path) -> None:
    """Record the run: a session that is killed, and one that goes on."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, (64, 4))
    probes = (
        ProbeData(x, x.sum(1) % 2, "class", "train"),
        ProbeData(x.astype("f4"), rng.normal(size=(64, 2)), "regression", "test"),
    )
    run = Run.create(path, name="Golden – ünïcode", config={"lr": 0.01, "widths": [6, 6, 3]})
    run.begin(probes, LAYERS, {"reduce": "by layer kind"})
    for step in (0, 1, 10, 100):
        run.write(snapshot(step))
        run.write(snapshot(step, "test"))
    run.record(100, {"accuracy": 0.75})
    run.forget(1, "train")
    with run.annotator() as notes:
        null = Null(0.02, 0.01, 0.005, 0.02, 0.04, 20, 1 / 21)
        flags = Flags(["dead=1", "singletons"])
        notes.measure(
            [
                row("a", 0, value=0.5, stderr=0.01, low=0.48, high=0.52, null=null, n=64, d=6),
                row("b", 1, value=0.6, ceiling=math.log(2), status=Status.SATURATED),
                row("c", 10, value=None, status=Status.FAILED, note="too few samples"),
                row("d", 100, value=0.1, verdict=Verdict.CAUTION, reason="ties", flags=flags),
            ]
        )
        notes.annotate("phase", {"layer": "hidden", "step": 10, "confidence": 0.9})
    run._journal.close()  # type: ignore[union-attr]
    with (path / "journal" / "w0.jsonl").open("ab") as file:
        file.write(b'5d41402a {"seq":99,"kind":"snap')  # killed in the middle of a line
    run._lock.release()  # type: ignore[union-attr]
    with Run.create(path, resume="must") as run:
        run.begin(probes, LAYERS, {"reduce": "by layer kind", "restarted": True})
        run.write(snapshot(20, salt=1))
        run.record(21, {"loss": math.nan})
        run.report("dropped", {"count": 2})


def found(path: Path) -> dict[str, object]:
    """Tell what a reader finds, as JSON."""
    run = open_run(path)
    return {
        "uuid": run.uuid,
        "name": run.name,
        "created": run.created,
        "config": run.config,
        "info": run.info,
        "layers": run.layers,
        "widths": [layer.width for layer in run.layer_table],
        "probes": {
            name: [
                list(run.probe(name).x.shape),
                list(run.probe(name).y.shape),
                run.probe(name).target,
            ]
            for name in run.probes
        },
        "label_entropy": run.label_entropy("train"),
        "steps": {name: run.steps_of(name) for name in run.probes},
        "crc": {
            f"{name} {step} {layer}": zlib.crc32(run.load(step, layer, name).tobytes())
            for name in run.probes
            for step in run.steps_of(name)
            for layer in run.layers
        },
        "scalars": {
            name: {str(step): str(value) for step, value in values.items()}
            for name, values in run.scalars().items()
        },
        "measurements": [
            codec.encode_measurement(measurement)
            for measurement in sorted(run.measurements(), key=lambda row: row.key)
        ],
        "events": run.events(),
        "phase": run.annotations("phase"),
        "state": run.status().state,
        "last_step": run.status().last_step,
    }


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    record(folder / "run")
    text = json.dumps(found(folder / "run"), indent=1, ensure_ascii=False)
    (folder / "run" / "lock").unlink()  # nobody writes it any more
    (folder / "expected.json").write_text(text + "\n", encoding="utf-8")
