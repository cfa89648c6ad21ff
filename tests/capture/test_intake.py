"""Activations saved by others become a run; what could run code is refused."""

from __future__ import annotations

import os
import pickle
import struct
import zipfile

import h5py
import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_tensors

from infoplane.capture import MemorySink, import_activations
from infoplane.capture.containers import natural
from infoplane.errors import InputError

RNG = np.random.default_rng(0)
STEPS = (0, 2, 10)
DATA = {step: {"fc1": RNG.normal(size=(6, 4)), "fc2": RNG.normal(size=(6, 2))} for step in STEPS}
X, Y = RNG.normal(size=(6, 3)), RNG.integers(0, 2, 6)


def taken(path, **options):
    sink = MemorySink()
    report = import_activations(path, sink, **options)
    assert sink.status == "finished"
    assert report.steps == tuple(sink.steps)
    return sink, report


def holds_the_data(sink, names=("fc1", "fc2")):
    assert sink.steps == list(STEPS)
    assert [layer.name for layer in sink.layers] == list(names)
    for snapshot in sink.snapshots:
        for name, array in zip(names, DATA[snapshot.step].values(), strict=True):
            np.testing.assert_array_equal(snapshot.layers[name], array.astype(np.float32))


def npz_a_step(folder):
    for step, layers in DATA.items():
        np.savez(folder / f"epoch_{step}.npz", **layers)


def one_npz(folder):
    np.savez(folder / "all.npz", **{f"step{step}/{name}": array
                                    for step, layers in DATA.items()
                                    for name, array in layers.items()})  # fmt: skip


def npy_folders(folder):
    for step, layers in DATA.items():
        for name, array in layers.items():
            (folder / str(step)).mkdir(exist_ok=True)
            np.save(folder / str(step) / f"{name}.npy", array)


def npy_by_layer(folder):
    for step, layers in DATA.items():
        for name, array in layers.items():
            (folder / name).mkdir(exist_ok=True)
            np.save(folder / name / f"{step:06d}.npy", np.asfortranarray(array))


def safetensors(folder):
    for step, layers in DATA.items():
        save_file({name: np.ascontiguousarray(array) for name, array in layers.items()},
                  folder / f"step-{step}.safetensors")  # fmt: skip


def hdf5(folder):
    with h5py.File(folder / "run.h5", "w") as file:
        for step, layers in DATA.items():
            for name, array in layers.items():
                file[f"epoch{step}/{name}"] = array


def npy_flat(folder):
    for step, layers in DATA.items():
        for name, array in layers.items():
            np.save(folder / f"epoch{step}_{name}.npy", array)


def npz_with_a_prefix(folder):
    for step, layers in DATA.items():
        np.savez_compressed(folder / f"acts_epoch{step:04d}.npz", **layers)


def npz_without_keys(folder):
    for step, layers in DATA.items():
        for name, array in layers.items():
            np.savez(folder / f"{name}_step_{step}.npz", array)


def hdf5_by_layer(folder):
    with h5py.File(folder / "run.h5", "w") as file:
        for step, layers in DATA.items():
            for name, array in layers.items():
                file[f"{name}/epoch{step}/activations"] = array


def stacked(folder):
    np.savez(
        folder / "all.npz",
        epochs=np.array(STEPS),
        **{name: np.stack([DATA[step][name] for step in STEPS]) for name in ("fc1", "fc2")},
    )


@pytest.mark.parametrize(
    "write",
    [
        npz_a_step, one_npz, npy_folders, npy_by_layer, safetensors, hdf5, npy_flat,
        npz_with_a_prefix, npz_without_keys, hdf5_by_layer, stacked,
    ],
)  # fmt: skip
def test_layouts_are_recognised(tmp_path, write):
    write(tmp_path)
    sink, report = taken(tmp_path, x=X, y=Y)
    holds_the_data(sink)
    assert report.n == 6
    np.testing.assert_array_equal(sink.probes[0].x, X)
    np.testing.assert_array_equal(sink.probes[0].y, Y)
    assert sink.events == [("imported", {"source": tmp_path.name, "layout": report.layout,
                                         "steps": 3})]  # fmt: skip


