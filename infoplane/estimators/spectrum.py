"""The one spectral engine: eigenvalues of a trace-one positive semi-definite matrix, and entropies.

Vendi score, effective rank, matrix entropy, participation ratio, matrix-based Rényi entropy and
diffusion entropy are all functions of such a spectrum; they differ in the matrix only. It is taken
on whichever side is smaller (samples or units), without eigenvalues where order 2 allows it, and by
stochastic Lanczos quadrature, with its standard error, where n is too large for an exact answer.

Eigenvalues come from calls that let go of the interpreter lock (:mod:`.backend`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infoplane.errors import InputError
from infoplane.estimators.backend import eigvalsh
from infoplane.estimators.shared import Shared, recall
from infoplane.estimators.threads import blocks
from infoplane.types import Flags, FloatArray

EXACT = 3000  # rows up to which eigenvalues are exact, in float64, unless asked otherwise
DOUBLE = 5000  # rows up to which kernels are float64; float32 above, to stay below 1 GiB
NEGATIVE = 1e-6  # share of the largest eigenvalue by which rounding may make one negative
ROUNDING = 8  # times the machine epsilon and the largest eigenvalue: what counts as zero
LOW_RANK = 4  # a kernel counts as of low rank up to n / 4
MOST = 512  # and up to this rank, beyond which the factor costs what it saves
SMALL = 200  # rows below which its rank does not matter
REMAINDER = 1e-12  # share of the trace that a low-rank factor may leave out
ORDER_ONE = 1e-9  # distance from 1 below which an order is 1
LOG_DOMAIN = 1.5  # order from which Σ p^q is so small that 1 + (Σ p^q − 1) would lose its digits
PROBES, STEPS = 16, 20  # of the quadrature
STEEP = 40  # steps for a power below 1, which is steep at 0
COARSE = 64  # times the machine epsilon and a trace: what its rounding may be
LEADING, TOP_STEPS = 32, 3  # near-eigenvectors that it takes out, and their Lanczos steps


def eigenvalues(matrix: NDArray[Any], *, what: str = "matrix") -> FloatArray:
    """Eigenvalues of a positive semi-definite matrix (m, m), largest first.

    Those below 8 ε λ₁, which are rounding, are set to 0: an entropy of order below 1 would count
    them.

    Raises
    ------
    InputError
        When an eigenvalue is negative beyond rounding: the matrix is not positive semi-definite.
    """
    values = eigvalsh(matrix)[::-1].astype(np.float64)
    slack = max(NEGATIVE, len(values) * float(np.finfo(matrix.dtype).eps))
    if len(values) and values[-1] < -slack * max(values[0], 0.0) - np.finfo(np.float64).tiny:
        raise InputError(
            f"the {what} must be positive semi-definite; its smallest eigenvalue is "
            f"{values[-1]:.3g} against a largest of {values[0]:.3g}. Use a valid kernel."
        )
    values[values < ROUNDING * np.finfo(matrix.dtype).eps * values[:1].sum()] = 0.0
    return values


def walk_eigenvalues(operator: NDArray[Any], root: NDArray[Any]) -> FloatArray:
    """Eigenvalues of a symmetric random walk (n, n), largest first, in single precision.

    It takes half the time and blurs every eigenvalue by ε times the largest. That one is 1, with
    the roots of the degrees as its vector: both are taken out before, so that the others are
    blurred by as much less as they are smaller, and the trace sets the largest of them right.
    Entropies of order 1 are off by less than 5e-6 nat.
    """
    n, leading = len(operator), root / np.linalg.norm(root)
    rest = np.empty((n, n), np.float32) if operator.dtype != np.float32 else operator
    trace = float(np.trace(operator, dtype=np.float64))
    for part in blocks(n):
        rest[part] = operator[part] - leading[part, None] * leading
    values = eigvalsh(rest, spoil=True)[::-1].astype(np.float64)
    values = np.delete(values, np.abs(values).argmin())
    values[0] += trace - 1.0 - values.sum()
    return np.concatenate([[1.0], np.maximum(values, 0.0)])


def low_rank_eigenvalues(kernel: NDArray[Any]) -> FloatArray | None:
    """Nonzero eigenvalues of a kernel matrix of rank below n/4 and 512, or None of another.

    A wide kernel on a layer of few dimensions has few eigenvalues above rounding. A pivoted
    Cholesky factor whose remainder is below 1e-12 of the trace gives them in n r² instead of n³.
    What it leaves out changes an entropy of order 1 or above by less than 1e-10 nat; take
    :func:`eigenvalues` for lower orders. float32 does not reach that and is not tried.
    """
    n = len(kernel)
    spread = n < SMALL or kernel.dtype != np.float64 or purity(kernel) * n < 8 * LOW_RANK
    factor = None if spread else _pivoted_cholesky(kernel, min(n // LOW_RANK, MOST))
    return None if factor is None else eigenvalues(factor @ factor.T)


def _pivoted_cholesky(kernel: NDArray[Any], most: int) -> FloatArray | None:
    """Rows L (r, n) with LᵀL = K but for 1e-12 of the trace; None when over ``most`` are needed."""
    left = np.diag(kernel).astype(np.float64)
    total = float(left.sum())
    rows = np.empty((most, len(kernel)))
    for r in range(most):
        remainder = float(left.sum()) / total
        if remainder <= REMAINDER:
            return rows[:r]
        # the remainder falls more and more slowly: behind the straight line it will not arrive
        if r >= most // 4 and remainder > REMAINDER ** (r / most):
            return None
        pivot = int(left.argmax())
        row = kernel[pivot] - rows[:r, pivot] @ rows[:r]
        rows[r] = row / math.sqrt(left[pivot])
        left = np.maximum(left - rows[r] ** 2, 0.0)
        left[pivot] = 0.0
    return None


def shares(values: FloatArray) -> FloatArray:
    """Eigenvalues divided by their sum: a distribution (all zero when the sum is 0)."""
    total = values.sum()
    return values / total if total > 0 else np.zeros_like(values)


def entropy(p: FloatArray, order: float = 1.0) -> float:
    """Rényi entropy of a distribution in nats.

    H_q = log(Σ p^q) / (1 − q); the limits are −Σ p log p at q = 1 and −log max p at q = ∞.
    """
    p = p[p > 0]
    if len(p) < 2:
        return 0.0
    if abs(order - 1.0) < ORDER_ONE:
        return float(-(p * np.log(p)).sum())
    if math.isinf(order):
        return float(-np.log(p.max()))
    if order >= LOG_DOMAIN:
        return log_power_sum(p, order) / (1.0 - order)
    # p^(q−1) − 1 through expm1, since at q = 1.01 the sum is 1 minus a few hundredths
    excess = float((p * np.expm1((order - 1.0) * np.log(p))).sum())
    return math.log1p(excess) / (1.0 - order)


def log_power_sum(p: FloatArray, order: float) -> float:
    """Return log Σ p^q of positive numbers, which neither underflows nor cancels."""
    logs = order * np.log(p)
    top = float(logs.max())
    return top + math.log(float(np.exp(logs - top).sum()))


def purity(matrix: NDArray[Any]) -> float:
    """Return tr A² of the matrix scaled to trace one, without eigenvalues: ‖M‖_F² / (tr M)²."""
    square = sum(
        float(np.einsum("ij,ij->", block, block, dtype=np.float64))
        for block in np.array_split(matrix, max(1, matrix.nbytes >> 24))
    )
    return square / float(np.trace(matrix, dtype=np.float64)) ** 2


def covariance_side(z: FloatArray) -> FloatArray:
    """Nonzero part of the spectrum of Z Zᵀ, taken from Z Zᵀ (n, n) or Zᵀ Z (d, d), the smaller."""
    n, d = z.shape
    return eigenvalues(z.T @ z if d < n else z @ z.T, what="Gram matrix")


def unit_rows(t: FloatArray, *, centre: bool) -> tuple[FloatArray, Flags]:
    """Rows of T divided by their length, after subtracting the mean row when ``centre``.

    Rows of length zero have no direction: they are left out and flagged ``zero_rows=k``.
    """
    t = t / max(float(np.abs(t).max(initial=0.0)), np.finfo(np.float64).tiny)
    if centre:
        t = t - t.mean(axis=0)
    lengths = np.linalg.norm(t, axis=1)
    # what centring leaves of a row equal to the mean is rounding, not a direction
    alive = lengths > 1e-14 * math.sqrt(t.shape[1]) if centre else lengths > 0
    missing = int((~alive).sum())
    rows = t[alive] / lengths[alive, None]
    return rows, Flags([f"zero_rows={missing}"] if missing else [])


def unit_spectrum(
    t: FloatArray, shared: Shared | None, *, centre: bool
) -> tuple[FloatArray, Flags]:
    """Trace-one spectrum of the Gram matrix of unit-length rows, and the flags of the rows."""

    def compute() -> tuple[FloatArray, Flags]:
        rows, flags = unit_rows(t, centre=centre)
        return shares(covariance_side(rows)), flags

    return recall(shared, ("unit spectrum", centre), compute)


@dataclass(frozen=True, slots=True)
class Quadrature:
    """Traces tr f(A) of several functions, estimated from random probes.

    Attributes
    ----------
    samples : ndarray, (probes, functions)
        One estimate of each trace from each probe.
    doubt : ndarray, (functions,)
        By how much the two rules of a finite number of steps differ from their mean.
    rounding : float
        Share of a trace that its rounding may be.
    """

    samples: FloatArray
    doubt: FloatArray
    rounding: float

    @property
    def mean(self) -> FloatArray:
        """Estimates of the traces, (functions,)."""
        return np.asarray(self.samples.mean(axis=0))

    def stderr(self, gradient: FloatArray) -> float:
        """Return the standard error of a function of the traces that has that gradient.

        That of the probes, the doubt about the steps and rounding, as independent errors.
        """
        noise = (self.samples @ gradient).std(ddof=1) / math.sqrt(len(self.samples))
        rounding = self.rounding * np.abs(self.mean * gradient).sum()
        return math.hypot(noise, self.doubt @ gradient, rounding)


def quadrature(
    matrix: NDArray[Any],
    functions: Sequence[Callable[[FloatArray], FloatArray]],
    *,
    rng: np.random.Generator,
    probes: int = PROBES,
    steps: int = STEPS,
) -> Quadrature:
    """Estimate tr f(A) for a positive semi-definite A, by Lanczos quadrature.

    A block of vectors Q near the leading eigenvectors takes tr(Q f(A) Qᵀ) out, nearly all of the
    noise when few eigenvalues dominate. On the rest, random signs v give E[vᵀ f(A) v] = tr f(A) and
    Lanczos steps give vᵀ f(A) v; the quadratic closest to f on the spectrum is a control variate
    whose trace is known exactly from n, tr A and ‖A‖_F².

    Each vᵀ f(A) v is the mean of two rules of the same steps: Gauss, and Gauss–Radau with a node at
    0. For −λ log λ, all of whose derivatives keep their sign, the truth lies between them; their
    distance enters the standard error.

    Parameters
    ----------
    matrix : ndarray, (n, n)
        float32 or float64; only multiplied with blocks of vectors.
    functions : sequence of callables
        Each maps eigenvalues to values.
    """
    n = len(matrix)
    leading, image = _leading(matrix, min(LEADING, n // 4), rng)
    top = _rules(*_lanczos(matrix, leading, min(TOP_STEPS, n)))
    start = rng.choice((-1.0, 1.0), size=(probes, n))
    start -= (start @ leading.T) @ leading
    nodes, weights, sides = _rules(*_lanczos(matrix, start, min(steps, n)))
    weights *= np.square(start).sum(axis=1)[:, None]
    trace = float(np.trace(matrix, dtype=np.float64))
    known = np.array([n, trace, purity(matrix) * trace**2])
    known -= [len(leading), np.vdot(leading, image), np.vdot(image, image)]
    basis = np.stack([np.ones_like(nodes), nodes, nodes**2], axis=-1)
    missing = known - np.einsum("ps,psk->pk", weights, basis)
    root = np.sqrt(weights).ravel()
    columns, doubts = [], []
    for function in functions:
        values, leaders = function(nodes), top[1] * function(top[0])
        fit = np.linalg.lstsq(
            basis.reshape(-1, 3) * root[:, None], values.ravel() * root, rcond=None
        )[0]
        columns.append(leaders.sum() + (weights * values).sum(axis=1) + missing @ fit)
        doubts.append((leaders @ top[2]).sum() + (weights * values @ sides).mean())
    rounding = COARSE * float(np.finfo(matrix.dtype).eps)
    return Quadrature(np.stack(columns, axis=1), np.array(doubts), rounding)


def _leading(
    matrix: NDArray[Any], count: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Orthonormal rows Q (count, n) near the leading eigenvectors, and Q A: two block powers."""
    block = rng.normal(size=(len(matrix), count)).T
    for _ in range(2):
        block = np.linalg.qr(_times(block, matrix).T)[0].T
    image = _times(block, matrix)
    rotation = np.linalg.eigh(block @ image.T)[1].T
    return rotation @ block, rotation @ image


