"""Norms and spectra of weight matrices."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from infoplane.capture.models import parts
from infoplane.capture.trace import plain

SPECTRUM = 64
LARGEST = 2048


@torch.no_grad()
def weight_statistics(model: nn.Module) -> tuple[dict[str, Tensor], dict[str, list[float]]]:
    """Return norms and spectra of the weight matrices, one per layer that has one.

    Returns
    -------
    scalars : dict
        ``weight_norm/…`` ‖W‖_F, ``weight_spectral/…`` σ₁ and ``weight_stable_rank/…`` ‖W‖²_F/σ₁²;
        the last two only for matrices whose smaller side is at most `LARGEST`.
    spectra : dict
        Layer → its largest `SPECTRUM` singular values.
    """
    scalars: dict[str, Tensor] = {}
    spectra: dict[str, list[float]] = {}
    for path, module in parts(model):
        weight = getattr(module, "weight", None)
        if not isinstance(weight, Tensor) or weight.ndim < 2 or not weight.is_floating_point():
            continue
        matrix, layer = weight.detach().flatten(1).float(), plain(path) or "model"
        norm = scalars[f"weight_norm/{layer}"] = torch.linalg.matrix_norm(matrix)
        if min(matrix.shape) <= LARGEST:
            values = _singular_values(matrix)
            scalars[f"weight_spectral/{layer}"] = values[0]
            scalars[f"weight_stable_rank/{layer}"] = norm.square() / values[0].square().clamp_min(
                torch.finfo(values.dtype).tiny
            )
            spectra[layer] = values[:SPECTRUM].tolist()
    return scalars, spectra


def _singular_values(matrix: Tensor) -> Tensor:
    """Singular values, falling, from the eigenvalues of the smaller Gram matrix in float64."""
    wide = matrix.double() if matrix.shape[0] <= matrix.shape[1] else matrix.double().T
    squares: Tensor = torch.linalg.eigvalsh(wide @ wide.T)
    return squares.flip(0).clamp_min(0).sqrt()
