"""Cards against slow restatements of their formulas, on layers as they come out of networks."""

import math

import numpy as np
import pytest
from twins import restated as twin

from infoplane.estimators import get

N = 36
RNG = np.random.default_rng(31)
Y = RNG.permutation(np.arange(N) % 3)
BASE = np.eye(3)[Y] @ RNG.standard_normal((3, 4)) + 0.6 * RNG.standard_normal((N, 4))
LAYERS = {
    "plain": BASE,
    "saturated": np.tanh(6 * BASE),
    "positive": np.maximum(BASE, 0) + 0.01,
    "tiny": BASE * 1e-30,
    "huge": BASE * 1e30,
    "heavy": RNG.standard_cauchy((N, 4)),
    "single precision": BASE.astype(np.float32),
    "half precision": BASE.astype(np.float16),
}
GRADIENT, VALUES = RNG.standard_normal((N, 4)), RNG.random(N) + 0.1
SPREAD = 0.1 + np.abs(RNG.standard_normal((N, 4)))
IN, OUT, DOWN = (RNG.standard_normal(shape) for shape in ((N, 4), (5, N), (7, 4)))

CASES = {
    "entropy.layer": (lambda t: twin.layer_entropy_closed(BASE, t), {"previous": BASE}),
    "entropy.layer path": (
        lambda t: twin.layer_entropy([BASE / 3, BASE, t]),
        {"previous": np.stack([BASE / 3, BASE]), "form": "path"},
    ),
    "description.mdl": (lambda t: twin.description(t, 8), {"bins": 8}),
    "fisher.information": (
        lambda t: twin.fisher(t, GRADIENT, VALUES),
        {"gradient": GRADIENT, "function_values": VALUES},
    ),
    "fisher.share": (
        lambda t: twin.fisher_share(t, GRADIENT, VALUES),
        {"gradient": GRADIENT, "function_values": VALUES},
    ),
    "complexity.merging": (lambda t: twin.merging(t, OUT, 0.2), {"weight": OUT, "beta": 0.2}),
    "sparsity.cett": (lambda t: twin.cett(t, DOWN, 0.2), {"weight": DOWN}),
    "entropy.sphere": (twin.sphere, {}),
    "entropy.spacing": (lambda t: twin.spacing(t, 6), {}),
    "dimension.lid": (lambda t: twin.lid(t, 10), {"k": 10}),
    "entropy.diffusion": (lambda t: twin.diffusion(t, 1.0), {"sigma": 1.0}),
    "mi.codes": (lambda t: twin.codes(Y, t), {}),
    "mi.stochastic": (
        lambda t: twin.divergences(t, SPREAD, Y),
        {"deviation": SPREAD, "bound": "jensen"},
    ),
}
NEEDS = {"description.mdl": {"positive"}}
"""Layers to which a restatement is kept: its bins reach from 0 to the largest value."""


@pytest.mark.parametrize(
    ("case", "layer"), [(case, layer) for case in CASES for layer in NEEDS.get(case, LAYERS)]
)
def test_equals_the_formula_done_slowly(case, layer):
    slow, settings = CASES[case]
    name, t = case.partition(" ")[0], LAYERS[layer]
    first = (Y, t) if name.startswith("mi.") else (t,)
    with np.errstate(over="ignore", under="ignore"):
        expected = slow(t.astype(np.float64))
    assert get(name)(*first, **settings).value == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_attention_of_maps_with_exact_zeros():
    raw = np.maximum(np.random.default_rng(2).standard_normal((6, 2, 5, 5)), 0) + np.eye(5)
    maps = raw / raw.sum(axis=-1, keepdims=True)
    assert get("attention.entropy")(maps).value == pytest.approx(twin.attention(maps), abs=1e-12)


def test_what_is_exact_by_itself():
    perfect = get("divergence.cauchy_schwarz_conditional")(BASE, BASE[:, 0], BASE[:, 0])
    assert perfect.value == pytest.approx(0.0, abs=1e-12)
    corners = (np.eye(4) - 0.25)[np.arange(N) % 4]
    both = get("mi.reconstruction")(corners, corners).value
    assert both == pytest.approx(math.log(4) - math.log1p(3 * math.exp(-40 / 3)), abs=1e-12)
