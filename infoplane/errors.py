"""The exception tree: every error that infoplane raises on purpose.

Each message says what was wrong, what it must be, what was got and what to do, in that order:
``"`k` of `mi.ksg` must be an int in [1, 100]; got 0."``
"""

from __future__ import annotations


class InfoplaneError(Exception):
    """Root of all errors that infoplane raises on purpose."""


class InputError(InfoplaneError, ValueError):
    """An argument or an array is not what it must be."""


class NonFiniteError(InputError):
    """An array holds NaN or infinite values.

    Attributes
    ----------
    count : int
        How many entries are not finite.
    first : tuple of int
        Index of the first one.
    """

    def __init__(self, message: str, *, count: int, first: tuple[int, ...]) -> None:
        super().__init__(message)
        self.count = count
        self.first = first


class TooFewSamplesError(InputError):
    """Fewer samples than the estimator can work with."""


class RefusedError(InfoplaneError):
    """An estimator refuses: its assumptions cannot hold here, so any number would mislead."""


class UnknownEstimatorError(InputError, KeyError):
    """No estimator has that id."""

    def __str__(self) -> str:  # KeyError would print the repr of the message
        return str(self.args[0])


class CaptureError(InfoplaneError):
    """Activations cannot be captured."""


class HookNotFiredError(CaptureError):
    """A layer was selected but its forward was never called in the probe pass."""


class UnsupportedModelError(CaptureError):
    """The model is of a kind whose activations cannot be captured (for example FSDP)."""


class StoreError(InfoplaneError):
    """A run directory cannot be written or read."""


class RunExistsError(StoreError):
    """A run is already there and ``resume="never"`` was asked."""


class RunLockedError(StoreError):
    """Another process is writing this run."""


class NotARunError(StoreError):
    """The directory holds no run of ours."""


class FormatError(StoreError):
    """The run was written in a format that this version cannot read."""


class CorruptRunError(StoreError):
    """A file of the run is damaged, truncated or foreign."""


class CorruptSnapshotError(CorruptRunError):
    """A snapshot's bytes do not match what the journal says of them."""


class EvaluationError(InfoplaneError):
    """An evaluation could not be carried out."""
