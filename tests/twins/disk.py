"""A disk that forgets: every image that a power cut may leave of a recorded series of file calls.

The calls are recorded by standing in for the `os` module. What is not yet synced may be there
wholly, in part, as zeros or not at all; entries of a folder that is not yet synced may be there up
to any call.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Op = tuple[Any, ...]


class RecordingOS:
    """Stands in for `os`, does what is asked and keeps a log of what changes the disk."""

    def __init__(self) -> None:
        self.log: list[Op] = []
        self._paths: dict[int, str] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: Any, flags: int, *rest: Any) -> int:
        created = flags & os.O_CREAT and not os.path.lexists(path)
        fd = os.open(path, flags, *rest)
        self._paths[fd] = os.fspath(path)
        if created:
            self.log.append(("create", os.fspath(path)))
        return fd

    def mkdir(self, path: Any) -> None:
        os.mkdir(path)
        self.log.append(("mkdir", os.fspath(path)))

    def write(self, fd: int, data: Any) -> int:
        self.log.append(("write", self._paths[fd], bytes(data)))
        return os.write(fd, data)

    def fsync(self, fd: int) -> None:
        self.log.append(("sync", self._paths[fd]))

    fdatasync = fsync

    def replace(self, source: Any, target: Any) -> None:
        os.replace(source, target)
        self.log.append(("rename", os.fspath(source), os.fspath(target)))

    def unlink(self, path: Any) -> None:
        os.unlink(path)
        self.log.append(("unlink", os.fspath(path)))

    def acknowledge(self, fact: Hashable) -> None:
        """Note that the user was told that `fact` is safe."""
        self.log.append(("ack", fact))


@dataclass
class _Node:
    synced: bytes = b""
    content: bytes = b""

    def variants(self) -> set[bytes]:
        fresh = self.content[len(self.synced) :]
        size = len(fresh)
        half = size // 2
        ends = [fresh[: size * part // 6] for part in range(7)]  # the rest never arrived
        ends += [
            fresh[:-1],
            bytes(size),
            bytes(half) + fresh[half:],
            fresh[:half] + bytes(size - half),
        ]
        return {self.synced + end for end in ends}


@dataclass
class _Folder:
    durable: dict[str, int | None] = field(default_factory=dict)
    pending: list[Op] = field(default_factory=list)

    def after(self, count: int) -> dict[str, int | None]:
        entries = dict(self.durable)
        for kind, name, value in self.pending[:count]:
            if kind == "set":
                entries[name] = value
            elif kind == "move":
                entries[value] = entries.pop(name)
            else:
                entries.pop(name, None)
        return entries


class Disk:
    """Replays a log on a folder `base` that exists and is empty."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.nodes: dict[int, _Node] = {}
        self.folders: dict[str, _Folder] = {base: _Folder()}

    def _node(self, path: str) -> _Node:
        folder, name = os.path.split(path)
        entries = self.folders[folder].after(len(self.folders[folder].pending))
        return self.nodes[entries[name]]

    def apply(self, op: Op) -> None:
        kind, path, *rest = op
        folder, name = os.path.split(path)
        if kind == "create":
            self.nodes[len(self.nodes)] = _Node()
            self.folders[folder].pending.append(("set", name, len(self.nodes) - 1))
        elif kind == "mkdir":
            self.folders[path] = _Folder()
            self.folders[folder].pending.append(("set", name, None))
        elif kind == "write":
            self._node(path).content += rest[0]
        elif kind == "sync" and path in self.folders:
            entry = self.folders[path]
            entry.durable, entry.pending = entry.after(len(entry.pending)), []
        elif kind == "sync":
            self._node(path).synced = self._node(path).content
        elif kind == "rename":
            self.folders[folder].pending.append(("move", name, os.path.basename(rest[0])))
        elif kind == "unlink":
            self.folders[folder].pending.append(("del", name, None))

    def images(self) -> Iterator[dict[str, bytes | None]]:
        """Every legal content of the disk now: path → bytes, None for a folder."""
        paths = list(self.folders)
        counts = [range(len(self.folders[path].pending) + 1) for path in paths]
        for choice in itertools.product(*counts):
            trees = {p: self.folders[p].after(n) for p, n in zip(paths, choice, strict=True)}
            reached = self._reach(trees, self.base)
            found = [path for path, node in reached.items() if node is not None]
            variants = [sorted(self.nodes[reached[path]].variants()) for path in found]
            for contents in itertools.product(*variants):
                image: dict[str, bytes | None] = dict.fromkeys(reached)
                image.update(zip(found, contents, strict=True))
                yield image

    def _reach(self, trees: dict[str, dict[str, int | None]], top: str) -> dict[str, int | None]:
        reached: dict[str, int | None] = {}
        for name, node in trees[top].items():
            path = os.path.join(top, name)
            reached[path] = node
            if node is None:
                reached.update(self._reach(trees, path))
        return reached


def images(log: list[Op], base: str) -> Iterator[tuple[set[Hashable], dict[str, bytes | None]]]:
    """Each different image after each call, with the facts acknowledged by then."""
    disk, facts, seen = Disk(base), set(), set()
    for op in log:
        if op[0] == "ack":
            facts.add(op[1])
        else:
            disk.apply(op)
        for image in disk.images():
            mark = hash((frozenset(image.items()), len(facts)))
            if mark not in seen:
                seen.add(mark)
                yield set(facts), image


def materialise(image: dict[str, bytes | None], base: str, target: Path) -> None:
    """Write an image under another folder."""
    for path, content in sorted(image.items()):
        place = target / os.path.relpath(path, base)
        if content is None:
            place.mkdir()
        else:
            place.write_bytes(content)