def test_a_single_file_is_enough(tmp_path):
    one_npz(tmp_path)
    holds_the_data(taken(tmp_path / "all.npz")[0])
    hdf5(tmp_path)
    holds_the_data(taken(tmp_path / "run.h5")[0])


def test_deep_bottleneck(tmp_path):
    with h5py.File(tmp_path / "activations.h5", "w") as file:
        for step, layers in DATA.items():
            for index, array in enumerate(layers.values()):
                file[f"{step}/activations/{index}"] = array
            file[f"{step}/weights_norm"] = np.array([1.0 + step, 2.0])
            file[f"{step}/gradmean"] = np.array([0.5, 0.25])
    sink, report = taken(tmp_path / "activations.h5", y=Y)
    holds_the_data(sink, ("0", "1"))
    assert report.layout == "DeepBottleneck"
    assert sink.scalars[10] == {"weight_norm/0": 11.0, "weight_norm/1": 2.0,
                                "gradient_mean/0": 0.5, "gradient_mean/1": 0.25}  # fmt: skip
    assert "counts as distinct" in sink.info["inputs"]
    assert len(np.unique(sink.probes[0].x)) == 6


def test_ibsgd_pickles_are_refused_with_the_way_out_that_works(tmp_path, monkeypatch):
    for step, layers in DATA.items():
        content = {"epoch": step, "data": {"activity_tst": list(layers.values())}}
        (tmp_path / f"epoch{step:08d}").write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(InputError, match="is a pickle") as caught:
        taken(tmp_path)
    lines = [line[4:] for line in str(caught.value).splitlines() if line.startswith("    ")]
    monkeypatch.chdir(tmp_path)
    exec("\n".join(lines), {})
    sink, report = taken(tmp_path / "converted")
    assert report.layout == "ibsgd"
    holds_the_data(sink, ("0", "1"))


def test_labels_inputs_and_single_numbers_are_found(tmp_path):
    npz_a_step(tmp_path)
    np.savez(tmp_path / "probe.npz", x=X, labels=Y)
    for step in STEPS:
        np.savez(tmp_path / f"epoch_{step}.npz", **DATA[step], loss=np.float64(step / 4))
    sink, _ = taken(tmp_path)
    holds_the_data(sink)
    np.testing.assert_array_equal(sink.probes[0].x, X)
    np.testing.assert_array_equal(sink.probes[0].y, Y)
    assert sink.scalars[10] == {"loss": 2.5}


def test_labels_and_inputs_may_be_files(tmp_path):
    npz_a_step(tmp_path)
    with h5py.File(tmp_path.parent / "data.h5", "w") as file:
        file["train/x"], file["train/labels"] = X, Y
    np.save(tmp_path.parent / "mine.npy", Y)
    for y in (tmp_path.parent / "data.h5", str(tmp_path.parent / "mine.npy")):
        sink, _ = taken(tmp_path, x=tmp_path.parent / "data.h5", y=y)
        np.testing.assert_array_equal(sink.probes[0].x, X)
        np.testing.assert_array_equal(sink.probes[0].y, Y)
    with pytest.raises(InputError, match=r"`y` must be a file with one array.*'fc1'"):
        taken(tmp_path, y=tmp_path / "epoch_0.npz")


def test_entries_that_would_hide_each_other_are_refused(tmp_path):
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
        npz_a_step(tmp_path / part)
    with pytest.raises(InputError, match="each another; found 'test/epoch_0/fc1'"):
        taken(tmp_path)
    np.savez(tmp_path / "all.npz", steps=np.array([1, 2]), fc1=np.ones((3, 4, 5)))
    with pytest.raises(InputError, match="must have the 2 steps of 'steps' on its first axis"):
        taken(tmp_path / "all.npz")


def test_your_own_pattern_and_layers(tmp_path):
    for step, layers in DATA.items():
        for name, array in layers.items():
            np.save(tmp_path / f"{name}@{step}.npy", array)
    with pytest.raises(InputError, match=r"must tell their step and layer.*'fc1@0'"):
        taken(tmp_path)
    sink, _ = taken(tmp_path, pattern=r"(?P<layer>.+)@(?P<step>\d+)", layers=["fc2", "fc1"])
    assert [layer.name for layer in sink.layers] == ["fc2", "fc1"]
    with pytest.raises(InputError, match=r"must have the groups"):
        taken(tmp_path, pattern=r"(.+)@(\d+)")
    with pytest.raises(InputError, match="must name some of fc1, fc2"):
        taken(tmp_path, pattern=r"(?P<layer>.+)@(?P<step>\d+)", layers=["fc3"])


