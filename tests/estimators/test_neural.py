"""Variational bounds: values of given score matrices, then small trainings."""

import math

import numpy as np
import pytest
import torch

from infoplane import truth
from infoplane.errors import InputError
from infoplane.estimators import Shared, get, neural, neural_critics
from infoplane.estimators import neural_bounds as bounds
from infoplane.estimators.kept import Origin
from infoplane.types import Status


def optimal(n, rho, d, seed=0):
    """log p(x,y)/p(x)p(y) of d Gaussian pairs, for all n² combinations."""
    x, y = truth.gaussian(rho, d).sample(n, seed)
    a, b = x[:, None, :], y[None, :, :]
    quadratic = (rho**2 * (a**2 + b**2) - 2 * rho * a * b) / (2 * (1 - rho**2))
    return (-quadratic - 0.5 * math.log(1 - rho**2)).sum(-1)


def loops(f, tau):
    """The bounds as the papers write them, double loops over the batch."""
    n = len(f)
    off = [math.exp(f[i][j]) for i in range(n) for j in range(n) if i != j]
    cut = [math.exp(min(max(f[i][j], -tau), tau)) for i in range(n) for j in range(n) if i != j]
    diagonal = sum(f[i][i] for i in range(n)) / n
    nce = sum(f[i][i] - math.log(sum(math.exp(f[i][j]) for j in range(n))) for i in range(n)) / n
    mixed = []  # I_α with α = 0.3: K = n − 1 samples v, with the partner of t_i and without
    for i in range(n):
        for k in range(n):
            if k == i:
                continue
            total = sum(math.exp(f[j][i]) for j in range(n) if j != k) / (n - 1)
            alone = sum(math.exp(f[j][i]) for j in range(n) if j != i) / (n - 1)
            joint = f[i][i] - math.log(0.3 * total + 0.7 * math.e)
            mixed.append(1 + joint - math.exp(f[k][i]) / (0.3 * alone + 0.7 * math.e))
    return {
        "tuba": sum(mixed) / len(mixed),
        "dv": diagonal - math.log(sum(off) / len(off)),
        "nwj": diagonal - sum(off) / len(off) / math.e,
        "js": diagonal + 1 - sum(off) / len(off),
        "nce": math.log(n) + nce,
        "smile": diagonal - math.log(sum(cut) / len(cut)),
    }


@pytest.mark.parametrize("n", [2, 8, 33])
def test_bounds_equal_the_double_loops(n):
    f = np.random.default_rng(n).standard_normal((n, n)) * 3
    expected = loops(f, 1.5)
    assert bounds.donsker_varadhan(f) == pytest.approx(expected["dv"], abs=1e-12)
    assert bounds.nwj(f) == pytest.approx(expected["nwj"], abs=1e-10)
    assert bounds.jensen_shannon(f) == pytest.approx(expected["js"], abs=1e-10)
    assert bounds.infonce(f) == pytest.approx(expected["nce"], abs=1e-12)
    assert bounds.smile(f, 1.5) == pytest.approx(expected["smile"], abs=1e-12)
    assert bounds.tuba(f, 0.3) == pytest.approx(expected["tuba"], abs=1e-10)


def test_the_interpolated_bound_ends_in_nwj_and_in_contrastive():
    f = np.random.default_rng(1).standard_normal((9, 9)) * 30
    assert bounds.tuba(f / 10, 0.0) == pytest.approx(bounds.nwj(f / 10), abs=1e-9)
    assert bounds.tuba(f, 1.0) == pytest.approx(bounds.tuba(f + 7.0, 1.0), abs=1e-9)
    assert bounds.tuba(f, 1.0) <= math.log(8)
    near = optimal(400, 0.8, 1)
    assert bounds.tuba(near + 1, 0.5) == pytest.approx(-0.5 * math.log(1 - 0.64), abs=0.1)
    assert bounds.tuba(np.eye(5) * 2000, 0.5) <= 1 + math.log(4 / 0.5)


def test_the_optimal_critic_gives_the_information():
    rho, d = math.sqrt(-math.expm1(-4.0 / 5)), 5  # 2 nats
    f = optimal(1500, rho, d)
    assert bounds.donsker_varadhan(f) == pytest.approx(2.0, abs=0.12)
    assert bounds.nwj(f + 1) == pytest.approx(2.0, abs=0.12)
    assert bounds.jensen_shannon(f) == pytest.approx(2.0, abs=0.12)
    assert bounds.infonce(f) == pytest.approx(2.0, abs=0.12)


