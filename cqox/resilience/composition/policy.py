"""Parts put together: written outermost first, run in that order, never changed afterwards."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn, Self, cast

from cqox.resilience.circuit import CircuitBreaker
from cqox.resilience.composition.advice import order_warnings
from cqox.resilience.pipeline.awaitables import awaiting, returns_awaitables
from cqox.resilience.pipeline.decorate import bind, expose, guard, kind_behind
from cqox.resilience.pipeline.part import Part
from cqox.resilience.pipeline.plan import Stage, WrapperStage, plan
from cqox.resilience.pipeline.registry import registry
from cqox.resilience.pipeline.setting_names import SettingsByName
from cqox.resilience.runtime.callable_kinds import Kind
from cqox.resilience.runtime.ranges import check_name

__all__ = ["PartSnapshot", "Policy", "PolicySnapshot"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSnapshot:
    """One part of a policy at one moment.

    Attributes:
        kind: class of the part.
        name: name of the part.
        state: its own snapshot, None where it has no state.
    """

    kind: str
    name: str
    state: object


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySnapshot:
    """A policy at one moment.

    Attributes:
        name: name of the policy.
        parts: its parts, outermost first.
    """

    name: str
    parts: tuple[PartSnapshot, ...]


class Policy:
    """Parts around a call, outermost first: `Policy("engine", bulkhead, breaker, retry, timeout)`.

    It is a decorator, and `policy.call(function, ...)` makes one call. A decorated function has the outermost breaker,
    if there is one, as `.breaker`. Order is meaning: a breaker outside of the retry
    counts calls, inside it counts attempts.

    Attributes:
        name: what errors, events and the registry call it.
        parts: outermost first.
    """

    __slots__ = ("__weakref__", "_plans", "name", "parts")

    name: str
    parts: tuple[Part, ...]
    _plans: dict[bool, list[Stage | WrapperStage]]

    def __init__(self, name: str, *parts: Part) -> None:
        """Put `parts` together.

        Args:
            name: a non-empty name.
            parts: outermost first; at least one.

        Raises:
            ValueError: the name is empty, there is no part, one is there twice, or two contradict each other.
            TypeError: one is no part.
        """
        check_name(name)
        if not parts:
            raise ValueError(f"policy {name} needs at least one part, and has none")
        for at, part in enumerate(cast("tuple[object, ...]", parts)):
            if not isinstance(part, Part):
                raise TypeError(f"policy {name}: {part!r} is no part")
            if any(part is other for other in parts[:at]):
                raise ValueError(f"policy {name}: {part!r} is there twice")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "parts", parts)
        object.__setattr__(self, "_plans", {})
        # Planning once tells contradictions now, and not at the first decoration.
        self._plan(True)
        registry.add(name, self)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a policy never changes: make another one, or reconfigure() a part, to set {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a policy never changes: {name} cannot be deleted")

    def __copy__(self) -> Self:
        """Itself, as it never changes and shares the state of its parts anyway."""
        return self

    def __deepcopy__(self, memo: object) -> Self:
        """Itself: a copy of a circuit or a limit would guard nothing."""
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"policy {self.name} cannot be pickled: its state belongs to this process")

    def __call__[F: Callable[..., object]](self, function: F) -> F:
        """Guard `function`.

        Raises:
            TypeError: it is of a kind that cannot be guarded, or one of the parts cannot guard that kind.
        """
        guarded = guard(function, self.parts, policy=self.name)
        # The registry lists a policy that nobody else holds for as long as there is a function to operate by it.
        expose(guarded, __cqox_policy__=self)
        breakers = [part for part in self.parts if isinstance(part, CircuitBreaker)]
        if breakers:
            expose(guarded, breaker=breakers[0])
        return guarded

    def call[**P, R](self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call `function` once: `await policy.call(fetch, url)`, or `policy.call(read, path)` for a plain function.

        Raises:
            TypeError: it is of a kind that cannot be guarded.
        """
        kind = kind_behind(function)
        if kind is Kind.FUNCTION and returns_awaitables(function):
            return cast("R", bind(awaiting(function), Kind.COROUTINE, self._plan(True))(*args, **kwargs))
        return cast("R", bind(function, kind, self._plan(kind.asynchronous))(*args, **kwargs))

    def part[Kind: Part](self, kind: type[Kind]) -> Kind:
        """The outermost part of that class.

        Raises:
            LookupError: there is none.
        """
        for part in self.parts:
            if isinstance(part, kind):
                return part
        raise LookupError(f"policy {self.name} has no {kind.__name__}")

    def explain(self) -> str:
        """The order in words, a line for each part, and a line for each doubtful choice."""
        lines = [f"policy {self.name}, outermost first:"]
        lines += [f"  {number}. {part.describe()}" for number, part in enumerate(self.parts, start=1)]
        lines += [f"  warning: {doubt}" for doubt in order_warnings(self.parts)]
        return "\n".join(lines)

    def snapshot(self) -> PolicySnapshot:
        """The state of every part."""
        return PolicySnapshot(
            name=self.name,
            parts=tuple(PartSnapshot(kind=part.kind, name=part.name, state=part.snapshot()) for part in self.parts),
        )

    def setting_names(self) -> frozenset[str]:
        """Names of the settings that `reconfigure` takes, each the shortest that no two share."""
        return frozenset(self._settings().names())

    def check_settings(self, changes: Mapping[str, object]) -> None:
        """Check that `reconfigure` knows the names in `changes`; their values are not looked at.

        Raises:
            TypeError: no part has such a setting, or several have it.
        """
        self._settings().by_part(changes)

    def reconfigure(self, **changes: object) -> None:
        """Give its parts other settings without losing their state: all of them, or none.

        A setting goes by its own name where one part alone has it, and by `part.setting` where several do:
        `policy.reconfigure(**{"timeout.seconds": 2.0})`. `part` is the name or the kind of the part.

        Raises:
            TypeError: no part has such a setting, or several have it.
            ValueError: a setting is out of its range, or contradicts another; nothing is changed.
        """
        pending = self._settings().by_part(changes)
        prepared = [part.prepare(**pending[part]) for part in self.parts if part in pending]
        for part in pending:
            part.check_beside(pending)
        for change in prepared:
            change()

    def isolate(self) -> None:
        """Make its circuits refuse every call until `reset`."""
        for breaker in self._breakers():
            breaker.isolate()

    def disable(self) -> None:
        """Make its circuits let every call through until `reset`."""
        for breaker in self._breakers():
            breaker.disable()

    def observe_only(self) -> None:
        """Make its circuits judge and let every call through until `reset`."""
        for breaker in self._breakers():
            breaker.observe_only()

    def reset(self) -> None:
        """Close its circuits and let them decide by themselves."""
        for breaker in self._breakers():
            breaker.reset()

    def __repr__(self) -> str:
        return f"Policy({self.name!r}, {', '.join(map(repr, self.parts))})"

    def _settings(self) -> SettingsByName:
        return SettingsByName(f"policy {self.name}", self.parts)

    def _plan(self, asynchronous: bool) -> list[Stage | WrapperStage]:
        stages = self._plans.get(asynchronous)
        if stages is None:
            stages = plan(self.parts, policy=self.name, function=self.name, asynchronous=asynchronous, bare=False)
            self._plans[asynchronous] = stages
        return stages

    def _breakers(self) -> list[CircuitBreaker]:
        breakers = [part for part in self.parts if isinstance(part, CircuitBreaker)]
        if not breakers:
            raise TypeError(f"policy {self.name} has no circuit")
        return breakers
