"""Train what a paper needs, estimate, and decide its claims; a second call goes on where it was."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import xarray as xr

from infoplane.analysis import evaluate, trajectories
from infoplane.errors import InputError
from infoplane.experiment import record
from infoplane.reproduce import saxe2018, szt2017
from infoplane.reproduce.claims import Paper, Reproduction
from infoplane.store import is_run, open_run
from infoplane.tasks.training import Recipe

PAPERS: dict[str, Paper] = {paper.key: paper for paper in (szt2017.PAPER, saxe2018.PAPER)}


def reproduce(
    paper: str,
    out: str | os.PathLike[str],
    *,
    seeds: int = 3,
    epochs: int = 1000,
    snapshots: int = 60,
    workers: int = 0,
    tell: Callable[[str], None] = lambda line: None,
) -> Reproduction:
    """Try the claims of a paper again and write ``claims.md`` and ``claims.json`` beside the runs.

    Every training of the paper runs with the seeds 0 … ``seeds`` − 1 and is kept as a run below
    ``out``; a run that is finished there is used as it is, so an interrupted call can be repeated.

    Parameters
    ----------
    paper
        ``"szt2017"`` or ``"saxe2018"``.
    out
        Directory for the runs and the table.
    seeds
        Replicates of every training; one seed shows nothing about a claim, 3 is the least that
        shows a spread.
    epochs
        Of every training; the published curves have about 8000.
    snapshots
        Of every run that is trained now, log-spaced; finished runs keep theirs.
    workers
        Processes that estimate, as in :func:`infoplane.evaluate`.
    tell
        Called with a line when something starts.

    Raises
    ------
    InputError
        When the paper is not known or a number is below 1.
    """
    if paper not in PAPERS:
        raise InputError(f"`paper` must be one of {', '.join(PAPERS)}; got {paper!r}.")
    for name, value in (("seeds", seeds), ("epochs", epochs), ("snapshots", snapshots)):
        if value < 1:
            raise InputError(f"`{name}` must be at least 1; got {value}.")
    chosen = PAPERS[paper]
    runs: dict[str, list[Path]] = {}
    evidence: dict[str, list[xr.Dataset]] = {}
    for training, change in chosen.trainings.items():
        for seed in range(seeds):
            path = Path(out) / f"{training}-seed-{seed}"
            recipe = change(Recipe(epochs=epochs, seed=seed))
            _train(recipe, path, snapshots, tell)
            tell(f"{path.name}: estimating")
            evaluate(path, chosen.estimators, workers=workers, null=0)
            runs.setdefault(training, []).append(path)
            evidence.setdefault(training, []).append(trajectories(open_run(path)))
    outcome = Reproduction(
        chosen,
        tuple((claim, claim.check(evidence)) for claim in chosen.claims),
        seeds,
        epochs,
        runs,
    )
    Path(out).mkdir(parents=True, exist_ok=True)
    Path(out, "claims.md").write_text(outcome.markdown(), encoding="utf-8")
    Path(out, "claims.json").write_text(json.dumps(outcome.as_data(), indent=2), encoding="utf-8")
    return outcome


def _train(recipe: Recipe, path: Path, snapshots: int, tell: Callable[[str], None]) -> None:
    if is_run(path):
        run = open_run(path)
        if run.status().state != "finished" or dict(run.config) != recipe.config():
            raise InputError(
                f"{path} holds a run that is {run.status().state} or of another recipe; move it "
                "away or choose another directory."
            )
        return
    tell(f"{path.name}: training {recipe.epochs} epochs")
    record(recipe, path, name=path.name, snapshots=snapshots)
