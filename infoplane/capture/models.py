"""Finding the module whose forward can be watched inside what people train, and all its parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn
from torch.nn.parameter import UninitializedParameter

from infoplane.errors import UnsupportedModelError

WRAPPERS = {
    "OptimizedModule": ("_orig_mod", "torch.compile"),
    "DistributedDataParallel": ("module", "DistributedDataParallel"),
    "DataParallel": ("module", "DataParallel"),
    "_FabricModule": ("_forward_module", "Fabric"),  # which may hold a DistributedDataParallel
}
"""Class name → (attribute that holds the module, what wraps it)."""

SHARDED = {
    "FullyShardedDataParallel": "FSDP",
    "FSDPModule": "FSDP (fully_shard)",
    "DeepSpeedEngine": "DeepSpeed",
}

OWN = frozenset(vars(nn.Module()))
"""Attributes that every module has."""


def parts(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield (dotted path, module) of every module once, in torch's order.

    Found, too, are modules in plain lists, tuples and dicts (``self.layers = [Linear(…), …]``),
    which torch does not see: ``model.eval()`` passes them by, and a forward pass does not.
    """
    seen, waiting = set(), [("", model)]
    while waiting:
        path, module = waiting.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        yield path, module
        own = vars(module)
        children = [(name, child) for name, child in own["_modules"].items() if child is not None]
        for name in sorted(own.keys() - OWN):  # few, and this is walked at every snapshot
            if type(own[name]) in (list, tuple, dict):
                children += _held(name, own[name])
        if children:
            start = f"{path}." if path else ""
            waiting += [(start + name, child) for name, child in reversed(children)]


def weights(model: nn.Module) -> list[nn.Parameter]:
    """List every parameter of all parts once."""
    found = (weight for _, part in parts(model) for weight in part._parameters.values())
    return list({id(weight): weight for weight in found if weight is not None}.values())


def _held(name: str, value: Any, depth: int = 3) -> list[tuple[str, nn.Module]]:
    """List the modules in a container whose first entry is one (or such a container itself)."""
    if isinstance(value, nn.Module):
        return [(name, value)]
    if not depth or not isinstance(value, list | tuple | dict) or not value:
        return []
    entries = value.items() if isinstance(value, Mapping) else enumerate(value)
    first = next(iter(value.values() if isinstance(value, Mapping) else value))
    if not isinstance(first, nn.Module | list | tuple | dict):
        return []
    return [found for key, entry in entries for found in _held(f"{name}.{key}", entry, depth - 1)]


def unwrap(model: nn.Module) -> tuple[nn.Module, tuple[str, ...]]:
    """Return the module that a probe pass may call, and what was taken off.

    Raises
    ------
    UnsupportedModelError
        If the weights are sharded over processes, or the model is scripted.
    """
    if not isinstance(model, nn.Module):
        raise UnsupportedModelError(
            f"`model` must be a torch.nn.Module; got {type(model).__name__}."
        )
    notes: list[str] = []
    _refuse(model)
    while (wrapper := WRAPPERS.get(type(model).__name__)) and hasattr(model, wrapper[0]):
        notes.append(wrapper[1])
        model = getattr(model, wrapper[0])
        _refuse(model)
    return model, tuple(notes)


def _refuse(model: nn.Module) -> None:
    for module in model.modules():
        for name in _names(module):
            if name in SHARDED:
                raise UnsupportedModelError(
                    f"{SHARDED[name]} keeps each weight in pieces on several processes: a "
                    "forward pass for the probe set needs all of them to take part, which would "
                    "change the training. Watch an unsharded copy, loaded from checkpoints."
                )
            if name == "ScriptModule":
                raise UnsupportedModelError(
                    "a scripted module runs without Python hooks; watch what it was made from."
                )
    if any(isinstance(parameter, UninitializedParameter) for parameter in model.parameters()):
        raise UnsupportedModelError(
            "the model has lazy modules that get their weights at the first forward pass, and that "
            "pass must be the training's own. Send one batch through it, then watch it."
        )
    if any(type(parameter).__name__ == "DTensor" for parameter in model.parameters()):
        raise UnsupportedModelError(
            "the model's weights are DTensors spread over several processes; a probe pass would "
            "need all of them to take part. Watch an unsharded copy, loaded from checkpoints."
        )


def _names(module: nn.Module) -> Iterator[str]:
    return (cls.__name__ for cls in type(module).__mro__)
