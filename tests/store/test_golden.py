"""Runs of every released format are read, whatever comes later."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

from infoplane.store import Run, header, verify

DATA = Path(__file__).parents[2] / "data"
FORMATS = sorted(path.name for path in DATA.glob("format-*"))


@pytest.fixture(scope="module")
def found():
    spec = importlib.util.spec_from_file_location("golden", DATA / "make_format_1_0.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.found


def test_there_is_one_for_the_present_format():
    assert f"format-{header.FORMAT[0]}.{header.FORMAT[1]}" in FORMATS


@pytest.mark.parametrize("name", FORMATS)
def test_reads_as_it_was_written(name, found):
    folder = DATA / name
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    assert json.loads(json.dumps(found(folder / "run"))) == expected
    inspection = verify(folder / "run")
    assert inspection.problems == ()
    assert sum(file.stat().st_size for file in folder.rglob("*")) < 200_000


@pytest.mark.parametrize("name", FORMATS)
def test_can_be_gone_on_with(name, kit, tmp_path):
    shutil.copytree(DATA / name / "run", tmp_path / "run")
    with Run.create(tmp_path / "run", resume="must") as run:
        before = run.steps
        run.write(kit.snapshot(max(before) + 1, "train"))
        assert run.steps == [*before, max(before) + 1]
    assert verify(tmp_path / "run").ok
