"""Uses of one breaker, which constrain later changes of its settings."""

import math
from collections.abc import Iterator
from weakref import ref

from cqox.resilience.pipeline.part import Changes, Facts, Limit

__all__ = ["Uses"]

# Dead uses that accumulate before they are purged.
_SPARE = 64


class Uses:
    """Attempt limits behind one breaker, held weakly, and the kinds of its callees.

    Attributes:
        blocking: True once it has guarded a plain function.
    """

    __slots__ = ("_limits", "_look_at", "blocking")

    def __init__(self) -> None:
        self.blocking = False
        self._look_at = _SPARE
        self._limits: dict[tuple[int, ...], tuple[ref[Limit], ...]] = {}

    def add(self, facts: Facts) -> None:
        """Record one more use."""
        self.blocking = self.blocking or not facts.asynchronous
        if not facts.limits:
            return
        self._limits[tuple(map(id, facts.limits))] = tuple(ref(limit) for limit in facts.limits)
        if len(self._limits) > self._look_at:
            alive = {key: used for key, used in self._limits.items() if all(limit() is not None for limit in used)}
            self._limits, self._look_at = alive, 2 * len(alive) + _SPARE

    def attempt_timeouts(self, pending: Changes) -> Iterator[float]:
        """Yield the attempt timeout of each use once `pending` is applied, in seconds."""
        for limits in tuple(self._limits.values()):
            alive = [limit for reference in limits if (limit := reference()) is not None]
            if len(alive) == len(limits):
                yield min((limit.seconds_in(pending) for limit in alive), default=math.inf)
