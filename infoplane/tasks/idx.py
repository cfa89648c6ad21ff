"""Images and labels in the IDX format of MNIST, plain or gzipped, read from local files."""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from infoplane.errors import InputError

MAX_BYTES = 1 << 30  # a gzip file of 1 MB can claim terabytes
_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def idx(
    images: str | os.PathLike[str],
    labels: str | os.PathLike[str],
    *,
    limit: int | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return images x (n, rows, columns), scaled to [0, 1] when they are bytes, and labels y (n,).

    Parameters
    ----------
    images, labels
        Paths of IDX files such as ``t10k-images-idx3-ubyte.gz``.
    limit : int, optional
        Take the first ``limit`` samples only.

    Raises
    ------
    InputError
        When a file is missing, no IDX file, truncated, larger than 1 GiB, or the two do not match.
    """
    x, y = read_idx(images), read_idx(labels)
    if y.ndim != 1 or x.ndim < 2 or len(x) != len(y):
        raise InputError(
            f"images must be (n, …) and labels (n,) with the same n; got {x.shape} from "
            f"{Path(images).name} and {y.shape} from {Path(labels).name}. Are they swapped?"
        )
    if limit is not None:
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise InputError(f"`limit` must be a positive int; got {limit!r}.")
        x, y = x[:limit], y[:limit]
    scale = 255.0 if x.dtype == np.uint8 else 1.0
    return x.astype(np.float32) / np.float32(scale), y.astype(np.int64)


def read_idx(path: str | os.PathLike[str], *, most: int = MAX_BYTES) -> NDArray[np.generic]:
    """Return the array of one IDX file: two zero bytes, type, rank, sizes (big-endian), data.

    More than ``most`` bytes, unpacked, are refused before they are read.
    """
    path = Path(path)
    content = _content(path, most)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _TYPES:
        raise InputError(f"{path.name} is not an IDX file: it must start with 00 00, type, rank.")
    dtype, rank = np.dtype(_TYPES[content[2]]), content[3]
    head = 4 + 4 * rank
    if rank == 0 or rank > 4 or len(content) < head:
        raise InputError(f"{path.name} claims {rank} axes; images or labels have 1 to 4.")
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", count=rank, offset=4))
    expected = dtype.itemsize
    for size in shape:
        expected *= size  # Python integers: a forged size cannot overflow
    if len(content) - head != expected:
        raise InputError(
            f"{path.name} must hold {expected} bytes of data for shape {shape}; it has "
            f"{len(content) - head}. The file is truncated or damaged: copy it again."
        )
    data = np.frombuffer(content, dtype, offset=head).reshape(shape)
    return data.astype(dtype.newbyteorder("="))


def _content(path: Path, most: int) -> bytes:
    if not path.is_file():
        raise InputError(f"{path} is not a file; pass the path of an IDX file (plain or .gz).")
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path) if zipped else path.open("rb") as file:
            content: bytes = file.read(most + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path.name} cannot be read: {error}. Copy the file again.") from None
    if len(content) > most:
        raise InputError(f"{path.name} holds more than {most >> 20} MiB; select fewer images.")
    return content
