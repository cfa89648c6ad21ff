"""The main job: train the network of Shwartz-Ziv and Tishby and watch it in the plane, live.

Three processes share two cores: this one trains and writes snapshots, one estimates as they come,
one serves the page. Each can die without harm to the others; all of them talk through the run only.
The page is what somebody waits for, so its process starts first, and what is heavy is imported here
while it does.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from infoplane import analysis
from infoplane.errors import RunExistsError
from infoplane.store import Run, is_run, open_run

if TYPE_CHECKING:
    from infoplane.tasks.training import Progress, Recipe, Training

ESTIMATORS = ("mi.binning", "mi.adaptive", "mi.kde")


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo does.

    Attributes
    ----------
    recipe : callable
        Makes the Recipe; called when the page's process has been started, since it loads torch.
    out : Path or None
        Directory for ``run/`` and ``report.html``; None takes ``demo``, or the first free of
        ``demo-2``, ``demo-3`` … so that nothing is ever overwritten.
    snapshots : int
    page : bool
        Serve the live page.
    browser : bool
        Open the page in a browser.
    stay : bool
        Keep the page up after the training, until Ctrl-C.
    port : int
        0 takes a free one.
    """

    recipe: Callable[[], Recipe]
    out: Path | None = None
    snapshots: int = 150
    page: bool = True
    browser: bool = True
    stay: bool = True
    port: int = 0


def run_demo(demo: Demo) -> Path:
    """Train, estimate and show; return the path of the report.

    Raises
    ------
    RunExistsError
        When ``out`` was given and holds a run already.
    """
    out = _directory(demo.out)
    run_path = out / "run"
    with contextlib.ExitStack() as stack:
        address = stack.enter_context(_page(out, demo)) if demo.page else None
        recipe = demo.recipe()
        estimator = stack.enter_context(_estimator(run_path))
        interrupted = _train(recipe, demo.snapshots, run_path)
        _await_estimates(estimator, run_path, interrupted)
        say(f"\n{analysis.conclusion(open_run(run_path))}\n")
        from infoplane.report import report

        document = report(run_path, out / "report.html")
        say(f"run     {run_path}\nreport  {document}")
        if address and demo.stay and not interrupted:
            say(f"page    {address}  (Ctrl-C ends it)")
            _wait_for_interrupt()
    return document


def say(text: str) -> None:
    """Print to the terminal, around a progress bar if there is one."""
    tqdm.write(text)


def _directory(out: Path | None) -> Path:
    if out is not None:
        if is_run(out / "run"):
            raise RunExistsError(
                f"{out / 'run'} holds a run already and the demo never overwrites one. "
                f"Choose another directory with --out, or look at it with `infoplane serve {out}`."
            )
        return out
    number = 1
    while (candidate := Path("demo" if number == 1 else f"demo-{number}")).exists():
        number += 1
    return candidate


def _train(recipe: Recipe, snapshots: int, run_path: Path) -> bool:
    """Train with a progress bar; return whether Ctrl-C ended it early."""
    import torch

    from infoplane.experiment import record

    torch.set_num_threads(1)  # the other core estimates and serves
    with tqdm(total=recipe.epochs, unit="epoch", desc="training", dynamic_ncols=True) as bar:
        started = time.perf_counter()

        def show(progress: Progress, _: Training) -> None:
            rate = progress.step / (time.perf_counter() - started)
            bar.set_postfix_str(
                f"loss {progress.loss:.3f}, accuracy {progress.accuracy:.3f}, {rate:.0f} steps/s",
                refresh=False,
            )
            bar.update()

        try:
            record(recipe, run_path, snapshots=snapshots, on_progress=show)
        except KeyboardInterrupt:
            say("interrupted: the run so far is complete and readable")
            return True
    return False


@contextlib.contextmanager
def _child(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``infoplane …`` beside us, in its own process group so that Ctrl-C reaches only us."""
    process = subprocess.Popen(
        [sys.executable, "-m", "infoplane", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()  # the command line ends in order
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.contextmanager
def _page(out: Path, demo: Demo) -> Iterator[str]:
    out.mkdir(parents=True, exist_ok=True)
    port = demo.port or _free_port()
    address = f"http://localhost:{port}/"
    with _child("serve", str(out), "--port", str(port), "--no-open"):
        say(f"The live page: {address}")
        if demo.browser:
            _open_when_up(address, port)
        yield address


def _estimator(run_path: Path) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
    return _child("evaluate", str(run_path), *ESTIMATORS, "--follow", "--quiet")


def _await_estimates(estimator: subprocess.Popen[bytes], run_path: Path, interrupted: bool) -> None:
    """Wait until every snapshot is estimated, and show how far it is.

    After Ctrl-C only the estimates under way are waited for; another Ctrl-C ends the waiting.
    """
    if interrupted:
        estimator.terminate()
    with contextlib.suppress(KeyboardInterrupt), open_run(run_path) as run:
        total = len(run.steps) * len(run.layers) * len(ESTIMATORS) * len(("X", "Y"))
        say(f"training is over; estimating what is left of {len(run.steps)} snapshots")
        with tqdm(total=total, unit="est", desc="estimating", dynamic_ncols=True) as bar:

            def show(*_: int) -> None:
                run.refresh()
                bar.update(len(run.measurements()) - bar.n)

            if not interrupted:
                _lend_a_hand(estimator, run, show)
            while estimator.poll() is None:
                show()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    estimator.wait(timeout=0.5)
            show()


def _lend_a_hand(
    estimator: subprocess.Popen[bytes], run: Run, progress: Callable[[int, int], None]
) -> None:
    """Estimate every other snapshot that is left: the core that trained is free now."""
    run.refresh()
    left = sorted(set(run.steps) - {row.step for row in run.measurements()})[::2]
    if left:
        analysis.evaluate(
            run.path,
            ESTIMATORS,
            steps=left,
            progress=progress,
            stop=lambda: estimator.poll() is not None,
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _open_when_up(address: str, port: int, patience: float = 20.0) -> None:
    """Open the browser as soon as the server answers, from a thread: training must not wait."""

    def attempt() -> None:
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
                webbrowser.open(address)
                return
            time.sleep(0.2)

    threading.Thread(target=attempt, daemon=True).start()


def _wait_for_interrupt() -> None:
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)