def test_without_the_one_the_js_value_is_low_by_a_reciprocal_of_e():
    f = optimal(1500, 0.8, 1)
    gap = bounds.jensen_shannon(f) - bounds.nwj(f)
    assert gap == pytest.approx(math.exp(-1), abs=0.04)


def test_infonce_cannot_pass_log_batch_at_ten_nats():
    rho = math.sqrt(-math.expm1(-1.0))  # d = 20: 10 nats
    values = [bounds.infonce(optimal(64, rho, 20, seed)) for seed in range(20)]
    assert max(values) < math.log(64)
    assert np.mean(values) == pytest.approx(4.143, abs=0.02)


def test_a_small_clip_overestimates_and_none_is_dv():
    rho = math.sqrt(-math.expm1(-0.2))  # d = 20: 2 nats
    f = optimal(800, rho, 20)
    assert bounds.smile(f, 1.0) == pytest.approx(2.45, abs=0.15)
    assert bounds.smile(f, 1e6) == bounds.donsker_varadhan(f)


def test_nwj_never_exceeds_dv_of_the_same_scores():
    for seed in range(20):
        f = np.random.default_rng(seed).standard_normal((12, 12)) * 4
        assert bounds.nwj(f) <= bounds.donsker_varadhan(f) + 1e-12


def test_huge_scores_stay_finite_where_the_bound_is():
    f = np.eye(5) * 2000.0
    assert bounds.donsker_varadhan(f) == 2000.0
    assert bounds.infonce(f) == pytest.approx(math.log(5))


@pytest.mark.parametrize("name", ["mi.infonce", "mi.smile"])
def test_labels_and_a_joint_critic(name):
    y = np.arange(600) % 3
    t = np.random.default_rng(0).standard_normal((600, 4)) * 0.2 + np.eye(4)[y]
    result = get(name)(y, t, steps=150, critic="joint", batch=64, hidden=32)
    assert result.value == pytest.approx(math.log(3), abs=0.25)
    assert result.ceiling == pytest.approx(math.log(3), abs=1e-12)


def test_infonce_ceiling_is_log_of_the_batch_that_was_used():
    x, t = truth.gaussian(0.999, 5).sample(800, seed=0)
    result = get("mi.infonce")(x, t, steps=150, batch=16)
    assert result.ceiling == pytest.approx(math.log(result.info["batch_used"]), abs=1e-12)
    assert result.value <= result.ceiling


def test_private_seeds_and_untouched_torch_state():
    x, t = truth.gaussian(0.75).sample(200, seed=0)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    first = get("mi.nwj")(x, t, steps=40, rng=3)
    with torch.no_grad():
        again = get("mi.nwj")(x, t, steps=40, rng=3)
    assert first.value == again.value
    assert first.value != get("mi.nwj")(x, t, steps=40, rng=4).value
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


FORMULAS = {"mine": "dv", "nwj": "nwj", "js": "js", "infonce": "nce", "smile": "smile",
            "tuba": "tuba"}  # fmt: skip


@pytest.mark.parametrize("kind", ["separable", "joint"])
@pytest.mark.parametrize("name", FORMULAS)
def test_the_value_is_the_bound_of_a_known_critic_on_held_out_pairs(name, kind):
    """A critic of given weights that a rate of 1e-30 leaves as it is, scored here by numpy."""
    x, t = truth.gaussian(0.8, 2).sample(240, seed=0)
    given = neural.warm(2, 2, kind=kind, hidden=8, embed=4, seed=5)
    given.networks[-1][-1][0].data.mul_(100.0)  # far from "independent"
    own = {"smile": {"clip": 1.5}, "tuba": {"alpha": 0.3}}.get(name, {})
    small = {"steps": 3, "batch": 30, "rate": 1e-30, "critic": kind, "hidden": 8, "embed": 4}
    found = get(f"mi.{name}")(x, t, start=given, **small, **own)

    def layers(network, inputs):
        weights = [(w.detach().double().numpy(), b.detach().double().numpy()) for w, b in network]
        for weight, bias in weights[:-1]:
            inputs = np.maximum(inputs @ weight + bias, 0.0)
        return inputs @ weights[-1][0] + weights[-1][1]

    left, right = ((side - side.mean(axis=0)) / side.std(axis=0) for side in (x, t))
    held = np.random.default_rng(5).permutation(240)[180:]  # the split is the critic's own
    values = []
    for rows in np.split(held, 2):
        v, u = left[rows], right[rows]
        if kind == "separable":
            f = layers(given.networks[0], v) @ layers(given.networks[1], u).T / 2.0  # √embed
        else:
            pairs = np.hstack([np.repeat(v, 30, axis=0), np.tile(u, (30, 1))])
            f = layers(given.networks[0], pairs).reshape(30, 30)
        values.append(loops(f, 1.5)[FORMULAS[name]])
    assert np.ptp(f) > 1.0
    assert found.value == pytest.approx(np.mean(values), rel=2e-5, abs=2e-5)  # scores in float32
    assert found.info["held_out"] == 60
    assert found.info["batch_used"] == 30


