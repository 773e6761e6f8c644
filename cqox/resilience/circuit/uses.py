"""What one breaker was put around: what a change of its settings must still agree with."""

import math
from collections.abc import Iterator
from weakref import ref

from cqox.resilience.pipeline.part import Changes, Facts, Limit

__all__ = ["Uses"]

# Uses that may come and go before those that are gone are looked for.
_SPARE = 64


class Uses:
    """The limits on attempts behind one breaker, held weakly, and whether plain functions are among its callees.

    Attributes:
        blocking: True once it has guarded a plain function.
    """

    __slots__ = ("_limits", "_look_at", "blocking")

    def __init__(self) -> None:
        self.blocking = False
        self._look_at = _SPARE
        self._limits: dict[tuple[int, ...], tuple[ref[Limit], ...]] = {}

    def add(self, facts: Facts) -> None:
        """Note one more use."""
        self.blocking = self.blocking or not facts.asynchronous
        if not facts.limits:
            return
        self._limits[tuple(map(id, facts.limits))] = tuple(ref(limit) for limit in facts.limits)
        if len(self._limits) > self._look_at:
            alive = {key: used for key, used in self._limits.items() if all(limit() is not None for limit in used)}
            self._limits, self._look_at = alive, 2 * len(alive) + _SPARE

    def attempt_timeouts(self, pending: Changes) -> Iterator[float]:
        """The attempt timeout of each use once `pending` is made, in seconds."""
        for limits in tuple(self._limits.values()):
            alive = [limit for reference in limits if (limit := reference()) is not None]
            if len(alive) == len(limits):
                yield min((limit.seconds_in(pending) for limit in alive), default=math.inf)
