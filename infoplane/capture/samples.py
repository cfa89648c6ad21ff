"""Which axis of an activation counts the samples, told from a pass on 2 and one on 3 of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from infoplane.errors import CaptureError


@dataclass(frozen=True, slots=True)
class Axis:
    """Where the samples are in an activation.

    Attributes
    ----------
    index : int
        The axis that counts them.
    factor : int
        Entries of that axis per sample (positions or windows folded into the batch).
    inner : bool
        Of a folded axis: entry p of sample i is at ``p · n + i`` (time first) and not at
        ``i · factor + p``.
    """

    index: int = 0
    factor: int = 1
    inner: bool = False

    def first(self, t: Tensor, n: int) -> Tensor:
        """Return `t` as (n, …), or (n, factor, …) where the axis is folded."""
        t = t.movedim(self.index, 0) if self.index else t
        if t.shape[0] != n * self.factor:
            raise CaptureError(
                f"expected {n * self.factor} entries on axis {self.index}; got {t.shape[0]}."
            )
        if self.factor == 1:
            return t
        if self.inner:
            return t.reshape(self.factor, n, *t.shape[1:]).movedim(1, 0)
        return t.reshape(n, self.factor, *t.shape[1:])


def find_axis(two: Tensor, three: Tensor) -> Axis | None:
    """Return the axis that follows the number of samples; None where there is none.

    `two` and `three` are the same activation for samples 0, 1 and for samples 0, 1, 2. Exactly one
    axis must grow from 2k to 3k entries; for k > 1 the values of the samples that both have tell
    how it is folded.
    """
    if two.ndim != three.ndim:
        return None
    grown = [axis for axis in range(two.ndim) if two.shape[axis] != three.shape[axis]]
    if len(grown) != 1:
        return None
    index = grown[0]
    factor, rest = divmod(two.shape[index], 2)
    if rest or not factor or three.shape[index] != 3 * factor:
        return None
    if factor == 1:
        return Axis(index)
    for axis in (Axis(index, factor), Axis(index, factor, inner=True)):
        if _alike(axis.first(two, 2), axis.first(three, 3)[:2]):
            return axis
    return None


def _alike(a: Tensor, b: Tensor) -> bool:
    """Whether two computations of the same values agree up to their precision."""
    share = 1e-3 if a.dtype in (torch.float32, torch.float64) else 3e-2
    return bool((a - b).abs().max() <= share * a.abs().max())
