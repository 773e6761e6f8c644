"""Policies: immutable compositions of parts, ordered outermost first."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from inspect import CO_COROUTINE
from operator import call
from types import FunctionType
from typing import Any, NoReturn, Protocol, Self, cast

from cqox.resilience.circuit import CircuitBreaker
from cqox.resilience.composition.advice import order_warnings
from cqox.resilience.composition.decorators import CircuitBreakerDecorator
from cqox.resilience.composition.keyed_functions import check_key_source, guard_by_key
from cqox.resilience.composition.policy_block import PolicyBlocks
from cqox.resilience.composition.policy_keys import KeyedPolicies
from cqox.resilience.pipeline.awaitables import awaiting, returns_awaitables
from cqox.resilience.pipeline.decorate import bind, expose, guard, kind_behind
from cqox.resilience.pipeline.key_twins import shallow_copy
from cqox.resilience.pipeline.one_gate import Call, bind_one_gate_call
from cqox.resilience.pipeline.part import Changes, Part
from cqox.resilience.pipeline.plan import Stage, WrapperStage, plan
from cqox.resilience.pipeline.registry import registry
from cqox.resilience.pipeline.setting_names import SettingsByName
from cqox.resilience.retry.budget import RetryBudget
from cqox.resilience.runtime.callable_kinds import FLAGS, KIND_FLAGS, Kind
from cqox.resilience.runtime.process_bound import refuse_pickling
from cqox.resilience.runtime.ranges import check_name

__all__ = ["KeyedDecorator", "PartSnapshot", "Policy", "PolicySnapshot"]

# A key of a policy with a circuit, a bulkhead and a budget takes about 5 kB.
_MOST_KEYS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSnapshot:
    """Snapshot of one part of a policy.

    Attributes:
        kind: class of the part.
        name: name of the part.
        state: snapshot of the part, None where it is stateless.
    """

    kind: str
    name: str
    state: object


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySnapshot:
    """Snapshot of a policy.

    Attributes:
        name: name of the policy.
        parts: snapshots of its parts, outermost first.
        keys: number of keys that it keeps.
        unsettled_keys: those of them whose circuit is not closed, or was set otherwise than that of the policy.
    """

    name: str
    parts: tuple[PartSnapshot, ...]
    keys: int = 0
    unsettled_keys: int = 0


class KeyedDecorator(Protocol):
    """Decorates a function whose calls have keys; its signature and type stay."""

    def __call__[F: Callable[..., object]](self, function: F, /) -> F:
        """Guard `function`."""
        ...


class Policy(PolicyBlocks):
    """A composition of parts around a call, outermost first: `Policy("engine", bulkhead, breaker, retry, timeout)`.

    It is a decorator, `policy.call(function, ...)` makes one call, and `with policy:` or `async with policy:` guards a
    block, unless the policy has a retry, hedge or fallback. A decorated function exposes the outermost
    breaker, if there is one, as `.breaker`. The order matters: a breaker outside of the retry counts calls, one inside
    of it counts attempts.

    `policy.for_key(host)` is the policy whose circuits, limits and budgets are those of one key.

    Attributes:
        name: its name in errors, events and the registry.
        parts: outermost first.
        key: the key that it is of, None for one that `for_key` has not returned.
    """

    __slots__ = ("__weakref__", "_call_awaited", "_callers", "_keys", "_plans", "key", "name", "parts")

    name: str
    parts: tuple[Part, ...]
    key: Hashable
    _keys: KeyedPolicies[Self] | None
    _plans: dict[bool, list[Stage | WrapperStage]]
    _callers: dict[int | str, Callable[..., Any]]
    _call_awaited: Call | None

    def __init__(self, name: str, *parts: Part, most_keys: int = _MOST_KEYS) -> None:
        """Compose `parts`.

        Args:
            name: a non-empty name.
            parts: outermost first; at least one.
            most_keys: keys of `for_key` that are kept, at least 1.

        Raises:
            ValueError: the name is empty, there is no part, a part occurs twice, two parts contradict each other, or
                `most_keys` is out of its range.
            TypeError: an argument is not a part.
        """
        check_name(name)
        if not parts:
            raise ValueError(f"policy {name} needs at least one part, and has none")
        for at, part in enumerate(cast("tuple[object, ...]", parts)):
            if not isinstance(part, Part):
                raise TypeError(f"policy {name}: {_why_no_part(part)}")
            if any(part is other for other in parts[:at]):
                raise ValueError(f"policy {name}: {part!r} is there twice")
        self._compose(name, parts, None, KeyedPolicies(most_keys))
        # Planning now reports contradictions here, and not at the first decoration.
        self._plan(True)
        registry.add(name, self)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a policy never changes: make another one, or reconfigure() a part, to set {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a policy never changes: {name} cannot be deleted")

    def __copy__(self) -> Self:
        """Return the policy itself, which is immutable."""
        return self

    def __deepcopy__(self, memo: object) -> Self:
        """Return the policy itself: a copied circuit or limit would guard nothing."""
        return self

    def __reduce__(self) -> NoReturn:
        refuse_pickling(f"policy {self.name}")

    def __call__[F: Callable[..., object]](self, function: F) -> F:
        """Guard `function`.

        Raises:
            TypeError: `function` is of a kind that cannot be guarded, or a part cannot guard that kind.
        """
        guarded = guard(function, self.parts, policy=self.name, key=self.key)
        # The function keeps the policy alive, so that the registry lists it for as long as it is in use.
        expose(guarded, __cqox_policy__=self)
        breakers = [part for part in self.parts if isinstance(part, CircuitBreaker)]
        if breakers:
            expose(guarded, breaker=breakers[0])
        return guarded

    def call[**P, R](self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call `function` once: `await policy.call(fetch, url)`, or `policy.call(read, path)` for a plain function.

        Raises:
            TypeError: `function` is of a kind that cannot be guarded.
        """
        caller = None
        if type(function) is FunctionType:
            flags = function.__code__.co_flags & KIND_FLAGS
            # The kind of a function is known from its flags; decorators may mark others than coroutine functions.
            if flags == CO_COROUTINE:
                if (call_awaited := self._call_awaited) is not None:
                    return call_awaited(function, args, kwargs)  # type: ignore[no-any-return]  # the function's own result
                caller = self._callers.get(flags)
            elif not function.__dict__ and (flags or not returns_awaitables(function)):
                caller = self._callers.get(flags)
        if caller is None:
            caller = self._caller(function, kind_behind(function))
        return caller(function, *args, **kwargs)  # type: ignore[no-any-return]  # the function's own result

    def for_key(self, key: Hashable) -> Self:
        """Return the policy of `key`: its circuits, bulkheads, limits and retry budgets are those of the key alone.

        The same settings hold for all keys. Timeouts, fallbacks, load shedding and drain have no state for each key.
        Where more than `most_keys` are kept, the least recently used key whose circuits are closed is forgotten and
        starts over when it returns, except for a key that is still in use: by a call in progress, a decorated function
        or a variable. A key whose circuit is not closed is never forgotten, even where more are then kept.

        Raises:
            TypeError: `key` is not hashable, a part has a state that it cannot have for each key, or this is the policy
                of a key itself.
        """
        if self._keys is None:
            raise TypeError(f"{self!r} is that of a key, which has no further keys")
        return self._keys.get(key, lambda: self._of_key(key))

    def keyed(self, by: str | Callable[..., Hashable]) -> KeyedDecorator:
        """Return a decorator whose functions call through the policy of the key of each call: `@policy.keyed("host")`.

        Args:
            by: the name of the parameter whose argument is the key, or a function that takes the arguments of a call
                and returns its key. Type checkers know the arguments of a function with annotations, not of a lambda.

        Raises:
            TypeError: `by` is neither.
        """
        check_key_source(by)

        def decorate[F: Callable[..., object]](function: F, /) -> F:
            guarded = guard_by_key(function, by, self._caller_for_key, self.parts)
            expose(guarded, __cqox_policy__=self)
            return guarded

        return decorate

    def keys(self) -> Mapping[Hashable, Self]:
        """Return the policies of the keys that are kept, least recently used first."""
        return {} if self._keys is None else self._keys.all()

    def forget(self, key: Hashable) -> bool:
        """Forget a key, such as one that no longer exists, also where its circuit is not closed.

        Returns:
            True if the key was kept.
        """
        return self._keys is not None and self._keys.forget(key)

    def is_settled(self) -> bool:
        """Return whether its circuits are closed, and for the policy of a key set as those of the policy are."""
        return all(breaker.is_settled() for breaker in self.parts if isinstance(breaker, CircuitBreaker))

    def part[Kind: Part](self, kind: type[Kind]) -> Kind:
        """Return the outermost part of a class.

        Raises:
            LookupError: there is no part of that class.
            TypeError: `kind` is not a class.
        """
        if not isinstance(cast("object", kind), type):
            raise TypeError(f"kind must be a class of parts, such as Retry, not {kind!r}")
        for part in self.parts:
            if isinstance(part, kind):
                return part
        raise LookupError(f"policy {self.name} has no {kind.__name__}")

    def explain(self) -> str:
        """Describe the order, with one line per part and one line per warning."""
        lines = [f"policy {self.name}, outermost first:"]
        lines += [f"  {number}. {part.describe()}" for number, part in enumerate(self.parts, start=1)]
        lines += [f"  warning: {doubt}" for doubt in order_warnings(self.parts)]
        return "\n".join(lines)

    def snapshot(self) -> PolicySnapshot:
        """Return the state of every part."""
        return PolicySnapshot(
            name=self.name,
            parts=tuple(PartSnapshot(kind=part.kind, name=part.name, state=part.snapshot()) for part in self.parts),
            keys=len(keyed := self.keys()),
            unsettled_keys=sum(not policy.is_settled() for policy in keyed.values()),
        )

    def setting_names(self) -> frozenset[str]:
        """Return the settings that `reconfigure` takes, each by its shortest unambiguous name."""
        return frozenset(self._settings().names())

    def check_settings(self, changes: Mapping[str, object]) -> None:
        """Check that `reconfigure` accepts the names in `changes`; the values are not checked.

        Raises:
            TypeError: a setting is unknown or ambiguous.
        """
        self._settings().by_part(changes)

    def reconfigure(self, **changes: object) -> None:
        """Change settings of the parts and keep their state; either all changes are applied or none.

        A setting is addressed by its own name where only one part has it, and by `part.setting` where several do:
        `policy.reconfigure(**{"timeout.seconds": 2.0})`. `part` is the name or the kind of the part.

        The settings of its keys change with it.

        Raises:
            TypeError: a setting is unknown or ambiguous, or this is the policy of a key.
            ValueError: a setting is out of its range or contradicts another; no setting is changed.
        """
        self.prepare_parts(self._settings().by_part(changes))()

    def prepare_parts(self, pending: Changes) -> Callable[[], None]:
        """Validate changes of several parts without applying them.

        Args:
            pending: settings by part.

        Returns:
            A function that applies them all.

        Raises:
            ValueError: a setting is out of its range or contradicts another.
            TypeError: a callable is of a kind that does not fit the guarded callables, or this is the policy of a key.
        """
        if self._keys is None:
            raise TypeError(f"policy {self.name} has the same settings for every key: reconfigure the policy itself")
        prepared = [part.prepare(**pending[part]) for part in self.parts if part in pending]
        for part in pending:
            part.check_dependencies(pending)

        def change() -> None:
            for each in prepared:
                each()

        return change

    def isolate(self) -> None:
        """Make its circuits reject every call until `reset`."""
        for breaker in self._breakers():
            breaker.isolate()

    def disable(self) -> None:
        """Make its circuits let every call through until `reset`."""
        for breaker in self._breakers():
            breaker.disable()

    def observe_only(self) -> None:
        """Make its circuits observe without enforcing until `reset`."""
        for breaker in self._breakers():
            breaker.observe_only()

    def reset(self) -> None:
        """Close its circuits and return them to normal mode."""
        for breaker in self._breakers():
            breaker.reset()

    def __repr__(self) -> str:
        of_key = "" if self._keys is not None else f".for_key({self.key!r})"
        return f"Policy({self.name!r}, {', '.join(map(repr, self.parts))}){of_key}"

    def _compose(self, name: str, parts: tuple[Part, ...], key: Hashable, keys: KeyedPolicies[Self] | None) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "parts", parts)
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "_keys", keys)
        object.__setattr__(self, "_plans", {})
        object.__setattr__(self, "_callers", {})
        object.__setattr__(self, "_call_awaited", None)

    def _of_key(self, key: Hashable) -> Self:
        policy = shallow_copy(self)
        policy._compose(self.name, tuple(part.for_key(key) for part in self.parts), key, None)
        return policy

    def _caller(self, function: Callable[..., Any], kind: Kind) -> Callable[..., Any]:
        """Return what calls `function`, its first argument, through the parts; bound once for all of its kind."""
        awaits = kind is Kind.FUNCTION and returns_awaitables(function)
        known = "awaits" if awaits else FLAGS.get(kind, kind)
        caller = self._callers.get(known)
        if caller is None:
            stages = [
                replace(stage, of_many=True) if isinstance(stage, Stage) else stage
                for stage in self._plan(awaits or kind.asynchronous)
            ]
            caller = bind(awaiting(call), Kind.COROUTINE, stages) if awaits else bind(call, kind, stages)
            self._callers[known] = caller
            if kind is Kind.COROUTINE:
                object.__setattr__(self, "_call_awaited", bind_one_gate_call(stages))
        return caller

    def _caller_for_key(self, key: Hashable, function: Callable[..., Any], kind: Kind) -> Callable[..., Any]:
        return self.for_key(key)._caller(function, kind)

    def _settings(self) -> SettingsByName:
        return SettingsByName(f"policy {self.name}", self.parts)

    def _plan(self, asynchronous: bool) -> list[Stage | WrapperStage]:
        stages = self._plans.get(asynchronous)
        if stages is None:
            stages = plan(
                self.parts, policy=self.name, function=self.name, asynchronous=asynchronous, bare=False, key=self.key
            )
            self._plans[asynchronous] = stages
        return stages

    def _breakers(self) -> list[CircuitBreaker]:
        breakers = [part for part in self.parts if isinstance(part, CircuitBreaker)]
        if not breakers:
            raise TypeError(f"policy {self.name} has no circuit")
        return breakers


def _why_no_part(given: object) -> str:
    """Say why an argument is not a part, and what to write instead."""
    if isinstance(given, type):
        return f"{given.__name__} is a class: write {given.__name__}(...)"
    if isinstance(given, RetryBudget):
        return f"{given!r} is no part: give it to one, as in Retry(3, budget=...)"
    if isinstance(given, CircuitBreakerDecorator):
        return 'circuit_breaker(...) decorates functions and is no part: write CircuitBreaker("name", ...)'
    if isinstance(given, Policy):
        return f"policy {given.name} is no part: give its parts (*policy.parts), or decorate with both"
    collection = type(given).__name__
    if isinstance(given, list | tuple):
        return f"a {collection} is no part: give the parts one by one (*parts)"
    return f"{given!r} is no part: parts are objects such as Retry(3) and Timeout(5.0)"
