"""The command line: parses, calls the library, prints. Nothing is computed here.

Exit status: 0 done, 1 failed with one clear line on stderr (a traceback only with ``--debug``),
2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infoplane import __version__
from infoplane.errors import InfoplaneError, InputError
from infoplane.types import NATS_TO_BITS, Verdict

if TYPE_CHECKING:
    from infoplane.estimators import Card
    from infoplane.store import Run, RunSummary

Command = Callable[[argparse.Namespace], None]
VERDICT_WORDS = {Verdict.OK: "ok", Verdict.CAUTION: "caution", Verdict.NOT_USABLE: "not usable"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `infoplane list | head`
        sys.stderr.close()
        return 0
    except (InfoplaneError, OSError) as error:
        if options.debug:
            raise
        print(f"infoplane: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


# ---- the commands, in the order a newcomer meets them --------------------------------------------


def demo(options: argparse.Namespace) -> None:
    """Train the network of Shwartz-Ziv and Tishby and watch it live."""
    from infoplane.demo import Demo, run_demo

    run_demo(
        Demo(
            out=options.out,
            recipe=_recipe("szt", options),
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

        record(recipe, options.out, snapshots=options.snapshots, on_progress=show)
    print(f"run  {options.out}\nnext  infoplane evaluate {options.out}")


def evaluate(options: argparse.Namespace) -> None:
    """Estimate what is missing in a run."""
    import infoplane as ip

    summary = ip.evaluate(
        _await_run(options.run) if options.follow else ip.open_run(options.run),
        [(name, _params(options.param)) for name in options.estimators],
        workers=options.workers,
        null=options.null,
        seed=options.seed,
        follow=options.follow,
        progress=not options.quiet,
    )
    _print(options, asdict(summary), lambda: print(summary))


def serve(options: argparse.Namespace) -> None:
    """Serve the pages over all runs below a directory."""
    from infoplane.views.serve import serve as serve_pages

    serve_pages(
        options.directory,
        port=options.port,
        host=options.host,
        open_browser=not options.no_open,
        password=options.password,
    )


def list_runs(options: argparse.Namespace) -> None:
    """List the runs below a directory with their status."""
    from infoplane.store import list_runs as runs_below

    runs = runs_below(options.directory)
    _print(options, [_summary(run) for run in runs], lambda: _print_runs(runs, options.directory))


def show(options: argparse.Namespace) -> None:
    """Say what a run holds and what can be concluded from it."""
    from infoplane.analysis import findings
    from infoplane.store import open_run

    run = open_run(options.run)
    rows = _last_rows(run)
    text = findings(run)

    def plain() -> None:
        status = run.status()
        reason = f" ({status.reason})" if status.reason else ""
        print(printable(f"{run.name}: {status.state}{reason}"))
        print(
            f"{len(run.steps)} snapshots, {len(run.layers)} layers, {len(rows)} final estimates\n"
        )
        _print_table(
            ("layer", "estimator", "target", "bits", "null", "verdict"),
            [
                (r["layer"], r["estimator"], r["target"], _bits(r["value"]), _bits(r["null"]),
                 r["verdict"])
                for r in rows
            ],
        )  # fmt: skip
        print(f"\n{printable(text)}")

    _print(options, {**_describe(run), "last": rows, "findings": text}, plain)


def report(options: argparse.Namespace) -> None:
    """Write the offline page of a run."""
    from infoplane.report import report as write_report

    print(write_report(options.run, options.out or Path(options.run).parent / "report.html"))


def catalogue(options: argparse.Namespace) -> None:
    """List the estimators, or show one card."""
    from infoplane import estimators

    if options.id is not None:
        card = estimators.card(options.id)
        _print(options, _card(card), lambda: _print_card(card))
        return
    cards = estimators.catalogue()
    _print(
        options,
        [_card(card) for card in cards],
        lambda: _print_table(
            ("id", "measures", "cost", "ceiling"),
            [(card.id, card.measures, str(card.cost), card.ceiling) for card in cards],
        ),
    )


# ---- parsing -------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="infoplane",
        description="See what a network keeps and what it forgets while it trains.",
    )
    parser.add_argument("--version", action="version", version=f"infoplane {__version__}")
    parser.add_argument("--debug", action="store_true", help="show a traceback when it fails")
    verbs = parser.add_subparsers(metavar="VERB", required=True)

    def verb(name: str, command: Command, example: str, *, as_json: bool = False) -> Any:
        summary = (command.__doc__ or "").strip()
        sub = verbs.add_parser(
            name,
            help=summary,
            description=summary,
            epilog=f"example:  infoplane {example}",
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        sub.set_defaults(command=command, json=False)
        if as_json:
            sub.add_argument("--json", action="store_true", help="print JSON")
        return sub

    sub = verb("demo", demo, "demo --epochs 1000 --out mine")
    sub.add_argument("--out", type=Path, help="directory for run/ and report.html")
    sub.add_argument("--no-open", action="store_true", help="open no browser")
    sub.add_argument("--exit", action="store_true", help="end after the report")
    sub.add_argument("--port", type=_port, default=0, help="of the page; 0 takes a free one")
    _add_recipe(sub, epochs=2500)

    sub = verb("train", train, "train szt --activation relu --out runs/relu")
    sub.add_argument("task", choices=["szt", "digits", "blobs", "idx"])
    sub.add_argument("--out", type=Path, required=True, help="directory of the run")
    sub.add_argument("--images", help="IDX file, for the task idx")
    sub.add_argument("--labels", help="IDX file, for the task idx")
    sub.add_argument("--corruption", type=float, help="share of random labels, for blobs")
    sub.add_argument("--quiet", action="store_true", help="no progress bar")
    _add_recipe(sub, epochs=1000)

    sub = verb("evaluate", evaluate, "evaluate runs/szt mi.ksg --workers 2", as_json=True)
    sub.add_argument("run", type=Path)
    sub.add_argument("estimators", nargs="*", default=["mi.binning", "mi.adaptive", "mi.kde"])
    sub.add_argument("--param", action="append", default=[], metavar="NAME=VALUE",
                     help="parameter of the estimators, as JSON; may be repeated")  # fmt: skip
    sub.add_argument("--workers", type=int, default=0, help="processes; 0 uses this one")
    sub.add_argument("--null", type=int, default=20, help="shuffled draws per estimate")
    sub.add_argument("--seed", type=int, default=0)
    sub.add_argument("--follow", action="store_true", help="go on while the run grows")
    sub.add_argument("--quiet", action="store_true", help="no progress bar")

    sub = verb("serve", serve, "serve runs --port 5006")
    sub.add_argument("directory", type=Path, nargs="?", default=Path("runs"))
    sub.add_argument("--port", type=_port, default=5006, help="0 takes a free one")
    sub.add_argument("--host", default="127.0.0.1", help="another host needs --password")
    sub.add_argument("--password", help="ask everyone for this password")
    sub.add_argument("--no-open", action="store_true", help="open no browser")

    sub = verb("list", list_runs, "list runs --json", as_json=True)
    sub.add_argument("directory", type=Path, nargs="?", default=Path("runs"))

    sub = verb("show", show, "show demo/run", as_json=True)
    sub.add_argument("run", type=Path)

    sub = verb("report", report, "report demo/run --out tanh.html")
    sub.add_argument("run", type=Path)
    sub.add_argument("--out", type=Path, help="the file; by default report.html beside the run")

    sub = verb("catalogue", catalogue, "catalogue mi.kde", as_json=True)
    sub.add_argument("id", nargs="?", help="one estimator")
    return parser


def _add_recipe(sub: Any, *, epochs: int) -> None:
    sub.add_argument("--widths", default="10,7,5,4,3", help="hidden layers")
    sub.add_argument("--activation", default="tanh", help="tanh, relu, elu, softplus, swish, …")
    sub.add_argument("--regulariser", default="none", help="none, l2, dropout, noise, cs_ib")
    sub.add_argument("--strength", type=float, default=0.0, help="of the regulariser")
    sub.add_argument("--optimiser", default="adam", help="adam, sgd, momentum")
    sub.add_argument("--lr", type=float, default=4e-4)
    sub.add_argument("--batch", type=int, default=256)
    sub.add_argument("--epochs", type=int, default=epochs)
    sub.add_argument("--seed", type=int, default=0)
    sub.add_argument("--snapshots", type=int, default=150, help="how many, log-spaced")


def _recipe(task: str, options: argparse.Namespace) -> Any:
    from infoplane.tasks.training import Recipe

    named = {name: getattr(options, name, None) for name in ("images", "labels", "corruption")}
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


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError("a port is a number in [0, 65535]")
    return port


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
    import time

    from infoplane.store import is_run, open_run

    deadline = time.monotonic() + patience
    while not is_run(path) and time.monotonic() < deadline:
        time.sleep(0.05)
    return open_run(path)


# ---- printing ------------------------------------------------------------------------------------


def _print(options: argparse.Namespace, data: Any, plain: Callable[[], None]) -> None:
    if options.json:
        print(json.dumps(data, indent=2, default=str, ensure_ascii=False, allow_nan=False))
    else:
        plain()


def _print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(str(row[i])) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        cells = (f"{cell!s:<{width}}" for cell, width in zip(row, widths, strict=True))
        print(printable("  ".join(cells)).rstrip())


def printable(text: str) -> str:
    """Replace control characters: names come from disk and could drive the reader's terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def _bits(nats: float | None) -> str:
    return "–" if nats is None else f"{nats * NATS_TO_BITS:.3f}"


