"""Callbacks at simulated times, in an order that the run repeats."""

import itertools
from collections.abc import Callable
from heapq import heappop, heappush

import trio

__all__ = ["Timeline"]


class Timeline:
    """A queue of callbacks, each at its time; those of one time run in the order of their scheduling."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._sleep = trio.CancelScope()

    def at(self, when: float, call: Callable[[], None]) -> None:
        """Run the callback at this time of Trio's clock; now, if that has passed."""
        heappush(self._due, (when, next(self._numbers), call))
        if when < self._sleep.deadline:
            self._sleep.deadline = when

    async def run(self) -> None:
        """Run the callbacks until cancelled."""
        while True:
            with trio.CancelScope(deadline=self._due[0][0] if self._due else float("inf")) as self._sleep:
                await trio.sleep_forever()
            now = trio.current_time()
            while self._due and self._due[0][0] <= now:
                heappop(self._due)[2]()
