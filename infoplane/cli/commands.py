"""What each verb does: read the options, call the library, print."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infoplane.cli import printing
from infoplane.errors import CorruptRunError, InputError

if TYPE_CHECKING:
    from infoplane.store import Run

# The heavy rooms are imported by the verbs that need them: `infoplane --help` must be instant.


def demo(options: argparse.Namespace) -> None:
    """Train the network of Shwartz-Ziv and Tishby and watch it live."""
    from infoplane.demo import Demo, run_demo

    run_demo(
        Demo(
            recipe=partial(_recipe, "szt", options),
            out=options.out,
            snapshots=options.snapshots,
            page=not (options.no_open and options.exit),
            browser=not options.no_open,
            stay=not options.exit,
            port=options.port,
        )
    )


def train(options: argparse.Namespace) -> None:
    """Train a task and record its run."""
    from tqdm import tqdm

    from infoplane.experiment import record

    recipe = _recipe(options.task, options)
    with tqdm(total=recipe.epochs, unit="epoch", disable=options.quiet) as bar:

        def show(progress: Any, _: Any) -> None:
            bar.set_postfix_str(f"loss {progress.loss:.3f}, accuracy {progress.accuracy:.3f}")
            bar.update()

        split = options.probes == "split"
        record(recipe, options.out, snapshots=options.snapshots, split=split, on_progress=show)
    print(f"run  {options.out}\nnext  infoplane evaluate {options.out}")


def evaluate(options: argparse.Namespace) -> None:
    """Estimate what is missing in a run."""
    import infoplane as ip

    run = _await_run(options.run) if options.follow else ip.open_run(options.run)
    summary = ip.evaluate(
        run,
        [(name, _params(options.param)) for name in options.estimators],
        workers=options.workers,
        null=options.null,
        seed=options.seed,
        follow=options.follow,
        retry=options.retry,
        timeout=options.timeout,
        memory=options.memory,
        device=options.device,
        progress=not options.quiet,
    )
    kept = _keep_alerts(options.run)
    printing.show(options, asdict(summary) | {"alerts": kept}, lambda: print(summary))
    if kept and not options.json:
        counts = ", ".join(f"{count} {level}" for level, count in kept.items())
        print(f"alerts  {counts}; kept in the run, shown under Diagnostics")


def _keep_alerts(path: Path) -> dict[str, int]:
    """Keep in the run what its measurements give cause to look at; return how many of each level.

    A reader without leave to write still gets the count.
    """
    import contextlib

    import infoplane as ip
    from infoplane.views import alerts

    run = ip.open_run(path)
    found = alerts.alerts(run)
    with contextlib.suppress(OSError):
        alerts.keep(run, found)
    counts = {level: sum(alert.level == level for alert in found) for level in alerts.LEVELS}
    return {level: count for level, count in counts.items() if count}


def serve(options: argparse.Namespace) -> None:
    """Serve the pages over all runs below a directory."""
    from infoplane.views.serve import serve as serve_pages

    def told(address: str) -> None:
        there = "" if Path(options.directory).is_dir() else " (not there yet; it may come later)"
        print(f"runs  {printing.printable(str(options.directory))}{there}")
        print(f"page  {address}  (Ctrl-C ends it)", flush=True)

    serve_pages(
        options.directory,
        port=options.port,
        host=options.host,
        open_browser=not options.no_open,
        password=options.password,
        ready=told,
    )


def list_runs(options: argparse.Namespace) -> None:
    """List the runs below a directory with their status."""
    from infoplane.store import list_runs as runs_below

    runs = runs_below(options.directory)
    printing.show(
        options,
        [printing.summary_of_run(run) for run in runs],
        lambda: printing.run_table(runs, options.directory),
    )


def show(options: argparse.Namespace) -> None:
    """Say what a run holds and what can be concluded from it."""
    from infoplane.analysis import capture_cost, conclusion, findings
    from infoplane.store import open_run

    run = open_run(options.run)
    rows = printing.last_rows(run)
    text, cost = findings(run), capture_cost(run.events())

    def plain() -> None:
        status = run.status()
        reason = f" ({status.reason})" if status.reason else ""
        print(printing.printable(f"{run.name}: {status.state}{reason}"))
        kept = f"{len(run.steps)} snapshots"
        if run.info.get("online"):
            measured = {row.step for row in run.measurements()}
            kept = f"no snapshots kept, measured online at {len(measured)} steps"
        print(f"{kept}, {len(run.layers)} layers, {len(rows)} final estimates")
        print(f"{printing.printable(cost)}\n" if cost else "")
        printing.table(
            ("layer", "estimator", "target", "bits", "null", "verdict"),
            [
                (
                    row["layer"],
                    row["estimator"],
                    row["target"],
                    printing.bits(row["value"]),
                    printing.bits(row["null"]),
                    row["verdict"],
                )
                for row in rows
            ],
        )
        print(f"\n{printing.printable(text)}")

    printing.show(
        options,
        {
            **printing.description_of_run(run),
            "last": rows,
            "findings": text,
            "conclusion": conclusion(run),
            "capture": cost,
        },
        plain,
    )


def report(options: argparse.Namespace) -> None:
    """Write the offline page of a run."""
    from infoplane.report import report as write_report

    place = options.out or Path(options.run).parent / "report.html"
    print(write_report(options.run, place, full=options.full))


def export(options: argparse.Namespace) -> None:
    """Write a run's measurements as CSV, JSON, Parquet, netCDF, LaTeX or BibTeX."""
    from infoplane.analysis import export as write_export
    from infoplane.store import open_run

    print(write_export(open_run(options.run), options.out))


