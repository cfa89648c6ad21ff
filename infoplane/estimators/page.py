"""The catalogue as a page to read: every card in Markdown, by family, with a table on top.

What was measured (``benchmarks/cards.py``) lies beside this file as ``measured.json``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from infoplane.estimators.registry import Card, Param, catalogue
from infoplane.types import Kind

FAMILIES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Bins", "Counting, after the units are cut into intervals. Answers depend on the bins.",
     ("mi.binning", "mi.adaptive", "mi.binning_given", "mi.birge_rozenholc")),
    ("Noise and kernel densities", "The layer with Gaussian noise added: finite where the layer "
     "itself is deterministic. Answers depend on the noise.",
     ("mi.kde", "mi.kde_adaptive", "mi.noisy", "mi.stochastic", "mi.fft_kde")),
    ("Nearest neighbours", "For low-dimensional joint densities; compress wide layers first.",
     ("mi.ksg", "mi.kl", "mi.compressed", "mi.autoinformation")),
    ("Closed forms and exact channels", "No density estimate: a Gaussian, a softmax, codes.",
     ("mi.gaussian", "mi.softmax", "mi.codes")),
    ("Kernel matrices", "Functions of Gram matrices and diffusion operators. Not Shannon "
     "information: compare them with themselves, at the same width and number of samples.",
     ("mi.renyi", "mi.dime", "mi.cauchy_schwarz", "mi.diffusion", "entropy.renyi",
      "entropy.renyi_joint", "entropy.renyi_conditional", "entropy.diffusion",
      "divergence.cauchy_schwarz_conditional")),
    ("Trained bounds and denoisers", "A small network is trained for every estimate; its value is "
     "read on held-out pairs. On demand, not while training runs. Put them to "
     "`estimators.self_consistency` first.",
     ("mi.mine", "mi.nwj", "mi.js", "mi.tuba", "mi.infonce", "mi.smile", "mi.minde")),
    ("Probes, transport, directions", "What a linear probe can use; distances from independence; "
     "entropies of directions and of single units.",
     ("mi.usable", "distance.wasserstein", "mi.reconstruction", "entropy.sphere",
      "entropy.spacing")),
    ("Several layers together", "Redundancy and synergy. On a run `other_layers` names the layers "
     "beside the one measured.", ("interaction.",)),
    ("Rank and diversity", "How many directions a layer uses: functions of one spectrum.",
     ("diversity.", "rank.", "entropy.matrix", "norm.")),
    ("Intrinsic dimension", "From distances to nearest neighbours.", ("dimension.",)),
    ("Neural collapse", "How close a layer is to one point a class on a simplex. 0 at collapse.",
     ("collapse.",)),
    ("Coding", "Rates and description lengths.", ("rate.", "description.", "complexity.")),
    ("Sparsity and attention", "Shares of silent units; how widely queries look.",
     ("sparsity.", "attention.")),
    ("Through the loss and along training", "With gradients, or along the way of a layer.",
     ("fisher.", "entropy.layer")),
)  # fmt: skip
"""Title, one sentence, and the ids (or beginnings of ids) of each family, in order."""

NEEDS = {
    "representation": "the layer",
    "labels": "the layer and class labels",
    "logits": "logits or probabilities of the output",
    "classifier": "the layer and the weights that read it (`weight=`)",
    "gradient": "the layer, gradients of a loss and its values (`gradient=`, `function_values=`)",
    "attention": "attention maps",
    "weights": "weights of the network",
    "layers": "several layers",
    "scalar": "one unit",
    "codes": "symbols, or logits of k-way codes",
    "stochastic": "means and standard deviations side by side",
    "views": "two embeddings of the same samples",
}
BOUNDS = {
    "lower": "a lower bound of it",
    "upper": "an upper bound of it",
    "exact": "exactly it",
    "neither": "an estimate of it, no bound",
}
HEAD = """# Estimators

<!-- Written by `infoplane catalogue --markdown`. Change the cards, not this file. -->

Every number has a card that says what it really is. **For a deterministic network with continuous
activations I(X;T) is infinite, or constant for a finite set of inputs**: what an estimator reports
instead is the information of the binned layer, of the layer with noise, of a kernel or of a
compressed copy. The column *what the number is* says which; the axes of every figure do too.

Values are in nats (bits on the screen), raw: a negative estimate of an information stays negative.
V is the variable asked about (inputs X, labels Y, another layer), T the layer; n samples, d units.
*Tier*: quick ones run on every snapshot, standard ones at a stride, thorough ones on demand.
*ms*: processor time of one call on one core, 1,000 samples, 32 units (4, where the card names a
largest dimension). *Error*: value less truth, where it is largest among the
[truths](../infoplane/truth) that the card claims, at 1,000 samples; ≤ where its tests hold it to an
exact value. `estimators.get(id)` is the function, `infoplane catalogue ID` the card in a terminal.

