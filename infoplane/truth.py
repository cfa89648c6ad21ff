"""Distributions whose information is known exactly: what every estimator is measured against.

>>> task = get("binary_symmetric")
>>> x, y = task.sample(1000, seed=0)
>>> round(task.mi, 4)
0.3681

``tasks()`` lists the 40 tasks of the "Beyond Normal" benchmark (Czyż et al., NeurIPS 2023), made
from their closed forms; ``names()`` lists everything. The makers below (:func:`gaussian`,
:func:`student`, :func:`blobs` …) build the same kinds with other parameters. All in nats.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, gammaln, ndtr

from infoplane.errors import InputError
from infoplane.types import FloatArray, Kind

Pair = tuple[NDArray[Any], NDArray[Any]]
Draw = Callable[[int, np.random.Generator], Pair]
Map = Callable[[FloatArray], FloatArray]
LOG2 = math.log(2.0)


@dataclass(frozen=True, slots=True)
class Truth:
    """A joint distribution of (X, Y) with exact facts about it.

    Attributes
    ----------
    name, about : str
        Id, and what it is in one line.
    mi : float
        I(X;Y) in nats, exact.
    draw : callable
        ``draw(n, generator) -> (x, y)``, samples on axis 0.
    kinds : (Kind, Kind)
        What X and Y are.
    facts : mapping of str to float
        Other exact values: "entropy" of X, "dimension" of X, "o_information", "capacity" …
    """

    name: str
    about: str
    mi: float
    draw: Draw
    kinds: tuple[Kind, Kind] = (Kind.CONTINUOUS, Kind.CONTINUOUS)
    facts: Mapping[str, float] = field(default_factory=dict)

    def sample(self, n: int, seed: np.random.Generator | int = 0) -> Pair:
        """Draw ``n`` pairs, x (n, d_x) or (n,) and y alike; the same seed gives the same bytes."""
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
            raise InputError(f"`n` must be a positive int; got {n!r}.")
        rng = seed if isinstance(seed, np.random.Generator) else np.random.default_rng(seed)
        return self.draw(int(n), rng)


# ---------------------------------------------------------------------------- closed forms


def binary_entropy(p: float) -> float:
    """H_b(p) = −p log p − (1−p) log(1−p), in nats."""
    return -sum(q * math.log(q) for q in (p, 1 - p) if q > 0)


def gaussian_mi(covariance: FloatArray, d_x: int) -> float:
    """I(X;Y) = ½ (log det Σ_x + log det Σ_y − log det Σ) of a Gaussian, X the first d_x columns."""

    def log_det(block: FloatArray) -> float:
        return float(np.linalg.slogdet(block)[1])

    x, y = covariance[:d_x, :d_x], covariance[d_x:, d_x:]
    return 0.5 * (log_det(x) + log_det(y) - log_det(covariance))


def student_mi(d_x: int, d_y: int, freedom: float) -> float:
    """I(X;Y) of a Student vector of identity dispersion: dependence through the shared χ² alone."""

    def entropy(k: int) -> float:
        a, b = 0.5 * (freedom + k), 0.5 * freedom
        return float(
            a * (digamma(a) - digamma(b)) - gammaln(a) + gammaln(b)
            + 0.5 * k * math.log(freedom * math.pi)
        )  # fmt: skip

    return entropy(d_x) + entropy(d_y) - entropy(d_x + d_y)


def ball_entropy(d: int) -> float:
    """Differential entropy log V_d of the uniform distribution in the unit ball."""
    return 0.5 * d * math.log(math.pi) - float(gammaln(0.5 * d + 1))


def etf(classes: int) -> FloatArray:
    """Vertices of the simplex equiangular tight frame: (classes, classes) rows of unit norm."""
    frame = np.eye(classes) - 1.0 / classes
    return np.asarray(frame * math.sqrt(classes / (classes - 1)))


# ---------------------------------------------------------------------------- makers


def multinormal(name: str, covariance: FloatArray, d_x: int, about: str = "") -> Truth:
    """Jointly Gaussian X (d_x columns) and Y (the rest) of that covariance."""
    root = np.linalg.cholesky(covariance)

    def draw(n: int, rng: np.random.Generator) -> Pair:
        z = rng.standard_normal((n, len(root))) @ root.T  # (n, d_x + d_y)
        return z[:, :d_x].copy(), z[:, d_x:].copy()

    return Truth(name, about or "jointly Gaussian", gaussian_mi(covariance, d_x), draw)


def gaussian(rho: float = 0.75, d: int = 1) -> Truth:
    """D independent pairs of correlation ρ: I = −(d/2) log(1−ρ²)."""
    covariance = np.eye(2 * d)
    covariance[:d, d:] = covariance[d:, :d] = rho * np.eye(d)
    return multinormal(f"gaussian-{d}-{rho:g}", covariance, d, f"{d} Gaussian pairs, ρ = {rho:g}")


def autoregressive(a: float = 0.9, lag: int = 1) -> Truth:
    """(z_t, z_{t+lag}) of a stationary AR(1) process: I = −½ log(1−a^{2 lag})."""
    return replace(gaussian(a**lag), name=f"autoregressive-{a:g}-{lag}", about="AR(1) at a lag")


def independent(d: int = 1) -> Truth:
    """Two independent standard normal vectors: I = 0."""
    return replace(gaussian(0.0, d), name=f"independent-{d}", about="independent normals")


def student(d_x: int, d_y: int, freedom: int) -> Truth:
    """Student vector split in two, identity dispersion: uncorrelated, yet dependent."""

    def draw(n: int, rng: np.random.Generator) -> Pair:
        z = rng.standard_normal((n, d_x + d_y))
        z /= np.sqrt(rng.chisquare(freedom, (n, 1)) / freedom)
        return z[:, :d_x].copy(), z[:, d_x:].copy()

    name = f"student-identity-{d_x}-{d_y}-{freedom}"
    return Truth(name, "Student-t, identity dispersion", student_mi(d_x, d_y, freedom), draw)


def additive(epsilon: float) -> Truth:
    """X ~ U(0,1), Y = X + U(−ε,ε): I = ε − log 2ε for ε ≤ ½, else 1/(4ε)."""
    mi = epsilon - math.log(2 * epsilon) if epsilon <= 0.5 else 0.25 / epsilon

    def draw(n: int, rng: np.random.Generator) -> Pair:
        x = rng.random((n, 1))
        return x, x + rng.uniform(-epsilon, epsilon, (n, 1))

    return Truth(f"1v1-additive-{epsilon:g}", "uniform plus uniform noise", mi, draw)


def _channel(name: str, about: str, rows: FloatArray, source: FloatArray, capacity: float) -> Truth:
    """Discrete memoryless channel p(y|x) = rows[x, y] with input distribution ``source``."""
    output = source @ rows
    ratio = np.log(np.divide(rows, output, out=np.ones_like(rows), where=rows > 0))
    mi = float((source[:, None] * rows * ratio).sum())
    ladder = rows.cumsum(axis=1)

    def draw(n: int, rng: np.random.Generator) -> Pair:
        x = rng.choice(len(source), n, p=source)
        y = (rng.random(n)[:, None] > ladder[x, :-1]).sum(axis=1)
        return x, y

    return Truth(name, about, mi, draw, (Kind.DISCRETE,) * 2, {"capacity": capacity})


def binary_symmetric(flip: float = 0.1, p: float = 0.5) -> Truth:
    """Binary symmetric channel, P(x=1) = p: at p = ½, I = log 2 − H_b(flip)."""
    rows = np.array([[1 - flip, flip], [flip, 1 - flip]])
    return _channel(f"binary_symmetric-{flip:g}-{p:g}", "bits flipped at random", rows,
                    np.array([1 - p, p]), LOG2 - binary_entropy(flip))  # fmt: skip


def z_channel(fall: float = 0.3, p: float = 0.5) -> Truth:
    """Z channel, a one falls to zero: I = H_b(p(1−fall)) − p H_b(fall)."""
    rows = np.array([[1.0, 0.0], [fall, 1 - fall]])
    capacity = math.log1p((1 - fall) * fall ** (fall / (1 - fall)))
    return _channel(f"z_channel-{fall:g}-{p:g}", "ones that fall to zero", rows,
                    np.array([1 - p, p]), capacity)  # fmt: skip


def erasure(lost: float = 0.25, p: float = 0.5) -> Truth:
    """Binary erasure channel: I = (1 − lost) H_b(p); the erased symbol is 2."""
    rows = np.array([[1 - lost, 0.0, lost], [0.0, 1 - lost, lost]])
    return _channel(f"erasure-{lost:g}-{p:g}", "bits lost at random", rows,
                    np.array([1 - p, p]), (1 - lost) * LOG2)  # fmt: skip


def _uniform_parameters(mi: float, m: int) -> Callable[[int, np.random.Generator], Pair]:
    """M pairs of uniforms on (0,1), a Gaussian copula each, that share ``mi`` nats in all."""
    rho = math.sqrt(-math.expm1(-2.0 * mi / m))

    def draw(n: int, rng: np.random.Generator) -> Pair:
        a, b = rng.standard_normal((2, n, m))
        return ndtr(a), ndtr(rho * a + math.sqrt(1 - rho**2) * b)

    return draw


def gaussian_images(mi: float = 1.0, size: int = 16) -> Truth:
    """Pairs of images (n, size²) of one Gaussian bump each; the centres share ``mi`` nats.

    The bump's centre can be read off the image, so I(images) = I(centres) (Butakov et al. 2024).
    """
    grid = (np.arange(size) + 0.5) / size
    parameters = _uniform_parameters(mi, 2)

    def paint(u: FloatArray) -> FloatArray:
        centre = 0.2 + 0.6 * u
        bump = np.exp(-0.5 * ((grid - centre[:, :, None]) / 0.15) ** 2)  # (n, 2, size)
        return np.asarray(np.einsum("ni,nj->nij", bump[:, 0], bump[:, 1]).reshape(len(u), -1))

    def draw(n: int, rng: np.random.Generator) -> Pair:
        a, b = parameters(n, rng)
        return paint(a), paint(b)

    return Truth(f"gaussian_images-{mi:g}-{size}", "images of Gaussian bumps", mi, draw)


def rectangles(mi: float = 1.0, size: int = 24) -> Truth:
    """Pairs of images (n, size²) of one filled rectangle each; the four edges share ``mi`` nats.

    Border pixels are shaded by the part covered, so the edges can be read off exactly.
    """
    low = np.arange(size) / size
    parameters = _uniform_parameters(mi, 4)

    def covered(start: FloatArray, stop: FloatArray) -> FloatArray:
        inside = np.minimum(low + 1 / size, stop[:, None]) - np.maximum(low, start[:, None])
        return np.asarray(np.clip(inside * size, 0.0, 1.0))  # (n, size)

    def paint(u: FloatArray) -> FloatArray:
        across = covered(0.4 * u[:, 0], 1 - 0.4 * u[:, 1])
        down = covered(0.4 * u[:, 2], 1 - 0.4 * u[:, 3])
        return np.asarray(np.einsum("ni,nj->nij", across, down).reshape(len(u), -1))

    def draw(n: int, rng: np.random.Generator) -> Pair:
        a, b = parameters(n, rng)
        return paint(a), paint(b)

    return Truth(f"rectangles-{mi:g}-{size}", "images of rectangles", mi, draw)


def blobs(classes: int = 3, d: int = 20, corruption: float = 0.0, spread: float = 0.05) -> Truth:
    """Well separated Gaussian blobs X (n, d) with labels Y, a share of which is drawn anew.

    With e = corruption·(C−1)/C the share of wrong labels, I = log C − H_b(e) − e log(C−1); exact as
    long as the blobs do not touch (spread ≪ 1; the centres are a simplex frame of side ≥ √2).
    """
    if d < classes:
        raise InputError(f"`d` must be at least `classes`; got {d} and {classes}.")
    wrong = corruption * (classes - 1) / classes
    mi = math.log(classes) - binary_entropy(wrong) - wrong * math.log(max(classes - 1, 1))
    centres = np.pad(etf(classes), ((0, 0), (0, d - classes)))

    def draw(n: int, rng: np.random.Generator) -> Pair:
        blob = rng.integers(classes, size=n)
        x = centres[blob] + spread * rng.standard_normal((n, d))
        anew = rng.random(n) < corruption
        return x, np.where(anew, rng.integers(classes, size=n), blob)

    name = f"blobs-{classes}-{d}-{corruption:g}"
    kinds = (Kind.CONTINUOUS, Kind.DISCRETE)
    return Truth(name, "blobs with corrupted labels", max(mi, 0.0), draw, kinds)


def ball(d: int = 5) -> Truth:
    """X uniform in the unit d-ball, Y an independent uniform: I = 0, dimension d."""

    def draw(n: int, rng: np.random.Generator) -> Pair:
        x = rng.standard_normal((n, d))
        x *= rng.random((n, 1)) ** (1 / d) / np.linalg.norm(x, axis=1, keepdims=True)
        return x, rng.random((n, 1))

    facts = {"dimension": float(d), "entropy": ball_entropy(d)}
    return Truth(f"ball-{d}", "uniform in a ball", 0.0, draw, facts=facts)


def simplex(classes: int = 4) -> Truth:
    """X at the vertex of a simplex frame that belongs to Y: neural collapse in its exact form."""
    frame = etf(classes)

    def draw(n: int, rng: np.random.Generator) -> Pair:
        y = rng.permutation(np.arange(n) % classes)
        return frame[y], y

    facts = {"nc1": 0.0, "entropy_y": math.log(classes), "effective_rank": classes - 1.0}
    kinds = (Kind.CONTINUOUS, Kind.DISCRETE)
    return Truth(f"simplex-{classes}", "collapsed classes", math.log(classes), draw, kinds, facts)


_AND = binary_entropy(0.25)
_GATES: dict[str, tuple[Callable[[Any, Any], Any], float, dict[str, float]]] = {
    "xor": (np.bitwise_xor, LOG2, {"synergy": LOG2, "redundancy": 0.0, "unique": 0.0}),
    "and": (np.bitwise_and, _AND, {"synergy": 0.5 * LOG2, "redundancy": _AND - 0.5 * LOG2,
                                   "unique": 0.0}),
    "copy": (lambda a, b: 2 * a + b, 2 * LOG2,
             {"synergy": 0.0, "redundancy": 0.0, "unique": LOG2}),
}  # fmt: skip


def gate(kind: str) -> Truth:
    """Two fair bits X = (a, b) and Y = a xor b, a and b, or the copy (a, b) as one symbol.

    ``facts`` hold the partial information decomposition (BROJA) of I(X;Y); for "xor"
    O(a, b, Y) = −log 2.
    """
    rule, mi, facts = _GATES[kind]

    def draw(n: int, rng: np.random.Generator) -> Pair:
        x = rng.integers(2, size=(n, 2))
        return x, rule(x[:, 0], x[:, 1])

    extra = {"o_information": -LOG2} if kind == "xor" else {}
    return Truth(kind, f"{kind} of two fair bits", mi, draw, (Kind.DISCRETE,) * 2, facts | extra)


# ---------------------------------------------------------------------------- the 40 tasks


def _half_cube(t: FloatArray) -> FloatArray:
    return np.asarray(t * np.sqrt(np.abs(t)))


def _wiggly_x(t: FloatArray) -> FloatArray:
    return np.asarray(
        t + 0.4 * np.sin(t) + 0.2 * np.sin(1.7 * t + 1) + 0.03 * np.sin(3.3 * t - 2.5)
    )


def _wiggly_y(t: FloatArray) -> FloatArray:
    waves = 0.17 * np.sin(1.3 * t + 3.5) - 0.4 * np.sin(0.4 * t) + 0.02 * np.sin(4.3 * t - 2.5)
    return np.asarray(t + waves)


def _two_humps(weight: float, left: float, right: float) -> Map:
    """Monotone map of a standard normal to the mixture weight·N(left,1) + (1−weight)·N(right,1)."""
    grid = np.linspace(min(left, right) - 9, max(left, right) + 9, 20_001)
    mass = weight * ndtr(grid - left) + (1 - weight) * ndtr(grid - right)
    return lambda t: np.interp(ndtr(t), mass, grid)


def _spiral(t: FloatArray) -> FloatArray:
    """Rotate each row by exp(‖t‖²/3 · A), where A turns the planes (0, 1) and (1, 2)."""
    d = t.shape[1]
    turn = np.zeros((d, d))
    for i in range(min(d - 1, 2)):
        turn[i, i + 1], turn[i + 1, i] = -1.0, 1.0
    # A acts on three coordinates: exp(sA) = I + sin(ωs)/ω A + (1−cos(ωs))/ω² A² (Rodrigues)
    omega = math.sqrt(min(d - 1, 2))
    angle = omega * (t**2).sum(axis=1, keepdims=True) / 3
    first = t @ turn.T
    return np.asarray(
        t + np.sin(angle) / omega * first + (1 - np.cos(angle)) / omega**2 * (first @ turn.T)
    )


def _swiss_roll(t: FloatArray) -> FloatArray:
    """Roll the unit interval up in the plane: (n, 1) to (n, 2)."""
    angle = 1.5 * np.pi * (1 + 2 * t)
    return np.concatenate([angle * np.cos(angle), angle * np.sin(angle)], axis=1) / 21


def _mapped(base: Truth, prefix: str, of_x: Map, of_y: Map | None = None) -> Truth:
    """Apply one-to-one maps to X and Y: the information stays."""

    def draw(n: int, rng: np.random.Generator) -> Pair:
        x, y = base.draw(n, rng)
        return of_x(x), (of_y or of_x)(y)

    return replace(base, name=f"{prefix}-{base.name}", about=f"{prefix} of {base.about}", draw=draw)


def _dense(d: int) -> Truth:
    covariance = 0.5 * np.eye(2 * d) + 0.5
    return multinormal(f"multinormal-dense-{d}-{d}-0.5", covariance, d, "all correlations ½")


def _sparse(d: int) -> Truth:
    covariance = np.eye(2 * d)
    for i in range(2):
        covariance[i, d + i] = covariance[d + i, i] = 0.8
    return multinormal(f"multinormal-sparse-{d}-{d}-2-2.0", covariance, d, "two pairs, ρ = 0.8")


def _benchmark() -> list[Truth]:
    base = replace(gaussian(0.75), name="1v1-normal-0.75")
    uniform = _mapped(base, "normal_cdf", ndtr)
    bimodal = replace(_mapped(base, "", _two_humps(0.3, 0, 5), _two_humps(0.5, -1, 3)),
                      name="1v1-bimodal-0.75", about="bimodal of Gaussian pairs")  # fmt: skip
    rolled = _mapped(uniform, "swissroll_x", _swiss_roll, lambda y: y)
    tasks = [base, uniform, additive(0.1), additive(0.75), bimodal,
             _mapped(base, "wiggly", _wiggly_x, _wiggly_y), _mapped(base, "half_cube", _half_cube),
             student(1, 1, 1), _mapped(student(1, 1, 1), "asinh", np.arcsinh), rolled]  # fmt: skip
    tasks += [_dense(d) for d in (2, 3, 5, 25, 50)] + [_sparse(d) for d in (2, 3, 5, 25)]
    tasks += [student(d, d, f) for d, f in ((2, 1), (2, 2), (3, 2), (3, 3), (5, 2), (5, 3))]
    pairs = [_sparse(d) for d in (3, 5, 25)]
    tasks += [_mapped(task, "normal_cdf", ndtr) for task in pairs]
    tasks += [_mapped(task, "half_cube", _half_cube) for task in pairs]
    tasks += [_mapped(task, "spiral", _spiral) for task in pairs]
    tasks += [_mapped(_mapped(task, "normal_cdf", ndtr), "spiral", _spiral) for task in pairs]
    tasks += [_mapped(student(d, d, f), "asinh", np.arcsinh) for d, f in ((2, 1), (3, 2), (5, 2))]
    return tasks


@cache
def _all() -> dict[str, Truth]:
    named = {
        "gaussian": gaussian(), "gaussian_2d": gaussian(0.75, 2), "gaussian_5d": gaussian(0.6, 5),
        "independent": independent(), "autoregressive": autoregressive(),
        "student": student(2, 2, 3), "additive": additive(0.1),
        "binary_symmetric": binary_symmetric(), "z_channel": z_channel(),
        "erasure": erasure(), "gaussian_images": gaussian_images(), "rectangles": rectangles(),
        "blobs": blobs(), "corrupted_blobs": blobs(corruption=0.5),
        "random_labels": blobs(corruption=1.0),
        "ball": ball(), "simplex": simplex(), "xor": gate("xor"), "and": gate("and"),
        "copy": gate("copy"),
    }  # fmt: skip
    return {name: replace(truth, name=name) for name, truth in named.items()} | {
        task.name: task for task in _benchmark()
    }


def names() -> list[str]:
    """Names of all truths that :func:`get` knows."""
    return list(_all())


def tasks() -> list[Truth]:
    """List the 40 benchmark tasks, in the order of the published table."""
    return [_all()[task.name] for task in _benchmark()]


def get(name: str) -> Truth:
    """Return the truth of that name, or raise InputError naming the closest ones."""
    known = _all()
    if name not in known:
        close = difflib.get_close_matches(str(name), known, n=3)
        hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise InputError(f"no truth is called {name!r}.{hint} `truth.names()` lists all of them.")
    return known[name]
