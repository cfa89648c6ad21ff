"""Images of a reader's own for the Playground: IDX files below the runs directory, or sent here.

A browser names a file by an id that this module gave it, never by a path. What it sends is cut
into chunks, capped, read as an IDX file before it is kept, and stored under a name of ours.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
import os
import re
import stat
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from infoplane.errors import InputError
from infoplane.store import is_run
from infoplane.tasks.idx import read_idx
from infoplane.views.text import plain

FOLDER = "playground/data"
"""Where files that were sent are kept, below the runs directory."""

MAX_FILE = 16 << 20  # bytes of one file that is sent
MAX_ALL = 256 << 20  # bytes of all of them together
MAX_UNPACKED = 64 << 20  # bytes of one file that is sent, unpacked: 60,000 images of 28 × 28 fit
_DEPTH, _LOOKED_AT, _SHOWN = 4, 5000, 100
_NAMED = re.compile(r"idx|ubyte", re.IGNORECASE)
_SAFE = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class IdxFile:
    """An IDX file that may be trained on: one axis are labels, more are images."""

    id: str
    path: Path
    name: str
    shape: tuple[int, ...]

    @property
    def kind(self) -> str:
        """What it holds: "labels" or "images"."""
        return "labels" if len(self.shape) == 1 else "images"

    def told(self) -> dict[str, Any]:
        """Tell about it, for the form."""
        name = self.name.removeprefix(f"{FOLDER}/")
        size = " × ".join(f"{n:,}" for n in self.shape)
        return {"id": self.id, "kind": self.kind, "name": plain(f"{size} · {name}", 80)}


def idx_files(directory: Path) -> list[IdxFile]:
    """Return the IDX files below a directory; links are not followed, runs not searched."""
    found = []
    for path in _walk(directory):
        if _NAMED.search(path.name) and (shape := _shape(path)) is not None:
            name = path.relative_to(directory).as_posix()
            key = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:16]
            found.append(IdxFile(key, path, name, shape))
    return sorted(found, key=lambda file: file.name)[:_SHOWN]


def find(directory: Path, key: Any, kind: str) -> Path:
    """Return the path of a file by its id.

    Raises
    ------
    InputError
        If no file of that kind has the id.
    """
    for file in idx_files(directory):
        if file.id == key and file.kind == kind:
            return file.path
    raise InputError(f"`{kind}` must be one of the {kind} files in the list; choose or add one.")


class Intake:
    """Takes one file at a time from one browser, in chunks."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._name, self._size = "", 0
        self._content = bytearray()
        self._mark: Any = None
        self.kept = ""

    def told(self) -> dict[str, Any]:
        """Tell how far it has got: the browser sends on from ``received``.

        ``mark`` says which file that is about: an answer may be older than the file that is sent.
        """
        return {"mark": self._mark, "received": len(self._content), "kept": self.kept}

    def begin(self, name: Any, size: Any, mark: Any = None) -> None:
        """Expect a file of ``size`` bytes, which the browser calls by a number, `mark`.

        Raises
        ------
        InputError
            If it is empty or too large, alone or with those that are kept.
        """
        self.drop()
        if type(size) is not int or not 0 < size <= MAX_FILE:
            raise InputError(
                f"A file must have 1 byte to {MAX_FILE >> 20} MiB; got {size!r:.20}. Compress it "
                "with gzip, or put larger files into the runs directory."
            )
        folder = self._directory / FOLDER
        used = sum(path.stat().st_size for path in folder.glob("*")) if folder.is_dir() else 0
        if used + size > MAX_ALL:
            raise InputError(f"{FOLDER} is full ({MAX_ALL >> 20} MiB); delete files there first.")
        stem = _SAFE.sub("-", plain(name, 60).removesuffix(".gz")).strip("-")
        self._name, self._size = stem[:40] or "file", size
        self._mark = mark if type(mark) is int else None

    def take(self, offset: Any, text: Any) -> None:
        """Take the next chunk, base64; one that is not the next is passed over.

        Raises
        ------
        InputError
            If it is not base64, or more than was announced, or the whole is no IDX file.
        """
        if not self._size or offset != len(self._content) or not isinstance(text, str):
            return
        try:
            chunk = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            self.drop()
            raise InputError("The file did not arrive as it was sent; send it again.") from None
        if len(self._content) + len(chunk) > self._size:
            self.drop()
            raise InputError("More bytes arrived than the file has; send it again.")
        self._content += chunk
        if len(self._content) == self._size:
            self._keep()

    def drop(self) -> None:
        """Forget what has arrived."""
        self._name, self._size, self.kept = "", 0, ""
        self._content = bytearray()

    def _keep(self) -> None:
        content, name = bytes(self._content), self._name
        self.drop()
        folder = self._directory / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        if folder.resolve() != self._directory.resolve() / FOLDER:
            raise InputError(f"{FOLDER} must be a folder of the runs directory and no link.")
        digest = hashlib.sha256(content).hexdigest()[:8]
        ending = ".idx.gz" if content[:2] == b"\x1f\x8b" else ".idx"
        path = folder / f"{name}-{digest}{ending}"
        handle, trial = tempfile.mkstemp(dir=folder, prefix=".", suffix=ending)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            _check(Path(trial))
            os.replace(trial, path)
        except BaseException:
            Path(trial).unlink(missing_ok=True)
            raise
        file_id = next((f.id for f in idx_files(self._directory) if f.path == path), "")
        self.kept = file_id


def _check(path: Path) -> None:
    """Read the whole file as IDX; labels must be whole numbers of at most 256 classes."""
    try:
        data = read_idx(path, most=MAX_UNPACKED)
    except InputError as error:
        words = str(error).replace(path.name, "The file")
        raise InputError(words) from None
    if data.ndim == 1:
        whole = np.issubdtype(data.dtype, np.integer) and data.size
        if not whole or data.min() < 0 or data.max() > 255:
            raise InputError("Labels must be whole numbers from 0 to 255, one a sample.")


def _walk(directory: Path) -> Iterator[Path]:
    level, seen = [directory], 0
    for _ in range(_DEPTH):
        below: list[Path] = []
        for folder in level:
            for entry in _entries(folder):
                seen += 1
                if seen > _LOOKED_AT:
                    return
                mode = entry.stat(follow_symlinks=False).st_mode
                if stat.S_ISREG(mode):
                    yield Path(entry.path)
                elif stat.S_ISDIR(mode) and not is_run(entry.path):
                    below.append(Path(entry.path))
        level = below


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted((e for e in found if not e.name.startswith(".")), key=lambda e: e.name)
    except OSError:
        return []


def _shape(path: Path) -> tuple[int, ...] | None:
    """Return the sizes that the head of a file claims, None when it is no IDX head."""
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path) if zipped else path.open("rb") as file:
            head = file.read(20)
    except (OSError, EOFError, zlib.error):
        return None
    rank = head[3] if len(head) > 3 else 0
    if head[:2] != b"\0\0" or not 1 <= rank <= 4 or len(head) < 4 + 4 * rank:
        return None
    return tuple(int(n) for n in np.frombuffer(head, ">u4", count=rank, offset=4))


def recipe_files(directory: Path, wanted: Mapping[str, Any]) -> dict[str, str]:
    """Return the paths of the images and labels that a browser chose by id."""
    return {kind: str(find(directory, wanted.get(kind), kind)) for kind in ("images", "labels")}
