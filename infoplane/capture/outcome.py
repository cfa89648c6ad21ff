"""What the model returns: logits, and the loss of each probe sample."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from infoplane.errors import CaptureError


def sample_losses(output: Tensor, y: Tensor, target: str) -> Tensor:
    """Return the loss of each sample, (n, 1), in nats for classes.

    Classes: −log p of the label, where rows of `output` that are probabilities (not negative, sum
    1) are read as such and anything else as logits; one column is the logit of class 1. Positions
    of a sequence are averaged. Regression: squared error, averaged over the outputs.

    Parameters
    ----------
    output : Tensor, (n, C), (n, T, C), (n, 1) or (n,)
    y : Tensor, (n,), (n, T) or like `output`
    target : {"class", "regression"}
    """
    output = output.float()
    if target == "regression":
        errors = (output.reshape(len(y), -1) - y.reshape(len(y), -1).to(output)).square()
        return errors.mean(1, keepdim=True)
    while output.ndim > y.ndim + 1 and 1 in output.shape[1:-1]:  # (n, 1, C) for labels (n,)
        output = output.squeeze(1 + output.shape[1:-1].index(1))
    if output.ndim == y.ndim + 1 and output.shape[-1] > 1:
        losses = functional.nll_loss(_log_probabilities(output).movedim(-1, 1), y, reduction="none")
    elif output.numel() == y.numel():
        losses = functional.binary_cross_entropy_with_logits(
            output.reshape(y.shape), y.to(output), reduction="none"
        )
    else:
        raise CaptureError(
            f"no loss fits outputs of shape {tuple(output.shape)} and labels of shape "
            f"{tuple(y.shape)}; pass your own: Probe(x, y, loss=f) with f(output, y) -> (n,)."
        )
    return losses.reshape(len(y), -1).mean(1, keepdim=True)


def _log_probabilities(output: Tensor) -> Tensor:
    sums = output.sum(-1)
    given = bool((output >= 0).all()) and torch.allclose(sums, torch.ones_like(sums), atol=1e-4)
    tiny = torch.finfo(output.dtype).tiny
    return output.clamp_min(tiny).log() if given else output.log_softmax(-1)
