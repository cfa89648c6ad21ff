"""Verdicts: every rule has a case that triggers it and a sound neighbour that does not."""

from dataclasses import replace

import numpy as np
import pytest

from infoplane.analysis.checks import RULES, findings, judge, judge_failure
from infoplane.analysis.portrait import Context, Portrait, Target
from infoplane.errors import NonFiniteError, RefusedError, TooFewSamplesError
from infoplane.estimators import card, get
from infoplane.estimators.nulls import null_distribution, summarise
from infoplane.types import Cost, Estimate, Flags, Null, Quantity, Status, Verdict

N = 400
RNG = np.random.default_rng(0)
T = RNG.standard_normal((N, 3))
SOUND = {"occupied": 40, "singleton_share": 0.02}
LOW = Null(0.01, 0.002, 0.005, 0.01, 0.015, 20, 1 / 21)
LABELS = Target("Y", float(np.log(2)), 2, 200)
KNN = replace(
    card("mi.binning"),
    id="mi.knn_test",
    label="kNN",
    params={"k": None},
    ceiling="",
    min_samples=50,
    max_dim=20,
    cost=Cost.STANDARD,
)


def case(entry=None, *, t=T, target=LABELS, null=LOW, peers=None, info=SOUND, **estimate):
    made = Estimate(**{"value": 0.5, "ceiling": float(np.log(2)), "info": info, **estimate})
    context = Context(Portrait(t), target, peers or {})
    return made, entry or card("mi.binning"), null, context


def named(*args, **kwargs):
    return {finding.rule for finding in findings(*case(*args, **kwargs))}


def heavy():
    t = T.copy()
    t[0, 0] = 1e6
    return t


def dead(count):
    t = T.copy()
    t[:, :count] = 0.5
    return t


def nulls(mean, p, sd=0.002):
    return Null(mean, sd, mean - 2 * sd, mean, mean + 2 * sd, 20, p)


X = Target("X", float(np.log(N)), N, 1)
LOG_N = float(np.log(N))
TRIGGERS = {
    "inside_null": ({"value": 0.69, "null": nulls(0.69, 1.0)}, {"value": 0.69}),
    "saturated": (
        {"value": 0.99 * LOG_N, "ceiling": LOG_N, "target": X, "null": None},
        {"value": 0.9 * LOG_N, "ceiling": LOG_N, "target": X, "null": None},
    ),
    "resolution": (
        {"value": 3.3, "ceiling": 3.4, "target": X, "null": None},
        {"value": 3.0, "ceiling": 3.4, "target": X, "null": None},
    ),
    "bound_broken": ({"value": 0.9}, {"value": 0.69}),
    "singleton": (
        {"info": {**SOUND, "singleton_share": 0.97}},
        {"info": {**SOUND, "singleton_share": 0.3}},
    ),
    "constant": ({"t": np.ones((N, 3)), "value": 0.0}, {}),
    "nothing_detected": ({"value": 0.011, "null": nulls(0.01, 0.4)}, {"value": 0.05}),
    "mostly_null": (
        {"value": 0.3, "null": nulls(0.2, 1 / 21)},
        {"value": 0.3, "null": nulls(0.1, 1 / 21)},
    ),
    "outside_range": (
        {"info": {**SOUND, "outside_share": 0.3}},
        {"info": {**SOUND, "outside_share": 0.01}},
    ),
    "dead_units": ({"t": dead(2)}, {"t": dead(1)}),
    "heavy_tail": ({"t": heavy()}, {"t": RNG.standard_t(4, (N, 3))}),
    "sigma": (
        {"params": {"variance": 1e3}, "info": {}},
        {"params": {"variance": 1e-3}, "info": {}},
    ),
    "dimension": (
        {"entry": KNN, "t": RNG.standard_normal((N, 60))},
        {"entry": KNN, "t": RNG.standard_normal((N, 2)) @ RNG.standard_normal((2, 60))},
    ),
    "ties": ({"entry": KNN, "t": np.round(T)}, {"entry": KNN}),
    "bound_touched": (
        {"value": -0.02, "null": None, "flags": Flags(["bound_violated=0.02"])},
        {"value": -0.02, "null": None},  # no floor of this estimator
    ),
    "amplified": (
        {"info": {"weights_norm": 359.0}, "status": Status.UNRELIABLE},
        {"info": {"weights_norm": 12.0}},
    ),
    "beyond_samples": (
        {"value": LOG_N + 0.3, "ceiling": None, "target": X, "null": None, "info": {}},
        {"value": LOG_N - 0.3, "ceiling": None, "target": X, "null": None, "info": {}},
    ),
    "many_singletons": (
        {"info": {**SOUND, "singleton_share": 0.6}},
        {"info": {**SOUND, "singleton_share": 0.4}},
    ),
    "samples_per_bin": (
        {"info": {**SOUND, "occupied": 200}, "null": None},
        {"info": {**SOUND, "occupied": 60}, "null": None},
    ),
    "rare_class": ({"target": replace(LABELS, smallest=3)}, {}),
    "few_samples": ({"entry": KNN, "t": T[:70]}, {"entry": KNN, "t": T[:120]}),
    "wide_error": ({"stderr": 0.4}, {"stderr": 0.05}),
    "disagreement": ({"peers": {"mi.kde": 0.1}}, {"peers": {"mi.kde": 0.1, "mi.ksg": 0.45}}),
    "unreliable": (
        {"flags": Flags(["jitter"]), "status": Status.UNRELIABLE},
        {"flags": Flags(["jitter"])},
    ),
}


