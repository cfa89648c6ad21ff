"""Every card of the catalogue keeps the same promises; a new card is held to them by itself."""

import inspect
import json
import math
import random

import numpy as np
import pytest
import torch
from conformance.hostile import FEWER, FLAT, HOSTILE, LABELS
from conformance.toys import every_toy, strangers

from infoplane.errors import InfoplaneError, InputError, NonFiniteError, TooFewSamplesError
from infoplane.estimators import Shared, card, catalogue
from infoplane.estimators.nulls import null_distribution
from infoplane.types import Cost, Estimate, Kind, Quantity, Status

CARDS = [pytest.param(entry, id=entry.id) for entry in catalogue()]
TOYS = [pytest.param(toy, id=name) for name, toy in every_toy()]
CLOSE = {"abs": 1e-9, "rel": 1e-9}


def finite(item):
    """No bare NaN or infinity anywhere in what comes back."""
    if isinstance(item, dict):
        return all(finite(value) for value in item.values())
    if isinstance(item, (list, tuple)):
        return all(finite(value) for value in item)
    if isinstance(item, (float, np.floating)):
        return math.isfinite(item)
    if isinstance(item, np.ndarray) and item.dtype.kind == "f":
        return bool(np.isfinite(item).all())
    return True


def complaints(toy, estimate):
    """What is wrong with an Estimate, in words."""
    if not isinstance(estimate, Estimate):
        return [f"{type(estimate).__name__} instead of an Estimate"]
    wrong = []
    if not finite(dict(estimate.info)) or not finite(dict(estimate.params)):
        wrong.append(f"not finite: {estimate.info}")
    if estimate.params.keys() != toy.card.params.keys():
        wrong.append(f"params {sorted(estimate.params)} are not {sorted(toy.card.params)}")
    ceiling = estimate.ceiling
    chance = 0.05 * ceiling if ceiling and estimate.stderr else 0.0
    above = ceiling is not None and estimate.value > ceiling + chance + 1e-6
    if above and "bound_violated" not in estimate.flags:
        wrong.append(f"{estimate.value} above its ceiling {estimate.ceiling} without a flag")
    if estimate.stderr is not None and estimate.stderr < 0:
        wrong.append("negative standard error")
    if None not in (estimate.low, estimate.high) and estimate.low > estimate.high:
        wrong.append("interval upside down")
    if estimate.status is Status.FAILED:
        wrong.append("failed without raising")
    return wrong


def outcome(toy):
    """Call; give back the Estimate or the refusal. Anything else is the estimator's fault."""
    try:
        return toy()
    except InfoplaneError as error:
        return error


# ---------------------------------------------------------------------------------------- the card


def test_every_card_is_called_here():
    assert strangers() == {}


@pytest.mark.parametrize("entry", CARDS)
def test_card_tells_what_it_must(entry):
    family, _, name = entry.id.partition(".")
    assert family
    assert name
    assert card(entry.id) is entry
    for text in (entry.label, entry.measures, entry.formula, entry.complexity, entry.reference):
        assert isinstance(text, str)
        assert text.strip()
    assert isinstance(entry.quantity, Quantity)
    assert isinstance(entry.cost, Cost)
    assert entry.min_samples >= 1
    assert entry.unit in ("nat", "1")
    assert entry.bound in ("lower", "upper", "exact", "neither")
    assert entry.limits, "every estimator has limits"
    assert set(entry.meaningful_null) <= {"X", "Y"}
    assert entry.accepts
    for kinds in entry.accepts:
        assert all(isinstance(kind, Kind) for kind in np.atleast_1d(np.array(kinds, dtype=object)))


@pytest.mark.parametrize("entry", CARDS)
def test_docstring_covers_every_argument(entry):
    text = inspect.getdoc(entry.function)
    assert text
    first = text.splitlines()[0]
    assert first == entry.summary
    assert first.endswith(".")
    assert len(first) <= 100
    assert "Parameters\n----------" in text
    for name in inspect.signature(entry.function).parameters:
        assert name in text, f"{name} is not documented"


