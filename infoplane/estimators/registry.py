"""The catalogue: one card per estimator, and the decorator that files it.

The decorator registers the card and returns the function unchanged. The card drives validation,
widget bounds, axis labels, the catalogue page, cost tiers and the conformance tests.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import numpy as np

from infoplane.errors import InputError, UnknownEstimatorError
from infoplane.types import Cost, Estimate, Quantity

Estimator = Callable[..., Estimate]
F = TypeVar("F", bound=Callable[..., Estimate])

# Keyword arguments that are data, not settings: the generator, the memo, and the arrays that some
# diagnostics need beside T (the card's ``needs`` says which). They are no parameters of the card.
DATA = frozenset(
    (
        "rng",
        "shared",
        "reference",
        "start",
        "given",
        "weight",
        "bias",
        "logits",
        "output",
        "previous",
        "gradient",
        "function_values",
        "deviation",
    )
)

# Truths of few symbols that lie far apart, and their tolerance at n = 2000: what any estimator of
# I(V;T) about a discrete V must read there, however it looks at T.
CHANNELS: Mapping[str, float] = {
    "binary_symmetric": 0.065,
    "z_channel": 0.05,
    "erasure": 0.035,
    "xor": 0.003,
    "and": 0.05,
    "copy": 0.004,
    "simplex": 1e-9,
}

# One module per family. They are imported on the first look at the catalogue, none imports torch
# before it is called.
FAMILIES: tuple[str, ...] = (
    "binning",
    "kde",
    "stochastic",
    "cauchy_schwarz",
    "diffusion",
    "diffusion_information",
    "renyi",
    "dime",
    "diversity",
    "rank",
    "dimension",
    "collapse",
    "classifier",
    "rate",
    "sparsity",
    "attention",
    "layer_entropy",
    "description",
    "fisher",
    "merging",
    "knn",
    "kl",
    "gaussian",
    "softmax",
    "compressed",
    "neural",
    "interaction",
    "factorised",
    "decomposition",
    "codes",
    "scalar",
    "spacing",
    "wasserstein",
    "sphere",
    "lagged",
    "probing",
    "score",
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Closed interval of a numeric parameter, written as ``Annotated[int, Bounds(1, 100)]``.

    ``open_low`` excludes the lower end (a bandwidth must be > 0).
    """

    low: float
    high: float
    open_low: bool = False

    def __contains__(self, number: float) -> bool:
        above = number > self.low if self.open_low else number >= self.low
        return above and number <= self.high

    def __str__(self) -> str:
        return f"{'(' if self.open_low else '['}{self.low:g}, {self.high:g}]"


@dataclass(frozen=True, slots=True)
class Param:
    """One keyword parameter of an estimator as the card knows it.

    ``types`` are the plain types it may have, ``choices`` the literal values, ``optional`` says
    whether None is allowed.
    """

    name: str
    default: Any
    types: tuple[type, ...]
    bounds: Bounds | None
    choices: tuple[Any, ...]
    optional: bool

    def check(self, estimator: str, value: Any) -> None:
        """Raise InputError unless ``value`` is allowed."""
        if value is None and self.optional:
            return
        if any(
            value is choice or (type(value) is type(choice) and value == choice)
            for choice in self.choices
        ):
            return
        if self._fits(value):
            return
        raise InputError(
            f"`{self.name}` of `{estimator}` must be {self.describe()}; got {value!r}."
        )

    def _fits(self, value: Any) -> bool:
        if not self.types:
            return not self.choices
        number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(
            value, (bool, np.bool_)
        )
        for kind in self.types:
            if kind is bool and isinstance(value, (bool, np.bool_)):
                return True
            if kind is float and number:
                return bool(np.isfinite(value)) and (
                    self.bounds is None or float(value) in self.bounds
                )
            if kind is int and number and isinstance(value, (int, np.integer)):
                return self.bounds is None or float(value) in self.bounds
            if kind is tuple and isinstance(value, list):  # what JSON makes of a tuple
                return True
            if kind not in (bool, int, float) and isinstance(value, kind):
                return True
        return False

    def describe(self) -> str:
        """Say in words what the parameter may be."""
        words = []
        for kind in self.types:
            word = {"int": "an int", "float": "a number", "bool": "True or False"}.get(
                kind.__name__, f"a {kind.__name__}"
            )
            words.append(
                word + (f" in {self.bounds}" if self.bounds and kind in (int, float) else "")
            )
        words += [repr(choice) for choice in self.choices]
        if self.optional:
            words.append("None")
        return " or ".join(words) if words else "anything"


