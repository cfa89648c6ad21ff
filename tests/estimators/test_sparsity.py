import numpy as np
import pytest

from infoplane.errors import InputError, NonFiniteError
from infoplane.estimators.sparsity import cett, threshold, topk, zeros

ALL = (zeros, threshold, topk)


def relu(n=200, d=30, seed=0):
    return np.maximum(np.random.default_rng(seed).normal(size=(n, d)), 0.0)


def down(d=30, out=8, seed=1):
    return np.random.default_rng(seed).normal(size=(out, d))


def test_counting():
    t = relu()
    t[:, :3] = 0.0
    assert zeros(t).value == sum(float(v == 0) for v in t.ravel()) / t.size
    assert zeros(t).info["dead"] == 3 / 30
    assert "dead=3" in zeros(t).flags
    assert threshold(t, epsilon=0.5).value == (np.abs(t) < 0.5).mean()
    assert threshold(t, epsilon=0.0).value == 0.0
    assert zeros(np.random.default_rng(0).normal(size=(400, 50)).clip(0)).value == pytest.approx(
        0.5, abs=0.01
    )


def test_topk():
    t = np.array([[3.0, -4.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
    assert topk(t, k=0.25).value == pytest.approx((16 / 25 + 1 / 4) / 2)
    assert topk(t, k=0.5).value == pytest.approx((1 + 1 / 2) / 2)
    assert topk(t, k=1.0).value == 1.0
    assert topk(t, k=0.25, whole=True).value == pytest.approx(25 / 29)
    assert topk(t, k=0.3).info["kept"] == 2
    gaussian = topk(np.random.default_rng(0).normal(size=(500, 400))).value
    assert gaussian == pytest.approx(0.44, abs=0.01)
    for scale in (1e-200, 1e200):
        assert topk(t * scale, k=0.25).value == pytest.approx((16 / 25 + 1 / 4) / 2)


@pytest.mark.parametrize("target", [0.05, 0.1, 0.2, 0.4])
def test_cett_reaches_its_target_from_below_and_is_the_largest(target):
    t, w = relu(), down()
    found = cett(t, weight=w, target=target)
    assert found.info["error"] <= target
    assert found.info["error"] > 0.97 * target
    sizes = np.abs(t / t.max()) * np.linalg.norm(w / np.abs(w).max(), axis=0)
    dropped = sizes <= found.info["threshold"]
    assert found.value == dropped.mean()
    error = np.linalg.norm((t * dropped) @ w.T, axis=1) / np.linalg.norm(t @ w.T, axis=1)
    assert error.mean() == pytest.approx(found.info["error"])


def test_cett_is_monotone_and_starts_at_the_exact_zeros():
    t, w = relu(), down()
    values = [cett(t, weight=w, target=target).value for target in (0.0, 0.05, 0.1, 0.3)]
    assert values == sorted(values)
    assert values[0] == zeros(t).value
    dense = t + 0.01
    assert cett(dense, weight=w, target=0.0).value == 0.0  # published code would drop all


def test_hostile():
    t = relu()
    for quantity in ALL:
        assert quantity(np.zeros((10, 3))).value == 1.0
        with pytest.raises(NonFiniteError):
            quantity(np.full((4, 2), np.nan))
    assert cett(np.zeros((10, 30)), weight=down()).value == 1.0
    with pytest.raises(InputError, match="needs the weights"):
        cett(t)
    with pytest.raises(InputError, match=r"must be \(d_out, 30\)"):
        cett(t, weight=down().T)
    with pytest.raises(InputError, match="`k`"):
        topk(t, k=0.0)
