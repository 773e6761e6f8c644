"""Guards for generators and async generators: calls that return their result item by item.

A call is retried only before its first item. Its gates receive the outcome: exhausted, failed, or closed early, which
counts as neither success nor failure. A limit bounds each wait for an item; no scope is open while the consumer runs.
"""

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, closing, nullcontext
from typing import Any

from cqox.resilience.pipeline.executor import bind_async, bind_blocking
from cqox.resilience.pipeline.opening import Opened, opening_stage
from cqox.resilience.pipeline.permit import NO_RESULT, Permit, fail_permits, time_spent
from cqox.resilience.pipeline.plan import Stage
from cqox.resilience.runtime.ambient_deadline import AmbientDeadline, unexpired
from cqox.resilience.runtime.passing import passing

__all__ = ["bind_async_generator", "bind_generator", "forwarding"]

type Generate = Callable[..., AsyncGenerator[Any, Any]]
type GenerateBlocking = Callable[..., Generator[Any, Any, Any]]


def bind_async_generator(function: Generate, stage: Stage) -> Generate:
    """Wrap `function` in an async generator function that iterates it through `stage`."""

    async def first_item(*args: Any, **kwargs: Any) -> _Stream:  # noqa: ANN401 - the callee's signature
        stream = _Stream(function(*args, **kwargs), stage)
        await stream.step(None, None)
        return stream

    opening = bind_async(first_item, opening_stage(stage))

    async def guarded(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:  # noqa: ANN401 - the callee's signature
        stream: _Stream = await opening(*args, **kwargs)
        try:
            async with aclosing(stream.items):
                while not stream.exhausted:
                    sent: object = None
                    thrown: BaseException | None = None
                    try:
                        sent = yield stream.item
                    except GeneratorExit:
                        raise
                    except BaseException as error:  # noqa: BLE001 - forwarded to the callee, as `yield from` does
                        thrown = error
                    await stream.step(sent, thrown)
        except BaseException as error:
            stream.fail(error)
            raise
        stream.succeed()

    return guarded


def bind_generator(function: GenerateBlocking, stage: Stage) -> GenerateBlocking:
    """Synchronous twin of `bind_async_generator`; what `function` returns at its end is returned too."""

    def first_item(*args: Any, **kwargs: Any) -> _BlockingStream:  # noqa: ANN401 - the callee's signature
        stream = _BlockingStream(function(*args, **kwargs), stage)
        stream.step(None, None)
        return stream

    opening = bind_blocking(first_item, opening_stage(stage))

    def guarded(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:  # noqa: ANN401 - the callee's signature
        stream: _BlockingStream = opening(*args, **kwargs)
        try:
            with closing(stream.items):
                while not stream.exhausted:
                    sent: object = None
                    thrown: BaseException | None = None
                    try:
                        sent = yield stream.item
                    except GeneratorExit:
                        raise
                    except BaseException as error:  # noqa: BLE001 - forwarded to the callee, as `yield from` does
                        thrown = error
                    stream.step(sent, thrown)
        except BaseException as error:
            stream.fail(error)
            raise
        stream.succeed()
        return stream.returned

    return guarded


def forwarding(function: Generate) -> Generate:
    """Wrap `function`, which returns an async generator, as an async generator function."""

    async def forward(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:  # noqa: ANN401 - the callee's signature
        sent: object = None
        thrown: BaseException | None = None
        async with aclosing(function(*args, **kwargs)) as items:
            while True:
                try:
                    item = await (items.asend(sent) if thrown is None else items.athrow(thrown))
                except StopAsyncIteration:
                    return
                sent = thrown = None
                try:
                    sent = yield item
                except GeneratorExit:
                    raise
                except BaseException as error:  # noqa: BLE001 - forwarded to the callee, as `yield from` does
                    thrown = error

    return forward


class _OpenStream(Opened):
    """One generator in progress, and the time that it has for its next item."""

    __slots__ = ("_began", "_deadline", "_stage", "_thrown", "exhausted", "item")

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.item: object = None
        self.exhausted = False
        self._stage = stage
        self._thrown: BaseException | None = None
        self._deadline: AmbientDeadline | None = None
        self._began: float | None = None

    def keeps(self, permit: Permit) -> bool:
        """Keep every permit, as the outcome is known at the end."""
        return True

    def _begin_step(self, thrown: BaseException | None) -> float:
        self._thrown, self._began = thrown, None
        self._deadline = deadline = unexpired()
        self._began = began = 0.0 if deadline is None else deadline.clock()
        return began

    def succeed(self) -> None:
        """Settle all permits as succeeded."""
        while self.kept:
            self.kept.pop().succeed(NO_RESULT)

    def fail(self, error: BaseException) -> None:
        """Settle all permits as failed; an exception thrown in by the consumer says nothing about the callee."""
        if error is self._thrown or isinstance(error, GeneratorExit):
            fail_permits(self.kept, 0, GeneratorExit())
        else:
            timeout = self._stage.facts.attempt_timeout
            fail_permits(self.kept, 0, error, time_spent(self._deadline, self._began, timeout, error))


class _Stream(_OpenStream):
    """An async generator in progress."""

    __slots__ = ("items",)

    def __init__(self, items: AsyncGenerator[Any, Any], stage: Stage) -> None:
        super().__init__(stage)
        self.items = items

    async def step(self, sent: object, thrown: BaseException | None) -> None:
        """Fetch the next item, or set `exhausted`."""
        limit, began = self._stage.limit, self._begin_step(thrown)
        bound = None if limit is None or passing.on else limit.bound(self._deadline, began)
        try:
            with bound or nullcontext():
                self.item = await (self.items.asend(sent) if thrown is None else self.items.athrow(thrown))
        except StopAsyncIteration:
            self.exhausted = True


class _BlockingStream(_OpenStream):
    """A generator in progress.

    Attributes:
        returned: what it has returned at its end.
    """

    __slots__ = ("items", "returned")

    def __init__(self, items: Generator[Any, Any, Any], stage: Stage) -> None:
        super().__init__(stage)
        self.items = items
        self.returned: object = None

    def step(self, sent: object, thrown: BaseException | None) -> None:
        """Fetch the next item, or set `exhausted`."""
        limit, began = self._stage.limit, self._begin_step(thrown)
        bound = None if limit is None or passing.on else limit.bound_blocking(self._deadline, began)
        try:
            with bound or nullcontext():
                self.item = self.items.send(sent) if thrown is None else self.items.throw(thrown)
        except StopIteration as end:
            self.exhausted, self.returned = True, end.value
