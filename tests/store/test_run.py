"""What is written is what is read: every call of a run, its errors, its restarts."""

from __future__ import annotations

import copy
import math
import os
import pickle

import numpy as np
import pytest

from infoplane.errors import (
    CorruptSnapshotError,
    InputError,
    NotARunError,
    RunExistsError,
    StoreError,
)
from infoplane.store import Run, decode_measurements, list_runs, open_run, read_file
from infoplane.types import Layer, ProbeData, Sink, Snapshot


def test_round_trip(kit, record):
    run = record(name="tanh", config={"lr": 1e-3, "sizes": (10, 7), "act": np.tanh})
    for step in (0, 5, 2):
        run.write(kit.snapshot(step))
    run.record(7, {"loss": math.nan, "accuracy": np.float32(0.5)})
    run.report("dropped", {"count": 3, "array": np.arange(3)})
    run.close()

    read = open_run(run.path)
    assert read.name == "tanh"
    assert read.config["lr"] == 1e-3
    assert read.config["sizes"] == [10, 7]
    assert read.steps == [0, 2, 5]
    assert read.layers == [layer.name for layer in kit.layers]
    assert read.layer_table == kit.layers
    assert read.probes == ["probe"]
    assert read.info == {"reduce": "flatten"}
    assert read.uuid == run.uuid
    assert len(read.uuid) == 32
    for step in read.steps:
        snapshot, expected = read.snapshot(step), kit.snapshot(step)
        assert list(snapshot.layers) == list(expected.layers)
        assert snapshot.scalars == expected.scalars
        assert snapshot.info == expected.info
        for name, array in expected.layers.items():
            np.testing.assert_array_equal(read.load(step, name), array)
            np.testing.assert_array_equal(snapshot.layers[name], array)
    scalars = read.scalars()
    assert scalars["loss"] == {0: 1.0, 2: 1 / 3, 5: 1 / 6, 7: scalars["loss"][7]}
    assert math.isnan(scalars["loss"][7])
    assert scalars["accuracy"] == {7: 0.5}
    (event,) = read.events()
    assert (event["event"], event["detail"]) == ("dropped", {"count": 3, "array": [0, 1, 2]})
    assert read.status().state == "finished"
    assert read.status().last_step == 7


def test_probe_round_trip_and_label_entropy(kit, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(10, 3, 4, 4))
    probes = (
        ProbeData(x, rng.integers(0, 3, 10), "class", "train"),
        ProbeData(x[:5].astype("f4"), rng.normal(size=(5, 2)), "regression", "test"),
        ProbeData(x[:4] > 0, None, "class", "bare"),
    )
    with Run.create(tmp_path / "run") as run:
        run.begin(probes, kit.layers, {})
        run.write(kit.snapshot(1, "test"))
    read = open_run(tmp_path / "run")
    assert read.probes == ["train", "test", "bare"]
    for probe in probes:
        got = read.probe(probe.name)
        np.testing.assert_array_equal(got.x, probe.x)
        assert got.x.dtype == probe.x.dtype
        assert got.target == probe.target
        assert (got.y is None) == (probe.y is None)
        if probe.y is not None:
            np.testing.assert_array_equal(got.y, probe.y)
    share = np.unique(probes[0].y, return_counts=True)[1] / 10
    assert read.label_entropy("train") == pytest.approx(-(share * np.log(share)).sum(), abs=1e-12)
    assert read.label_entropy("test") is None
    assert read.label_entropy("bare") is None
    assert read.steps == []  # of the first probe
    assert read.steps_of("test") == [1]
    with pytest.raises(InputError, match="no arrays of a probe 'other'"):
        read.probe("other")


def test_writer_reads_its_own_writes(kit, record):
    run = record()
    run.write(kit.snapshot(0))
    assert run.steps == [0]
    run.record(3, {"loss": 1.0})
    assert run.scalars()["loss"][3] == 1.0
    assert run.measure([kit.measurement("a", 0)]) == 1
    assert [row.key for row in run.measurements()] == ["a"]
    assert run.measurements()[0].snapshot == run.snapshot_crc(0)
    assert run.status().state == "live"


