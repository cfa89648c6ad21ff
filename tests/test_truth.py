"""The truths are checked by other routes than the closed forms they state."""

import math

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.stats import kstest, multivariate_t

from infoplane import truth
from infoplane.errors import InputError
from infoplane.truth.benchmark import _spiral

PUBLISHED = {  # nats, six digits, in the order of the benchmark's table
    "1v1-normal-0.75": 0.413339,
    "normal_cdf-1v1-normal-0.75": 0.413339,
    "1v1-additive-0.1": 1.709438,
    "1v1-additive-0.75": 0.333333,
    "1v1-bimodal-0.75": 0.413339,
    "wiggly-1v1-normal-0.75": 0.413339,
    "half_cube-1v1-normal-0.75": 0.413339,
    "student-identity-1-1-1": 0.224171,
    "asinh-student-identity-1-1-1": 0.224171,
    "swissroll_x-normal_cdf-1v1-normal-0.75": 0.413339,
    "multinormal-dense-2-2-0.5": 0.293893,
    "multinormal-dense-3-3-0.5": 0.413339,
    "multinormal-dense-5-5-0.5": 0.592812,
    "multinormal-dense-25-25-0.5": 1.292184,
    "multinormal-dense-50-50-0.5": 1.624265,
    "multinormal-sparse-2-2-2-2.0": 1.021651,
    "student-identity-2-2-1": 0.431946,
    "student-identity-2-2-2": 0.193147,
    "student-identity-3-3-2": 0.290922,
    "student-identity-3-3-3": 0.178712,
    "student-identity-5-5-2": 0.448151,
    "student-identity-5-5-3": 0.298544,
    "asinh-student-identity-2-2-1": 0.431946,
    "asinh-student-identity-3-3-2": 0.290922,
    "asinh-student-identity-5-5-2": 0.448151,
    "spiral-normal_cdf-multinormal-sparse-25-25-2-2.0": 1.021651,
}


def plug_in(x, y):
    """I(X;Y) of the empirical distribution of two code vectors, by the table of counts."""
    table = np.zeros((x.max() + 1, y.max() + 1))
    np.add.at(table, (x, y), 1 / len(x))
    outside = table.sum(1, keepdims=True) * table.sum(0)
    return float((table[table > 0] * np.log(table[table > 0] / outside[table > 0])).sum())


def test_there_are_the_forty_tasks_with_the_published_values():
    tasks = {task.name: task for task in truth.tasks()}
    assert len(tasks) == 40
    for name, mi in PUBLISHED.items():
        assert tasks[name].mi == pytest.approx(mi, abs=6e-7), name


@pytest.mark.parametrize("name", truth.names())
def test_samples_are_finite_seeded_and_of_one_length(name):
    task = truth.get(name)
    x, y = task.sample(40, seed=3)
    again, _ = task.sample(40, seed=np.random.default_rng(3))
    other, _ = task.sample(40, seed=4)
    assert len(x) == len(y) == 40
    assert np.isfinite(x).all()
    assert np.isfinite(y).all()
    assert x.tobytes() == again.tobytes()
    assert x.tobytes() != other.tobytes()


def test_student_information_is_the_mean_log_density_ratio():
    task = truth.student(2, 2, 3)
    x, y = task.sample(200_000, seed=0)
    joint = multivariate_t(shape=np.eye(4), df=3).logpdf(np.hstack([x, y]))
    each = multivariate_t(shape=np.eye(2), df=3)
    local = joint - each.logpdf(x) - each.logpdf(y)
    assert local.mean() == pytest.approx(task.mi, abs=4 * local.std() / math.sqrt(len(local)))


@pytest.mark.parametrize(
    "task",
    [truth.binary_symmetric(0.1, 0.3), truth.z_channel(0.3), truth.erasure(0.25, 0.4)],
    ids=lambda task: task.name,
)
def test_channels_match_the_counts_of_many_draws(task):
    x, y = task.sample(400_000, seed=1)
    assert plug_in(x, y) == pytest.approx(task.mi, abs=0.004)
    assert task.mi <= task.facts["capacity"] + 1e-12


def test_z_channel_capacity_is_the_largest_information_over_inputs():
    best = max(truth.z_channel(0.3, p).mi for p in np.linspace(0.3, 0.7, 4001))
    assert best == pytest.approx(truth.z_channel(0.3).facts["capacity"], abs=1e-7)


@pytest.mark.parametrize("corruption", [0.0, 0.3, 1.0])
def test_blob_labels_carry_the_stated_information_about_the_blob(corruption):
    task = truth.blobs(4, 10, corruption)
    x, y = task.sample(200_000, seed=2)
    blob = (x[:, :4] @ truth.etf(4).T).argmax(axis=1)
    assert plug_in(blob, y) == pytest.approx(task.mi, abs=0.005)


