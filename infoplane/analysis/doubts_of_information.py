"""Reasons to doubt a number as information: nulls, ceilings, bins, bounds, other estimators.

Each rule returns a sentence when it holds and None when it does not.
"""

from __future__ import annotations

import math

from infoplane.analysis.case import Case, bits
from infoplane.analysis.null import is_above
from infoplane.estimators.registry import Card

SINGLE_SHARE = 0.9  # share of rows alone in their bin from which bins say nothing
SINGLE_DOUBT = 0.5
SAMPLES_PER_BIN = 5.0
NULL_SHARE = 0.5  # share of the estimate (or the ceiling) that the null may take
EXCESS = 0.05  # share of the ceiling that an estimate must be above a crowded null
DISAGREEMENT = 0.25  # of H(Y), between an estimate of I(T;Y) and the nearest sound one
OUTSIDE = 0.05  # share of values beyond the bins' range from which growth reads as a loss
VIOLATION = 0.05  # share of the ceiling by which a bound may be passed with a caution


def inside_null(case: Case) -> str | None:
    """Shuffled pairs give nearly as much, and the null is so high that little could stand out."""
    null = case.null
    if null is None or not _crowded(case):
        return None
    if is_above(null) and case.estimate.value - null.mean > EXCESS * case.scale:
        return None
    where = "hardly above its null" if is_above(null) else "inside its null"
    return (
        f"{where}: {bits(case.estimate.value)} with the true pairing, {bits(null.q95)} with a "
        f"shuffled one (95 %), so it says nothing about {case.context.target.name or 'Y'} here; "
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


def outside_range(case: Case) -> str | None:
    """Many values are beyond a fixed range, so growth of the layer shows as a loss."""
    share = case.info("outside_share")
    if share is None or share < OUTSIDE:
        return None
    return (
        f"{100 * share:.0f} % of values lie beyond the range of the bins and share the two end "
        "bins, so a layer that grows reads less; use range='layer', a bin width or mi.adaptive"
    )


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


def beyond_samples(case: Case) -> str | None:
    """More than log n: what n samples show only to those who assume a density between them."""
    most, bound = math.log(max(case.context.portrait.n, 2)), case.estimate.ceiling
    noise = 3 * (case.estimate.stderr or 0.0)
    bounded = bound is not None and bound <= most  # a bound that is broken is told as such
    if bounded or "I(V" not in case.card.measures or case.estimate.value - most <= noise:
        return None
    return (
        f"{bits(case.estimate.value)} are {bits(case.estimate.value - most)} above log n, the most "
        f"that {case.context.portrait.n:,} samples can show: the rest is what "
        f"{case.card.label} assumes about the density between them"
    )


def _outside(case: Case, amount: float) -> str:
    bound = f"H({case.context.target.name})" if case.about_labels else _ceiling_name(case)
    side = "below zero" if case.estimate.value < 0 else f"above {bound}"
    return (
        f"{bits(amount)} {side}, which no information can be: an assumption of {case.card.label} "
        "is broken here; read another estimator"
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
