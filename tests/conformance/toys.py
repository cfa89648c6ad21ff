"""Small data for every card of the catalogue, chosen by what the card accepts and needs.

A new card is picked up by itself. One that needs something unheard of, or is slow at its defaults,
gets an entry in NEEDS or SETTINGS here.
"""

import dataclasses
import inspect

import numpy as np

from infoplane.estimators import catalogue
from infoplane.types import Kind

N, D = 60, 4

BOUNDS = ("mine", "nwj", "js", "infonce", "smile", "tuba")

# Parameters with which a card is called throughout, so that a slow one stays quick.
SETTINGS: dict[str, dict] = {
    **{f"mi.{name}": {"steps": 2, "hidden": 8, "embed": 4} for name in BOUNDS},
    "mi.minde": {"steps": 2, "repeats": 1},
    "interaction.score": {"steps": 2, "repeats": 1},
}

REPRESENTATION = (
    "representation",
    "labels",
    "logits",
    "classifier",
    "gradient",
    "codes",
    "stochastic",
)
"""Needs whose main array is a plain (n, d): all hostile inputs apply to them."""


@dataclasses.dataclass(frozen=True)
class Toy:
    """Arguments of one call: ``args[subject]`` is T, ``args[labels]`` is a discrete Y or V."""

    card: object
    args: tuple
    subject: int
    labels: int | None
    kwargs: dict

    def __call__(self, *, rng=0, **more):
        return self.card.function(*self.args, **{**self.kwargs, **more}, rng=rng)

    def replace(self, index, array):
        args = tuple(array if i == index else a for i, a in enumerate(self.args))
        return dataclasses.replace(self, args=args)

    def rows(self, order):
        """Permute the samples of everything."""
        return dataclasses.replace(self, args=tuple(a[order] for a in self.args))

    @property
    def t(self):
        return self.args[self.subject]

    @property
    def plain(self):
        return self.card.needs in REPRESENTATION


def layer(y, seed=0, d=D):
    """A tanh-like layer (n, d) in which the class shows and every unit is alive."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(int(y.max()) + 1, d))
    return np.tanh(0.7 * centres[y] + 0.5 * rng.normal(size=(len(y), d)))


def labels(seed=1, n=N, classes=3):
    return np.random.default_rng(seed).permutation(np.arange(n) % classes)


def logits(y, seed=0):
    rng = np.random.default_rng(seed)
    return 2.0 * np.eye(int(y.max()) + 1)[y] + rng.normal(size=(len(y), int(y.max()) + 1))


def attention(y, seed=0, heads=2, length=5):
    raw = np.exp(np.random.default_rng(seed).normal(size=(len(y), heads, length, length)))
    return raw / raw.sum(axis=-1, keepdims=True)


def weights(y, seed=0):
    return np.random.default_rng(seed).normal(size=(len(y), D))


MAIN = {
    "representation": layer,
    "labels": layer,
    "logits": logits,
    "attention": attention,
    "weights": weights,
    "classifier": layer,
    "gradient": layer,
    "layers": layer,
}


EXTRA = {
    "classifier": {"weight": np.random.default_rng(9).normal(size=(3, D))},
    "gradient": {
        "gradient": np.random.default_rng(8).normal(size=(N, D)),
        "function_values": np.linspace(0.5, 2.0, N),
    },
}
"""Keyword arguments that are data, by what a card needs."""


def continuous(y, seed=5):
    """A continuous V (n, 2) that has to do with the layer."""
    return layer(y, d=2) + 0.3 * np.random.default_rng(seed).normal(size=(len(y), 2))


def side_by_side(entry):
    """Means and standard deviations of a stochastic layer."""
    y = labels()
    return [Toy(entry, (y, np.hstack([layer(y, d=2), 0.1 + layer(y, 1, d=2) ** 2])), 1, 0, {})]


def few(entry):
    """Two layers and labels of few samples: integers make large tables."""
    y = labels()
    return [Toy(entry, (layer(y), y), 0, 1, {"levels": 2}).rows(slice(24))]


def predictions(entry):
    """Inputs, targets and predictions."""
    y = labels()
    target = continuous(y)
    return [Toy(entry, (layer(y), target, target + 0.3 * continuous(y, 6)), 0, None, {})]


def scalars(entry):
    """One unit against labels, and against another unit."""
    y = labels()
    unit = layer(y, d=1)
    return [Toy(entry, (y, unit), 1, 0, {}), Toy(entry, (continuous(y)[:, :1], unit), 1, None, {})]


SPECIAL = {
    "mi.birge_rozenholc": scalars,
    "mi.fft_kde": scalars,
    "mi.reconstruction": lambda entry: [
        Toy(entry, (layer(labels(), 1), layer(labels())), 1, None, {})
    ],
    "mi.codes": lambda entry: [Toy(entry, (labels(), layer(labels())), 1, 0, {})],
    "mi.stochastic": side_by_side,
    "interaction.pid": few,
    "divergence.cauchy_schwarz_conditional": predictions,
}
"""Cards that take more than (v, t), (t,) or (t, y), or a T of a special make."""


def toys(entry):
    """Every way in which the card may be called: one toy for each kind of first variable."""
    if entry.id in SPECIAL:
        return SPECIAL[entry.id](entry)
    names = [
        p.name
        for p in inspect.signature(entry.function).parameters.values()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    y = labels()
    kwargs = SETTINGS.get(entry.id, {}) | EXTRA.get(entry.needs, {})
    assert entry.needs in MAIN, f"teach tests/conformance/toys.py what {entry.needs!r} is"
    main = MAIN[entry.needs](y)
    if len(names) == 1:
        return [Toy(entry, (main,), 0, None, kwargs)]
    assert len(names) == 2, f"teach tests/conformance/toys.py to call {entry.id}{tuple(names)}"
    if names[0] != "v":  # class-aware: f(t, y)
        return [Toy(entry, (main, y), 0, 1, kwargs)]
    made = []
    for first, second in entry.accepts:
        if second is Kind.DISCRETE:
            continue  # the hostile dtypes cover a discrete T
        made.append(
            Toy(entry, (y, main), 1, 0, kwargs)
            if first is Kind.DISCRETE
            else Toy(entry, (continuous(y), main), 1, None, kwargs)
        )
    return made


def strangers():
    """What nobody has taught this file to call yet, by id of the card."""
    unknown = {}
    for entry in catalogue():
        try:
            toys(entry)
        except AssertionError as lesson:
            unknown[entry.id] = str(lesson)
    return unknown


def every_toy():
    """(id of the case, toy) of every card."""
    unknown = strangers()
    for entry in catalogue():
        for toy in toys(entry) if entry.id not in unknown else ():
            kind = "" if toy.labels is not None or len(toy.args) == 1 else ":continuous"
            yield entry.id + kind, toy
