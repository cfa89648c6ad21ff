"""What several estimators ask of one layer at one step, computed once.

An estimator takes an optional keyword ``shared``. Without it everything is computed afresh; with it
the expensive intermediate (codes, distances, eigenvalues, log-mean-exponentials) is looked up under
a key that names what it is. ``shared`` never changes a value, only the time.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

from numpy.typing import NDArray

V = TypeVar("V")

Keeper = Callable[[str, Callable[[], Mapping[str, NDArray[Any]]]], Mapping[str, NDArray[Any]]]
"""``keeper(name, make)`` returns ``make()``, or what it gave when it was last asked of that run."""


class Shared:
    """Memo of the intermediates of one representation T (n, d), with the labels if known.

    Parameters
    ----------
    t : ndarray, (n, d)
        The representation; it must not change afterwards.
    labels : ndarray, (n,), or None
        Integer codes of Y, so that one pass over the distances can serve I(X;T) and I(T;Y).
    keeper : callable, optional
        Keeps arrays with the run, for what depends on X or on another step (see
        :mod:`~infoplane.estimators.kept`).
    nulls : bool
        Whether a null may be asked for too: what only it would use again is then kept.
    """

    def __init__(
        self,
        t: NDArray[Any],
        labels: NDArray[Any] | None = None,
        keeper: Keeper | None = None,
        *,
        nulls: bool = True,
    ) -> None:
        self.t = t
        self.labels = labels
        self.keeper = keeper
        self.nulls = nulls
        self._memo: dict[Hashable, Any] = {}

    def __contains__(self, key: Hashable) -> bool:
        return key in self._memo

    def get(self, key: Hashable, compute: Callable[[], V]) -> V:
        """Return the value under ``key``, computing it on the first call."""
        if key not in self._memo:
            self._memo[key] = compute()
        result: V = self._memo[key]
        return result


def serving(shared: Shared | None, t: Any) -> Shared | None:
    """Return ``shared`` when it was made for this very ``t``, else None: a memo never lies."""
    return shared if shared is not None and shared.t is t else None


def recall(shared: Shared | None, key: Hashable, compute: Callable[[], V]) -> V:
    """Look ``key`` up in ``shared`` when there is one, else compute."""
    return compute() if shared is None else shared.get(key, compute)
