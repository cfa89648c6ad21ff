"""Lower bounds on information from a score matrix, and what is maximised to train a critic.

A score matrix is f (B, B), f_ij = f(v_i, t_j), the joint pairs on the diagonal. The values are
plain numpy; the objectives take the same matrix as a torch tensor and are called only in training.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import logsumexp

from infoplane.types import FloatArray

# ------------------------------------------------------------------ values (numpy)


def _off(f: FloatArray) -> FloatArray:
    """Scores of the pairs that do not belong together, (B(B−1),)."""
    return f[~np.eye(len(f), dtype=bool)]


def _log_mean_exp(scores: FloatArray) -> float:
    return float(logsumexp(scores)) - math.log(scores.size)


def donsker_varadhan(f: FloatArray) -> float:
    """Value of DV, and of MINE: ⟨f_ii⟩ − log ⟨e^{f_ij}⟩_{i≠j}; best at f = log ratio + constant."""
    return float(np.diag(f).mean()) - _log_mean_exp(_off(f))


def nwj(f: FloatArray) -> float:
    """⟨f_ii⟩ − e^{−1} ⟨e^{f_ij}⟩_{i≠j}; best at f = 1 + log ratio, never above DV of the same f."""
    with np.errstate(over="ignore"):
        partition = np.exp(_log_mean_exp(_off(f)) - 1.0)
    return float(np.diag(f).mean() - partition)


def jensen_shannon(f: FloatArray) -> float:
    """NWJ of f + 1: a JS-trained critic is the log ratio itself, where NWJ wants one more."""
    return nwj(f + 1.0)


def infonce(f: FloatArray) -> float:
    """Log B + ⟨f_ii − log Σ_j e^{f_ij}⟩ ≤ log B, the sum with the diagonal."""
    return math.log(len(f)) + float((np.diag(f) - logsumexp(f, axis=1)).mean())


def smile(f: FloatArray, clip: float = 5.0) -> float:
    """⟨f_ii⟩ − log ⟨e^{clip(f_ij, −τ, τ)}⟩_{i≠j}: less spread than DV, and no longer a bound."""
    return float(np.diag(f).mean()) - _log_mean_exp(np.clip(_off(f), -clip, clip))


def tuba(f: FloatArray, alpha: float = 0.5) -> float:
    """Interpolated bound I_α of K = B − 1 samples, between NWJ (α = 0) and InfoNCE (α = 1).

    With m_{−k}(t_i) the mean of e^{f_ji} over j ≠ k and b = log(α m + (1 − α) e) the value is
    1 + ⟨f_ii − b_{−k}(t_i)⟩_{k≠i} − ⟨e^{f_ki − b_{−i}(t_i)}⟩_{k≠i}: both terms see K samples, the
    first the true partner among them and the second not. It stays below 1 + log(K/α).
    """
    baseline = np.logaddexp(
        _log(alpha) + _left_out(f) - math.log(len(f) - 1), _log(1 - alpha) + 1.0
    )
    with np.errstate(over="ignore"):
        strangers = np.exp(_log_mean_exp(_off(f - np.diag(baseline))))
    return float(1.0 + _off(np.diag(f) - baseline).mean() - strangers)


def _log(share: float) -> float:
    return math.log(share) if share > 0 else -math.inf


def _left_out(f: FloatArray) -> FloatArray:
    """Log Σ_{j≠k} e^{f_ji} at (k, i): exact also where f_ki is nearly the whole sum."""
    top = f.max(axis=0)
    shifted = np.exp(f - top)
    rest = shifted.sum(axis=0) - shifted
    largest = f.argmax(axis=0), np.arange(len(f))
    shifted[largest] = 0.0
    rest[largest] = shifted.sum(axis=0)
    with np.errstate(divide="ignore"):
        return np.asarray(top + np.log(rest))


# ------------------------------------------------------------------ what is trained (torch)


def _strangers(f: Any) -> Any:
    import torch

    return f[~torch.eye(len(f), dtype=torch.bool)]


class MineObjective:
    """DV whose gradient divides by a running mean of the partition, not by the batch's own."""

    def __init__(self, momentum: float = 0.9) -> None:
        self.momentum = momentum
        self.log_mean: float | None = None

    def __call__(self, f: Any) -> Any:
        """Return the objective of one batch, and bring the running mean up to date."""
        off = _strangers(f)
        log_mean = off.logsumexp(0) - math.log(off.numel())
        now = float(log_mean.detach())
        if self.log_mean is None:
            self.log_mean = now
        old = math.log(self.momentum) + self.log_mean
        self.log_mean = float(np.logaddexp(old, math.log1p(-self.momentum) + now))
        return f.diagonal().mean() - (log_mean - self.log_mean).clamp(max=10.0).exp()


def train_nwj(f: Any) -> Any:
    """NWJ, its exponential cut at e²⁰."""
    off = _strangers(f)
    return f.diagonal().mean() - (off.logsumexp(0) - math.log(off.numel()) - 1).clamp(max=20).exp()


def train_js(f: Any) -> Any:
    """Jensen–Shannon objective of a discriminator between joint and shuffled pairs."""
    from torch.nn.functional import softplus

    return -softplus(-f.diagonal()).mean() - softplus(_strangers(f)).mean()


def train_infonce(f: Any) -> Any:
    """InfoNCE without its constant."""
    return (f.diagonal() - f.logsumexp(1)).mean()


def train_tuba(alpha: float) -> Callable[[Any], Any]:
    """Interpolated bound, with one partition for both terms: cheap, and best at the same f."""

    def objective(f: Any) -> Any:
        import torch

        log_mean = f.logsumexp(0) - math.log(len(f))
        own = torch.full_like(log_mean, _log(1 - alpha) + 1.0)
        baseline = torch.logaddexp(_log(alpha) + log_mean, own)
        off = _strangers(f - baseline)
        partition = (off.logsumexp(0) - math.log(off.numel())).clamp(max=20).exp()
        return (f.diagonal() - baseline).mean() - partition

    return objective
