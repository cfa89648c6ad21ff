"""Arrays that were costly to make, kept beside a run: ``kept/<name>.safetensors``.

A name says what the arrays were made from (a digest of the input, the parameters, the seed), so a
file is written once and never changes. Of several workers that make the same thing at the same time
the first to finish is the one whose arrays all of them use. A file may be deleted at any time: it
is then made again.
"""

from __future__ import annotations

import contextlib
import re
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import numpy as safetensors

from infoplane.errors import InputError, StoreError
from infoplane.store import files, snapshots

Arrays = Mapping[str, NDArray[Any]]

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_CHECKSUM = "crc32"


def keep(folder: Path, name: str, make: Callable[[], Arrays]) -> dict[str, NDArray[Any]]:
    """Return the arrays kept under a name; make and keep them when there are none.

    A folder that cannot be written is no reason to fail: the arrays are then made again next time.

    Raises
    ------
    InputError
        For a name that is not lower-case letters, digits and hyphens, at most 100 of them.
    """
    if not _NAME.fullmatch(name) or len(name) > 100:
        raise InputError(f"`name` must be lower-case letters, digits and hyphens; got {name!r}.")
    path = folder / f"{name}.safetensors"
    found = read(path)
    if found is not None:
        return found
    made = {key: snapshots.storable(array) for key, array in make().items()}
    with contextlib.suppress(OSError):
        files.make_folder(folder)
        if not files.publish(path, _packed(made)):
            found = read(path)  # somebody was quicker
            if found is None:  # what is there is damaged
                files.write_durably(path, _packed(made))
    return made if found is None else found


def _packed(arrays: Arrays) -> bytes:
    checksum = np.array([_crc(arrays)], dtype=np.uint32)
    return safetensors.save({**arrays, _CHECKSUM: checksum})


def _crc(arrays: Arrays) -> int:
    """Checksum of names, shapes, types and numbers."""
    total = 0
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        total = zlib.crc32(f"{name} {array.dtype.str} {array.shape}".encode(), total)
        total = zlib.crc32(array.tobytes(), total)
    return total


def read(path: Path) -> dict[str, NDArray[Any]] | None:
    """Read a kept file; None when it is missing or not what was written."""
    try:
        arrays = snapshots.read_file(path)
    except StoreError:
        return None
    checksum = arrays.pop(_CHECKSUM, None)
    if checksum is None or checksum.shape != (1,) or int(checksum[0]) != _crc(arrays):
        return None
    return arrays


def damaged(folder: Path) -> list[str]:
    """List the files in the folder of kept arrays that are not what was written."""
    return [name for name in files.names(folder) if read(folder / name) is None]
