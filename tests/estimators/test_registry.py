"""Cards: filed by the decorator, found by id, guarding their parameters; the memo."""

import subprocess
import sys
from typing import Annotated, Literal

import numpy as np
import pytest

from infoplane.errors import InputError, UnknownEstimatorError
from infoplane.estimators import Bounds, Shared, card, catalogue, check_params, get, registry
from infoplane.estimators.shared import recall, serving
from infoplane.types import Cost, Estimate, Kind, Quantity


@pytest.fixture
def toy(monkeypatch):
    catalogue()  # loaded before the copy: modules register once a process
    monkeypatch.setattr(registry, "_cards", dict(registry._cards))

    @registry.estimator(
        id="toy.one", label="toy", quantity=Quantity.MI, measures="nothing", formula="0",
        accepts=((Kind.DISCRETE, Kind.CONTINUOUS),), cost=Cost.QUICK, complexity="1",
        min_samples=1, reference="none",
    )  # fmt: skip
    def one(
        v, t, *, k: Annotated[int, Bounds(1, 9)] = 3, s: Annotated[float, Bounds(0, 1, True)] = 0.5,
        how: Literal["a", "b"] = "a", flag: bool = False, maybe: int | None = None,
        pair: tuple[float, float] = (0.0, 1.0), rng=None, shared=None,
    ):  # fmt: skip
        """Return nothing much."""
        return Estimate(0.0)

    return one


def test_the_decorator_returns_the_function_itself(toy):
    assert get("toy.one") is toy
    assert card("toy.one").summary == "Return nothing much."
    assert card("toy.one") in catalogue()
    assert list(card("toy.one").params) == ["k", "s", "how", "flag", "maybe", "pair"]


def test_parameters_come_back_complete_and_plain(toy):
    params = check_params("toy.one", {"k": np.int64(4), "pair": [1, 2]})
    assert params == {
        "k": 4, "s": 0.5, "how": "a", "flag": False, "maybe": None, "pair": (1, 2),
    }  # fmt: skip
    assert type(params["k"]) is int


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"k": 0}, r"`k` of `toy\.one` must be an int in \[1, 9\]; got 0\."),
        ({"k": 2.5}, "`k`"),
        ({"k": True}, "`k`"),
        ({"s": 0}, r"`s` of `toy\.one` must be a number in \(0, 1\]; got 0\."),
        ({"s": float("nan")}, "`s`"),
        ({"how": "c"}, "'a' or 'b'; got 'c'"),
        ({"flag": 1}, "True or False"),
        ({"maybe": "x"}, "an int or None"),
        ({"pair": 3}, "a tuple"),
        ({"q": 1}, r"has no parameter `q`; it has k, s, how, flag, maybe, pair"),
    ],
)
def test_wrong_parameters_are_refused_with_the_reason(toy, wrong, words):
    with pytest.raises(InputError, match=words):
        check_params("toy.one", wrong)


def test_an_id_is_taken_once(toy):
    def other(t):
        """Return."""

    with pytest.raises(InputError, match=r"'toy\.one' is taken twice"):
        registry.estimator(
            id="toy.one", label="x", quantity=Quantity.MI, measures="x", formula="x", accepts=(),
            cost=Cost.QUICK, complexity="1", min_samples=1, reference="x",
        )(other)  # fmt: skip


def test_an_unknown_id_names_the_closest():
    with pytest.raises(
        UnknownEstimatorError, match=r"no estimator is called 'mi\.bining'.*binning"
    ):
        get("mi.bining")


def test_looking_at_the_catalogue_loads_no_torch():
    code = (
        "import sys, infoplane.estimators as e; e.catalogue(); "
        "sys.exit(any(m in sys.modules for m in ('torch', 'panel', 'pandas')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_memo_computes_once_and_serves_only_its_own_layer():
    t, calls = np.zeros((2, 1)), []
    shared = Shared(t)
    for _ in range(2):
        assert recall(shared, "key", lambda: calls.append(1) or 7) == 7
    assert len(calls) == 1
    assert "key" in shared
    assert "other" not in shared
    assert recall(None, "key", lambda: 8) == 8
    assert serving(shared, t) is shared
    assert serving(shared, t.copy()) is None
    assert serving(None, t) is None
