"""Strict JSON both ways: what infoplane writes comes back equal, anything else is refused."""

from __future__ import annotations

import json
import math
from enum import Enum
from pathlib import PurePosixPath

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infoplane.errors import CorruptRunError, InputError
from infoplane.store import codec
from infoplane.types import Flags, Layer, Measurement, Null, Status, Verdict

finite = st.floats(allow_nan=False, allow_infinity=False)
words = st.text(max_size=30)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | finite | words,
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=5,
)
nulls = st.builds(Null, finite, finite, finite, finite, finite, st.integers(0, 1000), finite)
measurements = st.builds(
    Measurement,
    key=words,
    step=st.integers(0, 2**40),
    layer=words,
    quantity=words,
    target=words,
    estimator=words,
    version=st.integers(0, 99),
    params=st.dictionaries(words, values, max_size=3),
    value=st.none() | finite,
    stderr=st.none() | finite,
    low=st.none() | finite,
    high=st.none() | finite,
    null=st.none() | nulls,
    ceiling=st.none() | finite,
    verdict=st.sampled_from(Verdict),
    reason=words,
    flags=st.lists(words, max_size=3).map(Flags),
    n=st.integers(0, 10**9),
    d=st.integers(0, 10**6),
    seconds=finite,
    status=st.sampled_from(Status),
    note=words,
    unit=words,
    info=st.dictionaries(words, finite | words | st.none(), max_size=3),
    probe=words,
    snapshot=st.integers(0, 2**32 - 1),
)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(measurements)
def test_measurements_round_trip(row):
    line = codec.dumps(codec.encode_measurement(row))
    assert codec.decode_measurement(codec.loads(line)) == row


def test_a_full_measurement_round_trips_with_its_types(kit):
    row = codec.decode_measurement(codec.loads(codec.dumps(codec.encode_measurement(kit.full))))
    assert row == kit.full
    assert isinstance(row.flags, Flags)
    assert "dead" in row.flags
    assert row.verdict is Verdict.CAUTION
    assert row.status is Status.SATURATED


@pytest.mark.parametrize("name", ["value", "stderr", "low", "high", "ceiling", "seconds"])
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_must_be_finite(name, number, kit):
    with pytest.raises(InputError, match=f"`{name}` of a measurement must be a finite number"):
        codec.encode_measurement(kit.measurement(**{name: number}))


def test_null_must_be_finite(kit):
    null = Null(0, math.nan, 0, 0, 0, 20, 1)
    with pytest.raises(InputError, match=r"`null\.sd`"):
        codec.encode_measurement(kit.measurement(null=null))


ROW = {
    "key": "k",
    "step": 0,
    "layer": "a",
    "quantity": "mi",
    "target": "Y",
    "estimator": "mi.kde",
    "version": 1,
    "value": 1.0,
}


@pytest.mark.parametrize(
    "change",
    [
        {"key": 3},
        {"key": "k" * 3000},
        {"step": -1},
        {"step": 1.0},
        {"step": True},
        {"step": 2**70},
        {"layer": None},
        {"version": "1"},
        {"value": "high"},
        {"value": True},
        {"value": 10**400},
        {"params": []},
        {"params": None},
        {"info": 3},
        {"flags": "dead"},
        {"flags": [1]},
        {"flags": ["x"] * 2000},
        {"null": []},
        {"null": {"mean": 1.0}},
        {"null": {**dict.fromkeys(["mean", "sd", "q05", "q50", "q95", "p"], 0), "draws": -1}},
        {"verdict": 7},
        {"verdict": "ok"},
        {"verdict": []},
        {"status": "fine"},
        {"status": {}},
        {"note": ["x"]},
        {"snapshot": "crc"},
    ],
)
def test_rows_of_a_stranger_are_refused(change):
    codec.decode_measurement(ROW)
    with pytest.raises(CorruptRunError):
        codec.decode_measurement({**ROW, **change})


@pytest.mark.parametrize("missing", sorted(set(ROW) - {"value"}))
def test_rows_that_miss_a_field_are_refused(missing):
    with pytest.raises(CorruptRunError):
        codec.decode_measurement({name: ROW[name] for name in ROW if name != missing})


