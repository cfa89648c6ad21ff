import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twins import collapse as slow

from infoplane.errors import InputError, RefusedError
from infoplane.estimators.classifier import nc3, nc4
from infoplane.estimators.collapse import cdnv, nc1, nc2, quotient
from infoplane.estimators.shared import Shared
from infoplane.types import Status

C, D = 4, 9
Y = np.arange(80) % C


def toy(seed=0, noise=0.5, classes=C, d=D):
    rng = np.random.default_rng(seed)
    y = np.arange(80) % classes
    return rng.normal(size=(classes, d))[y] + noise * rng.normal(size=(80, d)), y


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(5, 12))
def test_match_the_slow_versions(seed, classes, d):
    t, y = toy(seed, classes=classes, d=d)
    within, between = slow.scatters(t, y)
    assert nc1(t, y).value == pytest.approx(slow.nc1(t, y), rel=1e-8)
    assert nc1(t, y, normalised=False).value == pytest.approx(classes * slow.nc1(t, y), rel=1e-8)
    assert quotient(t, y).value == pytest.approx(np.trace(within) / np.trace(between))
    assert cdnv(t, y).value == pytest.approx(slow.cdnv(t, y))


def test_all_are_zero_at_collapse():
    vertices = slow.simplex(C, D)
    t = vertices[Y] + 3.0
    for value in (
        nc1(t, Y).value,
        quotient(t, Y).value,
        cdnv(t, Y).value,
        *(nc2(t, Y, form=form).value for form in ("etf", "norms", "angles")),
        nc3(t, Y, weight=5 * vertices).value,
        nc4(t - 3.0, Y, weight=vertices).value,
    ):
        assert value == pytest.approx(0.0, abs=1e-9)
    assert nc2(t, Y, weight=vertices).value == pytest.approx(0.0, abs=1e-9)


def test_isotropic_noise_on_a_simplex():
    # exact within-class moments: each class has the noise rows ±σ√D e_j
    vertices = slow.simplex(C, D)
    sigma = 0.1
    noise = sigma * math.sqrt(D) * np.vstack([np.eye(D), -np.eye(D)])
    t = np.vstack([v + noise for v in vertices])
    y = np.repeat(np.arange(C), 2 * D)
    eigenvalue = 1 / C  # of Σ_B, C − 1 times
    assert nc1(t, y).value == pytest.approx(sigma**2 * (C - 1) / eigenvalue / C)
    assert quotient(t, y).value == pytest.approx(D * sigma**2 / ((C - 1) * eigenvalue))
    assert cdnv(t, y).value == pytest.approx(D * sigma**2 / 2)
    assert cdnv(t, y).info["largest"] == pytest.approx(D * sigma**2 / 2)


def test_nc2_forms():
    lengths = np.array([1.0, 2.0, 3.0, 4.0])
    orthogonal = (lengths[:, None] * np.eye(C, D))[Y]
    assert nc2(orthogonal, Y, form="orthogonal").value == pytest.approx(0.0, abs=1e-12)
    assert nc2(orthogonal, Y, form="etf").value > 0.1
    t, y = toy()
    means = slow.class_means(t, y)
    centred = means - means.mean(axis=0)
    norms = np.linalg.norm(centred, axis=1)
    cosines = centred @ centred.T / np.outer(norms, norms)
    apart = ~np.eye(C, dtype=bool)
    assert nc2(t, y, form="norms").value == pytest.approx(norms.std(ddof=1) / norms.mean())
    assert nc2(t, y, form="angles").value == pytest.approx(np.abs(cosines[apart] + 1 / 3).mean())
    gram = centred @ centred.T
    target = (np.eye(C) - 1 / C) / math.sqrt(C - 1)
    assert nc2(t, y).value == pytest.approx(np.linalg.norm(gram / np.linalg.norm(gram) - target))


