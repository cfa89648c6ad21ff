"""Reading what people pass to `watch`: sizes, shares, kinds."""

from __future__ import annotations

from collections.abc import Iterable

from infoplane.capture.taps import KINDS
from infoplane.errors import InputError

UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20,
         "GIB": 2**30}  # fmt: skip


def kinds_of(capture: str | Iterable[str]) -> tuple[str, ...]:
    """Read a ``capture=`` argument."""
    asked = (capture,) if isinstance(capture, str) else tuple(capture)
    for kind in asked:
        if kind not in KINDS:
            raise InputError(f"`capture` must name some of {', '.join(KINDS)}; got {kind!r}.")
    if set(asked) <= {"gradients", "weights"}:
        raise InputError(
            "`capture` must name something to snapshot besides gradients and weights, which are "
            f'recorded with it: capture=("output", "gradients"); got {capture!r}.'
        )
    return asked


def bytes_of(name: str, size: int | str) -> int:
    """Read a size in bytes: ``256_000_000`` or ``"256MB"``."""
    text = str(size).strip().upper()
    digits = text.rstrip("KMGIB ")
    unit = text[len(digits) :].strip()
    try:
        number = float(digits) * UNITS[unit]
    except (ValueError, KeyError):
        number = 0.0
    if not number >= 1:
        raise InputError(f'`{name}` must be a number of bytes or text like "256MB"; got {size!r}.')
    return int(number)


def share_of(budget: float | str) -> float:
    """Read a share: ``0.02`` or ``"2%"``."""
    text = str(budget).strip()
    try:
        share = float(text.rstrip("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise InputError(f'`budget` must be a share in (0, 1] or text like "2%"; got {budget!r}.')
    return share
