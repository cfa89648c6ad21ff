"""Measure what the page of estimators says of each: milliseconds a call, and error against truths.

    OMP_NUM_THREADS=1 python benchmarks/cards.py [--only mi.ksg …] [--out FILE]

Time: the least processor time of three calls (one, for thorough ones) with the usual parameters on
1,000 samples of a layer of 32 units (4, for cards that name a largest dimension) and ten classes;
attention maps of 32 × 32 in four heads, 256
channels of weights. Error: value less truth on every truth that the card claims, at 1,000 samples,
the mean of three draws.
"""

from __future__ import annotations

import argparse
import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
from arena import seconds

from infoplane.estimators import Card, catalogue
from infoplane.estimators.claims import ask, claims
from infoplane.types import Cost, Kind

HERE = Path(__file__).parents[1] / "infoplane/estimators/measured.json"
N, D, CLASSES = 1000, 32, 10


def layer(d: int = D, seed: int = 0) -> np.ndarray:
    """A tanh layer in which the class shows."""
    rng = np.random.default_rng(seed)
    centres = 0.7 * rng.standard_normal((CLASSES, d))
    return np.tanh(centres[labels()] + 0.5 * rng.standard_normal((N, d)))


def labels() -> np.ndarray:
    """Ten balanced classes."""
    return np.arange(N) % CLASSES


def attention() -> np.ndarray:
    """Maps of four heads."""
    raw = np.exp(np.random.default_rng(1).standard_normal((32, 4, 32, 32)))
    return raw / raw.sum(axis=-1, keepdims=True)


def arguments(card: Card) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What the card is called with."""
    rng, y = np.random.default_rng(2), labels()
    special = {
        "mi.reconstruction": (layer(), layer(seed=1)),
        "mi.autoinformation": (layer(), layer() + 0.1 * layer(seed=1)),
        "mi.codes": (y, np.digitize(layer(8), [-0.5, 0.0, 0.5])),
        "mi.stochastic": (y, np.hstack([layer(16), 0.1 + layer(16) ** 2])),
        "divergence.cauchy_schwarz_conditional": (layer(), layer(1), layer(1) + 0.1),
        "interaction.pid": ((layer(), layer(seed=1)), y),
    }
    extra = {
        "classifier": {"weight": rng.standard_normal((CLASSES, D))},
        "gradient": {
            "gradient": rng.standard_normal((N, D)),
            "function_values": np.linspace(0.5, 2.0, N),
        },
    }.get(card.needs, {})
    if card.id in special:
        return special[card.id], extra
    main = {
        "logits": layer(CLASSES),
        "attention": attention(),
        "weights": rng.standard_normal((256, D)),
        "scalar": layer(1),
        "layers": [layer(4, seed) for seed in range(3)],
    }.get(card.needs, layer(4 if card.max_dim else D))
    names = [p.name for p in inspect.signature(card.function).parameters.values()
             if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]  # fmt: skip
    if len(names) == 1:
        return (main,), extra
    if names[0] != "v":
        return (main, y), extra
    discrete = any(first is Kind.DISCRETE for first, _ in card.accepts)
    return (y if discrete else layer(8), main), extra


def milliseconds(card: Card) -> float:
    """Processor time of one call."""
    args, extra = arguments(card)
    runs = 1 if card.cost is Cost.THOROUGH else 3
    return 1e3 * seconds(lambda: card.function(*args, **extra, rng=0), runs)[0]


def errors(card: Card) -> dict[str, float]:
    """Mean error on each truth that the card claims."""
    seeds = range(1 if card.cost is Cost.THOROUGH else 3)
    return {
        task.name: round(
            float(np.mean([ask(card, task, N, seed).value for seed in seeds])) - value, 4
        )
        for task, _, value in claims(card)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", help="measure these again, keep the others")
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    known = json.loads(options.out.read_text()) if options.out.exists() else {}
    for card in catalogue():
        if options.only is not None and card.id not in options.only:
            continue
        known[card.id] = {"ms": float(f"{milliseconds(card):.2g}"), "error": errors(card)}
        print(f"{card.id:40} {known[card.id]}", flush=True)
        text = json.dumps({one.id: known[one.id] for one in catalogue() if one.id in known},
                          indent=1, ensure_ascii=False)  # fmt: skip
        options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
