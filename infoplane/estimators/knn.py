"""Mutual information from nearest neighbours: KSG for two continuous variables, Ross for labels.

Both estimate the information of the *density* of (V, T). For a deterministic network and a
continuous input that information is infinite: what is reported is how finely n samples resolve it,
and it grows like log n. Take it for I(T;Y), for compressed codes or for noisy layers.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

import numpy as np
from scipy.special import digamma

from infoplane.errors import InputError
from infoplane.estimators.contract import (
    Rng,
    conclude,
    enough,
    entropy_of_counts,
    generator,
    row_codes,
    same_length,
)
from infoplane.estimators.counting import closer
from infoplane.estimators.neighbours import (
    chebyshev,
    class_places,
    joint_counts,
    kth_distance,
    neighbour_lists,
    untied,
    use_tree,
)
from infoplane.estimators.plugin import shuffled, tally
from infoplane.estimators.registry import CHANNELS, Bounds, check_params, estimator
from infoplane.estimators.screen import compiled
from infoplane.estimators.shared import Shared, recall, serving
from infoplane.estimators.sides import Side, mixed, side, without_neighbours
from infoplane.estimators.threads import MOST, blocks, threads
from infoplane.types import Cost, Estimate, FloatArray, IntArray, Kind, Quantity, Status

KSG = "mi.ksg"
MAX_DIM = 20
REPEATED = 0.1  # share of pairs of rows that repeat from which they are no sample of a density
HELD = 1 << 28  # bytes up to which the null keeps a matrix of distances


def ksg_local(x: FloatArray, t: FloatArray, k: int, workers: int = 1) -> tuple[FloatArray, int]:
    """Local terms ψ(k) + ψ(n) − ψ(n_x+1) − ψ(n_t+1) of KSG-1, (n,), and the number of tied rows.

    Where over k rows share a value of a column, that side gets a jitter of 1e-10 of its scale.
    """
    (x, ties), (t, more) = untied(x, k, t), untied(t, k, x)
    return _ksg_terms(x, t, k, workers), max(ties, more)


def _ksg_terms(x: FloatArray, t: FloatArray, k: int, workers: int) -> FloatArray:
    _, n_x, n_t = joint_counts(x, t, k, workers)
    return np.asarray(digamma(k) + digamma(len(x)) - digamma(n_x + 1) - digamma(n_t + 1))


def ross_local(
    codes: IntArray, t: FloatArray, k: int, workers: int = 1
) -> tuple[FloatArray, int, IntArray]:
    """Local terms ψ(n) − ψ(n_c) + ψ(k_c) − ψ(m) of Ross (2014), the ties, and which rows entered.

    k_c = min(k, n_c − 1); a class of one sample has no neighbour and is left out.
    """
    counts = np.bincount(codes)
    rows = np.flatnonzero(counts[codes] > 1)
    labels = codes[rows]
    points, ties = untied(t[rows], k, *_described(labels, t[rows]))
    radius, k_of = _class_radius(labels, points, k, workers)
    within = closer(points, radius, workers) + 1
    local = digamma(len(rows)) - digamma(counts[labels]) + digamma(k_of) - digamma(within)
    return local, ties, rows


def _described(labels: IntArray, points: FloatArray) -> list[FloatArray]:
    """Return what tells classes apart whatever their names: sizes, and means of their points."""
    sizes = np.bincount(labels)[labels].astype(float)
    return [sizes, *(np.bincount(labels, column)[labels] / sizes for column in points.T)]


def _class_radius(
    labels: IntArray, points: FloatArray, k: int, workers: int
) -> tuple[FloatArray, IntArray]:
    radius, k_of = np.empty(len(labels)), np.empty(len(labels), dtype=np.int64)
    order = np.argsort(labels, kind="stable")
    for members in np.split(order, np.cumsum(np.bincount(labels))[:-1]):
        if len(members):
            k_of[members] = own = min(k, len(members) - 1)
            radius[members] = kth_distance(points[members], own, workers)
    return radius, k_of


def _null(
    v: Any, t: Any, *, draws: int, rng: Rng = None, shared: Shared | None = None, **params: Any
) -> FloatArray:
    """Shuffle the pairing; the neighbour lists (or distances) of T are found once for all draws."""
    params = check_params(KSG, params)
    rng, k = generator(rng), params["k"]
    first, second = _sides(v, t, params, serving(shared, t))
    workers = threads(first.n, params["workers"])
    if first.codes is not None and second.codes is not None:
        return shuffled(tally(first.codes), tally(second.codes), draws, rng)
    if first.codes is None and second.codes is None:
        assert first.points is not None
        assert second.points is not None
        return _ksg_null(first.points, second.points, k, draws, rng, workers)
    codes, points = mixed(first, second)
    if codes.max() == 0 or np.bincount(codes).max() == 1:
        return np.zeros(draws)
    return ross_null(codes, points, k, draws, rng, workers)


def ross_null(
    codes: IntArray, t: FloatArray, k: int, draws: int, rng: np.random.Generator, workers: int = 1
) -> FloatArray:
    """Ross under shuffled labels, (draws,): m is the rank of the k-th neighbour of one's class.

    One list of neighbours serves every draw, for T does not move.
    """
    n, t = len(codes), untied(t, k)[0]
    counts = np.bincount(codes)
    size = min(n - 1, 4 * k * len(counts) + 32)
    shuffles = (rng.permutation(codes) for _ in range(draws))
    k_of = np.minimum(k, counts - 1)
    places = class_places(t, shuffles, k_of, size, workers)
    if places is None and 8 * n * size > HELD:  # hundreds of classes: the lists would not fit
        return np.array([ross_local(drawn, t, k, workers)[0].mean() for drawn in shuffles])
    if places is None:
        near = neighbour_lists(t, size, workers)
        places = (_class_ranks(drawn, t, near, counts, k_of) for drawn in shuffles)
    constant = (counts > 1) @ (counts * (digamma(np.maximum(k_of, 1)) - digamma(counts)))
    kept, terms = counts[counts > 1].sum(), digamma(np.arange(n + 1))
    return np.array([digamma(kept) + (constant - terms[place].sum()) / kept for place in places])


def _class_ranks(
    codes: IntArray, t: FloatArray, near: IntArray, counts: IntArray, k_of: IntArray
) -> IntArray:
    """Place of each row's k-th neighbour of its own class among all neighbours that enter."""
    alone = counts[codes] == 1
    rows = np.flatnonzero(~alone)
    place = _rank_in(codes[near[rows]], codes[rows], k_of[codes[rows]], alone[near[rows]])
    for i in np.flatnonzero(place == 0):  # beyond the list: look at all
        row = rows[i]
        distances = chebyshev(t[row : row + 1], t)[0]
        distances[row] = -1.0
        order = np.argsort(distances, kind="stable")[1:]
        label = codes[row : row + 1]
        place[i] = _rank_in(codes[order][None], label, k_of[label], alone[order][None])[0]
    return place


