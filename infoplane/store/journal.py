"""Append-only journals: one line one record, with a checksum, one file per writer.

A record holds ``seq`` (growing within a file), ``kind``, ``time`` (a label only) and its own
fields. A line without its
newline is the *incomplete tail* of a living or killed writer and is waited for; a complete line
whose checksum fails is *damaged*, is counted and skipped, and the next line is read as if nothing
had happened.
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from infoplane.errors import CorruptRunError, StoreError
from infoplane.store import codec, files, landmarks
from infoplane.store.line import LINE_CAP, frame, parse
from infoplane.store.stretch import Stretch, Stretches, outline

MAIN = "w0"
"""Id of the run's one locked writer; annotators have random ids."""
_NAME = re.compile(r"([a-z0-9]{1,40})\.jsonl")
_CHUNK = 4 << 20
_CLOSING = b"#\n"  # after what was cut off: with the mark it can never become valid
_HEAD = 200  # bytes of a journal's first line: its checksum and its time are among them
_JOURNAL_CAP = 10_000
_LONG = 1 << 18  # bytes of a journal from which its landmarks are looked for


class JournalWriter:
    """Appends records to one journal; a line that was cut off by a crash is closed first.

    Parameters
    ----------
    path : Path
        The file; made when it is not there.
    seq : int
        Number of the next record.
    """

    def __init__(self, path: Path, seq: int = 0) -> None:
        self.path = path
        self._seq = seq
        self._pid = os.getpid()
        with files.reported("open the journal", path):
            self._fd = files.open_regular(path, files.APPEND)
            try:
                files.sync_folder(path.parent)
                self._torn = _is_torn(self._fd)
                self._landmark = landmarks.newest(self._fd, os.fstat(self._fd).st_size)
            except BaseException:
                self.close()
                raise

    @property
    def torn(self) -> bool:
        """Whether the last record was not written, or not wholly."""
        return self._torn

    def reserve(self) -> int:
        """Take a number that no record before or after will have."""
        self._seq += 1
        return self._seq - 1

    def append(self, kind: str, body: Mapping[str, Any], *, sync: bool = True) -> None:
        """Add one record; on return it survives a kill, and with `sync` a power cut.

        Raises
        ------
        StoreError
            If the disk is full or fails, or the line is too long; nothing acknowledged is harmed.
        """
        self.append_many(kind, [body], sync=sync)

    def append_many(
        self, kind: str, bodies: Iterable[Mapping[str, Any]], *, sync: bool = True
    ) -> None:
        """Add records of one kind and force them to the disk together."""
        if self._fd < 0 or self._pid != os.getpid():
            raise StoreError(
                f"The journal {self.path.name!r} is closed or belongs to another process. "
                "Open the run again in this process."
            )
        with files.reported("write to the journal", self.path):
            for body in bodies:
                self._write(kind, body)
            if sync:
                files.sync_data(self._fd)

    def _write(self, kind: str, body: Mapping[str, Any]) -> None:
        record = {"seq": self.reserve(), "kind": kind, "time": round(time.time(), 3), **body}
        if self._torn:
            record["torn"] = True  # the line before was never acknowledged: no damage
        if marked := kind in landmarks.KINDS and self._landmark is not None:
            record[landmarks.FIELD] = self._landmark
            at = os.fstat(self._fd).st_size + len(_CLOSING) * self._torn
        line = frame(codec.dumps(record))
        if len(line) > LINE_CAP:
            raise StoreError(
                f"A record of kind {kind!r} must fit into {LINE_CAP:,} bytes; it has "
                f"{len(line):,}. Shorten its free text or split it."
            )
        line = _CLOSING + line if self._torn else line
        self._torn = True
        self._torn = not files.write_once(self._fd, line)
        if self._torn:
            raise OSError(errno.ENOSPC, "the disk is full, it took only a part of the line")
        if marked:
            self._landmark = at

    def close(self) -> None:
        """Close the file; harmless when it is closed."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _is_torn(fd: int) -> bool:
    """Whether the file ends in the middle of a line."""
    size = os.fstat(fd).st_size
    return size > 0 and files.read_at(fd, size - 1, 1) != b"\n"


def records_of(read: dict[str, Any] | Stretch) -> list[dict[str, Any]]:
    """Return the records of what a reader gives, one by one."""
    if isinstance(read, Stretch):
        return [parse(line) for line in read.lines.split(b"\n")[:-1]]
    return [read]


class JournalReader:
    """Follows one journal by byte offset; opens, reads and closes at each poll.

    Parameters
    ----------
    path : Path
        The file; need not exist yet.
    brief : bool
        Read only the lines that tell how the run stands; damage between them goes unseen.
    """

    def __init__(self, path: Path, *, brief: bool = False) -> None:
        self.path = path
        self._brief = brief
        self._stretches = Stretches()
        self.seq = -1
        self._head = b""  # its first bytes, by which it is known again
        self._offset = 0
        self._damaged = 0
        self._held = 0
        self._skipping = False  # inside a line that is longer than any we write

    @property
    def damaged(self) -> int:
        """Complete lines that could not be read."""
        return self._damaged + self._held

    @property
    def pending(self) -> int:
        """Bytes after the last line that was read: an unfinished line, or damage at the end."""
        return max(0, files.size_of(self.path) - self._offset)

    def poll(self) -> list[dict[str, Any]]:
        """Read the records that were completed since the last poll, in order."""
        return [record for read in self.read() for record in records_of(read)]

    def read(self) -> Iterator[dict[str, Any] | Stretch]:
        """Read the same piece by piece, long stretches of scalars as columns."""
        size = self._size()
        if size == self._offset:
            return
        with files.opened(self.path) as fd:
            self._know(fd)
            if self._brief and not self._offset and size > _LONG:
                yield from self._read_landmarks(fd, size)
            more = True
            while more and self._offset < size:
                more = yield from self._read(fd, size)

    def _size(self) -> int:
        """Return the file's size; a file that was read has to be there and must not shrink."""
        size = files.size_of(self.path)
        if size < self._offset and not files.mode_of(self.path):
            raise CorruptRunError(
                f"The journal {str(self.path)!r} is gone: the run was moved or deleted."
            )
        if size < self._offset:
            raise CorruptRunError(
                f"The journal {str(self.path)!r} shrank from {self._offset:,} to {size:,} bytes; "
                "journals only grow. Open the run again."
            )
        return size

    def _know(self, fd: int) -> None:
        """Make sure that it is the journal of before, which a copying program may have replaced."""
        head = files.read_at(fd, 0, _HEAD)
        if not head.startswith(self._head):
            raise CorruptRunError(
                f"The journal {str(self.path)!r} is another one than before: another run is in "
                "this place now. Open it again."
            )
        self._head = head

    def _read_landmarks(self, fd: int, size: int) -> Iterator[dict[str, Any] | Stretch]:
        """Read no more than a list needs, up to where the rest is short."""
        for begin, end in landmarks.spans(fd, size):
            chunk = files.read_at(fd, begin, end - begin)
            self._offset = begin
            yield from self._take(chunk[: chunk.rfind(b"\n") + 1], hold=False)

    def _read(self, fd: int, size: int) -> Generator[dict[str, Any] | Stretch, None, bool]:
        """Read one chunk; False when nothing more can be read now."""
        chunk = files.read_at(fd, self._offset, min(_CHUNK, size - self._offset))
        at_end = self._offset + len(chunk) >= size or not chunk
        end = chunk.rfind(b"\n") + 1
        if not end:
            return self._skip(len(chunk)) and not at_end
        begin = 0
        if self._skipping:
            self._skipping = False
            begin = chunk.index(b"\n") + 1
            self._offset += begin
        yield from self._take(chunk[begin:end], hold=at_end)
        return not at_end

    def _skip(self, count: int) -> bool:
        """Pass over a part of an endless line, once it is certain that it is one."""
        if count < LINE_CAP and not self._skipping:
            return False
        self._damaged += not self._skipping
        self._skipping = True
        self._offset += count
        return True

    def _take(self, chunk: bytes, *, hold: bool) -> Iterator[dict[str, Any] | Stretch]:
        """Parse whole lines; damaged ones at the very end are held back and read again next time.

        Network file systems can show a block of zeros for a moment where a line is being written.
        """
        begin, self._held = self._offset, 0
        for read, end in self._outline(chunk) if self._brief else self._lines(chunk):
            if read is None:
                self._held += 1
                continue
            unfinished = isinstance(read, dict) and read.pop("torn", None) is True
            self._damaged += self._held - (unfinished and self._held > 0)
            self._held, self._offset = 0, begin + end
            yield read
        if not self._held or not hold:
            self._damaged, self._held = self._damaged + self._held, 0
            self._offset = begin + len(chunk)

    def _lines(self, chunk: bytes) -> Iterator[tuple[dict[str, Any] | Stretch | None, int]]:
        """Yield what every line holds, None for a damaged one, and where it ends."""
        at = 0
        while at < len(chunk):
            stretch = self._stretches.find(chunk, at, self.seq)
            if stretch is not None:
                at, self.seq = at + len(stretch.lines), stretch.seq
                yield stretch, at
                continue
            at, begin = chunk.index(b"\n", at) + 1, at
            if at > begin + 1:
                yield self._record(chunk[begin : at - 1]), at

    def _outline(self, chunk: bytes) -> Iterator[tuple[dict[str, Any] | None, int]]:
        for begin in outline(chunk):
            end = chunk.index(b"\n", begin)
            if end > begin:
                yield self._record(chunk[begin:end]), end + 1

    def _record(self, line: bytes) -> dict[str, Any] | None:
        """Parse one line; None when it is damaged or comes twice."""
        try:
            record = parse(line)
        except CorruptRunError:
            return None
        if record["seq"] <= self.seq:
            return None
        self.seq = record["seq"]
        self._stretches.learn(record)
        return record


