"""The report in a real browser, from file://, with every name unresolvable."""

import math
from xml.etree import ElementTree

import holoviews as hv
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from ui.conftest import strike
from ui.drawn import CONTROLLER, wait_until_drawn
from ui.manners import FAINT, FOCUSED

from infoplane.report import report
from infoplane.store import Run
from infoplane.types import Layer, Measurement, Null, ProbeData, Snapshot, Verdict
from infoplane.views import offline

pytestmark = pytest.mark.ui

HOSTILE = "<img src=x onerror=window.hacked=1>"
STEPS = (0, 1, 3, 10, 30, 100, 300, 1000)


def rows(step, names):
    for i, name in enumerate(names):
        for target in "XY":
            yield Measurement(
                key=f"{step}/{i}/{target}",
                step=step,
                layer=name,
                quantity="mi",
                target=target,
                estimator="mi.binning",
                version=1,
                params={"bins": 30},
                value=3.0 - i + math.log1p(step) / 10 if target == "X" else 0.05 * math.log1p(step),
                ceiling=math.log(64),
                n=64,
                d=2,
                verdict=Verdict.CAUTION if i else Verdict.OK,
                reason=HOSTILE if i else "",
                null=Null(0.01, 0.001, 0.01, 0.01, 0.012, 20, 0.05) if target == "Y" else None,
            )


