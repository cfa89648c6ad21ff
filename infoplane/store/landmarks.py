"""Where the few lines of a main journal are that tell how a run stands: each names the one before.

Of a training of a million steps nearly every line holds scalars. Starts, probe sets, snapshots and
ends are *landmarks*: they carry ``back``, the offset of the landmark before (-1: none). A list of
runs walks back from the end of the file and reads, between two landmarks, no more than the first
and the last scalars: the lines that `stretch.outline` would find in the whole. A chain that is
damaged, or of a version that wrote none, is no chain: the journal is then read from its start.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from infoplane.errors import CorruptRunError
from infoplane.store import files
from infoplane.store.line import LINE_CAP, parse
from infoplane.store.stretch import SCALARS

KINDS = frozenset({"open", "begin", "probe", "snapshot", "forget", "end"})
FIELD = "back"
_MARK = b'"back":'
_NEAR = 8192  # bytes between two landmarks up to which all of them are read
_READ, _READ_MOST = 2048, 1 << 18  # bytes looked at first, and at once at most

Span = tuple[int, int]


def newest(fd: int, size: int) -> int | None:
    """Return the offset of the last landmark; -1 in an empty file, None where there is no chain."""
    try:
        return _newest(fd, _whole(fd, size)) if size else -1
    except CorruptRunError:
        return None


def spans(fd: int, size: int) -> list[Span]:
    """Return from where to where a list of runs has to read, in order; nothing without a chain.

    What follows the last of them has to be read, too.
    """
    try:
        size = _whole(fd, size)
        marks = _chain(fd, size)
        found: list[Span] = []
        for (begin, low), (high, _) in pairwise([*marks, (size, size)]):
            found.append((begin, low))
            found += _between(fd, low, high)
    except CorruptRunError:
        return []
    return _joined(found)


def _between(fd: int, low: int, high: int) -> Iterator[Span]:
    """Yield the lines of the first and the last scalars between two landmarks, or all lines."""
    if high - low <= _NEAR:
        yield low, high
        return
    at = low
    while (at := _first(fd, SCALARS, at, high)) >= 0:
        begin, at = _span(fd, at, high)
        if _kind(fd, begin, at) == "scalars":  # else the word stands in somebody's notes
            yield begin, at
            break
    at = high
    while (at := _last(fd, SCALARS, low, at)) >= 0:
        at, end = _span(fd, at, high)
        if _kind(fd, at, end) == "scalars":
            yield at, end
            break


def _kind(fd: int, begin: int, end: int) -> str:
    return str(parse(files.read_at(fd, begin, end - begin - 1))["kind"])


def _chain(fd: int, size: int) -> list[Span]:
    """Return where the landmarks' lines are, the first one first."""
    found: list[Span] = []
    at = _newest(fd, size)
    while at is not None and at >= 0:
        line = _line(fd, at, size)
        back = parse(line[:-1]).get(FIELD)
        if type(back) is not int or not -1 <= back < at:
            raise CorruptRunError("A landmark must name an earlier one.")
        found.append((at, at + len(line)))
        at = back
    return found[::-1]


def _newest(fd: int, size: int) -> int | None:
    if _MARK not in _line(fd, 0, size):
        return None  # begun by an earlier version
    end = size
    while (found := _last(fd, _MARK, 0, end)) >= 0:
        end, after = _span(fd, found, size)
        if FIELD in parse(files.read_at(fd, end, after - end - 1)):  # else in somebody's words
            return end
    return None


def _whole(fd: int, size: int) -> int:
    """Leave out an unfinished last line."""
    return _last(fd, b"\n", 0, size) + 1


def _joined(spans: list[Span]) -> list[Span]:
    """Join what touches or is named twice."""
    joined: list[Span] = []
    for begin, end in spans:
        if joined and begin <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((begin, end))
    return joined


def _span(fd: int, within: int, size: int) -> Span:
    """Return where the line around an offset begins and ends, its newline included."""
    begin = _last(fd, b"\n", max(0, within - LINE_CAP), within) + 1
    if not begin and within > LINE_CAP:
        raise CorruptRunError(f"A line has at most {LINE_CAP:,} bytes.")
    return begin, begin + len(_line(fd, begin, size))


def _line(fd: int, at: int, size: int) -> bytes:
    """Return the line that begins at an offset, its newline included."""
    end = _first(fd, b"\n", at, min(size, at + LINE_CAP))
    if end < 0:
        raise CorruptRunError(f"A line has at most {LINE_CAP:,} bytes.")
    return files.read_at(fd, at, end + 1 - at)


def _first(fd: int, text: bytes, low: int, high: int) -> int:
    """Return where a text begins first in [low, high); -1 when it does not."""
    length = _READ
    while low < high:
        end = min(low + length, high)
        at = files.read_at(fd, low, end - low + len(text) - 1).find(text)
        if at >= 0:
            return low + at
        low, length = end, min(4 * length, _READ_MOST)
    return -1


def _last(fd: int, text: bytes, low: int, high: int) -> int:
    """Return where a text begins last in [low, high); -1 when it does not."""
    length = _READ
    while low < high:
        begin = max(low, high - length)
        at = files.read_at(fd, begin, high - begin + len(text) - 1).rfind(text)
        if at >= 0:
            return begin + at
        high, length = begin, min(4 * length, _READ_MOST)
    return -1
