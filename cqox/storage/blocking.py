"""Calls of blocking drivers in worker threads, with cancellation mapped to the driver's own cancel.

A thread is never abandoned: a cancelled caller first interrupts the call through the driver, then waits for the thread
to return. So no query and no connection outlives its owner.

The threads take calls from a queue and notify the event loop of several results at once. That costs half of the
round trip through `anyio.to_thread`, which is as expensive as the driver call itself.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import copy_context
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Protocol, cast

import anyio
from anyio import CancelScope, CapacityLimiter
from anyio.lowlevel import current_token

from cqox.threads import Handover, replacement

__all__ = ["Threads"]

type _CallSoon = Callable[[Callable[[], None]], object]


class Threads:
    """Worker threads of one store: at most `size` calls run at once, the others wait in FIFO order.

    A thread is started when it is first needed. All calls come from one event loop.

    Args:
        name: name of the store; prefix of the thread names.
        size: number of connections of the store.
    """

    def __init__(self, name: str, size: int) -> None:
        self._name = name
        self._size = size
        self._started = 0
        self._unfinished = 0
        self._calls: SimpleQueue[_Call[object] | None] = SimpleQueue()
        self._finished: deque[_Call[object]] = deque()
        self._notified = False
        self._call_soon: _CallSoon | None = None
        self._places: CapacityLimiter | None = None

    @property
    def unfinished(self) -> int:
        """Number of calls that run or wait."""
        return self._unfinished

    async def run[T](self, call: Callable[[], T], *, interrupt: Callable[[], Awaitable[None]]) -> T:
        """Run `call` in one of the threads and return its result.

        Args:
            call: the blocking call.
            interrupt: makes a running `call` return or raise soon; awaited once, shielded, when the caller is
                cancelled.

        A cancellation returns at once if the call has not begun. Otherwise it interrupts the call and waits for the
        thread.
        """
        if (handover := replacement()) is not None:
            return await self._handed_over(call, handover)
        if self._call_soon is None:
            self._call_soon = _current_call_soon()
        pending = _Call(call)
        self._unfinished += 1
        try:
            if self._started < min(self._size, self._unfinished):
                Thread(target=self._serve, name=f"{self._name}-{self._started}", daemon=True).start()
                self._started += 1
            self._calls.put(cast("_Call[object]", pending))
            try:
                await pending.finished.wait()
            except BaseException:
                if not pending.begin():
                    with CancelScope(shield=True):
                        if not pending.finished.is_set():
                            await interrupt()
                        await pending.finished.wait()
                raise
        finally:
            self._unfinished -= 1
        return pending.result()

    async def _handed_over[T](self, call: Callable[[], T], handover: Handover) -> T:
        self._places = self._places or CapacityLimiter(self._size)
        self._unfinished += 1
        try:
            async with self._places:
                return await handover.run_sync(call)
        finally:
            self._unfinished -= 1

    def close(self) -> None:
        """Stop the threads; no call may be running."""
        for _ in range(self._started):
            self._calls.put(None)

    def _serve(self) -> None:
        while (pending := self._calls.get()) is not None:
            if not pending.begin():
                continue
            pending.make()
            self._finished.append(pending)
            del pending
            if not self._notified:
                self._notified = True
                assert self._call_soon is not None
                # The event loop is closed: no caller is waiting.
                with suppress(RuntimeError):
                    self._call_soon(self._resolve)

    def _resolve(self) -> None:
        # Reset before draining: results added from here on trigger another notification.
        self._notified = False
        while self._finished:
            self._finished.popleft().finished.set()


class _Call[T]:
    """One call: the first of its thread and a leaving caller to `begin` it decides whether it is made."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._context = copy_context()
        self._begun = Lock()
        self._value: list[T] = []
        self._error: BaseException | None = None
        self.finished = anyio.Event()

    def begin(self) -> bool:
        """Return whether this is the first call of `begin`."""
        return self._begun.acquire(blocking=False)

    def make(self) -> None:
        try:
            self._value.append(self._context.run(self._call))
        except BaseException as error:  # noqa: BLE001 - handed on unchanged
            self._error = error

    def result(self) -> T:
        if self._error is not None:
            # Break the reference cycle between the exception and the frame that raises it.
            error, self._error = self._error, None
            try:
                raise error
            finally:
                del error
        return self._value[0]


class _Token(Protocol):
    def run_sync_soon(self, call: Callable[[], None], /) -> None: ...


def _current_call_soon() -> _CallSoon:
    """Return the thread-safe function that schedules a callback in the event loop of this task."""
    token = current_token().native_token
    if isinstance(token, asyncio.AbstractEventLoop):
        return token.call_soon_threadsafe
    return cast("_Token", token).run_sync_soon
