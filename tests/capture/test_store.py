"""Capture into a real run: thinning, resuming, a killed process, several probe sets."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

import infoplane as ip
from infoplane.capture import MemorySink
from infoplane.capture.retention import Retention
from infoplane.errors import InputError, RunExistsError
from infoplane.store import open_run


def train(run, numbers, *, seed=0, **options):
    """Train a small network with the step numbers given; return its last weights."""
    torch.manual_seed(seed)
    model, x = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), torch.randn(20, 3)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    options = {"every": 1, "on_backpressure": "block", **options}
    with ip.watch(model, ip.Probe(x, torch.arange(20) % 2), run, **options) as watcher:
        for number in numbers:
            optimiser.zero_grad()
            model(x).square().mean().backward()
            optimiser.step()
            watcher.step(number, loss=number)
    return model, x


def test_a_run_says_by_what_its_training_failed(tmp_path):
    def numbers():
        yield from range(3)
        raise ValueError("loss is nan")

    run = ip.Run.create(tmp_path / "run")
    with pytest.raises(ValueError, match="nan"):
        train(run, numbers())
    run.close()
    status = open_run(run.path).status()
    assert (status.state, status.reason) == ("failed", "ValueError: loss is nan")


def test_a_run_holds_what_the_network_computes(tmp_path):
    with ip.Run.create(tmp_path / "run") as run:
        model, x = train(run, range(5))
    read = ip.open_run(tmp_path / "run")
    assert read.steps == [0, 1, 2, 3, 4, 5]
    assert read.layers == ["1", "2"]
    assert read.status().state == "finished"
    assert read.scalars()["loss"] == {1: 0.0, 2: 1.0, 3: 2.0, 4: 3.0, 5: 4.0}
    np.testing.assert_array_equal(read.load(5, "2"), model(x).detach().numpy())
    np.testing.assert_array_equal(read.probe().x, x.numpy())
    assert read.info["schedule"] == "every(1)"


def test_resuming_supersedes_the_steps_that_were_orphaned(tmp_path):
    with ip.Run.create(tmp_path / "run") as run:
        train(run, range(1, 9))
    before = ip.open_run(tmp_path / "run")
    orphan = before.load(6, "2")
    with pytest.raises(RunExistsError):
        ip.Run.create(tmp_path / "run")
    with ip.Run.create(tmp_path / "run", resume="must") as run:
        train(run, range(6, 8), every=2)  # a checkpoint of step 5, numbered on from there
    after = ip.open_run(tmp_path / "run")
    assert after.steps == [0, 1, 2, 3, 4, 5, 6, 7]
    assert after.info["start"] is None
    assert sorted(after.scalars()["loss"]) == list(range(1, 8))
    assert not np.array_equal(after.load(6, "2"), orphan)
    np.testing.assert_array_equal(after.load(5, "2"), before.load(5, "2"))


def test_a_disk_budget_thins_old_snapshots_evenly_on_the_log_axis(tmp_path):
    bytes_each = 20 * (4 + 2) * 4
    with ip.Run.create(tmp_path / "run") as run:
        train(run, range(1, 65), disk=8 * bytes_each)
    read = ip.open_run(tmp_path / "run")
    assert len(read.steps) == 8
    assert (read.steps[0], read.steps[-1]) == (0, 64)
    gaps = [math.log1p(b) - math.log1p(a) for a, b in pairwise(read.steps)]
    assert max(gaps) < 3 * min(gaps)
    assert len(read.scalars()["loss"]) == 64
    assert len([event for event in read.events() if event["event"] == "thinned"]) == 65 - 8
    assert sum(f.stat().st_size for f in (read.path / "snapshots").iterdir()) < 20 * bytes_each
    with pytest.raises(InputError, match="`disk` needs a run"):
        train(MemorySink(), [1], disk="1GB")


def test_the_disk_budget_of_a_resumed_run_counts_what_it_holds(tmp_path):
    def go_on(steps, **options):
        with ip.Run.create(tmp_path / "run", resume="allow") as run:
            train(run, steps, disk=8 * 20 * (4 + 2) * 4, **options)
        return ip.open_run(tmp_path / "run")

    first = go_on(range(1, 33))
    held = first.held_bytes()
    assert list(held) == first.steps
    on_disk = [file.stat().st_size for file in (first.path / "snapshots").iterdir()]
    assert set(held.values()) <= set(on_disk)  # beside them, the probe set's file
    again = go_on(range(17, 65), start=16)
    assert len(again.steps) <= 8
    assert (again.steps[0], again.steps[-1]) == (0, 64)
    assert not [event for event in again.events() if event["event"] == "fault"]


def test_retention_keeps_both_ends_and_the_latest():
    keep = Retention(300)
    given_up = [step for n in range(50) for step in keep.add(n, 100)]
    assert sorted([*given_up, *keep.sizes]) == list(range(50))
    assert len(keep.sizes) == 3
    assert {0, 49} <= set(keep.sizes)
    assert Retention(1).add(0, 100) == []


def test_a_killed_training_leaves_a_readable_run(tmp_path):
    script = f"""
import os, signal, time, torch, infoplane as ip
run = ip.Run.create({str(tmp_path / "run")!r})
model = torch.nn.Linear(3, 2)
with ip.watch(model, ip.Probe(torch.zeros(8, 3)), run, every=1, on_backpressure="block") as w:
    for step in range(1, 50):
        w.step(step, loss=step)
        if step == 20:
            while not ip.open_run(run.path).steps:  # killed with work both written and waiting
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script], env={**os.environ}, timeout=600)
    assert done.returncode == -signal.SIGKILL
    run = ip.open_run(tmp_path / "run")
    assert run.status().state == "stalled"
    assert run.steps == list(range(len(run.steps)))
    assert len(run.steps) >= 1
    for step in run.steps:
        assert run.load(step, "model").shape == (8, 2)
