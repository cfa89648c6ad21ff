"""12 models × 8 traps × 2 ways of capturing: not one bit of the training changes."""

from __future__ import annotations

import importlib.util
from contextlib import nullcontext
from functools import cache
from pathlib import Path

import pytest
import torch

from infoplane.capture.surroundings import FROM_ZERO

SPEC = importlib.util.spec_from_file_location("zoo", Path(__file__).parent / "zoo.py")
zoo = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(zoo)

WAYS = {
    "probe": {},
    "batches": {"capture": ("output", "input", "pre_activation", "logits", "loss", "gradients")},
}


def build(body, insert):
    model = zoo.Net(body, insert)
    if insert == "compile":
        torch.compiler.reset()
        return torch.compile(model, backend="eager")
    return model


def loop(kit, body, insert, **options):
    x, y = kit.data(12, (36,), zoo.CLASSES)
    amp = torch.autocast("cpu", dtype=torch.bfloat16) if insert == "autocast" else nullcontext()
    with amp:
        return kit.train(lambda: build(body, insert), x, y, steps=2, **options)


@cache
def bare(kit, body, insert):
    return loop(kit, body, insert, watched=False)


# 2026-11: dynamo of torch 2.13 looks at .grad of non-leaf tensors when it resumes after an LSTM.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("insert", zoo.INSERTS)
@pytest.mark.parametrize("body", zoo.BODIES)
def test_training_is_bit_identical(kit, body, insert, way):
    watched = loop(kit, body, insert, watched=True, every=1, **WAYS[way])
    kit.same(bare(kit, body, insert), watched)
    sink = watched["sink"]
    assert sink.steps == [0, 1, 2]
    events = {event for event, _ in sink.events} - {FROM_ZERO}
    assert events == {"cost"}  # that the loop counts from 0 and its cost are told, and no fault
    assert all(set(s.layers) == {layer.name for layer in sink.layers} for s in sink.snapshots)
