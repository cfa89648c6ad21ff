"""Trainings that a page started: each in processes of its own, a few at once, saved like any run.

A training is ``infoplane train`` and, beside it, ``infoplane evaluate --follow``; nothing of
either runs in the server. What a browser asks for is checked here; the place of the run is ours.
"""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from infoplane.errors import InputError
from infoplane.views.intake import recipe_files
from infoplane.views.text import plain

CHOICES: Mapping[str, tuple[str, ...]] = {
    "task": ("szt", "digits", "blobs", "idx"),
    "activation": ("tanh", "relu", "elu", "softplus", "swish", "softsign", "linear"),
    "regulariser": ("none", "l2", "dropout", "noise", "cs_ib", "vib", "nib"),
    "optimiser": ("adam", "sgd", "momentum"),
    "probes": ("whole", "split"),
}
RANGES: Mapping[str, tuple[float, float]] = {
    "strength": (0.0, 10.0),
    "lr": (1e-6, 10.0),
    "batch": (1, 4096),
    "epochs": (1, 5000),
    "seed": (0, 2**31 - 1),
    "corruption": (0.0, 1.0),
    "limit": (100, 20_000),
}
ONLY: Mapping[str, str] = {"corruption": "blobs", "limit": "idx"}
"""Numbers that belong to one task."""
WHOLE = ("batch", "epochs", "seed", "limit")
_WIDTHS = re.compile(r"[0-9]{1,3}(\s*[,-]\s*[0-9]{1,3}){0,7}")
ESTIMATORS = ("mi.binning", "mi.adaptive", "mi.kde")
SNAPSHOTS = 80
LIMIT = 2  # trainings at once: each keeps two cores busy
_KEPT = 20  # trainings in the list, ended ones included
_PROGRESS = re.compile(r"(\d+)/(\d+) \[")
_SAID = re.compile(r"loss [0-9.einf+-]+, accuracy [0-9.einf+-]+")

State = Literal["running", "finished", "cancelled", "failed"]


@dataclass(slots=True)
class Job:
    """One training that was started here."""

    number: int
    path: Path
    recipe: Mapping[str, str]
    train: subprocess.Popen[bytes]
    estimate: subprocess.Popen[bytes] | None = None
    cancelled: bool = False

    @property
    def state(self) -> State:
        """How it stands."""
        code = self.train.poll()
        if code is None:
            return "running"
        if self.cancelled:
            return "cancelled"
        return "finished" if code == 0 else "failed"

    def told(self) -> dict[str, Any]:
        """Tell about it, for the page."""
        text = _tail(self.path.with_suffix(".log"))
        found = _PROGRESS.findall(text)
        done, total = map(int, found[-1]) if found else (0, int(self.recipe["epochs"]))
        said = _SAID.findall(text)
        error = plain(text.strip().splitlines()[-1], 300) if self.state == "failed" and text else ""
        return {
            "number": self.number,
            "folder": f"{self.path.parent.name}/{self.path.name}",
            "what": plain(_words(self.recipe), 200),
            "state": self.state,
            "done": 1.0 if self.state == "finished" else min(done / max(total, 1), 1.0),
            "epoch": done,
            "epochs": total,
            "said": said[-1] if said else "",
            "error": error,
        }


