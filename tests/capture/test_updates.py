"""One line before the training: the optimiser's own updates are the steps."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from infoplane.capture import CaptureWarning, MemorySink, Probe, watch
from infoplane.capture.surroundings import fate
from infoplane.errors import InputError
from infoplane.store import Run, open_run

X = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))


def train(model, optimiser, *, batches=6, accumulate=2):
    losses = []
    for batch in range(batches):
        loss = model(X + batch).square().mean()
        loss.backward()
        losses.append(loss.item())
        if (batch + 1) % accumulate == 0:
            optimiser.step()
            optimiser.zero_grad()
    return losses


def test_updates_are_counted_and_nothing_is_changed():
    bare, seen, sink = net(), net(), MemorySink()
    wanted = train(bare, torch.optim.Adam(bare.parameters()))
    optimiser = torch.optim.Adam(seen.parameters())
    watcher = watch(seen, Probe(X), sink, every=1, optimizer=optimiser).start()
    assert watcher.start() is watcher  # begun once, whoever calls it again
    assert train(seen, optimiser) == wanted
    watcher.step(99, loss=0.5)  # records; the updates are the steps
    watcher.close()
    assert all(map(torch.equal, bare.parameters(), seen.parameters()))
    train(seen, optimiser)  # no longer watched
    assert sink.steps == [0, 1, 2, 3]
    assert sink.scalars[3]["loss"] == 0.5
    assert sink.status == "finished"
    assert not [event for event in sink.events if event[0] == "fault"]


def test_other_optimisers_do_not_count():
    model, other, sink = net(), net(), MemorySink()
    mine = torch.optim.SGD(model.parameters(), lr=0.1)
    theirs = torch.optim.SGD(other.parameters(), lr=0.1)
    with watch(model, Probe(X), sink, every=1, optimizer=mine):
        train(other, theirs)
        train(model, mine, batches=2)
    assert sink.steps == [0, 1]


def test_of_several_optimisers_each_update_counts():
    model, sink = net(), MemorySink()
    first, second = (torch.optim.SGD(model[i].parameters(), lr=0.1) for i in (0, 2))
    with watch(model, Probe(X), sink, every=1, optimizer=[first, second]):
        for _ in range(2):
            model(X).square().mean().backward()
            first.step()
            second.step()
    assert sink.steps == [0, 1, 2, 3, 4]
    stranger = torch.optim.SGD(net().parameters(), lr=0.1)
    with pytest.raises(InputError, match="none of its weights"):
        watch(model, Probe(X), None, optimizer=[first, stranger])


def test_updates_that_nobody_counted_are_told():
    model, sink = net(), MemorySink()
    with pytest.warns(CaptureWarning, match=r"no step was counted.*optimizer=optimizer"), \
            watch(model, Probe(X), sink):  # fmt: skip
        train(model, torch.optim.SGD(model.parameters(), lr=0.1))
    assert sink.steps == [0]


def test_a_frameworks_wrapper_is_looked_through():
    model, sink = net(), MemorySink()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    wrapper = SimpleNamespace(optimizer=optimiser)
    with watch(model, Probe(X), sink, every=1, optimizer=wrapper):
        train(model, optimiser)
    assert sink.steps == [0, 1, 2, 3]


def test_what_does_not_fit_is_refused(tmp_path):
    with pytest.raises(InputError, match="none of its weights"):
        watch(net(), Probe(X), None, optimizer=torch.optim.SGD(net().parameters(), lr=0.1))
    with pytest.raises(InputError, match="must be a torch"):
        watch(net(), Probe(X), None, optimizer=0.1)
    model = net()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    path = tmp_path / "run"
    with Run.create(path) as run, watch(model, Probe(X), run, optimizer=optimiser, every=1):
        train(model, optimiser)
    with Run.create(tmp_path / "run", resume="must") as run:
        with pytest.raises(InputError, match="needs `start`"):
            watch(model, Probe(X), run, optimizer=optimiser)
        with watch(model, Probe(X), run, optimizer=optimiser, start=3, every=1):
            train(model, optimiser)
    assert open_run(tmp_path / "run").steps == [0, 1, 2, 3, 4, 5, 6]


SCRIPT = """
import sys
import torch
from infoplane.capture import Probe, watch
from infoplane.store import Run

x = torch.ones(8, 4)
watcher = watch(torch.nn.Linear(4, 2), Probe(x), Run.create(sys.argv[1]), every=2).start()
for step in range(1, 4):
    watcher.step(step)
"""


def test_the_end_of_the_script_ends_the_watch(tmp_path):
    subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path / "run")], timeout=600, check=True)
    run = open_run(tmp_path / "run")
    assert run.status().state == "finished"
    assert run.steps == [0, 2, 3]


def test_how_the_script_ended_is_told_from_what_python_knows_at_its_end(monkeypatch):
    assert fate() == "finished"
    monkeypatch.setattr(sys, "last_value", ValueError("theirs"), raising=False)
    assert fate() == "failed"
    monkeypatch.setattr(sys, "last_value", KeyboardInterrupt(), raising=False)
    assert fate() == "interrupted"
    monkeypatch.delattr(sys, "last_value")
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    assert fate() == "interrupted"
