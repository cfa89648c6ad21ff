"""Two processes of a distributed training, for test_support: ``python ranks.py FOLDER``.

Each writes what it found as ``RANK.json``: whether a watched DDP training is bit-identical to the
bare one, and what is said to weights that are really sharded (FSDP, fully_shard, DTensors).
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import torch
from torch import distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.tensor import Shard, distribute_tensor

from infoplane.capture import MemorySink, Probe, watch
from infoplane.errors import UnsupportedModelError

X = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2))


def trained(rank, sink):
    model = nn.parallel.DistributedDataParallel(net())
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, Probe(X), sink, every=1) as watcher:
        for step in range(3):
            optimiser.zero_grad()
            model(torch.randn(4, 4) + rank).square().sum().backward()
            optimiser.step()
            watcher.step(step)
    return [weight.tolist() for weight in model.parameters()], torch.get_rng_state().tolist()


def parallel(rank):
    bare, sink = trained(rank, None), MemorySink()
    return {
        "same": trained(rank, sink) == bare,
        "steps": sink.steps,
        "unwrapped": list(sink.info.get("unwrapped", [])),
    }


def refusal(model):
    try:
        watch(model, Probe(X), None)
    except UnsupportedModelError as error:
        return str(error)
    return "not refused"


def pieces(mesh):
    model = net()
    whole = model[0].weight.detach()
    model[0].weight = nn.Parameter(distribute_tensor(whole, mesh, [Shard(0)]))
    return model


def meet(rank, receive, send):
    """Return the store of both: the first takes any free port and tells it to the second."""
    port = int(os.read(receive, 20)) if rank else 0
    store = distributed.TCPStore("127.0.0.1", port, 2, is_master=not rank, wait_for_workers=False)
    os.write(send, str(store.port).encode())
    return store


def main(rank, pipe, folder):
    torch.set_num_threads(1)
    store = meet(rank, *pipe)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=2)
    mesh = init_device_mesh("cpu", (2,))
    sharded = fully_shard(net(), mesh=mesh)
    found = {
        "ddp": parallel(rank),
        "fsdp": refusal(FullyShardedDataParallel(net(), device_id=torch.device("cpu"))),
        "inside": refusal(nn.Sequential(nn.Identity(), sharded)),
        "fully_shard": refusal(sharded),
        "dtensor": refusal(pieces(mesh)),
    }
    (Path(folder) / f"{rank}.json").write_text(json.dumps(found), encoding="utf-8")
    distributed.destroy_process_group()


if __name__ == "__main__":
    if sys.platform == "linux":
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"  # whatever this machine's name resolves to
    pipe = os.pipe()
    second = os.fork()  # before torch has computed anything: its threads do not survive a fork
    main(int(second == 0), pipe, sys.argv[1])
    if second:
        assert os.waitpid(second, 0)[1] == 0
