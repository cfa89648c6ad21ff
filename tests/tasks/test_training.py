import numpy as np
import pytest
import torch

from infoplane.errors import InputError
from infoplane.tasks.bottleneck import (
    LearnedNoise,
    cs_information,
    kernel_information,
    variational_information,
)
from infoplane.tasks.training import ACTIVATIONS, REGULARISERS, Recipe, Training, cross_entropy


def weights(training):
    return torch.cat([p.detach().flatten() for p in training.model.parameters()])


def run(**recipe):
    training = Training(Recipe(**recipe))
    return training, list(training.epochs())


def test_default_recipe_is_the_published_network():
    training = Training(Recipe())
    shapes = [tuple(p.shape) for p in training.model.parameters() if p.ndim == 2]
    assert shapes == [(10, 12), (7, 10), (5, 7), (4, 5), (3, 4), (2, 3)]
    assert training.layers == ("tanh1", "tanh2", "tanh3", "tanh4", "tanh5", "softmax")
    assert training.steps_per_epoch == 13


def test_learns_the_12_bit_task():
    _, progress = run(epochs=60, lr=4e-3)
    assert progress[-1].step == 60 * 13
    assert progress[-1].loss < progress[0].loss - 0.2
    assert progress[-1].test_accuracy > 0.85


def test_same_recipe_same_weights_and_global_state_untouched():
    torch.manual_seed(11)
    before = torch.get_rng_state()
    first, _ = run(epochs=3, regulariser="dropout", strength=0.2)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(12)  # the outside state must not matter
    second, _ = run(epochs=3, regulariser="dropout", strength=0.2)
    third, _ = run(epochs=3, regulariser="dropout", strength=0.2, seed=1)
    assert torch.equal(weights(first), weights(second))
    assert not torch.equal(weights(first), weights(third))


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_every_activation_trains(activation):
    training, progress = run(epochs=2, activation=activation, task="blobs")
    assert np.isfinite(progress[-1].loss)
    assert len(training.layers) == 6


@pytest.mark.parametrize("regulariser", REGULARISERS)
def test_every_regulariser_changes_the_weights(regulariser):
    strength = {"none": 0.0, "l2": 0.1, "cs_ib": 1.0}.get(regulariser, 0.5)
    plain, _ = run(epochs=2)
    regularised, progress = run(epochs=2, regulariser=regulariser, strength=strength)
    assert np.isfinite(progress[-1].loss)
    first = [training.model.fc1.weight for training in (plain, regularised)]
    assert torch.equal(*first) == (regulariser == "none")


@pytest.mark.parametrize("optimiser", ["adam", "sgd", "momentum"])
def test_every_optimiser_moves(optimiser):
    training = Training(Recipe(epochs=1, optimiser=optimiser))
    before = weights(training).clone()
    list(training.epochs())
    assert not torch.equal(weights(training), before)


def test_after_step_is_called_before_the_first_and_after_each_update():
    calls = []
    training = Training(Recipe(epochs=100))
    progress = list(training.epochs(lambda step, **scalars: calls.append((step, scalars))))
    assert [step for step, _ in calls] == list(range(1301))
    assert set(calls[0][1]) == {"epoch", "loss", "accuracy", "test_accuracy"}
    assert calls[0][1]["loss"] == pytest.approx(np.log(2), abs=0.3)
    assert calls[1][1]["epoch"] == pytest.approx(1 / 13)
    assert calls[1200][1] == {}
    assert calls[-1][1]["accuracy"] == progress[-1].accuracy == training.score()["accuracy"]


def test_told_losses_are_the_means_of_all_mini_batches():
    calls = []
    training = Training(Recipe(epochs=100))
    progress = list(training.epochs(lambda step, **scalars: calls.append((step, scalars))))
    told = [(step, scalars["loss"]) for step, scalars in calls[1:] if scalars]
    steps = np.diff([0, *[step for step, _ in told]])
    mean_told = (steps * [loss for _, loss in told]).sum() / steps.sum()
    assert mean_told == pytest.approx(np.mean([p.loss for p in progress]), rel=2e-3)


def test_cross_entropy_is_finite_when_the_softmax_saturates():
    assert torch.isfinite(cross_entropy(torch.tensor([[1.0, 0.0]]), torch.tensor([1])))


