"""Hostile runs and forged requests against the plain `panel serve apps/`, in a real browser."""

import http.client

import numpy as np
import pytest
from ui.conftest import strike
from ui.drawn import visit
from ui.growing import write
from ui.serving import Server

from infoplane.store import Run, list_runs
from infoplane.types import Layer, Measurement, ProbeData, Snapshot, Verdict

pytestmark = pytest.mark.ui

PAYLOADS = [
    "<img src=x onerror=window.pwned=1>",
    "<script>window.pwned=1</script>",
    '"><img src=x onerror=window.pwned=1>',
    "'><svg onload=window.pwned=1>",
    "</script><script>window.pwned=1</script>",
    "</style><script>window.pwned=1</script>",
    "<!--<script>window.pwned=1//-->",
    "javascript:window.pwned=1",
    "${window.pwned=1}{{window.pwned=1}}{% raw %}",
    "$$\\href{javascript:window.pwned=1}{x}$$",
    "<a href=javascript:window.pwned=1 autofocus onfocus=window.pwned=1>x</a>",
    "@{x}{safe}<iframe srcdoc='<script>parent.pwned=1</script>'>\u202egnp.exe\0",
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    layers = [payload.replace("\0", "") for payload in PAYLOADS]
    write(folder / "runs" / "hostile", 4, layers=layers, name="<img src=x onerror=window.pwned=1>")
    for number in range(2):
        write_everywhere(folder / "runs" / f"everywhere-{number}", number, layers)
    broken = folder / "runs" / "<b onclick=pwned>"
    broken.mkdir()
    (broken / "run.json").write_text("{<img src=x onerror=window.pwned=1>")
    made = Server(folder / "runs", folder / "server.log")
    made.runs = folder / "runs"
    yield made
    made.kill()
    assert made.complaints() == []


def write_everywhere(path, number, payloads):
    """A run with an attack in every place that takes a stranger's text, but layers' names."""
    config = {payload: f"{payload} {number}" for payload in payloads}
    with Run.create(path, name="everywhere", config=config) as run:
        probe = ProbeData(np.eye(8, dtype=np.float32), np.arange(8) % 2, name=payloads[0])
        run.begin((probe,), (Layer("a", payloads[1], (2,), 2, payloads[2]),), {"<b>": payloads[3]})
        for step in range(4):
            scalars = dict.fromkeys(payloads, step + number)
            arrays = {"a": np.eye(8, 2, dtype=np.float32)}
            run.write(Snapshot(step, arrays, {**scalars, "accuracy": 0.5}, {}, payloads[0]))
            for estimator in ("mi.binning", payloads[4]):
                run.measure([hostile(step, t, estimator, payloads) for t in "XY"])
            run.measure([hostile(step, "", payloads[5], payloads, quantity=payloads[6])])
        for payload in payloads:
            run.report(payload, {payload: payload})
            run.report("fault", {"where": payload, "reason": payload, "layer": payload})
        with run.annotator() as notes:
            reading = {"estimator": payloads[7], "note": payloads[8], "truth": 1.0}
            place = {"layer": "a", "step": 3, "target": "Y", "n": payloads[9], "d": 2}
            notes.annotate("calibration", place | {"readings": [reading]})
            words = {"level": "ERROR", "words": payloads[0], "kind": payloads[1], "layer": "a"}
            notes.annotate("alert", words)


def hostile(step, target, estimator, payloads, quantity="mi"):
    key = f"{step}{target}{estimator}{quantity}"
    return Measurement(
        key, step, "a", quantity, target, estimator, 1, {payloads[0]: payloads[1]}, 0.5,
        verdict=Verdict.CAUTION, reason=payloads[3], probe=payloads[0], n=8, d=2,
    )  # fmt: skip


def test_hostile_names_execute_nothing_on_any_surface(server, page):
    (run,) = [run.id for run in list_runs(server.runs) if run.name.startswith("<img")]
    visit(page, f"{server.url}?run={run}")
    page.wait_for_selector("tr[data-l]")
    assert page.locator("tr[data-l]").count() == len(PAYLOADS)
    page.locator(".ip-chip").first.hover()
    page.locator("tr[data-l]").first.press("Enter")
    page.wait_for_selector("#layer:not([hidden]) [data-figure=map] circle")
    for _ in PAYLOADS:
        page.get_by_role("button", name="Layer after").click()
    page.get_by_role("button", name="close").first.click()
    page.mouse.move(300, 400)  # the hover of the plane
    page.keyboard.press("?")
    page.keyboard.press("Escape")
    assert page.evaluate("window.pwned") is None
    assert "<img src=x" in page.locator("[data-ip=run]").inner_text()
    visit(page, f"{server.url}?page=runs")
    page.wait_for_selector("#runs tr")
    assert page.locator("#runs tr").count() == 4
    assert page.locator("#runs img, #runs b").count() == 0
    assert page.evaluate("window.pwned") is None
    told = "#about-alerts:not(:text('Looking'))"
    pages = {"diagnostics": told, "compare": "#groups svg", "calibrate": "h1", "playground": "h1"}
    for name, ready in pages.items():
        visit(page, f"{server.url}?page={name}&run={run}")
        page.wait_for_selector(ready)
        page.wait_for_timeout(200)  # what an attack might take; nothing waits for it
        assert page.evaluate("window.pwned") is None


@pytest.mark.parametrize("name", ["explore", "compare", "diagnostics", "calibrate"])
def test_hostile_text_from_any_other_place_executes_nothing(server, page, name):
    ids = [run.id for run in list_runs(server.runs) if run.name == "everywhere"]
    visit(page, f"{server.url}?page={name}&run={ids[0]}&runs={','.join(ids)}")
    ready = {
        "explore": "[data-ip=run]",
        "compare": "#groups svg",
        "diagnostics": "#alerts li",
        "calibrate": "#reading-table td",
    }
    page.wait_for_selector(ready[name])
    if name == "explore":
        page.keyboard.press("i")
    if name == "compare":
        page.locator("#key").select_option(index=3)
        page.wait_for_selector("#groups svg")
    assert page.evaluate("window.pwned") is None
    assert page.locator("main :is(img, script, iframe, [onerror], [onload])").count() == 0


def test_an_inline_handler_would_not_run_even_if_one_got_through(server, page):
    visit(page, f"{server.url}?page=runs")
    page.evaluate(
        """() => new Promise(failed => {
          const main = document.getElementById('main')
          main.insertAdjacentHTML('beforeend', '<img src=x onerror="window.pwned=1">')
          main.lastElementChild.addEventListener('error', failed)
        })"""
    )
    assert page.evaluate("window.pwned") is None
    strike(page, "Content Security Policy", "404")  # the handler refused, the picture not found


@pytest.mark.parametrize(
    "query",
    [
        "?run=../../etc/passwd",
        "?run=%00&page=%3Cscript%3E",
        "?step=" + "9" * 5000,
        "?estimator=" + "a" * 3000,
        "?page=__class__&step=-1&unit=%F0%9F%92%A9",
    ],
)
def test_no_address_breaks_the_page(server, query):
    status, body, _ = get(server, query)
    assert status == 200
    assert "passwd" not in body
    assert "Traceback" not in body


def get(server, query="", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.putrequest("GET", "/apps" + query, skip_host=True)
    for name, value in ({"Host": f"127.0.0.1:{server.port}"} | headers).items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body, answer.headers


def test_plain_panel_serve_is_guarded_too(server):
    evil = f"evil.com:{server.port}"
    status, _, headers = get(server)
    assert status == 200
    assert headers["X-Frame-Options"] == "DENY"
    assert get(server, Host=evil, Origin=f"http://{evil}")[0] == 421
    shake = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec_WebSocket_Protocol": "bokeh, token",
    }
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.putrequest("GET", "/apps/ws", skip_host=True)
    for name, value in ({"Host": evil, "Origin": f"http://{evil}"} | shake).items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    assert connection.getresponse().status == 421
    connection.close()


def test_the_page_shows_nothing_outside_the_directory_of_runs(server):
    for path in ("/apps/static/../main.py", "/apps/static/%2e%2e/main.py", "/static/../../x"):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.request("GET", path, headers={"Host": f"127.0.0.1:{server.port}"})
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status in (403, 404), path
        assert b"build_app" not in body
        connection.close()
