"""The page while a run grows in another process, in a real browser."""

import contextlib
import subprocess
import sys
import time

import pytest
from playwright.sync_api import expect
from ui.conftest import open_page
from ui.drawn import AT_REST, visit
from ui.serving import ROOT, Process, Server

from infoplane.store import list_runs
from infoplane.views.feed import CREDIT

pytestmark = pytest.mark.ui

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

GROWING = str(ROOT / "tests/ui/growing.py")


class Served(Server):
    """A server over runs that other processes write."""

    def __init__(self, folder):
        self.folder, self.runs = folder, folder / "runs"
        self.runs.mkdir()
        super().__init__(self.runs, folder / "server.log")

    @contextlib.contextmanager
    def writing(self, name):
        """A process that writes a run, fifteen steps a second, and the id of its run."""
        words = [GROWING, str(self.runs / name), "1000000", "15"]
        writer = Process(words, self.folder / f"{name}.log", PYTHONPATH=str(ROOT))
        try:
            yield writer, self.begun(name, writer)
        finally:
            writer.kill()

    def begun(self, name, writer):
        """The id of a run as soon as it has a few steps."""
        end = time.monotonic() + 180
        while time.monotonic() < end and writer.running:
            for run in list_runs(self.runs):
                if run.path.name == name and run.steps > 3:
                    return run.id
            time.sleep(0.05)
        raise AssertionError(f"nothing was written:\n{writer.said()}")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    server = Served(tmp_path_factory.mktemp("live"))
    with server.writing("growing") as (_, server.run):
        yield server
    server.kill()
    assert server.complaints() == []


@pytest.fixture(scope="module")
def fallen(served):
    """The id of a run whose writer was killed."""
    with served.writing("fallen") as (_, run):
        return run


@pytest.fixture(scope="module")
def listened(lasting):
    """The shared page, and how long each message was that it sent."""
    lasting.sent = []
    lasting.on("websocket", lambda s: s.on("framesent", lambda d: lasting.sent.append(len(d))))
    return lasting


@pytest.fixture
def live(served, listened):
    """The shared page on the growing run, as nobody has touched it."""
    visit(listened, f"{served.url}?run={served.run}")
    listened.wait_for_function(f"{STEP} > 3")
    yield listened
    listened.wait_for_function(AT_REST)


def test_the_live_value_advances(live):
    before = live.evaluate(STEP)
    live.wait_for_function(f"{STEP} > {before + 10}")
    assert live.evaluate(f"{MODEL}('live').data.state[0]") == "live"
    expect(live.locator("[data-ip=status]")).to_contain_text("live")


def test_there_is_coloured_ink_on_the_canvas(live):
    live.wait_for_function(f"({INK})() > 500")


def test_the_heading_names_the_run_and_the_address_its_id(live, served):
    assert "test run" in live.title()
    expect(live.locator("[data-ip=run]")).to_have_text("test run growing")
    live.keyboard.press("u")
    live.wait_for_function("location.search.includes('unit=nats')")
    assert f"run={served.run}" in live.evaluate("location.search")
    live.keyboard.press("u")
    live.wait_for_function("!location.search.includes('unit=')")


def test_scrubbing_by_keyboard_moves_in_time_and_sends_nothing_upstream(live):
    live.keyboard.press("Home")
    live.wait_for_function(f"({VIEW}).step === 0")
    live.wait_for_function("location.search.includes('step=0')")
    live.keyboard.press("ArrowRight")
    live.wait_for_function(f"({VIEW}).step > 0")
    step = str(live.evaluate(f"({VIEW}).step"))
    expect(live.locator("[data-ip=clock]")).to_have_text(step)
    largest = max(live.sent, default=0)
    assert largest < 400, "only short answers go up, whatever the reader does"
    live.keyboard.press("End")
    live.wait_for_function(f"({VIEW}).step === null")


def test_switching_the_estimator_changes_the_plane_and_the_address(live):
    live.keyboard.press("2")
    live.wait_for_function(f"({VIEW}).estimator === 'mi.kde'")
    live.wait_for_function("location.search.includes('estimator=mi.kde')")


