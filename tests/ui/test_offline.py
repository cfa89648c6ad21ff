"""The report in a real browser, from file://, with every name unresolvable."""

import math

import numpy as np
import pytest
from playwright.sync_api import expect
from ui.conftest import strike
from ui.drawn import CONTROLLER, wait_until_drawn

from infoplane.report import report
from infoplane.store import Run
from infoplane.types import Layer, Measurement, Null, ProbeData, Snapshot, Verdict

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
