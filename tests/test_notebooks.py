"""The notebooks run from top to bottom, and are saved as they read without being run."""

import base64
import tempfile
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from traitlets.config import Config

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
FIGURE = "application/vnd.holoviews_exec.v0+json"
NAMES = [path.stem for path in NOTEBOOKS]


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts(cell):
    """What a cell has told in words, without the addresses of a machine."""
    return [o.data["text/plain"] for o in cell.outputs if "text/plain" in o.get("data", {})]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_it_is_saved_with_text_and_pictures_that_show_without_scripts(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert {kind for o in outputs for kind in o.get("data", {})} <= {"text/plain", "image/png"}
    pictures = [o.data["image/png"] for o in outputs if "image/png" in o.get("data", {})]
    assert pictures
    for picture in pictures:
        assert base64.b64decode(picture).startswith(b"\x89PNG")
        assert len(picture) > 10_000  # a blank area of that size takes less
    assert path.stat().st_size < 500_000


@pytest.fixture
def sockets(monkeypatch):
    """Kernels listen on sockets in a folder: ports that were free could be taken meanwhile.

    The system allows their paths 107 characters.
    """
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setenv("JUPYTER_RUNTIME_DIR", folder)
        yield Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/kernel"}})


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # 2026-11: of the kernel's own machinery
@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_it_runs_and_shows_figures_where_pictures_are_saved(path, tmp_path, monkeypatch, sockets):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    saved = nbformat.read(path, as_version=4)
    notebook = nbformat.read(path, as_version=4)
    for cell in code_cells(notebook):
        cell.outputs = []
    resources = {"metadata": {"path": str(tmp_path)}}
    options = {"timeout": 1800, "startup_timeout": 300, "kernel_name": "python3", "config": sockets}
    NotebookClient(notebook, resources=resources, **options).execute()
    for cell, before in zip(code_cells(notebook), code_cells(saved), strict=True):
        kinds = {kind for output in cell.outputs for kind in output.get("data", {})}
        pictured = any("image/png" in output.get("data", {}) for output in before.outputs)
        assert (FIGURE in kinds) == pictured
        assert bool(cell.outputs) == bool(before.outputs)
        if "run.layers" in cell.source:
            assert texts(cell) == texts(before)