def test_a_deep_link_restores_what_was_looked_at(live, served):
    visit(live, f"{served.url}?run={served.run}&estimator=mi.kde&unit=nats&step=3")
    expect(live.locator("[data-ip=clock]")).to_have_text("3")
    view = live.evaluate(VIEW)
    assert (view["estimator"], view["unit"], view["step"]) == ("mi.kde", "nats", 3)


def test_a_throttled_browser_falls_behind_by_a_bounded_time(live):
    session = live.context.new_cdp_session(live)
    session.send("Emulation.setCPUThrottlingRate", {"rate": 6})
    inbox = f"{MODEL}('inbox').tags[0]"
    behind = []
    for _ in range(12):
        live.wait_for_timeout(250)
        behind.append(live.evaluate(f"({inbox} ?? 0) - ({MODEL}('answer').tags[0] ?? 0)"))
    session.send("Emulation.setCPUThrottlingRate", {"rate": 1})
    session.detach()
    assert max(behind) <= CREDIT
    before = live.evaluate(STEP)
    live.wait_for_function(f"{STEP} > {before}")


def test_a_killed_writer_is_told_as_stalled_and_what_it_wrote_stays(live, served):
    with served.writing("victim") as (writer, run):
        visit(live, f"{served.url}?run={run}")
        live.wait_for_function(f"{STEP} > 10 && {MODEL}('live').data.state[0] === 'live'")
        before = live.evaluate(STEP)
        writer.kill()
        live.wait_for_function(f"{MODEL}('live').data.state[0] === 'stalled'")
    expect(live.locator("[data-ip=status]")).to_contain_text("stalled")
    assert live.evaluate(STEP) >= before


def test_the_runs_page_lists_a_run_with_its_status_and_search_filters(live, served, fallen):
    live.get_by_role("link", name="Runs").click()
    rows, search = live.locator("#runs tr"), live.get_by_role("searchbox")
    expect(rows.filter(has_text="test run fallen")).to_contain_text("stalled")
    search.fill("no such run")
    expect(rows).to_have_count(0)
    expect(live.get_by_text("No run matches.")).to_be_visible()
    search.fill("stalled fallen")
    expect(rows).to_have_count(1)


def test_a_new_run_appears_in_the_list_by_itself_and_opens_by_keyboard(live, served):
    visit(live, f"{served.url}?page=runs")
    link = live.get_by_role("link", name="test run second", exact=True)
    expect(link).to_have_count(0)
    made = [sys.executable, GROWING, str(served.runs / "second"), "3", "0"]
    subprocess.run(made, check=True, cwd=ROOT, timeout=180)
    link.press("Enter")
    finished = f"{MODEL}('live')?.data.state[0] === 'finished'"
    live.wait_for_function(f"{AT_REST} && {finished} && {STEP} === 2")


def test_an_unknown_run_is_said_to_be_unknown(live, served):
    visit(live, f"{served.url}?run=00000000000000000000000000000000")
    assert live.get_by_role("heading", name="That run is not here").is_visible()


def test_closed_pages_leave_nothing_behind(live, served):
    live.goto("about:blank")
    time.sleep(0.1)
    assert served.running
    visit(live, served.url)


def test_a_first_run_is_shown_and_a_lost_server_told_by_a_page_that_comes_back_by_itself(
    browser, tmp_path
):
    server = Served(tmp_path)
    context, page = open_page(browser)  # what fails here fails on purpose
    try:
        visit(page, server.url)
        assert page.get_by_role("heading", name="No run here yet").is_visible()
        made = [sys.executable, GROWING, str(server.runs / "first"), "3", "0"]
        subprocess.run(made, check=True, cwd=ROOT, timeout=180)
        page.wait_for_function(f"{AT_REST} && {MODEL}('live')")
        assert page.problems == []
        alert = page.get_by_role("alert")
        expect(alert).to_be_hidden()
        server.kill(for_good=False)
        expect(alert).to_contain_text("comes back by itself")
        server.start()
        expect(alert).to_be_hidden()
        page.wait_for_function(f"{AT_REST} && {MODEL}('live')")
        assert "test run" in page.title()
    finally:
        context.close()
        server.kill()
    assert server.complaints() == []