@pytest.mark.parametrize("entry", CARDS)
def test_signature_follows_the_contract(entry):
    parameters = inspect.signature(entry.function).parameters
    assert parameters["rng"].kind is inspect.Parameter.KEYWORD_ONLY
    assert parameters["rng"].default is None
    for name, param in entry.params.items():
        assert param.types or param.choices, f"{name} says not what it may be"
        param.check(entry.id, param.default)
        if {int, float} & set(param.types):
            assert param.bounds is not None, f"{name} has no bounds"


@pytest.mark.parametrize("toy", TOYS)
def test_wrong_parameters_are_refused_by_name(toy):
    for name, param in toy.card.params.items():
        wrong = [object()]
        if param.bounds is not None:
            wrong += [param.bounds.low - 1, float("nan")]
            wrong += [param.bounds.high + 1] if math.isfinite(param.bounds.high) else []
        if param.choices:
            wrong.append("no such choice")
        for value in wrong:
            if not param.types and not param.choices:
                continue
            with pytest.raises(InputError) as caught:
                toy(**{name: value})
            assert f"`{name}`" in str(caught.value)
            assert toy.card.id in str(caught.value)
    if not toy.card.deterministic:
        for seed in ("seed", -1, 2.5):
            with pytest.raises(InputError, match="`rng`"):
                toy(rng=seed)


# ------------------------------------------------------------------------------------- the estimate


@pytest.mark.parametrize("toy", TOYS)
def test_a_plain_layer_gives_a_finite_estimate(toy):
    estimate = toy()
    assert complaints(toy, estimate) == []
    assert estimate.n > 0
    assert estimate.d > 0
    for name in toy.kwargs.keys() & estimate.params.keys():
        assert estimate.params[name] == toy.kwargs[name]
    json.dumps(dict(estimate.info), default=np.ndarray.tolist)  # a run can keep it
    json.dumps(dict(estimate.params))


@pytest.mark.parametrize("toy", TOYS)
def test_same_seed_same_bytes_and_no_global_random_state(toy):
    legacy = np.random.get_state()  # noqa: NPY002
    state = (random.getstate(), legacy[1].tobytes(), torch.get_rng_state().tolist())
    first, second = toy(rng=7), toy(rng=7)
    assert np.float64(first.value).tobytes() == np.float64(second.value).tobytes()
    assert first.flags == second.flags
    if toy.card.deterministic:
        assert toy(rng=8).value == first.value
    np.random.seed(1)  # noqa: NPY002  the global state must not matter either
    torch.manual_seed(1)
    assert toy(rng=np.random.default_rng(7)).value == first.value
    np.random.set_state(legacy)  # noqa: NPY002
    torch.set_rng_state(torch.tensor(state[2], dtype=torch.uint8))
    assert toy(rng=7).value == first.value
    assert random.getstate() == state[0]
    assert np.random.get_state()[1].tobytes() == state[1]  # noqa: NPY002
    assert torch.get_rng_state().tolist() == state[2]


@pytest.mark.parametrize("toy", TOYS)
def test_inputs_are_never_modified(toy):
    before = [np.array(a).tobytes() for a in toy.args]
    toy()
    assert [np.array(a).tobytes() for a in toy.args] == before


@pytest.mark.parametrize("toy", TOYS)
def test_shared_intermediates_change_no_value(toy):
    if "shared" not in inspect.signature(toy.card.function).parameters:
        pytest.skip("takes no shared")
    codes = None if toy.labels is None else toy.args[toy.labels]
    shared = Shared(toy.t, codes)
    alone = toy()
    for _ in range(2):
        assert toy(shared=shared).value == pytest.approx(alone.value, **CLOSE)