@pytest.fixture(scope="module")
def shown(lasting, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    names = ("fc1", "fc2", HOSTILE)
    with Run.create(folder / "run", name=HOSTILE) as run:
        probe = ProbeData(np.arange(64.0)[:, None], np.arange(64) % 2)
        layers = tuple(Layer(name, "Tanh", (2,), 2, "flatten") for name in names)
        run.begin((probe,), layers, {})
        for step in STEPS:
            run.write(Snapshot(step, {name: np.full((64, 2), step, np.float32) for name in names}))
            run.record(step, {"loss": 1 / (1 + step)})
            run.measure(rows(step, names))
        run.end("finished")
    path = report(folder / "run", folder / "report.html")
    asked = []
    lasting.on("request", lambda request: asked.append(request.url))
    lasting.goto(path.as_uri())
    wait_until_drawn(lasting)
    lasting.wait_for_function(f"{CONTROLLER}.steps().length === 8")
    return lasting, path, asked


def test_it_opens_and_asks_nothing_of_any_network(shown):
    page, path, asked = shown
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [path.as_uri()]
    assert page.problems == []


def test_it_is_interactive(shown):
    page, _, _ = shown
    clock = page.locator("[data-ip=clock]")
    expect(clock).to_have_text("1,000")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function(f"{CONTROLLER}.chosen.step === 300")
    page.keyboard.press("u")
    page.wait_for_function(f"{CONTROLLER}.chosen.unit === 'nats'")
    expect(clock).to_have_text("300")
    expect(page.locator("[data-ip=state]")).to_have_text("finished")


def test_the_view_holds_the_numbers_of_the_run(shown):
    page, _, _ = shown
    here = page.evaluate(
        f"(c => c.points(0).map(p => [p.step, p.x, p.yn]))({CONTROLLER})",
    )
    bits = math.log(2) if page.evaluate(f"{CONTROLLER}.chosen.unit") == "bits" else 1.0
    told = [(step, (3 + math.log1p(step) / 10) / bits, 0.01 / bits) for step in STEPS]
    assert np.array(here) == pytest.approx(np.array(told), abs=1e-4)


def test_the_words_below_are_there_and_nothing_of_the_run_became_markup(shown):
    page, _, _ = shown
    text = page.locator("main.words").inner_text()
    for needed in ("What this run shows", "Methods", "n = 64", "reduced by", "asks nothing"):
        assert needed in text
    assert HOSTILE in text
    assert page.locator("main.words img").count() == 0
    assert page.evaluate("window.hacked") is None


def test_every_layer_has_its_pictures(shown):
    page, _, _ = shown
    page.wait_for_function("document.querySelectorAll('article.layer svg').length === 12")
    for figure in ("history", "spectrum", "cells", "map"):
        drawn = page.locator(f"article.layer [data-figure={figure}] svg").first
        assert drawn.locator("rect, circle").count() > 0 or figure == "map"
    assert page.locator("article.layer img").count() == 0


def saved(page, name):
    with page.expect_download() as download:
        page.get_by_role("button", name=name).first.press("Enter")
    return download.value


def test_each_figure_can_be_saved_on_white_with_titles_on_its_axes(shown):
    page, _, _ = shown
    page.keyboard.press("t")  # from a dark page too
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    unit = page.evaluate(f"{CONTROLLER}.chosen.unit")
    for figure, says in {
        "Information plane": (f"I(X; bin(T)) [{unit}]", f"I(bin(T); Y) [{unit}]"),
        "Fitting": (f"I(bin(T); Y) [{unit}]", "step, log scale"),
        "Training": ("loss", "step, log scale"),
    }.items():
        page.get_by_role("button", name="Save figures").press("Enter")
        file = saved(page, f"{figure} as SVG")
        root = ElementTree.parse(file.path()).getroot()
        words = [element.text for element in root.iter() if element.text]
        assert any(element.get("fill") == "#ffffff" for element in root), "not on white"
        assert set(says) <= {word.split("  →")[0].split(" →")[0] for word in words}, words
        assert "#eef1f5" not in file.path().read_text("utf-8"), "ink of the dark page"
    assert file.suggested_filename == "img-src-x-onerror-window.hacked-1-Training.svg"
    page.keyboard.press("t")


def test_a_saved_picture_has_three_pixels_for_one_of_the_page(shown):
    page, _, _ = shown
    page.get_by_role("button", name="Save figures").press("Enter")
    width = "Bokeh.documents[0].get_model_by_name('compression').outer_width"
    with Image.open(saved(page, "Compression as PNG").path()) as image:
        assert image.width == 3 * page.evaluate(width)
        assert image.convert("RGB").getpixel((5, 5)) == (255, 255, 255)
    expect(page.get_by_role("button", name="Compression as PNG")).to_be_hidden()


def test_the_pictures_of_a_layer_can_be_saved_too(shown):
    page, _, _ = shown
    page.wait_for_function("document.querySelectorAll('article.layer .save').length === 12")
    file = saved(page, "Save as SVG: Spectrum")
    text = file.path().read_text("utf-8")
    assert "share of variance" in text
    assert "principal direction" in text
    assert "var(--" not in text
    assert 'class="' not in text


def test_its_text_has_enough_contrast_in_light_and_dark(shown):
    page, _, _ = shown
    page.keyboard.press("?")  # with the note open
    for mode in ("light", "dark"):
        page.evaluate("mode => { document.documentElement.dataset.theme = mode }", mode)
        page.wait_for_function(f"{CONTROLLER}.chosen.mode === '{mode}'")
        assert page.evaluate(FAINT) == []
    page.evaluate("delete document.documentElement.dataset.theme")
    page.keyboard.press("Escape")


def test_the_keyboard_reaches_everything_by_name_and_its_place_is_seen(shown):
    page, _, _ = shown
    page.evaluate("document.activeElement?.blur(); scrollTo(0, 0)")
    page.mouse.click(2, 2)  # the keyboard's way begins there
    names = []
    while not (stop := page.evaluate(FOCUSED) if names else {"last": False})["last"]:
        if names:
            assert stop["name"], names
            assert stop["shown"], stop
            assert stop["inside"], stop
        names.append(stop.get("name"))
        assert len(names) < 100, "the focus goes round in circles"
        page.keyboard.press("Tab")
    assert {"minus null", "Save figures", "Moment of training", "now"} <= set(names)


def test_the_policy_stops_a_script_that_is_not_ours(shown):
    page, _, _ = shown
    page.evaluate(
        """() => { const s = document.createElement("script"); s.textContent = "window.hacked = 2"
        document.head.append(s) }"""
    )
    assert page.evaluate("window.hacked") is None
    strike(page, "Content Security Policy")


def test_without_scripts_it_still_tells(browser, shown):
    _, path, _ = shown
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())
    assert "What this run shows" in page.locator("main.words").inner_text()
    context.close()


def test_a_figure_alone_becomes_a_page_that_asks_nothing(page, tmp_path):
    view = hv.render(hv.Curve([(0, 0), (1, 2)]), backend="bokeh")
    path = offline.write(offline.page(view, title="a figure"), tmp_path / "figure.html")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_function("window.Bokeh?.documents.length && Bokeh.documents[0].is_idle")
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [path.as_uri()]
