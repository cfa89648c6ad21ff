"""Reading many lines of scalars at once, and passing over them where only a list is wanted.

A training of a million steps has a million lines of the same form: the same names, one number each.
Such a stretch is taken as columns, by one pattern made from its first line; every line's checksum
and number are looked at as if it stood alone. Whatever is not exactly of that form (a number with
three digits of exponent, a name twice, damage) is left to the ordinary way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

_COUNT = rb"(0|[1-9]\d{0,17})"
_NUMBER = rb'(-?(?:0|[1-9]\d{0,39})(?:\.\d{1,40})?(?:e[-+]?\d\d?)?|"nan"|"inf"|"-inf")'
_FORMS = 16  # of different names; a journal with more is read line by line
SCALARS = b'"kind":"scalars"'
_OTHER = re.compile(rb'"kind"\s*:\s*"(?!scalars"|measurements"|annotation")')


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive lines of scalars of the same names.

    Attributes
    ----------
    steps : list of int
        The step of each line.
    columns : mapping of str to list of float
        Each scalar's values, one a line.
    lines : bytes
        The lines themselves, the last newline included.
    seq : int
        Number of the last record.
    """

    steps: list[int]
    columns: Mapping[str, list[float]]
    lines: bytes
    seq: int


class Stretches:
    """Finds stretches; knows the forms that one journal's lines have had."""

    def __init__(self) -> None:
        self._forms: dict[tuple[str, ...], re.Pattern[bytes]] = {}
        self._latest: tuple[str, ...] = ()

    def learn(self, record: Mapping[str, Any]) -> None:
        """Make a pattern of a record that was read on its own."""
        names = record.get("scalars")
        if record["kind"] != "scalars" or type(names) is not dict or not names:
            return
        self._latest = tuple(names)
        if self._latest not in self._forms and len(self._forms) < _FORMS:
            self._forms[self._latest] = _form(self._latest)

    def find(self, chunk: bytes, at: int, seq: int) -> Stretch | None:
        """Return the stretch that begins at a line's start; None when no form fits that line."""
        for names in dict.fromkeys((self._latest, *self._forms)):
            form = self._forms.get(names)
            if form is not None and (stretch := _stretch(form, names, chunk, at, seq)):
                self._latest = names
                return stretch
        return None


def _form(names: tuple[str, ...]) -> re.Pattern[bytes]:
    scalars = b",".join(re.escape(json.dumps(name).encode()) + b":" + _NUMBER for name in names)
    head = rb'"seq":' + _COUNT + rb',"kind":"scalars","time":\d{1,15}(?:\.\d{1,20})?'
    body = rb'"step":' + _COUNT + rb',"scalars":\{' + scalars + rb"\}"
    return re.compile(rb"([0-9a-f]{8}) (\{" + head + b"," + body + rb"\})\n")


def _stretch(
    form: re.Pattern[bytes], names: tuple[str, ...], chunk: bytes, begin: int, seq: int
) -> Stretch | None:
    rows = []
    end = begin
    while (match := form.match(chunk, end)) is not None:
        row = match.groups()
        if int(row[0], 16) != crc32(row[1]) or int(row[2]) <= seq:
            break
        seq, end = int(row[2]), match.end()
        rows.append(row)
    if not rows:
        return None
    _, _, _, steps, *columns = zip(*rows, strict=True)
    values = dict(zip(names, map(_floats, columns), strict=True))
    return Stretch(list(map(int, steps)), values, chunk[begin:end], seq)


def _floats(texts: tuple[bytes, ...]) -> list[float]:
    try:
        return list(map(float, texts))
    except ValueError:  # a loss that is no number stands in quotes
        return [float(text.strip(b'"')) for text in texts]


def outline(chunk: bytes) -> Iterator[int]:
    """Yield where the lines begin that tell how a run stands, of whole lines; in order.

    Everything but scalars, measurements and annotations; of the scalars between two such lines the
    first and the last, which tell how far a session went; and the very last line.
    """
    if not chunk:
        return
    at, last = 0, chunk.rfind(b"\n", 0, -1) + 1
    marks = [_line(chunk, match.start()) for match in _OTHER.finditer(chunk)]
    for mark in dict.fromkeys((*marks, last)):
        ends = chunk.find(SCALARS, at, mark), chunk.rfind(SCALARS, at, mark)
        yield from dict.fromkeys(_line(chunk, end) for end in ends if end >= 0)
        if mark >= at:
            yield mark
        at = max(at, chunk.find(b"\n", mark) + 1)


def _line(chunk: bytes, within: int) -> int:
    return chunk.rfind(b"\n", 0, within) + 1
