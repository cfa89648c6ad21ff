"""Transport, sphere, checkpoints and probes: closed forms, twins and limits."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import iv
from sklearn.linear_model import LogisticRegression

from infoplane import truth
from infoplane.errors import InputError
from infoplane.estimators import get
from infoplane.estimators.lagged import along
from infoplane.estimators.probing import classified, folds, logistic
from infoplane.estimators.sphere import log_bessel, log_normaliser, sphere_entropy
from infoplane.estimators.wasserstein import exact_table, transport
from infoplane.types import Status

LOG2 = math.log(2)


# ------------------------------------------------------------------ transport


@pytest.mark.parametrize(("flip", "exact"), [(0.0, 0.5), (0.1, 0.4), (0.25, 0.25), (0.5, 0.0)])
def test_binary_symmetric_channel(flip, exact):
    table = np.array([[1 - flip, flip], [flip, 1 - flip]]) / 2
    assert exact_table(table) == pytest.approx(exact, abs=1e-9)


def test_transport_on_a_line_is_the_sorted_difference():
    a, b = np.random.default_rng(0).standard_normal((2, 40, 1))
    expected = np.abs(np.sort(a[:, 0]) - np.sort(b[:, 0])).mean()
    assert transport(a, b) == pytest.approx(expected, abs=1e-12)


def test_gaussian_pairs_stay_below_the_second_order_distance():
    rho = 0.9
    bound = math.sqrt((math.sqrt(1 + rho) - 1) ** 2 + (math.sqrt(1 - rho) - 1) ** 2)
    x, t = truth.gaussian(rho).sample(400, seed=0)
    value = get("distance.wasserstein")(x, t).value
    assert 0.3 * bound < value < bound


def test_independent_pairs_are_near_zero_and_bits_exact():
    x, t = truth.independent().sample(400, seed=0)
    assert abs(get("distance.wasserstein")(x, t).value) < 0.06
    bits = np.arange(40) % 2
    assert get("distance.wasserstein")(bits, bits).value == pytest.approx(0.5, abs=1e-9)
    assert get("distance.wasserstein")(bits, np.ones((40, 2))).status is Status.DEGENERATE
    assert "thinned" in get("distance.wasserstein")(x, t, pairs=50).flags


# ------------------------------------------------------------------ sphere


@pytest.mark.parametrize(("order", "kappa"), [(0, 1), (0.5, 10), (7, 3), (63, 10), (3, 300)])
def test_bessel_series(order, kappa):
    assert log_bessel(order, kappa) == pytest.approx(math.log(iv(order, kappa)), rel=1e-10)


@pytest.mark.parametrize("d", [2, 3, 10])
def test_the_density_integrates_to_one(d):
    kappa = 4.0
    area = math.exp(sphere_entropy(d - 1))  # of the circle of latitude

    def ring(angle):
        return math.exp(kappa * math.cos(angle)) * math.sin(angle) ** (d - 2)

    total = quad(ring, 0, math.pi)[0] * area * math.exp(log_normaliser(d, kappa))
    assert total == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(("d", "exact"), [(2, 1.838), (3, 2.531), (16, 1.326), (128, -127.05)])
def test_uniform_sphere(d, exact):
    assert sphere_entropy(d) == pytest.approx(exact, abs=6e-3)


def test_high_dimensions_do_not_underflow():
    assert sphere_entropy(1000) == pytest.approx(-2032.1, abs=0.1)
    z = np.random.default_rng(0).standard_normal((1000, 1000))
    # far apart rows: −log C − log(1 + e^κ/n) up to the spread of the inner products
    expected = -log_normaliser(1000, 10.0) - math.log(math.exp(0.05) + math.exp(10) / 1000)
    value = get("entropy.sphere")(z).value
    assert value == pytest.approx(expected, abs=0.01)
    assert value == pytest.approx(-2035.1, abs=0.3)


def test_collapse_and_rows_of_zeros():
    z = np.tile([1.0, 2.0, 3.0], (20, 1))
    collapsed = get("entropy.sphere")(z)
    assert collapsed.value == pytest.approx(-10 - log_normaliser(3, 10.0), abs=1e-9)
    z[0] = 0
    with pytest.raises(InputError, match="rows of zeros"):
        get("entropy.sphere")(z)
    with pytest.raises(InputError, match="two columns"):
        get("entropy.sphere")(z[:, :1])


def test_reconstruction_equals_the_double_loop_and_its_ceiling():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((30, 4))
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    w = z + 0.3 * rng.standard_normal((30, 4))
    w /= np.linalg.norm(w, axis=1, keepdims=True)
    terms = [
        5 * z[i] @ w[i] - math.log(sum(math.exp(5 * w[i] @ w[j]) for j in range(30)) / 30)
        for i in range(30)
    ]
    bound = get("mi.reconstruction")
    assert bound(z, w, kappa=5.0).value == pytest.approx(np.mean(terms), abs=1e-12)
    assert bound(z, z, kappa=1e4).value == pytest.approx(math.log(30), abs=1e-6)
    with pytest.raises(InputError, match="same columns"):
        bound(z, w[:, :2])


# ------------------------------------------------------------------ checkpoints


def test_autoregressive_chain():
    rng = np.random.default_rng(0)
    states = [rng.standard_normal((3000, 1))]
    for _ in range(3):
        states.append(0.8 * states[-1] + 0.6 * rng.standard_normal((3000, 1)))
    for lag in (1, 2):
        exact = truth.autoregressive(0.8, lag).mi
        for result in along(states, lag):
            assert result.value == pytest.approx(exact, abs=0.05)
    with pytest.raises(InputError, match="`lag`"):
        along(states, 4)
    with pytest.raises(InputError, match="another estimator"):
        get("mi.autoinformation")(states[0], states[1], inner="mi.autoinformation")


# ------------------------------------------------------------------ probes


def test_weights_equal_scikit_learn():
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=200)
    x = rng.standard_normal((200, 4)) + np.eye(3, 4)[y]
    ours = logistic(x, y, 3, 0.01)
    peer = LogisticRegression(C=1 / (0.01 * 200), tol=1e-10, max_iter=5000).fit(x, y)
    p = x @ ours[:-1] + ours[-1]
    q = x @ peer.coef_.T + peer.intercept_
    np.testing.assert_allclose(
        p - p.mean(1, keepdims=True), q - q.mean(1, keepdims=True), atol=2e-3
    )


def test_held_out_rows_do_not_enter_their_own_probe():
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=60)
    x = rng.standard_normal((60, 40))  # enough columns to memorise
    fold = folds(60, 5, y, np.random.default_rng(0))
    assert classified(x, y, fold, 1e-3).mean() < -LOG2
    assert np.bincount(fold).tolist() == [12] * 5


@pytest.mark.parametrize(
    "name", ["gaussian", "gaussian_2d", "independent", "corrupted_blobs", "blobs"]
)
def test_probe_on_known_information(name):
    task = truth.get(name)
    x, t = task.sample(2000, seed=0)
    v, t = (t, x) if name.endswith("blobs") else (x, t)
    tolerance = {"corrupted_blobs": 0.07, "blobs": 0.05}.get(name, 0.08)
    assert get("mi.usable")(v, t).value == pytest.approx(task.mi, abs=tolerance)


def test_conditional_gain_of_gaussian_regression():
    rng = np.random.default_rng(0)
    a, b, noise = rng.standard_normal((3, 4000))
    v = a + b + 0.5 * noise
    result = get("mi.usable")(v, b, given=a)
    assert result.value == pytest.approx(0.5 * math.log(1.25 / 0.25), abs=0.05)


def test_a_function_of_what_is_given_can_be_easier_to_read():
    rng = np.random.default_rng(0)
    g = rng.standard_normal((2000, 2))
    y = (g[:, 0] * g[:, 1] > 0).astype(int)
    t = (g[:, 0] * g[:, 1])[:, None]
    assert get("mi.usable")(y, g).value == pytest.approx(0, abs=0.02)
    assert get("mi.usable")(y, t, given=g).value > 0.4
    assert get("mi.usable")(y, g, given=t).value == pytest.approx(0, abs=0.05)


def test_a_probe_that_over_fits_is_not_believed():
    rng = np.random.default_rng(0)
    y, v, t = np.arange(120) % 3, rng.standard_normal((120, 3)), rng.standard_normal((120, 300))
    for target in (y, v):
        found = get("mi.usable")(target, t)
        assert "bound_violated" in found.flags
        assert found.status is Status.UNRELIABLE
