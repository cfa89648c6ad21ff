"""`ip.dashboard(run)` live in a cell of a real JupyterLab, in a real browser."""

import importlib.util

import nbformat
import pytest
from ui.conftest import open_page
from ui.lab import RUN_ALL, Lab
from ui.serving import ROOT, Process

pytestmark = [
    pytest.mark.ui,
    pytest.mark.skipif(
        importlib.util.find_spec("jupyterlab") is None,
        reason="no JupyterLab: pip install 'infoplane[notebook]'",
    ),
]

CELL = """
import infoplane as ip
view = ip.dashboard({run!r}, height=520)
view
"""
LIVE = "Bokeh.documents.map(d => d.get_model_by_name('live')).find(Boolean)"
STEP = f"({LIVE}?.data.step[0] ?? -1)"


@pytest.fixture(scope="module")
def lab(browser, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    (folder / "work").mkdir()
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(CELL.format(run=str(folder / "run")).strip())],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(notebook, folder / "work" / "live.ipynb")
    server = Lab(folder, folder / "work")
    writer = Process(
        [str(ROOT / "tests/ui/growing.py"), str(folder / "run"), "4000", "15"],
        folder / "writer.log",
        PYTHONPATH=str(ROOT),
    )
    server.wait(f"{server.url}/api")
    yield server
    writer.kill()
    server.kill()


def test_the_view_grows_in_a_cell_while_another_process_writes(lab, browser):
    context, page = open_page(browser)
    lab.open(page, "live.ipynb")
    page.evaluate(RUN_ALL)
    page.wait_for_function(f"window.Bokeh && {STEP} >= 0")
    before = page.evaluate(STEP)
    page.wait_for_function(f"{STEP} > {before} + 5")
    page.wait_for_function(f"{LIVE}.__ip?.drawn > 0")
    # the past is in the browser: travelling there needs no kernel
    page.get_by_label("Moment of training").press("Home")
    page.wait_for_function(f"{LIVE}.__ip.chosen.step === 0")
    assert page.problems == []
    context.close()
