"""Reasons to doubt a number because of the data: dead units, ties, tails, dimensions, few samples.

Each rule returns a sentence when it holds and None when it does not.
"""

from __future__ import annotations

import math

from infoplane.analysis.case import Case, bits
from infoplane.types import Quantity, Status

DEAD_SHARE = 0.5  # share of dead units from which a layer's number is doubted
TIES = 0.05  # share of repeated rows that a nearest-neighbour estimator bears
TAIL = 20.0  # largest deviation over the 99.5 % quantile
FEW = 50  # samples below which every information is uncertain
RARE = 10  # members of a class below which its conditional entropy is guesswork
WIDE_SIGMA = 3.0  # noise over the root mean square distance from which everything looks the same

_TOLD = (
    "bound_violated",
    "dead",
    "high_dimension",
    "saturated",
    "singleton_bins",
    "isolated",
    "large_weights",
)
"""Flags that other rules put into words."""


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
    portrait = case.context.portrait
    if not portrait.has_tail(TAIL):
        return None
    return (
        f"the largest deviation is {portrait.tail:.0f} times the 99.5 % quantile: a few extreme "
        "rows decide the resolution; read mi.adaptive or look at those rows"
    )


def few_samples(case: Case) -> str | None:
    """Less than twice the samples below which the estimator refuses, or hardly any at all."""
    n, least = case.context.portrait.n, case.card.min_samples
    if case.card.quantity is Quantity.MI and n < FEW:
        return f"only {n} samples: the error is large; take a larger probe set"
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


def wide_error(case: Case) -> str | None:
    """Doubt a standard error of half of the value or more."""
    stderr = case.estimate.stderr
    if stderr is None or stderr < 0.5 * abs(case.estimate.value) or stderr < 0.01 * case.scale:
        return None
    return (
        f"the standard error is {bits(stderr)} on {bits(case.estimate.value)}; "
        "take more samples before reading a change"
    )


def amplified(case: Case) -> str | None:
    """Weights of neighbours that do not average noise but multiply it."""
    norm = case.info("weights_norm")
    if norm is None or case.estimate.status is not Status.UNRELIABLE:
        return None
    return (
        f"the weights of its neighbours have a norm of {norm:.3g}, and the noise of every "
        "neighbour counts as many times, so neither a value nor a change can be read off; "
        "compress the layer first, or read mi.ksg"
    )


def unreliable(case: Case) -> str | None:
    """Pass on that the estimator itself says that an assumption is broken."""
    flags = [flag for flag in case.estimate.flags if flag.partition("=")[0] not in _TOLD]
    if case.estimate.status is not Status.UNRELIABLE or not flags:
        return None
    return f"{case.card.label} flags {', '.join(flags)}; see its card for what that means"