class Workshop:
    """Starts, counts and ends trainings; one for all sessions of the process."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self._jobs: list[Job] = []
        self._measuring: dict[Path, tuple[subprocess.Popen[bytes], IO[bytes]]] = {}
        self._lock = threading.Lock()
        self._number = 0
        atexit.register(self.close)

    def start(self, directory: Path, wanted: Mapping[str, Any]) -> Job:
        """Start a training below a directory of runs.

        Raises
        ------
        InputError
            If the recipe is out of range or as many trainings as may are running already.
        """
        recipe = checked(wanted)
        files = recipe_files(directory, wanted) if recipe["task"] == "idx" else {}
        with self._lock:
            running = sum(job.state == "running" for job in self._jobs)
            if running >= self.limit:
                raise InputError(
                    f"At most {self.limit} trainings run at once and {running} do. "
                    "Cancel one, or wait until it has ended."
                )
            self._number += 1
            path = _free_place(directory / "playground", recipe["task"])
            job = Job(self._number, path, recipe, _train(path, {**recipe, **files}))
            job.estimate = _infoplane(
                "evaluate", str(path), *ESTIMATORS, "--null", "10", "--follow", "--quiet"
            )
            self._jobs = [*self._jobs, job][-_KEPT:]
            return job

    def cancel(self, number: int) -> None:
        """End a training as Ctrl-C would: its run stays readable and says so."""
        for job in self._jobs:
            if job.number == number and job.state == "running":
                job.cancelled = True
                _interrupt(job.train)

    def measure(self, path: Path, estimators: Sequence[str]) -> None:
        """Estimate more of a run, in a process of its own.

        Raises
        ------
        InputError
            If the run is being measured already, or as many runs as may be are.
        """
        with self._lock:
            going = [place for place in self._measuring if self.measuring(place)]
            if path in going or len(going) >= self.limit:
                raise InputError("Runs are being measured already; wait until that has ended.")
            words = ("evaluate", str(path), *estimators, "--null", "0", "--quiet")
            if path in self._measuring:
                self._measuring.pop(path)[1].close()
            said = tempfile.TemporaryFile()  # noqa: SIM115 read when the process has ended
            self._measuring[path] = _infoplane(*words, sink=said), said

    def measuring(self, path: Path) -> bool:
        """Whether more of a run is being estimated now."""
        process, _ = self._measuring.get(path, (None, None))
        return process is not None and process.poll() is None

    def refusal(self, path: Path) -> str:
        """Return why the last estimation of a run failed; empty when it did not."""
        process, said = self._measuring.get(path, (None, None))
        if process is None or said is None or not process.poll():
            return ""
        said.seek(0)
        lines = said.read(20_000).decode("utf-8", "replace").strip().splitlines()
        return plain(lines[-1] if lines else "the process ended without a word", 300)

    def jobs(self) -> list[dict[str, Any]]:
        """Tell about all trainings, newest first."""
        return [job.told() for job in reversed(self._jobs)]

    def close(self) -> None:
        """End everything; called when the server ends."""
        started = [process for job in self._jobs for process in (job.train, job.estimate)]
        measuring = [process for process, _ in self._measuring.values()]
        for process in (*started, *measuring):
            if process is not None and process.poll() is None:
                _interrupt(process)
        for _, said in self._measuring.values():
            said.close()
        self._measuring.clear()


def _words(recipe: Mapping[str, str]) -> str:
    """Tell a recipe in one line; what does nothing is left out."""
    words = [recipe["task"], recipe["widths"], recipe["activation"], recipe["optimiser"]]
    if recipe["regulariser"] != "none":
        words.append(f"{recipe['regulariser']} {recipe['strength']}")
    told = ("lr", "batch", "seed", "corruption", "limit")
    words += [f"{name} {recipe[name]}" for name in told if name in recipe]
    return " · ".join(words)


WORKSHOP = Workshop()
"""The workshop of this process."""


def checked(wanted: Mapping[str, Any]) -> dict[str, str]:
    """Check what a browser asks for and return it as words for the command line.

    Raises
    ------
    InputError
        If anything is unknown or out of range.
    """
    recipe = {name: _choice(name, wanted.get(name)) for name in CHOICES}
    widths = str(wanted.get("widths", ""))[:64].strip()
    sizes = [int(w) for w in re.split(r"[,\s-]+", widths)] if _WIDTHS.fullmatch(widths) else []
    if not sizes or not all(1 <= size <= 512 for size in sizes):
        raise InputError(
            f"`widths` must be 1 to 8 numbers in [1, 512] with commas, like 10,7,5,4,3; "
            f"got {plain(widths, 40)!r}."
        )
    recipe["widths"] = ",".join(map(str, sizes))
    for name in RANGES:
        if ONLY.get(name, recipe["task"]) == recipe["task"]:
            recipe[name] = _number(name, wanted.get(name))
    strength = float(recipe["strength"])
    if recipe["regulariser"] != "none" and strength == 0:
        raise InputError("`strength` must be above 0 for a regulariser; got 0, which does nothing.")
    if recipe["regulariser"] == "dropout" and strength >= 1:
        raise InputError(f"`strength` must be below 1 for dropout, a share; got {strength:g}.")
    return recipe


def _choice(name: str, value: Any) -> str:
    if not isinstance(value, str) or value not in CHOICES[name]:
        raise InputError(f"`{name}` must be one of {', '.join(CHOICES[name])}; got {value!r:.40}.")
    return value


def _number(name: str, value: Any) -> str:
    low, high = RANGES[name]
    good = type(value) in (int, float) and math.isfinite(value) and low <= value <= high
    if not good or (name in WHOLE and value != int(value)):
        kind = "a whole number" if name in WHOLE else "a number"
        raise InputError(f"`{name}` must be {kind} in [{low:g}, {high:g}]; got {value!r:.40}.")
    return str(int(value)) if name in WHOLE else repr(float(value))


def _free_place(folder: Path, task: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    number = 1
    while (path := folder / f"{task}-{number}").exists() or path.with_suffix(".log").exists():
        number += 1
    return path


def _train(path: Path, recipe: Mapping[str, str]) -> subprocess.Popen[bytes]:
    words = [f"--{name}={value}" for name, value in recipe.items() if name != "task"]
    words += [f"--snapshots={SNAPSHOTS}", f"--out={path}"]
    with path.with_suffix(".log").open("xb") as log:
        return _infoplane("train", recipe["task"], *words, sink=log)


def _infoplane(*words: str, sink: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
    """Run ``infoplane …`` in a process group of its own, on one thread."""
    said: Any = subprocess.DEVNULL if sink is None else sink
    return subprocess.Popen(
        [sys.executable, "-m", "infoplane", *words],
        stdin=subprocess.DEVNULL,
        stdout=said,
        stderr=said,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()  # the command line ends in order


def _tail(log: Path, size: int = 2000) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - size))
            return file.read().decode("utf-8", "replace").replace("\r", "\n")
    except OSError:
        return ""
