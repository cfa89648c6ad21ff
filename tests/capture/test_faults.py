"""What goes wrong is counted, told once and recorded; the training goes on, bit for bit."""

from __future__ import annotations

import copy
import errno
import io
import multiprocessing
import threading
import warnings

import pytest
import torch
from torch import nn

from infoplane.capture import CaptureWarning, MemorySink, Probe, watch
from infoplane.capture.sinks import as_sink
from infoplane.errors import InputError, UnsupportedModelError


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3))


class Failing(MemorySink):
    """A sink that fails in one place."""

    def __init__(self, where: str, error: Exception) -> None:
        super().__init__()
        self.where, self.error, self.tries = where, error, 0

    def _fail(self, where):
        if where == self.where:
            self.tries += 1
            raise self.error

    def write(self, snapshot):
        self._fail("write")
        super().write(snapshot)

    def record(self, step, scalars):
        self._fail("record")
        super().record(step, scalars)

    def report(self, event, detail):
        self._fail("report")
        super().report(event, detail)

    def end(self, status):
        self._fail("end")
        super().end(status)


def unharmed(kit, sink, **options):
    """Train bare and watched into `sink`; nothing may differ, one warning may come."""
    x, y = kit.data()
    bare = kit.train(net, x, y, watched=False)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        watched = kit.train(net, x, y, watched=True, sink=sink, every=1, **options)
    kit.same(bare, watched)
    return [str(warning.message) for warning in seen]


@pytest.mark.parametrize("where", ["write", "record", "report", "end"])
def test_a_full_disk_stops_nothing(kit, where):
    sink = Failing(where, OSError(errno.ENOSPC, "No space left on device"))
    told = unharmed(kit, sink)
    assert sink.tries >= 1
    assert len(told) == (0 if where == "report" else 1)
    if where == "write":
        assert sink.steps == []
        assert sink.tries == 9
        assert ("fault", "snapshot") in [(e, d.get("place")) for e, d in sink.events]
        assert sorted(sink.scalars) == list(range(1, 9))
        assert sink.events[-1][1]["faults"] == 9


def test_a_reduce_that_fails_disables_its_layer_only(kit):
    calls = []

    def moody(t):
        calls.append(1)
        if len(calls) > 4:
            raise ValueError("enough")
        return t.flatten(1)

    sink = MemorySink()
    told = unharmed(kit, sink, reduce={"2": moody})
    assert len(told) == 1
    assert "layer 2 failed (ValueError: enough)" in told[0]
    assert [sorted(s.layers) for s in sink.snapshots[:3]] == [["2", "3"], ["2", "3"], ["3"]]
    assert len(sink.snapshots) == 9


HOST = RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't …")


@pytest.mark.parametrize("error", [MemoryError("host"), torch.OutOfMemoryError("device"), HOST])
def test_out_of_memory_loses_a_snapshot_and_halves_the_batch(kit, error):
    calls = []

    def greedy(t):
        calls.append(len(t))
        if len(calls) == 4:
            raise error
        return t.flatten(1)

    sink = MemorySink()
    told = unharmed(kit, sink, reduce={"2": greedy})
    assert len(told) == 1
    assert "a probe pass ran out of memory" in told[0]
    assert calls[2:7] == [10, 10, 5, 5, 5]  # 2 and 3 rows when it looked; the fourth failed
    assert sink.steps == [0, 2, 3, 4, 5, 6, 7, 8]
    assert [detail["place"] for event, detail in sink.events if event == "fault"] == ["memory"]


