"""Taps: the hooks of one probe pass, attached for that pass only, and the arrays they fill."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from infoplane.capture.probe import Probe, home
from infoplane.capture.quiet import undisturbed
from infoplane.capture.reduce import ReduceLike, Reducer, reducer
from infoplane.capture.select import Selection, is_activation, select
from infoplane.capture.trace import FUNCTIONS, Call, Trace, first_tensor
from infoplane.errors import CaptureError, HookNotFiredError
from infoplane.types import Layer

OnFault = Callable[[str, Exception], None]

OUT_OF_MEMORY = (MemoryError, torch.OutOfMemoryError)


@dataclass(frozen=True, slots=True)
class Tap:
    """Where one layer is read.

    Attributes
    ----------
    layer : Layer
        Its row in the run's layer table.
    path : str or None
        Dotted path of the module; None for a functional activation.
    kind : str
        Class name, or name of the function.
    index : int
        Which call of the module (of any functional activation) in the pass.
    axis : int
        Axis of the output that counts samples.
    factor : int
        Entries of that axis per sample.
    reducer : Reducer
        From (n, …) to (n, d).
    """

    layer: Layer
    path: str | None
    kind: str
    index: int
    axis: int
    factor: int
    reducer: Reducer

    def read(self, output: Any, n: int) -> Tensor:
        """Return the representation (n, d) in what the layer returned for n samples."""
        tensor = first_tensor(output)
        if tensor is None:
            raise CaptureError(f"layer {self.layer.name!r} returned no tensor of real numbers.")
        return self.reducer(samples_first(tensor, self.axis, self.factor, n))


def samples_first(t: Tensor, axis: int, factor: int, n: int) -> Tensor:
    """Return `t` as (n, …), where axis `axis` counts `factor` entries per sample."""
    t = t.movedim(axis, 0)
    if t.shape[0] != n * factor:
        raise CaptureError(f"expected {n * factor} entries on axis {axis}; got {t.shape[0]}.")
    return t if factor == 1 else t.reshape(n, factor, *t.shape[1:])


def find_taps(
    model: nn.Module, probe: Probe, layers: Any, reduce: ReduceLike | None, units: int, seed: int
) -> tuple[tuple[Tap, ...], Selection]:
    """Trace the model on 2 and on 3 rows and return a tap for each layer chosen.

    Two sizes tell the axis that counts samples, whatever the layout (batch first or not, windows or
    experts folded into it); a layer in which no axis follows the number of samples is left out.
    """
    two, three = (_traced(model, probe, rows) for rows in (2, 3))
    chosen = select(three, model, layers)
    sizes = {call.name: tuple(call.output.shape) for call in two}
    left_out, taps = dict(chosen.left_out), []
    for call in chosen.calls:
        axis, factor = sample_axis(sizes.get(call.name, ()), tuple(call.output.shape))
        if factor:
            taps.append(_tap(call, _maker(call, three), axis, factor, reduce, units, seed))
        elif layers is not None and not callable(layers):
            raise CaptureError(
                f"layer {call.name!r} returns shape {tuple(call.output.shape)} for 3 samples and "
                f"{sizes.get(call.name)} for 2: no axis counts the samples, so it has no row per "
                "sample. Leave it out of `layers`."
            )
        else:
            left_out[call.name] = "no axis of its output counts the samples"
    if not taps:
        raise CaptureError("no layer has a row per sample; check that axis 0 of the probe does.")
    return tuple(taps), Selection(chosen.calls, chosen.hidden, left_out)


def sample_axis(two: Sequence[int], three: Sequence[int]) -> tuple[int, int]:
    """Return (axis, entries per sample) from the shapes for 2 and for 3 samples; (0, 0) if none."""
    if len(two) != len(three):
        return 0, 0
    moved = [axis for axis, (a, b) in enumerate(zip(two, three, strict=True)) if a != b]
    if len(moved) != 1:
        return 0, 0
    a, b = two[moved[0]], three[moved[0]]
    return (moved[0], b // 3) if a > 0 and a % 2 == 0 and b == a // 2 * 3 else (0, 0)


def _traced(model: nn.Module, probe: Probe, rows: int) -> list[Call]:
    few, trace = probe.take(np.arange(rows) % probe.n), Trace()
    with undisturbed(model), trace.watching(model):
        few.run(model, 0, rows)
    return trace.calls


def _maker(call: Call, calls: Sequence[Call]) -> str:
    """Kind of the layer that a chain starts with: the Conv2d of a ReLU."""
    while call.source is not None:
        call = call.source
    if not is_activation(call):
        return call.kind
    before = calls[: next(i for i, other in enumerate(calls) if other is call)]
    kinds = [other.kind for other in before if other.leaf and not is_activation(other)]
    return kinds[-1] if kinds else call.kind


def _tap(
    call: Call, maker: str, axis: int, factor: int, reduce: ReduceLike | None, units: int, seed: int
) -> Tap:
    n = call.output.shape[axis] // factor
    sample = samples_first(call.output, axis, factor, n)
    chosen = reducer(reduce, call.name, maker, sample, units=units, seed=seed)
    layer = Layer(
        name=call.name,
        kind=call.kind,
        shape=tuple(sample.shape[1:]),
        width=int(chosen(sample).shape[1]),
        reduce=chosen.name,
    )
    path = call.path if call.module is not None else None
    return Tap(layer, path, call.kind, call.index, axis, factor, chosen)


class Reader:
    """Reads all taps on a probe set, once a snapshot.

    A layer that fails is reported once, left out of this snapshot and not tried again.

    Parameters
    ----------
    taps : sequence of Tap
    on_fault : callable
        ``on_fault(layer name, error)``.
    """

    def __init__(self, taps: Sequence[Tap], on_fault: OnFault) -> None:
        self.taps = list(taps)
        self.on_fault = on_fault

    def read(self, model: nn.Module, probe: Probe) -> dict[str, Tensor]:
        """Return {layer: (n, d) float32 in host memory}; on CUDA copies may be under way.

        Every hook is attached for this call only and returns None.
        """
        pinned = home(model)[0].type == "cuda"
        page = _Page(self, probe.n, pinned)
        with undisturbed(model), page.attached(model):
            for start in range(0, probe.n, probe.batch_size):
                page.turn(start, min(start + probe.batch_size, probe.n))
                probe.run(model, page.start, page.stop)
        return page.finish()

    def disable(self, tap: Tap, error: Exception) -> None:
        """Stop reading a tap."""
        if tap in self.taps:
            self.taps.remove(tap)
            self.on_fault(tap.layer.name, error)


class _Page:
    """The arrays of one pass over one probe set, and the hooks that fill them."""

    def __init__(self, reader: Reader, n: int, pinned: bool) -> None:
        self.reader, self.n = reader, n
        self.taps = tuple(reader.taps)
        self.arrays = {
            tap.layer.name: torch.empty(n, tap.layer.width, pin_memory=pinned) for tap in self.taps
        }
        self.filled: Counter[str] = Counter()
        self.calls: Counter[str | None] = Counter()
        self.start = self.stop = 0
        self.thread = threading.get_ident()

    @contextmanager
    def attached(self, model: nn.Module) -> Iterator[None]:
        modules, by_path = dict(model.named_modules()), defaultdict(list)
        for tap in self.taps:
            by_path[tap.path].append(tap)
        functions = by_path.pop(None, None)
        with ExitStack() as stack:
            for path, taps in by_path.items():
                hook = partial(self._hook, path, taps)
                stack.callback(modules[path].register_forward_hook(hook).remove)
            stack.enter_context(_Functions(partial(self._call, None, functions))
                                if functions else nullcontext())  # fmt: skip
            yield

    def turn(self, start: int, stop: int) -> None:
        """Go on to the next rows."""
        self.start, self.stop = start, stop
        self.calls.clear()

    def finish(self) -> dict[str, Tensor]:
        """Return what was filled completely."""
        for tap in self.taps:
            if tap in self.reader.taps and self.filled[tap.layer.name] != self.n:
                self.reader.disable(tap, HookNotFiredError(
                    f"layer {tap.layer.name!r} was called when the watch began but not in this "
                    "probe pass; it is no longer captured."))  # fmt: skip
        return {tap.layer.name: self.arrays[tap.layer.name] for tap in self.taps
                if tap in self.reader.taps}  # fmt: skip

    def _hook(
        self, path: str | None, taps: Sequence[Tap], module: Any, args: Any, output: Any
    ) -> None:
        self._call(path, taps, type(module).__name__, output)

    def _call(self, path: str | None, taps: Sequence[Tap], kind: str, output: Any) -> None:
        if threading.get_ident() != self.thread:
            return
        index = self.calls[path]
        self.calls[path] += 1
        for tap in taps:
            if tap.index != index or tap not in self.reader.taps:
                continue
            try:
                self._copy(tap, kind, output)
            except OUT_OF_MEMORY:
                raise  # ends this pass, not this layer
            except Exception as error:
                self.reader.disable(tap, error)

    def _copy(self, tap: Tap, kind: str, output: Any) -> None:
        if kind != tap.kind:
            raise CaptureError(f"layer {tap.layer.name!r}: {kind} was called where {tap.kind} was.")
        made = tap.read(output, self.stop - self.start)
        self.arrays[tap.layer.name][self.start : self.stop].copy_(made, non_blocking=True)
        self.filled[tap.layer.name] += self.stop - self.start


class _Functions(TorchFunctionMode):
    """Shows each functional activation of the pass to `seen(name, result)`, in order."""

    def __init__(self, seen: Callable[[str, Any], None]) -> None:
        super().__init__()
        self.seen = seen

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        if name in FUNCTIONS:
            self.seen(name.rstrip("_"), result)
        return result
