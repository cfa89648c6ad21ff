"""Mutual information from three Kozachenko–Leonenko entropies, weighted against their bias.

Ĥ = −⟨Σ_j w_j log p̂_j⟩ with log p̂_j = ψ(j) − log V_d − d log r_j − log(n−1), r_j the distance to the
j-th neighbour after whitening. The weights of Berrett, Samworth & Yuan (2019) cancel the bias of
high dimensions, at the price of a variance that grows with their norm: it is guarded here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from scipy.special import digamma, gammaln

from infoplane.errors import RefusedError
from infoplane.estimators.contract import (
    Rng,
    conclude,
    enough,
    entropy_of_counts,
    generator,
    same_length,
)
from infoplane.estimators.neighbours import JITTER, jittered
from infoplane.estimators.plugin import shuffled, tally
from infoplane.estimators.radii import nearest_radii
from infoplane.estimators.registry import Bounds, check_params, estimator
from infoplane.estimators.shared import Shared
from infoplane.estimators.sides import Side, mixed, side, without_neighbours
from infoplane.types import Cost, Estimate, FloatArray, IntArray, Kind, Quantity, Status

KL = "mi.kl"
Weigh = Callable[[int], FloatArray]
"""Weights for so many dimensions."""

PLAIN_DIMS = 4  # up to here the plain k-th neighbour is used: the bias is below the spread
LARGE_NORM = 5.0  # ‖w‖ from which the weights are flagged
HUGE_NORM = 50.0  # ‖w‖ from which the estimate is unreliable
IMPRECISE = 0.5  # nats of standard error, or between two sets of weights, from which it is
TIED = 0.1  # share of repeated rows from which it is
RANK = 1e-10  # smallest share of the largest variance that counts as a direction


def weights(k: int, d: int, *, compat: str | None = None) -> FloatArray:
    """Weights w (k,) of the k neighbours in d dimensions.

    Up to four dimensions w = e_k, the plain estimator; e_1, whatever k, with ``compat="published"``
    (less bias, more spread). Beyond, the solution of smallest norm of Σ w_j = 1 and
    Σ_j w_j Γ(j+2ℓ/d)/Γ(j) = 0 for ℓ = 1 … ⌊d/4⌋, with w_j = 0 unless j = ⌊ik/d⌋ for
    some i.

    Raises
    ------
    RefusedError
        When k < 1 + ⌊d/4⌋: the weights could not sum to one and the entropy would be a fraction
        of itself.
    """
    if d <= PLAIN_DIMS:
        return np.asarray(np.eye(k)[0 if compat else k - 1])
    orders = np.arange(1, d // 4 + 1)
    used = np.unique(np.arange(1, d + 1) * k // d)
    used = used[used > 0]
    if len(used) < 1 + len(orders):
        raise RefusedError(
            f"`k` of `{KL}` must be at least {1 + d // 4} in {d} joint dimensions, or its weights "
            f"cannot sum to one; got {k}. Raise k, or reduce the dimension with `mi.compressed`."
        )
    j = used.astype(float)
    moments = np.exp(gammaln(j + 2 * orders[:, None] / d) - gammaln(j))
    system = np.vstack([np.ones(len(used)), moments])
    right = np.eye(len(system))[0]
    result = np.zeros(k)
    result[used - 1] = np.linalg.lstsq(system, right, rcond=None)[0]
    if abs(result.sum() - 1) > 1e-6:
        raise RefusedError(
            f"the weights of `{KL}` for k = {k} in {d} dimensions sum to {result.sum():.3g}, not "
            "1. Raise k, or reduce the dimension with `mi.compressed`."
        )
    return result


def local_entropy(points: FloatArray, w: FloatArray) -> tuple[FloatArray, int]:
    """Local terms of the weighted Kozachenko–Leonenko entropy (n,), and the number of tied rows.

    Weights (k, m) give terms (n, m). The points are whitened first and ½ log det Σ is added back.
    """
    white, log_det = whitened(points)
    n, d = white.shape
    k = len(w)
    radii = nearest_radii(white, k)
    ties = int((radii == 0).any(axis=1).sum())
    if ties:
        radii = np.maximum(nearest_radii(jittered(white), k), np.finfo(float).tiny)
    volume = 0.5 * d * math.log(math.pi) - float(gammaln(0.5 * d + 1))
    log_density = digamma(np.arange(1, k + 1)) - volume - d * np.log(radii) - math.log(n - 1)
    return 0.5 * log_det - log_density @ w, ties


def whitened(points: FloatArray) -> tuple[FloatArray, float]:
    """Rotate and scale to unit covariance; return the points and log det Σ.

    Raises
    ------
    RefusedError
        For a singular covariance: the variables are linearly dependent, no density exists.
    """
    centred = points - points.mean(axis=0)
    values, axes = np.linalg.eigh(centred.T @ centred / max(len(points) - 1, 1))
    if values[0] <= RANK * values[-1]:
        raise RefusedError(
            f"`{KL}` needs a density, but {int((values <= RANK * values[-1]).sum())} of "
            f"{len(values)} directions have no variance (one variable is a linear function of the "
            "other, a class has collapsed, or there are more dimensions than samples). Use "
            "`mi.ksg`, or reduce the dimension with `mi.compressed`."
        )
    return centred @ axes / np.sqrt(values), float(np.log(values).sum())


def support(points: FloatArray) -> FloatArray:
    """Coordinates in the directions that vary: linear copies of a unit are dropped."""
    centred = points - points.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    rank = int((sizes > math.sqrt(RANK) * sizes[0]).sum())
    if rank == points.shape[1]:
        return points
    return np.asarray(left[:, :rank] * math.sqrt(len(points)))


def _local_continuous(x: FloatArray, t: FloatArray, weigh: Weigh) -> tuple[FloatArray, int, float]:
    joint = np.hstack([x, t])
    of_joint = weigh(joint.shape[1])
    h_x, ties_x = local_entropy(x, weigh(x.shape[1]))
    h_t, ties_t = local_entropy(t, weigh(t.shape[1]))
    h, ties = local_entropy(joint, of_joint)
    return h_x + h_t - h, max(ties, ties_x, ties_t), float(np.linalg.norm(of_joint.T[0]))


def _local_classes(
    codes: IntArray, t: FloatArray, k: int, weigh: Weigh, everyone: FloatArray | None = None
) -> tuple[FloatArray, int, float, IntArray]:
    """Local terms h(t) − h(t|class) of the rows in classes large enough, and these rows.

    ``everyone`` is h(t) where it is known and every class is large enough.
    """
    counts = np.bincount(codes)
    rows = np.flatnonzero(counts[codes] > k + 1)
    codes, t = codes[rows], t[rows]
    w = weigh(t.shape[1])
    local, ties = local_entropy(t, w) if everyone is None else (everyone.copy(), 0)
    for label in np.unique(codes):
        members = np.flatnonzero(codes == label)
        inside, more = local_entropy(t[members], w)
        local[members] -= inside
        ties = max(ties, more)
    return local, ties, float(np.linalg.norm(w.T[0])), rows


def _null(
    v: Any, t: Any, *, draws: int, rng: Rng = None, shared: Shared | None = None, **params: Any
) -> FloatArray:
    """Shuffle the pairing; the two marginal entropies are estimated once."""
    params, rng = check_params(KL, params), generator(rng)
    k, weigh = params["k"], partial(weights, params["k"], compat=params["compat"])
    first, second = _sides(v, t, k)
    if first.codes is not None and second.codes is not None:
        return shuffled(tally(first.codes), tally(second.codes), draws, rng)
    if first.points is not None and second.points is not None:
        x, y = support(first.points), support(second.points)
        w = weigh(x.shape[1] + y.shape[1])
        margins = sum(local_entropy(p, weigh(p.shape[1]))[0].mean() for p in (x, y))
        joints = (np.hstack([x[rng.permutation(len(x))], y]) for _ in range(draws))
        return np.array([margins - local_entropy(joint, w)[0].mean() for joint in joints])
    codes, points = _mixed(first, second)
    large = np.bincount(codes).min() > k + 1
    everyone = local_entropy(points, weigh(points.shape[1]))[0] if large else None
    pairings = (rng.permutation(codes) for _ in range(draws))
    return np.array([_local_classes(p, points, k, weigh, everyone)[0].mean() for p in pairings])


def _sides(v: Any, t: Any, k: int) -> tuple[Side, Side]:
    first = side(v, name="v", estimator=KL, k=k)
    second = side(t, name="t", estimator=KL, k=k)
    return first, second


def _mixed(first: Side, second: Side) -> tuple[IntArray, FloatArray]:
    codes, points = mixed(first, second)
    return codes, support(points)


@estimator(
    id=KL,
    label="weighted KL",
    quantity=Quantity.MI,
    measures="I(V;T) of the joint density, as a sum of three entropies; infinite in truth when "
    "T is a function of a continuous X",
    formula="I = Ĥ(V) + Ĥ(T) − Ĥ(V,T);  Ĥ = −⟨Σ_j w_j (ψ(j) − log V_d − d log r_j − log(n−1))⟩",
    accepts=(
        (Kind.CONTINUOUS, Kind.CONTINUOUS),
        (Kind.DISCRETE, Kind.CONTINUOUS),
        (Kind.CONTINUOUS, Kind.DISCRETE),
        (Kind.DISCRETE, Kind.DISCRETE),
    ),
    cost=Cost.STANDARD,
    complexity="n log n up to six joint dimensions, n² d beyond",
    min_samples=8,
    max_dim=10,
    ceiling="log n; H(V) when V is discrete",
    invariant=("row order", "swap", "label names", "scaling", "rotation", "constant unit"),
    assumes=("rows i.i.d.", "a smooth joint density"),
    limits=(
        "refuses k < 1 + ⌊d/4⌋: with fewer neighbours the weights give a fraction of the entropy",
        "the weights' norm, and the spread with it, explodes beyond about ten joint dimensions",
        "5 to 10 times the spread of KSG; refuses linearly dependent variables",
    ),
    reference="Kozachenko & Leonenko (1987); Berrett, Samworth & Yuan, Ann. Statist. 47 (2019); "
    "Butakov et al., ICLR 2024",
    tolerance={
        "gaussian": 0.13,
        "gaussian_2d": 0.2,
        "independent": 0.14,
        "autoregressive": 0.14,
        "additive": 0.15,
    },
    meaningful_null=("X", "Y"),
    null=_null,
)
def kl(
    v: Any,
    t: Any,
    *,
    k: Annotated[int, Bounds(1, 100)] = 5,
    compat: Literal["published"] | None = None,
    rng: Rng = None,
    shared: Shared | None = None,
) -> Estimate:
    """I(V;T) = Ĥ(V) + Ĥ(T) − Ĥ(V,T) in nats from weighted nearest-neighbour entropies.

    Each entropy is estimated after whitening (½ log det Σ is added back), with the weights that its
    own dimension asks for. With V discrete: Ĥ(T) − Σ_c p_c Ĥ(T|c), classes of at most k+1 samples
    left out. Both discrete: the plug-in.

    Parameters
    ----------
    v : array_like, (n,) or (n, d_v)
        Variable asked about; integers are symbols.
    t : array_like, (n, d)
        Representation.
    k : int
        Neighbours; at least 1 + ⌊d/4⌋ for d joint dimensions.
    compat : "published" or None
        Take the first neighbour alone, whatever k, up to four dimensions, as the published code.
    rng, shared
        Not used.

    Returns
    -------
    Estimate
        ``info["weights_norm"]`` is ‖w‖₂ of the joint; beyond 5 flagged ``large_weights=…``, beyond
        50 unreliable. ``stderr`` is the spread of the local terms over √n; above half a nat it is
        flagged ``imprecise`` and unreliable, and so are repeats of more than a tenth of the rows,
        and ``inconsistent=…``, a distance of over half a nat (and three standard errors) from what
        the nearest neighbour alone says: the density varies within a neighbourhood.

    Raises
    ------
    RefusedError
        When the weights cannot sum to one, or when the joint covariance is singular.

    References
    ----------
    Berrett, Samworth & Yuan, Ann. Statist. 47, 288 (2019). Butakov et al., ICLR 2024.
    """
    params = check_params(KL, {"k": k, "compat": compat})
    first, second = _sides(v, t, k)
    same_length(range(first.n), range(second.n))
    n = first.n
    enough(n, k + 3, estimator=KL)
    flags = [*first.flags, *second.flags]
    common: dict[str, Any] = {"estimator": KL, "n": n, "d": second.d, "params": params}
    counted = without_neighbours(first, second, flags, common)
    if counted is not None:
        return counted
    common["fragile"] = True

    def weigh(d: int) -> FloatArray:  # beside the weights asked for, the nearest neighbour alone
        return np.column_stack([weights(k, d, compat=compat), np.eye(k)[0]])

    bound = math.log(n)  # beyond it no sample of n can be trusted (McAllester & Stratos 2020)
    if first.points is not None and second.points is not None:
        local, ties, norm = _local_continuous(support(first.points), support(second.points), weigh)
    else:
        codes, points = _mixed(first, second)
        _enough_per_class(codes, k)
        local, ties, norm, rows = _local_classes(codes, points, k, weigh)
        bound = entropy_of_counts(np.bincount(codes[rows]))
        flags += [f"rare_class={n - len(rows)}"] if len(rows) < n else []
    flags += [f"ties={ties}", f"jitter={JITTER:g}"] if ties else []
    flags += [f"large_weights={norm:.3g}"] if norm > LARGE_NORM else []
    local, nearest = local.T
    stderr = float(local.std(ddof=1)) / math.sqrt(len(local))
    flags += [f"imprecise={stderr:.2g}"] if stderr > IMPRECISE else []
    apart = 0.0 if ties else abs(float((local - nearest).mean()))
    torn = apart > IMPRECISE + 3 * stderr
    flags += [f"inconsistent={apart:.2g}"] if torn else []
    broken = norm > HUGE_NORM or stderr > IMPRECISE or ties > TIED * n or torn
    return conclude(
        float(local.mean()),
        ceiling=bound,
        floor=0.0,
        slack=min(3 * stderr, IMPRECISE) + 1e-9,
        stderr=stderr,
        flags=flags,
        info={"weights_norm": norm, "samples_used": len(local)},
        status=Status.UNRELIABLE if broken else Status.OK,
        **common,
    )


def _enough_per_class(codes: IntArray, k: int) -> None:
    counts = np.bincount(codes)
    if counts[counts > k + 1].sum() < 0.5 * len(codes):
        raise RefusedError(
            f"`{KL}` needs over {k + 1} samples in a class; that holds for only "
            f"{counts[counts > k + 1].sum()} of {len(codes)} samples. Use a larger probe set, or "
            "`mi.ksg`."
        )
