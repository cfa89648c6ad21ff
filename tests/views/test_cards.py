import pytest

from infoplane.analysis.naming import axis_titles, quantities
from infoplane.types import Layer
from infoplane.views import cards
from infoplane.views.builder import FrameBuilder


@pytest.mark.parametrize(
    ("measures", "titles"),
    [
        ("I(V; bin(T)) on the same bins for every unit", ("I(X; bin(T))", "I(bin(T); Y)")),
        ("I(X; T + ε), ε ~ N(0, σ² I)", ("I(X; T + ε)", "I(T + ε; Y)")),
        ("I(X;T), joint density assumed", ("I(X; T)", "I(T; Y)")),
        ("I(V; bin(T) | V) of distinct inputs", ("I(X; bin(T) | X)", "I(Y; bin(T) | Y)")),
        ("I(E(V);E(T)) of compressed codes", ("I(E(X);E(T))", "I(E(Y);E(T))")),
        ("diffusion entropy minus that of a class", ("I(X;T)", "I(T;Y)")),
    ],
)
def test_axes_say_what_the_card_says(measures, titles):
    assert axis_titles(measures) == titles


def test_what_was_not_measured_is_offered_with_the_reason():
    wide = [Layer("a", "Linear", (784,), 784, "flatten")]
    offers = cards.unmeasured(wide, ["mi.binning"])
    assert "mi.binning" not in offers
    assert offers["mi.kde"] == cards.UNMEASURED
    assert "at most 20 dimensions, and the widest layer here has 784" in offers["mi.ksg"]
    assert "dimensions" not in cards.unmeasured([], [])["mi.ksg"]
    builder = FrameBuilder()
    builder.offer(offers)
    assert all(info.reason for info in builder.meta().estimators)


def test_an_id_without_a_card_is_shown_as_it_is():
    info = cards.choice("mi.from_<later>", {"k": 3})
    assert (info.id, info.label, info.params) == ("mi.from_<later>", "mi.from_<later>", "k=3")
    assert (info.x_title, info.y_title) == ("I(X;T)", "I(T;Y)")


@pytest.mark.parametrize(
    ("estimator", "titles"),
    [
        ("mi.binning(bins=100)", ("I(X; bin(T))", "I(bin(T); Y)")),
        ("mi.infonce", ("bound on I(X;T)", "bound on I(T;Y)")),
        ("mi.cauchy_schwarz", ("CS-QMI(X; T)", "CS-QMI(T; Y)")),  # no Shannon information
        ("mi.renyi", ("Rényi MI(X; T)", "Rényi MI(T; Y)")),
        ("mi.of_another_version", ("I(X;T)", "I(T;Y)")),
    ],
)
def test_axes_claim_no_information_that_was_not_measured(estimator, titles):
    assert quantities(estimator) == titles