@pytest.mark.parametrize("row", [None, 3, "x", [], [ROW]])
def test_rows_that_are_no_objects(row):
    with pytest.raises(CorruptRunError):
        codec.decode_measurement(row)


def test_unknown_fields_of_a_later_minor_version_are_ignored():
    assert codec.decode_measurement({**ROW, "later": {"x": 1}}).key == "k"


def test_bad_rows_do_not_hide_good_ones():
    rows, bad = codec.collect(codec.decode_measurement, [ROW, {}, None, {**ROW, "key": "l"}])
    assert ([row.key for row in rows], bad) == (["k", "l"], 2)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"3",
        b"[]",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": 1, "a": 2}',
        b'{"a": 1} x',
        b'{"a": ' + b"9" * 10_000 + b"}",
        b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a": ' + b'{"a":' * 50_000,
        b"\xff\xfe",
        b'{"a": "\xed\xa0\x80"}',
        b'{"a": "\n"}',
    ],
)
def test_json_that_we_never_write_is_refused(data):
    with pytest.raises(CorruptRunError):
        codec.loads(data)


def test_depth_is_capped_both_ways():
    deep: object = 1
    for _ in range(30):
        deep = {"a": deep}
    with pytest.raises(InputError, match="nested 16 deep at most"):
        codec.plain(deep)
    with pytest.raises(CorruptRunError, match="nested"):
        codec.mapping({"info": deep}, "info")
    with pytest.raises(CorruptRunError, match="nested"):
        codec.mapping({"info": json.loads('{"a":' + "[" * 30 + "]" * 30 + "}")}, "info")


def test_what_plain_does_to_values():
    class Colour(Enum):
        RED = 1

    given_ = {
        1: np.float32(0.5),
        "array": np.arange(3),
        "wide": np.zeros((100, 100)),
        "nan": math.nan,
        "inf": np.float64(-np.inf),
        "set": {3},
        "path": PurePosixPath("a/b"),
        "enum": Colour.RED,
        "big": 10**30,
        "status": Status.OK,
        "flags": Flags(["dead=3"]),
        "true": np.True_,
        "complex": 1j,
    }
    plain = codec.plain(given_)
    assert plain == {
        "1": 0.5,
        "array": [0, 1, 2],
        "wide": "omitted: float64 array of shape (100, 100)",
        "nan": "nan",
        "inf": "-inf",
        "set": [3],
        "path": "a/b",
        "enum": "Colour.RED",
        "big": hex(10**30),
        "status": "ok",
        "flags": ["dead=3"],
        "true": True,
        "complex": "1j",
    }
    assert codec.loads(codec.dumps(plain)) == plain


def test_scalars_keep_nan_and_infinities():
    scalars = {"a": math.nan, "b": math.inf, "c": -math.inf, "d": 0.1, "e": 3}
    got = codec.decode_scalars({"scalars": codec.loads(codec.dumps(codec.encode_scalars(scalars)))})
    assert math.isnan(got.pop("a"))
    assert got == {"b": math.inf, "c": -math.inf, "d": 0.1, "e": 3.0}
    for bad in ("1e5", "NaN", True, None, [], {"a": 1}):
        with pytest.raises(CorruptRunError):
            codec.decode_scalars({"scalars": {"a": bad}})


@settings(max_examples=25, derandomize=True, deadline=None)
@given(
    st.builds(
        Layer,
        name=words,
        kind=words,
        shape=st.lists(st.integers(0, 2**40), max_size=5).map(tuple),
        width=st.integers(0, 2**40),
        reduce=words,
        dtype=words,
        what=words,
    )
)
def test_layers_round_trip(layer):
    assert codec.decode_layer(codec.loads(codec.dumps(codec.encode_layer(layer)))) == layer


@pytest.mark.parametrize(
    "change",
    [{"name": 1}, {"name": "x" * 3000}, {"shape": [-1]}, {"shape": ["1"]}, {"width": None}],
)
def test_layers_of_a_stranger_are_refused(change):
    row = codec.encode_layer(Layer("a", "Linear", (3,), 3, "flatten"))
    with pytest.raises(CorruptRunError):
        codec.decode_layer({**row, **change})
    with pytest.raises(CorruptRunError):
        codec.decode_layer([row])
