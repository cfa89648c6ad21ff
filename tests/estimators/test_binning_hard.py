"""Binned information of hard arrays: equal to dictionaries of symbols, or refused."""

import math

import numpy as np
import pytest
from twins import binning as twin

from infoplane.errors import InputError, NonFiniteError, TooFewSamplesError
from infoplane.estimators import card, get, plugin

RNG = np.random.default_rng(0)
EDGES = np.linspace(-1, 1, 30)
HARD = {
    "tanh": np.tanh(2 * RNG.normal(size=(90, 3))),
    "saturated, float32": np.tanh(9 * RNG.normal(size=(90, 3))).astype(np.float32),
    "ReLU with minus zeros": RNG.normal(size=(90, 3)).clip(0) * [1, -1, 2],
    "next to every edge": np.concatenate([np.nextafter(EDGES, w) for w in (-9, 0, 9)] + [EDGES]),
    "ends of the range": np.array([[-1.0], [1.0], [-1.5], [1.5], [0.0], [-0.0], [1.0]]),
    "denormals": np.array([[0.0, 5e-324], [5e-324, 1e-323], [1e-323, 0.0], [0.0, 0.0]]),
    "huge": np.array([[-1.7e308, 1.0], [1.7e308, 2.0], [0.0, 1.0], [1e300, 3.0]]),
    "one outlier": np.append(RNG.normal(size=59), 1e9)[:, None],
    "constant units": np.column_stack([np.ones(50), np.arange(50) % 7 / 7, np.zeros(50)]),
    "wide, two levels": RNG.choice([0.1, 0.9], (40, 300)),
    "wide copies": RNG.normal(size=(9, 200)).repeat(5, axis=0),
    "float16": RNG.normal(size=(60, 2)).astype(np.float16),
    "int": RNG.integers(-5, 5, (60, 3)),
    "large ints": np.array([[2**62], [2**62 + 1], [2**62], [-(2**62)]]),
    "bool": RNG.random((60, 3)) > 0.5,
    "two rows": np.array([[0.3, 0.1], [0.4, 0.1]]),
    "columns first": np.asfortranarray(RNG.normal(size=(60, 5))),
    "every other row": RNG.normal(size=(60, 5))[::-2],
}


def _fixed(idnns=False):
    edges = EDGES.astype(np.float32).tolist() if idnns else EDGES.tolist()
    return lambda t: [tuple(twin.fixed_symbol(float(x), edges, idnns) for x in row) for row in t]


RULES = {
    "fixed": ("mi.binning", {}, _fixed()),
    "idnns": ("mi.binning", {"compat": "idnns"}, _fixed(idnns=True)),
    "floor": ("mi.binning", {"width": 0.07}, lambda t: twin.floor(t, 0.07)),
    "levels": ("mi.adaptive", {"bins": 5}, lambda t: twin.adaptive(t, 5)),
    "values": (
        "mi.adaptive",
        {"bins": 5, "equal": "values"},
        lambda t: twin.adaptive(t, 5, "values"),
    ),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("layer", HARD)
def test_hard_layers_match_the_twin(layer, rule):
    t, (name, params, symbols) = HARD[layer], RULES[rule]
    if (layer, rule) == ("huge", "floor"):
        with pytest.raises(InputError, match="`width`"):
            get(name)(np.arange(len(t)), t, **params)
        return
    t = t.reshape(len(t), -1)
    rows = [tuple(row) for row in t.tolist()] if t.dtype.kind in "bi" else symbols(t)
    found = get(name)(np.arange(len(t)), t, **params)
    assert found.value == pytest.approx(twin.entropy(rows), abs=1e-12)
    assert found.info["occupied"] == len(set(rows))
    y = np.arange(len(t)) % 3
    assert get(name)(y, t, **params).value == pytest.approx(twin.information(y, rows), abs=1e-12)


@pytest.mark.parametrize("name", ["mi.binning", "mi.adaptive", "mi.binning_given"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("shape", [(131, 3), (131, 90)], ids=["narrow", "wide"])
def test_what_is_not_finite_is_refused_wherever_it_stands(name, dtype, shape):
    for entry in (np.nan, np.inf, -np.inf):
        for row in (0, 6, 130):
            t = np.random.default_rng(0).normal(size=shape).astype(dtype)
            t[row, 1] = entry
            with pytest.raises(NonFiniteError, match=rf"1 non-finite .* first at \({row}, 1\)"):
                get(name)(np.arange(131) % 2, t)


def test_what_has_no_rows_or_columns_is_refused():
    for name in ("mi.binning", "mi.adaptive"):
        with pytest.raises(TooFewSamplesError):
            get(name)([0], [[1.0]])
        with pytest.raises(InputError, match="at least one column"):
            get(name)([0, 1], np.zeros((2, 0)))
        with pytest.raises(InputError, match=r"\(n, d\)"):
            get(name)([0, 1], np.zeros((2, 2, 2)))
        with pytest.raises(InputError, match="real numbers"):
            get(name)([0, 1], np.zeros((2, 2), complex))


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_few_rows(n):
    t = np.arange(float(n))[:, None] / n
    assert get("mi.binning")(np.arange(n), t).value == pytest.approx(math.log(n))
    assert get("mi.adaptive")(np.arange(n), t, bins=9).value == pytest.approx(math.log(n))


def test_the_layer_stays_as_it_is():
    for t in (HARD["tanh"], HARD["float16"], HARD["columns first"], HARD["int"]):
        before = t.tobytes()
        for name in ("mi.binning", "mi.adaptive"):
            get(name)(np.arange(len(t)), t)
            card(name).null(np.arange(len(t)) % 3, t, draws=2, rng=0)
        assert t.tobytes() == before


def test_the_null_leaves_out_only_what_cannot_matter():
    rng = np.random.default_rng(4)
    y, codes = rng.integers(0, 3, 90), plugin.ranks(rng.integers(0, 60, 90))
    labels = np.random.default_rng(7).permuted(np.tile(y, (4, 1)), axis=1)
    expected = [twin.information(row.tolist(), codes.tolist()) for row in labels]
    found = plugin.shuffled(y, codes, 4, np.random.default_rng(7))
    assert found == pytest.approx(expected, abs=1e-12)
