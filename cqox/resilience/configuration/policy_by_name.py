"""Functions that name their policy before it exists: they are decorated now, and guarded from its creation on."""

import weakref
from collections.abc import Callable, Generator
from typing import Any, cast

from cqox.resilience.composition.policy import Policy
from cqox.resilience.configuration.problems import PolicyNotLoaded
from cqox.resilience.pipeline.decorate import dress, expose, kind_behind
from cqox.resilience.pipeline.generators import forwarding
from cqox.resilience.runtime.callable_kinds import Kind

__all__ = ["Binding", "PolicyByName"]


class PolicyByName:
    """A policy by its name, as a decorator and for single calls.

    Attributes:
        name: the name.
    """

    __slots__ = ("_find", "_wait", "name")

    def __init__(self, name: str, find: Callable[[str], Policy], wait: Callable[["Binding"], None]) -> None:
        """Args:
        name: name of the policy.
        find: returns the policy, or raises `PolicyNotLoaded`.
        wait: takes functions that are to be guarded once there is a policy of that name.
        """
        self.name = name
        self._find = find
        self._wait = wait

    def __call__[F: Callable[..., object]](self, function: F) -> F:
        """Guard `function` with the policy, at once or as soon as there is one of that name.

        Until then a call raises `PolicyNotLoaded` and does not execute the function.

        Raises:
            TypeError: `function` is of a kind that cannot be guarded, or not by this policy.
        """
        try:
            policy = self._find(self.name)
        except PolicyNotLoaded:
            return self._guard_later(function)
        return policy(function)

    def call[**P, R](self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call `function` once under the policy; see `Policy.call`.

        Raises:
            PolicyNotLoaded: there is no policy of that name.
        """
        return self._find(self.name).call(function, *args, **kwargs)

    def __repr__(self) -> str:
        return f"PolicyByName({self.name!r})"

    def _guard_later[F: Callable[..., object]](self, function: F) -> F:
        if isinstance(function, staticmethod | classmethod):
            unbound = cast("Any", function)
            return cast("F", type(unbound)(self._guard_later(unbound.__func__)))
        kind = kind_behind(function)
        binding = Binding(self.name, function, self._find)
        wrapper = dress(binding.wrapper(kind), function, function, (), kind=kind, bare=False)
        binding.wrapped = weakref.ref(wrapper)
        self._wait(binding)
        return cast("F", wrapper)


class Binding:
    """One function that waits for its policy.

    Attributes:
        name: name of the policy.
        wrapped: the function that callers have.
    """

    __slots__ = ("__weakref__", "_find", "_function", "_guarded", "name", "wrapped")

    wrapped: weakref.ref[Callable[..., Any]]

    def __init__(self, name: str, function: Callable[..., Any], find: Callable[[str], Policy]) -> None:
        self.name = name
        self._function = function
        self._find = find
        self._guarded: Callable[..., Any] = self._first_call

    def prepare(self, policy: Policy) -> Callable[[], None]:
        """Guard the function with `policy` without using it yet.

        Returns:
            A function that uses it from now on.

        Raises:
            TypeError: the policy cannot guard a function of this kind.
        """
        guarded = policy(self._function)

        def use() -> None:
            wrapped = self.wrapped()
            if wrapped is not None:
                attributes = {name: value for name, value in vars(guarded).items() if name in _EXPOSED}
                expose(wrapped, **attributes)
            self._guarded = guarded

        return use

    def wrapper(self, kind: Kind) -> Callable[..., Any]:
        """Return a function of that kind, which calls the function through its policy."""

        def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the callee's signature
            return self._guarded(*args, **kwargs)

        async def awaited(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the callee's signature
            return await self._guarded(*args, **kwargs)

        def items(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:  # noqa: ANN401 - the callee's signature
            return (yield from cast("Generator[Any, Any, Any]", self._guarded(*args, **kwargs)))

        if kind is Kind.COROUTINE:
            return awaited
        if kind is Kind.GENERATOR:
            return items
        return forwarding(call) if kind is Kind.ASYNC_GENERATOR else call

    def _first_call(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the callee's signature
        self.prepare(self._find(self.name))()
        return self._guarded(*args, **kwargs)


_EXPOSED = frozenset({"breaker", "__cqox_policy__"})
"""Attributes that a policy sets on a function that it guards."""
