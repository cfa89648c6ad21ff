"""How quick and how dear the live page is: ``python benchmarks/live.py [--sessions 50]``.

Three figures, printed as a table (``--json FILE`` keeps them):

- write to paint: a snapshot and its measurements are written 20 times a second; a real headless
  Chromium says when the frame that shows them is painted (two animation frames after it came);
- sessions: raw websocket clients that behave like the page, and the server's CPU for each;
- a new session: CPU of the server for one page load.

Timings depend on the machine and on what else it does; compare rows of one run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect
from ui.conftest import ARGUMENTS, chromium
from ui.growing import rows
from ui.serving import Server

from infoplane.store import Run
from infoplane.types import Layer, ProbeData, Snapshot

LAYERS = [f"net.{i}" for i in range(6)]
TICKS = os.sysconf("SC_CLK_TCK")


class Writer(threading.Thread):
    """Writes a run at a steady rate and remembers when each step was on disk."""

    def __init__(self, path: Path, rate: float) -> None:
        import numpy as np

        super().__init__(daemon=True)
        self.rate, self.written, self.stopped = rate, {}, threading.Event()
        self.arrays = {name: np.zeros((64, 4), np.float32) for name in LAYERS}
        self.run_ = Run.create(path, name="benchmark")
        probe = ProbeData(np.zeros((64, 2), np.float32), np.arange(64) % 2)
        self.run_.begin((probe,), tuple(Layer(n, "Linear", (4,), 4, "flatten") for n in LAYERS))

    def run(self) -> None:
        step, due = 0, time.time()
        while not self.stopped.is_set():
            self.run_.write(Snapshot(step, self.arrays, {"loss": 1 / (1 + step)}))
            self.run_.measure(rows(step, LAYERS))
            self.written[step] = time.time()
            step, due = step + 1, due + 1 / self.rate
            time.sleep(max(0.0, due - time.time()))
        self.run_.close()


def cpu_seconds(process: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def latency(server: Server, writer: Writer, seconds: float, throttle: float = 1) -> dict:
    """Write → paint in a real browser, in milliseconds."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(server.url)
        page.wait_for_function(
            "Bokeh?.documents.length > 1 && Bokeh.documents.every(d => d.is_idle)"
        )
        if throttle > 1:
            session = page.context.new_cdp_session(page)
            session.send("Emulation.setCPUThrottlingRate", {"rate": throttle})
        page.evaluate("""() => {
          const find = name => Bokeh.documents.map(d => d.get_model_by_name(name)).find(Boolean)
          const live = find("live")
          window.painted = []
          live.properties.data.change.connect(() => {
            const step = live.data.step[0]
            const note = () => painted.push([step, Date.now()])
            requestAnimationFrame(() => requestAnimationFrame(note))
          })
        }""")
        time.sleep(seconds)
        painted = page.evaluate("painted")
        browser.close()
    lags = sorted(1000 * (at / 1000 - writer.written[step]) for step, at in painted[1:])
    return {
        "frames per s": round(len(painted) / seconds, 1),
        "p50 ms": round(statistics.median(lags), 1),
        "p95 ms": round(lags[int(0.95 * (len(lags) - 1))], 1),
        "max ms": round(lags[-1], 1),
    }


def named(value):
    """(name, id) of every model in a serialised document."""
    if isinstance(value, dict):
        if "name" in value.get("attributes", {}):
            yield value["attributes"]["name"], value["id"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from named(item)


class Client:
    """A session without a browser: pulls the document, says hello, answers every frame."""

    frames, newest, due = 0, 0, None

    async def open(self, server: Server) -> None:
        loop = asyncio.get_running_loop()
        page = await loop.run_in_executor(None, self._get, server.url)
        token = page.split('"token":"')[1].split('"')[0]
        url = server.url.rstrip("/").replace("http", "ws") + "/ws"
        request = HTTPRequest(url, headers={"Origin": f"http://127.0.0.1:{server.port}"})
        self.socket = await websocket_connect(request, subprotocols=["bokeh", token])
        await self.message()  # ACK
        await self.send("PULL-DOC-REQ", {})
        roots = (await self.message())["doc"]["roots"]
        by_name = dict(named(roots))
        self.inbox, self.answer = by_name["inbox"], by_name["answer"]
        await self.tell(0)
        self.task = asyncio.create_task(self.follow())

    @staticmethod
    def _get(url: str) -> str:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.read().decode()

    async def message(self) -> dict:
        header, _, content = [await self.socket.read_message() for _ in range(3)]
        for _ in range(json.loads(header).get("num_buffers", 0)):
            await self.socket.read_message(), await self.socket.read_message()
        return json.loads(content)

    async def send(self, kind: str, content: dict) -> None:
        header = {"msgid": os.urandom(8).hex(), "msgtype": kind}
        for part in (header, {}, content):
            await self.socket.write_message(json.dumps(part, separators=(",", ":")))

    async def tell(self, number: int) -> None:
        event = {"kind": "ModelChanged", "model": {"id": self.answer}, "attr": "tags"}
        await self.send("PATCH-DOC", {"events": [event | {"new": [number]}]})

    async def follow(self) -> None:
        while True:
            for event in (await self.message()).get("events", []):
                if event.get("attr") == "tags" and event["model"]["id"] == self.inbox:
                    self.frames += 1
                    self.newest = event["new"][0]
                    self.due = self.due or asyncio.create_task(self.answer_soon())

    async def answer_soon(self) -> None:
        await asyncio.sleep(0.1)  # the page answers for several frames at once, too
        self.due = None
        await self.tell(self.newest)


async def crowd(server: Server, count: int, seconds: float) -> dict:
    """CPU of the server while `count` sessions watch, after they were opened."""
    process = server._child.pid
    before = cpu_seconds(process)
    clients = [Client() for _ in range(count)]
    for client in clients:
        await client.open(server)
    opening = (cpu_seconds(process) - before) / count
    await asyncio.sleep(2)
    before, frames, start = cpu_seconds(process), sum(c.frames for c in clients), time.time()
    await asyncio.sleep(seconds)
    took = time.time() - start
    for client in clients:
        client.task.cancel()
    await asyncio.gather(*(client.task for client in clients), return_exceptions=True)
    return {
        "sessions": count,
        "frames per s each": round((sum(c.frames for c in clients) - frames) / took / count, 1),
        "server CPU %": round(100 * (cpu_seconds(process) - before) / took, 1),
        "CPU ms per new session": round(1000 * opening, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, nargs="*", default=[1, 25, 50])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=float, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder) / "runs"
        writer = Writer(runs / "run", options.rate)
        server = Server(runs, Path(folder) / "log", plain=False, INFOPLANE_MAX_SESSIONS="2000")
        writer.start()
        time.sleep(2)
        found = {}
        try:
            if chromium():
                found["write to paint"] = latency(server, writer, options.seconds)
                found["6x throttled"] = latency(server, writer, options.seconds, throttle=6)
            for count in options.sessions:
                found[f"{count} sessions"] = asyncio.run(crowd(server, count, options.seconds))
        finally:
            writer.stopped.set()
            server.kill()
            writer.join(10)
    for name, row in found.items():
        print(f"{name:>16}  " + " · ".join(f"{key} {value}" for key, value in row.items()))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
