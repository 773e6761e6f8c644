"""Guards for async generators: calls that return their result item by item.

A call is retried only before its first item. Its gates receive the outcome: exhausted, failed, or closed early, which
counts as neither success nor failure. A limit bounds each wait for an item; no scope is open while the consumer runs.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, nullcontext
from typing import Any

from cqox.resilience.pipeline.executor import Published, fail_permits, judge_call, time_spent
from cqox.resilience.pipeline.part import Judge
from cqox.resilience.pipeline.permit import NO_RESULT, Permit, TimeSpent
from cqox.resilience.pipeline.plan import Stage
from cqox.resilience.runtime.ambient_deadline import Ambient, ambient

__all__ = ["bind_async_generator"]

type Generate = Callable[..., AsyncGenerator[Any, Any]]


def bind_async_generator(function: Generate, stage: Stage) -> Generate:
    """Wrap `function` in an async generator function that iterates it through `stage`."""

    async def guarded(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:  # noqa: ANN401 - the callee's signature
        stream = _Stream(stage)
        try:
            async with aclosing(await stream.start(lambda: function(*args, **kwargs))) as items:
                while not stream.exhausted:
                    sent: object = None
                    thrown: BaseException | None = None
                    try:
                        sent = yield stream.item
                    except GeneratorExit:
                        raise
                    except BaseException as error:  # noqa: BLE001 - forwarded to the callee, as `yield from` does
                        thrown = error
                    await stream.step(items, sent, thrown)
        except BaseException as error:
            stream.fail(error)
            raise
        stream.succeed()

    return guarded


class _Stream:
    """One generator in progress."""

    __slots__ = ("_began", "_deadline", "_held", "_stage", "_thrown", "exhausted", "item")

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._held: list[Permit] = []
        self._thrown: BaseException | None = None
        self._deadline: Ambient | None = None
        self._began: float | None = None
        self.item: object = None
        self.exhausted = False

    async def start(self, make: Callable[[], AsyncGenerator[Any, Any]]) -> AsyncGenerator[Any, Any]:
        """Admit the call and fetch its first item, retrying as configured."""
        stage, held = self._stage, self._held
        deadline = _deadline()
        for gate in stage.outer:
            held.append(gate.admit(deadline) or await gate.admit_waiting(deadline))
        published = Published(stage, held) if stage.publishes else None
        judge: Judge | None = None
        begun = None if stage.retry is None else stage.retry.begin(stage.facts)
        try:
            base = len(held)
            while True:
                items = make()
                self._began = None
                try:
                    for gate in stage.inner:
                        held.append(gate.admit(deadline) or await gate.admit_waiting(deadline))
                    await self.step(items, None, None)
                    return items
                except Exception as error:
                    if stage.retry is None:
                        raise
                    fail_permits(held, base, error, self._spent(error))
                    judge = judge or judge_call(stage, held)
                    delay = judge.after(error, called=self._began is not None)
                    if delay is None:
                        raise
                await judge.pause(delay)
        finally:
            # No context variable stays set while the consumer runs.
            if judge is not None:
                judge.end()
            for setting in (begun, published):
                if setting is not None:
                    setting.succeed(NO_RESULT)

    async def step(self, items: AsyncGenerator[Any, Any], sent: object, thrown: BaseException | None) -> None:
        """Fetch the next item, or set `exhausted`."""
        limit = self._stage.limit
        self._thrown, self._began = thrown, None
        self._deadline = deadline = _deadline()
        self._began = began = 0.0 if deadline is None else deadline.clock()
        bound = None if limit is None else limit.bound(deadline, began)
        try:
            with bound or nullcontext():
                self.item = await (items.asend(sent) if thrown is None else items.athrow(thrown))
        except StopAsyncIteration:
            self.exhausted = True

    def succeed(self) -> None:
        """Settle all permits as succeeded."""
        while self._held:
            self._held.pop().succeed(NO_RESULT)

    def fail(self, error: BaseException) -> None:
        """Settle all permits as failed; an exception thrown in by the consumer says nothing about the callee."""
        if error is self._thrown or isinstance(error, GeneratorExit):
            fail_permits(self._held, 0, GeneratorExit())
        else:
            fail_permits(self._held, 0, error, self._spent(error))

    def _spent(self, error: BaseException) -> TimeSpent | None:
        return time_spent(self._deadline, self._began, self._stage.facts, error)


def _deadline() -> Ambient | None:
    innermost = ambient.get()
    return None if innermost is None else innermost.or_raise()
