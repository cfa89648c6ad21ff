"""The pages beside the plane, in a real browser: Layer panel, Diagnostics, Compare, Playground."""

import pytest
from ui.growing import write
from ui.serving import Server

pytestmark = pytest.mark.ui

READY = "window.Bokeh && Bokeh.documents.length && Bokeh.documents.every(d => d.is_idle)"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    for seed in range(2):
        write(folder / "runs" / f"seed-{seed}", 12, name=f"seed {seed}")
    server = Server(folder / "runs", folder / "server.log", plain=False)
    yield server
    server.kill()
    assert server.complaints() == []


@pytest.fixture(scope="module")
def pages(served, lasting):
    return lasting


def test_the_layer_panel_opens_by_keyboard_and_follows_the_scrubber(pages, served):
    pages.goto(served.url)
    pages.wait_for_function(READY, timeout=60_000)
    pages.wait_for_selector("tr[data-l]").press("Enter")
    pages.wait_for_selector("#layer:not([hidden]) [data-figure=map] circle", timeout=20_000)
    panel = pages.locator("#layer")
    assert "T1" in panel.locator("h2").inner_text()
    assert panel.locator("[data-figure=history] rect").count() > 20
    assert panel.locator("[data-figure=spectrum] rect").count() == 4
    assert "of 128 samples" in panel.inner_text()
    pages.keyboard.press("Home")
    pages.wait_for_function("document.querySelector('#layer dd').textContent.startsWith('0 ')")
    panel.get_by_role("button", name="Layer after").click()
    pages.wait_for_function("document.querySelector('#layer h2').textContent.startsWith('T2')")
    panel.get_by_role("button", name="close").click()
    pages.wait_for_selector("#layer", state="hidden")


def test_a_deep_link_opens_the_layer_panel(pages, served):
    pages.goto(f"{served.url}?layer=T3&step=5")
    pages.wait_for_selector("#layer:not([hidden]) [data-figure=cells] rect", timeout=30_000)
    assert pages.locator("#layer dd").first.inner_text().startswith("5 ")


def test_diagnostics_says_what_is_there_and_how_to_measure_more(pages, served):
    pages.get_by_role("link", name="Diagnostics").click()
    pages.wait_for_selector("#alerts li", timeout=20_000)
    assert "infoplane evaluate" in pages.locator("#hint").inner_text()
    assert pages.get_by_role("heading", name="Diagnostics").is_visible()


def test_compare_averages_seeds_and_keeps_the_choice_in_the_address(pages, served):
    pages.get_by_role("link", name="Compare").click()
    pages.wait_for_selector("#groups svg path.line", state="attached", timeout=30_000)
    assert "2 runs" in pages.locator("#groups").inner_text()
    assert pages.locator("#groups svg path.band").count() > 0
    pages.get_by_role("checkbox", name="seed 0").uncheck()
    pages.wait_for_function("document.querySelector('#groups').innerText.includes('1 run')")
    assert pages.url.count("runs=") == 1
    pages.reload()
    pages.wait_for_selector("#groups svg path.line", state="attached", timeout=30_000)
    assert not pages.get_by_role("checkbox", name="seed 0").is_checked()


def test_calibrate_reads_twins_and_keeps_them(pages, served):
    pages.get_by_role("link", name="Calibrate").click()
    pages.wait_for_function("document.getElementById('hint').textContent.includes('not calib')")
    pages.get_by_role("checkbox", name="KDE").uncheck()
    pages.get_by_role("button", name="measure").click()
    pages.wait_for_selector("#reading-table tbody tr", timeout=60_000)
    assert pages.locator("#reading-table tbody tr").count() == 10  # two estimators, five truths
    pages.reload()
    pages.wait_for_selector("#reading-table tbody tr", timeout=30_000)


def test_the_playground_refuses_in_words_trains_and_links_to_the_run(pages, served):
    pages.get_by_role("link", name="Playground").click()
    pages.wait_for_function(READY, timeout=30_000)
    pages.get_by_label("Epochs").fill("2")
    pages.get_by_label("Hidden layers").fill("nine")
    pages.get_by_role("button", name="train").click()
    pages.wait_for_function("document.getElementById('refused').textContent.includes('widths')")
    pages.get_by_label("Hidden layers").fill("5,3")
    pages.get_by_role("button", name="train").click()
    pages.wait_for_selector("#jobs .chip[data-state=finished]", timeout=60_000)
    pages.wait_for_selector("#jobs a", timeout=20_000)
    pages.reload()  # what was started is still told of
    pages.wait_for_selector("#jobs a", timeout=20_000)
    pages.locator("#jobs a").click()
    pages.wait_for_function(f"{READY} && document.title.includes('szt 5-3')", timeout=30_000)


def test_nothing_on_these_pages_asks_for_anything_but_this_server(pages, served):
    names = pages.evaluate("performance.getEntriesByType('resource').map(e => e.name)")
    assert names
    assert all(name.startswith(served.url) for name in names), names
