"""How parts become one call: the words that every part and the stage around them share.

A `Part` is one piece of behaviour. The stage (`_stage`) runs adjacent parts in one coroutine or function and knows four
kinds of them:

    Gate      decides whether a call may go on, and is told how it ended: breaker, bulkhead, limit, shedding, drain
    RetryPart      decides after a failure whether there is another attempt: retry
    Limit     bounds one attempt in time: timeout
    Wrapper   anything else, around a callable, in a stage of its own: hedge, fallback

Rules for every part:

- A part may be shared by threads and by loops. Locks guard state alone: no user code, no event, no wait under a lock.
- What belongs to one call lives on its `Permit`, never on the part.
- Rejections are raised through `Gate.refuse`, so that they are fresh and have no context.
- Nothing is awaited between the result of the callee and the caller.
"""

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, Self, cast
from weakref import WeakSet

from cqox.errors import Rejected
from cqox.resilience.pipeline import events
from cqox.resilience.pipeline.block import GuardedBlock
from cqox.resilience.pipeline.events import CallRejected, Event
from cqox.resilience.pipeline.permit import NO_RESULT, Admission, Permit
from cqox.resilience.runtime.ambient_deadline import Ambient

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

__all__ = [
    "NO_RESULT",
    "Admission",
    "Changes",
    "Facts",
    "Gate",
    "Judge",
    "Limit",
    "Part",
    "Permit",
    "RetryPart",
    "Wrapper",
]


type Changes = Mapping[Part, Mapping[str, object]]
"""Settings that are about to be changed together, by part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a part is told about the stage that it becomes a piece of.

    Attributes:
        policy: name of the policy, or of the function for a bare decorator.
        asynchronous: True where the callee is awaited.
        limits: what bounds one attempt; their seconds may change at run time.
        bare: True where the parts were stacked as decorators and no `Policy` says how they belong together.
        outermost: True for a wrapper with no gate further out.
    """

    policy: str
    asynchronous: bool
    limits: "tuple[Limit, ...]" = ()
    bare: bool = False
    outermost: bool = False

    @property
    def attempt_timeout(self) -> float:
        """The timeout of one attempt in seconds, infinite where there is none."""
        return min((limit.seconds for limit in self.limits), default=math.inf)


class Part(ABC):
    """One piece of behaviour around a call. It is a decorator, and it goes into a `Policy`.

    Attributes:
        name: what rejections, events and the registry call it.

    A part with settings to change at run time has `reconfigure`, which takes them by keyword, keeps the state, and
    changes nothing where one is out of its range.

    A copy of a part is the part: its state is that of what it guards, of which there is one.
    """

    __slots__ = ("__weakref__",)

    name: str

    @property
    def kind(self) -> str:
        """The word for it in explanations and events."""
        return type(self).__name__

    def describe(self) -> str:
        """One line for `Policy.explain`: what it does, with its numbers."""
        return self.kind

    def setting_names(self) -> frozenset[str]:
        """Names of the settings that its `reconfigure` takes at run time; none where it has no such method."""
        change = getattr(self, "reconfigure", None)
        return frozenset() if change is None else frozenset(inspect.signature(change).parameters)

    def prepare(self, **changes: object) -> Callable[[], None]:
        """Check `changes` without making them, so that those of several parts are made together or not at all.

        By default what is returned checks them as well.

        Returns:
            What makes them.

        Raises:
            ValueError: one is out of its range.
        """
        return lambda: cast("Any", self).reconfigure(**changes)

    def check_beside(self, pending: Changes) -> None:  # noqa: B027 - most parts depend on no other
        """Check what depends on other parts as well, as it will be once `pending` is made.

        Raises:
            ValueError: the settings contradict each other.
            TypeError: a callable is of a kind that does not fit what is guarded.
        """

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def snapshot(self) -> object:
        """Its state at one moment as a frozen record; None where it has none."""
        return None

    def __call__[F: Callable[..., object]](self, function: F) -> F:
        """Guard `function` with this part alone.

        Raises:
            TypeError: it is of a kind that cannot be guarded.
        """
        from cqox.resilience.pipeline.decorate import guard  # the guard knows every kind of part, and no part knows it

        return guard(function, (self,), policy="", bare=True)


