"""Proof by running: train twice, bare and watched, and compare every bit."""

from __future__ import annotations

import inspect
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from infoplane.capture.recorder import Watcher, watch
from infoplane.capture.surroundings import BARE, WITNESSES
from infoplane.errors import InputError


@dataclass(frozen=True)
class Neutrality:
    """Whether watching changed a training; true exactly if it did not.

    Attributes
    ----------
    differences : tuple of str
        What differs between the bare and the watched training, at most 20 things.
    compared : int
        Tensors, numbers and random states compared.
    repeatable : bool
        False where two bare trainings differ, too: then nothing can be said.
    snapshots, faults : int
        Taken, and lost to errors, in the watched training.
    bare_seconds, watched_seconds : float
        Time of each training.
    """

    differences: tuple[str, ...]
    compared: int
    repeatable: bool
    snapshots: int
    faults: int
    bare_seconds: float
    watched_seconds: float

    def __bool__(self) -> bool:
        return not self.differences

    def __str__(self) -> str:
        if not self.repeatable:
            return (
                "The training does not repeat itself even without capture, so nothing can be said. "
                "Fix its seeds; on CUDA call torch.use_deterministic_algorithms(True). First: "
                f"{self.differences[0]}."
            )
        verdict = "bit-identical" if self else f"DIFFERENT: {'; '.join(self.differences)}"
        return (
            f"{self.compared} values compared with and without capture ({self.snapshots} "
            f"snapshots): {verdict}. Time: {self.bare_seconds:.2f} s bare, "
            f"{self.watched_seconds:.2f} s watched."
        )


def verify_neutrality(train_fn: Callable[..., Any]) -> Neutrality:
    """Train twice, without and with capture, and compare every bit of the two.

    Parameters
    ----------
    train_fn : callable
        Trains once. Either it takes no argument and calls `watch` itself (inert the first time), or
        it takes one and uses it in place of `watch`. Runs that it creates must be new each time (a
        fresh folder), or pass a callable or `MemorySink` as ``run``. What it returns is compared,
        too: models, optimisers, tensors, arrays, numbers, and containers of them.

    Returns
    -------
    Neutrality
        True in a condition exactly if no bit differs. Compared are every watched model's weights,
        buffers and gradients, the scalars of every ``w.step``, the random states of python, numpy
        and torch, and what `train_fn` returned. Both trainings start from the random states at the
        call, which are put back at the end.
    """
    call = train_fn if _arguments(train_fn) == 0 else (lambda: train_fn(watch))
    with _random_states_kept() as restart:
        bare, bare_seconds, _ = _trained(call, restart, bare=True)
        watched, watched_seconds, watchers = _trained(call, restart, bare=False)
        differences = tuple(_differences(bare, watched))
        repeatable = True
        if differences:
            again, *_ = _trained(call, restart, bare=True)
            repeatable = not any(_differences(bare, again))
    if not watchers:
        raise InputError(
            "`train_fn` must watch its model: call infoplane.watch in it, or take one argument and "
            "use that in its place."
        )
    return Neutrality(
        differences=differences[:20],
        compared=len(bare),
        repeatable=repeatable,
        snapshots=sum(watcher.snapshots for watcher in watchers),
        faults=sum(watcher.faults.counts.total() for watcher in watchers if watcher.snapshots),
        bare_seconds=bare_seconds,
        watched_seconds=watched_seconds,
    )


def _trained(
    call: Callable[[], Any], restart: Callable[[], None], *, bare: bool
) -> tuple[dict[str, bytes], float, list[Watcher]]:
    """Train once; return everything comparable as bytes, the time, and the watchers met."""
    restart()
    watchers: list[Watcher] = []
    tokens = BARE.set(bare), WITNESSES.set(watchers)
    begun = time.perf_counter()
    try:
        result = call()
    finally:
        BARE.reset(tokens[0])
        WITNESSES.reset(tokens[1])
    for watcher in watchers:  # those that were only started
        watcher.close()
    seconds = time.perf_counter() - begun
    values: dict[str, bytes] = dict(_random_states())
    values.update(_bits("returned", result))
    for number, watcher in enumerate(watchers):
        values.update(_bits(f"model {number}", watcher.model))
        values.update(_bits(f"scalars {number}", watcher.witnessed))
    return values, seconds, watchers


def _differences(a: Mapping[str, bytes], b: Mapping[str, bytes]) -> Iterator[str]:
    for name in dict.fromkeys([*a, *b]):
        if name not in a or name not in b:
            yield f"{name} is there only {'with' if name in b else 'without'} capture"
        elif a[name] != b[name]:
            yield f"{name} differs"


def _bits(name: str, value: Any) -> Iterator[tuple[str, bytes]]:
    """Yield (name, bytes) of every tensor and number in `value`."""
    if isinstance(value, nn.Module):
        yield from _bits(name, value.state_dict())
        for key, weight in value.named_parameters():
            yield from _bits(f"{name} gradient of {key}", weight.grad)
        modes = "".join(str(int(module.training)) for module in value.modules())
        yield f"{name} training flags", modes.encode()
    elif isinstance(value, Optimizer):
        yield from _bits(name, value.state_dict())
    elif isinstance(value, Tensor):
        yield name, _raw(value)
    elif isinstance(value, np.ndarray):
        yield name, np.ascontiguousarray(value).tobytes()
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _bits(f"{name} {key}", part)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for index, part in enumerate(value):
            yield from _bits(f"{name} {index}", part)
    elif isinstance(value, float):
        yield name, np.float64(value).tobytes()
    elif isinstance(value, bool | int | str | bytes | None):
        yield name, repr(value).encode()


def _raw(tensor: Tensor) -> bytes:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""


def _random_states() -> Iterator[tuple[str, bytes]]:
    array: Any = np.random.get_state()  # noqa: NPY002 - the user's own state is compared
    yield "random state of python", repr(random.getstate()).encode()
    yield "random state of numpy", array[1].tobytes() + repr(array[2:]).encode()
    yield "random state of torch", torch.get_rng_state().numpy().tobytes()
    if torch.cuda.is_available():
        for index, state in enumerate(torch.cuda.get_rng_state_all()):
            yield f"random state of cuda:{index}", state.numpy().tobytes()


@contextmanager
def _random_states_kept() -> Iterator[Callable[[], None]]:
    """Yield a function that sets all random states back to what they were on entering."""
    python, array = random.getstate(), np.random.get_state()  # noqa: NPY002
    cpu, cuda = torch.get_rng_state(), []
    if torch.cuda.is_available():
        cuda = torch.cuda.get_rng_state_all()

    def restart() -> None:
        random.setstate(python)
        np.random.set_state(array)  # noqa: NPY002
        torch.set_rng_state(cpu)
        if cuda:
            torch.cuda.set_rng_state_all(cuda)

    try:
        yield restart
    finally:
        restart()


def _arguments(train_fn: Callable[..., Any]) -> int:
    """Count the positional arguments that must be given."""
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(train_fn).parameters.values()
    count = sum(p.kind in positional and p.default is p.empty for p in parameters)
    if count > 1:
        raise InputError(
            f"`train_fn` of verify_neutrality must take no argument or one; it needs {count}."
        )
    return count
