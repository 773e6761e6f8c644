"""Base classes of the parts of a policy, and the contract between a part and its stage.

A `Part` is one behaviour around a call. A stage (`plan`) runs adjacent parts in one coroutine or function. There are
four kinds of part:

    Gate        admits or rejects a call and receives its outcome: breaker, bulkhead, limit, shedding, drain
    RetryPart   decides after a failure whether another attempt follows: retry
    Limit       bounds the duration of one attempt: timeout
    Wrapper     anything else, around a callable, in a stage of its own: hedge, fallback

Rules for every part:

- A part may be shared by threads and event loops. A lock guards state only: no user code, event or wait under a lock.
- The state of one call lives on its `Permit`, never on the part.
- Rejections are raised through `Gate.refuse`: a new exception each time, without a context.
- Nothing is awaited between the result of the callee and the caller.
"""

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self, cast
from weakref import WeakSet

from cqox.errors import Rejected
from cqox.resilience.pipeline import events
from cqox.resilience.pipeline.block import GuardedBlock
from cqox.resilience.pipeline.events import CallRejected, Event
from cqox.resilience.pipeline.key_twins import shallow_copy, twins_of
from cqox.resilience.pipeline.permit import NO_RESULT, NO_STANDING_PERMIT, Admission, Permit, StandingPermit
from cqox.resilience.pipeline.results import ResultCheck
from cqox.resilience.pipeline.tally import Tally
from cqox.resilience.runtime.ambient_deadline import AmbientDeadline
from cqox.resilience.runtime.process_bound import refuse_pickling
from cqox.resilience.runtime.ranges import Seconds, as_seconds

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

__all__ = [
    "NO_RESULT",
    "Admission",
    "AttemptController",
    "Changes",
    "Gate",
    "Limit",
    "Part",
    "Permit",
    "RetryPart",
    "StageContext",
    "Wrapper",
]


