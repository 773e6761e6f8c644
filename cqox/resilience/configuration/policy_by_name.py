"""Policies by names that are given before the policies exist; functions and adapters use them from then on."""

import weakref
from collections.abc import Callable, Generator, Hashable
from types import TracebackType
from typing import Any, Protocol, Self, cast

from cqox.resilience.composition.policy import KeyedDecorator, Policy
from cqox.resilience.configuration.problems import PolicyNotLoaded
from cqox.resilience.pipeline.decorate import dress, expose, kind_behind
from cqox.resilience.pipeline.generators import forwarding
from cqox.resilience.runtime.callable_kinds import Kind
from cqox.resilience.runtime.ranges import check_name

__all__ = ["Binding", "PolicyByName", "Waiting"]


type _Guard = Callable[[Policy, Callable[..., object]], Callable[..., object]]
"""Guards a function with a policy."""


class Waiting(Protocol):
    """A use of a policy by its name."""

    @property
    def name(self) -> str:
        """Name of the policy."""
        ...

    def prepare(self, policy: Policy, /) -> Callable[[], None]:
        """Check that `policy` suits; return a function that uses it from now on.

        Raises:
            TypeError: it does not guard functions of this kind.
            ValueError: it is unsuitable in another way.
        """
        ...


class PolicyByName:
    """A policy by its name: a decorator, single calls, blocks, and what adapters take as a policy.

    Attributes:
        name: the name.
    """

    __slots__ = ("__weakref__", "_check", "_checked", "_find", "_wait", "name")

    def __init__(
        self,
        name: str,
        find: Callable[[str], Policy],
        wait: Callable[[Waiting], None],
        *,
        check: Callable[[Policy], None] | None = None,
    ) -> None:
        """Args:
        name: name of the policy.
        find: returns the policy, or raises `PolicyNotLoaded`.
        wait: takes what is to use the policy of that name once there is one.
        check: raises where a policy does not suit; called once for a policy.

        Raises:
            ValueError: the name is empty or not a string.
        """
        self.name = check_name(name)
        self._find = find
        self._wait = wait
        self._check = check
        self._checked: Callable[[], Policy | None] = _nothing
        try:
            self.loaded()
        except PolicyNotLoaded:
            wait(self)

    def loaded(self) -> Policy:
        """Return the policy.

        Raises:
            PolicyNotLoaded: there is no policy of that name.
        """
        policy = self._find(self.name)
        if self._check is not None and policy is not self._checked():
            self.prepare(policy)()
        return policy

    def prepare(self, policy: Policy) -> Callable[[], None]:
        """See `Waiting.prepare`."""
        if self._check is not None:
            self._check(policy)

        def use() -> None:
            # Weakly: a name keeps no policy alive.
            self._checked = weakref.ref(policy)

        return use

    def checked(self, check: Callable[[Policy], None]) -> "PolicyByName":
        """Return the same name for a use that not every policy suits.

        Args:
            check: raises where a policy does not suit. It is called now, or as soon as there is a policy of that name.

        Raises:
            ValueError: `check` refuses the policy, as for all errors of `check`.
        """
        return PolicyByName(self.name, self._find, self._wait, check=check)

    def __call__[F: Callable[..., object]](self, function: F) -> F:
        """Guard `function` with the policy, at once or as soon as there is one of that name.

        Until then a call raises `PolicyNotLoaded` and does not execute the function.

        Raises:
            TypeError: `function` is of a kind that cannot be guarded, or not by this policy.
        """
        return self._guard(function, lambda policy, function: policy(function))

    def call[**P, R](self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call `function` once under the policy; see `Policy.call`.

        Raises:
            PolicyNotLoaded: there is no policy of that name.
        """
        return self.loaded().call(function, *args, **kwargs)

    def for_key(self, key: Hashable) -> Policy:
        """Return the policy of `key`; see `Policy.for_key`. The method itself may be handed on earlier.

        Raises:
            PolicyNotLoaded: there is no policy of that name.
        """
        return self.loaded().for_key(key)

    def keyed(self, by: str | Callable[..., Hashable]) -> KeyedDecorator:
        """Return a decorator whose functions call through the policy of the key of each call; see `Policy.keyed`."""

        def decorate[F: Callable[..., object]](function: F, /) -> F:
            return self._guard(function, lambda policy, function: policy.keyed(by)(function))

        return decorate

    def __enter__(self) -> Policy:
        """Guard a block: `with registry.policy("engine"):`; see `Policy`.

        Raises:
            PolicyNotLoaded: there is no policy of that name.
        """
        return self.loaded().__enter__()

    async def __aenter__(self) -> Policy:
        """Guard a block: `async with registry.policy("engine"):`. A cancellation while it waits leaves nothing behind.

        Raises:
            PolicyNotLoaded: there is no policy of that name.
        """
        return await self.loaded().__aenter__()

    # The block holds its policy, which therefore has that name until the end of the block.
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.loaded().__exit__(kind, error, traceback)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.loaded().__aexit__(kind, error, traceback)

    def __copy__(self) -> Self:
        """Return the name itself, as a policy does."""
        return self

    def __deepcopy__(self, memo: object) -> Self:
        """Return the name itself, as a policy does."""
        return self

    def __repr__(self) -> str:
        return f"PolicyByName({self.name!r})"

    def _guard[F: Callable[..., object]](self, function: F, guard: _Guard) -> F:
        try:
            policy = self.loaded()
        except PolicyNotLoaded:
            return self._guard_later(function, guard)
        return cast("F", guard(policy, function))

    def _guard_later[F: Callable[..., object]](self, function: F, guard: _Guard) -> F:
        if isinstance(function, staticmethod | classmethod):
            unbound = cast("Any", function)
            return cast("F", type(unbound)(self._guard_later(unbound.__func__, guard)))
        kind = kind_behind(function)
        binding = Binding(self.name, function, self._find, guard)
        wrapper = dress(binding.wrapper(kind), function, function, (), kind=kind, bare=False)
        binding.wrapped = weakref.ref(wrapper)
        self._wait(binding)
        return cast("F", wrapper)


def _nothing() -> None:
    return None


class Binding:
    """One function that waits for its policy.

    Attributes:
        name: name of the policy.
        wrapped: the function that callers have.
    """

    __slots__ = ("__weakref__", "_find", "_function", "_guard", "_guarded", "name", "wrapped")

    wrapped: weakref.ref[Callable[..., Any]]

    def __init__(self, name: str, function: Callable[..., Any], find: Callable[[str], Policy], guard: _Guard) -> None:
        self.name = name
        self._function = function
        self._guard = guard
        self._find = find
        self._guarded: Callable[..., Any] = self._first_call

    def prepare(self, policy: Policy) -> Callable[[], None]:
        """Guard the function with `policy` without using it yet.

        Returns:
            A function that uses it from now on.

        Raises:
            TypeError: the policy cannot guard a function of this kind.
        """
        guarded = self._guard(policy, self._function)

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
