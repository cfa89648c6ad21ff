"""What is to be measured: the asks of an evaluation, their keys, and the order in which steps come.

An *ask* is one estimator with its parameters and the target it is asked about. A *job* is all asks
of one layer at one step, done by one worker so that distances and codes are computed once. Both are
plain data: they cross to worker processes as JSON.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from infoplane.errors import InputError
from infoplane.estimators.registry import Card, card, check_params
from infoplane.types import Kind, Layer, ProbeData, Quantity

DEFAULT: tuple[str, ...] = ("mi.binning", "mi.adaptive", "mi.kde")
AT_STEP = {"reference_step": "reference", "start_step": "start"}
AT_LAYER = {
    "deviation_layer": "deviation",
    "given_layer": "given",
    "logits_layer": "logits",
    "output_layer": "output",
}
EARLIER = "earlier_step"
"""Parameters that name another step or layer of the run, and the keyword that takes its arrays.

The earlier step of a layer is no keyword but the first variable: its target is ``T@<step>``.
"""

OTHERS = "other_layers"
PREDICTION = "prediction_layer"
"""Parameters that name layers which stand beside T in the first argument, or after Y."""

ABSENT = {
    "gradient": "the gradient of a positive function, such as each sample's loss, by T, which no "
    "run keeps. Call it on arrays: estimators.get(id)(t, gradient=…, function_values=…).",
}
"""What a run lacks, and how to call the estimator all the same."""

SPECIAL = {
    "stochastic": "the layers of means and of deviations by name: {'mean_layer': …, "
    "'deviation_layer': …}, or `mean_layer` alone when one layer puts out both side by side",
    "views": "two embeddings of the same samples, of equal width",
}
"""What a T of a special make is, that an ordinary layer would be mistaken for."""

Request = str | tuple[str, Mapping[str, Any]]
"""An estimator's id, or (id, parameters)."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One estimator with complete parameters and the target it is asked about.

    ``target`` is "X", "Y" or the name of a layer for mutual information, "" for a quantity of the
    layer alone (with or without labels). ``label`` names it among several parameter settings.
    """

    estimator: str
    version: int
    params: Mapping[str, Any]
    target: str
    label: str


@dataclass(frozen=True, slots=True)
class Job:
    """All asks of one layer at one step, each under its key."""

    step: int
    layer: str
    probe: str
    asks: tuple[tuple[str, Ask], ...]

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Job:
        """Read what :meth:`to_json` wrote."""
        return cls.from_record(json.loads(line))

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Job:
        """Make a job of decoded JSON."""
        asks = tuple(
            (key, Ask(**{**ask, "params": {k: _untangle(v) for k, v in ask["params"].items()}}))
            for key, ask in record["asks"]
        )
        return cls(record["step"], record["layer"], record["probe"], asks)


def _untangle(value: Any) -> Any:
    """Turn JSON's lists back into the tuples that estimators take."""
    return tuple(_untangle(item) for item in value) if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class Refusal:
    """An estimator that cannot be asked about a target of this run, and why."""

    estimator: str
    target: str
    why: str


