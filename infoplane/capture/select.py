"""Which layers are watched: every layer by its post-activation output, or what the user names."""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from infoplane.capture.models import parts
from infoplane.capture.trace import Call, plain
from infoplane.errors import CaptureError, HookNotFiredError

Predicate = Callable[[str, nn.Module | None], bool]
LayersLike = str | Iterable[str] | Predicate

RECURRENT = ("RNN", "LSTM", "GRU")

LAYERS = 24
"""Layers watched by default at most; beyond that a network is watched by its blocks."""

HOME_MADE = re.compile("elu|swish|silu|mish|sigmoid|tanh|softplus|softsign", re.IGNORECASE)
"""Names of activation modules that people write themselves, without weights."""

CALLS = 12
"""Calls of the same weights that each count as a layer; beyond that they are steps in time."""


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
        torch.nn without parameters that only pass on, pool or reshape are left out. Weights called
        more than `CALLS` times (the cell of a recurrent network written by hand) are watched by
        their last call. A network of more than `LAYERS` layers is watched by its blocks: the
        deepest modules of which there are no more than that. Names and globs
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
    known = home in ("activation", "activations") or (call.leaf and HOME_MADE.search(call.kind))
    weighs = any(True for _ in call.module.parameters(recurse=False))
    return call.kind == "PReLU" or (bool(known) and not weighs)


def _default(calls: Sequence[Call]) -> Selection:
    left_out: dict[str, str] = {}
    kept = []
    for call in (call for call in calls if call.leaf):
        reason = _not_a_layer(call)
        if reason:
            left_out[call.name] = reason
        else:
            kept.append(call)
    hidden = {id(part): call.name for call in kept for part in _completed(call)}
    for call in kept:
        if id(call) in hidden:
            left_out[call.name] = f"pre-activation of {hidden[id(call)]}"
    shown = [call for call in kept if id(call) not in hidden]
    return Selection(
        tuple(_by_blocks(_last_in_time(shown, calls, left_out), calls, left_out)),
        tuple(call for call in kept if id(call) in hidden),
        left_out,
    )


def _completed(call: Call) -> list[Call]:
    """Return what a call is the activation or the normalisation of, a residual sum's parts, too."""
    if is_activation(call):
        parts = call.summands if call.source is None else (call.source,)
    elif "Norm" in call.kind and call.source is not None:
        of_its_own = any(word in call.source.kind for word in ("Norm", "Embedding"))
        parts = () if of_its_own else (call.source,)
    else:
        parts = ()
    return [part for part in parts if not is_activation(part)]


def _last_in_time(
    shown: Sequence[Call], calls: Sequence[Call], left_out: dict[str, str]
) -> list[Call]:
    """Keep the last of many calls of the same weights: a cell that walks along a sequence.

    An activation without weights belongs to the last weights called before it, and to its place
    after them: the four gates of a cell are four layers, each of them many times.
    """
    rows: dict[tuple[str, str, int], list[Call]] = defaultdict(list)
    wanted = {id(call) for call in shown}
    for call, weights, place in _places(calls):
        if id(call) in wanted:
            rows[call.name.partition("#")[0], weights, place].append(call)
    dropped: set[int] = set()
    for row in rows.values():
        if len(row) > CALLS:
            dropped.update(id(call) for call in row[:-1])
            left_out[row[0].name] = (
                f"the first of {len(row)} calls of the same weights; the last, {row[-1].name}, is "
                "watched. Name others in `layers`"
            )
    return [call for call in shown if id(call) not in dropped]


def _places(calls: Sequence[Call]) -> Iterator[tuple[Call, str, int]]:
    """Yield each leaf with the path of the last weights called and how many leaves ago that was."""
    weights, place = "", 0
    for call in (call for call in calls if call.leaf):
        place += 1
        if call.module is not None and any(True for _ in call.module.parameters()):
            weights, place = call.path, 0
        yield call, weights, place


def _by_blocks(
    shown: Sequence[Call], calls: Sequence[Call], left_out: dict[str, str]
) -> Sequence[Call]:
    """Watch a deep network by the modules that hold its layers, as deep as `LAYERS` allows."""
    if len(shown) <= LAYERS:
        return shown
    lines = [_line(call) for call in shown]
    deepest = max(len(line) for line in lines)
    for depth in range(deepest - 1, 0, -1):
        blocks = {id(line[:depth][-1]): line[:depth][-1] for line in lines}
        if len(blocks) <= LAYERS:
            for call, line in zip(shown, lines, strict=True):
                if len(line) > depth:
                    left_out[call.name] = (
                        f"inside {line[depth - 1].name}, which is watched as a whole because the "
                        f"network has {len(shown)} layers. Name it in `layers` to watch it"
                    )
            return sorted(blocks.values(), key=calls.index)
    return shown


def _line(call: Call) -> list[Call]:
    """Return the calls that a call was made in, from the outside in, itself last, the model not."""
    line = [call]
    while (holder := line[0].parent) is not None and holder.path:
        line.insert(0, holder)
    return line


def _not_a_layer(call: Call) -> str:
    if call.idle:
        return "returns its input in eval mode"
    if call.kind == "Softmax" and call.source is None and call.output.ndim > 2:
        return 'the inside of attention, which capture=("output", "attention") keeps'
    if call.module is None or is_activation(call):
        return ""
    own = type(call.module).__module__.startswith("torch.nn.modules")
    idle = not any(True for _ in call.module.parameters()) and call.kind not in RECURRENT
    if own and idle and "Norm" not in call.kind:  # a norm is one without an affine part, too
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
    if glob in {plain(path) for path, _ in parts(model)}:
        return HookNotFiredError(
            f"layer {glob!r} exists but was never called in the probe pass, so it has no output. "
            f"Layers that were called: {', '.join(names[:20])}."
        )
    near = difflib.get_close_matches(glob, names, n=5, cutoff=0.4) or names[:20]
    return CaptureError(
        f"`layers` must name layers of the model; {glob!r} matches none. Did you mean: "
        f"{', '.join(near)}?"
    )
