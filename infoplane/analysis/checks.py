"""Verdicts: what a number is good for, in one plain sentence, and what to do instead.

Every rule is a small function of one :class:`Case` that returns a sentence when it holds and None
when it does not. :data:`RULES` lists them, each with its name, its verdict and whether it speaks of
mutual information only. The worst verdict wins; among equals, the first in the table is the reason.
Amounts in sentences are in bits, as on the screen.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from infoplane.analysis.null import is_above
from infoplane.analysis.portrait import Context
from infoplane.errors import NonFiniteError, RefusedError, TooFewSamplesError
from infoplane.estimators.contract import SATURATED
from infoplane.estimators.registry import Card
from infoplane.types import NATS_TO_BITS, Estimate, Null, Quantity, Status, Verdict

DEAD_SHARE = 0.5  # share of dead units from which a layer's number is doubted
SINGLE_SHARE = 0.9  # share of rows alone in their bin from which bins say nothing
SINGLE_DOUBT = 0.5
SAMPLES_PER_BIN = 5.0
TIES = 0.05  # share of repeated rows that a nearest-neighbour estimator bears
TAIL = 20.0  # largest deviation over the 99.5 % quantile
NULL_SHARE = 0.5  # share of the estimate (or the ceiling) that the null may take
EXCESS = 0.05  # share of the ceiling that an estimate must be above a crowded null
DISAGREEMENT = 0.25  # of H(Y), between an estimate of I(T;Y) and the nearest sound one
RARE = 10  # members of a class below which its conditional entropy is guesswork
WIDE_SIGMA = 3.0  # noise over the root mean square distance from which everything looks the same
VIOLATION = 0.05  # share of the ceiling by which a bound may be passed with a caution


@dataclass(frozen=True)
class Case:
    """An estimate with everything that a rule may look at."""

    estimate: Estimate
    card: Card
    null: Null | None
    context: Context

    @property
    def at_ceiling(self) -> bool:
        """Whether the value is at 95 % of its ceiling or more."""
        ceiling = self.estimate.ceiling
        return bool(ceiling and ceiling > 0 and self.estimate.value >= SATURATED * ceiling)

    @property
    def about_labels(self) -> bool:
        """Whether this is I(T;Y) for classes."""
        target = self.context.target
        return target.name == "Y" and target.entropy is not None

    @property
    def scale(self) -> float:
        """The ceiling, or the size of the value where there is none."""
        return self.estimate.ceiling or abs(self.estimate.value) or 1.0

    def info(self, *names: str) -> float | None:
        """First of the named numbers that the estimator reported."""
        for name in names:
            number = self.estimate.info.get(name)
            if isinstance(number, (int, float)) and not isinstance(number, bool):
                return float(number)
        return None


def bits(nats: float) -> str:
    """Write an amount of information as it is shown: ``1.37 bits``."""
    return f"{nats * NATS_TO_BITS + 0.0:.2f} bits"


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


def constant(case: Case) -> str | None:
    """Every unit has one value: zero is exact and the layer is dead."""
    if "constant" in case.estimate.flags or case.context.portrait.dead == case.context.portrait.d:
        return (
            "every unit of the layer is constant, so the number is exact but trivial: the layer is "
            "dead at this step; look at its inputs, initialisation or learning rate"
        )
    if "single_class" in case.estimate.flags:
        return "the probe set holds a single class, so nothing is to be known about Y; add classes"
    return None


def inside_null(case: Case) -> str | None:
    """Shuffled labels give nearly as much, and the null is so high that little could stand out."""
    null = case.null
    if null is None or not _crowded(case):
        return None
    if is_above(null) and case.estimate.value - null.mean > EXCESS * case.scale:
        return None
    return (
        f"inside its null: {bits(case.estimate.value)} with the true labels, {bits(null.q95)} with "
        f"shuffled ones (95 %), so it says nothing about {case.context.target.name or 'Y'} here; "
        "use a coarser or null-corrected estimator, or more samples"
    )


def nothing_detected(case: Case) -> str | None:
    """Shuffled labels give as much, and the null is low: nothing was detected."""
    null = case.null
    if null is None or is_above(null) or _crowded(case):
        return None
    return (
        f"inside its null: {bits(case.estimate.value)} against {bits(null.q95)} with shuffled "
        f"pairing (p = {null.p:.2f}); no dependence was detected at this step"
    )


def mostly_null(case: Case) -> str | None:
    """More than half of the number is there with shuffled labels too."""
    null = case.null
    if null is None or not is_above(null) or null.mean < NULL_SHARE * case.estimate.value:
        return None
    if inside_null(case):
        return None
    return (
        f"{bits(null.mean)} of these {bits(case.estimate.value)} are there with shuffled pairing "
        "too; read the estimate minus its null"
    )


def _crowded(case: Case) -> bool:
    return case.null is not None and case.null.mean > NULL_SHARE * case.scale


def saturated(case: Case) -> str | None:
    """At a ceiling made of the sample size or the batch, not of the network."""
    if not case.at_ceiling or _earned(case) or _limited_by_bins(case):
        return None
    ceiling = case.estimate.ceiling or 0.0
    share = 100 * case.estimate.value / ceiling
    what = _ceiling_name(case)
    cure = "use fewer bins" if _binned(case) else "use a larger noise" if _noisy(case) else ""
    cure = f"{cure}, more samples" if cure else "use more samples"
    return (
        f"saturated at {min(share, 100):.0f} % of {what} ({bits(ceiling)}): any finer layer reads "
        f"the same, so neither a value nor a change can be read off; {cure} or a layer-wise summary"
    )


def _ceiling_name(case: Case) -> str:
    """Name the bound that the ceiling is: log n, the target's entropy, or what the card says."""
    ceiling, target = case.estimate.ceiling or 0.0, case.context.target
    if abs(ceiling - math.log(max(case.context.portrait.n, 2))) < 1e-9:
        return "log n"
    if target.entropy is not None and abs(ceiling - target.entropy) < 1e-9:
        return f"H({target.name})"
    return case.card.ceiling or "its ceiling"


