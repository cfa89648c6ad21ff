"""Information-bottleneck penalties: what a layer tells about the input, as something to train on.

Each is added to the cross-entropy, times the recipe's strength β, so that training minimises
H(Y|T) + β I(X;T) with its own stand-in for I(X;T). All are in nats and differentiable.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

TINY = 1e-30


class LearnedNoise(nn.Module):
    """Add N(0, σ²) noise during training, σ learned for each unit; nothing in eval mode.

    With it T + ε is stochastic, so that I(X;T+ε) is finite and its bounds mean something.
    """

    def __init__(self, units: int, sigma: float = 0.5) -> None:
        super().__init__()
        self.log_sigma = nn.Parameter(torch.full((units,), sigma).log())

    def forward(self, t: Tensor) -> Tensor:
        """Return T + ε."""
        return t + self.log_sigma.exp() * torch.randn_like(t) if self.training else t


def variational_information(t: Tensor, log_sigma: Tensor) -> Tensor:
    """Return mean KL(N(t, σ²) ‖ N(0, 1)) = mean ½ Σ (σ² + t² − 1 − ln σ²), at least I(X;T+ε).

    Alemi et al., ICLR 2017 (VIB).
    """
    variance = (2 * log_sigma).exp()
    return 0.5 * (variance + t * t - 1 - 2 * log_sigma).sum(dim=1).mean()


def kernel_information(t: Tensor, log_sigma: Tensor) -> Tensor:
    """Return −mean_i ln mean_j exp(−½ Σ ((t_i − t_j)/σ)²), at least I(X;T+ε) of the batch.

    Kolchinsky, Tracey and Wolpert, Entropy 2019 (nonlinear IB).
    """
    scaled = t * (-log_sigma).exp()
    return math.log(len(t)) - torch.logsumexp(-0.5 * _distances(scaled), dim=1).mean()


def cs_information(x: Tensor, t: Tensor, sigma: float = 1.0) -> Tensor:
    """Normalised Cauchy-Schwarz information of a batch, QMI(x,t) / √(QMI(x,x) QMI(t,t)).

    QMI(x,t) = log mean(K∘Q) + log mean(K) mean(Q) − 2 log mean(K1∘Q1) with Gaussian Gram matrices
    K, Q of width sigma. Yu et al., ICLR 2024, Proposition 2.
    """
    k, q = (torch.exp(-_distances(v) / (2 * sigma**2)) for v in (x, t))
    return _qmi(k, q) / (_qmi(k, k) * _qmi(q, q)).clamp_min(TINY).sqrt()


def _distances(x: Tensor) -> Tensor:
    squares = (x * x).sum(dim=1)
    return (squares[:, None] + squares[None, :] - 2 * x @ x.T).clamp_min(0)


def _qmi(k: Tensor, q: Tensor) -> Tensor:
    rows = (k.mean(dim=1) * q.mean(dim=1)).mean()
    return (k * q).mean().log() + k.mean().log() + q.mean().log() - 2 * rows.log()
