"""Which layers a model has: one watched pass tells what is called, in which order, fed by whom."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.overrides import TorchFunctionMode

from infoplane.capture.attention import ATTENTION, attention_of
from infoplane.capture.models import parts

FUNCTIONS = frozenset({
    "relu", "relu_", "relu6", "tanh", "tanh_", "sigmoid", "sigmoid_", "gelu", "silu", "elu",
    "elu_", "selu", "selu_", "celu", "celu_", "mish", "leaky_relu", "leaky_relu_", "softplus",
    "softsign", "hardtanh", "hardtanh_", "hardswish", "hardsigmoid", "logsigmoid", "softmax",
    "log_softmax",
})  # fmt: skip
"""Functional activations that are seen like layers: ``F.relu(self.fc1(x))`` is ``fc1:relu``."""

OUTPUT_ONLY = frozenset({"softmax", "log_softmax"})
"""Functions that are a layer only right after one: elsewhere they are the inside of attention."""

SUMS = frozenset({"add", "add_", "__add__", "__iadd__", "__radd__"})
"""Functions whose result comes from several layers: a residual sum."""

PASSING = frozenset({
    "max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d",
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d",
    "adaptive_max_pool2d", "adaptive_max_pool3d", "dropout", "dropout1d", "dropout2d", "dropout3d",
    "view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "permute", "transpose",
    "movedim", "contiguous", "to", "float",
})  # fmt: skip
"""Functions that only pool, drop or reshape: their result still comes from the same layer."""

PASSING_MODULES = ("pooling", "dropout", "flatten")
"""Files of torch.nn whose modules do the same."""


@dataclass(eq=False)
class Call:
    """One call of a module, or of a functional activation, in the traced pass.

    Attributes
    ----------
    path : str
        Dotted path of the module called, or of the one in whose forward the function was called.
    module : nn.Module or None
        None for a functional activation.
    index : int
        How many calls of this module (of any functional activation) came before it in the pass.
    kind : str
        Class name of the module, or name of the function.
    output : Tensor
        What it returned (the first tensor of a tuple, mapping or dataclass).
    leaf : bool
        No other module was called inside it, or it has weights of its own.
    source : Call or None
        The leaf whose output it was given, directly or after pooling and reshaping.
    summands : tuple of Call
        The leaves whose sum it was given, as an activation after a shortcut is.
    idle : bool
        It returned its very input, as Dropout and Identity do in eval mode.
    given : Tensor or None
        The first tensor it was given.
    parent : Call or None
        The module call that it was made in; None for the model itself.
    name : str
        Key of the layer: the path, ``:function`` for a functional activation, ``#k`` for the k-th
        repeated call (k ≥ 1).
    """

    path: str
    module: nn.Module | None
    index: int
    kind: str
    output: Tensor
    leaf: bool
    source: Call | None
    idle: bool = False
    given: Tensor | None = None
    parent: Call | None = None
    summands: tuple[Call, ...] = ()
    name: str = ""


@dataclass(frozen=True)
class _Origin:
    """Which leaves a tensor comes from, as long as nobody writes into it."""

    calls: tuple[Call, ...] = ()
    summed: bool = False
    tensor: Tensor | None = None
    version: int = 0

    @property
    def source(self) -> Call | None:
        return self.calls[0] if self.calls and not self.summed else None

    @property
    def summands(self) -> tuple[Call, ...]:
        return self.calls if self.summed else ()


NOWHERE = _Origin()


@dataclass(frozen=True)
class _Frame:
    """A module that is running: where its calls start in the list, and what it was given."""

    path: str
    start: int
    origin: _Origin
    given: tuple[Tensor, int] | None


class Trace(TorchFunctionMode):
    """Hooks on every module plus the functional activations, for one small pass.

    Use as ``with trace.watching(model): …``; then ``trace.calls`` holds the calls in the order in
    which they ended, named.
    """

    def __init__(self, *, attention: bool = False) -> None:
        super().__init__()
        self.look_inside = attention
        self.calls: list[Call] = []
        self._calls_of: Counter[str] = Counter()
        self._functions = 0
        self.attention: list[Call] = []
        self._running: list[_Frame] = []
        self._origins: dict[int, _Origin] = {}

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[Trace]:
        """Attach to every module of `model` and detach on leaving, whatever happens."""
        handles = []
        try:
            for path, module in parts(model):
                if "parametrizations" in path.split("."):
                    continue  # they compute weights, inside the layer that has them
                enter, leave = partial(self._enter, path), partial(self._leave, path)
                handles.append(module.register_forward_pre_hook(enter, with_kwargs=True))
                handles.append(module.register_forward_hook(leave))
            with self:
                yield self
        finally:
            for handle in handles:
                handle.remove()
            self._origins.clear()
        _name(self.calls)
        _name(self.attention, "attention")

    def _enter(self, path: str, module: nn.Module, args: Any, kwargs: Any) -> None:
        given = first_tensor((args, kwargs))
        mark = None if given is None else (given, given._version)
        self._running.append(_Frame(path, len(self.calls), self._origin(given), mark))

    def _leave(self, path: str, module: nn.Module, args: Any, output: Any) -> None:
        frame, result = self._running.pop(), first_tensor(output)
        if result is None:
            return
        leaf = self._ends_a_layer(path, module, result, self.calls[frame.start :])
        if leaf and path:
            self.calls[frame.start :] = _outside(path, self.calls[frame.start :])
        origin = frame.origin if leaf else NOWHERE
        call = Call(path, module, self._calls_of[path], type(module).__name__, result, leaf,
                    origin.source, summands=origin.summands)  # fmt: skip
        self._calls_of[path] += 1
        call.idle = frame.given is not None and (result is frame.given[0]
                                                 and result._version == frame.given[1])  # fmt: skip
        call.given = None if frame.given is None else frame.given[0]
        for inner in self.calls[frame.start :]:
            inner.parent = inner.parent or call
        self._add(call)
        if leaf and _passes(module):
            self._comes_from(result, frame.origin)

    def _ends_a_layer(
        self, path: str, module: nn.Module, result: Tensor, inside: Sequence[Call]
    ) -> bool:
        """Whether what the module returns is a layer: it called no module, or has weights itself.

        A graph convolution with a Linear and a bias is one; a module that only passes on what a
        layer inside it returned is not.
        """
        if all(call.module is None for call in inside):
            return True
        own = path and any(True for _ in module.parameters(recurse=False))
        return bool(own) and self._origin(result).source is None

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Note functional activations and attention; every call goes through unchanged."""
        name = getattr(func, "__name__", "")
        if self.look_inside and name in ATTENTION:
            self._attend(func, args, kwargs or {})
        if name in SUMS or name in PASSING:
            return self._passed(func, args, kwargs or {}, summed=name in SUMS)
        if name not in FUNCTIONS:
            return func(*args, **(kwargs or {}))
        origin = self._origin(first_tensor((args, kwargs)))
        result = func(*args, **(kwargs or {}))
        index, self._functions = self._functions, self._functions + 1
        if isinstance(result, Tensor) and (origin.source or name not in OUTPUT_ONLY):
            path, kind = self._running[-1].path if self._running else "", name.rstrip("_")
            self._add(Call(path, None, index, kind, result, True, origin.source,
                           summands=origin.summands))  # fmt: skip
        return result

    def _passed(
        self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, summed: bool
    ) -> Any:
        tensors = [part for part in (*args, *kwargs.values()) if isinstance(part, Tensor)]
        origins = [self._origin(tensor) for tensor in (tensors if summed else tensors[:1])]
        result = func(*args, **kwargs)
        calls = tuple(dict.fromkeys(call for origin in origins for call in origin.calls))
        together = summed or any(origin.summed for origin in origins)
        self._comes_from(result, _Origin(calls, together))
        return result

    def _attend(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        weights = attention_of(func, args, kwargs)
        if weights is not None:
            path = self._running[-1].path if self._running else ""
            kind = func.__name__
            self.attention.append(Call(path, None, len(self.attention), kind, weights, True, None))

    def _origin(self, given: Tensor | None) -> _Origin:
        origin = self._origins.get(id(given), NOWHERE)
        known = given is not None and origin.tensor is given and origin.version == given._version
        return origin if known else NOWHERE

    def _comes_from(self, tensor: Any, origin: _Origin) -> None:
        if isinstance(tensor, Tensor):
            version = tensor._version
            self._origins[id(tensor)] = _Origin(origin.calls, origin.summed, tensor, version)

    def _add(self, call: Call) -> None:
        self.calls.append(call)
        if call.leaf and not call.idle:
            self._comes_from(call.output, _Origin((call,)))


def _outside(path: str, inside: Sequence[Call]) -> list[Call]:
    """Return what a layer called inside without its own affairs; modules remain by name only.

    Its own affair is everything where only it has weights, and else the modules of its own that
    are fed by no layer, as the one that sums over the neighbours in a graph.
    """
    if not any(_weighs(call.module) for call in inside):
        for call in inside:
            call.leaf = False
        return [call for call in inside if call.module is not None]
    for call in inside:
        mine = call.path.rpartition(".")[0] == path and call.source is None
        home_made = call.module is not None and not type(call.module).__module__.startswith("torch")
        if mine and home_made and not _weighs(call.module):
            call.leaf = False
    return list(inside)


def _weighs(module: nn.Module | None) -> bool:
    return module is not None and any(True for _ in module.parameters())


def _passes(module: nn.Module) -> bool:
    home, _, file = type(module).__module__.rpartition(".")
    return home == "torch.nn.modules" and file in PASSING_MODULES


def first_tensor(value: Any) -> Tensor | None:
    """Return the first floating tensor in a tensor, tuple, mapping or dataclass, depth first.

    Of a mapping that has ``"logits"`` (the outputs of transformers models), those; of a recurrent
    layer that was given a packed sequence, the last states.
    """
    if isinstance(value, Tensor):
        return value if value.is_floating_point() or value.is_complex() else None
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], PackedSequence):
        return first_tensor(value[1])  # the rows of a packed sequence are not the samples
    if isinstance(value, Mapping) and isinstance(value.get("logits"), Tensor):
        return first_tensor(value["logits"])
    for part in _members(value):
        if (found := first_tensor(part)) is not None:
            return found
    return None


def _members(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    if isinstance(value, (tuple, list)):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return (getattr(value, field.name) for field in dataclasses.fields(value))
    return ()


def _name(calls: list[Call], ending: str = "") -> None:
    seen: Counter[str] = Counter()
    for call in calls:
        base = plain(call.path)
        if call.module is None:
            base = call.source.name if call.source else base
            base = f"{base}:{ending or call.kind}".lstrip(":")
        base = base or "model"
        call.name = f"{base}#{seen[base]}" if seen[base] else base
        seen[base] += 1


def plain(path: str) -> str:
    """Return a dotted path without the ``_orig_mod`` that ``torch.compile`` puts into it."""
    return ".".join(part for part in path.split(".") if part != "_orig_mod")