`evaluate` and `infoplane evaluate` measure a run. Parameters that end in `_step` or `_layer` name
another snapshot or layer of it: `evaluate(run, [("mi.compressed", {"reference_step": 0})])`
projects all steps by the axes of step 0, `{"mean_layer": "mean", "deviation_layer": "sd"}` tells
`mi.stochastic` which modules put out its noise. What is fitted once (a projection, a critic, the
codes and clusters of X) is kept in the run, for later evaluations and every worker.
"""


@cache
def measured() -> Mapping[str, Mapping[str, Any]]:
    """Return milliseconds and errors by id of the estimator."""
    text = files(__package__).joinpath("measured.json").read_text(encoding="utf-8")
    result: dict[str, Mapping[str, Any]] = json.loads(text)
    return result


def families() -> Iterator[tuple[str, str, list[Card]]]:
    """Yield title, sentence and cards of each family; cards of no family come last."""
    left = {card.id: card for card in catalogue()}
    for title, sentence, patterns in FAMILIES:
        names = [
            name
            for pattern in patterns
            for name in left
            if name == pattern or (pattern.endswith(".") and name.startswith(pattern))
        ]
        yield title, sentence, [left.pop(name) for name in dict.fromkeys(names)]
    if left:
        yield "Others", "", list(left.values())


def markdown() -> str:
    """Return the page: the table of all estimators, then every card."""
    parts = [HEAD]
    for title, _, cards in families():
        parts.append(f"\n**[{title}](#{_anchor(title)})**\n\n" + "\n".join(_table(cards)))
    for title, sentence, cards in families():
        parts.append(f"\n## {title}\n\n{sentence}")
        parts += [section(card) for card in cards]
    return "\n".join(parts).rstrip() + "\n"


def section(card: Card) -> str:
    """Return one card in Markdown."""
    facts = [
        ("What the number is", f"{card.measures}; {BOUNDS[card.bound]}"),
        ("Formula", f"{card.formula}"),
        ("Unit", "nats" if card.unit == "nat" else "a plain number"),
        ("Needs", f"{NEEDS[card.needs]}; at least {card.min_samples} samples"
                  + (f"; up to {card.max_dim} joint dimensions" if card.max_dim else "")),
        ("Takes", _kinds(card)),
        ("Ceiling", card.ceiling),
        ("Assumes", "; ".join(card.assumes)),
        ("Unchanged by", ", ".join(_law(law) for law in card.invariant)),
        ("Cost", f"{card.cost.value}; grows as {card.complexity}; {_milliseconds(card)}"),
        ("Error", _errors(card)),
        ("Reference", card.reference),
    ]  # fmt: skip
    lines = [f"\n### {card.label}: `{card.id}`\n", card.summary, ""]
    lines += [f"- **{name}.** {escaped(value)}" for name, value in facts if value]
    lines += [f"- **Limit.** {escaped(limit)}" for limit in card.limits]
    if card.params:
        lines += ["", "| parameter | default | may be |", "|---|---|---|"]
        lines += [_row(param.name, _default(param), param.describe()) for param in _params(card)]
    return "\n".join(lines)


def _table(cards: list[Card]) -> Iterator[str]:
    yield "| estimator | what the number is | tier | ms | error |"
    yield "|---|---|---|---:|---:|"
    for card in cards:
        yield (
            f"| [`{card.id}`](#{_anchor(f'{card.label}: {card.id}')}) | {_cell(card.measures)} "
            f"| {card.cost.value} | {_number(card)} | {_worst(card)} |"
        )


def _params(card: Card) -> list[Param]:
    return list(card.params.values())


def _row(name: str, default: str, allowed: str) -> str:
    return f"| `{name}` | {_cell(default)} | {_cell(allowed)} |"


def _default(param: Param) -> str:
    return "" if param.default is None else f"`{param.default!r}`"


def _cell(text: str) -> str:
    return escaped(text).replace("|", "\\|")


def escaped(text: str) -> str:
    """Escape what Markdown would read as marks."""
    return text if "`" in text else text.replace("*", "\\*").replace("<", "&lt;")


def _kinds(card: Card) -> str:
    if isinstance(card.accepts[0], Kind):
        return "T " + " or ".join(str(kind.value) for kind in card.accepts)
    first = "V" if card.quantity == "mi" else "the first"
    second = "T" if card.quantity == "mi" else "the second"
    return "; ".join(f"{first} {a.value}, {second} {b.value}" for a, b in card.accepts)


def _law(law: str) -> str:
    return {
        "swap": "exchanging V and T",
        "row order": "the order of samples",
        "unit order": "the order of units",
        "label names": "the names of labels",
        "duplicated unit": "a unit given twice",
        "constant unit": "a constant unit",
    }.get(law, law)


def _number(card: Card) -> str:
    ms = measured().get(card.id, {}).get("ms")
    return "" if ms is None else f"{ms:,.0f}" if ms >= 10 else f"{ms:.2g}"


def _milliseconds(card: Card) -> str:
    return f"{_number(card)} ms" if _number(card) else "not measured"


def _worst(card: Card) -> str:
    errors = measured().get(card.id, {}).get("error", {})
    if errors:
        return f"{max(errors.values(), key=abs):+.3f}"
    return f"≤ {max(card.tolerance.values()):.2g}" if card.tolerance else ""


def _errors(card: Card) -> str:
    errors = measured().get(card.id, {}).get("error", {})
    held = {name: most for name, most in card.tolerance.items() if name not in errors}
    parts = [f"{error:+.3f} on {name}" for name, error in errors.items()]
    parts += [f"at most {most:.2g} in its tests ({name})" for name, most in held.items()]
    return ", ".join(parts)


def _anchor(title: str) -> str:
    kept = "".join(c for c in title.lower() if c.isalnum() or c in " -_")
    return kept.replace(" ", "-")
