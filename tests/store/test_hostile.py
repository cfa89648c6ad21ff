"""A run is a stranger's: broken, foreign and malicious files give clear errors."""

from __future__ import annotations

import json
import os
import struct
import time
import tracemalloc

import numpy as np
import pytest
from safetensors.numpy import save

from infoplane.errors import (
    CorruptRunError,
    CorruptSnapshotError,
    FormatError,
    InputError,
    NotARunError,
    StoreError,
)
from infoplane.store import codec, open_run, read_file, snapshots
from infoplane.store.line import frame


@pytest.fixture
def run(kit, record):
    run = record()
    run.write(kit.snapshot(0))
    run.measure([kit.measurement("k", 0)])
    run.close()
    return run


def safetensors(header: dict | bytes, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor(shape, start, stop, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


GOOD = save({"a": np.arange(4, dtype="f4")})
FILES = {
    "empty": b"",
    "seven bytes": b"1234567",
    "huge header length": struct.pack("<Q", 2**62) + b"{}",
    "header longer than file": struct.pack("<Q", 100) + b"{}",
    "header above the cap": safetensors(b"{" + b" " * (9 << 20) + b"}"),
    "no json": safetensors(b"not json at all"),
    "list header": safetensors(b"[]"),
    "truncated": GOOD[:-3],
    "extra tail": GOOD + b"xx",
    "shape larger than data": safetensors({"a": tensor([100], 0, 16)}, bytes(16)),
    "shape overflow": safetensors({"a": tensor([2**62, 4], 0, 16)}, bytes(16)),
    "zero times huge": safetensors({"a": tensor([0, 2**62], 0, 0)}),
    "negative": safetensors({"a": tensor([-1], 0, 4)}, bytes(4)),
    "overlap": safetensors({"a": tensor([4], 0, 16), "b": tensor([4], 8, 24)}, bytes(24)),
    "hole": safetensors({"a": tensor([1], 0, 4), "b": tensor([1], 8, 12)}, bytes(12)),
    "backwards": safetensors({"a": tensor([1], 4, 0)}, bytes(4)),
    "unknown dtype": safetensors({"a": tensor([1], 0, 4, "PICKLE")}, bytes(4)),
    "float8": safetensors({"a": tensor([4], 0, 4, "F8_E4M3")}, bytes(4)),
    "many dimensions": safetensors({"a": tensor([1] * 40, 0, 4)}, bytes(4)),
    "shape is text": safetensors({"a": {**tensor([1], 0, 4), "shape": "1"}}, bytes(4)),
    "entry is a number": safetensors({"a": 3}),
    "duplicate key": safetensors(b'{"a": 1, "a": 2}'),
    "NaN in header": safetensors(b'{"__metadata__": {"a": NaN}}'),
    "deep header": safetensors(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "20,000 tensors": safetensors({f"t{i}": tensor([0], 0, 0) for i in range(20_000)}),
    "npz": b"PK\x03\x04" + bytes(100),
    "npy pickle": b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
    "zeros": bytes(1000),
}


@pytest.mark.parametrize("name", FILES)
def test_hostile_safetensors(name, tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(FILES[name])
    start = time.monotonic()
    with pytest.raises(CorruptSnapshotError, match="no safetensors file that can be read"):
        read_file(path)
    assert time.monotonic() - start < 10  # a hang, not a timing


def test_good_foreign_files_are_read(tmp_path):
    path = tmp_path / "x.safetensors"
    bf16 = np.array([1.5, -3.0], "f4").view("u4") >> 16
    path.write_bytes(
        safetensors(
            {
                "__metadata__": {"format": "pt"},
                "b": tensor([2], 0, 4, "BF16"),
                "<img onerror>": tensor([2, 1], 4, 8, "F16"),
                "../../x": tensor([1], 8, 16, "I64"),
            },
            bf16.astype("<u2").tobytes() + np.array([1, 2], "f2").tobytes() + bytes(8),
        )
    )
    arrays = read_file(path)
    assert arrays["b"].tolist() == [1.5, -3.0]
    assert arrays["<img onerror>"].tolist() == [[1.0], [2.0]]
    assert arrays["<img onerror>"].dtype == np.float32
    assert arrays["../../x"].tolist() == [0]


def test_files_that_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/etc/hostname")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "link", "folder"):
        with pytest.raises(StoreError, match="must be a regular file"):
            read_file(tmp_path / name)
    with pytest.raises(StoreError, match="There is no file"):
        read_file(tmp_path / "none")


def test_file_above_the_cap_is_not_read(tmp_path):
    path = tmp_path / "big.safetensors"
    with path.open("wb") as file:
        file.truncate(snapshots.FILE_CAP + 1)  # sparse
    with pytest.raises(CorruptSnapshotError, match="must have at most"):
        read_file(path)


# -- run.json --------------------------------------------------------------------------------------


def header_with(run, **changes):
    content = json.loads((run.path / "run.json").read_bytes())
    (run.path / "run.json").write_text(json.dumps({**content, **changes}))


def test_newer_major_format_is_refused_clearly(run):
    header_with(run, format={"major": 2, "minor": 0})
    with pytest.raises(
        FormatError, match=r"in format 2\.0; this infoplane reads up to 1\.x. Upgrade"
    ):
        open_run(run.path)


def test_newer_minor_format_is_read(run, kit):
    header_with(run, format={"major": 1, "minor": 7, "patch": 3}, later={"x": [1]}, tags="new")
    with (run.path / "journal" / "w0.jsonl").open("ab") as file:
        file.write(frame(codec.dumps({"seq": 100, "kind": "from_the_future", "x": 1})))
        body = {"seq": 101, "kind": "scalars", "step": 1, "scalars": {"loss": 2}, "later": 1}
        file.write(frame(codec.dumps(body)))
    read = open_run(run.path)
    assert read.scalars()["loss"] == {0: 1.0, 1: 2.0}
    assert "damaged" not in read.status().reason
    assert "from_the_future" in [record["kind"] for record in read.tail().poll()]


@pytest.mark.parametrize(
    "changes",
    [
        {"uuid": "../../etc"},
        {"uuid": None},
        {"uuid": "A" * 32},
        {"name": 3},
        {"name": "x" * 5000},
        {"format": None},
        {"format": {"major": "1", "minor": 0}},
        {"format": {"major": -1, "minor": 0}},
        {"config": []},
        {"layers": {}},
        {"layers": [{}]},
        {"layers": [3] * 10_001},
        {"probes": [[]]},
        {"probes": [{"name": "x"}]},
        {"created": None},
    ],
)
def test_run_json_of_a_stranger(changes, run):
    header_with(run, **changes)
    with pytest.raises(CorruptRunError, match="is damaged or not ours"):
        open_run(run.path)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff", b'{"a": NaN}', b'{"uuid": 1, "uuid": 2}', b"[" * 99_999],
)
def test_damaged_run_json(content, run):
    (run.path / "run.json").write_bytes(content)
    with pytest.raises(CorruptRunError, match="is damaged or not ours"):
        open_run(run.path)


def test_run_json_that_is_no_file(run):
    path = run.path / "run.json"
    path.rename(run.path / "other.json")
    with pytest.raises(NotARunError):
        open_run(run.path)
    path.symlink_to(run.path / "other.json")
    with pytest.raises(CorruptRunError, match="must be a regular file"):
        open_run(run.path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(CorruptRunError, match="must be a regular file"):
        open_run(run.path)
    path.unlink()
    with path.open("wb") as file:
        file.truncate(9 << 20)
    with pytest.raises(CorruptRunError, match="must have at most"):
        open_run(run.path)


@pytest.mark.parametrize("folder", ["journal", "snapshots"])
def test_folders_that_lead_elsewhere(folder, run, tmp_path):
    (run.path / folder).rename(tmp_path / "elsewhere")
    (run.path / folder).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CorruptRunError, match="must be a folder of the run itself"):
        open_run(run.path)


def test_names_are_data_only(run, kit):
    hostile = kit.layers[2].name
    read = open_run(run.path)
    assert hostile in read.layers
    assert read.load(0, hostile).shape == (16, 3)
    inside = {path.name for path in run.path.rglob("*")}
    assert all(name.isascii() and name == name.lower() for name in inside)


# -- journal lines that name files -----------------------------------------------------------------


def forged(run, **changes):
    """The run, whose snapshot line (checksum good) says something else."""
    path = run.path / "journal" / "w0.jsonl"
    lines = []
    for line in path.read_bytes().splitlines():
        record = codec.loads(line[9:])
        if record["kind"] == "snapshot":
            record.update(changes)
        lines.append(frame(codec.dumps(record)))
    path.write_bytes(b"".join(lines))
    return open_run(run.path)


@pytest.mark.parametrize(
    "changes",
    [
        {"file": "../../../etc/passwd"},
        {"file": "/etc/passwd"},
        {"file": "w0-00000001.safetensors/../x"},
        {"file": "W0-00000001.safetensors"},
        {"file": "con"},
        {"file": "w0-00000001.safetensors\x00"},
        {"file": 3},
        {"bytes": 2**40},
        {"bytes": -1},
        {"crc": 2**32},
        {"step": -1},
        {"step": 1.5},
        {"probe": None},
        {"tensors": [["L0000", "F32", [2**31, 2**31], 100, 0]]},
        {"tensors": [["L0000", "F32", [2**40], 100, 0]]},
        {"tensors": [["L0000", "F32", [1], 2**60, 0]]},
        {"tensors": [["L0000", "F32", [1], 0, 0]]},
        {"tensors": [["L0000", "F32", [-1, 4], 100, 0]]},
        {"tensors": [["L0000", "F32", [1] * 9, 100, 0]]},
        {"tensors": [["L0000", "O", [1], 100, 0]]},
        {"tensors": [["../x", "F32", [1], 100, 0]]},
        {"tensors": [["L0000", "F32", [True], 100, 0]]},
        {"tensors": [[]]},
        {"tensors": "all"},
        {"tensors": [["L0000", "F32", [0], 100, 0]] * 10_001},
        {"scalars": {"loss": "high"}},
        {"info": []},
    ],
)
def test_forged_snapshot_lines_are_rejected(changes, run):
    read = forged(run, **changes)
    assert read.steps == []
    assert read.status().reason == "1 damaged line was skipped"
    assert read.probe().x.shape == (16, 12)  # hides nothing else


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"bytes": 9999}, CorruptSnapshotError),
        ({"file": "w0-00000099.safetensors"}, CorruptSnapshotError),
        ({"tensors": [["L0000", "F32", [1, 1], 8, 0]]}, CorruptSnapshotError),
        ({"tensors": []}, InputError),
        ({"tensors": [["L9999", "F32", [1, 1], 8, 0]]}, InputError),
    ],
)
def test_forged_lines_that_look_right(changes, error, run):
    with pytest.raises(error):
        forged(run, **changes).load(0, "net.0")