def test_is_a_sink_and_survives_pickle_as_a_reader(kit, record):
    run = record()
    run.write(kit.snapshot(0))
    assert isinstance(run, Sink)
    for other in (pickle.loads(pickle.dumps(run)), copy.deepcopy(run)):  # noqa: S301
        assert other.steps == [0]
        with pytest.raises(StoreError, match="for reading only"):
            other.record(1, {"loss": 1.0})
    assert "1 steps" in repr(run)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_stored_dtype(dtype, kit, tmp_path):
    values = np.array([[1 / 3, -2.0], [np.nan, np.inf]])
    with Run.create(tmp_path / "run", dtype=dtype) as run:
        run.write(Snapshot(0, {"a": values, "codes": np.array([[1], [2]]), "b": values > 0}))
    read = open_run(tmp_path / "run")
    got = read.load(0, "a")
    np.testing.assert_array_equal(got, values.astype(dtype))
    assert got.dtype == (np.float64 if dtype == "float64" else np.float32)
    assert got.flags.writeable
    assert got.flags.owndata or got.base.base is None or got.base.flags.owndata
    assert read.load(0, "codes").dtype == np.int64
    assert read.load(0, "b").dtype == bool


def test_float16_that_would_overflow_is_widened(tmp_path):
    big = np.array([[1e5, 1.0]])
    with Run.create(tmp_path / "run", dtype="float16") as run:
        run.write(Snapshot(0, {"big": big, "small": big / 1e5}))
    read = open_run(tmp_path / "run")
    np.testing.assert_array_equal(read.load(0, "big"), big.astype("f4"))
    np.testing.assert_array_equal(read.load(0, "small"), (big / 1e5).astype("f2"))


def test_float64_beyond_float32_stays_finite(tmp_path):
    with Run.create(tmp_path / "run") as run:
        run.write(Snapshot(0, {"a": np.array([[1e200]])}))
    assert open_run(tmp_path / "run").load(0, "a") == 1e200


def test_odd_memory_layouts(tmp_path):
    base = np.arange(24.0).reshape(4, 6)
    arrays = {
        "t": base.T,
        "strided": base[::2, ::-1],
        "big": base.astype(">f4"),
        "f": np.asfortranarray(base),
        "none": base[:0],
        "flat": base[:, :0],
    }
    with Run.create(tmp_path / "run") as run:
        run.write(Snapshot(0, arrays))
    read = open_run(tmp_path / "run")
    for name, array in arrays.items():
        np.testing.assert_array_equal(read.load(0, name), array.astype("f4"))


def test_file_is_plain_safetensors_readable_by_all(kit, record):
    old = os.umask(0o022)
    try:
        run = record()
        run.write(kit.snapshot(4))
    finally:
        os.umask(old)
    (path,) = [run.path / "snapshots" / run._entry(4, None).stored.file]
    arrays = read_file(path)
    assert sorted(arrays) == ["L0000", "L0001", "L0002"]
    np.testing.assert_array_equal(arrays["L0001"], run.load(4, "net.2"))
    for file in (path, run.path / "run.json", run.path / "journal" / "w0.jsonl"):
        assert file.stat().st_mode & 0o777 == 0o644


def test_layers_that_nobody_announced(tmp_path):
    with Run.create(tmp_path / "run") as run:
        run.write(Snapshot(0, {"b": np.zeros((2, 3)), "a": np.zeros((2, 1))}))
        run.write(Snapshot(1, {"c": np.zeros((2, 2)), "a": np.ones((2, 1))}))
    read = open_run(tmp_path / "run")
    assert read.layers == ["b", "a", "c"]
    assert read.layer_table[0] == Layer("b", "", (3,), 3, "", "float32")
    assert read.load(1, "a").tolist() == [[1], [1]]
    with pytest.raises(InputError, match="no layer 'b'; it has a, c"):
        read.load(1, "b")