def test_every_rule_has_its_pair_of_cases():
    assert set(TRIGGERS) == {rule.name for rule in RULES}


@pytest.mark.parametrize("rule", TRIGGERS)
def test_rule_holds_where_it_should_and_only_there(rule):
    bad, good = TRIGGERS[rule]
    assert rule in named(**bad)
    assert rule not in named(**good)


@pytest.mark.parametrize("rule", TRIGGERS)
def test_sentence_says_what_and_what_to_do(rule):
    bad, _ = TRIGGERS[rule]
    (finding,) = [f for f in findings(*case(**bad)) if f.rule == rule]
    assert any(character.isdigit() for character in finding.sentence) or rule in (
        "constant",
        "unreliable",
    )
    assert len(finding.sentence) > 40
    assert "nan" not in finding.sentence


def test_a_sound_estimate_is_ok():
    assert judge(*case()) == (Verdict.OK, "")


def test_isolated_rows_are_alone_at_the_noise_they_were_given():
    (finding,) = findings(*case(card("mi.kde"), info={"isolated_share": 0.95}))
    assert (finding.rule, finding.verdict) == ("singleton", Verdict.NOT_USABLE)
    assert "raise the noise" in finding.sentence
    assert named(card("mi.kde"), info={"isolated_share": 0.2}) == set()


def test_other_dependences_and_lower_bounds_do_not_disagree():
    for entry in (card("mi.infonce"), card("mi.dime")):
        assert "disagreement" not in named(entry, peers={"mi.kde": 0.1}, info={})


def test_the_worst_verdict_wins():
    verdict, reason = judge(*case(value=0.69, null=nulls(0.69, 1.0), t=dead(2)))
    assert verdict is Verdict.NOT_USABLE
    assert reason.startswith("inside its null")


def test_the_ceiling_is_named_for_what_it_is():
    _, reason = judge(*case(value=LOG_N, ceiling=LOG_N, target=X, null=None))
    assert reason.startswith("saturated at 100 % of log n (8.64 bits)")
    _, reason = judge(*case(value=0.9))
    assert "0.30 bits above H(Y)" in reason
    words = Flags(["high_dimension=93", "dead=3"])
    _, reason = judge(*case(KNN, flags=words, status=Status.UNRELIABLE))
    assert reason.startswith("93 joint dimensions, and kNN supports 20")


def test_a_layer_that_knows_the_label_is_not_saturated():
    # I(T;Y) = H(Y) with 200 samples a class and a low null is earned.
    assert named(value=float(np.log(2))) == set()


def test_labels_bound_an_estimator_that_states_no_ceiling():
    assert named(card("mi.mine"), value=1.5, ceiling=None, info={}) == {"bound_broken"}
    assert named(card("mi.mine"), value=0.6, ceiling=None, info={}) == set()


def test_information_rules_leave_other_quantities_alone():
    rank = replace(card("mi.binning"), quantity=Quantity.RANK)
    assert named(rank, value=-3.0, ceiling=None, null=None) == set()


@pytest.mark.parametrize(
    ("error", "rule"),
    [
        (NonFiniteError("bad", count=1, first=(0,)), "non_finite"),
        (TooFewSamplesError("few"), "too_few_samples"),
        (RefusedError("no"), "refused"),
        (RuntimeError("what"), "failed"),
    ],
)
def test_failures_have_their_own_reasons(error, rule):
    name, sentence = judge_failure(error)
    assert name == rule
    assert sentence.startswith("no value: ")


# The planted set: real estimators on layers with one known defect each, and on sound layers.


def layer(kind, rng, n=1024):
    y = rng.permutation(np.arange(n) % 2)
    signal = 2.0 * y[:, None] - 1.0
    t = np.tanh(rng.standard_normal((n, 2)) * 0.4 + 0.5 * signal)
    if kind == "wide":
        t = np.tanh(rng.standard_normal((n, 40)))
    elif kind == "random labels":
        y = rng.permutation(y)
    elif kind == "dead":
        t = np.full((n, 3), 0.25)
    elif kind == "half dead":
        t = np.column_stack([t, np.zeros((n, 2))])
    elif kind == "outlier":
        t[0] = 1e7
    elif kind == "one unit":
        t = t[:, :1]
    elif kind == "rare":
        y = (np.arange(n) < 4).astype(int)
        t[y == 1] += 1.0
    elif kind == "outgrown":
        t = 4.0 * t + rng.standard_normal((n, 2))
    elif kind == "few":
        y, t = y[:30], t[:30]
    elif kind == "repeats":
        t = np.round(4 * t) / 4
    elif kind == "many classes":
        y = rng.permutation(np.arange(n) % 4)
        t = np.column_stack([np.cos(1.6 * y), np.sin(1.6 * y)]) * 0.7
        t += 0.15 * rng.standard_normal((n, 2))
    elif kind == "linear":
        t = 0.4 * rng.standard_normal((n, 2)) + 0.3 * signal
    return y, t