@pytest.mark.parametrize("toy", TOYS)
def test_null_has_the_draws_asked_for(toy):
    if len(toy.args) != 2 or toy.card.quantity is not Quantity.MI:
        pytest.skip("no pairing to shuffle")
    null = null_distribution(toy.card.id, *toy.args, draws=2, rng=0, **toy.kwargs)
    assert null.shape == (2,)
    assert np.isfinite(null).all()


# ----------------------------------------------------------------------------------- hostile inputs


def judged(toy, name, expected):
    """Call with a hostile input and say what is wrong with the outcome."""
    try:
        result = outcome(toy)
    except Exception as error:
        return [f"{name}: {type(error).__name__}: {error}"]
    return [f"{name}: {complaint}" for complaint in expectations(toy, result, expected)]


REFUSALS = {"nonfinite": NonFiniteError, "few": TooFewSamplesError, "input": InputError}


def expectations(toy, result, expected):
    refused = isinstance(result, InfoplaneError)
    if refused and len(str(result)) < 30:
        return [f"the refusal says too little: {result}"]
    if expected in REFUSALS:
        wanted = REFUSALS[expected]
        return [] if isinstance(result, wanted) else [f"no {wanted.__name__} but {result!r}"]
    if refused:
        return []
    wrong = complaints(toy, result)
    information = toy.card.quantity is Quantity.MI
    if expected == "constant" and "constant" not in result.flags:
        wrong.append(f"no flag `constant` in {result.flags}")
    if expected == "constant" and information and result.value != 0.0:
        wrong.append(f"a constant layer has information {result.value}")
    if expected == "tail" and "heavy_tail" not in result.flags:
        wrong.append(f"no flag `heavy_tail` in {result.flags}")
    given = "| V)" in toy.card.measures  # I(X;T|V) is I(X;T) when V says nothing
    if expected == "single" and information and not given and abs(result.value) > 1e-12:
        wrong.append(f"a single class has information {result.value}")
    if expected == "single" and "single_class" not in result.flags:
        wrong.append(f"no flag `single_class` in {result.flags}")
    return wrong


@pytest.mark.parametrize("toy", TOYS)
def test_hostile_layers(toy):
    if toy.card.needs == "scalar":
        pytest.skip("takes one column; hostile columns are in its own tests")
    wrong = []
    for name, make, expected in HOSTILE:
        if not toy.plain and expected in ("constant", "dead", "few", "tail"):
            expected = "value"  # attention and weights have no units to die
        if toy.t.ndim > 2 and name in FLAT:
            continue
        broken = toy.replace(toy.subject, make(toy.t))
        if name in FEWER:
            broken = toy.rows(slice(FEWER[name]))
        wrong += judged(broken, name, expected)
    assert wrong == []


@pytest.mark.parametrize("toy", [p for p in TOYS if p.values[0].labels is not None])
def test_hostile_labels(toy):
    wrong = []
    for name, make, expected in LABELS:
        if expected == "continuous":  # refused, unless the card has a form for a continuous V
            both = (Kind.CONTINUOUS, Kind.CONTINUOUS) in toy.card.accepts
            expected = "value" if both else "input"
        wrong += judged(toy.replace(toy.labels, make(toy.args[toy.labels])), name, expected)
    assert wrong == []


PAIRS = [p for p in TOYS if len(p.values[0].args) == 2 and p.values[0].labels is None]
AS_ROWS = ("three axes", "a feature map")


@pytest.mark.parametrize("toy", PAIRS)
def test_hostile_first_variables(toy):
    if toy.card.needs == "scalar":
        pytest.skip("takes one column; hostile columns are in its own tests")
    wrong = []
    for name, make, expected in HOSTILE:
        if name in FEWER or (toy.card.id == "mi.softmax" and name in AS_ROWS):
            continue  # both are shortened above; inputs of any shape are symbols, row by row
        expected = "value" if expected in ("constant", "dead", "tail") else expected
        wrong += judged(
            toy.replace(1 - toy.subject, make(toy.args[1 - toy.subject])), name, expected
        )
    assert wrong == []