def test_cs_information_matches_the_sums_of_its_definition():
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(9, 3)), rng.normal(size=(9, 2))

    def gram(a):
        return np.array([[np.exp(-((u - v) ** 2).sum() / 2) for v in a] for u in a])

    def qmi(k, q):
        n = len(k)
        joint = sum(k[i, j] * q[i, j] for i in range(n) for j in range(n)) / n**2
        cross = sum(k[i, j] * q[i, m] for i in range(n) for j in range(n) for m in range(n)) / n**3
        return np.log(joint) + np.log(k.sum() * q.sum() / n**4) - 2 * np.log(cross)

    k, q = gram(x), gram(t)
    expected = qmi(k, q) / np.sqrt(qmi(k, k) * qmi(q, q))
    got = cs_information(torch.from_numpy(x), torch.from_numpy(t)).item()
    assert got == pytest.approx(expected, abs=1e-12)


def test_the_bottleneck_penalties_match_the_sums_of_their_definitions():
    rng = np.random.default_rng(0)
    t, log_sigma = rng.normal(size=(7, 3)), rng.normal(size=3)
    sigma = np.exp(log_sigma)
    divergences = [  # of N(m, s²) from N(0, 1), unit by unit
        sum(np.log(1 / s) + (s**2 + m**2) / 2 - 0.5 for m, s in zip(row, sigma, strict=True))
        for row in t
    ]
    mixture = [np.log(np.mean([np.exp(-(((u - v) / sigma) ** 2).sum() / 2) for v in t])) for u in t]
    given = torch.from_numpy(t), torch.from_numpy(log_sigma)
    assert variational_information(*given).item() == pytest.approx(np.mean(divergences), abs=1e-12)
    assert kernel_information(*given).item() == pytest.approx(-np.mean(mixture), abs=1e-12)


def test_the_kernel_penalty_bounds_the_information_that_noise_leaves():
    """Two points far apart tell one bit about which it was, two in one place tell nothing."""
    far, near = torch.tensor([[0.0], [1e3]]), torch.zeros(2, 1)
    assert kernel_information(far, torch.zeros(1)).item() == pytest.approx(np.log(2), abs=1e-6)
    assert kernel_information(near, torch.zeros(1)).item() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("regulariser", ["vib", "nib"])
def test_a_bottleneck_is_what_the_training_minimises(regulariser):
    training = Training(Recipe(regulariser=regulariser, strength=0.5, widths=(6, 3)))
    x, y = torch.from_numpy(training.x[:64]), torch.from_numpy(training.y[:64])
    bound = {"vib": variational_information, "nib": kernel_information}[regulariser]
    training.model.eval()  # without the noise
    hidden = training.model[:4](x)
    expected = cross_entropy(training.model(x), y) + 0.5 * bound(
        hidden, training.model[4].log_sigma
    )
    assert isinstance(training.model[4], LearnedNoise)
    assert training._loss(x, y).item() == pytest.approx(expected.item(), rel=1e-6)
    assert training.layers == ("tanh1", "tanh2", "softmax")  # the noise is no layer of the plane


def test_learned_noise_is_there_in_training_only():
    torch.manual_seed(0)
    noise = LearnedNoise(2, sigma=0.1)
    t = torch.zeros(4000, 2)
    assert noise(t).std().item() == pytest.approx(0.1, rel=0.1)
    assert torch.equal(noise.eval()(t), t)


@pytest.mark.parametrize(
    "bad",
    [
        {"task": "cifar"}, {"activation": "gelu"}, {"widths": ()}, {"widths": (0,)},
        {"widths": (10**6,)}, {"lr": 0.0}, {"lr": float("nan")}, {"batch": 0}, {"epochs": 0},
        {"seed": -1}, {"strength": -1.0}, {"train_share": 1.0},
        {"regulariser": "dropout", "strength": 1.0},
    ],
)  # fmt: skip
def test_bad_recipes_are_refused_by_name(bad):
    with pytest.raises(InputError):
        Recipe(**bad)


def test_options_that_do_not_fit_the_task():
    with pytest.raises(InputError, match="do not fit the task 'szt'"):
        Training(Recipe(options={"corruption": 1}))