@pytest.mark.parametrize(
    ("snapshot", "match"),
    [
        (Snapshot(-1, {}), "`step` must be an int of at least 0; got -1"),
        (Snapshot(True, {}), "`step` must be an int"),
        (Snapshot(1.0, {}), "`step` must be an int"),
        (Snapshot(0, {"a": np.zeros(3)}), r"'a' must be \(n, d\); got shape \(3,\)"),
        (Snapshot(0, {"a": np.array([["x"]])}), "must hold integers, booleans or floats"),
        (Snapshot(0, {"a": np.array([[1j]])}), "complex128"),
        (Snapshot(0, {}, {"loss": "high"}), "'loss' must be one number"),
        (Snapshot(2**63, {}), "`step` must be an int"),
        (Snapshot(0, {}, probe="p" * 3000), "`probe` must have at most 2000 characters; got 3000"),
        (Snapshot(0, {}, {}, {"text": "x" * 400_000}), "must have at most 333,333 characters"),
        (Snapshot(0, {"l" * 3000: np.zeros((1, 1))}), "cannot be kept in run.json"),
    ],
)
def test_refused_snapshots(snapshot, match, record):
    run = record()
    with pytest.raises(InputError, match=match):
        run.write(snapshot)
    assert run.steps == []
    assert len(list((run.path / "snapshots").iterdir())) == 1  # the probe set
    assert open_run(run.path).status().reason == ""


def test_unknown_steps_and_names(kit, record):
    run = record()
    for step in range(30):
        run.write(kit.snapshot(step))
    with pytest.raises(InputError, match=r"at step 99; its steps are 0, 1, .*…, 29"):
        run.load(99, "net.0")
    with pytest.raises(InputError, match="of 'test' at step 0; its steps are none"):
        run.snapshot_crc(0, "test")
    with pytest.raises(InputError, match="`status` must be one of"):
        run.end("done")


# -- where a run may be started --------------------------------------------------------------------


def test_never_overwrites(kit, record, tmp_path):
    run = record()
    run.write(kit.snapshot(0))
    run.close()
    with pytest.raises(RunExistsError, match=r"never overwritten.*resume='allow'"):
        Run.create(run.path)
    assert open_run(run.path).steps == [0]


def test_must_needs_a_run(tmp_path):
    with pytest.raises(NotARunError, match="resume='must' needs a run"):
        Run.create(tmp_path / "none", resume="must")
    assert not (tmp_path / "none").exists()


