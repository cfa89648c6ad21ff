"""Arrays kept beside a run: made once, the first of several wins, damage costs only the making."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest

from infoplane.errors import CorruptRunError, InputError
from infoplane.store import files, open_run, verify


@pytest.fixture
def run(record):
    run = record()
    run.close()
    return open_run(run.path)


def codes(seed=0):
    return {"codes": np.random.default_rng(seed).normal(size=(6, 2)), "share": np.array([0.5])}


def never():
    raise AssertionError("made again")


def test_made_once_and_read_by_everyone(run):
    first = run.kept("codes-0a", codes)
    again = open_run(run.path).kept("codes-0a", never)
    assert {name: array.tobytes() for name, array in again.items()} == {
        name: array.tobytes() for name, array in first.items()
    }
    assert again["share"].dtype == np.float64
    assert sorted(os.listdir(run.path / "kept")) == ["codes-0a.safetensors"]
    assert verify(run.path).ok


def test_the_first_of_several_wins(run):
    together = Barrier(4)

    def make(seed):
        together.wait(300)
        return codes(seed)

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda seed: run.kept("codes-1", lambda: make(seed)), range(4)))
    assert len({arrays["codes"].tobytes() for arrays in made}) == 1
    assert os.listdir(run.path / "kept") == ["codes-1.safetensors"]


def test_without_hard_links_the_file_is_there_all_the_same(run, monkeypatch):
    def refuse(*_):
        raise PermissionError("no hard links here")

    monkeypatch.setattr(files.os, "link", refuse)
    first = run.kept("codes-2", codes)
    np.testing.assert_array_equal(run.kept("codes-2", never)["codes"], first["codes"])


def test_damage_is_a_note_and_made_again(run):
    run.kept("codes-3", codes)
    (file,) = (run.path / "kept").iterdir()
    whole = file.read_bytes()
    for position in range(0, len(whole), 7):
        file.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        found = verify(run.path)
        assert found.ok
        assert found.notes == (f"kept/{file.name}: not what was written; it will be made again",)
    file.write_bytes(whole[:-9])
    run.kept("codes-3", codes)
    assert file.read_bytes() == whole
    assert verify(run.path).notes == ()


def test_a_folder_that_cannot_be_written_costs_only_the_making(run):
    (run.path / "kept").write_text("a file")
    assert run.kept("codes-4", codes)["codes"].shape == (6, 2)
    with pytest.raises(CorruptRunError, match="must be a folder"):
        open_run(run.path)


@pytest.mark.parametrize("name", ["", "../up", "a/b", "A", "a--b", "x" * 101])
def test_names_are_no_paths(run, name):
    with pytest.raises(InputError, match="lower-case"):
        run.kept(name, never)