@lru_cache(maxsize=1024)
def positional(function: Any) -> tuple[str, ...]:
    """Return the data arguments of an estimator: ``("v", "t")``, ``("t",)`` or ``("t", "y")``."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    known = inspect.signature(function).parameters.values()
    return tuple(parameter.name for parameter in known if parameter.kind in kinds)


@lru_cache(maxsize=1024)
def accepted(function: Any) -> frozenset[str]:
    """Return the names of all parameters of an estimator."""
    return frozenset(inspect.signature(function).parameters)


def pairs_target(entry: Card) -> bool:
    """Whether an estimator relates T to a target (``f(v, t)``) rather than describing T alone."""
    first = positional(entry.function)[:1]
    return first == ("v",) or (entry.quantity is Quantity.MI and first != ("t",))


def takes(entry: Card, kind: Kind) -> bool:
    """Whether an estimator of ``f(v, t)`` accepts a first variable of that kind."""
    return any(first is kind for first, _ in entry.accepts)


def complete(request: Request) -> tuple[Card, dict[str, Any], str]:
    """Return the card, the parameters completed with defaults, and a label for the setting."""
    name, given = (request, {}) if isinstance(request, str) else request
    entry = card(name)
    params = check_params(name, dict(given))
    try:
        json.dumps(params, allow_nan=False)
    except (TypeError, ValueError):
        raise InputError(
            f"the parameters of `{name}` must be plain data (numbers, text, lists) so that the "
            f"measurement can be named by its content; got {params!r}. Call the estimator itself "
            "for anything else."
        ) from None
    changed = {
        key: value
        for key, value in params.items()
        if json.dumps(value) != json.dumps(entry.params[key].default, default=repr)
    }
    inside = ", ".join(f"{key}={_short(value)}" for key, value in sorted(changed.items()))
    return entry, params, f"{name}({inside})" if inside else name


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def asks_for(
    requests: Iterable[Request],
    targets: Sequence[str],
    probe: ProbeData,
    layers: Sequence[str],
    *,
    stored: bool = True,
) -> tuple[list[Ask], list[Refusal]]:
    """List what can be asked on this probe set, and what cannot with the reason.

    ``stored`` says whether snapshots can be looked up again.
    """
    asks: list[Ask] = []
    refusals: list[Refusal] = []
    for request in requests:
        entry, params, label = complete(request)
        wanted = targets if pairs_target(entry) else ("",)
        wanted = wanted if params.get(EARLIER) is None else (f"T@{params[EARLIER]}",)
        for target in wanted:
            why = _misnamed(params, layers, stored) or refusal(entry, target, probe, layers, params)
            if why:
                refusals.append(Refusal(label, target, why))
            else:
                asks.append(Ask(entry.id, entry.version, params, target, label))
    return asks, refusals


def layers_named(params: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the other layers that an estimator's parameters name beside T."""
    last = params.get(PREDICTION)
    return (*(params.get(OTHERS) or ()), *(() if last is None else (last,)))


