"""Keys whose computation ends its worker process: tried once more, then refused without another try."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable

from cqox.errors import UnusableData, WorkerLost

__all__ = ["Quarantine"]


class Quarantine:
    """Remembers which keys lost their worker.

    Args:
        strikes: how many lost workers put a key into quarantine.
        remembered: how many keys are kept in mind; those that failed longest ago are forgotten first.
    """

    def __init__(self, *, strikes: int = 2, remembered: int = 10_000) -> None:
        if strikes < 1:
            raise ValueError(f"strikes must be at least 1, not {strikes}")
        self._strikes = strikes
        self._remembered = remembered
        self._lost: OrderedDict[str, int] = OrderedDict()

    async def guard[T](self, key: str, compute: Callable[[], Awaitable[T]]) -> T:
        """What `compute` returns, called again if its worker was lost, until the key is in quarantine.

        Raises:
            UnusableData: the key is in quarantine.
            Exception: what else `compute` raised. Where no worker starts that is `WorkersUnavailable`, and no strike
                against the key.
        """
        while True:
            if self._lost.get(key, 0) >= self._strikes:
                raise UnusableData(
                    f"This computation lost its worker process {self._lost[key]} times and is not tried again. The log "
                    "of the engine says how they ended; another mapping, or fewer rows or columns, may pass."
                )
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
