"""20,000 mutated inputs: only declared errors, no hang, no bare exception."""

from __future__ import annotations

import random

import numpy as np
import pytest
from safetensors.numpy import save

from infoplane.errors import InfoplaneError
from infoplane.store import codec, open_run, snapshots
from infoplane.store.index import Index
from infoplane.store.journal import JournalReader
from infoplane.store.line import frame

TOKENS = [
    b"NaN",
    b"1e999",
    b"-1",
    b"null",
    b"{}",
    b"[]",
    b"true",
    b'""',
    b"9" * 400,
    b"[" * 2000,
    b'{"a":' * 2000,
    b'"\\ud800"',
    b"\x00",
    b"\n",
    b"4294967296",
    b"1.5",
    b'"../../etc/passwd"',
]


def mutate(rng: random.Random, data: bytes) -> bytes:
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        at, length = rng.randrange(len(data) + 1), rng.choice((1, 1, 2, 8, 40))
        match rng.randrange(5):
            case 0:
                data = data[:at] + rng.randbytes(1) + data[at + 1 :]
            case 1:
                data = data[:at] + data[at + length :]
            case 2:
                data = data[:at] + data[at : at + length] * 2 + data[at + length :]
            case 3:
                data = data[:at] + rng.choice(TOKENS) + data[at + length :]
            case _:
                data = swap_value(rng, data)
    return data


def swap_value(rng: random.Random, data: bytes) -> bytes:
    """Put a foreign value where a JSON value stands."""
    colons = [at for at, byte in enumerate(data) if byte in b":,["]
    if not colons:
        return data
    at = rng.choice(colons) + 1
    stop = min((found for mark in b",}]" if (found := data.find(mark, at)) >= 0), default=at)
    return data[:at] + rng.choice(TOKENS) + data[stop:]


@pytest.fixture
def run(kit, record):
    run = record()
    run.write(kit.snapshot(0))
    run.record(1, {"loss": float("nan")})
    run.measure([kit.full, kit.measurement("online", 5)])
    run.report("dropped", {"count": 1})
    run.forget(0)
    run.write(kit.snapshot(2))
    run.close()
    return run


def read_everything(path):
    read = open_run(path)
    for step in read.steps:
        for layer in read.layers:
            read.load(step, layer)
        read.snapshot(step)
    for name in read.probes:
        read.probe(name)
    read.measurements(), read.scalars(), read.events(), read.status(), read.layer_table


def test_mutated_records_with_good_checksums(run):
    """6,000 records as a malicious writer would make them."""
    rng = random.Random(1)
    lines = (run.path / "journal" / "w0.jsonl").read_bytes().splitlines()
    payloads = [line[9:] for line in lines]
    accepted = 0
    for _ in range(600):
        index = Index()
        for payload in [mutate(rng, rng.choice(payloads)) for _ in range(10)]:
            try:
                record = codec.loads(payload)
                codec.integer(record, "seq"), codec.text(record, "kind")
            except InfoplaneError:
                continue
            accepted += 1
            index.apply("w0", record)
        index.measurements(index.entries()), index.curves()
    assert 250 < accepted < 5_500, "the mutations are too weak or too strong to test anything"


def test_mutated_journals(run, tmp_path):
    """2,000 whole files."""
    rng = random.Random(2)
    data = (run.path / "journal" / "w0.jsonl").read_bytes()
    path, total = tmp_path / "mutated.jsonl", 0
    for _ in range(2000):
        path.write_bytes(mutate(rng, data))
        reader = JournalReader(path)
        records = reader.poll()
        total += len(records)
        assert len(records) <= data.count(b"\n")
        path.unlink()
    assert total > 2000 * data.count(b"\n") * 0.6  # damage stays local


def test_mutated_runs(run):
    """400 runs, read through the whole public face."""
    rng = random.Random(3)
    targets = [run.path / "run.json", run.path / "journal" / "w0.jsonl"]
    targets += sorted((run.path / "snapshots").iterdir())
    originals = {path: path.read_bytes() for path in targets}
    fine = 0
    for _ in range(400):
        path = rng.choice(targets)
        data = originals[path]
        if path.suffix == ".jsonl":
            lines = data.splitlines()
            at = rng.randrange(len(lines))
            lines[at] = frame(mutate(rng, lines[at][9:]))[:-1]
            data = b"\n".join(lines) + b"\n"
        else:
            data = mutate(rng, data)
        path.unlink()
        path.write_bytes(data)
        try:
            read_everything(run.path)
            fine += 1
        except InfoplaneError:
            pass
        path.unlink()
        path.write_bytes(originals[path])
    read_everything(run.path)
    assert 15 < fine < 385


def test_mutated_safetensors(tmp_path):
    """2,000 files of strangers."""
    rng = random.Random(4)
    data = save({"a": np.arange(6, dtype="f4").reshape(2, 3), "b": np.zeros((2, 2), "f2")})
    path, good = tmp_path / "x.safetensors", 0
    for _ in range(2000):
        path.write_bytes(mutate(rng, data))
        try:
            snapshots.read_file(path)
            good += 1
        except InfoplaneError:
            pass
        path.unlink()
    assert 25 < good < 1975
