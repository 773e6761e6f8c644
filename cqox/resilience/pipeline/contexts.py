"""Guards for context manager factories: calls whose result is a block.

Only the opening is guarded: its attempts, its time limit, its outcome. A `lasting` permit, such as a slot, is held
until the block ends. The body of the block belongs to the caller and says nothing about the callee.

A context may keep a task group, a scope or a deadline open for its body. The scope that bounded the opening encloses
them and can only exit after them: it is disarmed when the opening has succeeded, and exits when the block ends.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncContextDecorator, ContextDecorator
from types import TracebackType
from typing import Any, Self

from anyio.lowlevel import checkpoint

from cqox.resilience.pipeline.executor import bind_async, bind_blocking
from cqox.resilience.pipeline.opening import Opened, opening_stage
from cqox.resilience.pipeline.part import Limit
from cqox.resilience.pipeline.permit import NO_RESULT, fail_permits
from cqox.resilience.pipeline.plan import Stage
from cqox.resilience.runtime.ambient_deadline import AmbientDeadline, unexpired
from cqox.resilience.runtime.passing import passing

__all__ = ["bind_async_context", "bind_context"]


def bind_context(
    function: Callable[..., AbstractContextManager[Any]], stages: Sequence[Stage]
) -> Callable[..., AbstractContextManager[Any]]:
    """Wrap `function` as a factory of contexts that open through `stages`, outermost first."""

    def open_context(*args: Any, **kwargs: Any) -> _Opened:  # noqa: ANN401 - the callee's signature
        context = function(*args, **kwargs)
        return _Opened(context, context.__enter__())

    opening: Callable[..., _Opened] = open_context
    for stage in reversed(stages):
        opening = bind_blocking(_bounded(opening, stage.limit), opening_stage(stage))
    return lambda *args, **kwargs: _Context(lambda: opening(*args, **kwargs))


def bind_async_context(
    function: Callable[..., AbstractAsyncContextManager[Any]], stages: Sequence[Stage]
) -> Callable[..., AbstractAsyncContextManager[Any]]:
    """Asynchronous twin of `bind_context`."""

    async def open_context(*args: Any, **kwargs: Any) -> _Opened:  # noqa: ANN401 - the callee's signature
        context = function(*args, **kwargs)
        return _Opened(context, await context.__aenter__())

    opening: Callable[..., Awaitable[_Opened]] = open_context
    for stage in reversed(stages):
        opening = bind_async(_bounded_async(opening, stage.limit), opening_stage(stage))
    return lambda *args, **kwargs: _AsyncContext(lambda: opening(*args, **kwargs))


def _bounded(opening: Callable[..., "_Opened"], limit: Limit | None) -> Callable[..., "_Opened"]:
    if limit is None:
        return opening

    def open_in_time(*args: Any, **kwargs: Any) -> _Opened:  # noqa: ANN401 - the callee's signature
        bound = _OpeningLimit(None if passing.on else limit.bound_blocking(*_deadline()))
        with bound:
            opened = opening(*args, **kwargs)
            bound.keep_for(opened)
        return opened

    return open_in_time


def _bounded_async(
    opening: Callable[..., Awaitable["_Opened"]], limit: Limit | None
) -> Callable[..., Awaitable["_Opened"]]:
    if limit is None:
        return opening

    async def open_in_time(*args: Any, **kwargs: Any) -> _Opened:  # noqa: ANN401 - the callee's signature
        bound = _OpeningLimit(None if passing.on else limit.bound(*_deadline()))
        with bound:
            opened = await opening(*args, **kwargs)
            if not bound.keep_for(opened):
                # The time ran out in the same step in which it opened; the body would have none left.
                await opened.end_async(None, None, None)
                await checkpoint()
        return opened

    return open_in_time


def _deadline() -> tuple[AmbientDeadline | None, float]:
    deadline = unexpired()
    return deadline, 0.0 if deadline is None else deadline.clock()


class _OpeningLimit:
    """The time limit of an opening; it exits with the opening or, where the context keeps scopes open, with them."""

    __slots__ = ("_bound", "_kept")

    def __init__(self, bound: AbstractContextManager[object] | None) -> None:
        self._bound = bound
        self._kept = False

    def __enter__(self) -> None:
        if self._bound is not None:
            self._bound.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bound is not None and not self._kept:
            self._bound.__exit__(kind, error, traceback)

    def keep_for(self, opened: "_Opened") -> bool:
        """Keep the scope open for `opened` where needed; return False where the time has already run out."""
        bound: object = self._bound
        if not isinstance(bound, AmbientDeadline) or not bound.has_open_inside():
            return True
        if not bound.disarm():
            return False
        self._kept = True
        opened.bounds.append(bound)
        return True


class _Opened(Opened):
    """An open context with the disarmed limits that it holds until it closes."""

    __slots__ = ("bounds", "context", "value")

    def __init__(self, context: Any, value: object) -> None:  # noqa: ANN401 - of either kind
        super().__init__()
        self.context = context
        self.value = value
        self.bounds: list[AmbientDeadline] = []

    def end(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Exit the context, then release its limits and permits, even where the context raises."""
        try:
            handled: bool | None = self.context.__exit__(kind, error, traceback)
        except BaseException as raised:
            self._close(raised)
            raise
        self._close(None if handled else error)
        return handled

    async def end_async(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Asynchronous twin of `end`."""
        try:
            handled: bool | None = await self.context.__aexit__(kind, error, traceback)
        except BaseException as raised:
            self._close(raised)
            raise
        self._close(None if handled else error)
        return handled

    def _close(self, error: BaseException | None) -> None:
        """Release limits and permits, innermost first."""
        try:
            for bound in self.bounds:
                bound.leave(error)
        finally:
            if error is not None:
                fail_permits(self.kept, 0, error)
            while self.kept:
                self.kept.pop().succeed(NO_RESULT)


class _Context(AbstractContextManager[Any], ContextDecorator):
    def __init__(self, opening: Callable[[], _Opened]) -> None:
        self._open = opening
        self._opened: _Opened | None = None

    def _recreate_cm(self) -> Self:
        # As a decorator it opens once per call, like the result of `contextlib.contextmanager`.
        return type(self)(self._open)

    def __enter__(self) -> Any:  # noqa: ANN401 - what the callee yields
        self._opened = self._open()
        return self._opened.value

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        assert self._opened is not None
        return self._opened.end(kind, error, traceback)


class _AsyncContext(AbstractAsyncContextManager[Any], AsyncContextDecorator):
    def __init__(self, opening: Callable[[], Awaitable[_Opened]]) -> None:
        self._open = opening
        self._opened: _Opened | None = None

    def _recreate_cm(self) -> Self:
        return type(self)(self._open)

    async def __aenter__(self) -> Any:  # noqa: ANN401 - what the callee yields
        self._opened = await self._open()
        return self._opened.value

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        assert self._opened is not None
        return await self._opened.end_async(kind, error, traceback)
