"""A worker process of an evaluation: ``python -m infoplane.analysis.worker``, jobs on stdin.

The first line says which run and settings and is answered when the worker is ready; every further
line is a list of jobs, answered by one line with the tally once their rows are on disk. It ends
when stdin does, so it never outlives its parent.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import TextIO

try:
    import resource
except ImportError:  # Windows has no resource limits
    resource = None  # type: ignore[assignment]

from infoplane.analysis.hands import OwnHand
from infoplane.analysis.plan import Job
from infoplane.analysis.work import Settings
from infoplane.errors import InfoplaneError


def serve(lines: TextIO, answers: TextIO) -> None:
    """Do jobs until the lines end."""
    setup = json.loads(lines.readline())
    cap(setup.get("memory"))
    for module in setup["modules"]:
        importlib.import_module(module)  # where the caller's own estimators are registered
    hand = OwnHand(Path(setup["path"]), Settings(**setup["settings"]))
    answers.write(json.dumps({"ready": True}) + "\n")
    answers.flush()
    for line in lines:
        try:
            tally = hand.do([Job.from_record(record) for record in json.loads(line)])
            answer: dict[str, int | str] = {"made": tally.made, "failed": tally.failed}
        except (InfoplaneError, OSError) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    hand.close()


def cap(memory: float | None) -> None:
    """Let this process allocate at most so many GiB; more raises MemoryError where it is asked."""
    if memory is None or resource is None:
        return
    kind = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS
    _, hard = resource.getrlimit(kind)
    wanted = int(memory * 2**30)
    resource.setrlimit(kind, (wanted if hard < 0 else min(wanted, hard), hard))


def main() -> None:
    """Keep the answers' channel to ourselves: whatever a library prints goes to stderr."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
