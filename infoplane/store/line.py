"""One line of a journal: ``crc32 (8 hex digits), space, JSON object, newline``."""

from __future__ import annotations

import zlib
from typing import Any

from infoplane.errors import CorruptRunError
from infoplane.store import codec

LINE_CAP = 1_000_000
"""Longest line in bytes, newline included."""


def frame(payload: bytes) -> bytes:
    """Make a line of a payload, with its checksum."""
    return b"%08x %s\n" % (zlib.crc32(payload), payload)


def parse(line: bytes) -> dict[str, Any]:
    """Read the record of one line (without its newline).

    Raises
    ------
    CorruptRunError
        If the checksum fails or the JSON is not of the kind that infoplane writes.
    """
    head, separator, payload = line[:8], line[8:9], line[9:]
    if len(line) >= LINE_CAP:
        raise CorruptRunError(f"A line has at most {LINE_CAP:,} bytes; got {len(line):,}.")
    if separator != b" " or head != b"%08x" % zlib.crc32(payload):
        raise CorruptRunError("The checksum of a journal line does not match.")
    record = codec.loads(payload)
    codec.integer(record, "seq")
    codec.text(record, "kind")
    return record
