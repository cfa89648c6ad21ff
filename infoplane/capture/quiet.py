"""Leave no trace: whatever a probe pass could disturb is saved before and put back after."""

from __future__ import annotations

import operator
import random
import re
import sys
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from infoplane.capture.models import OWN, parts

NOISE = 0
"""Seed of the random states inside a probe pass."""

LARGEST_STATE = 64 << 20
"""Bytes of a tensor in a plain attribute up to which it is put back if a probe pass changes it."""

FEW = 64
"""Entries of a container up to which the tensors in it are; a replay buffer has more."""

NOT_OURS = re.compile("(?!infoplane: )")
"""Matches all warnings but those of capture itself, which the writer's thread may have to tell."""


@contextmanager
def undisturbed(model: nn.Module, *, autocast: bool = True) -> Iterator[dict[str, nn.Module]]:
    """Eval mode without gradients inside; modes, buffers and random states as before outside.

    Yields the model's modules by their paths, for whoever watches them inside.

    Saved and restored: every module's training flag (a frozen BatchNorm stays frozen), every buffer
    (running statistics, counters), every other attribute that a forward pass may set (hidden
    states, counters, lists, cached weights; not what objects in them change inside themselves), the
    global random states of python, numpy and torch (CPU and the
    model's devices; inside they are the same at each pass), the fused attention switch. Warnings
    are left to the training. Compiled parts run eagerly inside, so that hooks fire and no compiled
    graph is thrown away. `autocast` False leaves the user's autocast for the pass, where a kernel
    of low precision has no inference version. ``no_grad`` and not ``inference_mode``: a tensor that
    a module caches in inference mode (rotary tables, masks) could not be used by autograd later.
    """
    with ExitStack() as stack:
        paths = dict(parts(model))
        modules = list(paths.values())
        devices = {weight.device for module in modules for weight in module._parameters.values()
                   if weight is not None and weight.device.type != "cpu"}  # fmt: skip
        stack.enter_context(random_states_kept(devices))
        stack.enter_context(_modes(modules))
        stack.enter_context(_attributes(modules))
        stack.enter_context(_buffers(modules))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        stack.enter_context(_uncached_autocast(autocast))
        stack.enter_context(_eager())
        stack.enter_context(_visible_attention())
        stack.enter_context(_unwarned())
        yield paths


@contextmanager
def random_states_kept(devices: Iterable[torch.device] = ()) -> Iterator[None]:
    """Inside, the global random states are the same each time; outside as they were."""
    python, array = random.getstate(), np.random.get_state()  # noqa: NPY002 - the user's own state
    cpu = torch.default_generator.get_state()
    try:
        with ExitStack() as stack:
            for device in devices:
                stack.enter_context(_random_state_of(device))
            _same_noise()
            yield
    finally:
        random.setstate(python)
        np.random.set_state(array)  # noqa: NPY002
        torch.default_generator.set_state(cpu)


@contextmanager
def _random_state_of(device: torch.device) -> Iterator[None]:
    if device.type == "meta":
        yield
    elif device.type == "mps":  # it has one state and takes no device
        state = torch.mps.get_rng_state()
        try:
            yield
        finally:
            torch.mps.set_rng_state(state)
    else:
        with torch.random.fork_rng(devices=[device], device_type=device.type):
            if device.type == "cuda":
                with torch.cuda.device(device):
                    torch.cuda.manual_seed(NOISE)
            yield


def _same_noise() -> None:
    """Let a network that is random in eval mode, too, meet the same noise at every snapshot."""
    random.seed(NOISE)
    np.random.seed(NOISE)  # noqa: NPY002 - both are put back on leaving
    torch.default_generator.manual_seed(NOISE)