def test_what_a_full_disk_did_not_take_is_told_when_there_is_room_again():
    class Filling(MemorySink):
        full = False

        def write(self, snapshot):
            if self.full:
                raise OSError(errno.ENOSPC, "No space left on device")
            super().write(snapshot)

        def report(self, event, detail):
            if self.full:
                raise OSError(errno.ENOSPC, "No space left on device")
            super().report(event, detail)

    sink = Filling()
    with watch(net(), Probe(torch.zeros(3, 6)), sink, every=1, on_backpressure="block") as watcher:
        watcher._delivery.flush()
        sink.full = True
        watcher.step(1)
        with pytest.warns(CaptureWarning, match="snapshot failed"):
            watcher._delivery.flush()
        sink.full = False
        watcher.step(2)
    assert sink.steps == [0, 2]
    fault, cost = sink.events
    assert (fault[0], fault[1]["place"]) == ("fault", "snapshot")
    assert (cost[1]["snapshots"], cost[1]["faults"]) == (2, 2)


def test_warnings_as_errors_do_not_reach_the_training(kit):
    sink = Failing("write", PermissionError("gone"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x, y = kit.data()
        kit.train(net, x, y, watched=True, sink=sink)
    assert sink.status == "finished"


def test_scalars_that_are_no_numbers_are_left_out():
    sink, model = MemorySink(), nn.Linear(2, 1)
    with pytest.warns(CaptureWarning, match="must be one number"), \
            watch(model, Probe(torch.zeros(3, 2)), sink) as watcher:  # fmt: skip
        watcher.step(1, loss=torch.ones(3), accuracy=0.5, note="text", epoch=torch.tensor([2]))
    assert sink.scalars == {1: {"accuracy": 0.5, "epoch": 2.0}}


class Slow(MemorySink):
    """A sink that waits for permission."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def write(self, snapshot):
        if snapshot.step:
            assert self.go.wait(300)
        super().write(snapshot)


def test_a_full_queue_drops_and_counts_and_never_waits():
    sink, model = Slow(), nn.Linear(2, 1)
    with watch(model, Probe(torch.zeros(3, 2)), sink, every=1, queue=2) as watcher:
        watcher._delivery._writer.room = 0  # small snapshots may otherwise wait in larger numbers
        for step in range(1, 7):
            watcher.step(step)
        taken, dropped = watcher.snapshots, watcher.dropped
        sink.go.set()
    assert taken + dropped == 7
    assert dropped >= 3
    events = [detail["step"] for event, detail in sink.events if event == "dropped"]
    assert len(events) == dropped
    assert sink.steps[0] == 0
    assert set(sink.steps) == set(range(7)) - set(events) | {6}  # the last is taken on leaving


def test_the_last_step_is_taken_even_if_it_was_dropped_before():
    sink, model = Slow(), nn.Linear(2, 1)
    with watch(model, Probe(torch.zeros(3, 2)), sink, every=1, queue=1) as watcher:
        watcher._delivery._writer.room = 0
        for step in range(1, 6):
            watcher.step(step)
        assert watcher.dropped >= 3
        threading.Timer(0.2, sink.go.set).start()  # leaving waits for it
    assert sink.steps[-1] == 5


def test_on_request_a_full_queue_blocks():
    sink, model = Slow(), nn.Linear(2, 1)
    threading.Timer(0.2, sink.go.set).start()
    probe = Probe(torch.zeros(3, 2))
    with watch(model, probe, sink, every=1, on_backpressure="block") as watcher:
        watcher._delivery._writer.room = 0
        for step in range(1, 7):
            watcher.step(step)
    assert sink.steps == list(range(7))
    with pytest.raises(InputError, match='must be "drop" or "block"'):
        watch(model, probe, sink, on_backpressure="wait")


@pytest.mark.parametrize(
    ("error", "status"),
    [(None, "finished"), (KeyboardInterrupt(), "interrupted"), (ValueError("mine"), "failed"),
     (SystemExit(1), "interrupted")],
)  # fmt: skip
def test_how_it_ended_is_told_and_the_users_error_goes_on(error, status):
    sink, model = MemorySink(), nn.Linear(2, 1)

    def train():
        with watch(model, Probe(torch.zeros(3, 2)), sink, every=1) as watcher:
            watcher.step(1)
            if error is not None:
                raise error

    if error is None:
        train()
    else:
        with pytest.raises(type(error)) as caught:
            train()
        assert caught.value is error
    assert sink.status == status
    assert sink.steps == [0, 1]
    assert not model._forward_hooks


def test_the_budget_stretches_the_schedule_but_keeps_both_ends():
    sink, model = MemorySink(), nn.Linear(2, 1)
    with watch(model, Probe(torch.zeros(3, 2)), sink, every=1, budget="0.001%") as watcher:
        for step in range(1, 20):
            watcher.step(step)
    assert sink.steps == [0, 19]
    assert sink.events[-1][0] == "cost"
    assert sink.events[-1][1]["postponed"] >= 1
    for wrong in (0, 1.5, "2 percent"):
        with pytest.raises(InputError, match="`budget` must be"):
            watch(model, Probe(torch.zeros(3, 2)), sink, budget=wrong)


def test_the_cost_is_reported():
    sink, model = MemorySink(), nn.Linear(2, 1)
    with watch(model, Probe(torch.zeros(3, 2)), sink, every=1) as watcher:
        watcher.step(1)
        cost = watcher.cost()
    assert cost["seconds"] > 0
    assert cost["share"] == pytest.approx(cost["seconds"] / cost["training_seconds"])
    assert sink.events[-1][0] == "cost"
    assert sink.snapshots[0].info["seconds"] > 0


def test_the_model_can_be_copied_and_saved_while_it_is_watched():
    sink, model = MemorySink(), net()
    keys = list(model.state_dict())
    with watch(model, Probe(torch.zeros(3, 6)), sink, every=1) as watcher:
        twin = copy.deepcopy(model)
        torch.save(model, io.BytesIO())
        assert list(model.state_dict()) == keys
        assert not twin[0]._forward_hooks
        assert copy.deepcopy(watcher).step(1) is None
        watcher.step(1)
    assert sink.steps == [0, 1]


def child(watcher, queue):
    watcher.step(1, loss=1.0)
    watcher.close()
    queue.put("alive")


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_the_watcher_is_inert_in_other_processes(method):
    sink, model = MemorySink(), nn.Linear(2, 1)
    context = multiprocessing.get_context(method)
    with watch(model, Probe(torch.zeros(3, 2)), sink, every=1) as watcher:
        queue = context.SimpleQueue()
        other = context.Process(target=child, args=(watcher, queue))
        with warnings.catch_warnings():  # python 3.12 warns of forking beside threads
            warnings.simplefilter("ignore", DeprecationWarning)
            other.start()
        assert queue.get() == "alive"
        other.join()
        watcher.step(1)
    assert sink.steps == [0, 1]
    assert sink.status == "finished"


def test_nothing_is_watched_without_a_run():
    model = nn.Linear(2, 1)
    with watch(model, Probe(torch.zeros(3, 2)), None) as watcher:
        watcher.step(1, loss=1.0)
        assert watcher.cost() == {}
    assert watcher.snapshots == 0


def test_a_callable_is_a_sink():
    seen = []
    with watch(nn.Linear(2, 1), Probe(torch.zeros(3, 2)), seen.append, every=1) as watcher:
        watcher.step(1, loss=0.25)
    assert [snapshot.step for snapshot in seen] == [0, 1]
    assert seen[1].scalars == {"loss": 0.25}
    with pytest.raises(InputError, match="`run` must be a run opened for writing"):
        as_sink("runs/szt")


def test_sharded_and_scripted_models_are_refused():
    class FullyShardedDataParallel(nn.Module):
        pass

    probe, sink = Probe(torch.zeros(3, 2)), MemorySink()
    with pytest.raises(UnsupportedModelError, match="FSDP keeps each weight in pieces"):
        watch(nn.Sequential(FullyShardedDataParallel()), probe, sink)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        scripted = torch.jit.trace(nn.Linear(2, 1), torch.zeros(1, 2))
    with pytest.raises(UnsupportedModelError, match="scripted"):
        watch(scripted, probe, sink)
    with pytest.raises(UnsupportedModelError, match=r"must be a torch\.nn\.Module"):
        watch(lambda x: x, probe, sink)
