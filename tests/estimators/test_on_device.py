"""The O(n²) family on a torch device against the CPU; on a GPU where there is one."""

import numpy as np
import pytest
import torch

from infoplane.errors import InputError
from infoplane.estimators import device, get, on_device
from infoplane.estimators.nulls import null_distribution

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]
CASES = [
    ("mi.kde", {"variance": 0.05}),
    ("mi.kde", {"variance": 0.05, "bound": "lower"}),
    ("mi.ksg", {}),
    ("mi.diffusion", {"sigma": 1.0}),
    ("mi.renyi", {}),
]


@pytest.fixture(scope="module")
def toy():
    rng = np.random.default_rng(0)
    y = np.arange(180) % 3
    return y, np.tanh(rng.normal(size=(180, 8)) + y[:, None])


@pytest.mark.parametrize("place", DEVICES)
@pytest.mark.parametrize(("name", "params"), CASES)
def test_values_equal_those_of_the_cpu(monkeypatch, toy, place, name, params):
    y, t = toy
    expected = get(name)(y, t, **params)
    monkeypatch.setattr(on_device, "ENTRIES", 1000)  # several blocks
    with device(place):
        found = get(name)(y, t, **params)
    assert found.value == pytest.approx(expected.value, abs=1e-9)
    assert found.flags == expected.flags


@pytest.mark.parametrize("place", DEVICES)
def test_continuous_pairs_nulls_and_layers(toy, place):
    y, t = toy
    asked = [
        lambda: get("mi.ksg")(t[:, :2], t[:, 2:]).value,
        lambda: get("mi.ksg")(t[:, :1], t[:, 1:2]).value,
        lambda: null_distribution("mi.kde", y, t, draws=3),
        lambda: get("entropy.diffusion")(t, sigma=1.0).value,
        lambda: get("dimension.lid")(t).value,
    ]
    expected = [ask() for ask in asked]
    with device(place):
        found = [ask() for ask in asked]
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, abs=1e-9)


def test_far_from_zero_no_digits_are_lost(toy):
    t = toy[1] + 1e6
    with device("cpu"):
        far = get("mi.kde")(np.arange(180), t, variance=0.05)
    assert far.value == pytest.approx(get("mi.kde")(np.arange(180), t, variance=0.05).value, 1e-9)


def test_the_device_is_left_at_the_end_and_must_exist(toy):
    with device("cpu"):
        assert on_device.chosen() == torch.device("cpu")
    assert on_device.chosen() is None
    with pytest.raises(ZeroDivisionError), device("cpu"):
        _ = 1 / 0
    assert on_device.chosen() is None
    for name in ("meta-physical", "cuda:99"):
        with pytest.raises(InputError, match="must name a torch device"), device(name):
            pass