def test_foreign_folders_stay_untouched(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(NotARunError, match=r"other files \(thesis.tex\) and no run"):
        Run.create(tmp_path, resume="allow")
    with pytest.raises(NotARunError, match="A run is a folder"):
        Run.create(tmp_path / "thesis.tex")
    with pytest.raises(NotARunError, match=r"no run.json"):
        open_run(tmp_path)
    with pytest.raises(NotARunError):
        open_run(tmp_path / "thesis.tex")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_arguments_of_create(tmp_path):
    with pytest.raises(InputError, match="`resume` must be 'never', 'allow' or 'must'; got 'yes'"):
        Run.create(tmp_path / "run", resume="yes")
    with pytest.raises(InputError, match="`dtype` must be one of"):
        Run.create(tmp_path / "run", dtype="bfloat16")
    with pytest.raises(StoreError, match="must have at most"):
        Run.create(tmp_path / "big", config={"text": "x" * (9 << 20)})
    with pytest.raises(InputError, match="`name` must have at most"):
        Run.create(tmp_path / "big", name="x" * 3000)
    Run.create(tmp_path / "big").close()  # the refused one has left no half run, and no lock


def test_creation_that_was_cut_off_can_be_repeated(tmp_path):
    for name in ("journal", "snapshots"):
        (tmp_path / name).mkdir()
    (tmp_path / "run.json.tmp").write_text("{")
    (tmp_path / "snapshots" / "w0-00000001.safetensors.tmp").write_text("x")
    with Run.create(tmp_path) as run:
        assert run.steps == []
    assert not list(tmp_path.rglob("*.tmp"))


# -- restarts --------------------------------------------------------------------------------------


def test_restart_supersedes_orphaned_steps(kit, record, abandon):
    run = record()
    for step in range(0, 50, 10):
        run.write(kit.snapshot(step))
        run.record(step + 5, {"accuracy": step})
    with run.annotator() as notes:
        notes.measure(kit.measurement(f"k{step}", step) for step in range(0, 50, 10))
    abandon(run)

    run = record(resume="must")
    assert run.steps == [0, 10, 20, 30, 40]  # nothing is superseded before anything is recorded
    run.write(kit.snapshot(20, salt=1))
    assert run.steps == [0, 10, 20]
    assert run.scalars()["accuracy"] == {5: 0.0, 15: 10.0}
    assert list(run.scalars()["loss"]) == [0, 10, 20]
    assert [row.key for row in run.measurements()] == ["k0", "k10"]
    np.testing.assert_array_equal(run.load(20, "net.0"), kit.snapshot(20, salt=1).layers["net.0"])
    read = open_run(run.path)
    assert read.steps == run.steps
    assert read.scalars() == run.scalars()
    assert read.measurements() == run.measurements()
    kinds = [record["kind"] for record in read.tail().poll()]
    assert kinds.count("snapshot") == 6  # kept, not deleted


def test_scalars_alone_supersede_too(kit, record, abandon):
    run = record()
    for step in (0, 10, 20):
        run.write(kit.snapshot(step))
    abandon(run)
    run = record(resume="allow")
    run.record(11, {"loss": 9.0})
    assert run.steps == [0, 10]
    run.write(kit.snapshot(10, salt=2))  # a queue may deliver the snapshot after later scalars
    assert run.steps == [0, 10]
    assert run.scalars()["loss"] == {0: 1.0, 10: 1 / 11, 11: 9.0}


def test_steps_may_come_in_any_order_within_a_session(kit, record):
    run = record()
    for step in (100, 10, 50, 10):
        run.write(kit.snapshot(step))
    assert run.steps == [10, 50, 100]


def test_beginning_again_in_the_same_process_is_a_restart(kit, record):
    run = record()
    for step in (0, 10, 20):
        run.write(kit.snapshot(step))
    run.begin((kit.probe(),), kit.layers, {"again": True})
    run.write(kit.snapshot(0, salt=3))
    assert run.steps == [0]
    assert run.info == {"again": True}


def test_measurements_of_a_superseded_snapshot_leave_the_view(kit, record, abandon):
    run = record()
    run.write(kit.snapshot(10))
    with run.annotator() as notes:
        notes.measure([kit.measurement("old", 10)])
    crc = run.snapshot_crc(10)
    abandon(run)
    run = record(resume="allow")
    run.write(kit.snapshot(10, salt=1))
    assert run.snapshot_crc(10) != crc
    run.refresh()
    assert run.measurements() == []
    with run.annotator() as notes:  # a slow worker delivers late
        notes.measure([kit.measurement("late", 10, snapshot=crc), kit.measurement("new", 10)])
    run.refresh()
    assert [row.key for row in run.measurements()] == ["new"]


def test_online_rows_follow_the_session(kit, record, abandon):
    run = record()
    run.measure([kit.measurement(key, step) for key, step in [("a", 10), ("x", 15), ("b", 20)]])
    assert [row.key for row in run.measurements()] == ["a", "x", "b"]
    assert run.measurements()[0].snapshot == 0
    abandon(run)
    run = record(resume="allow")
    run.measure([kit.measurement("c", 15)])
    assert [row.key for row in run.measurements()] == ["a", "c"]


def test_probe_set_must_stay(kit, record):
    run = record()
    other = ProbeData(1 - kit.probe().x, kit.probe().y)
    with pytest.raises(StoreError, match=r"'probe' must be the one .* its samples differ"):
        run.begin((other,), kit.layers, {})
    files = len(list((run.path / "snapshots").iterdir()))
    run.begin((kit.probe(),), kit.layers, {})
    assert (
        len(list((run.path / "snapshots").iterdir())) == files
    )  # the same set is not stored twice


def test_a_layer_that_changes_its_shape_gets_a_new_row(kit, record, abandon):
    run = record()
    run.write(kit.snapshot(0))
    changed = (Layer("new", "ReLU", (2,), 2, "flatten"), Layer("net.0", "Linear", (4,), 4, "mean"))
    run.begin((kit.probe(),), changed, {})
    run.write(Snapshot(5, {"net.0": np.ones((16, 4)), "new": np.zeros((16, 2))}))
    read = open_run(run.path)
    assert read.layers == ["new", "net.0", "net.2", kit.layers[2].name]
    assert read.layer_table[:2] == changed
    assert read.load(0, "net.0").shape == (16, 10)
    assert read.load(5, "net.0").shape == (16, 4)


def test_seq_and_file_names_go_on(kit, record, abandon):
    run = record()
    run.write(kit.snapshot(0))
    path = abandon(run)
    number = run.tail().poll()[-1]["seq"] + 1
    orphans = [path / "snapshots" / f"w0-{number + i:08d}.safetensors" for i in range(9)]
    for orphan in orphans:
        orphan.write_bytes(b"renamed, but its line was never written")
    run = record(resume="allow")
    run.write(kit.snapshot(5))
    assert all(orphan.read_bytes().startswith(b"renamed") for orphan in orphans)
    seqs = [record["seq"] for record in run.tail().poll()]
    assert seqs == sorted(set(seqs))
    assert run.steps == [0, 5]


# -- ends, thinning, notes -------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["finished", "interrupted", "failed"])
def test_the_end_that_was_said_stays(end, kit, record):
    run = record()
    run.write(kit.snapshot(0))
    run.end(end)
    run.report("cost", {"percent": 1.8})
    run.measure([kit.measurement()])
    assert run.status().state == end
    run.close()
    run.close()
    assert open_run(run.path).status().state == end


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (KeyboardInterrupt(), "interrupted", ""),
        (RuntimeError("loss is nan"), "failed", "RuntimeError: loss is nan"),
    ],
)
def test_leaving_the_block_by_an_error(error, state, reason, kit, tmp_path):
    def train():
        with Run.create(tmp_path / "run") as run:
            run.write(kit.snapshot(0))
            raise error

    with pytest.raises(type(error)):
        train()
    status = open_run(tmp_path / "run").status()
    assert (status.state, status.reason) == (state, reason)
    (listed,) = list_runs(tmp_path)
    assert listed.status.reason == reason


