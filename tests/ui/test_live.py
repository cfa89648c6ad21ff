"""The page while a run grows in another process, in a real browser."""

import subprocess
import sys
import time

import pytest
from ui.conftest import open_page
from ui.serving import ROOT, Process, Server

from infoplane.views.feed import CREDIT

pytestmark = pytest.mark.ui

READY = "window.Bokeh && Bokeh.documents.length > 1 && Bokeh.documents.every(d => d.is_idle)"
MODEL = "(name => Bokeh.documents.map(d => d.get_model_by_name(name)).find(Boolean))"
STEP = f"({MODEL}('live').data.step[0] ?? -1)"
VIEW = f"Object.fromEntries(Object.entries({MODEL}('view').data).map(([k, v]) => [k, v[0]]))"
INK = """() => [...Bokeh.index.roots].flatMap(view => {
  const found = []
  const walk = element => {
    if (element.tagName === "CANVAS") found.push(element)
    for (const child of [...(element.shadowRoot?.children ?? []), ...element.children]) walk(child)
  }
  walk(document.body)
  return found
}).map(canvas => {
  if (!canvas.width || !canvas.height) return 0
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data
  let coloured = 0
  for (let i = 0; i < data.length; i += 4) {
    const rgb = data.slice(i, i + 3)
    if (data[i + 3] > 128 && Math.max(...rgb) - Math.min(...rgb) > 60) coloured++
  }
  return coloured
}).reduce((a, b) => Math.max(a, b), 0)"""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("live")
    (folder / "runs").mkdir()
    server = Server(folder / "runs", folder / "server.log")
    writer = Process(
        [str(ROOT / "tests/ui/growing.py"), str(folder / "runs/growing"), "4000", "15"],
        folder / "writer.log",
        PYTHONPATH=str(ROOT),
    )
    server.folder, server.writer = folder, writer
    yield server
    writer.kill()
    server.kill()
    assert server.complaints() == []


@pytest.fixture(scope="module")
def live(served, lasting):
    lasting.sent = []
    lasting.on("websocket", lambda s: s.on("framesent", lambda d: lasting.sent.append(len(d))))
    lasting.goto(served.url)
    # the first page may come before the first run: it then reloads by itself
    lasting.wait_for_function(f"{READY} && {MODEL}('live') && {STEP} > 3", timeout=60_000)
    return lasting


def test_the_live_value_advances(live):
    before = live.evaluate(STEP)
    live.wait_for_function(f"{STEP} > {before + 10}", timeout=30_000)
    assert live.evaluate(f"{MODEL}('live').data.state[0]") == "live"
    live.locator("[data-ip=status]", has_text="live").wait_for(timeout=10_000)


def test_there_is_coloured_ink_on_the_canvas(live):
    live.wait_for_function(f"({INK})() > 500", timeout=20_000)


def test_the_heading_names_the_run_and_the_address_its_id(live, served):
    from infoplane.store import list_runs

    assert "test run" in live.title()
    assert "test run" in live.locator("[data-ip=run]").inner_text()
    live.keyboard.press("u")
    live.wait_for_function("location.search.includes('unit=nats')", timeout=5_000)
    assert f"run={list_runs(served.folder / 'runs')[0].id}" in live.url
    live.keyboard.press("u")
    live.wait_for_function("!location.search.includes('unit=')", timeout=5_000)


def test_scrubbing_by_keyboard_moves_in_time_and_sends_nothing_upstream(live, served):
    live.keyboard.press("Home")
    live.wait_for_function(f"({VIEW}).step === 0", timeout=5_000)
    live.wait_for_function("location.search.includes('step=0')", timeout=5_000)
    live.keyboard.press("ArrowRight")
    live.wait_for_function(f"({VIEW}).step > 0", timeout=5_000)
    step = str(live.evaluate(f"({VIEW}).step"))
    live.locator("[data-ip=clock]", has_text=step).wait_for(timeout=5_000)
    largest = max(live.sent, default=0)
    assert largest < 400, "only short answers go up, whatever the reader does"
    live.keyboard.press("End")
    live.wait_for_function(f"({VIEW}).step === null", timeout=5_000)


