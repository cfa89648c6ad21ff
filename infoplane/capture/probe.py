"""The probe set: the fixed samples on which snapshots are taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.utils.data import DataLoader, Dataset, default_collate

from infoplane.capture.models import parts
from infoplane.capture.quiet import random_states_kept
from infoplane.errors import InputError
from infoplane.types import ProbeData

Inputs = Tensor | tuple[Tensor, ...] | dict[str, Tensor]
Forward = Callable[[nn.Module, Any], Any]
Loss = Callable[[Tensor, Tensor], Tensor]

TARGETS = ("class", "regression")
PAD = (
    "Pad to one length and undo it in a forward of your own: Probe((padded, lengths), y, "
    "forward=lambda model, parts: …)."
)
LABELS = frozenset({"y", "label", "labels", "target", "targets"})
"""Names under which the labels of a sample are known."""


class Probe:
    """Fixed samples with their labels, sent through the network at every snapshot.

    Parameters
    ----------
    x : array, tensor, tuple or mapping of them, (n, …)
        Inputs with the samples on axis 0. A tuple is passed as positional arguments of the model, a
        mapping as keyword arguments (``{"input_ids": …, "attention_mask": …}``). Copied.
    y : array or tensor, (n,) or (n, k), optional
        Labels: whole numbers, text or one-hot rows for classes, real numbers for regression.
    target : {"class", "regression"}
        What `y` is.
    name : str
        Which probe this is, where several are watched ("train", "test").
    batch_size : int, optional
        Rows of one forward pass, so that the probe set may be larger than the device's memory;
        by default as many as hold 4 MiB of inputs, from 64 to 8192.
    forward : callable, optional
        ``forward(model, inputs)`` runs the model where calling it is not enough.
    loss : callable, optional
        ``loss(output, y) -> (n,)`` for ``capture="loss"``; cross-entropy or squared error if not
        given.

    Raises
    ------
    InputError
        If the lengths disagree, a value is not finite, or the labels do not fit `target`.
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        *,
        target: str = "class",
        name: str = "probe",
        batch_size: int | None = None,
        forward: Forward | None = None,
        loss: Loss | None = None,
    ) -> None:
        if target not in TARGETS:
            raise InputError(f"`target` of a Probe must be one of {TARGETS}; got {target!r}.")
        if batch_size is not None and int(batch_size) < 1:
            raise InputError(f"`batch_size` of a Probe must be at least 1; got {batch_size!r}.")
        self.x: Inputs = _inputs(x)
        self.n = _length(self.x)
        self.y = None if y is None else _labels(y, target, self.n)
        self.target, self.name = target, str(name)
        self.batch_size = _rows_at_once(self.x, self.n) if batch_size is None else int(batch_size)
        self.forward, self.loss = forward, loss

    def __len__(self) -> int:
        return self.n

    def __repr__(self) -> str:
        labels = "no y" if self.y is None else f"y {self.y.shape}"
        return f"Probe(n={self.n}, {labels}, target={self.target!r}, name={self.name!r})"

    @classmethod
    def from_dataset(cls, dataset: Any, n: int = 1000, *, seed: int = 0, **options: Any) -> Probe:
        """Draw `n` samples of a Dataset, or of a DataLoader's, with a private seed.

        Parameters
        ----------
        dataset : Dataset or DataLoader
            Its samples are ``(x, y)``, several inputs and ``y`` last, or a mapping with the labels
            under ``label``, ``labels``, ``y``, ``target`` or ``targets``. A DataLoader's own
            ``collate_fn`` puts them together.
        n : int
            Samples to draw without replacement (all, where the dataset is smaller; the first ones,
            where it has no ``len``).
        seed : int
            Seed of the draw; random states are as before, whatever the dataset draws from them.
        **options
            Passed on to `Probe`.
        """
        collate: Callable[[list[Any]], Any] = default_collate
        if isinstance(dataset, DataLoader):
            collate, dataset = dataset.collate_fn, dataset.dataset
        with random_states_kept():  # the dataset may augment its samples at random
            batch = _together(_samples(dataset, int(n), seed), collate)
        return cls(*_pair(batch), **options)

    def take(self, rows: Sequence[int] | NDArray[Any]) -> Probe:
        """Return the probe set of these rows."""
        index = np.asarray(rows, dtype=np.int64)
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.x = _map(lambda part: part[torch.as_tensor(index, device=part.device)], self.x)
        other.y = None if self.y is None else self.y[index]
        other.n = len(index)
        return other

    def run(
        self, model: nn.Module, start: int, stop: int,
        place: tuple[torch.device, torch.dtype] | None = None,
    ) -> Any:  # fmt: skip
        """Send rows `start` … `stop` through the model, on its device and in its precision.

        `place` is what `home` tells of the model, where that is known already.
        """
        device, dtype = place or home(model)

        def move(part: Tensor) -> Tensor:  # a copy: some models change their inputs in place
            part = part[start:stop]
            return part.to(device, dtype if part.is_floating_point() else None, copy=True)

        inputs = _map(move, self.x)
        if self.forward is not None:
            return self.forward(model, inputs)
        if isinstance(inputs, dict):
            return model(**inputs)
        return model(*inputs) if isinstance(inputs, tuple) else model(inputs)

    def data(self) -> ProbeData:
        """Return the probe set as arrays; several inputs are laid side by side as columns."""
        parts = _parts(self.x)
        arrays = [_numpy(part) for part in parts]
        if len(arrays) > 1:
            arrays = [np.concatenate([a.reshape(self.n, -1) for a in arrays], axis=1)]
        return ProbeData(x=arrays[0], y=self.y, target=self.target, name=self.name)