def _times(block: FloatArray, matrix: NDArray[Any]) -> FloatArray:
    """Product of rows (p, n) with a symmetric matrix: faster than with columns, for few of them."""
    product = np.ascontiguousarray(block, dtype=matrix.dtype) @ matrix
    return np.asarray(product, dtype=np.float64)


def _lanczos(matrix: NDArray[Any], start: FloatArray, steps: int) -> tuple[FloatArray, FloatArray]:
    """Diagonals and off-diagonals (probes, steps) of the Lanczos matrices of all rows of start.

    No re-orthogonalisation: repeated Ritz values share one weight, and a quadrature bears that.
    """
    current = start / np.linalg.norm(start, axis=1, keepdims=True)
    previous = np.zeros_like(current)
    diagonal, off = np.zeros((2, len(start), steps))
    for j in range(steps):
        new = _times(current, matrix)
        diagonal[:, j] = np.einsum("pn,pn->p", new, current)
        new -= diagonal[:, j, None] * current
        if j:
            new -= off[:, j - 1, None] * previous
        off[:, j] = np.linalg.norm(new, axis=1)
        off[off[:, j] <= 1e-14, j] = 0.0
        previous, current = current, new / np.where(off[:, j] > 0, off[:, j], np.inf)[:, None]
    return diagonal, off


