"""The pages beside the plane, in a real browser: Layer panel, Diagnostics, Compare, Playground."""

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect
from ui.drawn import AT_REST, visit
from ui.growing import write
from ui.manners import FAINT, OVERFLOW, UNNAMED
from ui.serving import Server

from infoplane.store import list_runs

pytestmark = pytest.mark.ui

HURRIED = """() => {
  document.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight'}))
  document.querySelector('#layer button[value="1"]').click() }"""
"""A snapshot on and a layer on, at once: the one must not undo the other."""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    for seed in range(2):
        write(folder / "runs" / f"seed-{seed}", 12, name=f"seed {seed}")
    server = Server(folder / "runs", folder / "server.log", plain=False)
    server.ids = [run.id for run in list_runs(folder / "runs")]  # of seed 0 and seed 1
    yield server
    server.kill()
    assert server.complaints() == []


@pytest.fixture(scope="module")
def idx_files(tmp_path_factory):
    """Two hundred images of 3 × 3 and their labels, as they would be downloaded."""
    y = np.arange(200) % 3
    x = (60 * y[:, None, None] + np.random.default_rng(0).integers(99, size=(200, 3, 3))).astype(
        "u1"
    )
    folder = tmp_path_factory.mktemp("files")
    made = []
    for name, array in (("few-images-idx3-ubyte", x), ("few-labels-idx1-ubyte", y)):
        head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
        made.append(folder / name)
        made[-1].write_bytes(head + array.astype(np.uint8).tobytes())
    return made


@pytest.fixture
def pages(served, lasting):
    """The shared page; a test may add runs, so each names those that it is about."""
    yield lasting
    lasting.wait_for_function(AT_REST)


def test_the_layer_panel_opens_by_keyboard_and_follows_the_scrubber(pages, served):
    visit(pages, f"{served.url}?run={served.ids[0]}")
    pages.locator("tr[data-l]").first.press("Enter")
    pages.wait_for_selector("#layer:not([hidden]) [data-figure=map] circle")
    panel = pages.locator("#layer")
    assert "T1" in panel.locator("h2").inner_text()
    assert "page=calibrate" in panel.get_by_role("link").get_attribute("href")
    assert panel.locator("[data-figure=history] rect").count() > 20
    assert panel.locator("[data-figure=spectrum] rect").count() == 4
    assert "128 samples" in panel.inner_text()
    pages.keyboard.press("Home")
    pages.wait_for_function("document.querySelector('#layer dd').textContent.startsWith('0 ')")
    panel.get_by_role("button", name="Layer after").click()
    pages.wait_for_function("document.querySelector('#layer h2').textContent.startsWith('T2')")
    pages.evaluate(HURRIED)
    pages.wait_for_function("document.querySelector('#layer h2').textContent.startsWith('T3')")
    pages.wait_for_function("document.querySelector('#layer dd').textContent.startsWith('1 ')")
    panel.get_by_role("button", name="close").click()
    pages.wait_for_selector("#layer", state="hidden")


def test_a_deep_link_opens_the_layer_panel(pages, served):
    visit(pages, f"{served.url}?run={served.ids[0]}&layer=T3&step=5")
    pages.wait_for_selector("#layer:not([hidden]) [data-figure=cells] rect")
    assert pages.locator("#layer dd").first.inner_text().startswith("5 ")


def test_explore_says_what_can_be_concluded(pages, served):
    pages.goto(f"{served.url}?run={served.ids[0]}")
    pages.wait_for_selector("[data-act=reading]:not([hidden])")
    pages.keyboard.press("r")  # perhaps before the server is there: then it is asked later
    sheet = pages.locator("#reading")
    pages.wait_for_selector("#reading h3")
    assert sheet.locator("h3").all_inner_texts() == ["In detail", "Methods"]
    assert "nothing is said about other seeds" in sheet.inner_text()
    assert sheet.get_by_role("button", name="close").evaluate("e => e === document.activeElement")
    pages.keyboard.press("Escape")
    pages.wait_for_selector("#reading", state="hidden")
    pages.get_by_role("button", name="Save figures").click()
    with pages.expect_download() as download:
        pages.get_by_role("button", name="References as BibTeX").click()
    assert Path(download.value.path()).read_text().startswith("@misc{mi.")


