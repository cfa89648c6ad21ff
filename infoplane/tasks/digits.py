"""Handwritten digits, 8 × 8 pixels: 1797 real images that travel with the package.

E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
Repository, 1998, doi:10.24432/C50P49, licensed CC BY 4.0 (the test part, as published).
"""

from __future__ import annotations

from importlib.resources import as_file, files

import numpy as np
from numpy.typing import NDArray

from infoplane.tasks.idx import idx


def digits() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return images x (1797, 64) with pixels in [0, 1] and labels y (1797,) in 0 … 9."""
    folder = files("infoplane.tasks") / "data"
    with (
        as_file(folder / "digits-images.idx.gz") as images,
        as_file(folder / "digits-labels.idx.gz") as labels,
    ):
        x, y = idx(images, labels)
    # Pixels are counts 0 … 16 of 4 × 4 blocks; idx() divided the bytes by 255.
    return np.round(x.reshape(len(x), -1) * 255) / np.float32(16), y
