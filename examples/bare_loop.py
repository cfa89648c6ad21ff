"""A bare PyTorch loop with one line more: a ResNet, written out, on handwritten digits."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import infoplane as ip


class Block(nn.Module):
    """Two convolutions and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return relu(F(x) + x)."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return F.relu(out)


class ResNet(nn.Module):
    """Stem, three stages of one block, average pooling, read-out."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(width)
        self.stage1 = Block(width, width, 1)
        self.stage2 = Block(width, 2 * width, 2)
        self.stage3 = Block(2 * width, 4 * width, 2)
        self.fc = nn.Linear(4 * width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, 10) of images (n, 1, 8, 8)."""
        x = F.relu(self.bn(self.stem(x)))
        x = self.stage3(self.stage2(self.stage1(x)))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


def main(folder: str | Path, epochs: int = 2) -> Path:
    """Train and record a run in `folder`."""
    torch.manual_seed(0)
    images, labels = ip.tasks.digits()
    x, y = torch.tensor(images).reshape(-1, 1, 8, 8), torch.tensor(labels)
    model = ResNet()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    data = torch.utils.data.TensorDataset(x[:1200], y[:1200])
    loader = torch.utils.data.DataLoader(data, batch_size=64, shuffle=True)

    run = ip.Run.create(Path(folder) / "resnet")
    probes = {"test": ip.Probe(x[1200:1500], y[1200:1500]), "train": ip.Probe(x[:300], y[:300])}
    schedule = ip.log_spaced(20, until=epochs * len(loader))
    with run, ip.watch(model, probes, run, every=schedule) as w:
        for epoch in range(epochs):
            for step, (inputs, targets) in enumerate(loader, start=epoch * len(loader)):
                loss = F.cross_entropy(model(inputs), targets)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                w.step(step, loss=loss, epoch=epoch)
    return run.path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default="runs")
    print(main(parser.parse_args().folder))