@pytest.mark.parametrize("toy", TOYS)
def test_precision_makes_little_difference(toy):
    exact = toy().value
    for dtype in (np.float32, np.float16):
        rounded = toy.t.astype(dtype)
        value = toy.replace(toy.subject, rounded).__call__().value
        same = toy.replace(toy.subject, rounded.astype(np.float64))().value
        # widening costs nothing but a hair in float32 arithmetic
        assert value == pytest.approx(same, rel=1e-4, abs=1e-4)
        if dtype is np.float32 and "adaptive" not in toy.card.id:
            assert value == pytest.approx(exact, rel=0.05, abs=0.05)
    narrow = torch.tensor(toy.t).to(torch.bfloat16)
    wide = toy.replace(toy.subject, narrow.to(torch.float64).numpy())
    assert said(toy.replace(toy.subject, narrow)) == said(wide)


WHOLE = (np.int8, np.int16, np.int32, np.uint8, torch.int16, torch.uint8)
"""Types of whole numbers; the same numbers in another of them are the same layer."""


def said(toy):
    """Value and flags, or the type of the refusal."""
    result = outcome(toy)
    if isinstance(result, InfoplaneError):
        return type(result)
    return pytest.approx(result.value, **CLOSE), result.flags


@pytest.mark.parametrize("toy", TOYS)
def test_one_answer_for_every_integer_type(toy):
    whole = np.rint(8 * np.abs(toy.t)).astype(np.int64)
    expected = said(toy.replace(toy.subject, whole))
    for dtype in WHOLE:
        other = (
            torch.tensor(whole).to(dtype) if isinstance(dtype, torch.dtype) else whole.astype(dtype)
        )
        assert said(toy.replace(toy.subject, other)) == expected, dtype
    bits = toy.t > np.median(toy.t)
    assert said(toy.replace(toy.subject, bits)) == said(toy.replace(toy.subject, bits.astype(int)))


# -------------------------------------------------------------------------------------- invariances


def relabelled(toy):
    if toy.labels is None:
        return None
    return toy.replace(toy.labels, np.array([70, -3, 11])[toy.args[toy.labels]])


def swapped(toy):
    if len(toy.args) != 2:
        return None
    return toy.replace(0, toy.args[1]).replace(1, toy.args[0])


def turned(toy):
    d = toy.t.shape[1]
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(d, d)))[0]
    return toy.replace(toy.subject, toy.t @ turn)


def with_t(change):
    return lambda toy: toy.replace(toy.subject, change(toy.t))


LAWS = {
    "row order": lambda toy: toy.rows(np.random.default_rng(2).permutation(len(toy.t))),
    "label names": relabelled,
    "swap": swapped,
    "rotation": turned,
    "scaling": with_t(lambda t: 8.0 * t),
    "shift": with_t(lambda t: t + 3.0),
    "unit order": with_t(lambda t: t[:, ::-1]),
    "duplicated unit": with_t(lambda t: np.column_stack([t, t[:, 0]])),
    "constant unit": with_t(lambda t: np.column_stack([t, np.full(len(t), 0.25)])),
}


@pytest.mark.parametrize("toy", TOYS)
def test_declared_invariances_hold(toy):
    assert set(toy.card.invariant) <= set(LAWS), "a law that nobody checks"
    seeds = range(1 if toy.card.deterministic else 5)
    values = [toy(rng=seed).value for seed in seeds]
    # what a law says of a random estimator it says of its distribution
    slack = 4 * np.std(values) if len(values) > 1 else 0.0
    for law in toy.card.invariant:
        changed = LAWS[law](toy)
        if changed is None:
            continue
        after = np.mean([changed(rng=seed).value for seed in seeds])
        assert after == pytest.approx(np.mean(values), rel=1e-6, abs=1e-6 + slack), law
