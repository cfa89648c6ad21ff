"""Arrays on disk: one safetensors file a snapshot, named and vouched for by a journal line.

The journal line holds each tensor's place, shape, dtype and checksum, so one layer is read with one
``read`` of its own bytes into its own array. Tensor keys are our counters (``L0007``): a layer's
name is text in the layer table and never part of a path.
"""

from __future__ import annotations

import json
import math
import os
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize
from safetensors import numpy as safetensors

from infoplane.errors import CorruptRunError, CorruptSnapshotError, InputError, StoreError
from infoplane.store import codec, files

TENSOR_CAP = 1 << 30
FILE_CAP = 2 << 30
HEADER_CAP = 8 << 20
COUNT_CAP = 10_000
DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "|u1",
    "BOOL": "|b1",
}
_FILE = re.compile(r"[a-z0-9]{1,40}-[0-9]{8}\.safetensors")
_KEY = re.compile(r"L[0-9]{4,5}|x|y")


class Tensor(NamedTuple):
    """Where one array lies in its file."""

    key: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    crc: int

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return math.prod(self.shape) * np.dtype(DTYPES[self.dtype]).itemsize


class Stored(NamedTuple):
    """A file of arrays, as a journal line names it."""

    file: str
    bytes: int
    crc: int
    tensors: tuple[Tensor, ...]


def storable(array: NDArray[Any], dtype: str | None = None) -> NDArray[Any]:
    """Bring an array into the form that is stored: contiguous, little-endian, floats in `dtype`.

    A float16 that would overflow is stored as float32, a float32 as float64: a number that was
    finite stays finite.

    Raises
    ------
    InputError
        If the array is neither numbers nor booleans.
    """
    array = np.asarray(array)
    if array.dtype.kind == "f" and dtype is not None:
        array = _narrowed(array, np.dtype(dtype))
    array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    if array.dtype.str not in DTYPES.values():
        raise InputError(
            f"Arrays to store must hold integers, booleans or floats; got {array.dtype}. "
            "Convert them first."
        )
    if array.nbytes > TENSOR_CAP:
        raise InputError(
            f"One array may have at most {TENSOR_CAP:,} bytes; got {array.nbytes:,} "
            f"for shape {array.shape}. Reduce it or keep fewer rows."
        )
    return array


def _narrowed(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        narrow = array.astype(dtype, copy=False)
    if narrow.dtype.itemsize >= array.dtype.itemsize:
        return narrow
    if np.array_equal(np.isfinite(narrow), np.isfinite(array)):
        return narrow
    return array if dtype.name == "float32" else _narrowed(array, np.dtype(np.float32))


def save(folder: Path, stem: str, arrays: Mapping[str, NDArray[Any]]) -> Stored:
    """Write arrays (made by `storable`) to ``folder/stem.safetensors`` durably.

    Raises
    ------
    StoreError
        If the disk is full, or may not be written; no temporary file is left.
    """
    room = FILE_CAP - HEADER_CAP
    if len(arrays) > COUNT_CAP or sum(array.nbytes for array in arrays.values()) > room:
        raise InputError(
            f"One snapshot may have at most {COUNT_CAP:,} layers and {room:,} bytes. "
            "Watch fewer layers, or keep fewer rows."
        )
    path = folder / f"{stem}.safetensors"
    data = safetensors.save(dict(arrays))
    with files.reported("write the snapshot", path):
        files.write_durably(path, data)
    return Stored(path.name, len(data), *survey(data))


def survey(data: bytes) -> tuple[int, tuple[Tensor, ...]]:
    """Find where each tensor lies in a well-formed file, with checksums; every byte is read once.

    Returns
    -------
    crc : int
        Checksum of the file: crc32 of its header followed by the tensors' checksums.
    tensors : tuple of Tensor
        In the order of the header.
    """
    base = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:base])
    header.pop("__metadata__", None)
    view = memoryview(data)[base:]
    tensors = []
    for key, entry in header.items():
        start, stop = entry["data_offsets"]
        crc = zlib.crc32(view[start:stop])
        tensors.append(Tensor(key, entry["dtype"], tuple(entry["shape"]), base + start, crc))
    crcs = b"".join(tensor.crc.to_bytes(4, "little") for tensor in tensors)
    return zlib.crc32(crcs, zlib.crc32(data[:base])), tuple(tensors)


