"""A plain training loop: a recipe in, progress out, nothing known of capture or storage.

``Training(Recipe())`` builds the data, the network and the optimiser; iterating over
``training.epochs(after_step)`` trains. The defaults are the network of Shwartz-Ziv and Tishby.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from infoplane.errors import InputError
from infoplane.tasks.blobs import blobs
from infoplane.tasks.bottleneck import (
    LearnedNoise,
    cs_information,
    kernel_information,
    variational_information,
)
from infoplane.tasks.digits import digits
from infoplane.tasks.idx import idx
from infoplane.tasks.szt import split, szt

ACTIVATIONS: Mapping[str, type[nn.Module]] = {
    "tanh": nn.Tanh, "relu": nn.ReLU, "elu": nn.ELU, "softplus": nn.Softplus, "swish": nn.SiLU,
    "softsign": nn.Softsign, "linear": nn.Identity,
}  # fmt: skip
TASKS = ("szt", "digits", "blobs", "idx")
REGULARISERS = ("none", "l2", "dropout", "noise", "cs_ib", "vib", "nib")
OPTIMISERS = ("adam", "sgd", "momentum")
TINY = 1e-30  # keeps the logarithm of a saturated softmax finite

AfterStep = Callable[..., None]
"""Called after each update as ``after_step(step, loss=…, epoch=…)``; ``watcher.step`` fits."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides a training: same recipe, same weights, bit for bit on one machine.

    Attributes
    ----------
    task : {"szt", "digits", "blobs", "idx"}
    widths : tuple of int
        Hidden layers.
    activation : {"tanh", "relu", "elu", "softplus", "swish", "softsign", "linear"}
    regulariser : {"none", "l2", "dropout", "noise", "cs_ib", "vib", "nib"}
        Weight decay; dropout; Gaussian noise on the hidden layers; or a stand-in for I(X;T) of the
        last hidden layer as a penalty (:mod:`infoplane.tasks.bottleneck`): the normalised
        Cauchy-Schwarz information, or with learned noise on that layer the variational bound or the
        kernel bound on I(X;T+ε).
    strength : float
        λ of l2, β of cs_ib, vib and nib, the rate of dropout, the standard deviation of noise.
    optimiser : {"adam", "sgd", "momentum"}
    lr, batch, epochs, seed
        Of the optimiser and the loop.
    train_share : float
        Share of the samples that is trained on; the rest is the test part.
    options : mapping
        Of the task: ``{"corruption": 0.2}`` for blobs, ``{"images": …, "labels": …}`` for idx.
    """

    task: str = "szt"
    widths: tuple[int, ...] = (10, 7, 5, 4, 3)
    activation: str = "tanh"
    regulariser: str = "none"
    strength: float = 0.0
    optimiser: str = "adam"
    lr: float = 4e-4
    batch: int = 256
    epochs: int = 2500
    seed: int = 0
    train_share: float = 0.8
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(int(width) for width in self.widths))
        for name, known in (("task", TASKS), ("activation", tuple(ACTIVATIONS)),
                            ("regulariser", REGULARISERS), ("optimiser", OPTIMISERS)):  # fmt: skip
            if getattr(self, name) not in known:
                raise InputError(
                    f"`{name}` of a Recipe must be one of {', '.join(known)}; "
                    f"got {getattr(self, name)!r}."
                )
        checks = {
            "widths": 1 <= len(self.widths) <= 20 and all(1 <= w <= 4096 for w in self.widths),
            "strength": math.isfinite(self.strength) and self.strength >= 0,
            "lr": math.isfinite(self.lr) and self.lr > 0,
            "batch": self.batch >= 1,
            "epochs": self.epochs >= 1,
            "seed": self.seed >= 0,
            "train_share": 0 < self.train_share < 1,
        }
        for name, good in checks.items():
            if not good:
                raise InputError(
                    f"`{name}` of a Recipe is out of range: {getattr(self, name)!r}. Widths are "
                    "1 to 20 numbers in [1, 4096], strength ≥ 0, lr > 0, batch and epochs ≥ 1, "
                    "seed ≥ 0, train_share in (0, 1)."
                )
        if self.regulariser == "dropout" and self.strength >= 1:
            raise InputError(f"the rate of dropout must be below 1; got {self.strength!r}.")

    def config(self) -> dict[str, Any]:
        """Return the recipe as plain data for a run's config."""
        return {**asdict(self), "widths": list(self.widths), "options": dict(self.options)}


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the training stands after an epoch.

    ``loss`` is the mean over the epoch's mini-batches in nats; the accuracies are those last
    measured (they are measured at log-spaced steps, on the whole train and test part).
    """

    epoch: int
    step: int
    loss: float
    accuracy: float
    test_accuracy: float


class GaussianNoise(nn.Module):
    """Add N(0, σ²) noise during training, nothing in eval mode."""

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.sigma = sigma

    def forward(self, t: Tensor) -> Tensor:
        """Return T + ε."""
        return t + self.sigma * torch.randn_like(t) if self.training else t


def mlp(inputs: int, classes: int, recipe: Recipe) -> nn.Sequential:
    """Return the network: fc1, tanh1, fc2, …, softmax; its output are class probabilities.

    Weights are drawn from N(0, 1/fan_in) truncated at two standard deviations with a private
    generator seeded by the recipe; biases are zero.
    """
    generator = torch.Generator().manual_seed(recipe.seed)
    network = nn.Sequential()
    sizes = (inputs, *recipe.widths, classes)
    for number, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes), start=1):
        # skip_init: the usual constructor would draw from torch's global random state.
        linear: nn.Linear = nn.utils.skip_init(nn.Linear, fan_in, fan_out)  # type: ignore[no-untyped-call]
        sd = 1 / math.sqrt(fan_in)
        nn.init.trunc_normal_(linear.weight, 0.0, sd, -2 * sd, 2 * sd, generator=generator)
        nn.init.zeros_(linear.bias)
        network.add_module(f"fc{number}", linear)
        if number < len(sizes) - 1:
            network.add_module(f"{recipe.activation}{number}", ACTIVATIONS[recipe.activation]())
            if recipe.regulariser == "dropout":
                network.add_module(f"dropout{number}", nn.Dropout(recipe.strength))
            elif recipe.regulariser == "noise":
                network.add_module(f"noise{number}", GaussianNoise(recipe.strength))
            elif recipe.regulariser in ("vib", "nib") and number == len(recipe.widths):
                network.add_module(f"noise{number}", LearnedNoise(fan_out))
    network.add_module("softmax", nn.Softmax(dim=1))
    return network


def load_task(recipe: Recipe) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the samples x (n, d) and the labels y (n,) of the recipe's task."""
    options = dict(recipe.options)
    try:
        if recipe.task == "szt":
            x, y = szt(**options)
        elif recipe.task == "digits":
            x, y = digits(**options)
        elif recipe.task == "blobs":
            x, y = blobs(**options)
        else:
            x, y = idx(**options)
    except TypeError as error:
        raise InputError(f"`options` do not fit the task {recipe.task!r}: {error}.") from None
    return x.reshape(len(x), -1), y