def _rank_in(labels: IntArray, own: IntArray, k_of: IntArray, skip: FloatArray) -> IntArray:
    """Rank (from 1) of the k-th entry of each row of ``labels`` equal to ``own``; 0 if absent."""
    reached = (labels == own[:, None]).cumsum(axis=1) == k_of[:, None]
    at = reached.argmax(axis=1)
    skipped = np.take_along_axis(skip.cumsum(axis=1), at[:, None], axis=1)[:, 0]
    return np.asarray(np.where(reached.any(axis=1), at + 1 - skipped, 0))


def _ksg_null(
    x: FloatArray, t: FloatArray, k: int, draws: int, rng: np.random.Generator, workers: int
) -> FloatArray:
    n, x, t = len(x), untied(x, k)[0], untied(t, k)[0]
    sought = use_tree(n, x.shape[1] + t.shape[1]) or compiled(n) is not None
    if sought or 16 * n * n > HELD:
        return np.array(
            [_ksg_terms(x[rng.permutation(n)], t, k, workers).mean() for _ in range(draws)]
        )
    in_x, in_t = chebyshev(x, x), chebyshev(t, t)
    return np.array([_held_ksg(in_x, in_t, rng.permutation(n), k) for _ in range(draws)])


def _held_ksg(in_x: FloatArray, in_t: FloatArray, pairing: IntArray, k: int) -> float:
    n, total = len(in_x), 0.0
    for rows in blocks(n):
        mine = in_x[pairing[rows]][:, pairing]
        joint = np.maximum(mine, in_t[rows])
        joint.partition(k, axis=1)
        n_x = np.count_nonzero(mine < joint[:, k, None], axis=1)
        n_t = np.count_nonzero(in_t[rows] < joint[:, k, None], axis=1)
        total += float((digamma(np.maximum(n_x, 1)) + digamma(np.maximum(n_t, 1))).sum())
    return float(digamma(k) + digamma(n)) - total / n


