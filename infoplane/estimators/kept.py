"""What outlives a call: arrays kept with a run, and an estimator's arguments at another step of it.

Estimators see arrays only. Who evaluates a run gives the memo of a layer a *keeper*, which keeps
arrays under a name of their content, and stands in for another step with an :class:`Origin`, read
only when nothing made from it is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from numpy.typing import NDArray

from infoplane.estimators.shared import Shared

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Origin:
    """The arguments (v, t) of an estimator at another step of a run.

    Attributes
    ----------
    identity : str
        Text that names the content of T.
    load : callable
        Reads them.
    target : str
        Text that names V, among those of the run.
    """

    identity: str
    load: Callable[[], tuple[NDArray[Any], ...]]
    target: str = ""


def kept(
    shared: Shared | None, what: str, content: Sequence[Any], make: Callable[[], Arrays]
) -> Arrays:
    """Return ``make()``, or what it once gave for the same content, where there is a keeper.

    Parameters
    ----------
    shared : Shared or None
        Memo of the layer, with the keeper of its run if it has one.
    what : str
        Kind of thing, in lower-case letters.
    content : sequence of numbers and text
        All that the arrays depend on.
    """
    if shared is None or shared.keeper is None:
        return make()
    return shared.keeper(f"{what}-{digest(repr(list(content)).encode())}", make)


def digest(data: Any) -> str:
    """Name bytes by their content: 32 hex digits."""
    return blake2b(data, digest_size=16).hexdigest()
