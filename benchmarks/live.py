"""How quick and how dear the live page is: ``python benchmarks/live.py [--sessions 50]``.

Figures, printed as a table (``--json FILE`` keeps them):

- write to paint: a snapshot and its measurements are written 20 times a second; a real headless
  Chromium says when the frame that shows them is painted (two animation frames after it came);
- cold load: from the address to a drawn plane, in a browser that has nothing of it;
- sessions: raw websocket clients that behave like the page, and the server's CPU for each;
- a new session: CPU of the server for one page load;
- ``--churn N``: sessions opened and closed again, and what is left of them in the server.

Timings depend on the machine and on what else it does; compare rows of one run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
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
from ui.serving import Process, held_port

from infoplane.store import Run
from infoplane.types import Layer, ProbeData, Snapshot

LAYERS = [f"net.{i}" for i in range(6)]
TICKS = os.sysconf("SC_CLK_TCK")


KINDS = ("Document", "ServerSession", "SessionFeed", "WSHandler", "ColumnDataSource")
SERVE = f"""
import gc, signal
from infoplane.views.serve import serve

def count(*_):
    gc.collect()
    names = [type(thing).__name__ for thing in gc.get_objects()]
    print("OBJECTS", *(names.count(kind) for kind in {KINDS}), flush=True)

signal.signal(signal.SIGUSR1, count)
"""


class Server(Process):
    """The server in a process of its own, which counts its objects when it is asked."""

    def __init__(self, runs: Path, log: Path) -> None:
        self._held, self.port = held_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        code = f"{SERVE}\nserve({str(runs)!r}, {self.port})"
        super().__init__(["-c", code], log, INFOPLANE_MAX_SESSIONS="2000")
        self.wait(f"{self.url}favicon.ico")

    @property
    def process(self) -> int:
        return self._child.pid

    def objects(self) -> dict[str, int]:
        """Count what sessions are made of, after a collection."""
        told = self.said().count("OBJECTS")
        os.kill(self.process, signal.SIGUSR1)
        while self.said().count("OBJECTS") == told:
            time.sleep(0.1)
        numbers = self.said().rpartition("OBJECTS")[2].split()[: len(KINDS)]
        return dict(zip(KINDS, map(int, numbers), strict=True))

    def memory(self) -> float:
        """Resident MiB."""
        status = Path(f"/proc/{self.process}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024


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
    if not lags:
        return {"frames per s": 0.0}
    return {
        "frames per s": round(len(painted) / seconds, 1),
        "p50 ms": round(statistics.median(lags), 1),
        "p95 ms": round(lags[int(0.95 * (len(lags) - 1))], 1),
        "max ms": round(lags[-1], 1),
    }


def cold_load(server: Server, times: int = 5) -> dict:
    """Address to a drawn plane, each in a new browser context that has nothing in its cache."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        took, before = [], cpu_seconds(server.process)
        for _ in range(times):
            page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
            page.goto(server.url)
            drawn = page.wait_for_function(
                "window.Bokeh?.documents.length > 1 && Bokeh.documents.every(d => d.is_idle)"
                " && performance.now()",
                polling="raf",
            )
            took.append(drawn.json_value())
            page.context.close()
        browser.close()
    return {
        "median ms": round(statistics.median(took)),
        "best ms": round(min(took)),
        "server CPU ms each": round(1000 * (cpu_seconds(server.process) - before) / times),
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
        origin = {"Origin": f"http://127.0.0.1:{server.port}"}
        request = HTTPRequest(url, headers=origin, connect_timeout=120, request_timeout=120)
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

    def close(self) -> None:
        self.task.cancel()
        if self.due is not None:
            self.due.cancel()
        self.socket.close()

    async def answer_soon(self) -> None:
        await asyncio.sleep(0.1)  # the page answers for several frames at once, too
        self.due = None
        await self.tell(self.newest)


async def churn(server: Server, count: int) -> dict:
    """Open and close sessions one after the other; what is left when the server has let go."""

    async def once() -> None:
        client = Client()
        await client.open(server)
        while client.frames < 1:
            await asyncio.sleep(0.02)
        client.close()

    for _ in range(5):  # what is made once
        await once()
    await asyncio.sleep(40)  # sessions without a connection are kept for 15 to 32 seconds
    before, memory = server.objects(), server.memory()
    for _ in range(count):
        await once()
    await asyncio.sleep(80)  # let go of in rounds, while the event loop has nothing else to do
    after = server.objects()
    grown = {kind: after[kind] - before[kind] for kind in KINDS}
    return {
        "opened and closed": count,
        "objects left": ", ".join(f"{n} {kind}" for kind, n in grown.items() if n) or "none",
        "of": sum(before.values()),
        "MiB before": round(memory),
        "MiB after": round(server.memory()),
    }


async def crowd(server: Server, count: int, seconds: float) -> dict:
    """CPU of the server while `count` sessions watch, after they were opened."""
    process = server.process
    before = cpu_seconds(process)
    clients = [Client() for _ in range(count)]
    for client in clients:
        await client.open(server)
    opening = (cpu_seconds(process) - before) / count
    await asyncio.sleep(2)
    before, frames, start = cpu_seconds(process), sum(c.frames for c in clients), time.time()
    await asyncio.sleep(seconds)
    took, used = time.time() - start, cpu_seconds(process) - before
    for client in clients:
        client.close()
    await asyncio.gather(*(client.task for client in clients), return_exceptions=True)
    return {
        "sessions": count,
        "frames per s each": round((sum(c.frames for c in clients) - frames) / took / count, 1),
        "server CPU %": round(100 * used / took, 1),
        "CPU ms per new session": round(1000 * opening, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, nargs="*", default=[1, 25, 50])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=float, default=20)
    parser.add_argument("--churn", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder) / "runs"
        writer = Writer(runs / "run", options.rate)
        server = Server(runs, Path(folder) / "log")
        writer.start()
        time.sleep(2)
        found = {}
        try:
            if chromium():
                found["cold load"] = cold_load(server)
                found["write to paint"] = latency(server, writer, options.seconds)
                found["6x throttled"] = latency(server, writer, options.seconds, throttle=6)
            for count in options.sessions:
                found[f"{count} sessions"] = asyncio.run(crowd(server, count, options.seconds))
            if options.churn:
                found["churn"] = asyncio.run(churn(server, options.churn))
        finally:
            writer.stopped.set()
            server.kill()
            server._held.close()
            writer.join(10)
    for name, row in found.items():
        print(f"{name:>16}  " + " · ".join(f"{key} {value}" for key, value in row.items()))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
