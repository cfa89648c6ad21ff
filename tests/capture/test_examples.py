"""The examples run, change nothing, and leave readable runs."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import infoplane as ip

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def healthy(path, *, probes, scalars):
    run = ip.open_run(path)
    assert run.status().state == "finished"
    assert run.probes == probes
    assert run.steps[0] == 0
    assert len(run.steps) > 5
    assert scalars <= set(run.scalars())
    assert not [event for event in run.events() if event["event"] == "fault"]
    for layer in run.layers:
        first, last = run.load(0, layer), run.load(run.steps[-1], layer)
        assert np.isfinite(last).all()
        assert first.shape == last.shape
    assert not np.array_equal(run.load(0, run.layers[-1]), run.load(run.steps[-1], run.layers[-1]))
    return run


def test_a_bare_loop_with_a_resnet(tmp_path):
    path = example("bare_loop").main(tmp_path, epochs=1)
    run = healthy(path, probes=["test", "train"], scalars={"loss", "epoch"})
    assert run.layers[0] == "bn:relu"
    assert "stage3:relu" in run.layers
    assert run.steps[-1] == 19
    assert run.load(0, "fc", probe="train").shape == (300, 10)


# 2026-11: lightning 2.6 tests for leaves in a way that torch 2.13 deprecates.
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec")
def test_lightning(tmp_path):
    path = example("lightning_digits").main(tmp_path, epochs=1)
    run = healthy(path, probes=["probe"], scalars={"loss", "accuracy", "epoch"})
    assert run.layers == ["conv1:relu", "conv2:relu", "fc1:relu", "fc2"]
    assert sorted(run.scalars()["loss"]) == list(range(1, 20))


@pytest.mark.parametrize(("kind", "blocks"), [("bert", "encoder.layer"), ("gpt2", "transformer.h")])
def test_transformers(tmp_path, kind, blocks):
    path = example("transformers_text").main(tmp_path, kind, steps=10)
    run = healthy(path, probes=["probe"], scalars={"loss", "learning_rate"})
    attention = [layer for layer in run.layer_table if layer.what == "attention"]
    assert len(attention) == 2
    for layer in attention:
        assert blocks in layer.name
        weights = run.load(0, layer.name).reshape(400, *layer.shape)
        np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-5)
    if kind == "gpt2":  # no token looks ahead
        assert np.triu(weights[0, 0], 1).max() == 0
    else:
        assert np.triu(weights[0, 0], 1).max() > 0
    np.testing.assert_array_equal(
        run.load(10, "logits"), run.load(10, "classifier" if kind == "bert" else "score")
    )