def _rules(diagonal: FloatArray, off: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Nodes and weights (probes, 2 m + 1) of the mean of both rules, and the side of each node.

    The first m nodes, of side 1, are those of Gauss; the others, of side −1, those of Gauss–Radau:
    one more row makes the Lanczos matrix singular. Where rounding forbids that, it is Gauss again.
    """
    nodes, weights = _nodes(diagonal, off[:, :-1])
    pivot, fits = diagonal[:, 0], np.ones(len(diagonal), dtype=bool)
    for j in range(1, diagonal.shape[1]):
        fits &= pivot > 0
        pivot = diagonal[:, j] - off[:, j - 1] ** 2 / np.where(fits, pivot, 1.0)
    end = off[:, -1] ** 2 / np.where(fits & (pivot > 0), pivot, np.inf)
    fits = (end > 0) & (end <= nodes[:, -1])
    last = np.where(fits, off[:, -1], 0.0)[:, None]
    others = _nodes(
        np.hstack([diagonal, np.where(fits, end, 0.0)[:, None]]), np.hstack([off[:, :-1], last])
    )
    sides = np.repeat([1.0, -1.0], [nodes.shape[1], others[0].shape[1]])
    return np.hstack([nodes, others[0]]), np.hstack([weights, others[1]]) / 2, sides


def _nodes(diagonal: FloatArray, off: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Nodes, never negative, and weights (probes, m) of tridiagonal matrices."""
    count, m = diagonal.shape
    tridiagonal = np.zeros((count, m, m))
    index = np.arange(m)
    tridiagonal[:, index, index] = diagonal
    tridiagonal[:, index[1:], index[:-1]] = off
    nodes, vectors = np.linalg.eigh(tridiagonal)
    return np.maximum(nodes, 0.0), vectors[:, 0, :] ** 2
