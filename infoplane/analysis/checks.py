"""Verdicts: what a number is good for, in one plain sentence, and what to do instead.

:data:`RULES` lists the reasons to doubt, each with its name, its verdict and whether it speaks of
mutual information only. The worst verdict wins; among equals, the first in the table is the reason.
Amounts in sentences are in bits, as on the screen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from infoplane.analysis import doubts_of_data as data
from infoplane.analysis import doubts_of_information as information
from infoplane.analysis.case import Case
from infoplane.analysis.portrait import Context
from infoplane.errors import NonFiniteError, RefusedError, TooFewSamplesError
from infoplane.estimators.registry import Card
from infoplane.types import Estimate, Null, Quantity, Verdict


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that holds, with its sentence."""

    rule: str
    verdict: Verdict
    sentence: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One reason to doubt: name, verdict, the sentence when it holds, and the same in few words."""

    name: str
    verdict: Verdict
    sentence: Callable[[Case], str | None]
    brief: str
    information_only: bool = True


RULES: tuple[Rule, ...] = (
    Rule(
        "inside_null",
        Verdict.NOT_USABLE,
        information.inside_null,
        "shuffled labels give nearly as much",
    ),
    Rule(
        "saturated",
        Verdict.NOT_USABLE,
        information.saturated,
        "the number is at its ceiling",
    ),
    Rule(
        "bound_broken",
        Verdict.NOT_USABLE,
        information.bound_broken,
        "the number breaks a bound that every information obeys",
    ),
    Rule(
        "singleton",
        Verdict.NOT_USABLE,
        information.singleton,
        "nearly every sample is on its own at this resolution",
    ),
    Rule(
        "amplified",
        Verdict.NOT_USABLE,
        data.amplified,
        "the estimator multiplies its own noise",
    ),
    Rule(
        "constant",
        Verdict.CAUTION,
        data.constant,
        "the layer is constant",
        information_only=False,
    ),
    Rule(
        "resolution",
        Verdict.CAUTION,
        information.resolution,
        "the number is the most that these bins can say",
    ),
    Rule(
        "nothing_detected",
        Verdict.CAUTION,
        information.nothing_detected,
        "shuffled pairs give as much",
    ),
    Rule(
        "mostly_null",
        Verdict.CAUTION,
        information.mostly_null,
        "half of the number or more is there with shuffled pairs too",
    ),
    Rule(
        "outside_range",
        Verdict.CAUTION,
        information.outside_range,
        "many values lie beyond the range of the bins",
    ),
    Rule(
        "dead_units",
        Verdict.CAUTION,
        data.dead_units,
        "half of the units or more are dead",
        information_only=False,
    ),
    Rule(
        "heavy_tail",
        Verdict.CAUTION,
        data.heavy_tail,
        "a few extreme rows decide the resolution",
        information_only=False,
    ),
    Rule(
        "sigma",
        Verdict.CAUTION,
        data.sigma,
        "the noise is wider than the layer",
        information_only=False,
    ),
    Rule(
        "dimension",
        Verdict.CAUTION,
        data.dimension,
        "the layer has more dimensions than the estimator supports",
        information_only=False,
    ),
    Rule(
        "ties",
        Verdict.CAUTION,
        data.ties,
        "many rows repeat exactly",
        information_only=False,
    ),
    Rule(
        "bound_touched",
        Verdict.CAUTION,
        information.bound_touched,
        "the number passes a bound by a little",
    ),
    Rule(
        "beyond_samples",
        Verdict.CAUTION,
        information.beyond_samples,
        "the number is above what so many samples can show",
    ),
    Rule(
        "many_singletons",
        Verdict.CAUTION,
        information.many_singletons,
        "most samples are on their own at this resolution",
    ),
    Rule(
        "samples_per_bin",
        Verdict.CAUTION,
        information.samples_per_bin,
        "there are few samples in each bin",
    ),
    Rule(
        "rare_class",
        Verdict.CAUTION,
        data.rare_class,
        "a class has hardly any members",
    ),
    Rule(
        "few_samples",
        Verdict.CAUTION,
        data.few_samples,
        "there are few samples",
        information_only=False,
    ),
    Rule(
        "wide_error",
        Verdict.CAUTION,
        data.wide_error,
        "the standard error is wide",
        information_only=False,
    ),
    Rule(
        "disagreement",
        Verdict.CAUTION,
        information.disagreement,
        "no other sound estimator agrees",
    ),
    Rule(
        "unreliable",
        Verdict.CAUTION,
        data.unreliable,
        "the estimator flags an assumption as broken",
        information_only=False,
    ),
)


BRIEFLY: dict[str, str] = {
    **{rule.name: rule.brief for rule in RULES},
    "non_finite": "the activations are not finite",
    "too_few_samples": "there are too few samples",
    "refused": "the estimator refuses this layer",
    "overdue": "the estimator took too long",
    "memory": "memory ran out",
    "failed": "the estimator failed",
}
"""Every reason in a few words, for a sentence about many measurements."""


def findings(
    estimate: Estimate, card: Card, null: Null | None, context: Context
) -> tuple[Finding, ...]:
    """Every rule that holds for an estimate, in the table's order."""
    case = Case(estimate, card, null, context)
    held = []
    for rule in RULES:
        if rule.information_only and card.quantity is not Quantity.MI:
            continue
        sentence = rule.sentence(case)
        if sentence:
            held.append(Finding(rule.name, rule.verdict, sentence))
    return tuple(held)


def weigh(held: tuple[Finding, ...]) -> tuple[Verdict, str]:
    """Return the worst verdict and its sentence; ok and "" when nothing holds."""
    if not held:
        return Verdict.OK, ""
    worst = max(held, key=lambda finding: finding.verdict)
    return worst.verdict, worst.sentence


def judge(
    estimate: Estimate, card: Card, null: Null | None, context: Context
) -> tuple[Verdict, str]:
    """Return what an estimate is good for and why: (verdict, one plain sentence or "")."""
    return weigh(findings(estimate, card, null, context))


def judge_failure(error: Any) -> tuple[str, str]:
    """Name the reason why there is no value, and say it in a sentence (verdict: not usable)."""
    if isinstance(error, NonFiniteError):
        return "non_finite", f"no value: {error}"
    if isinstance(error, TooFewSamplesError):
        return "too_few_samples", f"no value: {error}"
    if isinstance(error, RefusedError):
        return "refused", f"no value: {error}"
    if isinstance(error, TimeoutError):
        return "overdue", f"no value: {error}"
    if isinstance(error, MemoryError):
        return "memory", f"no value: memory ran out ({error}); use a smaller probe set"
    return "failed", f"no value: {type(error).__name__}: {error}"
