"""Multi-information over small groups of units, by counting symbols."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations, islice
from typing import Annotated, Any

import numpy as np

from infoplane.estimators.contract import (
    Rng,
    conclude,
    enough,
    entropy_of_counts,
    fold,
    is_discrete,
    ranks,
    symbols,
)
from infoplane.estimators.interaction import TOLERATED, Others, column_marks, compressed, variables
from infoplane.estimators.registry import Bounds, check_params, estimator
from infoplane.estimators.shared import Shared
from infoplane.types import Cost, Estimate, IntArray, Kind, Quantity, Status


@estimator(
    id="interaction.factorised",
    label="factorised information",
    quantity=Quantity.INTERACTION,
    measures="mean multi-information over all groups of `order` units, binned into `levels`",
    formula="F = mean_A [Σ_{i∈A} H(X_i) − H(X_A)] over |A| = order",
    accepts=(Kind.CONTINUOUS, Kind.DISCRETE),
    cost=Cost.STANDARD,
    complexity="n C(d, order)",
    assumes=("rows i.i.d.", "the samples fill the cells of a group"),
    min_samples=4,
    invariant=("row order", "unit order", "scaling", "shift"),
    limits=(
        "pairs miss synergy: 0 for the three bits of a XOR",
        "counting bias grows with levels^order / n (info['bias'], flag few_samples)",
        "above 2,000 groups an even selection of them is taken and flagged",
    ),
    reference="Merkh & Montúfar, Factorized mutual information maximization, Kybernetika 56 (2020)",
    tolerance={"binary_symmetric": 0.065, "z_channel": 0.05, "erasure": 0.035},
    needs="layers",
    meaningful_null=(),
)
def factorised(
    t: Any,
    *,
    order: Annotated[int, Bounds(2, 6)] = 2,
    levels: Annotated[int, Bounds(2, 64)] = 4,
    other_layers: Others = None,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """Mean multi-information over all groups of ``order`` variables, in nats, by counting.

    Parameters
    ----------
    t : sequence or mapping of (n,) or (n, d_i) arrays, or one array (n, N)
        The variables; integers are symbols, floats are cut into ``levels`` equally full bins (a
        layer by its first principal component).
    order : int
        Size of the groups: 2 for pairs, the number of variables for their total correlation.
    levels : int
        Bins of a continuous variable.
    other_layers : tuple of str or None
        In a run: the layers beside T, at the same step.
    rng, shared
        Not used.

    Returns
    -------
    Estimate
        ``info["bias"]`` is about what counting adds to the value when cells are rare (not
        subtracted); above 0.1 nat and a tenth of the value it is unreliable (``few_samples``).
    """
    name = "interaction.factorised"
    asked = {"order": order, "levels": levels, "other_layers": other_layers}
    params = check_params(name, asked)
    given = variables(t, name, params["other_layers"])
    enough(len(given[0]), 4, estimator=name)
    codes = [code for one in given if (code := symbol_codes(one, levels, name)).max() > 0]
    n = len(given[0])
    common: dict[str, Any] = {"estimator": name, "n": n, "d": len(given), "params": params}
    if len(codes) < order:
        return conclude(0.0, flags=["constant"], status=Status.DEGENERATE, **common)
    groups = math.comb(len(codes), order)
    stride = -(-groups // 2000)
    sizes = [int(code.max()) + 1 for code in codes]
    chosen = list(islice(combinations(range(len(codes)), order), 0, None, stride))
    alone = [entropy_of_counts(np.bincount(code)) for code in codes]
    values = [
        sum(alone[i] for i in group)
        - entropy_of_counts(np.bincount(fold([codes[i] for i in group], n)))
        for group in chosen
    ]
    value = float(np.mean(values))
    bias = float(np.mean([counting_bias(sizes, group, n) for group in chosen]))
    flags = [*column_marks(given), *([f"groups={len(values)}/{groups}"] if stride > 1 else [])]
    few = bias > max(TOLERATED, 0.1 * value)
    return conclude(
        value,
        floor=0.0,
        flags=[*flags, *(["few_samples"] if few else [])],
        status=Status.UNRELIABLE if few else Status.OK,
        info={"bias": bias},
        **common,
    )


def counting_bias(sizes: Sequence[int], group: Sequence[int], n: int) -> float:
    """Return (Π K_i − 1 − Σ (K_i − 1)) / 2n, what counting adds to a multi-information at most."""
    kinds = [sizes[i] for i in group]
    return float(math.prod(kinds) - 1 - sum(kind - 1 for kind in kinds)) / (2 * n)


def symbol_codes(layer: Any, levels: int, name: str) -> IntArray:
    """Codes of a variable: symbols of integers, equally full bins of a layer's first component."""
    if is_discrete(layer):
        return symbols(layer, name="t")
    points = compressed(layer, 1, name)
    if points.shape[1] == 0:
        return np.zeros(len(points), dtype=np.int64)
    column = points[:, 0]
    edges = np.quantile(column, np.arange(1, levels) / levels)
    return ranks(np.searchsorted(edges, column, side="right"))