def resolution(case: Case) -> str | None:
    """At the most that so few units can say in so many bins."""
    if not case.at_ceiling or _earned(case) or not _limited_by_bins(case):
        return None
    ceiling, units = case.estimate.ceiling or 0.0, case.context.portrait.d
    return (
        f"at {100 * min(case.estimate.value / ceiling, 1.0):.0f} % of what {units} units can say"
        f" in these bins ({bits(ceiling)}): a rise cannot show, a fall can; "
        "use more bins to see finer"
    )


def _limited_by_bins(case: Case) -> bool:
    """Whether the ceiling is the capacity of the bins, below log n and the target's entropy."""
    ceiling, target = case.estimate.ceiling or 0.0, case.context.target
    others = [math.log(max(case.context.portrait.n, 2))]
    others += [target.entropy] if target.entropy is not None else []
    return case.info("occupied") is not None and ceiling < 0.99 * min(others)


def _earned(case: Case) -> bool:
    """Whether the ceiling is the target's own entropy, reached with samples to spare."""
    target = case.context.target
    if target.entropy is None or target.symbols is None:
        return False
    own = abs((case.estimate.ceiling or 0.0) - target.entropy) <= 1e-6 * max(target.entropy, 1.0)
    return own and case.context.portrait.n >= SAMPLES_PER_BIN * target.symbols


def _binned(case: Case) -> bool:
    return case.info("singleton_share") is not None or "bins" in case.card.params


def _noisy(case: Case) -> bool:
    return any(name in case.card.params for name in ("variance", "sigma", "scale"))


def singleton(case: Case) -> str | None:
    """Nearly all rows are alone in their bin, or out of reach of each other."""
    share = case.info("singleton_share", "isolated_share")
    return _alone(case, share) if share is not None and share >= SINGLE_SHARE else None


def many_singletons(case: Case) -> str | None:
    """Most rows are alone in their bin, or out of reach of each other."""
    share = case.info("singleton_share", "isolated_share")
    doubtful = share is not None and SINGLE_DOUBT <= share < SINGLE_SHARE
    return _alone(case, share or 0.0) if doubtful else None


def _alone(case: Case, share: float) -> str:
    if case.info("singleton_share") is None:
        return (
            f"{100 * share:.0f} % of rows are out of reach of every other at this noise, so the "
            "number counts rows and not states; raise the noise"
        )
    return (
        f"{100 * share:.0f} % of rows are alone in their bin, so the number counts rows and not "
        "states; lower the number of bins or read mi.kde"
    )


