"""Lightning: a convolutional network on handwritten digits, with one callback more."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.data import DataLoader, TensorDataset

import infoplane as ip
from infoplane.integrations.lightning import InfoPlaneCallback


class Digits(lightning.LightningModule):
    """Two convolutions and two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 16, 3)
        self.drop = nn.Dropout(0.2)
        self.fc1, self.fc2 = nn.Linear(16 * 2 * 2, 32), nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, 10) of images (n, 1, 8, 8)."""
        x = F.max_pool2d(F.relu(self.conv2(F.relu(self.conv1(x)))), 2)
        return self.fc2(F.relu(self.fc1(self.drop(x.flatten(1)))))

    def training_step(self, batch: Any, index: int) -> Tensor:
        """Return the cross-entropy of a mini-batch."""
        x, y = batch
        return F.cross_entropy(self(x), y)

    def validation_step(self, batch: Any, index: int) -> None:
        """Log the accuracy."""
        x, y = batch
        self.log("accuracy", (self(x).argmax(1) == y).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.parameters(), lr=1e-3)


def main(folder: str | Path, epochs: int = 2) -> Path:
    """Train and record a run in `folder`."""
    lightning.seed_everything(0, verbose=False)
    images, labels = ip.tasks.digits()
    x, y = torch.tensor(images).reshape(-1, 1, 8, 8), torch.tensor(labels)
    train, test = TensorDataset(x[:1200], y[:1200]), TensorDataset(x[1200:], y[1200:])

    run = ip.Run.create(Path(folder) / "lightning")
    callback = InfoPlaneCallback(ip.Probe(x[1200:], y[1200:]), run, every=ip.log_spaced(20))
    trainer = lightning.Trainer(
        max_epochs=epochs, callbacks=[callback], accelerator="cpu", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(
        Digits(), DataLoader(train, batch_size=64, shuffle=True), DataLoader(test, batch_size=600)
    )
    run.close()
    return run.path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default="runs")
    print(main(parser.parse_args().folder))