def test_status_over_a_life(kit, record, abandon):
    run = record()
    read = open_run(run.path)
    assert read.status().state == "live"
    run.write(kit.snapshot(3))
    status = read.status()
    assert (status.state, status.last_step) == ("live", 3)
    assert 0 <= status.age_seconds < 60
    abandon(run)
    status = read.status()
    assert status.state == "stalled"
    assert "gone without an end" in status.reason
    record(resume="must").close()
    assert read.status().state == "finished"
    run = record(resume="must")
    assert read.status().state == "live"
    run.end("failed")
    run.record(9, {"loss": 1.0})
    assert read.status().state == "live"
    run.end("interrupted")
    run.begin((), (), {})
    assert read.status().state == "live"


def test_empty_run(tmp_path):
    Run.create(tmp_path / "run").close()
    read = open_run(tmp_path / "run")
    assert read.status().state == "empty"
    assert read.status().last_step is None
    assert (read.steps, read.layers, read.probes, read.measurements()) == ([], [], [], [])
    assert read.scalars() == {}


def test_forget_keeps_the_numbers(kit, record):
    run = record()
    for step in (0, 10):
        run.write(kit.snapshot(step))
    run.measure([kit.measurement("a", 0)])
    file = run.path / "snapshots" / run._entry(0, None).stored.file
    run.forget(0)
    assert not file.exists()
    read = open_run(run.path)
    assert read.steps == run.steps == [10]
    assert [row.key for row in read.measurements()] == ["a"]
    assert list(read.scalars()["loss"]) == [0, 10]
    with pytest.raises(InputError, match="thinned out"):
        read.load(0, "net.0")