@pytest.mark.parametrize("kind", ["xor", "and", "copy"])
def test_gates_match_counting_and_their_decomposition_adds_up(kind):
    task = truth.get(kind)
    x, y = task.sample(100_000, seed=0)
    assert plug_in(x[:, 0] * 2 + x[:, 1], y) == pytest.approx(task.mi, abs=0.01)
    parts = task.facts["synergy"] + task.facts["redundancy"] + 2 * task.facts["unique"]
    assert parts == pytest.approx(task.mi, abs=1e-12)


def test_and_gate_has_the_published_redundancy_in_bits():
    facts = truth.get("and").facts
    assert facts["redundancy"] / math.log(2) == pytest.approx(0.3113, abs=5e-5)
    assert facts["synergy"] / math.log(2) == pytest.approx(0.5, abs=1e-12)


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("d", [3, 5])
def test_spiral_is_the_matrix_exponential_of_the_turn(d, first):
    t = np.random.default_rng(0).standard_normal((6, d))
    turn = np.zeros((d, d))
    turn[first, first + 1], turn[first + 1, first] = 1, -1
    expected = [expm(row @ row / d * turn) @ row for row in t]
    np.testing.assert_allclose(_spiral(first)(t), expected, atol=1e-12)


CANONICAL = {  # nats, of one run of the published package, N = 5000
    "multinormal-sparse-5-5-2-2.0": 1.015,
    "spiral-multinormal-sparse-3-3-2-2.0": 0.249,
    "spiral-multinormal-sparse-5-5-2-2.0": 0.404,
    "spiral-multinormal-sparse-25-25-2-2.0": 0.908,
    "spiral-normal_cdf-multinormal-sparse-5-5-2-2.0": 0.883,
    "spiral-normal_cdf-multinormal-sparse-25-25-2-2.0": 1.017,
    "normal_cdf-multinormal-sparse-3-3-2-2.0": 0.974,
    "half_cube-multinormal-sparse-5-5-2-2.0": 0.963,
    "wiggly-1v1-normal-0.75": 0.378,
    "1v1-bimodal-0.75": 0.339,
    "1v1-additive-0.1": 1.619,
    "1v1-additive-0.75": 0.186,
    "swissroll_x-normal_cdf-1v1-normal-0.75": 0.022,
    "multinormal-dense-25-25-0.5": 1.346,
}


@pytest.mark.parametrize("name", CANONICAL)
def test_tasks_look_as_published_to_canonical_correlations(name):
    """A map that keeps the information may still be another map: this sees which."""
    x, y = truth.get(name).sample(5000, seed=8)
    one, two = (np.linalg.qr(side - side.mean(axis=0))[0] for side in (x, y))
    correlations = np.linalg.svd(one.T @ two, compute_uv=False)
    found = -0.5 * np.log1p(-(correlations**2)).sum()
    assert found == pytest.approx(CANONICAL[name], abs=0.07)


def test_bimodal_margin_is_the_stated_mixture():
    x, y = truth.get("1v1-bimodal-0.75").sample(20_000, seed=5)
    from scipy.special import ndtr

    assert kstest(x[:, 0], lambda v: 0.3 * ndtr(v) + 0.7 * ndtr(v - 5)).pvalue > 0.01
    assert kstest(y[:, 0], lambda v: 0.5 * ndtr(v + 1) + 0.5 * ndtr(v - 3)).pvalue > 0.01


def test_images_let_their_parameters_be_read_off():
    task = truth.gaussian_images(1.0, 24)
    x, _ = task.sample(50, seed=0)
    image = x.reshape(50, 24, 24)
    log = np.log(image.max(axis=2))  # a parabola in the row: its vertex is the centre
    grid = (np.arange(24) + 0.5) / 24
    centre = np.array([-(c := np.polyfit(grid, row, 2))[1] / (2 * c[0]) for row in log])
    assert centre.min() > 0.19
    assert centre.max() < 0.81
    x, _ = truth.rectangles(1.0, 24).sample(50, seed=0)
    image = x.reshape(50, 24, 24)
    area = image.sum(axis=(1, 2)) / 24**2
    width, height = image.max(axis=2).sum(axis=1) / 24, image.max(axis=1).sum(axis=1) / 24
    np.testing.assert_allclose(area, width * height, atol=1e-12)


def test_ball_has_unit_radius_and_uniform_volume():
    x, _ = truth.ball(3).sample(20_000, seed=0)
    assert kstest(np.linalg.norm(x, axis=1) ** 3, "uniform").pvalue > 0.01
    assert truth.ball_entropy(2) == pytest.approx(math.log(math.pi), abs=1e-12)


def test_simplex_vertices_are_equiangular_unit_vectors():
    frame = truth.etf(5)
    np.testing.assert_allclose(frame @ frame.T, 1.25 * np.eye(5) - 0.25, atol=1e-12)


def test_unknown_names_and_sizes_are_refused_with_a_hint():
    with pytest.raises(InputError, match="Did you mean 'gaussian"):
        truth.get("gausian")
    with pytest.raises(InputError, match="positive int"):
        truth.get("gaussian").sample(0)
    with pytest.raises(InputError, match="at least `classes`"):
        truth.blobs(5, 3)