@contextmanager
def _modes(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Each module's own flag: ``model.train()`` afterwards would thaw what the user froze."""
    flags = [(module, module.training) for module in modules]
    put = object.__setattr__  # nn.Module's own looks for weights first
    try:
        for module, flag in flags:
            if flag:
                put(module, "training", False)
        yield
    finally:
        for module, flag in flags:
            if module.training is not flag:
                put(module, "training", flag)


@contextmanager
def _attributes(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Put plain attributes back: a module may keep its hidden state, counters and logs in them.

    Containers are put back with the entries that they had, tensors with their values.
    """
    kept = [(vars(module), dict(vars(module))) for module in modules]
    contents = [
        (value, value.copy())
        for _, before in kept
        for name in before.keys() - OWN
        if type(value := before[name]) in (list, dict, set, deque)
    ]
    values = [part for _, before in kept for name in before.keys() - OWN
              for part in _tensors(before[name])]  # fmt: skip
    copies = [(tensor, tensor._version, tensor.detach().clone()) for tensor in values]
    try:
        yield
    finally:
        for now, before in kept:
            for name in now.keys() - before.keys():
                del now[name]
            for name, value in before.items():
                if now.get(name, before) is not value:
                    now[name] = value
        for value, entries in contents:
            _refill(value, entries)
        for tensor, version, copy in copies:
            if tensor._version != version:
                tensor.detach().copy_(copy)


def _tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in an attribute that a pass might change in place."""
    few = type(value) in (list, tuple, deque) and len(value) <= FEW
    for part in value if few else (value,):
        if type(part) is Tensor and part.numel() * part.element_size() <= LARGEST_STATE:
            yield part


def _refill(container: Any, entries: Any) -> None:
    alike = len(container) == len(entries)
    if alike and type(container) is dict:
        alike = all(map(operator.is_, container, entries))
        alike = alike and all(map(operator.is_, container.values(), entries.values()))
    elif alike:
        alike = all(map(operator.is_, container, entries))
    if not alike:
        container.clear()
        (container.extend if hasattr(container, "extend") else container.update)(entries)


@contextmanager
def _buffers(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Put buffers back: some modules count or average in theirs even in eval mode.

    Written are only those that have changed, since a graph may still need the others; an observer
    of quantisation changes its own without telling autograd, and may give them another shape.
    """
    kept = [(owner, name, buffer, buffer._version, buffer.detach().clone())
            for owner, name, buffer in _named_buffers(modules)]  # fmt: skip
    try:
        yield
    finally:
        for owner, name, buffer, version, copy in kept:
            silent = buffer.device.type == "cpu" or type(owner).__module__.startswith("torch.ao")
            if buffer._version != version or (silent and not torch.equal(buffer, copy)):
                buffer.resize_(copy.shape).copy_(copy)
            if owner._buffers.get(name) is not buffer:
                owner._buffers[name] = buffer


def _named_buffers(modules: Sequence[nn.Module]) -> Iterator[tuple[nn.Module, str, Tensor]]:
    for module in modules:
        for name, buffer in module._buffers.items():
            if isinstance(buffer, Tensor):
                yield module, name, buffer


def autocast_kind() -> str | None:
    """Return the device kind for which the user's autocast is on, if it is."""
    return next((kind for kind in ("cuda", "cpu") if torch.is_autocast_enabled(kind)), None)


def _uncached_autocast(wanted: bool) -> AbstractContextManager[Any]:
    """Inside the user's autocast, casts made without gradients must not enter its weight cache."""
    kind = autocast_kind()
    if kind is None:
        return nullcontext()
    dtype = torch.get_autocast_dtype(kind)
    return torch.autocast(kind, dtype=dtype, enabled=wanted, cache_enabled=False)


def _eager() -> AbstractContextManager[Any]:
    if "torch._dynamo" not in sys.modules or not hasattr(torch.compiler, "set_stance"):
        return nullcontext()
    stance: AbstractContextManager[Any] = torch.compiler.set_stance("force_eager")
    return stance


@contextmanager
def _visible_attention() -> Iterator[None]:
    """Switch off the fused encoder path of eval mode, which skips the layers inside it."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


@contextmanager
def _unwarned() -> Iterator[None]:
    """Keep what the model warns of for the training itself, which meets it, too.

    The filter is put in and out by hand: ``warnings.catch_warnings`` would make python forget which
    warnings it has shown, and the training would repeat each of them after every snapshot.
    """
    silence: Any = ("ignore", NOT_OURS, Warning, None, 0)
    filters: list[Any] = warnings.filters  # type: ignore[assignment]
    filters.insert(0, silence)
    try:
        yield
    finally:
        place = next((i for i, one in enumerate(filters) if one is silence), None)
        if place is not None:
            del filters[place]
