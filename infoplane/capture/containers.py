"""Files that hold arrays: npy, npz, safetensors, HDF5, and folders of them. Never pickles."""

from __future__ import annotations

import os
import re
import stat
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from infoplane.errors import InputError

LARGEST = 2**30
"""Bytes of one array at most."""

PICKLES = frozenset({".pkl", ".pickle", ".p", ".pt", ".pth", ".ckpt", ".joblib", ".pyt"})
SUFFIXES = frozenset({".npy", ".npz", ".safetensors", ".h5", ".hdf5", ".hdf"})

WAY_OUT = """\
{name!r} is a pickle (or holds one): reading it would run whatever code is in it, so infoplane never
does. If you trust where it comes from, convert the files once, yourself:

    import pathlib, pickle, numpy as np
    there = pathlib.Path("converted")
    there.mkdir()
    for path in pathlib.Path({folder!r}).glob({glob!r}):
        d = pickle.loads(path.read_bytes(), encoding="latin1")    # a file of ibsgd; adapt to yours
        layers = {{str(i): a for i, a in enumerate(d["data"]["activity_tst"])}}
        np.savez(there / f"{{path.stem}}.npz", **layers)

(of torch: d = torch.load(path, weights_only=True), and t.detach().cpu().numpy() for each tensor t)
and import that folder:  infoplane import converted --out runs/theirs --y labels.npy"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One array somewhere in the files.

    Attributes
    ----------
    name : str
        Folder names, file name without suffix, and key inside, joined by ``/``.
    read : callable
        Loads it.
    """

    name: str
    read: Callable[[], NDArray[Any]]

    @property
    def key(self) -> str:
        """The last part of the name, in lower case."""
        return self.name.rpartition("/")[2].lower()


def entries(path: Path) -> Iterator[Entry]:
    """Yield every array in a file or folder, in natural order, none of them loaded yet.

    Raises
    ------
    InputError
        If there is no such path, or a pickle is met.
    """
    if path.is_dir():
        files = sorted((file for file in path.rglob("*") if _plain(file)), key=natural)
        for file in files:
            yield from _file(file, _head(file.relative_to(path)))
    elif _plain(path):
        yield from _file(path, path.with_suffix("").name if path.suffix == ".npy" else "")
    else:
        raise InputError(f"`path` must be a file or a folder with activations; got {str(path)!r}.")


def natural(path: Path | str) -> list[tuple[int, int, str]]:
    """Sort key in which 2 comes before 10."""
    parts = re.split(r"(\d+)", str(path))
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts]


def _plain(file: Path) -> bool:
    """Regular files only: a pipe would wait for ever, a link may lead anywhere."""
    try:
        return stat.S_ISREG(os.lstat(file).st_mode)
    except OSError:
        return False


def _head(relative: Path) -> str:
    return relative.with_suffix("").as_posix()


def _file(file: Path, head: str) -> Iterator[Entry]:
    suffix = file.suffix.lower()
    if suffix in PICKLES or (suffix not in SUFFIXES and _starts_like_a_pickle(file)):
        raise _pickled(file.name, file)
    reader = {".npy": _npy, ".npz": _npz, ".safetensors": _safetensors}.get(suffix)
    if reader is None and suffix in SUFFIXES:
        reader = _hdf5
    if reader is not None:
        for key, read in reader(file):
            yield Entry("/".join(part for part in (head, key) if part), read)


def _pickled(name: str, file: Path) -> InputError:
    """Return the refusal of a pickle, with the way to convert all that are named like it."""
    glob = re.sub(r"\d+", "*", file.name, count=1)
    return InputError(WAY_OUT.format(name=name, folder=str(file.parent), glob=glob))


def _starts_like_a_pickle(file: Path) -> bool:
    with file.open("rb") as stream:
        start = stream.read(2)
    return len(start) == 2 and start[0] == 0x80 and start[1] <= 5


Members = Iterator[tuple[str, Callable[[], NDArray[Any]]]]


def _npy(file: Path) -> Members:
    def read() -> NDArray[Any]:
        with file.open("rb") as stream:
            return _array(stream, file.name, file)

    yield "", read


def _npz(file: Path) -> Members:
    def reader(member: str) -> Callable[[], NDArray[Any]]:
        def read() -> NDArray[Any]:
            with zipfile.ZipFile(file) as archive, archive.open(member) as stream:
                return _array(stream, f"{file.name}/{member}", file)

        return read

    try:
        with zipfile.ZipFile(file) as archive:
            members = [name for name in archive.namelist() if name.endswith(".npy")]
    except zipfile.BadZipFile as error:
        raise InputError(
            f"{file.name!r} must be an npz archive; it is damaged ({error})."
        ) from error
    for member in members:  # np.savez calls an array without a name arr_0
        unnamed = members == ["arr_0.npy"]
        yield "" if unnamed else member.removesuffix(".npy"), reader(member)


def _array(stream: IO[bytes], name: str, file: Path) -> NDArray[Any]:
    """Read a npy stream; its size is checked before anything is allocated."""
    try:
        version = np.lib.format.read_magic(stream)
        header = (np.lib.format.read_array_header_1_0 if version == (1, 0)
                  else np.lib.format.read_array_header_2_0)  # fmt: skip
        shape, fortran, dtype = header(stream)
    except ValueError as error:
        raise InputError(f"{name!r} must be a npy array; it is damaged ({error}).") from error
    if dtype.hasobject:
        raise _pickled(name, file)
    count = int(np.prod(shape, dtype=object)) if shape else 1
    _check_size(name, count * dtype.itemsize)
    data = stream.read(count * dtype.itemsize)
    if len(data) != count * dtype.itemsize:
        raise InputError(f"{name!r} is shorter than its header says; it was cut off.")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _check_size(name: str, size: int) -> None:
    if not 0 <= size <= LARGEST:
        raise InputError(
            f"an array must take at most {LARGEST:,} bytes; {name!r} asks for {size:,}. Save fewer "
            "rows or units."
        )


def _safetensors(file: Path) -> Members:
    for key in sorted(_tensors(file), key=natural):
        yield key, partial(_tensor, file, key)


def _tensor(file: Path, key: str) -> NDArray[Any]:
    tensor = _tensors(file)[key]
    narrow = tensor.is_floating_point() and tensor.itemsize < 4
    return (tensor.float() if narrow else tensor).numpy()


@lru_cache(maxsize=1)  # its tensors are asked for one after the other
def _tensors(file: Path) -> dict[str, Tensor]:
    _check_size(file.name, file.stat().st_size)
    try:
        return load(file.read_bytes())
    except SafetensorError as error:
        raise InputError(f"{file.name!r} must be a safetensors file: {error}.") from error


def _hdf5(file: Path) -> Members:
    try:
        import h5py
    except ImportError as error:
        raise InputError("HDF5 files need h5py: pip install 'infoplane[intake]'.") from error

    def reader(key: str) -> Callable[[], NDArray[Any]]:
        def read() -> NDArray[Any]:
            with h5py.File(file, "r") as opened:
                dataset = opened[key]
                _check_size(f"{file.name}/{key}", dataset.size * dataset.dtype.itemsize)
                return np.asarray(dataset[()])

        return read

    keys: list[str] = []

    def visit(key: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and not item.external and not item.is_virtual:
            keys.append(key)

    try:
        with h5py.File(file, "r") as opened:
            opened.visititems(visit)  # follows no link out of the file
    except OSError as error:
        raise InputError(f"{file.name!r} must be an HDF5 file: {error}.") from error
    for key in sorted(keys, key=natural):
        yield key, reader(key)