class Gate(GuardedBlock, Part):
    """A part that admits or refuses. `with gate:` and `async with gate:` guard a block."""

    __slots__ = ()

    def admission(self, facts: Facts) -> Admission:
        """What a stage with these `facts` asks; by default the gate itself."""
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
        if events.listeners:
            events.emit(self.rejected(rejection, now()))
        try:
            raise rejection
        finally:
            # Whatever the caller is handling at the moment has nothing to do with it.
            rejection.__context__ = None
            # Its traceback holds this frame, which must not hold it: a refusal leaves no work to the collector.
            del rejection

    def rejected(self, rejection: Rejected, at: float) -> Event:
        """The event for `rejection`."""
        return CallRejected(name=self.name, at=at, kind=self.kind, retry_after=rejection.retry_after)


class Judge(ABC):
    """What decides between the attempts of one call."""

    __slots__ = ()

    @abstractmethod
    def after(self, error: Exception, *, called: bool = True) -> float | None:
        """Seconds until the next attempt after one that ended with `error`; None where there is none.

        Args:
            error: what ended the attempt.
            called: False where a gate of the same stage refused it, so that the callee was not called.
        """

    @abstractmethod
    async def pause(self, seconds: float) -> None:
        """Wait before the next attempt; a cancellation ends the wait and the call."""

    @abstractmethod
    def pause_blocking(self, seconds: float) -> None:
        """The same for a thread."""

    @abstractmethod
    def end(self) -> None:
        """No attempt follows; a second call of this does nothing."""


class RetryPart(Part):
    """A part that may call again.

    Attributes:
        begins: True where `begin` must be called for every call, and not only where somebody listens.
    """

    __slots__ = ("begins",)

    begins: bool

    def begins_in(self, facts: Facts) -> bool:
        """Whether `begin` must be called for every call in a stage of these `facts`."""
        return self.begins

    @abstractmethod
    def begin(self, facts: Facts) -> Permit | None:
        """A call makes its first attempt; what is returned, if anything, is settled when the call ends."""

    @abstractmethod
    def judge(self, outer: tuple[Permit, ...], facts: Facts, function: str) -> Judge:
        """What decides for one call, whose first attempt has just failed.

        Args:
            outer: what the call holds from the gates outside of the retry.
            facts: those of the stage.
            function: name of the callee, for the log.
        """


class Limit(Part):
    """A part that bounds one attempt in time.

    Attributes:
        dependents: parts whose settings are checked against this limit.
    """

    __slots__ = ("dependents",)

    dependents: "WeakSet[Part]"

    def seconds_in(self, pending: Changes) -> float:
        """The bound once `pending` is made, in seconds."""
        return cast("float", pending.get(self, {}).get("seconds", self.seconds))

    def check_beside(self, pending: Changes) -> None:
        """See `Part.check_beside`."""
        for part in tuple(getattr(self, "dependents", ())):
            part.check_beside(pending)

    def depend(self, part: Part) -> None:
        """Check `part` as well when this limit changes."""
        if not hasattr(self, "dependents"):
            self.dependents = WeakSet()
        self.dependents.add(part)

    @property
    @abstractmethod
    def seconds(self) -> float:
        """The bound, in seconds."""

    @abstractmethod
    def bound(self, deadline: Ambient | None, now: float) -> "AbstractContextManager[object] | None":
        """A block that bounds an awaited attempt; None where `deadline` does that already.

        Args:
            deadline: the one in force.
            now: the present, by the clock of the deadline.

        Raises:
            DeadlineExceeded: nothing is left, so that the attempt must not begin.
        """

    @abstractmethod
    def bound_blocking(self, deadline: Ambient | None, now: float) -> "AbstractContextManager[object] | None":
        """A block that tells a synchronous attempt how long it has; None where `deadline` does that already."""


class Wrapper(Part):
    """A part that is written around a callable, in a stage of its own."""

    __slots__ = ()

    @abstractmethod
    def wrap_async(self, call: Callable[..., Awaitable[Any]], facts: Facts) -> Callable[..., Awaitable[Any]]:
        """A coroutine function that calls `call`, whose arguments it passes on."""

    @abstractmethod
    def wrap_blocking(self, call: Callable[..., Any], facts: Facts) -> Callable[..., Any]:
        """A function that calls `call`, whose arguments it passes on.

        Raises:
            TypeError: this part can guard awaited calls only.
        """