def test_diagnostics_says_what_is_there_and_how_to_measure_more(pages, served):
    visit(pages, f"{served.url}?page=diagnostics&run={served.ids[1]}")
    pages.wait_for_function("document.getElementById('about-alerts').textContent !== 'Looking …'")
    assert "infoplane evaluate" in pages.locator("#unmeasured").inner_text()
    assert pages.locator("#training figure").count() == 2  # loss, accuracy
    assert pages.locator("#training svg path.line").count() > 0
    choice = pages.get_by_role("combobox", name="Run")
    assert choice.evaluate("c => c.selectedOptions[0].textContent") == "seed 1"
    choice.select_option(label="seed 0")
    pages.wait_for_function("document.title.startsWith('Diagnostics of seed 0')")


def test_compare_shows_seeds_as_planes_with_bands_and_keeps_the_choice_in_the_address(
    pages, served
):
    visit(pages, f"{served.url}?page=compare&runs={','.join(served.ids)}")
    pages.wait_for_selector("#groups svg path.line", state="attached")
    assert "2 runs" in pages.locator("#planes").inner_text()
    assert pages.locator("#planes svg path.band").count() == 4  # one ribbon a layer
    assert pages.locator("#planes svg .head").count() == 4
    assert "T1 from" in pages.locator("#planes svg").get_attribute("aria-label")
    assert "I(X; bin(T)) in bits" in pages.locator("#planes svg").text_content()
    assert "I(bin(T); Y) in bits" in pages.locator("#groups").text_content()
    assert pages.locator("#groups svg path.band").count() == 8
    assert pages.locator("#agreement td .rho").count() == 4  # two estimators
    pages.get_by_role("combobox", name="One cell for each").select_option("run")
    pages.wait_for_function("document.querySelectorAll('#planes figure').length === 2")
    pages.get_by_role("checkbox", name="seed 0").press("Space")
    pages.wait_for_function("document.querySelectorAll('#planes figure').length === 1")
    assert pages.evaluate("document.activeElement.value")  # the focus stays where it was
    assert pages.evaluate("new URLSearchParams(location.search).get('runs')") == served.ids[1]
    pages.reload()
    pages.wait_for_selector("#groups svg path.line", state="attached")
    assert not pages.get_by_role("checkbox", name="seed 0").is_checked()
    pages.get_by_role("button", name="none").click()
    expect(pages.locator("#compared")).to_be_hidden()
    pages.get_by_role("searchbox").fill("seed-0")
    pages.get_by_role("button", name="choose those shown").click()
    expect(pages.get_by_role("checkbox", name="seed 0")).to_be_checked()
    pages.wait_for_function("document.querySelectorAll('#planes figure').length === 1")


def test_calibrate_reads_twins_and_keeps_them(pages, served):
    visit(pages, f"{served.url}?page=calibrate&run={served.ids[0]}")
    pages.wait_for_function("document.getElementById('hint').textContent.includes('not calib')")
    pages.get_by_role("checkbox", name="KDE").uncheck()
    pages.get_by_label("Step of the snapshot").select_option("5")
    pages.get_by_role("button", name="measure").click()
    pages.wait_for_selector("#reading-table tbody tr")
    assert pages.locator("#reading-table tbody tr").count() == 10  # two estimators, five truths
    expect(pages.locator("#verdicts li")).to_have_count(2)
    expect(pages.locator("#verdicts .level").first).to_have_text(re.compile("sound|biased|blind"))
    visit(pages, f"{served.url}?page=calibrate&run={served.ids[0]}&layer=T1&step=5")
    pages.wait_for_selector("#reading-table tbody tr")
    expect(pages.get_by_label("Step of the snapshot")).to_have_value("5")
    pages.get_by_label("Information about").select_option("X")
    pages.wait_for_selector("#reading-table tbody tr", state="detached")
    assert pages.get_by_role("checkbox", name="fixed bins").is_disabled()


def test_the_standing_table_shows_estimators_on_tasks_of_known_information(pages, served):
    visit(pages, f"{served.url}?page=calibrate&run={served.ids[0]}")
    rows = pages.locator("table.standing").nth(1).locator("tbody tr")
    assert rows.count() == 40
    assert "1v1-normal-0.75" in rows.first.inner_text()
    assert "Measured on 20" in pages.locator("#about-standing").inner_text()


