"""Planted runs, trained for real and sent through the whole pipeline, are called what they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import infoplane as ip
from infoplane.analysis import conclusion, findings
from infoplane.capture import Probe, log_spaced, watch
from infoplane.store import Run, open_run
from infoplane.tasks import szt
from infoplane.tasks.training import Recipe, mlp

N = 512


def points(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two overlapping classes in five dimensions."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(N) % 2)
    x = rng.standard_normal((N, 5))
    x[:, 0] += 1.6 * (2.0 * y - 1.0)
    return x.astype(np.float32), y.astype(np.int64)


def trained(
    path: Path,
    data: tuple[np.ndarray, np.ndarray],
    probes: Sequence[Probe],
    *,
    widths: tuple[int, ...] = (4, 2),
    activation: str = "tanh",
    updates: int = 400,
    lr: float = 0.02,
    batch: int = 128,
    prepare: Callable[[nn.Sequential], None] = lambda network: None,
    layers: Sequence[str] = (),
) -> Run:
    """Train a small network, record it, measure it with fixed bins and return the run."""
    x, y = (torch.from_numpy(array) for array in data)
    recipe = Recipe(widths=widths, activation=activation, seed=1)
    network = mlp(x.shape[1], 2, recipe)
    prepare(network)
    children = [name for name, _ in network.named_children()]
    names = layers or [n for n in children if n.startswith(activation) or n == "softmax"]
    adam = torch.optim.Adam(network.parameters(), lr)
    order = torch.Generator().manual_seed(0)
    schedule = log_spaced(22, until=updates)
    run = Run.create(path)
    with run, watch(network, list(probes), run, layers=list(names), every=schedule) as watcher:
        watcher.step(0)
        for step in range(1, updates + 1):
            rows = torch.randint(0, len(x), (batch,), generator=order)
            picked = network(x[rows]).gather(1, y[rows, None])
            loss = -picked.clamp_min(1e-30).log().mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
            watcher.step(step, loss=loss.item())
        with torch.no_grad():
            right = (network(x).argmax(dim=1) == y).float().mean().item()
        run.record(updates, {"accuracy": right})
    ip.evaluate(path, ["mi.binning"])
    return open_run(path)


def line(run: Run, layer: str) -> str:
    heads = {text: text.partition(": ")[0].replace(" and ", ", ") for text in said(run)}
    (text,) = [text for text, names in heads.items() if layer in names.split(", ")]
    return text


def said(run: Run) -> list[str]:
    return [text for text in findings(run).splitlines() if ": " in text]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("planted")


def test_random_labels_show_no_dependence_on_samples_that_were_not_trained_on(folder):
    (x, y), (held_out, other) = points(1), points(2)
    labels, theirs = (np.random.default_rng(3).permutation(array) for array in (y, other))
    run = trained(folder / "random", (x, labels), [Probe(held_out, theirs)])
    assert "fitted" not in findings(run) + conclusion(run)
    assert "no dependence on Y is detected" in line(run, "softmax")
    assert "softmax shows no dependence on the labels" in conclusion(run)


def test_shuffled_rows_are_told_from_the_accuracy(folder):
    x, y = points(1)
    order = np.random.default_rng(4).permutation(N)
    run = trained(folder / "shuffled", (x, y), [Probe(x, y[order])])
    assert "no dependence on Y is detected" in line(run, "softmax")
    for text in (findings(run), conclusion(run)):
        assert "fitted" not in text
        assert "not in the same order" in text


def test_a_linear_network_outgrows_its_bins_and_is_not_said_to_compress(folder):
    x, y = points(1)
    run = trained(folder / "linear", (x, y), [Probe(x, y)], activation="linear", widths=(4, 1))
    text = line(run, "linear2")
    assert "fitted by" in text
    assert "no compression is concluded" in text
    assert "growth" in text
    assert "linear2 had fitted by" in conclusion(run)
    assert "cannot be said to compress, because many values lie beyond the bins" in conclusion(run)
    assert "more I(X; bin(T)) in softmax than in linear2" in findings(run)  # no chain does that


def test_a_memorising_network_knows_its_own_samples_only(folder):
    rng = np.random.default_rng(5)
    x, other = (rng.standard_normal((256, 20)).astype(np.float32) for _ in range(2))
    y, theirs = (rng.permutation(np.arange(256) % 2) for _ in range(2))
    probes = [Probe(x, y, name="train"), Probe(other, theirs, name="test")]
    run = trained(folder / "memory", (x, y), probes, widths=(24, 2), updates=500)
    assert "1.00 bits at the end" in line(run, "softmax")
    for text in (findings(run), conclusion(run)):
        assert "On the probe set 'test' no dependence on Y is detected in softmax" in text


def test_a_wide_layer_is_saturated_and_a_dead_one_dead(folder):
    x, y = points(1)

    def kill(network: nn.Sequential) -> None:
        with torch.no_grad():
            network.fc2.bias.fill_(-50.0)

    run = trained(folder / "dead", (x, y), [Probe(x, y)], widths=(40, 3), activation="relu",
                  prepare=kill, updates=60)  # fmt: skip
    wide = line(run, "relu1")
    assert "I(bin(T); Y) cannot be read: shuffled labels give nearly as much at all" in wide
    assert "I(X; bin(T)) cannot be read: the number is at its ceiling at all" in wide
    assert "relu2 and softmax: dead, all units are constant at all" in findings(run)
    assert "relu2 and softmax are dead" in conclusion(run)
    assert not re.search("fitted by|compressed by|geometry", conclusion(run))


def test_a_network_that_does_not_learn_has_flat_curves(folder):
    x, y = points(1)
    run = trained(folder / "flat", (x, y), [Probe(x, y)], widths=(4, 1), lr=1e-6, updates=200)
    text = line(run, "tanh2")
    assert "too little to say when" in text
    assert "no compression is concluded: the largest" in text
    assert "loss falls" not in findings(run)
    assert "was not seen to compress" in conclusion(run)


def test_fitting_then_compression_of_the_twelve_bit_task(folder):
    run = trained(folder / "szt", szt(), [Probe(*szt())], widths=(10, 7, 5, 4, 3), updates=900,
                  lr=2e-3, batch=256, layers=("tanh1", "tanh2", "softmax"))  # fmt: skip
    text = line(run, "softmax")
    assert "fitted by step" in text
    onset = int(text.partition("falls by")[2].partition("from step ")[2].split()[0])
    assert 50 <= onset <= 400  # the loss falls fastest near step 100
    assert "p < 0.001" in text
    assert "I(X; bin(T)) cannot be read: the number is at its ceiling" in line(run, "tanh1")
    paragraph = conclusion(run)
    assert "\n" not in paragraph
    assert re.search(
        r"softmax had fitted by step \d+ and was compressed by \d\.\d\d bits", paragraph
    )
    assert "a change of geometry" in paragraph
    assert "tanh1 and tanh2 are unreadable" in paragraph