def as_probes(value: Probe | Sequence[Probe] | Mapping[str, Probe]) -> tuple[Probe, ...]:
    """Read a ``probe=`` argument: one probe, a sequence, or a mapping of name to probe."""
    if isinstance(value, Probe):
        return (value,)
    if isinstance(value, Mapping):
        named = [probe.take(np.arange(probe.n)) for probe in value.values()]
        for name, probe in zip(value, named, strict=True):
            probe.name = str(name)
        return as_probes(named)
    probes = tuple(value)
    names = [getattr(probe, "name", None) for probe in probes]
    if not probes or not all(isinstance(probe, Probe) for probe in probes):
        raise InputError(
            f"`probe` must be a Probe, or several with different names; got {value!r}. "
            "Wrap your arrays: infoplane.Probe(x, y)."
        )
    if len(set(names)) < len(names):
        raise InputError(f"Probes watched together must have different names; got {names}.")
    return probes


def home(model: nn.Module) -> tuple[torch.device, torch.dtype]:
    """Device and floating dtype of the model's first floating parameter or buffer."""
    for kind in ("_parameters", "_buffers"):
        for _, part in parts(model):
            for tensor in getattr(part, kind).values():
                if tensor is not None and tensor.is_floating_point():
                    return tensor.device, tensor.dtype
    return torch.device("cpu"), torch.get_default_dtype()


def _map(change: Callable[[Tensor], Tensor], x: Inputs) -> Inputs:
    if isinstance(x, dict):
        return {key: change(part) for key, part in x.items()}
    return tuple(map(change, x)) if isinstance(x, tuple) else change(x)


def _parts(x: Inputs) -> tuple[Tensor, ...]:
    if isinstance(x, Tensor):
        return (x,)
    return tuple(x.values()) if isinstance(x, dict) else x


def _inputs(x: Any) -> Inputs:
    if isinstance(x, Mapping):
        return {str(key): _tensor(part) for key, part in x.items()}
    several = isinstance(x, tuple) and not isinstance(x, PackedSequence)
    return tuple(_tensor(part) for part in x) if several else _tensor(x)


def _tensor(x: Any) -> Tensor:
    """Copy to a tensor of its own: what the user does to `x` later must not move the probe set."""
    _refuse_what_is_no_array(x)
    if isinstance(x, Tensor):
        tensor = x.detach().clone()
    else:
        try:
            array = np.array(x)
        except ValueError as error:
            raise InputError(
                f"`x` of a Probe must have rows of one shape ({error}). {PAD}"
            ) from error
        if array.dtype.kind not in "fiub":
            raise InputError(
                f"`x` of a Probe must hold real numbers; got dtype {array.dtype}. "
                "Encode text or objects as numbers first."
            )
        tensor = torch.from_numpy(array)
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
        raise InputError("`x` of a Probe must be finite; it holds NaN or infinite values.")
    return tensor


