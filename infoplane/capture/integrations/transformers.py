"""A callback for the Hugging Face Trainer: ``Trainer(…, callbacks=[InfoPlaneCallback(…)])``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from infoplane.capture.probe import Probe
from infoplane.capture.recorder import Watcher
from infoplane.types import Sink, Snapshot


class InfoPlaneCallback(TrainerCallback):  # type: ignore[misc]
    """Watches the Trainer's model during ``train``; nothing about the training changes.

    Steps are the Trainer's ``global_step`` (optimiser updates), a resumed training's included. What
    the Trainer logs (loss, learning rate, gradient norm, evaluation) is recorded. On the other
    ranks of a distributed training it does nothing.

    Parameters
    ----------
    probe : Probe, sequence of Probe, or mapping of name to Probe
        The probe set, as the model takes it: ``Probe({"input_ids": …, "attention_mask": …}, y)``.
    run : Run, any sink, callable taking a Snapshot, or None
        Where snapshots go; None on ranks other than 0.
    **options
        As for `watch`: ``layers``, ``every``, ``reduce``, ``capture``, ``budget`` …
    """

    def __init__(
        self,
        probe: Probe | Sequence[Probe] | Mapping[str, Probe],
        run: Sink | Callable[[Snapshot], Any] | None,
        **options: Any,
    ) -> None:
        self.probe, self.run, self.options = probe, run, options
        self.watcher: Watcher | None = None
        self._resumed: int | None = None

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        model: nn.Module,
        **kwargs: Any,
    ) -> None:
        """Attach, after the Trainer has loaded its checkpoint."""
        resumed = state.global_step or self._resumed
        options = {"start": resumed, **self.options} if resumed else self.options
        self.watcher = Watcher(model, self.probe, self.run, **options).start()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Take a snapshot if one is due."""
        self._step(state, {})

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        logs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Record what the Trainer logs."""
        self._step(state, {k: v for k, v in (logs or {}).items() if isinstance(v, int | float)})

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Take the last snapshot and detach."""
        if self.watcher is not None:
            self.watcher.close("finished")

    def state_dict(self) -> dict[str, Any]:
        """Return what is needed to continue the time axis."""
        return {} if self.watcher is None else self.watcher.state_dict()

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue the time axis where the Trainer's own state does not say it."""
        self._resumed = state_dict.get("step")

    def _step(self, state: TrainerState, scalars: Mapping[str, Any]) -> None:
        if self.watcher is not None:
            self.watcher.step(state.global_step, **scalars)