def samples_per_bin(case: Case) -> str | None:
    """Fewer than five samples an occupied bin, and no low null that vouches for the number."""
    occupied = case.info("occupied", "symbols", "states")
    if not occupied:
        return None
    per_bin = case.context.portrait.n / occupied
    vouched = case.null is not None and case.null.mean <= 0.1 * case.scale
    if per_bin >= SAMPLES_PER_BIN or vouched:
        return None
    return (
        f"only {per_bin:.1f} samples an occupied bin, so the plug-in entropy is biased; "
        "lower the number of bins or take a larger probe set"
    )


def dead_units(case: Case) -> str | None:
    """Half of the units or more never move."""
    portrait = case.context.portrait
    if not DEAD_SHARE * portrait.d <= portrait.dead < portrait.d:
        return None
    return (
        f"{portrait.dead} of {portrait.d} units are dead (one value on all samples): the number "
        "describes the others; look at the activation histogram"
    )


def ties(case: Case) -> str | None:
    """Repeated rows, where the estimator assumes a density."""
    if "k" not in case.card.params or case.context.portrait.ties < TIES:
        return None
    return (
        f"{100 * case.context.portrait.ties:.0f} % of rows are exact repeats, which breaks the "
        "density that nearest neighbours assume; read a binned or discrete estimator"
    )


def dimension(case: Case) -> str | None:
    """More dimensions than the estimator supports, by its own word or in effect."""
    limit, joint = case.card.max_dim, case.estimate.flags.value("high_dimension")
    if limit is None:
        return None
    if joint is not None:
        return (
            f"{joint} joint dimensions, and {case.card.label} supports {limit}: it reads too low; "
            "compress first (mi.compressed)"
        )
    portrait = case.context.portrait
    if portrait.d <= limit or portrait.effective_dim <= limit:
        return None
    return (
        f"the layer has {portrait.effective_dim:.0f} effective dimensions and {case.card.label} "
        f"supports {limit}: it reads too low; compress first (mi.compressed)"
    )


def sigma(case: Case) -> str | None:
    """Doubt a kernel so wide that all rows look the same."""
    noise = _noise(case)
    spread = case.context.portrait.spread
    if noise is None or spread <= 0 or noise <= WIDE_SIGMA * spread:
        return None
    return (
        f"the kernel's width {noise:.3g} is {noise / spread:.0f} times the layer's mean distance "
        f"{spread:.3g}, so all rows look the same; lower it"
    )


def _noise(case: Case) -> float | None:
    """Width of the noise or kernel: as the estimator resolved it, else as it was asked for."""
    asked = case.estimate.params
    width, variance = case.info("sigma", "noise"), case.info("variance")
    if width is None and variance is None and isinstance(asked.get("sigma"), (int, float)):
        width = float(asked["sigma"])
    if width is None and variance is None and isinstance(asked.get("variance"), (int, float)):
        variance = float(asked["variance"])
    return width if width is not None or variance is None else math.sqrt(max(variance, 0.0))


def heavy_tail(case: Case) -> str | None:
    """Doubt a layer with rows so far out that bins, kernels or moments see only them."""
    tail = case.context.portrait.tail
    if tail <= TAIL:
        return None
    return (
        f"the largest deviation is {tail:.0f} times the 99.5 % quantile: a few extreme rows decide "
        "the resolution; read mi.adaptive or look at those rows"
    )


def _violation(case: Case) -> float:
    """How far the value is outside [0, ceiling], beyond its own noise."""
    value, ceiling = case.estimate.value, case.estimate.ceiling
    entropy = case.context.target.entropy
    if case.about_labels and entropy is not None and "I(V" in case.card.measures:
        ceiling = entropy if ceiling is None else min(ceiling, entropy)
    # Not everything called information is one: only the estimator knows that zero is its floor.
    below = -value if "bound_violated" in case.estimate.flags else 0.0
    excess = max(below, 0.0 if ceiling is None else value - ceiling)
    noise = 3 * case.estimate.stderr if case.estimate.stderr else 1e-9
    if case.null is not None:
        noise = max(noise, 3 * case.null.sd)
    return excess if excess > noise else 0.0


def bound_broken(case: Case) -> str | None:
    """Outside what an information can be, by much."""
    amount = _violation(case)
    return _outside(case, amount) if amount > VIOLATION * case.scale else None


def bound_touched(case: Case) -> str | None:
    """Outside what an information can be, by little."""
    amount = _violation(case)
    return _outside(case, amount) if 0 < amount <= VIOLATION * case.scale else None