def _print_runs(runs: Sequence[RunSummary], directory: Path) -> None:
    if not runs:
        print(f"no runs below {directory}; `infoplane demo` makes one")
        return
    _print_table(
        ("run", "name", "status", "snapshots", "path"),
        [
            (run.id[:8], run.name, f"{run.status.state} {run.status.reason}".strip(),
             str(run.steps), str(run.path))
            for run in runs
        ],
    )  # fmt: skip


def _summary(run: RunSummary) -> dict[str, Any]:
    return {
        "id": run.id, "name": run.name, "status": run.status.state, "reason": run.status.reason,
        "created": run.created, "snapshots": run.steps, "path": str(run.path),
    }  # fmt: skip


def _describe(run: Run) -> dict[str, Any]:
    return {
        "id": run.uuid, "name": run.name, "status": run.status().state,
        "reason": run.status().reason, "steps": run.steps, "layers": run.layers,
        "config": run.config, "path": str(run.path),
    }  # fmt: skip


def _last_rows(run: Run) -> list[dict[str, Any]]:
    """Return the last measurement of each layer, estimator and target, in layer order."""
    last: dict[tuple[str, ...], Any] = {}
    for row in sorted(run.measurements(), key=lambda row: row.step):
        params = json.dumps(dict(row.params), sort_keys=True, default=str)
        last[row.layer, row.estimator, params, row.target, row.probe] = row
    order = {layer: i for i, layer in enumerate(run.layers)}
    rows = sorted(last.values(), key=lambda r: (r.estimator, order.get(r.layer, -1), r.target))
    return [
        {
            "layer": row.layer, "estimator": row.estimator, "params": dict(row.params),
            "target": row.target, "probe": row.probe, "step": row.step, "value": row.value,
            "unit": row.unit, "null": row.null.mean if row.null else None,
            "ceiling": row.ceiling, "verdict": VERDICT_WORDS[row.verdict], "reason": row.reason,
        }
        for row in rows
    ]  # fmt: skip