def test_feature_maps_are_flattened_and_bfloat16_widened(tmp_path):
    save_tensors({"conv": torch.ones(5, 2, 3, 3, dtype=torch.bfloat16)},
                 tmp_path / "step_1.safetensors")  # fmt: skip
    sink, _ = taken(tmp_path)
    assert sink.snapshots[0].layers["conv"].shape == (5, 18)
    assert sink.snapshots[0].layers["conv"].dtype == np.float32


class Evil:
    def __reduce__(self):
        return os.abort, ()


@pytest.mark.parametrize("name", ["a.pkl", "a.pt", "epoch1", "a.pickle"])
def test_no_pickle_is_ever_opened(tmp_path, name):
    (tmp_path / name).write_bytes(pickle.dumps(Evil()))
    with pytest.raises(InputError, match="would run whatever code"):
        taken(tmp_path)


def test_pickles_inside_arrays_are_refused(tmp_path):
    array = np.array([Evil(), Evil()], dtype=object)
    np.save(tmp_path / "step_1.npy", array, allow_pickle=True)
    with pytest.raises(InputError, match="would run whatever code"):
        taken(tmp_path, pattern=r"(?P<layer>step)_(?P<step>\d+)")


def hostile_npy(shape: str, data: bytes = b"") -> bytes:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (63 - (len(header) + 10) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (hostile_npy("(1000000, 1000000)"), "at most"),
        (hostile_npy("(4, 4)", b"1234"), "cut off"),
        (hostile_npy("(-4, 4)"), "at most|damaged"),
        (b"\x93NUMPY\x01\x00", "damaged"),
        (b"nothing", "damaged"),
    ],
)
def test_damaged_and_greedy_arrays_are_refused(tmp_path, content, message):
    (tmp_path / "fc1-epoch1.npy").write_bytes(content)
    with pytest.raises(InputError, match=message):
        taken(tmp_path)
    with zipfile.ZipFile(tmp_path / "fc1-epoch1.npz", "w") as archive:
        archive.writestr("fc1.npy", content)
    (tmp_path / "fc1-epoch1.npy").unlink()
    with pytest.raises(InputError, match=message):
        taken(tmp_path, pattern=r"fc1-epoch(?P<step>\d)/(?P<layer>.*)")


@pytest.mark.parametrize("suffix", ["npz", "safetensors", "h5"])
def test_foreign_files_are_refused(tmp_path, suffix):
    (tmp_path / f"step_1.{suffix}").write_bytes(b"not what it says")
    with pytest.raises(InputError, match=r"must be an? "):
        taken(tmp_path)


def test_rows_and_layers_must_agree(tmp_path):
    np.savez(tmp_path / "step_1.npz", fc1=np.ones((4, 2)))
    np.savez(tmp_path / "step_2.npz", fc1=np.ones((5, 2)))
    with pytest.raises(InputError, match="the same 4 samples"):
        taken(tmp_path)
    np.savez(tmp_path / "step_2.npz", fc2=np.ones((4, 2)))
    with pytest.raises(InputError, match="step 2 lacks it"):
        taken(tmp_path)
    np.savez(tmp_path / "step_1.npz", fc1=np.array(["a", "b"]))
    with pytest.raises(InputError, match="must hold real numbers"):
        taken(tmp_path)


def test_links_and_missing_paths_are_not_followed(tmp_path):
    with pytest.raises(InputError, match="must be a file or a folder"):
        taken(tmp_path / "nowhere")
    npz_a_step(tmp_path)
    outside = tmp_path.parent / "outside.npz"
    np.savez(outside, fc1=np.ones((3, 1)))
    (tmp_path / "epoch_99.npz").symlink_to(outside)
    os.mkfifo(tmp_path / "epoch_98.npz")
    holds_the_data(taken(tmp_path)[0])


def test_numbers_sort_as_numbers():
    assert sorted(["e10", "e2", "e1"], key=natural) == ["e1", "e2", "e10"]
