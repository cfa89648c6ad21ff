"""A recipe trained while it is watched: a task, a network, a probe set and a run put together.

The demo, ``infoplane train``, the playground and the reproductions are all this one function.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from infoplane.capture import Probe, log_spaced, watch
from infoplane.store import Run
from infoplane.tasks.training import Progress, Recipe, Training


class CancelledError(Exception):
    """The caller of :func:`record` asked to stop; the run is readable and says so."""


def record(
    recipe: Recipe,
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    snapshots: int = 150,
    split: bool = False,
    resume: Literal["never", "allow", "must"] = "never",
    on_progress: Callable[[Progress, Training], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Path:
    """Train ``recipe`` and write its run to ``path``; return the path.

    The probe set is the whole task, train and test part, as in the published experiment, or with
    ``split`` two sets, "train" and "test". The hidden activations and the softmax are captured at
    about ``snapshots`` log-spaced steps.

    Parameters
    ----------
    recipe
        What to train.
    path
        Directory of the run.
    name
        Shown on the page; by default made from the recipe.
    snapshots
        How many snapshots, the untrained and the last network included.
    split
        Watch the train and the test part apart, so that they can be compared.
    resume
        ``"never"`` refuses a directory that holds a run, as in :meth:`infoplane.Run.create`.
    on_progress
        Called after each epoch with the progress and the training.
    cancelled
        Asked after each epoch; True ends the training and the run is marked interrupted.

    Raises
    ------
    CancelledError
        After ``cancelled()`` was true.
    """
    training = Training(recipe)
    probe = _probes(training) if split else Probe(training.x, training.y)
    schedule = log_spaced(snapshots, until=training.total_steps)
    with (
        Run.create(path, name=name or title(recipe), resume=resume, config=recipe.config()) as run,
        watch(training.model, probe, run, layers=list(training.layers), every=schedule) as watcher,
    ):
        for progress in training.epochs(watcher.step):
            if on_progress is not None:
                on_progress(progress, training)
            if cancelled():
                watcher.close("interrupted")
                raise CancelledError
    return Path(path)


def _probes(training: Training) -> tuple[Probe, Probe]:
    parts = {"train": training.train_rows, "test": training.test_rows}
    train, test = (Probe(training.x[r], training.y[r], name=name) for name, r in parts.items())
    return train, test


def title(recipe: Recipe) -> str:
    """Return a name for a run of this recipe: ``"szt 10-7-5-4-3 tanh adam seed 0"``."""
    widths = "-".join(map(str, recipe.widths))
    extra = "" if recipe.regulariser == "none" else f" {recipe.regulariser} {recipe.strength:g}"
    return (
        f"{recipe.task} {widths} {recipe.activation} {recipe.optimiser}{extra} seed {recipe.seed}"
    )