class Follower:
    """Follows every journal of a run.

    Parameters
    ----------
    folder : Path
        The run's ``journal`` folder.
    brief : bool
        Read only how the run stands, and leave the annotators' journals aside.
    """

    def __init__(self, folder: Path, *, brief: bool = False) -> None:
        self._folder = folder
        self._brief = brief
        self._readers: dict[str, JournalReader] = {}
        self.unreadable: dict[str, str] = {}

    @property
    def damaged(self) -> int:
        """Lines that could not be read, over all journals."""
        return sum(reader.damaged for reader in self._readers.values())

    @property
    def main(self) -> JournalReader:
        """Reader of the locked writer's journal."""
        return self._reader(MAIN)

    def readers(self) -> list[tuple[str, JournalReader]]:
        """List the journals followed so far as (writer id, reader)."""
        return sorted(self._readers.items())

    def poll(self) -> list[tuple[str, dict[str, Any]]]:
        """Read new records as (writer id, record): the main journal's first, each one's in order.

        An annotator's journal that cannot be read is named in `unreadable` and hides no other.
        """
        return [(writer, record) for writer, read in self.read() for record in records_of(read)]

    def read(self) -> Iterator[tuple[str, dict[str, Any] | Stretch]]:
        """Read the same piece by piece, long stretches of scalars as columns."""
        with files.reported("read the journals in", self._folder):
            for writer in self._writers():
                if writer not in self.unreadable:
                    yield from self._read(writer)

    def _read(self, writer: str) -> Iterator[tuple[str, dict[str, Any] | Stretch]]:
        try:
            for read in self._reader(writer).read():
                yield writer, read
        except (CorruptRunError, OSError) as error:
            if writer == MAIN:
                raise
            self.unreadable[writer] = str(error)

    def _writers(self) -> list[str]:
        if self._brief:
            return [MAIN]
        found = list(self._readers)  # what is gone is missed
        found += [
            match[1] for name in files.names(self._folder) if (match := _NAME.fullmatch(name))
        ]
        if len(found) > _JOURNAL_CAP:
            raise CorruptRunError(
                f"A run has at most {_JOURNAL_CAP:,} journals; got {len(found):,}."
            )
        return sorted(set(found), key=lambda writer: (writer != MAIN, writer))

    def _reader(self, writer: str) -> JournalReader:
        if writer not in self._readers:
            self._readers[writer] = JournalReader(
                self._folder / f"{writer}.jsonl", brief=self._brief
            )
        return self._readers[writer]
