"""The circuit breaker: a part for policies, a decorator, and a guard for blocks."""

import math
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Concatenate, Protocol, Self, Unpack, cast, overload
from weakref import ref

from cqox.resilience.circuit.admission import CircuitAdmission, check_probe
from cqox.resilience.circuit.health import FailureRate
from cqox.resilience.circuit.settings import CircuitChanges, CircuitSettings, Failures, Probe, check_bound
from cqox.resilience.circuit.state import Circuit
from cqox.resilience.circuit.statistics import CircuitMode, CircuitSnapshot, CircuitState
from cqox.resilience.pipeline.decorate import expose, guard
from cqox.resilience.pipeline.events import Listener
from cqox.resilience.pipeline.part import Changes, Gate, Limit, StageContext
from cqox.resilience.pipeline.permit import Admission, Permit
from cqox.resilience.pipeline.registry import registry
from cqox.resilience.pipeline.tally import Tally
from cqox.resilience.runtime.ambient_deadline import AmbientDeadline
from cqox.resilience.runtime.clock import Clock, TimeSource, bind_clock
from cqox.resilience.runtime.ranges import Seconds, as_listed, as_seconds, check_name

__all__ = ["CircuitBreaker", "GuardedFunction"]


class GuardedFunction[**P, R](Protocol):
    """A function behind a circuit breaker, with the same signature, binding and type as before."""

    breaker: "CircuitBreaker"
    __name__: str

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function through the breaker."""
        ...

    @overload
    def __get__(self, instance: None, owner: type, /) -> "GuardedFunction[P, R]": ...
    @overload
    def __get__[S, **Q](
        self: "GuardedFunction[Concatenate[S, Q], R]", instance: S, owner: type | None = None, /
    ) -> "GuardedFunction[Q, R]": ...
    @overload  # a static method
    def __get__(self, instance: object, owner: type | None = None, /) -> "GuardedFunction[P, R]": ...


class CircuitBreaker(Gate):
    """A circuit breaker: it rejects calls to a failing dependency and probes it for recovery.

    A CLOSED circuit lets every call through. When failures reach the threshold it becomes OPEN: calls are rejected
    with `CircuitOpen`. After `recovery_timeout` the next call makes it HALF_OPEN and passes as a probe, with at most
    `half_open_max_calls` probes at a time; that many successes close it, one failure opens it again.

    A cancellation counts as neither success nor failure, unless it comes at or after the deadline of a call that had
    its fair share: half of its attempt timeout, at most one second. A rejection by another part never counts.

    One breaker may be shared by threads, asyncio and Trio.
    """

    __slots__ = ("_circuit", "_uses", "name")

    _circuit: Circuit

    def __init__(
        self,
        name: str,
        failure_threshold: int = 5,
        recovery_timeout: Seconds = 60.0,
        half_open_max_calls: int = 1,
        probe_timeout: Seconds | None = None,
        probe: Probe | None = None,
        failures: Failures = (Exception,),
        failure_if: Callable[..., bool] | None = None,
        clock: Clock | TimeSource | None = None,
        *,
        failure_rate: FailureRate | None = None,
        key: str | None = None,
    ) -> None:
        """Make a closed circuit.

        Args:
            name: its name in rejections, events and the registry.
            failure_threshold: consecutive failures that open it, at least 1.
            recovery_timeout: seconds (or a `timedelta`) from opening to the next probe, from 0.
            half_open_max_calls: limit on concurrent probes, and successes that close the circuit, at least 1.
            probe_timeout: seconds after which a probe loses its permit, above 0 and longer than the attempt timeout;
                by default that timeout plus 1 s, or `recovery_timeout` where the call is unbounded.
            probe: a cheap callable that tests the dependency in place of the call, which waits for it. The probe fails
                by raising or by returning False.
            failures: exception class or classes that count as failures, or a predicate. Other exceptions are ignored.
            failure_if: predicate on the result; True counts the call as a failure and still returns the result.
            clock: time source; by default the system's, or the simulated clock in effect.
            failure_rate: opens the circuit by a rate over a sliding window, instead of `failure_threshold`.
            key: its key in the registry; its name by default.

        Raises:
            ValueError: a setting is out of its range, or `failure_threshold` and `failure_rate` are both given.
        """
        settings = CircuitSettings(
            failure_threshold=failure_threshold,
            recovery_timeout=as_seconds(recovery_timeout),
            half_open_max_calls=half_open_max_calls,
            probe_timeout=None if probe_timeout is None else as_seconds(probe_timeout),
            probe=probe,
            failures=as_listed(failures),
            failure_if=failure_if,
            failure_rate=failure_rate,
        )
        check_bound(failure_threshold, failure_rate)
        self._initialize(name, settings, clock, key or name)

    @classmethod
    def from_settings(
        cls, name: str, settings: CircuitSettings, *, clock: Clock | TimeSource | None = None, key: str | None = None
    ) -> Self:
        """Make a closed circuit from `settings`; for the other arguments see the constructor."""
        breaker = cls.__new__(cls)
        breaker._initialize(name, settings, clock, key or name)
        return breaker

    @property
    def state(self) -> CircuitState:
        """The current state. It stays OPEN until a call is admitted as a probe."""
        return self._circuit.phase.state

    @property
    def settings(self) -> CircuitSettings:
        """The settings in force."""
        return self._circuit.settings

    def snapshot(self) -> CircuitSnapshot:
        """Return the current state and the lifetime totals."""
        return self._circuit.snapshot(self._circuit.clock.peek())

    def isolate(self) -> None:
        """Reject every call until `reset`."""
        self._force(CircuitMode.ISOLATED)

    def disable(self) -> None:
        """Let every call through until `reset`; outcomes are counted but do not change the state."""
        self._force(CircuitMode.DISABLED)

    def observe_only(self) -> None:
        """Change state and emit events as usual, but let every call through until `reset`."""
        self._force(CircuitMode.OBSERVE_ONLY)

    def reset(self) -> None:
        """Close the circuit, clear its window and return to normal mode.

        Lifetime totals stay. Calls in progress become stale.
        """
        self._force(CircuitMode.NORMAL)
        for breaker in self.with_twins():
            breaker._circuit.clock.release()

    def setting_names(self) -> frozenset[str]:
        """See `Part.setting_names`."""
        return frozenset(CircuitChanges.__annotations__)

    def reconfigure(self, **changes: Unpack[CircuitChanges]) -> None:
        """Change settings of the constructor and keep the state.

        A window keeps its outcomes as far as the new one covers them. An open circuit waits for the new recovery
        timeout, counted from when it opened.

        Raises:
            ValueError: a setting is out of its range, `probe_timeout` is not longer than the attempt timeout, or
                `failure_threshold` is given where `failure_rate` is in force; no setting is changed.
            TypeError: the probe is a coroutine function and a callee is not.
        """
        change = self.prepare(**changes)
        self.check_dependencies({self: cast("Mapping[str, object]", changes)})
        change()

    def prepare(self, **changes: object) -> Callable[[], None]:
        """See `Part.prepare`."""
        # Validated now, applied to the settings in force later: another thread may change other settings meanwhile.
        settings = replace(self._circuit.settings, **cast("dict[str, Any]", changes))
        check_bound(cast("int | None", changes.get("failure_threshold")), settings.failure_rate)

        def change() -> None:
            self._circuit.reconfigure(cast("CircuitChanges", changes))
            for breaker in self.with_twins()[1:]:
                breaker._circuit.reconfigure(cast("CircuitChanges", changes))

        return change

    def for_key(self, key: Hashable) -> Self:
        """Return the circuit of `key`; see `Part.for_key`.

        Raises:
            TypeError: it has a `probe`, which has no key to test.
        """
        if self._circuit.settings.probe is not None:
            raise TypeError(f"circuit breaker {self.name} has a probe, which cannot test a key: leave probe out")
        return super().for_key(key)

    def renew(self) -> None:
        """See `Part.renew`."""
        self._circuit = self._circuit.twin(self._circuit.clock.unbound(), self.key)

    def tally(self) -> Tally:
        """See `Part.tally`."""
        return self._circuit

    def is_settled(self) -> bool:
        """Return whether it is closed; for that of a key, whether it would be the same if the key were new."""
        return self._circuit.is_settled()

    def check_dependencies(self, pending: Changes) -> None:
        """See `Part.check_dependencies`."""
        mine, settings = pending.get(self, {}), self._circuit.settings
        given = cast("Seconds | None", mine.get("probe_timeout", settings.probe_timeout))
        probe_timeout = None if given is None else as_seconds(given)
        for timeout in self._uses.attempt_timeouts(pending):
            self._check_probe_timeout(probe_timeout, timeout)
        if self._uses.blocking:
            check_probe(cast("Probe | None", mine.get("probe", settings.probe)))

    def subscribe(self, callback: Listener) -> Callable[[], None]:
        """Call `callback` for each state transition of this circuit, once, in order, outside of its lock.

        A callback may call any method of the breaker. A callback that raises is logged.

        Returns:
            A function that unsubscribes.
        """
        return self._circuit.outbox.subscribe(callback)

    def __call__[**P, R](  # type: ignore[override]  # the same function, with `.breaker`
        self, function: Callable[P, R]
    ) -> GuardedFunction[P, R]:
        """Guard `function` with this breaker alone, and expose it as `.breaker` of the result.

        Raises:
            TypeError: `function` is of a kind that cannot be guarded.
        """
        guarded = cast("GuardedFunction[P, R]", guard(function, (self,), policy="", bare=True))
        expose(guarded, breaker=self)
        return guarded

    def admission(self, facts: StageContext) -> Admission:
        """See `Gate.admission`.

        Raises:
            ValueError: `probe_timeout` is not longer than the attempt timeout.
            TypeError: the probe is a coroutine function and the callee is not.
        """
        settings = self._circuit.settings
        self._check_probe_timeout(settings.probe_timeout, facts.attempt_timeout)
        if not facts.asynchronous:
            check_probe(settings.probe)
        self._uses.add(facts)
        if not hasattr(self, "_key"):  # that of a key shares the uses of its origin
            for limit in facts.limits:
                limit.depend(self)
        return CircuitAdmission(self._circuit, facts, self)

    def admit(self, deadline: AmbientDeadline | None) -> Permit | None:
        """See `Gate.admit`."""
        return self._block_admission().admit(deadline)

    async def admit_waiting(self, deadline: AmbientDeadline | None) -> Permit:
        """See `Gate.admit_waiting`."""
        return await self._block_admission().admit_waiting(deadline)

    def admit_blocking(self, deadline: AmbientDeadline | None) -> Permit:
        """See `Gate.admit_blocking`."""
        return self._block_admission().admit_blocking(deadline)

    def describe(self) -> str:
        """See `Part.describe`."""
        settings = self._circuit.settings
        rate = settings.failure_rate
        bound = f"{settings.failure_threshold} failures in a row"
        if rate is not None:
            window = f"{rate.seconds:g} s" if rate.seconds is not None else f"{rate.window_calls} calls"
            bound = f"{rate.rate:.0%} failures over {window}"
        return f"circuit breaker {self.name}: opens at {bound}, probes after {settings.recovery_timeout:g} s"

    def __repr__(self) -> str:
        return f"<CircuitBreaker {self.name} {self.state.value}: {self.describe().partition(': ')[2]}>"

    def _initialize(self, name: str, settings: CircuitSettings, clock: Clock | TimeSource | None, key: str) -> None:
        self.name = check_name(name)
        if not isinstance(cast("object", key), str):
            raise ValueError(f"key must be a string, not {key!r}")
        self._uses = _Uses()
        self._circuit = Circuit(name, settings, bind_clock(f"circuit breaker {name}", clock))
        registry.add(key, self)

    def _check_probe_timeout(self, probe_timeout: float | None, attempt_timeout: float) -> None:
        if probe_timeout is not None and attempt_timeout < math.inf and probe_timeout <= attempt_timeout:
            raise ValueError(
                f"probe_timeout of circuit breaker {self.name} must be above the attempt timeout of "
                f"{attempt_timeout:g} s, not {probe_timeout!r}"
            )

    def _block_admission(self) -> CircuitAdmission:
        # One per block: a stored admission would form a reference cycle with its breaker.
        return CircuitAdmission(self._circuit, None, self)

    def _force(self, mode: CircuitMode) -> None:
        self._circuit.force(mode, self._circuit.clock.peek())
        for breaker in self.with_twins()[1:]:
            breaker._circuit.force(mode, breaker._circuit.clock.peek())


# Dead uses that accumulate before they are purged.
_SPARE = 64


class _Uses:
    """Attempt limits behind one breaker, held weakly, and the kinds of its callees.

    Attributes:
        blocking: True once it has guarded a plain function.
    """

    __slots__ = ("_limits", "_look_at", "blocking")

    def __init__(self) -> None:
        self.blocking = False
        self._look_at = _SPARE
        self._limits: dict[tuple[int, ...], tuple[ref[Limit], ...]] = {}

    def add(self, facts: StageContext) -> None:
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