EXPECTED = {
    "wide": {"inside_null", "saturated", "singleton", "dimension"},
    "random labels": {"nothing_detected", "inside_null"},
    "dead": {"constant"},
    "half dead": {"dead_units"},
    "outlier": {"heavy_tail"},
    "rare": {"rare_class"},
}
BINNED = {**EXPECTED, "few": {"samples_per_bin", "mostly_null", "inside_null", "many_singletons"}}
PLANTED = [
    ("mi.binning", {}, {**BINNED, "outgrown": {"outside_range"}}),
    ("mi.adaptive", {}, BINNED),
    ("mi.kde", {"variance": 1e-2}, EXPECTED),
    ("mi.kde", {"variance": 1e3}, {"sound": {"sigma"}}),
    ("mi.ksg", {}, {**EXPECTED, "few": {"few_samples"}, "repeats": {"ties", "unreliable"}}),
]
SOUND_CASES = [
    ("mi.binning", {"bins": 6}, ("sound", "many classes", "linear")),
    ("mi.binning", {}, ("one unit",)),
    ("mi.adaptive", {"bins": 6}, ("sound", "many classes", "linear", "outgrown")),
    ("mi.adaptive", {}, ("one unit",)),
    ("mi.kde", {"variance": 1e-2}, ("sound", "many classes", "linear", "one unit")),
    ("mi.ksg", {}, ("sound", "many classes", "linear", "outgrown")),
]


def rules_that_hold(kind, name, seed, **params):
    y, t = layer(kind, np.random.default_rng(seed))
    made = get(name)(y, t, rng=seed, **params)
    null = summarise(null_distribution(name, y, t, draws=20, rng=seed, **params), made.value)
    found = findings(made, card(name), null, Context(Portrait(t), Target.of("Y", y)))
    return {finding.rule for finding in found}


def recall_and_alarms(seeds):
    """Share of planted defects that are named, and of sound layers that raise an alarm."""
    named = [
        (name, kind, bool(rules_that_hold(kind, name, seed, **params) & rules))
        for name, params, expected in PLANTED
        for kind, rules in expected.items()
        for seed in seeds
    ]
    alarms = [
        (name, kind, bool(rules_that_hold(kind, name, seed, **params)))
        for name, params, kinds in SOUND_CASES
        for kind in kinds
        for seed in seeds
    ]
    return named, alarms


def test_planted_defects_are_found_and_sound_layers_raise_no_alarm():
    # 30 planted and 17 sound cases. Over 40 seeds each 0.993 are named (the rest are random labels
    # above their 5 % null, one time in twenty) and 0.003 of the sound ones raise an alarm.
    named, alarms = recall_and_alarms(range(2))
    missed = [(name, kind) for name, kind, found in named if not found]
    false = [(name, kind) for name, kind, raised in alarms if raised]
    assert len(missed) <= 0.05 * len(named), missed
    assert len(false) <= 0.05 * len(alarms), false


def test_widths_from_one_to_wide_are_judged_by_their_bins_not_their_width():
    rng = np.random.default_rng(3)
    y, t = layer("sound", rng)
    copies = np.repeat(t[:, :1], 30, axis=1)  # thirty units, one dimension
    found = findings(
        get("mi.binning")(y, copies), card("mi.binning"), LOW, Context(Portrait(copies), LABELS)
    )
    assert found == ()


def test_portrait_counts_what_it_says():
    t = np.column_stack([np.arange(8.0), np.zeros(8), np.repeat([1.0, 2.0], 4)])
    portrait = Portrait(t)
    assert portrait.dead == 1
    assert Portrait(np.repeat(t[:4], 2, axis=0)).ties == 1.0
    assert portrait.ties == 0.0
    white = RNG.standard_normal((5000, 6))
    assert Portrait(white).effective_dim == pytest.approx(6, abs=0.05)
    wide = RNG.standard_normal((2000, 4)) @ np.linalg.qr(RNG.standard_normal((300, 4)))[0].T
    assert Portrait(wide).effective_dim == pytest.approx(4, abs=0.1)
    assert Portrait(white).spread == pytest.approx(np.sqrt(12), rel=0.02)
    assert Portrait(white).tail < 3
    assert Portrait(np.ones((5, 2))).effective_dim == 0