def _card(card: Card) -> dict[str, Any]:
    return {
        "id": card.id, "label": card.label, "quantity": str(card.quantity),
        "measures": card.measures, "formula": card.formula, "unit": card.unit,
        "cost": str(card.cost), "complexity": card.complexity, "ceiling": card.ceiling,
        "bound": card.bound, "min_samples": card.min_samples, "max_dim": card.max_dim,
        "assumes": list(card.assumes), "limits": list(card.limits),
        "invariant": list(card.invariant), "reference": card.reference, "version": card.version,
        "params": {
            name: {"default": param.default, "must_be": param.describe()}
            for name, param in card.params.items()
        },
    }  # fmt: skip


def _print_card(card: Card) -> None:
    print(f"{card.id}  {card.label}\n{card.summary}\n")
    facts = _card(card)
    for name in ("measures", "formula", "unit", "cost", "complexity", "ceiling", "bound",
                 "min_samples", "max_dim", "reference"):  # fmt: skip
        if facts[name] not in (None, ""):
            print(f"  {name.replace('_', ' '):<12}{facts[name]}")
    for name in ("assumes", "limits"):
        for line in facts[name]:
            print(f"  {name:<12}{line}")
    for name, param in facts["params"].items():
        print(f"  parameter   {name} = {param['default']!r}: {param['must_be']}")