def test_a_warm_start_needs_fewer_steps():
    x, t = truth.gaussian(0.9, 2).sample(1000, seed=0)
    model = neural.warm(2, 2)
    get("mi.infonce")(x, t, steps=300, start=model)
    warm = get("mi.infonce")(x, t, steps=10, start=model).value
    assert warm > get("mi.infonce")(x, t, steps=10).value + 0.2


def test_a_critic_of_another_step_is_trained_once_and_kept():
    x, t = truth.gaussian(0.9, 2).sample(200, seed=0)
    shelf, read = {}, []

    def keeper(name, make):
        if name not in shelf:
            shelf[name] = make()
        return shelf[name]

    origin = Origin("step 5", lambda: read.append(1) or (x, t))

    def warmed(layer, **more):
        memo = Shared(layer, keeper=keeper)
        return get("mi.infonce")(x, layer, start=origin, start_step=5, shared=memo, **more)

    first = warmed(2 * t, steps=5)
    assert first.info["warm"]
    assert first.params["start_step"] == 5
    assert warmed(2 * t, steps=5).value == first.value
    dead = np.column_stack([2 * t, np.zeros(200)])  # what is dead does not matter
    assert warmed(dead, steps=5).value == first.value
    assert len(read) == len(shelf) == 1
    warmed(t, steps=6)
    assert len(read) == len(shelf) == 2  # one for each setting
    assert not warmed(t[:, :1], steps=5).info["warm"]


def test_what_is_kept_is_what_the_training_goes_on_from():
    x, t = truth.gaussian(0.9, 2).sample(1000, seed=0)
    model = neural.warm(2, 2)
    get("mi.infonce")(x, t, steps=300, start=model)
    memo = Shared(t, keeper=lambda name, make: model.arrays())
    origin = Origin("step 5", lambda: (x, t))
    warm = get("mi.infonce")(x, t, start=origin, start_step=5, shared=memo, steps=1)
    assert warm.value > get("mi.infonce")(x, t, steps=1).value + 0.5


def test_a_start_that_has_nothing_to_teach_or_is_not_there():
    x, t = truth.gaussian(0.9).sample(100, seed=0)
    flat = Origin("step 0", lambda: (x, np.ones((100, 3))))
    assert not get("mi.js")(x, t, start=flat, start_step=0, steps=2).info["warm"]
    with pytest.raises(InputError, match="names a step of a run"):
        get("mi.js")(x, t, start_step=0)


def test_a_warm_critic_is_never_scored_on_pairs_that_it_has_learnt(monkeypatch):
    x, t = truth.gaussian(0.9).sample(100, seed=0)
    scored, real = [], neural_critics._blocks
    monkeypatch.setattr(
        neural_critics, "_blocks", lambda *a: scored.append(frozenset(a[3])) or real(*a)
    )
    model = neural.warm(1, 1)
    for step in range(3):
        get("mi.smile")(x, t, steps=1, start=model, rng=step)
    assert len(set(scored[2::3])) == 1  # scored each time: check, check, test
    get("mi.smile")(x, t, steps=1, rng=3)
    assert scored[-1] != scored[2]


def test_degenerate_and_early_stop(monkeypatch):
    x, t = truth.gaussian(0.75).sample(200, seed=0)
    assert get("mi.js")(x, np.ones((200, 2))).status is Status.DEGENERATE
    assert get("mi.js")(np.zeros(200, int), t).flags == ("single_class",)
    monkeypatch.setattr(neural_critics, "PATIENCE", 2)
    noise = np.random.default_rng(0).standard_normal((60, 40))
    stopped = get("mi.nwj")(noise, noise[::-1], steps=500, batch=16)
    assert stopped.info["steps_done"] < 500
