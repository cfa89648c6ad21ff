"""Intake: activations that were saved by something else become a run."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infoplane.capture.containers import Entry, entries
from infoplane.capture.probe import Probe
from infoplane.errors import InputError
from infoplane.types import Layer, Sink, Snapshot

Array = NDArray[Any]

_NUMBER = r"0*(?P<step>\d+)"
_WORD = r"(?:epoch|step|iter|iteration|ep|it|snapshot)[-_ =]?"
_BEFORE = r"(?:[^/]*[-_. ])?"  # of a file's name: acts_epoch10
_WHAT = r"activations?|activity|acts?|data|outputs?|values?"
PATTERNS = {
    "DeepBottleneck": rf"{_NUMBER}/(?:activations/)?(?P<layer>\d+|weights_norm|gradmean|gradstd)",
    "ibsgd": rf"epoch{_NUMBER}/(?:activity_tst/)?"
    r"(?P<layer>\d+|weights_norm|gradmean|gradstd|loss_trn|loss_tst)",
    "step / layer": rf"{_BEFORE}{_WORD}{_NUMBER}[/._-](?:(?:{_WHAT})/)?"
    rf"(?P<layer>(?!(?:{_WHAT})$).+)",
    "layer / step": rf"(?P<layer>.+)[/._-]{_WORD}{_NUMBER}(?:/(?:{_WHAT}))?",
    "number / layer": rf"{_NUMBER}[/._-](?:(?:{_WHAT})/)?(?P<layer>.+)",
    "layer / number": rf"(?P<layer>.+)[/._-]{_NUMBER}(?:/(?:{_WHAT}))?",
}
"""Layouts that are recognised, in the order tried; all entries must fit."""

INPUTS = frozenset({"x", "inputs", "input_data"})
LABELS = frozenset({"y", "labels", "label", "targets", "target"})
COUNTS = frozenset({"steps", "epochs", "iterations", "step", "epoch", "iteration"})
PER_LAYER = {"weights_norm": "weight_norm", "gradmean": "gradient_mean", "gradstd": "gradient_std"}


@dataclass(frozen=True, slots=True)
class Imported:
    """What was taken in.

    Attributes
    ----------
    steps : tuple of int
    layers : tuple of str
    layout : str
        Which layout was recognised.
    n : int
        Samples.
    """

    steps: tuple[int, ...]
    layers: tuple[str, ...]
    layout: str
    n: int


def import_activations(
    path: str | Path,
    sink: Sink,
    *,
    x: Any = None,
    y: Any = None,
    target: str = "class",
    pattern: str | None = None,
    layers: Sequence[str] | None = None,
) -> Imported:
    """Read saved activations and write them to a sink, step by step.

    Reads npz and npy files, safetensors and HDF5 (with h5py), one file or a folder of them, with
    the step and the layer in file names, folder names or keys: ``epoch_10.npz`` with a key a layer,
    ``fc1/10.npy``, ``10/activations/0`` in HDF5 (DeepBottleneck), ``epoch00000010.npz`` (ibsgd,
    converted) and the like; or one array a layer with the steps on its first axis, beside an array
    called ``steps`` or ``epochs``. Entries called x / inputs and y / labels become the probe set;
    single numbers become scalars. Activations of more than two axes are flattened.

    Parameters
    ----------
    path : path
        File or folder.
    sink : Sink
        A run opened for writing; it is begun, filled and ended.
    x : array, (n, …), or path, optional
        Inputs, or a file that holds them. Where there are none each sample counts as distinct, and
        the run says so.
    y : array, (n,) or (n, k), or path, optional
        Labels or targets, or a file that holds them.
    target : {"class", "regression"}
        What `y` is.
    pattern : str, optional
        Regular expression with groups ``step`` and ``layer`` for entries such as
        ``folder/file/key`` (without suffix), where no known layout fits.
    layers : sequence of str, optional
        Which layers, in the network's order; all, in their order of appearance, by default.

    Returns
    -------
    Imported

    Raises
    ------
    InputError
        If nothing is recognised, a file is a pickle, or the rows of two layers disagree.
    """
    found = list(entries(Path(path)))
    given = {"x": _given("x", x, INPUTS), "y": _given("y", y, LABELS)}
    for entry in found:
        for name, words in (("x", INPUTS), ("y", LABELS)):
            if entry.key in words and given[name] is None:
                given[name] = entry.read()
    rest = [entry for entry in found if entry.key not in INPUTS | LABELS]
    layout, placed = _place(_unstacked(rest) if pattern is None else rest, pattern)
    steps: dict[int, dict[str, Entry]] = defaultdict(dict)
    for (step, layer), entry in placed.items():
        steps[step][layer] = entry
    writer = _Intake(sink, given["x"], given["y"], target, layers, layout)
    for step in sorted(steps):
        writer.write(step, steps[step])
    return writer.end(tuple(sorted(steps)), str(path))


def _given(name: str, value: Any, words: frozenset[str]) -> Any:
    """Read what was given as a file: its only array, or the one that is called so."""
    if not isinstance(value, str | Path):
        return value
    found = list(entries(Path(value)))
    fitting = [entry for entry in found if entry.key in words] or found
    if len(fitting) != 1:
        names = ", ".join(repr(entry.name) for entry in islice(found, 5)) or "none"
        raise InputError(
            f"`{name}` must be a file with one array, or with one called "
            f"{' or '.join(sorted(words))}; {str(value)!r} holds {names}."
        )
    return fitting[0].read()


def _unstacked(found: Sequence[Entry]) -> list[Entry]:
    """Take arrays apart that hold all steps on axis 0, where a list of the steps is beside them."""
    counts = [entry for entry in found if entry.key in COUNTS]
    steps = counts[0].read() if len(counts) == 1 else np.zeros(())
    if steps.ndim != 1 or steps.dtype.kind not in "iuf":
        return list(found)

    def slice_of(whole: Callable[[], Array], name: str, index: int) -> Callable[[], Array]:
        def read() -> Array:
            array = whole()
            if len(array) != len(steps):
                raise InputError(
                    f"{name!r} must have the {len(steps)} steps of {counts[0].name!r} on its first "
                    f"axis; its shape is {array.shape}."
                )
            return np.asarray(array[index])

        return read

    apart, folder = [], counts[0].name.removesuffix(counts[0].name.rpartition("/")[2])
    for entry in (entry for entry in found if entry is not counts[0]):
        whole, layer = cache(entry.read), entry.name.removeprefix(folder)
        apart += [Entry(f"step_{int(step)}/{layer}", slice_of(whole, entry.name, index))
                  for index, step in enumerate(steps)]  # fmt: skip
    return apart


def _place(found: Sequence[Entry], pattern: str | None) -> tuple[str, dict[tuple[int, str], Entry]]:
    """Tell step and layer of each entry by the first layout that fits all."""
    candidates = PATTERNS if pattern is None else {"given": pattern}
    for layout, expression in candidates.items():
        compiled = re.compile(rf"(?:.*?/)?{expression}" if pattern is None else expression,
                              re.IGNORECASE)  # fmt: skip
        if not {"step", "layer"} <= set(compiled.groupindex):
            raise InputError("`pattern` must have the groups (?P<step>…) and (?P<layer>…).")
        hits = [compiled.fullmatch(entry.name) for entry in found]
        placed = {
            (int(hit["step"]), hit["layer"]): entry
            for hit, entry in zip(hits, found, strict=True)
            if hit is not None
        }
        if found and len(placed) == len(found):  # no two entries at the same place
            return layout, placed
    names = ", ".join(repr(entry.name) for entry in islice(found, 5)) or "nothing readable"
    raise InputError(
        f"the entries must tell their step and layer, as in 'epoch_10/fc1', each another; found "
        f"{names}. Give pattern=r'(?P<layer>.+)-(?P<step>\\d+)' or the like, or put an array "
        "called 'steps' beside arrays that hold all steps on their first axis."
    )


class _Intake:
    """Writes to the sink; the first step tells the layers and the number of samples."""

    def __init__(
        self, sink: Sink, x: Any, y: Any, target: str, layers: Sequence[str] | None, layout: str
    ) -> None:
        self.sink, self.x, self.y, self.target, self.layout = sink, x, y, target, layout
        self.wanted = None if layers is None else list(layers)
        self.layers: tuple[str, ...] = ()
        self.n = 0

    def write(self, step: int, found: Mapping[str, Entry]) -> None:
        """Read one step and hand it on."""
        arrays = {layer: entry.read() for layer, entry in found.items()}
        scalars = _scalars(arrays)
        kept = {name: _rows(name, array) for name, array in arrays.items()
                if array.ndim and name not in PER_LAYER}  # fmt: skip
        if not self.layers:
            self._begin(kept)
        self._check(step, kept)
        self.sink.write(Snapshot(step, {name: kept[name] for name in self.layers}, scalars))
        if scalars:
            self.sink.record(step, scalars)

    def end(self, steps: tuple[int, ...], source: str) -> Imported:
        """Tell where it came from, and end the run."""
        detail = {"source": Path(source).name, "layout": self.layout, "steps": len(steps)}
        self.sink.report("imported", detail)
        self.sink.end("finished")
        return Imported(steps, self.layers, self.layout, self.n)

    def _begin(self, arrays: Mapping[str, Array]) -> None:
        self.layers = tuple(arrays if self.wanted is None else self.wanted)
        missing = [name for name in self.layers if name not in arrays]
        if missing or not arrays:
            raise InputError(
                f"`layers` must name some of {', '.join(arrays) or '(no layers)'}; got {missing}."
            )
        self.n = len(arrays[self.layers[0]])
        known = self.x is not None
        x = self.x if known else np.arange(self.n, dtype=np.int64)[:, None]
        probe = Probe(x, self.y, target=self.target)
        table = tuple(
            Layer(name, "imported", arrays[name].shape[1:], arrays[name].shape[1], "flatten")
            for name in self.layers
        )
        note = "given" if known else "unknown: each sample counts as distinct"
        self.sink.begin((probe.data(),), table, {"imported": self.layout, "inputs": note})

    def _check(self, step: int, arrays: Mapping[str, Array]) -> None:
        for name in self.layers:
            if name not in arrays:
                raise InputError(
                    f"layer {name!r} must be there at every step; step {step} lacks it."
                )
            if len(arrays[name]) != self.n:
                raise InputError(
                    f"all layers must hold the same {self.n} samples; {name!r} at step {step} has "
                    f"{len(arrays[name])} rows."
                )


def _rows(name: str, array: Array) -> Array:
    if array.dtype.kind not in "fiub":
        raise InputError(f"layer {name!r} must hold real numbers; got dtype {array.dtype}.")
    rows = array.reshape(len(array), -1)
    return rows if rows.dtype == np.float32 else rows.astype(np.float32)


def _scalars(arrays: Mapping[str, Array]) -> dict[str, float]:
    """Single numbers, and the per-layer lists that DeepBottleneck and ibsgd keep."""
    found = {name: float(array) for name, array in arrays.items() if not array.ndim}
    for name, scalar in PER_LAYER.items():
        for index, value in enumerate(arrays.get(name, ())):
            found[f"{scalar}/{index}"] = float(value)
    return found