def _samples(dataset: Any, n: int, seed: int) -> list[Any]:
    if not hasattr(dataset, "__len__"):
        return list(islice(dataset, n))
    rows = np.random.default_rng(seed).permutation(len(dataset))[:n]
    return [dataset[int(row)] for row in np.sort(rows)]


def _together(samples: list[Any], collate: Callable[[list[Any]], Any]) -> Any:
    try:
        return collate(samples)
    except (TypeError, RuntimeError) as error:
        raise InputError(
            f"the samples of the dataset must be numbers, arrays or tensors of one shape "
            f"({error}). Give it a transform that makes them so, or pass its DataLoader, whose "
            "collate_fn does."
        ) from error


def _pair(batch: Any) -> tuple[Any, Any]:
    """Tell inputs from labels."""
    if isinstance(batch, Mapping):
        names = [name for name in batch if str(name).lower() in LABELS]
        inputs = {name: part for name, part in batch.items() if name not in names}
        return inputs, batch[names[0]] if names else None
    parts = tuple(batch) if isinstance(batch, tuple | list) else (batch, None)
    if len(parts) == 1:
        return parts[0], None
    return (parts[0] if len(parts) == 2 else parts[:-1]), parts[-1]


def _refuse_what_is_no_array(x: Any) -> None:
    if isinstance(x, Dataset | DataLoader):
        raise InputError(
            f"`x` of a Probe must be arrays; got a {type(x).__name__}. Draw from it: "
            "Probe.from_dataset(dataset, 1000)."
        )
    if isinstance(x, PackedSequence) or (
        isinstance(x, Tensor) and (x.is_nested or x.layout is not torch.strided)
    ):
        raise InputError(f"`x` of a Probe must be dense; got {type(x).__name__}. {PAD}")


def _length(x: Inputs) -> int:
    lengths = {part.shape[0] if part.ndim else 0 for part in _parts(x)}
    if len(lengths) != 1 or lengths == {0}:
        raise InputError(
            f"`x` of a Probe must have its samples on axis 0, at least one, and as many in each "
            f"input; got lengths {sorted(lengths)}."
        )
    return int(lengths.pop())


def _rows_at_once(x: Inputs, n: int) -> int:
    row = sum(part.element_size() * part.numel() for part in _parts(x)) // n
    return min(8192, max(64, (4 << 20) // max(row, 1)))


def _numpy(tensor: Tensor) -> NDArray[Any]:
    tensor = tensor.detach().cpu()
    narrow = tensor.is_floating_point() and tensor.dtype not in (torch.float32, torch.float64)
    return np.array((tensor.float() if narrow else tensor).numpy())


def _labels(y: Any, target: str, n: int) -> NDArray[Any]:
    array = _numpy(y) if isinstance(y, Tensor) else np.array(y)
    if array.ndim == 0 or len(array) != n:
        raise InputError(f"`y` of a Probe must have {n} rows like `x`; got shape {array.shape}.")
    if array.ndim > 1 and array[0].size == 1:
        array = array.reshape(n)
    array = array.reshape(n, -1) if array.ndim > 2 else array
    return _classes(array) if target == "class" else _reals(array)


def _reals(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind not in "fiub" or not np.all(np.isfinite(array)):
        raise InputError(
            '`y` of a Probe with target="regression" must hold finite real numbers; '
            f"got dtype {array.dtype}."
        )
    return array.astype(np.float64)


def _classes(array: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers as they are, one-hot rows as class numbers, text as codes in sorted order."""
    if array.dtype.kind in "US":
        return np.unique(array, return_inverse=True)[1].reshape(array.shape)
    if array.dtype.kind not in "fiub" or not np.all(array == np.round(array.astype(np.float64))):
        raise InputError(
            '`y` of a Probe with target="class" must hold whole numbers, text or one-hot rows; got '
            f'{array.dtype} values that are not whole. For real targets pass target="regression".'
        )
    if array.ndim == 2 and np.isin(array, (0, 1)).all() and (array.sum(axis=1) == 1).all():
        array = array.argmax(axis=1)
    codes: NDArray[Any] = array.astype(np.int64)
    return codes
