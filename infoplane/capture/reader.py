"""The reader: hooks attached for one probe pass only, and the arrays they fill."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from infoplane.capture.attention import ATTENTION, attention_of
from infoplane.capture.faults import out_of_memory
from infoplane.capture.probe import Probe, home
from infoplane.capture.quiet import undisturbed
from infoplane.capture.taps import Tap, losses_of
from infoplane.capture.trace import FUNCTIONS, first_tensor
from infoplane.errors import CaptureError, HookNotFiredError

OnFault = Callable[[str, Exception], None]


class Reader:
    """Reads all taps on a probe set, once a snapshot.

    A tap that fails is reported once, left out of this snapshot and not tried again.

    Parameters
    ----------
    taps : sequence of Tap
    on_fault : callable
        ``on_fault(layer name, error)``.
    autocast : bool
        Whether an autocast that is on stays on.

    Attributes
    ----------
    seconds : mapping of str to float
        What each kind that is captured has taken beside the forward pass itself.
    """

    def __init__(self, taps: Sequence[Tap], on_fault: OnFault, *, autocast: bool = True) -> None:
        self.taps = list(taps)
        self.on_fault, self.autocast = on_fault, autocast
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def read(self, model: nn.Module, probe: Probe) -> dict[str, Tensor]:
        """Return {layer: (n, d) float32 in host memory}; on CUDA copies may be under way.

        Every hook is attached for this call only and returns None.
        """
        place = home(model)
        page = _Page(self, probe, pinned=place[0].type == "cuda")
        with undisturbed(model, autocast=self.autocast) as modules, page.attached(modules):
            for start in range(0, probe.n, probe.batch_size):
                page.turn(start, min(start + probe.batch_size, probe.n))
                page.result(probe.run(model, page.start, page.stop, place))
        return page.finish()

    def disable(self, tap: Tap, error: Exception) -> None:
        """Stop reading a tap."""
        if tap in self.taps:
            self.taps.remove(tap)
            self.on_fault(tap.layer.name, error)


class _Page:
    """The arrays of one pass over one probe set, and the hooks that fill them."""

    def __init__(self, reader: Reader, probe: Probe, *, pinned: bool) -> None:
        self.reader, self.probe = reader, probe
        self.taps = tuple(reader.taps)
        self.arrays = {
            tap.layer.name: torch.empty(probe.n, tap.layer.width, pin_memory=pinned)
            for tap in self.taps
        }
        self.filled: Counter[str] = Counter()
        self.calls: Counter[tuple[str, str]] = Counter()
        self.start = self.stop = 0
        self.thread = threading.get_ident()
        self.watched = defaultdict(list)
        for tap in self.taps:
            self.watched[tap.where].append(tap)

    @contextmanager
    def attached(self, modules: Mapping[str, nn.Module]) -> Iterator[None]:
        """Attach what the taps need and detach it on leaving, whatever happens."""
        with ExitStack() as stack:
            for side, path in self.watched:
                if side in ("output", "input") and path not in modules:
                    gone = HookNotFiredError("its module is no longer in the model.")
                    self.disable((side, path), gone)
                elif side == "output":
                    handle = modules[path].register_forward_hook(partial(self._after, path))
                    stack.callback(handle.remove)
                elif side == "input":
                    before = partial(self._before, path)
                    handle = modules[path].register_forward_pre_hook(before, with_kwargs=True)
                    stack.callback(handle.remove)
            if ("function", "") in self.watched or ("attention", "") in self.watched:
                stack.enter_context(_Functions(self))
            yield

    def turn(self, start: int, stop: int) -> None:
        """Go on to the next rows."""
        self.start, self.stop = start, stop
        self.calls.clear()

    def finish(self) -> dict[str, Tensor]:
        """Return what was filled completely."""
        for tap in self.taps:
            if tap in self.reader.taps and self.filled[tap.layer.name] != self.probe.n:
                text = f"layer {tap.layer.name!r} was called at first but not in this probe pass."
                self.reader.disable(tap, HookNotFiredError(f"{text} It is no longer captured."))
        alive = (tap.layer.name for tap in self.taps if tap in self.reader.taps)
        return {name: self.arrays[name] for name in alive}

    def _after(self, path: str, module: nn.Module, args: Any, output: Any) -> None:
        self.see(("output", path), type(module).__name__, output)

    def _before(self, path: str, module: nn.Module, args: Any, kwargs: Any) -> None:
        self.see(("input", path), type(module).__name__, (args, kwargs))

    def result(self, output: Any) -> None:
        """Look at what the model as a whole returned."""
        self.see(("result", ""), "model", output)
        if ("loss", "") in self.watched:
            rows = slice(self.start, self.stop)
            self.see(("loss", ""), "model", lambda: self._losses(output, rows))

    def _losses(self, output: Any, rows: slice) -> Tensor:
        tensor = first_tensor(output)
        if tensor is None:
            raise CaptureError("the model returned no tensor of real numbers.")
        return losses_of(self.probe, tensor, rows)

    def see(self, where: tuple[str, str], kind: str, value: Any) -> None:
        """Copy what was seen into the arrays of the taps that watch there; never raises but OOM."""
        if threading.get_ident() != self.thread:
            return
        index = self.calls[where]
        self.calls[where] += 1
        for tap in self.watched.get(where, ()):
            if tap.index != index or tap not in self.reader.taps:
                continue
            begun = perf_counter()
            try:
                self._copy(tap, kind, value)
            except Exception as error:
                if out_of_memory(error):
                    raise  # ends this pass, not this layer
                self.reader.disable(tap, error)
            self.reader.seconds[tap.layer.what] += perf_counter() - begun

    def disable(self, where: tuple[str, str], error: Exception) -> None:
        """Stop reading all that is read there."""
        for tap in self.watched.get(where, ()):
            self.reader.disable(tap, error)

    def _copy(self, tap: Tap, kind: str, value: Any) -> None:
        if kind != tap.kind:
            raise CaptureError(f"{kind} was called where {tap.kind} was when the watch began.")
        made = tap.read(value() if callable(value) else value, self.stop - self.start)
        self.arrays[tap.layer.name][self.start : self.stop].copy_(made.detach(), non_blocking=True)
        self.filled[tap.layer.name] += self.stop - self.start


class _Functions(TorchFunctionMode):
    """Shows each functional activation, and each attention call asked for, to the page."""

    def __init__(self, page: _Page) -> None:
        super().__init__()
        self.page = page
        self.attention = ("attention", "") in page.watched

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if self.attention and name in ATTENTION:
            self._attend(func, args, kwargs)
        result = func(*args, **kwargs)
        if name in FUNCTIONS:
            self.page.see(("function", ""), name.rstrip("_"), result)
        return result

    def _attend(self, func: Any, args: tuple[Any, ...], kwargs: Any) -> None:
        begun = perf_counter()
        try:
            weights = attention_of(func, args, kwargs)
        except Exception as error:
            if out_of_memory(error):
                raise
            weights = None
            self.page.disable(("attention", ""), error)
        self.page.reader.seconds["attention"] += perf_counter() - begun
        if weights is not None:
            self.page.see(("attention", ""), func.__name__, weights)