def _outside(case: Case, amount: float) -> str:
    bound = f"H({case.context.target.name})" if case.about_labels else _ceiling_name(case)
    side = "below zero" if case.estimate.value < 0 else f"above {bound}"
    return (
        f"{bits(amount)} {side}, which no information can be: an assumption of {case.card.label} "
        "is broken here; read another estimator"
    )


def few_samples(case: Case) -> str | None:
    """Less than twice the samples below which the estimator refuses."""
    n, least = case.context.portrait.n, case.card.min_samples
    if least < 10 or n >= 2 * least:  # a least of a few rows is a matter of definition, not of bias
        return None
    return (
        f"{n} samples, and {case.card.label} refuses below {least}: the error is large; take a "
        "larger probe set"
    )


def rare_class(case: Case) -> str | None:
    """Doubt a class with hardly any members."""
    smallest = case.context.target.smallest
    if not case.about_labels or smallest is None or smallest >= RARE:
        return None
    return (
        f"the rarest class has {smallest} member{'s' * (smallest != 1)}: its part of H(T|Y) is "
        "guesswork; take a stratified probe set or merge classes"
    )


def comparable(card: Card) -> bool:
    """Whether an estimator answers how much V and T share, so that two answers should be equal.

    Other dependences have other units, and a lower bound may honestly read less.
    """
    return card.measures.startswith("I(V") and card.bound != "lower"


def disagreement(case: Case) -> str | None:
    """Every sound estimator of the same I(T;Y) reads something else."""
    entropy = case.context.target.entropy
    if not case.about_labels or not entropy or not case.context.peers or not comparable(case.card):
        return None
    value = case.estimate.value
    name, other = min(case.context.peers.items(), key=lambda item: abs(item[1] - value))
    if abs(other - value) <= DISAGREEMENT * entropy:
        return None
    return (
        f"{name} reads {bits(other)} where this reads {bits(value)}: the answer depends on the "
        "estimator; report both"
    )


def wide_error(case: Case) -> str | None:
    """Doubt a standard error of half of the value or more."""
    stderr = case.estimate.stderr
    if stderr is None or stderr < 0.5 * abs(case.estimate.value) or stderr < 0.01 * case.scale:
        return None
    return (
        f"the standard error is {bits(stderr)} on {bits(case.estimate.value)}; "
        "take more samples before reading a change"
    )


_TOLD = ("bound_violated", "dead", "high_dimension", "saturated", "singleton_bins", "isolated")
"""Flags that other rules put into words."""


def unreliable(case: Case) -> str | None:
    """Pass on that the estimator itself says that an assumption is broken."""
    flags = [flag for flag in case.estimate.flags if flag.partition("=")[0] not in _TOLD]
    if case.estimate.status is not Status.UNRELIABLE or not flags:
        return None
    return f"{case.card.label} flags {', '.join(flags)}; see its card for what that means"


RULES: tuple[Rule, ...] = (
    Rule("inside_null", Verdict.NOT_USABLE, inside_null),
    Rule("saturated", Verdict.NOT_USABLE, saturated),
    Rule("bound_broken", Verdict.NOT_USABLE, bound_broken),
    Rule("singleton", Verdict.NOT_USABLE, singleton),
    Rule("constant", Verdict.CAUTION, constant, information_only=False),
    Rule("resolution", Verdict.CAUTION, resolution),
    Rule("nothing_detected", Verdict.CAUTION, nothing_detected),
    Rule("mostly_null", Verdict.CAUTION, mostly_null),
    Rule("dead_units", Verdict.CAUTION, dead_units, information_only=False),
    Rule("heavy_tail", Verdict.CAUTION, heavy_tail, information_only=False),
    Rule("sigma", Verdict.CAUTION, sigma, information_only=False),
    Rule("dimension", Verdict.CAUTION, dimension, information_only=False),
    Rule("ties", Verdict.CAUTION, ties, information_only=False),
    Rule("bound_touched", Verdict.CAUTION, bound_touched),
    Rule("many_singletons", Verdict.CAUTION, many_singletons),
    Rule("samples_per_bin", Verdict.CAUTION, samples_per_bin),
    Rule("rare_class", Verdict.CAUTION, rare_class),
    Rule("few_samples", Verdict.CAUTION, few_samples, information_only=False),
    Rule("wide_error", Verdict.CAUTION, wide_error, information_only=False),
    Rule("disagreement", Verdict.CAUTION, disagreement),
    Rule("unreliable", Verdict.CAUTION, unreliable, information_only=False),
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