def _sides(v: Any, t: Any, params: dict[str, Any], shared: Shared | None) -> tuple[Side, Side]:
    scale, k = params["standardise"], params["k"]

    def read(array: Any, name: str) -> Side:
        return side(array, name=name, estimator=KSG, k=k, scale=scale, grid=True)

    return read(v, "v"), recall(shared, ("knn.side", k, scale), lambda: read(t, "t"))


@estimator(
    id=KSG,
    label="KSG",
    quantity=Quantity.MI,
    measures="I(V;T) of the joint density, resolved to k neighbours; infinite in truth when T is a "
    "function of a continuous X",
    formula="I = ψ(k) + ψ(n) − ⟨ψ(n_v+1) + ψ(n_t+1)⟩;  V discrete: "
    "I = ψ(n) − ⟨ψ(n_c)⟩ + ψ(k) − ⟨ψ(m)⟩",
    accepts=(
        (Kind.CONTINUOUS, Kind.CONTINUOUS),
        (Kind.DISCRETE, Kind.CONTINUOUS),
        (Kind.CONTINUOUS, Kind.DISCRETE),
        (Kind.DISCRETE, Kind.DISCRETE),
    ),
    cost=Cost.STANDARD,
    complexity="n log n up to six joint dimensions, n² d beyond",
    min_samples=7,
    max_dim=MAX_DIM,
    ceiling="ψ(n) − ψ(k); H(V) when V is discrete",
    invariant=("row order", "swap", "label names", "scaling", "constant unit"),
    assumes=("rows i.i.d.", "a density at the scale of the neighbourhood"),
    limits=(
        "biased low in many dimensions and for large information: at 5+5 dimensions 0.7 for 1.02",
        "biased low for heavy tails: 0.04 for 0.11 of a Student vector of 2+2 columns, ν = 3",
        "cannot pass log n: I(X;T) of a deterministic layer reads log(n/k) whatever the layer does",
        "repeated values put many rows at one distance: they are jittered by 1e-10; rows that "
        "repeat over k times are counted as symbols",
        "columns of a few values (bits, quantised units) tie all distances: unreliable",
    ),
    reference="Kraskov, Stögbauer & Grassberger, Phys. Rev. E 69, 066138 (2004); Ross, PLoS ONE 9, "
    "e87357 (2014)",
    tolerance={
        **CHANNELS,
        "gaussian": 0.08,
        "gaussian_2d": 0.14,
        "additive": 0.12,
        "independent": 0.06,
        "autoregressive": 0.1,
        "blobs": 0.055,
        "corrupted_blobs": 0.095,
        "random_labels": 0.05,
    },
    meaningful_null=("X", "Y"),
    null=_null,
    version=2,
)
def ksg(
    v: Any,
    t: Any,
    *,
    k: Annotated[int, Bounds(1, 100)] = 5,
    standardise: bool = True,
    workers: Annotated[int, Bounds(1, MOST)] | None = None,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """I(V;T) in nats by Kraskov's first estimator, or Ross's when one side is discrete.

    With ε_i the distance from row i to its k-th neighbour in the joint space (maximum norm), n_v
    and n_t count the rows strictly closer than ε_i in V and in T:
    I = ψ(k) + ψ(n) − ⟨ψ(n_v+1) + ψ(n_t+1)⟩. With V discrete, ε_i is the distance to the k-th
    neighbour of the same class and m_i the rows within: I = ψ(n) − ⟨ψ(n_c)⟩ + ψ(k) − ⟨ψ(m)⟩. Both
    discrete: the plug-in.

    Parameters
    ----------
    v : array_like, (n,) or (n, d_v)
        Variable asked about; integers are symbols, floats a continuous variable.
    t : array_like, (n, d)
        Representation.
    k : int
        Neighbours. Small k: less bias, more spread.
    standardise : bool
        Bring each column to unit variance first; without it the estimate depends on the units.
    workers : int, optional
        Threads; they never change the value. By default every processor that this process may use
        (``OMP_NUM_THREADS`` says how many), within `evaluate` one.
    rng, shared
        Not used for the value; ``shared`` spares preparing T again.

    Returns
    -------
    Estimate
        ``stderr`` is the spread of the local terms over √n. Flags: ``discrete`` (a float variable
        that mostly repeats was counted), ``as_continuous`` (integers that hardly repeat
        were not), ``ties=…`` with ``jitter=1e-10`` (rows that share a value of a column, when over
        k do: they would lie at one distance), ``repeated=…`` (rows alike in V
        and T: over a tenth are unreliable), ``rare_class=…`` (samples in classes of at most
        k), ``heavy_tail``, ``lattice`` (at most ten values a column: distances tie, unreliable),
        ``high_dimension=…``, ``constant``, ``single_class``, ``dead=…``.

    Raises
    ------
    InputError, NonFiniteError, TooFewSamplesError
        Also for more than n/2 classes against a continuous T: no class has neighbours.

    References
    ----------
    Kraskov, Stögbauer & Grassberger, Phys. Rev. E 69, 066138 (2004).
    Ross, PLoS ONE 9, e87357 (2014).
    """
    params = check_params(KSG, {"k": k, "standardise": standardise, "workers": workers})
    first, second = _sides(v, t, params, serving(shared, t))
    same_length(range(first.n), range(second.n))
    n = first.n
    enough(n, k + 2, estimator=KSG)
    flags = [*first.flags, *second.flags]
    common: dict[str, Any] = {"estimator": KSG, "n": n, "d": second.d, "params": params}
    counted = without_neighbours(first, second, flags, common)
    if counted is not None:
        return counted
    dims = sum(one.d for one in (first, second) if one.codes is None)
    flags += [f"high_dimension={dims}"] if dims > MAX_DIM else []
    doubtful = dims > MAX_DIM or "lattice" in flags
    common["status"] = Status.UNRELIABLE if doubtful else Status.OK
    if first.points is None or second.points is None:
        return _conclude_ross(*mixed(first, second), params, flags, common)
    local, ties = ksg_local(first.points, second.points, k, threads(n, workers))
    repeated = _repeated_rows(first.points, second.points) if ties > REPEATED * n else 0
    if repeated > REPEATED * n:
        flags.append(f"repeated={repeated}")
        common["status"] = Status.UNRELIABLE
    return _conclude_local(local, ties, float(digamma(n) - digamma(k)), flags, common)


def _repeated_rows(x: FloatArray, t: FloatArray) -> int:
    counts = np.bincount(row_codes(np.hstack([x, t])))
    return int(counts[counts > 1].sum())


def _conclude_ross(
    codes: IntArray, points: FloatArray, params: dict[str, Any], flags: list[str], common: Any
) -> Estimate:
    counts = np.bincount(codes)
    if len(counts) > 0.5 * len(codes):
        raise InputError(
            f"`{KSG}` needs classes with neighbours; got {len(counts)} distinct symbols in "
            f"{len(codes)} samples. Pass a continuous variable as floats, or use `mi.binning`."
        )
    rare = int(counts[counts <= params["k"]].sum())
    flags = [*flags, f"rare_class={rare}"] if rare else flags
    if rare > 0.5 * len(codes):  # most classes have fewer neighbours than asked for
        common["status"] = Status.UNRELIABLE
    if (counts > 1).sum() == 1:
        status = {"status": Status.DEGENERATE}
        return conclude(0.0, flags=[*flags, "single_class"], **common | status)
    local, ties, _ = ross_local(codes, points, params["k"], threads(len(codes), params["workers"]))
    kept = counts[counts > 1]
    ceiling = entropy_of_counts(kept)
    # classes that lie apart read ψ(n) − ⟨ψ(n_c)⟩, which is H(V) + (C − 1)/2n or so
    reach = float(digamma(kept.sum()) - kept @ digamma(kept) / kept.sum())
    return _conclude_local(local, ties, ceiling, flags, common, slack=reach - ceiling)


def _conclude_local(
    local: FloatArray,
    ties: int,
    ceiling: float,
    flags: list[str],
    common: dict[str, Any],
    *,
    slack: float = 0.0,
) -> Estimate:
    stderr = float(local.std(ddof=1)) / math.sqrt(len(local))
    return conclude(
        float(local.mean()),
        ceiling=ceiling,
        floor=0.0,
        slack=slack + 3 * stderr + 1e-9,
        stderr=stderr,
        flags=[*flags, f"ties={ties}", "jitter=1e-10"] if ties else flags,
        info={"samples_used": len(local)},
        **common,
    )
