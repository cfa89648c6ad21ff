"""Between the nouns of `infoplane.types` and the plain JSON of a run, strictly in both directions.

What is read comes from a stranger: types, lengths and finiteness are checked, unknown fields are
ignored.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields
from typing import Any, NoReturn, TypeVar

import numpy as np

from infoplane.errors import CorruptRunError, InputError
from infoplane.types import Flags, Layer, Measurement, Null, Status, Verdict

NAME_CAP = 2_000
TEXT_CAP = 100_000
DEPTH_CAP = 16
ARRAY_CAP = 1_000
"""Arrays with more numbers are named, not copied, into a line of the journal."""
_INT_CAP = 2**63

_T = TypeVar("_T")


# -- JSON ------------------------------------------------------------------------------------------


def dumps(value: Any) -> bytes:
    """Compact ASCII JSON; NaN and infinities are refused with ``ValueError``."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is out of range")
    return number


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise ValueError("a key occurs twice")
    return mapping


_DECODER = json.JSONDecoder(
    parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_unique
)


def loads(data: bytes) -> dict[str, Any]:
    """Read a JSON object; NaN, 1e999, repeated keys and endless nesting are refused.

    Raises
    ------
    CorruptRunError
        If the bytes are anything else.
    """
    try:
        value = _DECODER.decode(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise CorruptRunError(f"Not the JSON that infoplane writes: {str(error)[:200]}.") from error
    if not isinstance(value, dict):
        raise CorruptRunError(f"A JSON object must stand here; got {type(value).__name__}.")
    return value


def plain(value: Any, depth: int = 0) -> Any:
    """Whatever a user or an estimator hands over, as finite JSON.

    Numpy numbers and small arrays become numbers and lists, larger arrays a note of their shape,
    NaN and infinities text, everything unknown its ``str``.
    """
    if depth > DEPTH_CAP:
        raise InputError(
            f"Mappings can be nested {DEPTH_CAP} deep at most; got more. Flatten them."
        )
    if isinstance(value, np.ndarray):
        if value.size > ARRAY_CAP:
            return f"omitted: {value.dtype} array of shape {value.shape}"
        return plain(value.tolist(), depth)
    if isinstance(value, np.generic):
        return plain(value.item(), depth)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value) if -_INT_CAP <= value < _INT_CAP else f"{value:#x}"
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset | range):
        return [plain(item, depth + 1) for item in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)[:NAME_CAP]


# -- checks of single values -----------------------------------------------------------------------


def _bad(what: str, must: str, value: Any) -> CorruptRunError:
    return CorruptRunError(f"`{what}` of a record must be {must}; got {str(value)[:80]!r}.")


def integer(record: Mapping[str, Any], name: str, low: int = 0, high: int = _INT_CAP - 1) -> int:
    """Take an integer in [low, high]."""
    value = record.get(name)
    if type(value) is not int or not low <= value <= high:
        raise _bad(name, f"an integer in [{low}, {high}]", value)
    return value


def text(record: Mapping[str, Any], name: str, cap: int = NAME_CAP) -> str:
    """Take a text of at most `cap` characters."""
    value = record.get(name)
    if type(value) is not str or len(value) > cap:
        raise _bad(name, f"text of at most {cap} characters", value)
    return value


def number(value: Any, name: str) -> float:
    """Take a finite number (the decoder has refused the others)."""
    if type(value) is not float and type(value) is not int:
        raise _bad(name, "a number", value)
    try:
        return float(value)
    except OverflowError:
        raise _bad(name, "a number", value) from None


