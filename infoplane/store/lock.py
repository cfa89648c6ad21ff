"""Who writes a run: an advisory lock that the kernel frees when its holder dies.

A holder that is stopped, or whose machine sleeps, keeps its lock. So it gives a sign of life: every
`BEAT` seconds a thread sets the time of the lock file, and its label says that it does.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
import threading
import time
import warnings
import weakref
from dataclasses import dataclass
from pathlib import Path

from infoplane.errors import CorruptRunError, RunLockedError
from infoplane.store import files

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

BEAT = 15.0
"""Seconds between two signs of life of a writer."""
_PROMISE = "gives a sign of life every 15 seconds"
_LABEL_CAP = 1000
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
        self._path = path
        self._labelled = False
        self._fd = files.open_regular(path, files.UPDATE)
        try:
            self._take(path)
        except BaseException:
            self.release()
            raise
        _PULSE.join(self)

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
            words = f"process {os.getpid()} on {socket.gethostname()}\n{_PROMISE}\n"
            os.write(self._fd, words.encode())

    def beat(self) -> None:
        """Give a sign of life."""
        with contextlib.suppress(OSError):
            if self._fd >= 0 and self._pid == os.getpid():
                os.utime(self._fd if os.utime in os.supports_fd else self._path)

    @property
    def held(self) -> bool:
        """Whether it was not released yet."""
        return self._fd >= 0

    def release(self) -> None:
        """Free the lock; harmless when it is free."""
        if self._fd >= 0:
            if self._labelled and self._pid == os.getpid():
                with contextlib.suppress(OSError):
                    os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = -1


_HELD: weakref.WeakSet[RunLock] = weakref.WeakSet()


class _Pulse:
    """The thread that beats for all locks of this process, while it holds any."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._beating = False

    def join(self, lock: RunLock) -> None:
        """Beat for one more."""
        with self._mutex:
            _HELD.add(lock)
            if not self._beating:
                self._beating = True
                threading.Thread(target=self._run, name="infoplane pulse", daemon=True).start()

    def _run(self) -> None:
        while True:
            time.sleep(BEAT)
            with self._mutex:
                held = [lock for lock in tuple(_HELD) if lock.held]
                self._beating = bool(held)
                if not held:
                    return
            for lock in held:
                lock.beat()


_PULSE = _Pulse()


def _release_in_child() -> None:
    """Close inherited locks, or a DataLoader worker would keep the run locked after its parent."""
    global _PULSE
    _PULSE = _Pulse()  # the thread stayed with the parent
    for lock in _HELD:
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_release_in_child)


def _holder(path: Path) -> str:
    """Tell who says to hold the lock, for a message."""
    words = ""
    with contextlib.suppress(OSError, CorruptRunError):
        words = files.read_all(path, _LABEL_CAP).decode("ascii", "replace").partition("\n")[0]
    return words if words.isprintable() and words else "another process"


@dataclass(frozen=True, slots=True)
class Hold:
    """What a reader can tell of a lock.

    Attributes
    ----------
    held : bool or None
        Whether a writer holds it; None when the system cannot tell.
    silence : float or None
        Seconds since the writer's last sign of life, by the clocks of two machines; None for one
        that gives none.
    """

    held: bool | None
    silence: float | None = None


def look_at(path: Path) -> Hold:
    """Look whether a writer holds the lock of a run, and when it last gave a sign of life."""
    try:
        with files.opened(path) as fd:
            held = not _try(fd, shared=True)  # closing frees what was taken
            if not held or _PROMISE.encode() not in files.read_at(fd, 0, _LABEL_CAP):
                return Hold(held)
            return Hold(held, max(0.0, time.time() - os.fstat(fd).st_mtime))
    except FileNotFoundError:
        return Hold(False)
    except (OSError, CorruptRunError):
        return Hold(None)
