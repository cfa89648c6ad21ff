"""Every call to the operating system that the store makes: guarded reads, durable writes.

Kept in one file so that one test double can count, reorder or fail them all.
A path in a run is untrusted: links, pipes and devices are refused, and nothing is ever mapped.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from infoplane.errors import CorruptRunError, StoreError

# Flags that some systems lack count as nothing there.
_GUARD = (
    getattr(os, "O_NOFOLLOW", 0)  # a link in a run could point anywhere
    | getattr(os, "O_NONBLOCK", 0)  # opening a pipe would wait for ever
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
READ = os.O_RDONLY
APPEND = os.O_RDWR | os.O_APPEND | os.O_CREAT
UPDATE = os.O_RDWR | os.O_CREAT
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_REPLACE_TRIES = 10  # on Windows a reader or a virus scanner may hold the target for a moment
_WRITE_CHUNK = 1 << 28


@contextlib.contextmanager
def reported(doing: str, path: Path) -> Iterator[None]:
    """Turn an ``OSError`` of the block into a `StoreError` that says what was being done."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"Cannot {doing} {str(path)!r}: {error.strerror or error}.") from error


def open_regular(path: Path, flags: int = READ) -> int:
    """Open a regular file and return its descriptor.

    Raises
    ------
    CorruptRunError
        If the path is a link, a pipe, a device or a directory.
    OSError
        Whatever else the system has against it.
    """
    try:
        fd = os.open(path, flags | _GUARD, 0o666)
    except OSError as error:
        if (mode := mode_of(path)) and not stat.S_ISREG(mode):
            raise _not_regular(path) from error
        raise
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise _not_regular(path)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _not_regular(path: Path) -> CorruptRunError:
    return CorruptRunError(
        f"{str(path)!r} must be a regular file; it is a link, a pipe, a device or a folder. "
        "Copy the run's real files here."
    )


@contextlib.contextmanager
def opened(path: Path, flags: int = READ) -> Iterator[int]:
    """Open a regular file for the length of a block."""
    fd = open_regular(path, flags)
    try:
        yield fd
    finally:
        os.close(fd)


def mode_of(path: Path) -> int:
    """Return the mode of a path itself, links not followed; 0 when it cannot be seen."""
    try:
        return os.lstat(path).st_mode
    except OSError:
        return 0


def size_of(path: Path) -> int:
    """Return the size of a file in bytes, 0 when it is not there."""
    try:
        return os.lstat(path).st_size
    except FileNotFoundError:
        return 0


def read_into(fd: int, offset: int, view: memoryview) -> int:
    """Fill `view` from `offset`; return how many bytes there were."""
    done = 0
    with open(fd, "rb", buffering=0, closefd=False) as file:
        file.seek(offset)
        while done < len(view):
            count = file.readinto(view[done:])
            if not count:
                break
            done += count
    return done


def read_at(fd: int, offset: int, length: int) -> bytes:
    """Read at most `length` bytes from `offset`."""
    with open(fd, "rb", buffering=0, closefd=False) as file:
        file.seek(offset)
        data = file.read(length)
        while len(data) < length and (more := file.read(length - len(data))):
            data += more
    return data


def read_all(path: Path, cap: int) -> bytes:
    """Read a whole regular file of at most `cap` bytes."""
    with opened(path) as fd:
        size = os.fstat(fd).st_size
        if size > cap:
            raise CorruptRunError(
                f"{str(path)!r} must have at most {cap:,} bytes; it has {size:,}. "
                "It was not written by infoplane."
            )
        return read_at(fd, 0, size)


def write_once(fd: int, data: bytes) -> bool:
    """Write in a single call; False when the system took only a part (a full disk does)."""
    return os.write(fd, data) == len(data)


def write_all(fd: int, data: bytes) -> None:
    """Write everything, in as many calls as the system wants."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view[:_WRITE_CHUNK]) :]


def sync_data(fd: int) -> None:
    """Force a file's content to the disk (``fdatasync`` where there is one)."""
    getattr(os, "fdatasync", os.fsync)(fd)


def sync_folder(path: Path) -> None:
    """Force a folder's entries to the disk, on systems where that needs a call."""
    if os.name == "nt":
        return
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_durably(path: Path, data: bytes) -> None:
    """Put a file in place so that after any crash it is there whole or not at all.

    Temporary file, fsync, rename, fsync of the folder, in this order; the temporary file is removed
    when anything fails. When the call returns, the file survives a power cut.
    """
    temporary = path.with_name(path.name + ".tmp")
    remove(temporary)
    try:
        with opened(temporary, _NEW) as fd:
            write_all(fd, data)
            os.fsync(fd)
        _replace(temporary, path)
    except BaseException:
        remove(temporary)
        raise
    sync_folder(path.parent)


def publish(path: Path, data: bytes) -> bool:
    """Put a file in place unless one is there already; return whether this one was put.

    As `write_durably`, for several writers at once: each has a temporary file of its own, and the
    first to have it whole on the disk wins.
    """
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex[:16]}.tmp")
    try:
        with opened(temporary, _NEW) as fd:
            write_all(fd, data)
            os.fsync(fd)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links
            if path.exists():
                return False
            _replace(temporary, path)
    finally:
        remove(temporary)
    sync_folder(path.parent)
    return True


def _replace(source: Path, target: Path) -> None:
    for attempt in range(_REPLACE_TRIES):
        try:
            return os.replace(source, target)
        except PermissionError:
            if os.name != "nt" or attempt == _REPLACE_TRIES - 1:
                raise
            time.sleep(0.01 * 2**attempt)
    return None


def remove(path: Path) -> None:
    """Remove a file if it can be removed."""
    with contextlib.suppress(OSError):
        os.unlink(path)


def names(folder: Path) -> list[str]:
    """List a folder, sorted; nothing when it is not there."""
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def make_folder(path: Path) -> None:
    """Make a folder with its parents and force their entries to the disk."""
    if not path.is_dir():
        make_folder(path.parent)
        with contextlib.suppress(FileExistsError):
            os.mkdir(path)
        sync_folder(path.parent)