def test_a_small_file_cannot_ask_for_much_memory(run):
    changes = {"bytes": 2 << 30, "tensors": [["L0000", "F32", [1 << 28], 8, 0]]}
    read = forged(run, **changes)
    tracemalloc.start()
    with pytest.raises(CorruptSnapshotError, match="expected 2,147,483,648"):
        read.load(0, "net.0")
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_snapshot_file_that_is_a_pipe_or_a_link(run):
    file = run.path / "snapshots" / run._entry(0, None).stored.file
    content = file.read_bytes()
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(CorruptRunError, match="must be a regular file"):
        open_run(run.path).load(0, "net.0")
    file.unlink()
    (run.path / "copy").write_bytes(content)
    file.symlink_to(run.path / "copy")
    with pytest.raises(CorruptRunError, match="must be a regular file"):
        open_run(run.path).load(0, "net.0")


def test_annotators_cannot_forge_what_the_writer_says(run, kit):
    line = next(
        line
        for line in (run.path / "journal" / "w0.jsonl").read_bytes().splitlines()
        if b'"snapshot"' in line
    )
    record = {**codec.loads(line[9:]), "step": 77}
    lines = [record, {"seq": 999, "kind": "end", "status": "failed"}]
    (run.path / "journal" / "a0.jsonl").write_bytes(b"".join(frame(codec.dumps(r)) for r in lines))
    read = open_run(run.path)
    assert read.steps == [0]
    assert read.status().state == "finished"


def test_a_lock_that_is_no_file(run):
    (run.path / "lock").unlink()
    assert open_run(run.path).status().state == "finished"
    os.mkfifo(run.path / "lock")
    assert open_run(run.path).status().state == "finished"