@dataclass(frozen=True, slots=True)
class Card:
    """What an estimator says of itself.

    Attributes
    ----------
    id, label : str
        ``"mi.ksg"`` and ``"KSG"``.
    quantity : Quantity
        What it estimates.
    measures : str
        What the number really is, for a deterministic network too: the axis says this.
    formula : str
        The formula in plain text.
    accepts : tuple of (Kind, Kind) pairs, or of Kind for one-variable quantities
        Which kinds of variable it takes: first the variable asked about, then T.
    cost : Cost
        Tier.
    complexity : str
        Growth in n and d (``"n log n"``).
    min_samples, max_dim : int, int or None
        Fewer samples are refused; above ``max_dim`` joint dimensions the result is flagged.
    ceiling : str
        The bound it cannot pass, in words (``"log n"``); empty when there is none.
    unit : str
        "nat" or "1" (a plain number).
    invariant : tuple of str
        Laws it obeys, checked by the conformance tests: "row order", "swap", "label names",
        "rotation", "scaling", "duplicated unit", "constant unit".
    deterministic : bool
        Same input, same bytes, whatever ``rng``.
    assumes, limits : tuple of str
        For the catalogue page and the limits page.
    reference : str
        Where it comes from.
    tolerance : mapping
        Stated accuracy per named truth: ``{"gaussian": 0.05}`` nats at n = 2000 unless said.
    bound : str
        "lower", "upper", "exact" or "neither": of what ``measures`` says.
    meaningful_null : tuple of str
        Targets for which shuffling the pairing tells something: ("Y",) or ("X", "Y").
    needs : str
        "representation", "logits", "attention", "weights", "labels", "layers" (several at once);
        "classifier" and "gradient" come as further arrays beside T and are in no run;
        "codes" (symbols, or logits of k-way codes), "stochastic" (means and deviations side by
        side) and "views" (two embeddings of the same samples) are a T of a special make.
    null : callable or None
        Fast null: ``null(v, t, *, draws, rng, **params) -> ndarray (draws,)``. None: the generic
        loop over shuffled pairings.
    version : int
        Raised whenever the numbers change.
    """

    id: str
    label: str
    quantity: Quantity
    measures: str
    formula: str
    accepts: tuple[Any, ...]
    cost: Cost
    complexity: str
    min_samples: int
    reference: str
    max_dim: int | None = None
    ceiling: str = ""
    unit: str = "nat"
    invariant: tuple[str, ...] = ("row order",)
    deterministic: bool = True
    assumes: tuple[str, ...] = ("rows i.i.d.",)
    limits: tuple[str, ...] = ()
    tolerance: Mapping[str, float] = field(default_factory=dict)
    bound: str = "neither"
    meaningful_null: tuple[str, ...] = ("Y",)
    needs: str = "representation"
    null: Callable[..., Any] | None = None
    version: int = 1
    function: Estimator | None = None
    params: Mapping[str, Param] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """First line of the function's docstring."""
        return inspect.getdoc(self.function or type(self)).partition("\n")[0]  # type: ignore[union-attr]


_cards: dict[str, Card] = {}


def estimator(**card: Any) -> Callable[[F], F]:
    """Register the decorated function under the card given; return the function unchanged.

    Keywords are those of :class:`Card` without ``function`` and ``params``, which are read off the
    function: each keyword-only parameter not in :data:`DATA` is one, with its annotation
    ``Annotated[int, Bounds(1, 100)]``, ``Literal["upper", "lower"]``, ``float | None`` …
    """

    def register(function: F) -> F:
        name = card["id"]
        if name in _cards and _cards[name].function is not function:
            known = _cards[name].function
            if known is None or known.__qualname__ != function.__qualname__:
                raise InputError(f"the estimator id {name!r} is taken twice")
        _cards[name] = Card(**card, function=function, params=_read_params(function))
        return function

    return register


def _read_params(function: Callable[..., Any]) -> dict[str, Param]:
    hints = typing.get_type_hints(function, include_extras=True)
    return {
        name: _param(name, parameter.default, hints.get(name, Any))
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and name not in DATA
    }


def _param(name: str, default: Any, hint: Any) -> Param:
    types: list[type] = []
    choices: list[Any] = []
    bounds: Bounds | None = None
    optional = False

    def read(part: Any) -> None:
        nonlocal bounds, optional
        origin = get_origin(part)
        if part is None or part is type(None):
            optional = True
        elif origin is typing.Annotated:
            inner, *extras = get_args(part)
            for extra in extras:
                bounds = extra if isinstance(extra, Bounds) else bounds
            read(inner)
        elif origin is Literal:
            choices.extend(get_args(part))
        elif origin is Union or isinstance(part, UnionType):
            for piece in get_args(part):
                read(piece)
        elif isinstance(part, type):
            types.append(part)
        elif isinstance(origin, type):
            types.append(origin)

    read(hint)
    return Param(name, default, tuple(types), bounds, tuple(choices), optional)


def _load() -> None:
    for family in FAMILIES:
        importlib.import_module(f"infoplane.estimators.{family}")


def catalogue() -> list[Card]:
    """Every card, in the order of the families."""
    _load()
    return list(_cards.values())


def card(name: str) -> Card:
    """Return the card with that id, or raise UnknownEstimatorError naming the closest ids."""
    if name not in _cards:
        _load()
    if name not in _cards:
        close = difflib.get_close_matches(str(name), _cards, n=3)
        hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise UnknownEstimatorError(
            f"no estimator is called {name!r}.{hint} `infoplane catalogue` lists all of them."
        )
    return _cards[name]


def get(name: str) -> Estimator:
    """Return the function with that id: ``get("mi.ksg")(x, t, k=5)``."""
    function = card(name).function
    assert function is not None
    return function


def check_params(name: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Check parameters against the card and return them completed with the defaults.

    Raises
    ------
    InputError
        For an unknown name or a value outside its bounds.
    """
    known = card(name).params
    for key, value in params.items():
        if key not in known:
            raise InputError(
                f"`{name}` has no parameter `{key}`; it has {', '.join(known) or 'none'}."
            )
        known[key].check(name, value)
    return {key: _own(params.get(key, param.default)) for key, param in known.items()}


def _own(value: Any) -> Any:
    """Make tuples of lists and plain numbers of numpy scalars, so that params compare alike."""
    if isinstance(value, list):
        return tuple(_own(item) for item in value)
    return value.item() if isinstance(value, np.generic) else value