class Training:
    """One training, ready to run.

    Attributes
    ----------
    recipe : Recipe
    model : torch.nn.Sequential
    x, y : ndarrays
        All samples.
    train_rows, test_rows : ndarrays of int
    layers : tuple of str
        Names of the hidden activations and of the softmax, in order: the layers of the plane.
    steps_per_epoch, total_steps : int
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.x, self.y = load_task(recipe)
        self.train_rows, self.test_rows = split(
            len(self.x), train=recipe.train_share, seed=recipe.seed
        )
        self.model = mlp(self.x.shape[1], int(self.y.max()) + 1, recipe)
        self.layers = tuple(
            name for name, _ in self.model.named_children()
            if name.startswith(recipe.activation) or name == "softmax"
        )  # fmt: skip
        self.steps_per_epoch = math.ceil(len(self.train_rows) / recipe.batch)
        self.total_steps = self.steps_per_epoch * recipe.epochs
        self._last_hidden = self.layers[-2]
        self._train = (torch.from_numpy(self.x[self.train_rows]),
                       torch.from_numpy(self.y[self.train_rows]))  # fmt: skip
        self._test = (torch.from_numpy(self.x[self.test_rows]),
                      torch.from_numpy(self.y[self.test_rows]))  # fmt: skip

    def epochs(self, after_step: AfterStep | None = None) -> Iterator[Progress]:
        """Train; yield a Progress after each epoch. torch's global random state is left as it was.

        ``after_step(step, …)`` is called before the first update with step 0 and after each update
        with its number. At about 400 log-spaced steps it is given ``epoch`` and ``loss`` (mean over
        the mini-batches since the last one), at about 80 of them ``accuracy`` and
        ``test_accuracy`` too.
        """
        optimiser = _optimiser(self.model, self.recipe)
        shuffling = torch.Generator().manual_seed(self.recipe.seed + 1)
        randomness = _OwnRandomState(self.recipe.seed + 2)
        log = _Log(self, after_step)
        log.begin()
        step = 0
        for epoch in range(1, self.recipe.epochs + 1):
            total = 0.0
            order = torch.randperm(len(self._train[1]), generator=shuffling)
            for rows in torch.split(order, self.recipe.batch):
                with randomness:
                    loss = self._update(optimiser, rows)
                total += loss * len(rows)
                step += 1
                log.add(step, loss)
            yield Progress(epoch, step, total / len(order), **log.scores)

    def _update(self, optimiser: torch.optim.Optimizer, rows: Tensor) -> float:
        x, y = self._train[0][rows], self._train[1][rows]
        optimiser.zero_grad(set_to_none=True)
        loss = self._loss(x, y)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        return loss.item()

    def _loss(self, x: Tensor, y: Tensor) -> Tensor:
        if self.recipe.regulariser not in ("cs_ib", "vib", "nib"):
            return cross_entropy(self.model(x), y)
        t = x
        for name, module in self.model.named_children():
            t = module(t)
            if name == self._last_hidden:
                hidden = t
        return cross_entropy(t, y) + self.recipe.strength * self._information(x, hidden)

    def _information(self, x: Tensor, hidden: Tensor) -> Tensor:
        """Return the bottleneck penalty of a batch."""
        if self.recipe.regulariser == "cs_ib":
            return cs_information(x, hidden)
        noise = self.model.get_submodule(f"noise{len(self.recipe.widths)}")
        bound = variational_information if self.recipe.regulariser == "vib" else kernel_information
        return bound(hidden, cast(LearnedNoise, noise).log_sigma)

    @torch.no_grad()
    def score(self) -> dict[str, float]:
        """Return ``accuracy`` and ``test_accuracy``: the share of samples classified right."""
        was_training = self.model.training
        self.model.eval()
        right = [(self.model(x).argmax(dim=1) == y).float() for x, y in (self._train, self._test)]
        self.model.train(was_training)
        return {"accuracy": float(right[0].mean()), "test_accuracy": float(right[1].mean())}

    @torch.no_grad()
    def loss(self) -> float:
        """Return the mean cross-entropy on the train part in nats, in eval mode."""
        was_training = self.model.training
        self.model.eval()
        loss = float(cross_entropy(self.model(self._train[0]), self._train[1]))
        self.model.train(was_training)
        return loss


class _Log:
    """Decides what of a training is told, and when: log-spaced, so that early steps count."""

    def __init__(self, training: Training, tell: AfterStep | None) -> None:
        self.training = training
        self.tell = tell or (lambda step, **scalars: None)
        self.told = _log_spaced_steps(training.total_steps, 400)
        self.scored = _log_spaced_steps(training.total_steps, 80)
        self.told |= self.scored
        self.scores: dict[str, float] = {}
        self._losses: list[float] = []

    def begin(self) -> None:
        self.scores = self.training.score()
        self.tell(0, epoch=0.0, loss=self.training.loss(), **self.scores)

    def add(self, step: int, loss: float) -> None:
        self._losses.append(loss)
        if step not in self.told:
            self.tell(step)
            return
        scalars = {"epoch": step / self.training.steps_per_epoch, "loss": fmean(self._losses)}
        self._losses.clear()
        if step in self.scored:
            self.scores = self.training.score()
            scalars |= self.scores
        self.tell(step, **scalars)


def cross_entropy(probabilities: Tensor, y: Tensor) -> Tensor:
    """Mean of −log p(y|x) in nats."""
    return -probabilities.gather(1, y[:, None]).clamp_min(TINY).log().mean()


def _optimiser(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    decay = recipe.strength if recipe.regulariser == "l2" else 0.0
    if recipe.optimiser == "adam":
        return torch.optim.Adam(model.parameters(), lr=recipe.lr, weight_decay=decay, fused=True)
    momentum = 0.9 if recipe.optimiser == "momentum" else 0.0
    return torch.optim.SGD(model.parameters(), lr=recipe.lr, momentum=momentum, weight_decay=decay)


def _log_spaced_steps(last: int, points: int) -> frozenset[int]:
    """Return at most ``points`` steps in 1 … last, evenly spaced on a log scale."""
    return frozenset(int(step) for step in np.geomspace(1, last, points).round())


class _OwnRandomState:
    """While entered, torch's global CPU random state is the training's own, for dropout."""

    def __init__(self, seed: int) -> None:
        self._inside = torch.Generator().manual_seed(seed).get_state()
        self._outside = self._inside

    def __enter__(self) -> None:
        self._outside = torch.get_rng_state()
        torch.set_rng_state(self._inside)

    def __exit__(self, *exc: object) -> None:
        self._inside = torch.get_rng_state()
        torch.set_rng_state(self._outside)
