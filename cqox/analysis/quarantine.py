"""Quarantine of keys whose computation crashes its worker process: one retry, then rejection."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable

from cqox.contract.messages import Message
from cqox.errors import UnusableData, WorkerLost

__all__ = ["Quarantine"]


class Quarantine:
    """Counts worker crashes by key.

    Args:
        strikes: number of crashes that put a key into quarantine.
        remembered: maximum number of keys; those with the oldest failures are evicted.
    """

    def __init__(self, *, strikes: int = 2, remembered: int = 10_000) -> None:
        if strikes < 1:
            raise ValueError(f"strikes must be at least 1, not {strikes}")
        self._strikes = strikes
        self._remembered = remembered
        self._lost: OrderedDict[str, int] = OrderedDict()

    async def guard[T](self, key: str, compute: Callable[[], Awaitable[T]]) -> T:
        """Return the result of `compute`, called again if its worker was lost, until the key is in quarantine.

        Raises:
            UnusableData: the key is in quarantine.
            Exception: any other error of `compute`. If no worker starts it is `WorkersUnavailable`, which does not
                count against the key.
        """
        while True:
            if self._lost.get(key, 0) >= self._strikes:
                raise UnusableData(Message("analysis.quarantined", times=self._lost[key]))
            try:
                result = await compute()
            except WorkerLost:
                self._strike(key)
                continue
            self._lost.pop(key, None)
            return result

    def _strike(self, key: str) -> None:
        self._lost[key] = self._lost.pop(key, 0) + 1
        while len(self._lost) > self._remembered:
            self._lost.popitem(last=False)
