"""Which layers are watched: every layer by its post-activation output, or what the user names."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from infoplane.capture.trace import Call, plain
from infoplane.errors import CaptureError, HookNotFiredError

Predicate = Callable[[str, nn.Module | None], bool]
LayersLike = str | Iterable[str] | Predicate

RECURRENT = ("RNN", "LSTM", "GRU")


@dataclass(frozen=True, slots=True)
class Selection:
    """Calls chosen, and why others of the same rank were left out.

    Attributes
    ----------
    calls : tuple of Call
        In the network's order.
    hidden : tuple of Call
        Pre-activations: outputs that go straight into a normalisation or an activation.
    left_out : mapping of str to str
        Layer name → reason.
    """

    calls: tuple[Call, ...]
    hidden: tuple[Call, ...]
    left_out: Mapping[str, str]


def select(calls: Sequence[Call], model: nn.Module, layers: LayersLike | None) -> Selection:
    """Choose among the calls of a traced pass.

    Parameters
    ----------
    calls : sequence of Call
        Every call of the pass.
    model : nn.Module
        The traced model, for the names of modules that were never called.
    layers : None, str, iterable of str, or callable
        None: each leaf layer once, by its output after normalisation and activation; modules of
        torch.nn without parameters that only pass on, pool or reshape are left out. Names and globs
        (``"encoder.*"``) or ``predicate(name, module) -> bool`` choose among everything that was
        called, blocks and pre-activations included.

    Raises
    ------
    HookNotFiredError
        If a layer named exactly exists but was never called.
    CaptureError
        If a name matches nothing, or no layer was called at all.
    """
    chosen = _default(calls) if layers is None else _asked(calls, model, layers)
    if not chosen.calls:
        raise HookNotFiredError(
            f"no layer of {type(model).__name__} was called in the probe pass, so there is nothing "
            "to capture. Pass the model that is trained, or say how it is run: Probe(forward=…)."
        )
    return chosen


def is_activation(call: Call) -> bool:
    """Whether the call is an activation function, as a module or a function."""
    if call.module is None:
        return True
    home = type(call.module).__module__.rpartition(".")[2]
    weighs = any(True for _ in call.module.parameters(recurse=False))
    return call.kind == "PReLU" or (home in ("activation", "activations") and not weighs)


def _default(calls: Sequence[Call]) -> Selection:
    left_out: dict[str, str] = {}
    kept = []
    for call in (call for call in calls if call.leaf):
        reason = _not_a_layer(call)
        if reason:
            left_out[call.name] = reason
        else:
            kept.append(call)
    hidden = {
        id(call.source): call.name
        for call in kept
        if (is_activation(call) or "Norm" in call.kind)
        and call.source is not None
        and not is_activation(call.source)
    }
    for call in kept:
        if id(call) in hidden:
            left_out[call.name] = f"pre-activation of {hidden[id(call)]}"
    return Selection(
        tuple(call for call in kept if id(call) not in hidden),
        tuple(call for call in kept if id(call) in hidden),
        left_out,
    )


def _not_a_layer(call: Call) -> str:
    if call.idle:
        return "returns its input in eval mode"
    if call.module is None or is_activation(call):
        return ""
    own = type(call.module).__module__.startswith("torch.nn.modules")
    if own and not any(True for _ in call.module.parameters()) and call.kind not in RECURRENT:
        return f"{call.kind} has no parameters: it only passes on, pools or reshapes"
    return ""


def _asked(calls: Sequence[Call], model: nn.Module, layers: LayersLike) -> Selection:
    if callable(layers):
        return Selection(tuple(call for call in calls if layers(call.name, call.module)), (), {})
    globs = [layers] if isinstance(layers, str) else list(layers)
    for glob in globs:
        if not any(_matches(call, glob) for call in calls):
            raise _nothing(glob, calls, model)
    chosen = tuple(call for call in calls if any(_matches(call, glob) for glob in globs))
    return Selection(chosen, (), {})


def _matches(call: Call, glob: str) -> bool:
    return call.name == glob or fnmatch.fnmatchcase(call.name, glob)


def _nothing(glob: str, calls: Sequence[Call], model: nn.Module) -> CaptureError:
    names = [call.name for call in calls]
    if glob in {plain(path) for path, _ in model.named_modules()}:
        return HookNotFiredError(
            f"layer {glob!r} exists but was never called in the probe pass, so it has no output. "
            f"Layers that were called: {', '.join(names[:20])}."
        )
    near = difflib.get_close_matches(glob, names, n=5, cutoff=0.4) or names[:20]
    return CaptureError(
        f"`layers` must name layers of the model; {glob!r} matches none. Did you mean: "
        f"{', '.join(near)}?"
    )