def steps_named(params: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the other steps of the run that an estimator's parameters name."""
    return tuple(params[name] for name in (*AT_STEP, EARLIER) if params.get(name) is not None)


def _misnamed(params: Mapping[str, Any], layers: Sequence[str], stored: bool) -> str:
    """Say which step or layer that the parameters name is not to be had; empty when all are."""
    if steps_named(params) and not stored:
        return "its parameters name a step, and while no snapshot is kept none can be looked up."
    for name in ("mean_layer", *AT_LAYER):
        if params.get(name) is not None and params[name] not in layers:
            return f"`{name}` must be a layer of the run; got {params[name]!r}."
    for layer in layers_named(params):
        if layer not in layers:
            return f"`{OTHERS}` and `{PREDICTION}` must name layers of the run; got {layer!r}."
    return ""


def refusal(
    entry: Card,
    target: str,
    probe: ProbeData,
    layers: Sequence[str],
    params: Mapping[str, Any] | None = None,
) -> str:
    """Say why an estimator cannot be asked about a target; empty when it can."""
    given = params or {}
    if given.get(EARLIER) is not None:
        return ""
    if EARLIER in entry.params:
        return (
            f"`{entry.id}` compares a layer with itself at an earlier step; name it: `{EARLIER}`."
        )
    if entry.needs == "layers" and not layers_named(given):
        return _several(entry)
    named = any(given.get(name) is not None for name in ("mean_layer", *AT_LAYER))
    if entry.needs in (*ABSENT, "classifier") and not named:
        for name in AT_LAYER.keys() & entry.params.keys():
            return f"`{entry.id}` needs the layer that reads T by name, `{name}`."
        return f"`{entry.id}` needs {ABSENT[entry.needs]}"
    views = entry.needs == "views" and target in layers
    if entry.needs in SPECIAL and not views and not named:
        return f"`{entry.id}` needs {SPECIAL[entry.needs]}; call it on the arrays."
    if target == "" and len(positional(entry.function)) > 1:
        return _refusal_of_labels(entry, probe)
    width = math.prod(np.shape(probe.x)[1:])
    if target == "X" and entry.needs == "scalar" and width > 1:
        return f"`{entry.id}` takes one column at a time, and X has {width}."
    if target == "" or target in layers or (target == "X" and entry.accepts):
        return ""
    if target != "Y":
        return f"the target must be 'X', 'Y' or a layer of the run; got {target!r}."
    if probe.y is None:
        return "the probe set has no Y."
    kind = Kind.DISCRETE if probe.target == "class" else Kind.CONTINUOUS
    if not takes(entry, kind):
        return f"`{entry.id}` does not take a {kind.value} first variable, which Y is here."
    return ""


def _several(entry: Card) -> str:
    if PREDICTION in entry.params:
        return f"`{entry.id}` needs the layer of the predictions of Y by name, `{PREDICTION}`."
    return f"`{entry.id}` looks at several layers at once; name those beside T: `{OTHERS}`."


def _refusal_of_labels(entry: Card, probe: ProbeData) -> str:
    """Say why a class-aware estimator cannot be asked; empty when it can."""
    if probe.y is None:
        return f"`{entry.id}` needs labels and the probe set has none."
    seconds = {pair[1] for pair in entry.accepts if isinstance(pair, tuple)}
    if probe.target == "class" and seconds == {Kind.CONTINUOUS}:
        return f"`{entry.id}` needs a real-valued Y, and Y is classes here."
    if probe.target != "class" and seconds == {Kind.DISCRETE}:
        return f"`{entry.id}` needs classes, and Y is real-valued here."
    return ""


def asked_of(ask: Ask, layer: Layer, last: str) -> bool:
    """Whether an ask concerns a layer: it may name its own, else its card says."""
    named = ask.params.get("mean_layer")
    other = layer.name not in layers_named(ask.params)
    own = named is None or layer.name == named
    return own and other and applies(card(ask.estimator), layer, last)


def applies(entry: Card, layer: Layer, last: str) -> bool:
    """Whether an estimator has anything to say about a layer, from what its card needs.

    Logits are those of the layers recorded as such, else of the last layer.
    """
    if entry.needs == "logits":
        return layer.what == "logits" or (layer.what == "output" and layer.name == last)
    if entry.needs == "codes":
        return layer.what == "output" and layer.dtype.startswith(("int", "uint", "bool"))
    if entry.needs == "scalar":
        return layer.width == 1 and layer.what == "output"
    if entry.needs == "attention":
        return layer.what == "attention"
    if entry.needs == "weights":
        return layer.what == "weight"
    return layer.what not in ("weight", "loss", "gradient")


def key_of(
    ask: Ask, *, uuid: str, step: int, crc: Any, probe: str, layer: str, draws: Sequence[int]
) -> str:
    """Return the content key of a measurement: blake2b of all that decides its value.

    The step is part of it: two steps may have the same snapshot, and both want their row. ``draws``
    are the seed and the numbers of random draws.
    """
    content = [uuid, step, crc, probe, layer, ask.target, ask.estimator, ask.version, ask.params]
    text = json.dumps([*content, *draws], sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def next_step(pending: Sequence[int], done: Sequence[int]) -> int:
    """Pick the step to do next: the newest while it is undone, then wherever the log axis gapes.

    When estimation falls behind training, the page so gets the latest point at once and an even
    coverage of the log-step axis behind it, instead of a growing delay.
    """
    newest = max(pending)
    if not done or newest > max(done):
        return newest
    at = [math.log1p(step) for step in done]
    return max(pending, key=lambda step: min(abs(math.log1p(step) - other) for other in at))