def test_nc3_and_nc4_read_the_classifier():
    t, y = toy(noise=1.5)
    rng = np.random.default_rng(1)
    weight, bias = rng.normal(size=(C, D)), rng.normal(size=C)
    means = slow.class_means(t, y)
    centred = means - means.mean(axis=0)
    difference = weight / np.linalg.norm(weight) - centred / np.linalg.norm(centred)
    assert nc3(t, y, weight=weight).value == pytest.approx((difference**2).sum())
    decided = (t @ weight.T + bias).argmax(axis=1)
    nearest = ((t[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    true = (decided != nearest).mean()
    assert 0 < true < 1
    assert nc4(t, y, weight=weight, bias=bias).value == true
    assert nc4(t, y, logits=t @ weight.T + bias).value == true
    # the nearest-mean classifier written as a linear one
    assert nc4(t, y, weight=means, bias=-0.5 * (means**2).sum(axis=1)).value == 0.0
    with pytest.raises(InputError, match="needs the classifier"):
        nc3(t, y)
    with pytest.raises(InputError, match=r"must be \(C, 9\)"):
        nc4(t, y, weight=weight.T)
    with pytest.raises(InputError, match="rows for 4 classes"):
        nc3(t, y + 10, weight=np.vstack([weight, weight]))
    with pytest.raises(InputError, match="bias"):
        nc4(t, y, weight=weight, bias=bias[:2])


def test_frame_of_the_classifier_is_that_of_its_rows_as_they_are():
    """Papyan's notebook: ‖w_c‖ and their cosines, no mean taken off."""
    rng = np.random.default_rng(4)
    t, weight = rng.normal(size=(len(Y), D)), 0.7 + rng.normal(size=(C, D))
    lengths = np.linalg.norm(weight, axis=1)
    cosines = (weight @ weight.T / np.outer(lengths, lengths))[~np.eye(C, dtype=bool)]
    gram = weight @ weight.T
    simplex = (np.eye(C) - 1 / C) / np.sqrt(C - 1)
    true = {
        "norms": lengths.std(ddof=1) / lengths.mean(),
        "angles": np.abs(cosines + 1 / (C - 1)).mean(),
        "etf": np.linalg.norm(gram / np.linalg.norm(gram) - simplex),
    }
    for form, value in true.items():
        found = nc2(t, Y, form=form, weight=1e200 * weight).value
        assert found == pytest.approx(value, rel=1e-12), form


def test_an_absent_class_keeps_its_row():
    t, y = toy()
    weight = np.random.default_rng(2).normal(size=(C, D))
    kept = y != 1
    some = nc3(t[kept], y[kept], weight=weight)
    assert some.value == pytest.approx(
        nc3(t[kept], np.searchsorted([0, 2, 3], y[kept]), weight=weight[[0, 2, 3]]).value
    )
    named = np.array(list("abcd"))[y]
    assert nc3(t, named, weight=weight).value == nc3(t, y, weight=weight).value


@pytest.mark.parametrize("quantity", [nc1, quotient, cdnv, nc2])
def test_invariances_and_scale(quantity):
    t, y = toy()
    value = quantity(t, y).value
    rng = np.random.default_rng(3)
    turn = np.linalg.qr(rng.normal(size=(D, D)))[0]
    order = rng.permutation(80)
    for changed, labels in ((t @ turn, y), (t * 1e-200, y), (t * 1e200, y), (t[order], y[order])):
        assert quantity(changed, labels).value == pytest.approx(value, rel=1e-9)
    assert quantity(t, np.array([7, 3, 90, 2])[y]).value == pytest.approx(value, rel=1e-9)


def test_nc1_is_not_invariant_to_a_general_linear_map():
    t, y = toy()
    stretched = t * np.linspace(1, 5, D)
    assert abs(nc1(stretched, y).value - nc1(t, y).value) > 0.01 * nc1(t, y).value


@pytest.mark.parametrize("quantity", [nc1, quotient, cdnv, nc2])
def test_hostile(quantity):
    t, y = toy()
    single = quantity(t, np.zeros(80, int))
    assert (single.value, single.status) == (0.0, Status.DEGENERATE)
    assert "single_class" in single.flags
    constant = quantity(np.full((80, 3), 0.1), y)
    assert (constant.value, constant.flags) == (0.0, ("constant",))
    with pytest.raises(RefusedError, match="coincide"):
        quantity(np.vstack([t, t]), np.repeat([0, 1], 80))
    with pytest.raises(InputError, match="class labels"):
        quantity(t, np.arange(80))
    rare = y.copy()
    rare[0] = 99
    assert "rare_class=1" in quantity(t, rare).flags
    shared = Shared(t)
    assert quantity(t, y, shared=shared).value == quantity(t, y).value
    assert quantity(t, y % 2, shared=shared).value == quantity(t, y % 2).value


def test_more_classes_than_dimensions():
    t, y = toy(classes=6, d=3)
    assert nc1(t, y).info["rank"] == 3
    assert nc1(t, y).value == pytest.approx(slow.nc1(t, y))
    line = np.outer(np.arange(5.0)[np.arange(80) % 5] + 0.01 * np.arange(80) % 3, [1, 1, 1, 1, 1])
    assert "rank_deficient" in nc1(line, np.arange(80) % 5).flags


def test_noise_in_more_units_than_samples_is_not_taken_for_collapse():
    y = np.arange(20) % 4
    t = np.random.default_rng(1).normal(size=(20, 2000))
    for function in (nc1, nc2):
        result = function(t, y)
        assert result.value < 0.1  # what it looks like
        assert "wide" in result.flags
        assert result.status is Status.UNRELIABLE
        assert function(t[:, :8], y).status is Status.OK


def test_logits_whose_squares_overflow_are_refused():
    t, y = toy()
    with pytest.raises(InputError, match="`logits`"):
        nc3(t, y, logits=1e200 * t[:, :C])
