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
    """One reason to doubt: name, verdict, and the sentence when it holds."""

    name: str
    verdict: Verdict
    sentence: Callable[[Case], str | None]
    information_only: bool = True


RULES: tuple[Rule, ...] = (
    Rule("inside_null", Verdict.NOT_USABLE, information.inside_null),
    Rule("saturated", Verdict.NOT_USABLE, information.saturated),
    Rule("bound_broken", Verdict.NOT_USABLE, information.bound_broken),
    Rule("singleton", Verdict.NOT_USABLE, information.singleton),
    Rule("constant", Verdict.CAUTION, data.constant, information_only=False),
    Rule("resolution", Verdict.CAUTION, information.resolution),
    Rule("nothing_detected", Verdict.CAUTION, information.nothing_detected),
    Rule("mostly_null", Verdict.CAUTION, information.mostly_null),
    Rule("dead_units", Verdict.CAUTION, data.dead_units, information_only=False),
    Rule("heavy_tail", Verdict.CAUTION, data.heavy_tail, information_only=False),
    Rule("sigma", Verdict.CAUTION, data.sigma, information_only=False),
    Rule("dimension", Verdict.CAUTION, data.dimension, information_only=False),
    Rule("ties", Verdict.CAUTION, data.ties, information_only=False),
    Rule("bound_touched", Verdict.CAUTION, information.bound_touched),
    Rule("many_singletons", Verdict.CAUTION, information.many_singletons),
    Rule("samples_per_bin", Verdict.CAUTION, information.samples_per_bin),
    Rule("rare_class", Verdict.CAUTION, data.rare_class),
    Rule("few_samples", Verdict.CAUTION, data.few_samples, information_only=False),
    Rule("wide_error", Verdict.CAUTION, data.wide_error, information_only=False),
    Rule("disagreement", Verdict.CAUTION, information.disagreement),
    Rule("unreliable", Verdict.CAUTION, data.unreliable, information_only=False),
)


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
    return "failed", f"no value: {type(error).__name__}: {error}"