def test_switching_the_estimator_changes_the_plane_and_the_address(live):
    live.keyboard.press("2")
    live.wait_for_function(f"({VIEW}).estimator === 'mi.kde'", timeout=5_000)
    live.wait_for_function("location.search.includes('estimator=mi.kde')", timeout=5_000)


def test_a_deep_link_restores_what_was_looked_at(live, served):
    run = live.evaluate("new URLSearchParams(location.search).get('run')")
    live.goto(f"{served.url}?run={run}&estimator=mi.kde&unit=nats&step=3")
    live.wait_for_function(f"{READY} && ({VIEW}).step === 3", timeout=30_000)
    assert live.evaluate(VIEW)["estimator"] == "mi.kde"
    assert live.evaluate(VIEW)["unit"] == "nats"
    assert live.locator("[data-ip=clock]").inner_text() == "3"


def test_a_throttled_browser_falls_behind_by_a_bounded_time(live):
    session = live.context.new_cdp_session(live)
    session.send("Emulation.setCPUThrottlingRate", {"rate": 6})
    inbox = f"{MODEL}('inbox').tags[0]"
    behind = []
    for _ in range(12):
        live.wait_for_timeout(250)
        behind.append(live.evaluate(f"({inbox} ?? 0) - ({MODEL}('answer').tags[0] ?? 0)"))
    session.send("Emulation.setCPUThrottlingRate", {"rate": 1})
    assert max(behind) <= CREDIT
    before = live.evaluate(STEP)
    live.wait_for_function(f"{STEP} > {before}", timeout=20_000)


def test_a_killed_writer_is_told_as_stalled_and_what_it_wrote_stays(live, served):
    served.writer.kill()
    live.wait_for_function(f"{MODEL}('live').data.state[0] === 'stalled'", timeout=20_000)
    live.locator("[data-ip=status]", has_text="stalled").wait_for(timeout=10_000)
    assert live.evaluate(STEP) > 10


def test_the_runs_page_lists_it_with_its_status_and_search_filters(live, served):
    live.get_by_role("link", name="Runs").click()
    live.wait_for_selector("#runs tr")
    live.locator("#runs tr", has_text="stalled").wait_for(timeout=10_000)
    live.get_by_role("searchbox").fill("no such run")
    assert live.locator("#runs tr").count() == 0
    assert live.locator("#nothing").inner_text() == "No run matches."
    live.get_by_role("searchbox").fill("stalled test")
    assert live.locator("#runs tr").count() == 1


def test_a_new_run_appears_in_the_list_by_itself_and_opens_by_keyboard(live, served):
    script = str(ROOT / "tests/ui/growing.py")
    made = [sys.executable, script, str(served.folder / "runs/second"), "3", "0"]
    live.get_by_role("searchbox").fill("")
    subprocess.run(made, check=True, cwd=ROOT, timeout=60)
    live.wait_for_function("document.querySelectorAll('#runs tr').length === 2", timeout=20_000)
    live.get_by_role("link", name="test run").first.focus()
    live.keyboard.press("Enter")
    live.wait_for_function(f"{READY} && {STEP} === 2", timeout=30_000)
    assert live.evaluate(f"{MODEL}('live').data.state[0]") == "finished"


def test_an_unknown_run_is_said_to_be_unknown(live, served):
    live.goto(f"{served.url}?run=00000000000000000000000000000000")
    assert live.get_by_role("heading", name="That run is not here").is_visible()


def test_closed_pages_leave_nothing_behind(live, served):
    live.goto("about:blank")
    time.sleep(0.1)
    assert served.running


def test_a_lost_server_is_told_and_the_page_comes_back_by_itself(live, served, browser):
    live.goto("about:blank")
    context, page = open_page(browser)  # what fails here fails on purpose
    page.goto(served.url)
    page.wait_for_function(f"{READY} && {MODEL}('live')", timeout=30_000)
    alert = page.get_by_role("alert")
    assert not alert.is_visible()
    served.kill()
    alert.wait_for(timeout=20_000)
    assert "comes back by itself" in alert.inner_text()
    again = Server(served.folder / "runs", served.folder / "again.log", port=served.port)
    try:
        page.wait_for_function(f"{READY} && {MODEL}('live')", timeout=30_000)
        alert.wait_for(state="hidden", timeout=30_000)
        assert "test run" in page.title()
    finally:
        context.close()
        again.kill()
    assert again.complaints() == []
