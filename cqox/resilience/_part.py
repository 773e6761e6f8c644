"""How parts become one call: the words that every part and the frame around them share.

A `Part` is one piece of behaviour. The frame (`_frame`) runs adjacent parts in one coroutine or function and knows four
kinds of them:

    Gate      decides whether a call may go on, and is told how it ended: breaker, bulkhead, limit, shedding, drain
    Loop      decides after a failure whether there is another attempt: retry
    Limit     bounds one attempt in time: timeout
    Wrapper   anything else, around a callable, in a frame of its own: hedge, fallback

Rules for every part:

- A part may be shared by threads and by loops. Locks guard state alone: no user code, no event, no wait under a lock.
- What belongs to one call lives on its `Permit`, never on the part.
- Rejections are raised through `Gate.refuse`, so that they are fresh and have no context.
- Nothing is awaited between the result of the callee and the caller.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from cqox.errors import Rejected
from cqox.resilience import _events
from cqox.resilience._ambient import Ambient
from cqox.resilience._block import GuardedBlock
from cqox.resilience._events import CallRejected, Event
from cqox.resilience._permit import NO_RESULT, Admission, Permit

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

__all__ = ["NO_RESULT", "Admission", "Facts", "Gate", "Judge", "Limit", "Loop", "Part", "Permit", "Wrapper"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a part is told about the frame that it becomes a piece of.

    Attributes:
        policy: name of the policy, or of the function for a bare decorator.
        asynchronous: True where the callee is awaited.
        attempt_timeout: the timeout of one attempt in seconds, infinite where there is none.
        bare: True where the parts were stacked as decorators and no `Policy` says how they belong together.
    """

    policy: str
    asynchronous: bool
    attempt_timeout: float = math.inf
    bare: bool = False


class Part(ABC):
    """One piece of behaviour around a call. It is a decorator, and it goes into a `Policy`.

    Attributes:
        name: what rejections, events and the registry call it.
    """

    name: str

    @property
    def kind(self) -> str:
        """The word for it in explanations and events."""
        return type(self).__name__

    def describe(self) -> str:
        """One line for `Policy.explain`: what it does, with its numbers."""
        return self.kind

    def __call__[F: Callable[..., object]](self, function: F) -> F:
        """Guard `function` with this part alone.

        Raises:
            TypeError: it is of a kind that cannot be guarded.
        """
        from cqox.resilience._guard import guard  # the guard knows every kind of part, and no part knows it

        return guard(function, (self,), policy="", bare=True)


class Gate(GuardedBlock, Part):
    """A part that admits or refuses. `with gate:` and `async with gate:` guard a block."""

    def admission(self, facts: Facts) -> Admission:
        """What a frame with these `facts` asks; by default the gate itself."""
        return self

    @abstractmethod
    def admit(self, deadline: Ambient | None) -> Permit | None:
        """See `Admission.admit`."""

    async def admit_waiting(self, deadline: Ambient | None) -> Permit:
        """See `Admission.admit_waiting`. A gate that never waits need not define it."""
        raise NotImplementedError

    def admit_blocking(self, deadline: Ambient | None) -> Permit:
        """See `Admission.admit_blocking`. A gate that never waits need not define it."""
        raise NotImplementedError

    def refuse(self, rejection: Rejected, now: Callable[[], float]) -> NoReturn:
        """Raise `rejection` and let listeners know.

        Args:
            rejection: made for this call.
            now: the clock of the gate, read only if somebody listens.
        """
        if _events.listeners:
            _events.emit(self.rejected(rejection, now()))
        try:
            raise rejection
        finally:
            # Whatever the caller is handling at the moment has nothing to do with it.
            rejection.__context__ = None

    def rejected(self, rejection: Rejected, at: float) -> Event:
        """The event for `rejection`."""
        return CallRejected(name=self.name, at=at, kind=self.kind, retry_after=rejection.retry_after)


class Judge(ABC):
    """What decides between the attempts of one call. It is also the permit of that call."""

    @abstractmethod
    def after(self, error: Exception) -> float | None:
        """Seconds until the next attempt after one that ended with `error`; None where there is none."""

    @abstractmethod
    async def pause(self, seconds: float) -> None:
        """Wait before the next attempt; a cancellation ends the wait and the call."""

    @abstractmethod
    def pause_blocking(self, seconds: float) -> None:
        """The same for a thread."""

    @abstractmethod
    def end(self) -> None:
        """No attempt follows."""


class Loop(Part):
    """A part that may call again."""

    @abstractmethod
    def begin(self, facts: Facts) -> None:
        """A call makes its first attempt."""

    @abstractmethod
    def judge(self, outer: tuple[Permit, ...], facts: Facts, function: str) -> Judge:
        """What decides for one call, whose first attempt has just failed.

        Args:
            outer: what the gates outside of the loop handed to the call.
            facts: those of the frame.
            function: name of the callee, for the log.
        """


class Limit(Part):
    """A part that bounds one attempt in time."""

    @property
    @abstractmethod
    def seconds(self) -> float:
        """The bound, in seconds."""

    @abstractmethod
    def bound(self, deadline: Ambient | None) -> "AbstractContextManager[object]":
        """A block that bounds an awaited attempt.

        Raises:
            DeadlineExceeded: nothing is left, so that the attempt must not begin.
        """

    @abstractmethod
    def bound_blocking(self, deadline: Ambient | None) -> "AbstractContextManager[object]":
        """A block that tells a synchronous attempt how long it has."""


class Wrapper(Part):
    """A part that is written around a callable, in a frame of its own."""

    @abstractmethod
    def wrap_async(self, call: Callable[..., Awaitable[Any]], facts: Facts) -> Callable[..., Awaitable[Any]]:
        """A coroutine function that calls `call`, whose arguments it passes on."""

    @abstractmethod
    def wrap_blocking(self, call: Callable[..., Any], facts: Facts) -> Callable[..., Any]:
        """A function that calls `call`, whose arguments it passes on.

        Raises:
            TypeError: this part can guard awaited calls only.
        """