def import_run(options: argparse.Namespace) -> None:
    """Turn activations saved by another program into a run."""
    import shutil

    from infoplane.capture import import_activations
    from infoplane.store import Run

    run = Run.create(options.out, name=options.path.name)
    try:
        with run:
            found = import_activations(
                options.path, run, x=options.x, y=options.y, target=options.target,
                pattern=options.pattern, layers=options.layers,
            )  # fmt: skip
    except BaseException:
        shutil.rmtree(run.path)  # half an import is no run, and would stand in the way of the next
        raise
    missing = "" if run.probe().y is not None else "no labels were found (--y): only I(X;T)\n"
    print(printing.printable(
        f"{found.layout}: {len(found.steps)} steps from {found.steps[0]:,} to {found.steps[-1]:,}, "
        f"{found.n:,} samples, layers {', '.join(found.layers)}\n{missing}"
        f"next  infoplane evaluate {options.out}"
    ))  # fmt: skip


def reproduce(options: argparse.Namespace) -> None:
    """Try the claims of a paper again: trainings, estimates, claim · measured · holds or not."""
    import sys

    import torch

    from infoplane.reproduce import reproduce as reproduce_paper

    torch.set_num_threads(1)  # the networks are small: threads would only wait for each other
    outcome = reproduce_paper(
        options.paper,
        options.out or Path(f"reproduce-{options.paper}"),
        seeds=options.seeds,
        epochs=options.epochs,
        workers=options.workers,
        tell=lambda line: print(line, file=sys.stderr),
    )
    printing.show(options, outcome.as_data(), lambda: printing.claims(outcome))


def verify(options: argparse.Namespace) -> None:
    """Read every byte of a run and say what is damaged."""
    from infoplane.store import verify as inspect

    found = inspect(options.run)

    def plain() -> None:
        print(f"{found.records} records and {found.snapshots} snapshots are good")
        for line in (*found.problems, *found.notes):
            print(printing.printable(f"  {line}"))

    printing.show(options, asdict(found), plain)
    if not found.ok:
        raise CorruptRunError(f"{options.run} is damaged: {len(found.problems)} problems.")


def catalogue(options: argparse.Namespace) -> None:
    """List the estimators, show one card, or put one to the tests of self-consistency."""
    from infoplane import estimators

    if options.self_consistency:
        if options.id is None:
            raise InputError("`--self-consistency` tests one estimator; name one, such as mi.ksg.")
        found = estimators.self_consistency(options.id)
        printing.show(
            options,
            {**asdict(found), "misses": found.misses(), "passed": found.passed()},
            lambda: print(found),
        )
        return
    if options.id is not None:
        card = estimators.card(options.id)
        printing.show(options, printing.card_as_data(card), lambda: printing.card_page(card))
        return
    if options.markdown or options.limits:
        from infoplane.analysis import limits_page
        from infoplane.estimators import page

        print((limits_page if options.limits else page).markdown(), end="")
        return
    cards = estimators.catalogue()
    printing.show(
        options,
        [printing.card_as_data(card) for card in cards],
        lambda: printing.table(
            ("id", "measures", "cost", "ceiling"),
            [(card.id, card.measures, str(card.cost), card.ceiling) for card in cards],
        ),
    )


_OF_TASKS = ("images", "labels", "limit", "corruption")


def _recipe(task: str, options: argparse.Namespace) -> Any:
    from infoplane.tasks.training import Recipe

    named = {name: getattr(options, name, None) for name in _OF_TASKS}
    return Recipe(
        task=task,
        widths=_widths(options.widths),
        options={name: value for name, value in named.items() if value is not None},
        **{
            name: getattr(options, name)
            for name in ("activation", "regulariser", "strength", "optimiser", "lr", "batch",
                         "epochs", "seed")
        },
    )  # fmt: skip


def _widths(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(width) for width in text.replace("-", ",").split(","))
    except ValueError:
        raise InputError(f"`--widths` must be numbers such as 10,7,5; got {text!r}.") from None


def _params(pairs: Sequence[str]) -> dict[str, Any]:
    params = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"`--param` must be NAME=VALUE, for example bins=50; got {pair!r}.")
        try:
            params[name] = json.loads(value)
        except json.JSONDecodeError:
            params[name] = value
        if isinstance(params[name], list):
            params[name] = tuple(params[name])
    return params


def _await_run(path: Path, patience: float = 60.0) -> Run:
    """Open a run that another process is about to create."""
    from infoplane.store import is_run, open_run

    deadline = time.monotonic() + patience
    while not is_run(path) and time.monotonic() < deadline:
        time.sleep(0.05)
    return open_run(path)
