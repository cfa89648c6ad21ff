"""From snapshots to measurements: parallel, resumable, live.

Each (layer, step) is one job; its estimators share distances and codes. Measurements are appended
to the run as they come, keyed by their content, so that running twice computes nothing twice and an
interrupted evaluation goes on where it stopped.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from infoplane.analysis.agenda import Agenda
from infoplane.analysis.executors import Executor, ExecutorHand
from infoplane.analysis.hands import PATIENCE, Hand, Limits, OwnHand, ProcessHand
from infoplane.analysis.labour import Bar, Count, Progress, labour
from infoplane.analysis.plan import DEFAULT, Refusal, Request, complete
from infoplane.analysis.work import Settings
from infoplane.errors import EvaluationError, InputError
from infoplane.estimators import device as estimators_on
from infoplane.store import open_run

if TYPE_CHECKING:
    from infoplane.store import Run


@dataclass(frozen=True, slots=True)
class EvaluationSummary:
    """What an evaluation did.

    Attributes
    ----------
    computed, failed, present : int
        Measurements made now, those of them without a value, and those that were there already.
    refused : tuple of Refusal
        Estimators that cannot be asked about a target of this run, with the reason.
    seconds : float
        Wall-clock time.
    stopped : bool
        Whether it was asked to stop before everything was done.
    """

    computed: int
    failed: int
    present: int
    refused: tuple[Refusal, ...]
    seconds: float
    stopped: bool = False

    def __str__(self) -> str:
        parts = [f"{self.computed} measurements in {self.seconds:.1f} s"]
        parts += [f"{self.present} were there already"] if self.present else []
        parts += [f"{self.failed} failed"] if self.failed else []
        parts += [f"not asked: {r.estimator} about {r.target}: {r.why}" for r in self.refused]
        return "; ".join(parts)


def evaluate(
    run: Run | str | os.PathLike[str],
    estimators: Sequence[Request] = DEFAULT,
    *,
    workers: int = 0,
    targets: Sequence[str] = ("X", "Y"),
    layers: Collection[str] | None = None,
    steps: Collection[int] | None = None,
    probes: Sequence[str] | None = None,
    params: Mapping[str, Mapping[str, Any]] | None = None,
    null: int = 20,
    seed: int = 0,
    subsamples: int = 0,
    follow: bool = False,
    progress: bool | Progress | None = None,
    backend: Literal["process", "thread"] | Executor = "process",
    costly_null: bool = False,
    retry: bool = False,
    stop: Callable[[], bool] | None = None,
    timeout: float | None = None,
    memory: float | None = None,
    device: str | None = None,
) -> EvaluationSummary:
    """Measure the layers of a run at every step and write the measurements into the run.

    Parameters
    ----------
    run
        A run or its path. A run that is being written may be evaluated from any process.
    estimators
        Ids, or (id, parameters). Quantities of a layer alone (rank, collapse …) are welcome too.
    workers
        0: in this process. More: that many worker processes (or threads).
    targets
        What the representation is compared with: "X", "Y", or the name of another layer.
    layers, steps, probes
        What to measure; None for everything.
    params
        Parameters by estimator id, for ids given without.
    null
        Draws of the shuffled pairing for each estimate where it has a meaning; 0 for none.
    seed
        Of every private random stream. Same seed, same numbers, in any number of workers.
    subsamples
        Subsamples (at least 10) for an interval around every estimate that has none of its own;
        0 for none. ``info["interval"]`` of a measurement says what it covers.
    follow
        Keep measuring as snapshots arrive, until the run has ended or ``stop()`` is true.
    progress
        True: a bar with the time left; None: the same when the terminal shows it; a callable gets
        (done, total).
    backend
        Worker processes; or threads, where estimators spend their time in numpy; or your own
        workers: a ``distributed.Client`` or a ``concurrent.futures`` executor, ``workers`` batches
        at a time. Its workers must see the run's directory.
    costly_null
        Draw the null also for thorough estimators without a fast one (one full call a draw).
    retry
        Try failed measurements again.
    stop
        Asked between jobs.
    timeout
        Seconds that one job (all that is asked of one layer at one step) may take in a worker
        process, an hour unless told otherwise. A job beyond it becomes rows with status "failed"
        and the reason; the others go on.
    memory
        GiB that a worker process may allocate (not on Windows). What asks for more becomes a row
        with status "failed". No process can end or cap itself, so with ``workers=0`` a timeout or a
        cap starts one worker.
    device
        Torch device for the O(n²) work of KDE, KSG, DSE, DSMI, matrix Rényi and dimension
        ("cuda", "cuda:1"; "cpu" runs the same code there), in this process and in every worker.
        Values agree with those of numpy to 1e-9; ``info["device"]`` of a measurement names it.

    Returns
    -------
    EvaluationSummary

    Raises
    ------
    UnknownEstimatorError, InputError
        For an unknown estimator, a parameter outside its bounds, an unknown layer or target.
    EvaluationError
        When nothing that was asked for can be measured on this run, or results cannot be written.
    """
    start = time.perf_counter()
    path = Path(getattr(run, "path", run))  # type: ignore[arg-type]
    requests = [_with_params(request, params or {}) for request in estimators]
    settings = Settings(seed, null, costly_null, subsamples, device)
    limits = _limits(timeout, memory, backend)
    _check(requests, workers, settings, targets, backend)
    if device is not None and isinstance(backend, str):
        with estimators_on(device):  # an absent device is told before anything begins
            pass
    capped = (timeout, memory) != (None, None)
    workers = max(workers, 1) if capped else workers
    count = Count()
    with open_run(path) as reader:
        _known(reader, layers, steps, follow)
        agenda = Agenda(
            reader,
            requests,
            targets=targets,
            settings=settings,
            layers=layers,
            steps=steps,
            probes=probes,
            retry=retry,
            follow=follow,
            stop=stop,
        )
        if not follow:
            _seen(agenda)
        with Bar(progress, agenda, count) as bar:
            makers = _hands(path, settings, requests, workers, backend, limits, capped)
            labour(agenda, makers, count, bar)
        if not agenda.stop_asked:
            _seen(agenda)
    _nothing(count, agenda, requests)
    _refresh(run)
    return EvaluationSummary(
        computed=count.made,
        failed=count.failed,
        present=agenda.present,
        refused=tuple(agenda.refusals),
        seconds=time.perf_counter() - start,
        stopped=agenda.stop_asked,
    )


def _with_params(request: Request, params: Mapping[str, Mapping[str, Any]]) -> Request:
    return (request, params[request]) if isinstance(request, str) and request in params else request


def _check(
    requests: Sequence[Request],
    workers: int,
    settings: Settings,
    targets: Sequence[str],
    backend: str | Executor,
) -> None:
    if not requests:
        raise InputError("`estimators` must name at least one estimator; got none.")
    numbers = {"workers": workers, "null": settings.null, "seed": settings.seed}
    for name, number in {**numbers, "subsamples": settings.subsamples}.items():
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise InputError(f"`{name}` must be an int ≥ 0; got {number!r}.")
    if backend not in ("process", "thread") and not callable(getattr(backend, "submit", None)):
        raise InputError(
            '`backend` must be "process", "thread" or an executor with a `submit` method (a '
            f"distributed.Client, a concurrent.futures executor); got {backend!r}."
        )
    if 0 < settings.subsamples < 10:
        raise InputError(f"`subsamples` must be 0 or at least 10; got {settings.subsamples}.")
    if isinstance(targets, str) or not targets:
        raise InputError(f"`targets` must be a sequence such as ('X', 'Y'); got {targets!r}.")
    for request in requests:
        complete(request)


def _known(
    run: Run, layers: Collection[str] | None, steps: Collection[int] | None, follow: bool
) -> None:
    """Raise unless the run has the layers and steps asked for, or may still get them."""
    for name, asked, there in (("layers", layers, run.layers), ("steps", steps, run.steps)):
        unknown = sorted(set(asked or ()) - set(there), key=str)
        if unknown and not follow:
            some = ", ".join(map(str, list(there)[:12])) + (" …" if len(there) > 12 else "")
            raise InputError(f"`{name}` must be {name} of the run ({some}); got {unknown}.")


def _seen(agenda: Agenda) -> None:
    """Raise unless the run has the steps that parameters name."""
    if unseen := agenda.unseen():
        raise InputError(
            "`reference_step` and `start_step` must be steps of the run, in every probe set that "
            f"is measured; it has no snapshot at {unseen}."
        )


def _limits(timeout: float | None, memory: float | None, backend: str | Executor) -> Limits:
    """Check what a job may take; only processes of our own can be ended and capped."""
    for name, number in (("timeout", timeout), ("memory", memory)):
        if number is not None and not 0 < number < math.inf:
            raise InputError(f"`{name}` must be a number > 0 or None; got {number!r}.")
        if number is not None and backend != "process":
            raise InputError(f"`{name}` needs backend='process'; got backend={backend!r}.")
    return Limits(PATIENCE if timeout is None else timeout, memory)


def _hands(
    path: Path,
    settings: Settings,
    requests: Sequence[Request],
    workers: int,
    backend: str | Executor,
    limits: Limits,
    capped: bool,
) -> list[Callable[[], Hand]]:
    """Return makers of hands, one for each worker."""
    modules = sorted({str(complete(request)[0].function.__module__) for request in requests})
    if "__main__" in modules and capped:
        raise InputError(
            "`timeout` and `memory` need estimators that a worker process can import; move yours "
            "from the script into a module."
        )
    if not isinstance(backend, str):
        return [lambda: ExecutorHand(backend, path, settings, modules)] * max(1, workers)
    # An estimator defined in the caller's script exists in no other process.
    if not workers or backend == "thread" or "__main__" in modules or not sys.executable:
        return [lambda: OwnHand(path, settings)] * max(1, workers)
    return [lambda: ProcessHand(path, settings, modules, limits)] * workers


def _nothing(count: Count, agenda: Agenda, requests: Sequence[Request]) -> None:
    """Raise when there were snapshots and yet nothing that was asked for could be measured."""
    if count.made or agenda.present or agenda.stop_asked or not agenda.planned:
        return
    reasons = [f"{r.estimator} about {r.target or 'T'}: {r.why}" for r in agenda.refusals]
    needs = {entry.id: entry.needs for entry in (complete(request)[0] for request in requests)}
    reasons += [
        f"{name} needs {need!r}, and no layer of the run is that; call it on the arrays"
        for name, need in needs.items()
        if need != "representation" and not any(name in reason for reason in reasons)
    ]
    raise EvaluationError(
        f"nothing that was asked for can be measured on this run: {'; '.join(reasons)}"
    )


def _refresh(run: Any) -> None:
    """Let the caller's own handle see the new measurements."""
    if hasattr(run, "refresh"):
        run.refresh()
