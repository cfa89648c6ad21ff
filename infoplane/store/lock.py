"""Who writes a run: an advisory lock that the kernel frees when its holder dies."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
import time
import warnings
import weakref
from pathlib import Path

from infoplane.errors import CorruptRunError, RunLockedError
from infoplane.store import files

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
_PATIENCE_SECONDS = 0.5  # a reader that asks who is there holds a shared lock for microseconds


def _try(fd: int, *, shared: bool = False) -> bool:
    """Take the lock without waiting; False when somebody else has it."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            raise
        return False
    return True


class RunLock:
    """The writer's lock on a run, held until `release` or the end of the process.

    Raises
    ------
    RunLockedError
        If another process (or another `Run` of this one) is writing the run.
    """

    def __init__(self, path: Path) -> None:
        self._pid = os.getpid()
        self._labelled = False
        self._fd = files.open_regular(path, files.UPDATE)
        try:
            self._take(path)
        except BaseException:
            self.release()
            raise
        _HELD.add(self)

    def _take(self, path: Path) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        try:
            while not _try(self._fd):
                if time.monotonic() > deadline:
                    raise RunLockedError(
                        f"The run {str(path.parent)!r} is being written by {_holder(path)}. "
                        "Wait until it ends, or record into another folder; to add measurements "
                        "beside it, use `open_run(path).annotator()`."
                    )
                time.sleep(0.01)
        except OSError as error:
            warnings.warn(
                f"The file system of {str(path)!r} keeps no locks ({error.strerror}): "
                "make sure that one process only writes this run.",
                stacklevel=5,
            )
        self._labelled = True
        with contextlib.suppress(OSError):  # a label for error messages, nothing relies on it
            os.ftruncate(self._fd, 0)
            os.write(self._fd, f"process {os.getpid()} on {socket.gethostname()}\n".encode())

    def release(self) -> None:
        """Free the lock; harmless when it is free."""
        if self._fd >= 0:
            if self._labelled and self._pid == os.getpid():
                with contextlib.suppress(OSError):
                    os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = -1


_HELD: weakref.WeakSet[RunLock] = weakref.WeakSet()


def _release_in_child() -> None:
    """Close inherited locks, or a DataLoader worker would keep the run locked after its parent."""
    for lock in _HELD:
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_release_in_child)


def _holder(path: Path) -> str:
    """Tell who says to hold the lock, for a message."""
    words = ""
    with contextlib.suppress(OSError, CorruptRunError):
        words = files.read_all(path, 1000).decode("ascii", "replace").strip()
    return words if words.isprintable() and words else "another process"


def is_held(path: Path) -> bool | None:
    """Whether a living writer holds the lock; None when the system cannot tell."""
    try:
        with files.opened(path) as fd:
            return not _try(fd, shared=True)  # closing frees what was taken
    except FileNotFoundError:
        return False
    except (OSError, CorruptRunError):
        return None
