import math
import random

import numpy as np
import pytest
from twins.spectral import diffusion_entropy as slow_entropy

from infoplane.errors import InputError, NonFiniteError, RefusedError, TooFewSamplesError
from infoplane.estimators import clusters
from infoplane.estimators import diffusion as room
from infoplane.estimators import diffusion_information as information
from infoplane.estimators.clusters import cluster_codes, equal_width
from infoplane.estimators.diffusion import diffusion_entropy, sweep
from infoplane.estimators.diffusion_information import diffusion_mi, diffusion_null
from infoplane.estimators.shared import Shared
from infoplane.types import Status

BITS = math.log(2)


def blobs(k=3, n=240, d=5, spread=0.2, seed=0, apart=8.0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % k
    centres = rng.normal(size=(k, d))
    centres *= apart / np.linalg.norm(centres, axis=1, keepdims=True)
    return centres[labels] + spread * rng.normal(size=(n, d)), labels


@pytest.mark.parametrize("t", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_matches_the_slow_version(t, alpha):
    x, _ = blobs(n=60, spread=1.0)
    value = diffusion_entropy(x, sigma=1.5, t=t, alpha=alpha).value
    assert value == pytest.approx(slow_entropy(x, 1.5, t, alpha), abs=1e-7)


def test_default_is_the_plain_walk_and_differs_from_the_anisotropic_one():
    x, _ = blobs(spread=1.0)
    x[:20] *= 0.1
    assert diffusion_entropy(x).params["alpha"] == 0.0
    plain, other = (diffusion_entropy(x, sigma=1.0, alpha=a).value for a in (0.0, 0.5))
    assert abs(plain - other) > 0.01


def test_far_clusters_at_large_times():
    rng = np.random.default_rng(0)
    four = np.repeat(np.arange(4)[:, None] * 1000.0, 50, axis=0) + rng.normal(size=(200, 3)) * 4
    times = [diffusion_entropy(four, t=t).value / BITS for t in (1, 2, 50)]
    assert times[0] > times[1] > times[2]
    assert times[2] == pytest.approx(2.0, abs=1e-9)
    three, _ = blobs(apart=50)
    assert diffusion_entropy(three, sigma=1.0, t=50).value == pytest.approx(math.log(3), abs=1e-6)
    one, _ = blobs(k=1)
    assert diffusion_entropy(one, t=50).value == pytest.approx(0.0, abs=1e-9)


def test_depends_on_scale_and_on_n():
    x = np.random.default_rng(0).uniform(size=(500, 10))
    by_scale = [diffusion_entropy(c * x) for c in (0.1, 1, 10, 100, 1e4)]
    values = [e.value for e in by_scale]
    assert values == sorted(values)
    assert values[0] < 0.01
    assert by_scale[0].flags == ("sigma_high",)
    assert by_scale[0].status is by_scale[4].status is Status.UNRELIABLE
    assert by_scale[2].status is Status.OK
    assert values[4] == pytest.approx(math.log(500))
    assert by_scale[4].flags == ("sigma_low", "saturated")
    y = np.random.default_rng(0).normal(size=(800, 10))
    by_n = [diffusion_entropy(y[:n], sigma=1.0).value for n in (100, 200, 400, 800)]
    assert by_n == sorted(by_n)


def test_a_sweep_is_one_call_a_width():
    x, _ = blobs()
    found = sweep(x, [0.5, 2.0, 8.0], t=2.0)
    assert [e.value for e in found] == [
        diffusion_entropy(x, sigma=s, t=2.0).value for s in (0.5, 2.0, 8.0)
    ]


def test_rules_for_the_width():
    x, _ = blobs()
    fixed = diffusion_entropy(x, sigma=math.sqrt(5)).value
    assert diffusion_entropy(x, sigma="sqrt_d").value == fixed
    median = diffusion_entropy(x, sigma="median")
    assert diffusion_entropy(7 * x, sigma="median").value == pytest.approx(median.value, abs=1e-9)
    half = np.vstack([np.zeros((60, 2)), np.random.default_rng(0).normal(size=(20, 2))])
    assert diffusion_entropy(half, sigma="median").info["sigma"] > 0.1


def test_quadrature_agrees_with_exact(monkeypatch):
    x, _ = blobs(n=600, spread=1.0)
    exact = diffusion_entropy(x, sigma=1.5)
    monkeypatch.setattr(room, "EXACT", 100)
    for t in (1.0, 2.0):
        exact = diffusion_entropy(x, sigma=1.5, t=t, method="exact")
        rough = diffusion_entropy(x, sigma=1.5, t=t)
        assert exact.stderr is None
        assert exact.info["method"] == "exact"
        assert rough.info["method"] == "quadrature"
        assert 0 < rough.stderr < 0.02 * exact.value
        assert abs(rough.value - exact.value) < 4 * rough.stderr
    assert diffusion_entropy(x, rng=3).value == diffusion_entropy(x, rng=3).value


def test_a_low_rank_kernel_is_exact_at_any_n(monkeypatch):
    x = np.tanh(np.random.default_rng(0).normal(size=(400, 3)))
    true = slow_entropy(x, 10.0, 1)
    assert diffusion_entropy(x).value == pytest.approx(true, abs=1e-8)
    monkeypatch.setattr(room, "EXACT", 100)
    found = diffusion_entropy(x)
    assert found.value == pytest.approx(true, abs=1e-8)
    assert (found.stderr, found.info["method"]) == (None, "exact")
    assert diffusion_entropy(x, method="quadrature").stderr > 0
    assert diffusion_entropy(x, t=0.5).info["method"] == "quadrature"


def test_too_many_samples_are_refused(monkeypatch):
    monkeypatch.setattr(room, "QUADRATURE_ROWS", 100)
    monkeypatch.setattr(room, "EXACT_ROWS", 50)
    x, y = blobs()
    with pytest.raises(RefusedError, match="at most 100 samples"):
        diffusion_entropy(x)
    with pytest.raises(RefusedError, match="at most 50 samples"):
        diffusion_entropy(x, method="exact")
    with pytest.raises(RefusedError, match="at most 100"):
        diffusion_mi(y, x)


def test_shared_changes_nothing_and_saves_the_spectrum():
    x, _ = blobs()
    shared = Shared(x)
    for t in (1.0, 5.0):
        assert diffusion_entropy(x, t=t, shared=shared).value == diffusion_entropy(x, t=t).value
    other = Shared(x * 2)
    assert diffusion_entropy(x, shared=other).value == diffusion_entropy(x).value


def test_hostile_inputs():
    x, y = blobs()
    assert diffusion_entropy(np.ones((30, 4))).status is Status.DEGENERATE
    assert diffusion_entropy(np.ones((30, 4))).value == pytest.approx(0, abs=1e-12)
    assert "dead=2" in diffusion_entropy(np.hstack([x, np.zeros((240, 2))])).flags
    wide = np.hstack([x, np.zeros((240, 2))])
    assert diffusion_entropy(wide).value == pytest.approx(diffusion_entropy(x).value, abs=1e-9)
    with pytest.raises(TooFewSamplesError):
        diffusion_entropy(x[:1])
    broken = x.copy()
    broken[3, 2] = np.nan
    with pytest.raises(NonFiniteError):
        diffusion_mi(y, broken)
    for scale in (1e-200, 1e30, 1e200):
        assert math.isfinite(diffusion_entropy(x * scale).value)
    with pytest.raises(InputError, match="sigma"):
        diffusion_entropy(x, sigma=0.0)
    with pytest.raises(InputError, match="same number"):
        diffusion_mi(y[:-1], x)
    before = x.tobytes()
    diffusion_mi(y, x)
    assert x.tobytes() == before


def test_mi_falls_to_zero_with_label_corruption():
    x, y = blobs(d=20, spread=1.0, apart=20.0)
    rng = np.random.default_rng(1)
    values = []
    for corruption in (0.0, 0.5, 1.0):
        wrong = np.where(rng.random(len(y)) < corruption, rng.integers(3, size=len(y)), y)
        values.append(diffusion_mi(wrong, x, sigma="sqrt_d"))
    assert values[0].value > 0.5
    assert values[0].value > values[1].value > values[2].value
    assert abs(values[2].value) < 0.05
    assert values[0].stderr > 0


def test_mi_is_what_its_definition_says():
    x, y = blobs(n=90, spread=2.0)
    y = np.minimum(y + (np.arange(90) < 30), 2)  # classes of 20, 30 and 40
    for seed, rng in ((0, None), (7, 7)):
        expected = 0.0
        for c in range(3):
            stream, size = random.Random(seed), int((y == c).sum())
            drawn = [stream.sample(range(90), size) for _ in range(5)]
            matched = np.mean([slow_entropy(x[rows], 3.0, 1) for rows in drawn])
            expected += size / 90 * (matched - slow_entropy(x[y == c], 3.0, 1))
        assert diffusion_mi(y, x, sigma=3.0, rng=rng).value == pytest.approx(expected, abs=1e-9)


def test_the_error_of_the_subsets_is_their_spread_over_seeds():
    x, y = blobs(n=150, spread=2.0)
    y = np.random.default_rng(3).integers(10, size=150)  # ten sizes, drawn from one seed
    found = [diffusion_mi(y, x, sigma=3.0, rng=seed) for seed in range(25)]
    told = np.mean([estimate.stderr for estimate in found])
    assert 0.7 < told / np.std([estimate.value for estimate in found], ddof=1) < 2


def test_label_names_and_row_order():
    x, y = blobs(spread=2.0)
    named = np.array(["cat", "dog", "eel"])[y]
    value = diffusion_mi(y, x).value
    assert diffusion_mi(named, x).value == value
    assert diffusion_mi(2 - y, x).value == pytest.approx(value, abs=1e-12)


def test_a_continuous_x_is_clustered_and_a_scalar_is_binned():
    x, y = blobs(k=4, n=240)
    by_clusters = diffusion_mi(x, x, clusters=4)
    assert by_clusters.value == pytest.approx(diffusion_mi(y, x).value, abs=1e-9)
    scalar = np.linspace(0.0, 1.0, 240)
    assert diffusion_mi(scalar, x, clusters=4).value == diffusion_mi(np.arange(240) // 60, x).value


def test_trivial_labels():
    x, y = blobs()
    single = diffusion_mi(np.zeros(240, int), x)
    assert (single.value, single.status) == (0.0, Status.DEGENERATE)
    assert "single_class" in single.flags
    assert diffusion_mi(y, np.ones((240, 3))).flags == ("constant", "sigma_high")
    rare = np.zeros(240, int)
    rare[:2] = 1
    assert "rare_class=1" in diffusion_mi(rare, x).flags
    with pytest.raises(InputError, match="spectral clusters"):
        diffusion_mi(np.arange(240), x)


def test_fast_null_is_the_plain_loop_on_average():
    x, y = blobs(n=120, spread=2.0, apart=4.0)
    fast = diffusion_null(y, x, draws=40, rng=0, sigma=2.0)
    rng = np.random.default_rng(5)
    slow = [diffusion_mi(rng.permutation(y), x, sigma=2.0, rng=i).value for i in range(40)]
    error = math.hypot(np.std(fast) / 6, np.std(slow) / 6) + 0.02
    assert abs(np.mean(fast) - np.mean(slow)) < 3 * error
    assert diffusion_mi(y, x, sigma=2.0).value > fast.max()


def test_clusters_find_blobs_are_remembered_and_private():
    x, y = blobs(k=5, n=700, spread=0.5, apart=20.0)
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    codes = cluster_codes(x, 5)
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002
    assert len(np.unique(codes * 10 + y)) == 5
    codes[:] = 9
    assert cluster_codes(x, 5).max() == 4


def test_clusters_are_kept_with_the_run():
    x, y = blobs(k=3, n=90, spread=0.5, apart=20.0)
    shelf = {}
    memo = Shared(x, keeper=lambda name, make: shelf.setdefault(name, make()))
    expected = diffusion_mi(x, x, sigma=2.0, clusters=3).value
    clusters._memory.clear()
    assert diffusion_mi(x, x, sigma=2.0, clusters=3, shared=memo).value == expected
    ((name, arrays),) = shelf.items()
    assert name.startswith("clusters-")
    assert len(np.unique(arrays["labels"] * 10 + y)) == 3
    clusters._memory.clear()
    arrays["labels"][:] = np.arange(90) // 30  # what is kept is what is used
    assert diffusion_mi(x, x, sigma=2.0, clusters=3, shared=memo).value < expected - 0.3
    clusters._memory.clear()


def test_clusters_of_one_connected_cloud():
    x = np.random.default_rng(0).normal(size=(700, 3))
    x[:350, 0] += 5.0
    codes = cluster_codes(x, 2)
    side = x[:, 0] > 2.5
    assert max((codes == side).mean(), (codes != side).mean()) > 0.97
    small = cluster_codes(x[::2], 2)
    assert max((small == side[::2]).mean(), (small != side[::2]).mean()) > 0.97
    assert set(cluster_codes(np.zeros((40, 2)), 3)) <= {0, 1, 2}


def test_equal_width():
    np.testing.assert_array_equal(equal_width(np.array([0.0, 0.4, 0.6, 1.0]), 2), [0, 0, 1, 1])
    np.testing.assert_array_equal(equal_width(np.ones(3), 2), [0, 0, 0])
    assert equal_width(np.array([-1e308, 0.0, 1e308]), 3).tolist() == [0, 1, 2]


@pytest.mark.parametrize(("d", "sigma"), [(2, 0.2), (2, 3.0), (6, 1.0), (40, 4.0), (40, 0.5)])
@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("who", ["LARGE", "BANDED", ""])  # torch's eigenvalues, a band's, scipy's
def test_single_precision_of_many_rows_keeps_the_entropy(monkeypatch, d, sigma, alpha, who):
    t = np.random.default_rng(d).normal(size=(300, d))
    params = {"sigma": sigma, "alpha": alpha, "method": "exact"}
    double = diffusion_entropy(t, **params).value
    monkeypatch.setattr("infoplane.estimators.diffusion.SINGLE", 1)
    if who:
        monkeypatch.setattr(f"infoplane.estimators.backend.{who}", 1)
    assert diffusion_entropy(t, **params).value == pytest.approx(double, abs=5e-6)


def test_information_of_large_classes_in_single_precision_and_in_threads(monkeypatch):
    x, y = blobs(n=300, spread=1.0)
    double = diffusion_mi(y, x, sigma=1.5, rng=0).value
    monkeypatch.setattr(information, "SINGLE", 1)
    single = diffusion_mi(y, x, sigma=1.5, rng=0).value
    assert single != double
    assert single == pytest.approx(double, abs=1e-5)
    nulls = diffusion_null(y, x, draws=3, rng=1, sigma=1.5)
    monkeypatch.setattr(information, "threads", lambda _: 3)
    assert diffusion_mi(y, x, sigma=1.5, rng=0).value == single
    assert np.array_equal(diffusion_null(y, x, draws=3, rng=1, sigma=1.5), nulls)


def test_information_by_quadrature_does_not_depend_on_threads(monkeypatch):
    x, y = blobs(n=300, spread=1.0)
    params = {"sigma": 1.5, "method": "quadrature", "rng": 0}
    one = diffusion_mi(y, x, **params).value
    monkeypatch.setattr(information, "threads", lambda _: 3)
    assert diffusion_mi(y, x, **params).value == one
