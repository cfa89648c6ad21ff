"""Taps: where each thing that is captured is read, found by tracing the model on a few rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from infoplane.capture.attention import ENTRIES
from infoplane.capture.faults import out_of_memory
from infoplane.capture.outcome import sample_losses
from infoplane.capture.probe import Probe
from infoplane.capture.quiet import undisturbed
from infoplane.capture.reduce import POLICIES, ReduceLike, Reducer, reducer
from infoplane.capture.samples import Axis, find_axis
from infoplane.capture.select import LayersLike, Selection, is_activation, select
from infoplane.capture.trace import Call, Trace, first_tensor
from infoplane.errors import CaptureError
from infoplane.types import Layer

KINDS = (
    "output", "input", "pre_activation", "attention", "logits", "loss", "gradients", "weights",
)  # fmt: skip
"""What ``capture=`` may name."""


@dataclass(frozen=True, slots=True, eq=False)
class Tap:
    """Where one thing is read.

    Attributes
    ----------
    layer : Layer
        Its row in the run's layer table.
    where : tuple of (str, str)
        What is watched: ("output" or "input", dotted path of the module), ("function", ""),
        ("attention", "") or ("result", "").
    kind : str
        Class name of the module, or name of the function.
    index : int
        Which of the calls watched there.
    axis : Axis
        Where the samples are.
    reducer : callable
        From (n, …) to (n, d).
    """

    layer: Layer
    where: tuple[str, str]
    kind: str
    index: int
    axis: Axis
    reducer: Reducer

    def read(self, value: Any, n: int) -> Tensor:
        """Return the representation (n, d) in what was seen for n samples."""
        tensor = first_tensor(value)
        if tensor is None:
            raise CaptureError(f"{self.layer.name!r} gave no tensor of real numbers.")
        return self.reducer(self.axis.first(tensor, n))


@dataclass(frozen=True, slots=True)
class Plan:
    """What to read of a model.

    Attributes
    ----------
    layers, reduce, units, seed
        As for `watch`.
    capture : tuple of str
        Of `KINDS`.
    autocast : bool
        Whether an autocast that is on stays on in the probe pass.
    """

    layers: LayersLike | None = None
    reduce: ReduceLike | None = None
    units: int = 1024
    seed: int = 0
    capture: tuple[str, ...] = ("output",)
    autocast: bool = True


def find_taps(model: nn.Module, probe: Probe, plan: Plan) -> tuple[tuple[Tap, ...], Selection]:
    """Trace the model on 2 and on 3 rows and return a tap for each thing asked.

    Two sizes tell the axis that counts samples, whatever the layout (batch first or not, windows or
    experts folded into it); a layer in which no axis follows the number of samples is left out.

    Raises
    ------
    CaptureError
        If a layer named does not exist, was not called, or has no row per sample.
    """
    finder = _Finder(model, probe, plan)
    taps = finder.outputs()
    for kind in ("pre_activation", "input", "attention"):
        if kind in plan.capture:
            taps += getattr(finder, kind)()
    taps.sort(key=lambda tap: finder.order[tap.layer.name])
    taps += finder.outcome()
    if not taps:
        raise CaptureError("no layer has a row per sample; check that axis 0 of the probe does.")
    chosen = finder.chosen
    return tuple(taps), Selection(chosen.calls, chosen.hidden, finder.left_out)


class _Finder:
    """The traces on 2 and on 3 rows, and the taps that follow from them.

    A model whose rows belong together (the nodes of one graph) cannot run on some of them: it is
    traced on all, and the first axis as long as the probe set counts the samples.
    """

    def __init__(self, model: nn.Module, probe: Probe, plan: Plan) -> None:
        self.plan, self.probe = plan, probe
        try:
            self.two, few = _traced(model, probe, 2, plan)
            self.three, many = _traced(model, probe, 3, plan)
            self.whole = 0
        except Exception as error:
            if out_of_memory(error) or probe.batch_size < probe.n:
                raise
            self.three, many = self.two, few = _traced(model, probe, probe.n, plan)
            self.whole = probe.n
        self.results = (first_tensor(few), first_tensor(many))
        self.chosen = select(self.three.calls, model, plan.layers)
        self.left_out = dict(self.chosen.left_out)
        self.order: dict[str, int] = {}
        self._earlier = {call.name: call for call in (*self.two.calls, *self.two.attention)}

    def outputs(self) -> list[Tap]:
        """Tap the outputs of the layers chosen."""
        if "output" not in self.plan.capture:
            return []
        return self._taps(self.chosen.calls, "output", strict=self.plan.layers is not None)

    def pre_activation(self) -> list[Tap]:
        """Tap the outputs that go straight into a normalisation or an activation."""
        return self._taps(self.chosen.hidden, "pre_activation")

    def input(self) -> list[Tap]:
        """Tap the inputs of the modules chosen."""
        calls = [call for call in self.chosen.calls if call.module is not None]
        return self._taps(calls, "input", ending=":input")

    def attention(self) -> list[Tap]:
        """Tap the probabilities of the attention calls."""
        taps = self._taps(self.three.attention, "attention")
        if not taps:
            raise CaptureError(
                'capture="attention" found none: the model calls neither '
                "scaled_dot_product_attention nor MultiheadAttention nor a softmax over the keys, "
                "(n, heads, queries, keys). Leave it out."
            )
        return taps

    def outcome(self) -> list[Tap]:
        """Tap what the model as a whole returns: logits and per-sample losses."""
        asked = [what for what in ("logits", "loss") if what in self.plan.capture]
        two, three = self.results
        if not asked:
            return []
        if three is None or self._axis(two, three) != Axis():
            raise CaptureError(f"capture={asked!r} needs a model that returns one row per sample.")
        seen = {"logits": lambda: three, "loss": lambda: self._losses(three)}
        places = {"logits": ("result", ""), "loss": ("loss", "")}
        return [
            self._tap(what, "model", what, places[what], 0, seen[what](), Axis()) for what in asked
        ]

    def _axis(self, two: Tensor | None, three: Tensor | None) -> Axis | None:
        if two is None or three is None:
            return None
        if self.whole:
            hits = [axis for axis, size in enumerate(three.shape) if size == self.whole]
            return Axis(hits[0]) if hits else None
        return find_axis(two, three)

    def _losses(self, output: Tensor) -> Tensor:
        return losses_of(self.probe, output, np.arange(len(output)) % self.probe.n)

    def _taps(
        self, calls: Sequence[Call], what: str, *, ending: str = "", strict: bool = False
    ) -> list[Tap]:
        taps: list[Tap] = []
        holders: list[Call] = []
        for call in calls:
            before, seen = _seen(self._earlier.get(call.name), what), _seen(call, what)
            axis = self._axis(before, seen)
            name = call.name + ending
            if axis is not None and seen is not None:
                tap = self._tap(name, call.kind, what, _where(call, what), call.index, seen, axis,
                                call)  # fmt: skip
                self.order[name] = self._place(call)
                taps.append(tap)
            elif strict and not callable(self.plan.layers):
                raise CaptureError(
                    f"layer {name!r} has no row per sample: no axis of its {what} follows the "
                    "number of samples. Leave it out of `layers`."
                )
            else:
                self.left_out[name] = f"no axis of its {what} counts the samples"
                holder = call.parent
                part = before is None or seen is None or before.shape != seen.shape
                if part and holder and holder.path and holder not in [*calls, *holders]:
                    holders.append(holder)  # an expert sees some of the rows, what holds it all
        if holders and what == "output" and self.plan.layers is None:
            taps += self._taps(holders, what)
        return taps

    def _place(self, call: Call) -> int:
        """Position in the network's order; attention comes before the module that it is in."""
        calls = self.three.calls
        if call in calls:
            return 2 * calls.index(call) + 1
        inside = [i for i, other in enumerate(calls) if other.path.startswith(call.path)]
        return 2 * min(inside, default=0)

    def _tap(
        self, name: str, kind: str, what: str, where: tuple[str, str], index: int, seen: Tensor,
        axis: Axis, call: Call | None = None,
    ) -> Tap:  # fmt: skip
        sample = axis.first(seen, seen.shape[axis.index] // axis.factor)
        if what in ("output", "input", "pre_activation") and call is not None:
            maker = _maker(call, self.three.calls)
            chosen = reducer(self.plan.reduce, name, maker, sample, units=self.plan.units,
                             seed=self.plan.seed)  # fmt: skip
        elif what == "attention":
            chosen = reducer("flatten", name, kind, sample, units=ENTRIES, seed=self.plan.seed)
        else:
            chosen = Reducer("flatten", POLICIES["flatten"])
        layer = Layer(
            name=name,
            kind=kind,
            shape=tuple(sample.shape[1:]),
            width=int(chosen(sample).shape[1]),
            reduce=chosen.name,
            what=what,
        )
        return Tap(layer, where, kind, index, axis, chosen)


def losses_of(probe: Probe, output: Tensor, rows: Any) -> Tensor:
    """Return the loss (n, 1) of some rows of a probe set from the model's output on them."""
    if probe.y is None:
        raise CaptureError('capture="loss" needs labels: Probe(x, y).')
    y = torch.as_tensor(probe.y[rows], device=output.device)
    if probe.loss is None:
        return sample_losses(output, y, probe.target)
    return torch.as_tensor(probe.loss(output, y)).reshape(len(y), -1)


def _traced(model: nn.Module, probe: Probe, rows: int, plan: Plan) -> tuple[Trace, Any]:
    few = probe.take(np.arange(rows) % probe.n)
    trace = Trace(attention="attention" in plan.capture)
    try:
        with undisturbed(model, autocast=plan.autocast), trace.watching(model):
            result = few.run(model, 0, rows)
    except Exception as error:
        error.add_note(
            f"infoplane ran the model on {rows} samples of the probe set, in eval mode, to see its "
            "layers. If it must be called in another way, say how: Probe(x, y, forward=f); if its "
            "rows belong together, let them: Probe(x, y, batch_size=len(x))."
        )
        raise
    return trace, result


def _seen(call: Call | None, what: str) -> Tensor | None:
    if call is None:
        return None
    return call.given if what == "input" else call.output


def _where(call: Call, what: str) -> tuple[str, str]:
    if what == "attention":
        return "attention", ""
    if call.module is None:
        return "function", ""
    return ("input" if what == "input" else "output"), call.path


def _maker(call: Call, calls: Sequence[Call]) -> str:
    """Kind of the layer that a chain starts with: the Conv2d of a ReLU."""
    if call.kind.startswith("InstanceNorm"):
        return call.kind
    while call.source is not None and (is_activation(call) or "Norm" in call.kind):
        call = call.source
    if not is_activation(call):
        return call.kind
    before = calls[: calls.index(call)]
    kinds = [other.kind for other in before if other.leaf and not is_activation(other)]
    return kinds[-1] if kinds else call.kind
