"""A run against a model in memory, under any series of calls, deaths and restarts."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from infoplane.store import Run, open_run, verify
from infoplane.types import Measurement, Snapshot

steps = st.integers(0, 12)
probes = st.sampled_from(["probe", "test"])


class Model:
    """The obvious version: all sessions, and what the last one leaves of the others."""

    def __init__(self):
        self.sessions = [[]]
        self.rows = {}

    def add(self, *fact):
        self.sessions[-1].append(fact)

    def facts(self):
        kept = []
        for number, session in enumerate(self.sessions):
            later = [fact[1] for other in self.sessions[number + 1 :] for fact in other]
            kept += [fact for fact in session if fact[1] < min(later, default=10**9)]
        return kept

    def snapshots(self):
        return {(probe, step): salt for kind, step, probe, salt in self.facts() if kind == "snap"}

    def scalars(self):
        values = {}
        for kind, step, _, value in self.facts():
            name = "loss" if kind == "snap" else "accuracy"
            values.setdefault(name, {})[step] = value
        return {name: dict(sorted(at.items())) for name, at in values.items()}


class Machine(RuleBasedStateMachine):
    @initialize()
    def start(self):
        self.folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        self.model, self.salt, self.forgotten = Model(), 0, set()
        self.run = Run.create(self.folder / "run")
        self.reader = open_run(self.folder / "run")

    @rule(step=steps, probe=probes)
    def write(self, step, probe):
        self.salt += 1
        self.run.write(Snapshot(step, {"a": content(self.salt)}, {"loss": self.salt}, {}, probe))
        self.model.add("snap", step, probe, self.salt)
        self.forgotten.discard((probe, step))

    @rule(step=steps)
    def record(self, step):
        self.salt += 1
        self.run.record(step, {"accuracy": self.salt})
        self.model.add("scalar", step, None, self.salt)

    @precondition(lambda self: self.model.snapshots())
    @rule(data=st.data(), late=st.booleans())
    def measure(self, data, late):
        probe, step = data.draw(st.sampled_from(sorted(self.model.snapshots())))
        self.salt += 1
        run = self.run if late else self.reader
        run.refresh()
        row = Measurement(f"k{self.salt}", step, "a", "mi", "Y", "e", 1, {}, 1.0, probe=probe)
        with run.annotator() as notes:
            notes.measure([row])
        self.model.rows[row.key] = (probe, step, self.model.snapshots()[probe, step])

    @precondition(lambda self: set(self.model.snapshots()) - self.forgotten)
    @rule(data=st.data())
    def forget(self, data):
        probe, step = data.draw(
            st.sampled_from(sorted(set(self.model.snapshots()) - self.forgotten))
        )
        self.run.forget(step, probe)
        self.forgotten.add((probe, step))

    @rule(torn=st.binary(max_size=20).map(lambda data: data.replace(b"\n", b"")))
    def die_and_restart(self, torn):
        journal = self.run._journal
        journal.close()
        self.run._lock.release()
        with journal.path.open("ab") as file:
            file.write(torn)
        self.run = Run.create(self.run.path, resume="must")
        self.model.sessions.append([])

    @rule(end=st.sampled_from(["finished", "failed"]))
    def end_and_restart(self, end):
        self.run.end(end)
        self.run.close()
        assert open_run(self.run.path).status().state == end
        self.run = Run.create(self.run.path, resume="allow")
        self.model.sessions.append([])

    @rule()
    def begin_again(self):
        self.run.begin((), (), {})
        self.model.sessions.append([])

    @invariant()
    def same(self):
        self.reader.refresh()
        snapshots, scalars = self.model.snapshots(), self.model.scalars()
        rows = {k for k, (p, s, salt) in self.model.rows.items() if snapshots.get((p, s)) == salt}
        for run in (self.run, self.reader, open_run(self.run.path)):
            run.refresh()
            for probe in ("probe", "test"):
                expected = {s for p, s in set(snapshots) - self.forgotten if p == probe}
                assert run.steps_of(probe) == sorted(expected)
                for step in expected:
                    array = run.load(step, "a", probe)
                    np.testing.assert_array_equal(array, content(snapshots[probe, step]))
            assert run.scalars() == scalars
            assert {row.key for row in run.measurements()} == rows
            assert run._follower.damaged == run._index.rejected == 0

    def teardown(self):
        self.run.close()
        assert verify(self.run.path).problems == ()
        shutil.rmtree(self.folder)


def content(salt):
    return np.full((3, 2), salt, dtype=np.float32)


def test_a_run_does_what_the_model_does():
    run_state_machine_as_test(
        Machine,
        settings=settings(max_examples=15, stateful_step_count=20, derandomize=True, deadline=None),
    )