def test_the_limits_page_tells_what_moves_a_number_and_links_to_each_card(pages, served):
    visit(pages, f"{served.url}?page=limits")
    first = pages.get_by_role("region", name="I(X;T) of the same network")
    row = first.locator("tr", has=pages.get_by_role("link", name="fixed bins"))
    assert row.locator("td").count() == 6
    assert "beyond the range" in row.locator("td").nth(1).locator("span").get_attribute("title")
    card = pages.locator("details", has=pages.locator("[id='mi.binning']"))
    expect(card.locator("dl")).to_be_hidden()
    row.get_by_role("link").click()  # a fragment inside closed details opens them
    expect(card.locator("dl")).to_be_visible()


def test_the_playground_takes_files_refuses_in_words_trains_and_links_to_the_run(
    pages, served, idx_files
):
    visit(pages, f"{served.url}?page=playground")
    pages.get_by_role("combobox", name="Task").select_option("idx")
    for file in idx_files:
        pages.locator("#file").set_input_files(file)
        pages.wait_for_function(
            "file => document.getElementById('said').textContent === `${file} was added`",
            arg=file.name,
        )
    pages.get_by_label("Epochs").fill("2")
    pages.get_by_role("textbox", name="Hidden layers").fill("nine")
    pages.get_by_role("button", name="train").click()
    pages.wait_for_function("document.getElementById('refused').textContent.includes('widths')")
    pages.get_by_role("textbox", name="Hidden layers").fill("5,3")
    pages.get_by_role("button", name="train").click()
    pages.wait_for_selector("#jobs .chip[data-state=finished]", timeout=300_000)
    pages.wait_for_selector("#jobs a")
    pages.reload()  # what was started is still told of
    pages.wait_for_selector("#jobs a")
    pages.locator("#jobs a").click()
    pages.wait_for_function(f"{AT_REST} && document.title.includes('idx 5-3')")


def test_the_runs_page_searches_and_its_search_is_an_address(pages, served):
    visit(pages, f"{served.url}?page=runs&search=seed-1")
    pages.wait_for_function("document.querySelectorAll('#runs tr').length === 1")
    assert "1 of" in pages.locator("#shown").inner_text()
    pages.get_by_role("searchbox").fill("no such run")
    pages.get_by_text("No run matches.").wait_for()
    assert "search=no+such+run" in pages.evaluate("location.search")
    pages.get_by_role("searchbox").fill("seed-0")
    pages.get_by_role("link", name="Compare: seed 0").press("Enter")
    pages.wait_for_function("document.querySelectorAll('#planes figure').length === 1")
    pages.wait_for_function(AT_REST)
    pages.get_by_role("link", name="Runs").click()
    expect(pages.locator("#runs tr", has_text="seed 1")).to_have_count(1)


PAGES = ("compare", "diagnostics", "calibrate", "limits", "playground", "runs")


@pytest.mark.parametrize("name", PAGES)
def test_everything_has_a_name_and_enough_contrast_in_light_and_dark(pages, served, name):
    visit(pages, f"{served.url}?page={name}&run={served.ids[0]}&runs={','.join(served.ids)}")
    if name in ("compare", "diagnostics"):
        pages.wait_for_selector("main figure svg", state="attached")
    for scheme in ("light", "dark"):
        pages.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        assert pages.evaluate(FAINT) == []
    assert pages.evaluate(UNNAMED) == []
    assert pages.locator("h1").count() == 1
    for width, height in ((1920, 1080), (1280, 720)):
        pages.set_viewport_size({"width": width, "height": height})
        pages.wait_for_function(f"{OVERFLOW} === 0")  # figures are drawn anew first
    pages.set_viewport_size({"width": 1440, "height": 900})
    pages.emulate_media(color_scheme="light", reduced_motion="reduce")
    pages.keyboard.press("Tab")  # the first stop leads past the rail
    assert pages.evaluate("document.activeElement.className") == "skip"


def test_nothing_on_these_pages_asks_for_anything_but_this_server(pages, served):
    visit(pages, f"{served.url}?page=compare")
    names = pages.evaluate("performance.getEntriesByType('resource').map(e => e.name)")
    assert names
    assert all(name.startswith(served.url) for name in names), names