type Changes = Mapping[Part, Mapping[str, object]]
"""Pending setting changes, by part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageContext:
    """The stage that a part belongs to, as the part sees it.

    Attributes:
        policy: name of the policy, or of the function for a bare decorator.
        asynchronous: True where the callee is awaited.
        limits: time limits of one attempt; their seconds may change at run time.
        bare: True where the parts were stacked as decorators, without a `Policy`.
        outermost: True for a wrapper with no gate further out.
        key: key of the policy, None for a policy without one.
    """

    policy: str
    asynchronous: bool
    limits: "tuple[Limit, ...]" = ()
    bare: bool = False
    outermost: bool = False
    key: Hashable = None

    @property
    def attempt_timeout(self) -> float:
        """Timeout of one attempt in seconds, infinite where there is none."""
        return min((limit.seconds for limit in self.limits), default=math.inf)


class Part(ABC):
    """One behaviour around a call, usable as a decorator or in a `Policy`.

    Attributes:
        name: its name in rejections, events and the registry.

    A part whose settings can change at run time has `reconfigure`, which takes them by keyword, keeps the state, and
    changes nothing where one is out of its range.

    Copying a part returns the part itself, as its state is that of the one dependency that it guards.
    """

    __slots__ = ("__weakref__", "_key", "_twins")

    name: str
    _key: Hashable

    guard: ClassVar[Callable[..., Any]]
    """Guards a callable with parts; set by `decorate`, which imports every kind of part, as no part can import it."""

    @property
    def kind(self) -> str:
        """Its class name, as used in explanations and events."""
        return type(self).__name__

    def describe(self) -> str:
        """Describe its behaviour and settings in one line, for `Policy.explain`."""
        return self.kind

    def __repr__(self) -> str:
        """Return its kind and name with what `describe` says of it."""
        behaviour = self.describe()
        return f"<{self.kind} {self.name}: {behaviour.partition(': ')[2] or behaviour}>"

    def setting_names(self) -> frozenset[str]:
        """Return the names of the settings that `reconfigure` takes; empty where it has no such method."""
        change = getattr(self, "reconfigure", None)
        return frozenset() if change is None else frozenset(inspect.signature(change).parameters)

    def prepare(self, **changes: object) -> Callable[[], None]:
        """Validate `changes` without applying them, so that changes of several parts are applied all or none.

        By default the returned function validates them as well.

        Returns:
            A function that applies them.

        Raises:
            ValueError: one is out of its range.
        """
        return lambda: cast("Any", self).reconfigure(**changes)

    def check_dependencies(self, pending: Changes) -> None:  # noqa: B027 - most parts depend on no other
        """Check settings that depend on other parts, as they will be once `pending` is applied.

        Raises:
            ValueError: the settings contradict each other.
            TypeError: a callable is of a kind that does not fit the guarded callables.
        """

    def for_key(self, key: Hashable) -> Self:
        """Return the part of `key`, with the settings of this part and a state of its own.

        As long as anything holds it, a policy or a call in progress, the same part is returned. A part without a state
        is that of every key.

        Raises:
            TypeError: it has a state and does not define `renew`.
        """
        if type(self).renew is not Part.renew:
            return twins_of(self).of(key, lambda: self._twin(key))
        if self.snapshot() is None:
            return self
        raise TypeError(f"{self!r} has no state for each key: define renew(), or for_key() to share it between keys")

    def renew(self) -> None:  # noqa: B027 - most parts have no state
        """Give this copy of a part a state of its own; defined by parts that have one for each key."""

    def tally(self) -> Tally | None:
        """Return what counts its calls, which remains when the part of a key ends; None for one that counts nothing."""
        return None

    def with_twins(self) -> "list[Self]":
        """Return this part and those of all keys, to change each of them in the same way."""
        return [self] if getattr(self, "_twins", None) is None else [self, *twins_of(self).all()]

    @property
    def key(self) -> Hashable:
        """The key whose state it has, None for a part that has none."""
        return getattr(self, "_key", None)

    def _twin(self, key: Hashable) -> Self:
        twin = shallow_copy(self)
        twin._key = key
        twin.renew()
        return twin

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def snapshot(self) -> object:
        """Return its current state as a frozen record; None where it is stateless."""
        return None

    def __call__[F: Callable[..., object]](self, function: F) -> F:
        """Guard `function` with this part alone.

        Raises:
            TypeError: it is of a kind that cannot be guarded.
        """
        return cast("F", Part.guard(function, (self,), policy="", bare=True))


class Gate(GuardedBlock, Part):
    """A part that admits or rejects calls. `with gate:` and `async with gate:` guard a block."""

    __slots__ = ()

    standing: StandingPermit = NO_STANDING_PERMIT

    def __reduce__(self) -> NoReturn:
        refuse_pickling(f"{self.kind} {self.name!r}")

    def admission(self, facts: StageContext) -> Admission:
        """Return the admission for a stage with these `facts`; by default the gate itself."""
        return self

    @abstractmethod
    def admit(self, deadline: AmbientDeadline | None) -> Permit | None:
        """See `Admission.admit`."""

    async def admit_waiting(self, deadline: AmbientDeadline | None) -> Permit:
        """See `Admission.admit_waiting`. A gate that never waits need not define it."""
        raise NotImplementedError

    def admit_blocking(self, deadline: AmbientDeadline | None) -> Permit:
        """See `Admission.admit_blocking`. A gate that never waits need not define it."""
        raise NotImplementedError

    def refuse(self, rejection: Rejected, now: Callable[[], float]) -> NoReturn:
        """Raise `rejection` and emit its event.

        Args:
            rejection: a new exception for this call.
            now: the clock of the gate, read only if there are listeners.
        """
        if events.listeners:
            self.say_refused(rejection, now)
        try:
            raise rejection
        finally:
            # An exception that the caller is handling at the moment is unrelated to the rejection.
            rejection.__context__ = None
            # Its traceback references this frame: break the cycle, so that a rejection costs no garbage collection.
            del rejection

    def say_refused(self, rejection: Rejected, now: Callable[[], float]) -> None:
        """Emit the event of `rejection`; for the arguments see `refuse`."""
        events.emit(self.rejected(rejection, now()))

    def rejected(self, rejection: Rejected, at: float) -> Event:
        """Build the event for `rejection`."""
        return CallRejected(name=self.name, key=self.key, at=at, kind=self.kind, retry_after=rejection.retry_after)


class AttemptController(ABC):
    """Controller of the attempts of one call."""

    __slots__ = ()

    @abstractmethod
    def after(self, error: Exception, *, called: bool = True) -> float | None:
        """Return the delay in seconds before the next attempt after one failed with `error`; None to give up.

        Args:
            error: exception that ended the attempt.
            called: False where a gate of the same stage rejected the attempt before the callee was called.
        """

    @abstractmethod
    async def pause(self, seconds: float) -> None:
        """Wait before the next attempt; a cancellation ends the wait and the call."""

    @abstractmethod
    def pause_blocking(self, seconds: float) -> None:
        """Synchronous twin of `pause`."""

    @abstractmethod
    def end(self) -> None:
        """End the attempts; idempotent."""


class RetryPart(Part):
    """A part that may repeat a failed call.

    Attributes:
        begins: True where `begin` must be called for every call, even without listeners.
    """

    __slots__ = ("begins",)

    begins: bool

    def result_check(self) -> ResultCheck | None:
        """Return the predicate on results after which another attempt follows, read on decoration; None for none."""
        return None

    def begins_in(self, facts: StageContext) -> bool:
        """Return whether `begin` must be called for every call in a stage with these `facts`."""
        return self.begins

    @abstractmethod
    def begin(self, facts: StageContext) -> Permit | None:
        """Start the first attempt of a call; a returned permit is settled when the call ends."""

    @abstractmethod
    def judge(self, outer: tuple[Permit, ...], facts: StageContext, function: str) -> AttemptController:
        """Create the attempt controller of one call, whose first attempt has just failed.

        Args:
            outer: permits of the call from the gates outside of the retry.
            facts: facts of the stage.
            function: name of the callee, for the log.
        """


_dependence = Lock()
"""Guards the `dependents` of all limits, which change when policies are made."""


class Limit(Part):
    """A part that bounds the duration of one attempt.

    Attributes:
        dependents: parts whose settings are checked against this limit.
        seconds: the time limit, in seconds.
    """

    __slots__ = ("dependents",)

    seconds: float
    dependents: "WeakSet[Part]"

    def seconds_in(self, pending: Changes) -> float:
        """Return the time limit once `pending` is applied, in seconds."""
        return as_seconds(cast("Seconds", pending.get(self, {}).get("seconds", self.seconds)))

    def check_dependencies(self, pending: Changes) -> None:
        """See `Part.check_dependencies`."""
        with _dependence:
            dependents = tuple(getattr(self, "dependents", ()))
        for part in dependents:
            part.check_dependencies(pending)

    def depend(self, part: Part) -> None:
        """Register `part` to be checked when this limit changes."""
        with _dependence:
            if not hasattr(self, "dependents"):
                self.dependents = WeakSet()
            self.dependents.add(part)

    @abstractmethod
    def bound(self, deadline: AmbientDeadline | None, now: float) -> "AbstractContextManager[object] | None":
        """Return a context manager that bounds an awaited attempt; None where `deadline` expires no later.

        Args:
            deadline: the deadline in force.
            now: current time, by the clock of the deadline.

        Raises:
            DeadlineExceeded: no time is left, so that the attempt must not start.
        """

    @abstractmethod
    def bound_blocking(self, deadline: AmbientDeadline | None, now: float) -> "AbstractContextManager[object] | None":
        """Return a context manager that bounds `remaining()` in a synchronous attempt; None where `deadline` does."""


class Wrapper(Part):
    """A part that wraps a callable in a stage of its own."""

    __slots__ = ()

    def block(self) -> "AbstractContextManager[object] | None":
        """Return a context manager that does the same for a block; None where only a callable can be wrapped."""
        return None

    @abstractmethod
    def wrap_async(self, call: Callable[..., Awaitable[Any]], facts: StageContext) -> Callable[..., Awaitable[Any]]:
        """Wrap `call` in a coroutine function that forwards its arguments."""

    @abstractmethod
    def wrap_blocking(self, call: Callable[..., Any], facts: StageContext) -> Callable[..., Any]:
        """Wrap `call` in a function that forwards its arguments.

        Raises:
            TypeError: this part can only guard awaited calls.
        """