def mapping(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Take a JSON object nested at most `DEPTH_CAP` deep; absent means empty."""
    value = record.get(name, {})
    if type(value) is not dict:
        raise _bad(name, "an object", value)
    _shallow(value, name, 0)
    return value


def _shallow(value: Any, name: str, depth: int) -> None:
    if depth > DEPTH_CAP + 1:
        raise _bad(name, f"nested {DEPTH_CAP} deep at most", "more")
    if type(value) is dict:
        value = value.values()
    elif type(value) is not list:
        return
    for item in value:
        _shallow(item, name, depth + 1)


def items(record: Mapping[str, Any], name: str, cap: int) -> list[Any]:
    """Take a list of at most `cap` entries; absent means empty."""
    value = record.get(name, [])
    if type(value) is not list or len(value) > cap:
        raise _bad(name, f"a list of at most {cap} entries", value)
    return value


def collect(decode: Callable[[Any], _T], rows: Iterable[Any]) -> tuple[list[_T], int]:
    """Decode what can be decoded; also return how many rows could not."""
    good: list[_T] = []
    bad = 0
    for row in rows:
        try:
            good.append(decode(row))
        except CorruptRunError:
            bad += 1
    return good, bad


# -- scalars ---------------------------------------------------------------------------------------


def word(value: Any, name: str) -> str:
    """Take a name that a user gives, as text that will be read back.

    Raises
    ------
    InputError
        If it is too long.
    """
    text_ = str(value)
    if len(text_) > NAME_CAP:
        raise InputError(f"`{name}` must have at most {NAME_CAP} characters; got {len(text_)}.")
    return text_


def encode_scalars(scalars: Mapping[str, Any]) -> dict[str, float | str]:
    """Scalars by name; a loss may well be NaN, which JSON writes as text."""
    encoded: dict[str, float | str] = {}
    for name, value in scalars.items():
        try:
            scalar = float(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(
                f"The scalar {str(name)!r} must be one number; got {type(value).__name__}. "
                "Pass float(value)."
            ) from error
        encoded[str(name)] = scalar if math.isfinite(scalar) else str(scalar)
    return encoded


def decode_scalars(record: Mapping[str, Any]) -> dict[str, float]:
    """Inverse of `encode_scalars`, of the field ``scalars``."""
    words = ("nan", "inf", "-inf")
    return {
        name: float(value) if value in words else number(value, name)
        for name, value in mapping(record, "scalars").items()
    }


# -- layers ----------------------------------------------------------------------------------------


def encode_layer(layer: Layer) -> dict[str, Any]:
    """Make a row of the layer table."""
    return {field.name: plain(getattr(layer, field.name)) for field in fields(Layer)}


def decode_layer(row: Any) -> Layer:
    """Inverse of `encode_layer`."""
    if type(row) is not dict:
        raise _bad("layers", "objects", row)
    shape = items(row, "shape", 16)
    if not all(type(size) is int and 0 <= size < _INT_CAP for size in shape):
        raise _bad("shape", "a list of sizes", shape)
    words = {name: text(row, name) for name in ("name", "kind", "reduce", "dtype", "what")}
    return Layer(shape=tuple(shape), width=integer(row, "width"), **words)


# -- measurements ----------------------------------------------------------------------------------

_NUMBERS = ("value", "stderr", "low", "high", "ceiling")
_NULL_NUMBERS = ("mean", "sd", "q05", "q50", "q95", "p")
_WORDS = ("key", "layer", "quantity", "target", "estimator", "unit", "probe")
_NOTES = ("reason", "note")
_DEFAULTS = {
    field.name: field.default for field in fields(Measurement) if field.default is not MISSING
}


def encode_measurement(measurement: Measurement) -> dict[str, Any]:
    """Make a row of the journal of a measurement; fields at their default are left out.

    Raises
    ------
    InputError
        If a number is NaN or infinite, or a step or a count is no integer.
    """
    row: dict[str, Any] = {}
    for field in fields(Measurement):
        value = getattr(measurement, field.name)
        if field.name in _DEFAULTS and value == _DEFAULTS[field.name]:
            continue
        row[field.name] = _encode_field(field.name, value)
    try:
        decode_measurement(row)
    except CorruptRunError as error:  # what cannot be read back is not written
        raise InputError(f"This measurement cannot be kept: {error}") from error
    return row


def _encode_field(name: str, value: Any) -> Any:
    if name in (*_NUMBERS, "seconds"):
        return None if value is None else _encode_number(name, value)
    if name == "null":
        numbers = {key: _encode_number(f"null.{key}", getattr(value, key)) for key in _NULL_NUMBERS}
        return {**numbers, "draws": int(value.draws)}
    if name in (*_WORDS, *_NOTES, "status"):
        return str(value)
    if name in ("params", "info", "flags"):
        return plain(value)
    return int(value)  # step, version, n, d, snapshot, verdict


def _encode_number(name: str, value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise InputError(
            f"`{name}` of a measurement must be a finite number or None; got {number!r}. "
            "A failed estimate has value None and says why in `note`."
        )
    return number


def decode_measurement(row: Any) -> Measurement:
    """Inverse of `encode_measurement`; lists in ``params`` come back as tuples.

    Raises
    ------
    CorruptRunError
        If the row is not one that infoplane writes.
    """
    if type(row) is Measurement:  # read already
        return row
    if type(row) is not dict:
        raise _bad("rows", "objects", row)
    known: dict[str, Any] = {name: text(row, name) for name in _WORDS if name in row}
    known.update({name: text(row, name, TEXT_CAP) for name in _NOTES if name in row})
    for name in (*_NUMBERS, "seconds"):
        if row.get(name) is not None:
            known[name] = number(row[name], name)
    for name in ("step", "version", "n", "d", "snapshot"):
        if name in row:
            known[name] = integer(row, name)
    known["params"] = {key: _tuples(value) for key, value in mapping(row, "params").items()}
    known["info"] = mapping(row, "info")
    known.setdefault("value", None)
    try:
        return Measurement(
            **known,
            null=_decode_null(row.get("null")),
            flags=_decode_flags(items(row, "flags", 1000)),
            verdict=Verdict(row.get("verdict", 0)),
            status=Status(row.get("status", "ok")),
        )
    except (TypeError, ValueError) as error:  # a field is missing, or a word is unknown
        raise CorruptRunError(f"Not a measurement: {str(error)[:200]}.") from error


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if type(value) is list else value


def _decode_flags(flags: list[Any]) -> Flags:
    if not all(type(flag) is str and len(flag) <= NAME_CAP for flag in flags):
        raise _bad("flags", "a list of words", flags)
    return Flags(flags)


def _decode_null(value: Any) -> Null | None:
    if value is None:
        return None
    if type(value) is not dict:
        raise _bad("null", "an object", value)
    numbers = {name: number(value.get(name), name) for name in _NULL_NUMBERS}
    return Null(**numbers, draws=integer(value, "draws"))
