"""A scripted dependency for tests."""

import time
from dataclasses import dataclass
from threading import Lock

import anyio

from cqox.resilience.runtime.clock import Clock

__all__ = ["Script", "Slow"]


@dataclass(frozen=True, slots=True)
class Slow:
    """A step that takes time.

    Attributes:
        seconds: duration; infinite to hang.
        then: the step that follows.
    """

    seconds: float
    then: object = None


class Script:
    """A callable that plays one step per call: an exception is raised, `Slow` waits, any other value is returned.

    The last step repeats for every further call. `script()` is a plain call, `await script.call()` an awaited one.
    """

    def __init__(self, *steps: object, clock: Clock | None = None) -> None:
        """Make a script.

        Args:
            steps: the steps, at least one.
            clock: clock of `Slow`; the system's or the event loop's by default.

        Raises:
            ValueError: there is no step.
        """
        if not steps:
            raise ValueError("a script needs at least one step, and has none")
        self._steps = steps
        self._clock = clock
        self._calls = 0
        self._lock = Lock()

    @property
    def calls(self) -> int:
        """Number of calls so far."""
        return self._calls

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Play the next step."""
        step = self._next()
        while isinstance(step, Slow):
            (time.sleep if self._clock is None else self._clock.sleep)(step.seconds)
            step = step.then
        return _outcome(step)

    async def call(self, *args: object, **kwargs: object) -> object:
        """Play the next step; a cancellation ends a slow step."""
        step = self._next()
        while isinstance(step, Slow):
            await (anyio.sleep if self._clock is None else self._clock.sleep_async)(step.seconds)
            step = step.then
        return _outcome(step)

    def _next(self) -> object:
        with self._lock:
            step = self._steps[min(self._calls, len(self._steps) - 1)]
            self._calls += 1
            return step


def _outcome(step: object) -> object:
    if isinstance(step, BaseException):
        raise step
    if isinstance(step, type) and issubclass(step, BaseException):
        raise step()
    return step  # pyright: ignore[reportUnknownVariableType]
