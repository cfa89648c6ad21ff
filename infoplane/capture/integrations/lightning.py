"""A callback for Lightning: ``Trainer(callbacks=[InfoPlaneCallback(probe, run)])``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from infoplane.capture.probe import Probe
from infoplane.capture.recorder import Watcher
from infoplane.types import Sink, Snapshot


class InfoPlaneCallback(Callback):  # type: ignore[misc]
    """Watches the LightningModule during ``fit``; nothing about the training changes.

    Steps are Lightning's ``global_step`` (optimiser updates). The loss of each batch is recorded,
    and what the module logs is recorded at the end of each epoch and validation. On the other ranks
    of a distributed training it does nothing.

    Parameters
    ----------
    probe : Probe, sequence of Probe, or mapping of name to Probe
        The probe set; a module whose ``forward`` is not the network needs ``Probe(forward=…)``.
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

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Attach, on the training's device and after its checkpoint is loaded."""
        resumed = trainer.global_step or self._resumed
        options = {"start": resumed, **self.options} if resumed else self.options
        self.watcher = Watcher(pl_module, self.probe, self.run, **options).start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Record the batch's loss and take a snapshot if one is due."""
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        scalars = {"loss": loss} if isinstance(loss, Tensor) else {}
        self._step(trainer, scalars)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record what the module has logged, and the epochs done."""
        self._step(trainer, {**trainer.callback_metrics, "epoch": trainer.current_epoch + 1})

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record what the validation has logged."""
        self._step(trainer, trainer.callback_metrics)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the last snapshot and detach."""
        self._close("finished")

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Detach; Lightning passes the exception on."""
        self._close("failed" if isinstance(exception, Exception) else "interrupted")

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint needs to continue the time axis."""
        return {} if self.watcher is None else self.watcher.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue the time axis of a checkpoint."""
        self._resumed = state_dict.get("step")

    def _step(self, trainer: Trainer, scalars: Mapping[str, Any]) -> None:
        if self.watcher is not None and not trainer.sanity_checking:
            self.watcher.step(trainer.global_step, **scalars)

    def _close(self, status: str) -> None:
        if self.watcher is not None:
            self.watcher.close(status)
