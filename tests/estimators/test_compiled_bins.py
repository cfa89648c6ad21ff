"""Compiled counting of binned rows gives what numpy gives, to the last bit, and is never needed."""

import math

import numpy as np
import pytest

from infoplane.errors import InfoplaneError, InputError, NonFiniteError, TooFewSamplesError
from infoplane.estimators import card, get, plugin

NEVER = 1 << 40  # rows


@pytest.fixture
def loops(monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.setattr(plugin, "MANY", 1)
    return plugin.compiled(1)


HARD = {
    "tanh": np.tanh(2 * np.random.default_rng(0).normal(size=(300, 3))),
    "saturated, float32": np.tanh(
        9 * np.random.default_rng(1).normal(size=(300, 3)), dtype=np.float32
    ),
    "ReLU with minus zeros": np.random.default_rng(2).normal(size=(300, 3)).clip(0) * [1, -1, 2],
    "next to every edge": np.concatenate(
        [np.nextafter(np.linspace(-1, 1, 30), way) for way in (-9, 0, 9)] + [np.linspace(-1, 1, 30)]
    ),
    "ends of the range": np.array([[-1.0], [1.0], [-1.5], [1.5], [0.0], [-0.0], [1.0]]),
    "denormals": np.array([[0.0, 5e-324], [5e-324, 1e-323], [1e-323, 0.0], [0.0, 0.0]]),
    "huge": np.array([[-1.7e308, 1.0], [1.7e308, 2.0], [0.0, 1.0], [1e300, 3.0]]),
    "one outlier": np.append(np.random.default_rng(3).normal(size=99), 1e9)[:, None],
    "constant units": np.column_stack([np.ones(50), np.arange(50) % 7 / 7, np.zeros(50)]),
    "wide: keys of many words": np.random.default_rng(4).choice([0.1, 0.9], (400, 1000)),
    "wide copies": np.random.default_rng(5).normal(size=(9, 200)).repeat(7, axis=0),
    "float16": np.random.default_rng(6).normal(size=(200, 2)).astype(np.float16),
    "int": np.random.default_rng(7).integers(-5, 5, (200, 3)),
    "bool": np.random.default_rng(8).random((200, 3)) > 0.5,
    "two rows": np.array([[0.3, 0.1], [0.4, 0.1]]),
    "columns first": np.asfortranarray(np.random.default_rng(9).normal(size=(200, 5))),
}
RULES = [
    ("mi.binning", {}),
    ("mi.binning", {"compat": "idnns"}),
    ("mi.binning", {"range": "layer", "bins": 300}),
    ("mi.binning", {"range": "unit", "bins": 7}),
    ("mi.binning", {"width": 0.07}),
    ("mi.adaptive", {}),
    ("mi.adaptive", {"bins": 4, "equal": "values"}),
    ("mi.binning_given", {}),
]


def _asked(n):
    rng = np.random.default_rng(1)
    return [
        np.arange(n),
        np.arange(n) % 3 - 1,
        rng.integers(-(2**62), 2**62, n // 2 + 1).repeat(2)[:n],
        np.zeros(n, np.uint8),
        rng.integers(0, 2, (n, 3)),
        np.array(["a", "b"])[np.arange(n) % 2],
    ]


def _read(name, v, t, params):
    try:
        return get(name)(v, t, **params)
    except InfoplaneError as error:
        return type(error), str(error)


@pytest.mark.parametrize("layer", HARD)
def test_compiled_counts_are_the_plain_ones(loops, monkeypatch, layer):
    t = HARD[layer]
    for name, params in RULES:
        for v in _asked(len(t)):
            swept = _read(name, v, t, params)
            with monkeypatch.context() as plain:
                plain.setattr(plugin, "MANY", NEVER)
                assert _read(name, v, t, params) == swept


def test_compiled_counts_refuse_what_is_not_finite(loops):
    for entry in (np.nan, np.inf, -np.inf):
        for row in (0, 6, 130):
            t = np.random.default_rng(0).normal(size=(131, 3))
            t[row, 1] = entry
            with pytest.raises(NonFiniteError, match=rf"first at \({row}, 1\)"):
                get("mi.binning")(np.arange(131) % 2, t)
    with pytest.raises(TooFewSamplesError):
        get("mi.binning")([0], [[1.0]])
    with pytest.raises(InputError, match="at least one column"):
        get("mi.adaptive")([0, 1], np.zeros((2, 0)))


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_compiled_counts_of_few_rows(loops, n):
    t = np.arange(float(n))[:, None] / n
    assert get("mi.binning")(np.arange(n), t).value == pytest.approx(math.log(n))
    assert get("mi.adaptive")(np.arange(n), t, bins=9).value == pytest.approx(math.log(n))


@pytest.mark.parametrize("name", ["mi.binning", "mi.adaptive"])
def test_compiled_nulls_are_the_plain_ones(loops, monkeypatch, name):
    t = HARD["tanh"][:, :2]
    y = (t[:, 0] > 0) + np.arange(len(t)) % 2
    swept = card(name).null(y, t, draws=5, rng=3)
    monkeypatch.setattr(plugin, "MANY", NEVER)
    np.testing.assert_array_equal(card(name).null(y, t, draws=5, rng=3), swept)


def test_keys_that_share_a_slot_are_told_apart(loops):
    rng = np.random.default_rng(2)
    for keys in (rng.integers(-(2**63), 2**63 - 1, 4000), np.arange(4000) << 40, -np.arange(4000)):
        keys = keys[rng.integers(0, 4000, 4000)]
        expected, of_key = np.unique(keys, return_inverse=True, return_counts=True)[1:]
        codes = keys.copy()
        counts = loops.number(codes, 1 << 62)
        np.testing.assert_array_equal(counts[codes], of_key[expected])
        assert len(np.unique(np.stack([codes, expected]), axis=1).T) == len(counts)


def test_few_rows_are_counted_plainly(monkeypatch):
    monkeypatch.setattr(plugin, "sweeps", lambda _: pytest.fail("numba was asked for"))
    assert plugin.compiled(plugin.MANY - 1) is None
