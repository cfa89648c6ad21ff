"""Real tasks to train on: the 12-bit task of Shwartz-Ziv and Tishby, digits, IDX files, blobs.

Each returns ``(x, y)`` as numpy arrays with samples on axis 0. Nothing is downloaded. The plain
training loop is in :mod:`infoplane.tasks.training`, which needs torch and is therefore not imported
here.
"""

from infoplane.tasks.blobs import blobs
from infoplane.tasks.digits import digits
from infoplane.tasks.idx import idx
from infoplane.tasks.szt import split, szt

__all__ = ["blobs", "digits", "idx", "split", "szt"]
