"""The one way to call a blocking driver: in a thread, with a cancellation turned into the driver's own cancel.

A thread is never abandoned: a cancelled caller first has the driver end the call, then waits for the thread to come
back, so that no query and no connection runs on unowned.

The threads take their calls from a queue and tell the event loop of several results at once. That costs half of what a
hand-over to a thread and back costs with `anyio.to_thread`, which is as much as the whole call of a driver.
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
from anyio import CancelScope
from anyio.lowlevel import current_token

__all__ = ["Threads"]

type _Soon = Callable[[Callable[[], None]], object]


class Threads:
    """The threads of one store: at most `size` of its calls run at once, the others wait in the order they came.

    A thread is started when it is first needed. All calls come from one event loop.

    Args:
        name: of the store, for the names of the threads.
        size: as many as the store has connections.
    """

    def __init__(self, name: str, size: int) -> None:
        self._name = name
        self._size = size
        self._started = 0
        self._unfinished = 0
        self._calls: SimpleQueue[_Call[object] | None] = SimpleQueue()
        self._finished: deque[_Call[object]] = deque()
        self._told = False
        self._soon: _Soon | None = None

    @property
    def unfinished(self) -> int:
        """How many calls run or wait."""
        return self._unfinished

    async def run[T](self, call: Callable[[], T], *, interrupt: Callable[[], Awaitable[None]]) -> T:
        """What `call` returns, run in one of the threads.

        Args:
            call: the blocking call.
            interrupt: makes a running `call` return or raise soon; awaited once, shielded, when the caller is
                cancelled.

        A cancellation leaves at once where the call has not begun; later it interrupts the call and leaves when the
        thread is back.
        """
        if self._soon is None:
            self._soon = _soon()
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

    def close(self) -> None:
        """Let the threads end; nothing may be running."""
        for _ in range(self._started):
            self._calls.put(None)

    def _serve(self) -> None:
        while (pending := self._calls.get()) is not None:
            if not pending.begin():
                continue
            pending.make()
            self._finished.append(pending)
            del pending
            if not self._told:
                self._told = True
                assert self._soon is not None
                # Without its loop nobody waits any more.
                with suppress(RuntimeError):
                    self._soon(self._tell)

    def _tell(self) -> None:
        # Before it looks: what is added from here on is told anew.
        self._told = False
        while self._finished:
            self._finished.popleft().finished.set()


class _Call[T]:
    """One call: whoever begins it first, its thread or a caller that leaves, decides whether it is made."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._context = copy_context()
        self._begun = Lock()
        self._value: list[T] = []
        self._error: BaseException | None = None
        self.finished = anyio.Event()

    def begin(self) -> bool:
        """Whether nobody has begun it before."""
        return self._begun.acquire(blocking=False)

    def make(self) -> None:
        try:
            self._value.append(self._context.run(self._call))
        except BaseException as error:  # noqa: BLE001 - handed on unchanged
            self._error = error

    def result(self) -> T:
        if self._error is not None:
            # The exception must not hold on to itself by the frame it is raised in.
            error, self._error = self._error, None
            try:
                raise error
            finally:
                del error
        return self._value[0]


class _Token(Protocol):
    def run_sync_soon(self, call: Callable[[], None], /) -> None: ...


def _soon() -> _Soon:
    """What runs a function in the event loop of this task, called from any thread."""
    token = current_token().native_token
    if isinstance(token, asyncio.AbstractEventLoop):
        return token.call_soon_threadsafe
    return cast("_Token", token).run_sync_soon
