"""The verbs and their options."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infoplane import __version__
from infoplane.cli import commands

Command = Callable[[argparse.Namespace], None]


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    top = argparse.ArgumentParser(
        prog="infoplane",
        description="See what a network keeps and what it forgets while it trains.",
    )
    top.add_argument("--version", action="version", version=f"infoplane {__version__}")
    top.add_argument("--debug", action="store_true", help="show a traceback when it fails")
    verbs = top.add_subparsers(metavar="VERB", required=True)

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

    sub = verb("demo", commands.demo, "demo --epochs 1000 --out mine")
    sub.add_argument("--out", type=Path, help="directory for run/ and report.html")
    sub.add_argument("--no-open", action="store_true", help="open no browser")
    sub.add_argument("--exit", action="store_true", help="end after the report")
    sub.add_argument("--port", type=_port, default=0, help="of the page; 0 takes a free one")
    # Seeds differ by bits: of 0 to 14, eleven show the last hidden layer's peak near epoch 25, four
    # do not (yet) fall within 300 epochs. 4 lies near the mean of the published replications.
    _add_recipe(sub, epochs=2500, seed=4)

    sub = verb("train", commands.train, "train szt --activation relu --out runs/relu")
    sub.add_argument("task", choices=["szt", "digits", "blobs", "idx"])
    sub.add_argument("--out", type=Path, required=True, help="directory of the run")
    sub.add_argument("--images", help="IDX file, for the task idx")
    sub.add_argument("--labels", help="IDX file, for the task idx")
    sub.add_argument("--limit", type=int, help="how many samples, for the task idx")
    sub.add_argument("--corruption", type=float, help="share of random labels, for blobs")
    sub.add_argument("--probes", choices=["whole", "split"], default="whole",
                     help="probe sets: the whole task, or train and test part apart")  # fmt: skip
    sub.add_argument("--quiet", action="store_true", help="no progress bar")
    _add_recipe(sub, epochs=1000)

    sub = verb("evaluate", commands.evaluate, "evaluate runs/szt mi.ksg --workers 2", as_json=True)
    sub.add_argument("run", type=Path)
    sub.add_argument("estimators", nargs="*", default=["mi.binning", "mi.adaptive", "mi.kde"])
    sub.add_argument("--param", action="append", default=[], metavar="NAME=VALUE",
                     help="parameter of the estimators, as JSON; may be repeated")  # fmt: skip
    sub.add_argument("--workers", type=int, default=0, help="processes; 0 uses this one")
    sub.add_argument("--null", type=int, default=20, help="shuffled draws per estimate")
    sub.add_argument("--seed", type=int, default=0)
    sub.add_argument("--follow", action="store_true", help="go on while the run grows")
    sub.add_argument("--retry", action="store_true", help="try failed measurements again")
    sub.add_argument("--timeout", type=float, metavar="SECONDS",
                     help="give a job up after so long; starts a worker process")  # fmt: skip
    sub.add_argument("--memory", type=float, metavar="GIB",
                     help="most that a worker process may allocate")  # fmt: skip
    sub.add_argument("--device", help="torch device for the O(n²) work, such as cuda")
    sub.add_argument("--quiet", action="store_true", help="no progress bar")

    sub = verb("serve", commands.serve, "serve runs --port 5006")
    sub.add_argument("directory", type=Path, nargs="?", default=Path("runs"))
    sub.add_argument("--port", type=_port, default=5006, help="0 takes a free one")
    sub.add_argument("--host", default="127.0.0.1", help="another host needs --password")
    sub.add_argument("--password", help="ask everyone for this password")
    sub.add_argument("--no-open", action="store_true", help="open no browser")

    sub = verb("list", commands.list_runs, "list runs --json", as_json=True)
    sub.add_argument("directory", type=Path, nargs="?", default=Path("runs"))

    sub = verb("show", commands.show, "show demo/run", as_json=True)
    sub.add_argument("run", type=Path)

    sub = verb("report", commands.report, "report demo/run --out tanh.html")
    sub.add_argument("run", type=Path)
    sub.add_argument("--out", type=Path, help="the file; by default report.html beside the run")
    sub.add_argument("--full", action="store_true", help="every step, not means of log bins")

    sub = verb("export", commands.export, "export demo/run --out tanh.csv")
    sub.add_argument("run", type=Path)
    sub.add_argument("--out", type=Path, required=True,
                     help="the file: .csv, .json, .parquet, .nc, .tex or .bib")  # fmt: skip

    sub = verb(
        "import", commands.import_run, "import activations/ --out runs/theirs --y labels.npy"
    )
    sub.add_argument("path", type=Path, help="npz, npy, safetensors or HDF5, a file or a folder")
    sub.add_argument("--out", type=Path, required=True, help="directory of the run")
    sub.add_argument("--x", type=Path, help="file with the inputs, (n, …)")
    sub.add_argument("--y", type=Path, help="file with the labels, (n,)")
    sub.add_argument("--target", choices=["class", "regression"], default="class",
                     help="what the labels are")  # fmt: skip
    sub.add_argument("--layers", nargs="+", help="which, in the network's order; default all")
    sub.add_argument("--pattern", metavar="REGEX",
                     help=r"how names tell both: '(?P<layer>.+)@(?P<step>\d+)'")  # fmt: skip

    sub = verb("reproduce", commands.reproduce, "reproduce saxe2018 --seeds 3", as_json=True)
    sub.add_argument("paper", help="szt2017 or saxe2018")
    sub.add_argument("--out", type=Path, help="default: reproduce-PAPER; goes on where it was")
    sub.add_argument("--seeds", type=int, default=3, help="replicates of every training")
    sub.add_argument("--epochs", type=int, default=1000, help="the published curves have 8000")
    sub.add_argument("--workers", type=int, default=0, help="processes that estimate")

    sub = verb("verify", commands.verify, "verify demo/run", as_json=True)
    sub.add_argument("run", type=Path)

    sub = verb("catalogue", commands.catalogue, "catalogue mi.kde", as_json=True)
    sub.add_argument("id", nargs="?", help="one estimator")
    sub.add_argument("--markdown", action="store_true", help="all cards as the page of the docs")
    sub.add_argument("--limits", action="store_true",
                     help="when not to believe a number, as the page of the docs")  # fmt: skip
    sub.add_argument("--self-consistency", action="store_true",
                     help="put it to tests that need no true value")  # fmt: skip
    return top


def _add_recipe(sub: Any, *, epochs: int, seed: int = 0) -> None:
    sub.add_argument("--widths", default="10,7,5,4,3", help="hidden layers")
    sub.add_argument("--activation", default="tanh", help="tanh, relu, elu, softplus, swish, …")
    sub.add_argument(
        "--regulariser", default="none", help="none, l2, dropout, noise, cs_ib, vib, nib"
    )
    sub.add_argument("--strength", type=float, default=0.0, help="of the regulariser")
    sub.add_argument("--optimiser", default="adam", help="adam, sgd, momentum")
    sub.add_argument("--lr", type=float, default=4e-4)
    sub.add_argument("--batch", type=int, default=256)
    sub.add_argument("--epochs", type=int, default=epochs)
    sub.add_argument("--seed", type=int, default=seed, help=f"of weights, split, order ({seed})")
    sub.add_argument("--snapshots", type=int, default=150, help="how many, log-spaced")


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError("a port is a number in [0, 65535]")
    return port
