"""Run a notebook in a real JupyterLab and save it with pictures of what its cells show.

    python notebooks/save.py [notebooks/quickstart.ipynb]

Pages that show notebooks without running them (GitHub, a mail) drop scripts, so an interactive
figure would be a blank there: it is saved as the picture that JupyterLab drew. Text stays text.
"""

from __future__ import annotations

import base64
import shutil
import sys
import tempfile
from pathlib import Path

import nbformat

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from playwright.sync_api import sync_playwright  # noqa: E402
from ui.conftest import ARGUMENTS, chromium  # noqa: E402
from ui.lab import RUN_ALL, Lab  # noqa: E402

DONE = """() => [...jupyterapp.shell.currentWidget.content.model.cells]
  .every(cell => cell.type !== 'code' || cell.executionCount !== null)"""
MODEL = "jupyterapp.shell.currentWidget.content.model.toJSON()"


def main(path: Path) -> None:
    """Run, look, save."""
    folder = Path(tempfile.mkdtemp())
    shutil.copy(path, folder)
    lab = Lab(folder, folder)
    try:
        lab.wait()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
            page = browser.new_page(viewport={"width": 1240, "height": 900}, color_scheme="light")
            lab.open(page, path.name)
            page.evaluate("jupyterapp.commands.execute('application:toggle-left-area')")
            page.add_style_tag(content=".Toastify { display: none !important }")  # its own news
            page.evaluate(RUN_ALL)
            page.wait_for_function(DONE, timeout=300_000)
            notebook = nbformat.from_dict(page.evaluate(MODEL))
            for i, cell in enumerate(notebook.cells):
                if cell.cell_type == "code":
                    cell.outputs = saved(cell, page, i)
                cell.metadata = {}
                cell.pop("attachments", None)  # JupyterLab writes null, the format has none
            browser.close()
    finally:
        lab.kill()
        shutil.rmtree(folder)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    nbformat.write(notebook, path)


def saved(cell, page, i):
    """Return what is kept of a cell's outputs: a picture of a figure, else text."""
    if not any("application/vnd.holoviews_exec.v0+json" in o.get("data", {}) for o in cell.outputs):
        return [textual(output) for output in cell.outputs]
    area = page.locator(".jp-Notebook .jp-Cell").nth(i).locator(".jp-OutputArea-output").last
    area.scroll_into_view_if_needed()
    area.locator("canvas").first.wait_for(timeout=60_000)
    page.wait_for_timeout(2000)  # the figure is drawn when it comes into view
    picture = base64.b64encode(area.screenshot()).decode()
    data = {"image/png": picture, "text/plain": "a figure; run the cell to make it interactive"}
    return [nbformat.v4.new_output("display_data", data=data)]


def textual(output):
    """Return an output with its plain text only."""
    data = output.get("data")
    if data is not None:
        output["data"] = {"text/plain": data["text/plain"]}
    return output


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "quickstart.ipynb")