def load(folder: Path, stored: Stored, tensor: Tensor) -> NDArray[Any]:
    """Read one array into memory of its own; float16 is widened to float32.

    Raises
    ------
    CorruptSnapshotError
        If the file is missing, has another length, or the array's checksum does not match.
    """
    path = folder / stored.file
    try:
        with files.opened(path) as fd:
            size = os.fstat(fd).st_size
            buffer = np.empty(tensor.nbytes if size == stored.bytes else 0, dtype=np.uint8)
            files.read_into(fd, tensor.offset, memoryview(buffer.data))
    except FileNotFoundError as error:
        raise CorruptSnapshotError(
            f"The snapshot file {stored.file!r} is missing though the journal names it. "
            "Copy the whole run folder again."
        ) from error
    except OSError as error:
        raise StoreError(f"Cannot read {str(path)!r}: {error.strerror}.") from error
    if size != stored.bytes or zlib.crc32(buffer.data) != tensor.crc:
        raise CorruptSnapshotError(
            f"The snapshot file {stored.file!r} is not what the journal says: {size:,} bytes, "
            f"expected {stored.bytes:,}, or a checksum differs. Copy the run again."
        )
    array: NDArray[Any] = buffer.view(DTYPES[tensor.dtype]).reshape(tensor.shape)
    return array.astype(np.float32) if tensor.dtype == "F16" else array


# -- the journal's side ----------------------------------------------------------------------------


def encode(stored: Stored) -> dict[str, Any]:
    """Make the fields of the journal line that names a file."""
    tensors = [[t.key, t.dtype, list(t.shape), t.offset, t.crc] for t in stored.tensors]
    return {"file": stored.file, "bytes": stored.bytes, "crc": stored.crc, "tensors": tensors}


def decode(record: Mapping[str, Any]) -> Stored:
    """Inverse of `encode`, with every size checked before anything is allocated.

    Raises
    ------
    CorruptRunError
        If a name is not one of ours or a size is out of bounds.
    """
    file = codec.text(record, "file")
    if not _FILE.fullmatch(file):
        raise CorruptRunError(f"A snapshot's file name must be ours; got {file[:80]!r}.")
    size = codec.integer(record, "bytes", 8, FILE_CAP)
    crc = codec.integer(record, "crc", 0, 2**32 - 1)
    tensors = tuple(_tensor(row, size) for row in codec.items(record, "tensors", COUNT_CAP))
    return Stored(file, size, crc, tensors)


def _tensor(row: Any, size: int) -> Tensor:
    match row:
        case [str(key), str(dtype), list(shape), int(offset), int(crc)] if (
            _KEY.fullmatch(key)
            and dtype in DTYPES
            and len(shape) <= 8
            and all(type(dim) is int and 0 <= dim <= 2**31 for dim in shape)
        ):
            tensor = Tensor(key, dtype, tuple(shape), offset, crc)
            if offset >= 8 and tensor.nbytes <= TENSOR_CAP and offset + tensor.nbytes <= size:
                return tensor
    raise CorruptRunError(f"A tensor's place is out of bounds: {str(row)[:100]}.")


# -- whole files -----------------------------------------------------------------------------------


def read_file(path: Path) -> dict[str, NDArray[Any]]:
    """Read all arrays of a safetensors file from anywhere, within the store's limits.

    Raises
    ------
    CorruptSnapshotError
        If the file is truncated, foreign, or larger than the limits.
    """
    try:
        data = files.read_all(path, FILE_CAP)
        _check_header(data)
        entries = deserialize(data)  # type: ignore[no-untyped-call]
        return {name: _foreign(entry) for name, entry in entries}
    except FileNotFoundError as error:
        raise StoreError(f"There is no file {str(path)!r}.") from error
    except OSError as error:
        raise StoreError(f"Cannot read {str(path)!r}: {error.strerror}.") from error
    except (SafetensorError, KeyError, TypeError, ValueError, CorruptRunError) as error:
        raise CorruptSnapshotError(
            f"{str(path)!r} is no safetensors file that can be read: {str(error)[:200]}"
        ) from error


def _foreign(entry: Mapping[str, Any]) -> NDArray[Any]:
    """Make an array of what the reference reader gives; half precisions become float32."""
    if entry["dtype"] == "BF16":
        wide = np.frombuffer(entry["data"], "<u2").astype("<u4") << 16
        return wide.view("<f4").reshape(entry["shape"])
    if entry["dtype"] not in DTYPES:
        raise CorruptRunError(f"its dtype {entry['dtype']} cannot be read; convert it to float32.")
    array = np.frombuffer(entry["data"], DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return array.astype(np.float32) if entry["dtype"] == "F16" else array


def _check_header(data: bytes) -> None:
    """Bound the header before the reference reader sees it."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(HEADER_CAP, len(data) - 8):
        raise CorruptRunError(f"its header claims {length:,} bytes of {len(data):,}.")
    header = codec.loads(data[8 : 8 + length])
    if len(header) > COUNT_CAP:
        raise CorruptRunError(f"it holds {len(header):,} arrays; at most {COUNT_CAP:,} are read.")
    for name, entry in header.items():
        shape = entry.get("shape", []) if isinstance(entry, dict) else None
        if name != "__metadata__" and (
            not isinstance(shape, list)
            or len(shape) > 8
            or not all(type(dim) is int and 0 <= dim <= 2**31 for dim in shape)
        ):
            raise CorruptRunError(f"the shape of {name[:80]!r} is out of bounds.")