def test_notes_and_attempts(kit, record):
    run = record()
    with run.annotator() as notes:
        notes.annotate("phase", {"layer": "net.0", "step": 12})
        notes.annotate("phase", {"layer": "net.2", "step": 14})
        notes.report("fault", {"why": "out of memory"})
        for attempt in range(3):
            notes.measure(
                [kit.measurement("k", value=None, status="failed", note=f"attempt {attempt}")]
            )
    run.refresh()
    assert [note["step"] for note in run.annotations("phase")] == [12, 14]
    assert run.annotations("other") == []
    assert run.events()[0]["event"] == "fault"
    (row,) = run.measurements()
    assert (row.status, row.value, row.note) == ("failed", None, "attempt 2")


def test_a_failure_never_hides_a_result(kit, record):
    run = record()
    failed = kit.measurement("k", value=None, status="failed", note="killed")
    for rows in ([failed], [kit.measurement("k", value=0.7)], [failed]):
        with run.annotator() as notes:
            notes.measure(rows)
    run.refresh()
    assert [row.value for row in run.measurements()] == [0.7]
    with pytest.raises(StoreError, match="closed or belongs to another process"):
        notes.measure([failed])


def test_an_annotator_that_writes_nothing_leaves_nothing(record):
    run = record()
    with run.annotator() as notes:
        assert notes.measure([]) == 0
    assert [path.name for path in (run.path / "journal").iterdir()] == ["w0.jsonl"]


def test_tail(kit, record):
    run = record()
    tail, late = run.tail(), run.tail(replay=False)
    assert [record["kind"] for record in tail.poll()] == ["open", "probe", "begin"]
    assert (tail.poll(), late.poll()) == ([], [])
    run.write(kit.snapshot(0))
    with run.annotator() as notes:
        notes.measure([kit.measurement("a"), kit.measurement("b")])
    for records in (tail.poll(), late.poll()):
        assert [record["kind"] for record in records] == ["snapshot", "measurements"]
        assert records[0]["writer"] == "w0"
        assert records[1]["writer"].startswith("a")
        assert [row.key for row in decode_measurements(records[1])] == ["a", "b"]
        assert decode_measurements(records[0]) == []
    assert decode_measurements({"kind": "measurements", "rows": 3}) == []


def test_many_rows_are_split_into_lines(kit, record):
    run = record()
    rows = [kit.measurement(f"k{i}", note="x" * 20_000) for i in range(200)]
    with run.annotator() as notes:
        assert notes.measure(rows) == 200
    assert run.refresh() > 4
    assert run.measurements() == [kit.measurement(f"k{i}", note="x" * 20_000) for i in range(200)]
    with run.annotator() as notes, pytest.raises(InputError, match="at most 100000 characters"):
        notes.measure([kit.measurement("k"), kit.measurement("k", note="x" * 200_000)])
    for changes in ({"layer": "l" * 3000}, {"step": -1}, {"n": 2**64}, {"info": [3]}):
        with pytest.raises(InputError, match="cannot be kept"):
            run.measure([kit.measurement(**changes)])
    for call in (run.report, run.annotator().annotate):
        with pytest.raises(InputError, match="at most 2000 characters"):
            call("x" * 3000, {})
    with pytest.raises(StoreError, match="must fit into"):
        run.report("big", {"text": "x" * 2_000_000})
    run.report("small", {})
    assert [event["event"] for event in run.events()] == ["small"]


def test_damaged_snapshot_says_so(kit, record):
    run = record()
    for step in (0, 1, 2):
        run.write(kit.snapshot(step))
    files = [run.path / "snapshots" / run._entry(step, None).stored.file for step in (0, 1, 2)]
    data = bytearray(files[0].read_bytes())
    data[-1] ^= 1
    files[0].write_bytes(data)
    files[1].write_bytes(files[1].read_bytes()[:-5])
    files[2].unlink()
    read = open_run(run.path)
    touched = [tensor.key for tensor in read._entry(0, None).stored.tensors][-1]
    with pytest.raises(CorruptSnapshotError, match="checksum"):
        read.load(0, kit.layers[int(touched[1:])].name)
    with pytest.raises(CorruptSnapshotError, match="bytes, expected"):
        read.load(1, "net.0")
    with pytest.raises(CorruptSnapshotError, match="is missing though the journal names it"):
        read.snapshot(2)
