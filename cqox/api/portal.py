"""A thread with an event loop of its own, for synchronous callers: scripts, notebooks, and code inside another loop.

Calls go to the loop as tasks. A caller that waits can be interrupted at any moment, which cancels its task. Nothing
blocks the caller's thread but the wait itself, so that a call also works inside a running loop, Trio's included.
"""

import atexit
import os
import queue
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

import trio
from anyio import to_thread

from cqox.errors import InputError
from cqox.tasks import open_task_group

__all__ = ["Call", "OnStep", "Portal"]

_END_SECONDS = 5.0

type OnStep = Callable[[Mapping[str, object]], None]
"""Called with each step of a call: a JSON object with `step` and its data."""


class Call[T]:
    """A call in the loop.

    Args:
        token: of the loop.
    """

    def __init__(self, token: trio.lowlevel.TrioToken) -> None:
        self._token = token
        self._scope = trio.CancelScope()
        self._future: Future[T] = Future()
        self._steps: queue.SimpleQueue[Mapping[str, object] | None] = queue.SimpleQueue()

    def wait(self, on_step: OnStep | None = None) -> T:
        """Wait for the result; `on_step` gets the progress in this thread. An exception here cancels the call."""
        for step in self._progress():
            if on_step is not None:
                on_step(step)
        return self._result()

    def steps(self) -> Iterator[Mapping[str, object]]:
        """Yield the progress until there is a result; an exception here, or closing the iterator, cancels the call.

        Raises:
            BaseException: the error of the call.
        """
        yield from self._progress()
        self._result()

    def _progress(self) -> Iterator[Mapping[str, object]]:
        try:
            while (step := self._steps.get()) is not None:
                yield step
        except BaseException:
            self.cancel()
            raise

    async def wait_async(self, on_step: OnStep | None = None) -> T:
        """Wait for the result in an event loop; a cancellation cancels the call."""
        try:
            while (step := await to_thread.run_sync(self._steps.get, abandon_on_cancel=True)) is not None:
                if on_step is not None:
                    on_step(step)
            return self._result()
        except BaseException:
            self.cancel()
            raise

    def _result(self) -> T:
        failure = self._future.exception()
        if isinstance(failure, InputError):
            # What the caller gave is wrong; where in the loop and its worker that was found does not help.
            raise failure.with_traceback(None) from None
        return self._future.result()

    def cancel(self) -> None:
        """Cancel the call; nothing where it has ended."""
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._scope.cancel)

    def end(self, error: BaseException) -> None:
        """End the wait with an error unless there is a result."""
        if not self._future.done():
            self._future.set_exception(error)
        self._steps.put(None)

    async def run[R](self, resource: R, work: Callable[[R, OnStep], Awaitable[T]]) -> None:
        """Run the work, in the loop; a cancellation of the whole loop leaves the end to the loop."""
        try:
            with self._scope:
                self._future.set_result(await work(resource, self._steps.put))
        except Exception as error:  # noqa: BLE001 - it belongs to the caller that waits
            self.end(error)
        except BaseException as error:
            # A panic of a library in Rust is no Exception; it would end the loop, and with it the calls of others.
            panic = _single(error)
            if type(panic).__name__ != "PanicException":
                raise
            failure = RuntimeError(str(panic))
            failure.__cause__ = panic
            self.end(failure)
        self.end(CancelledError())


class Portal[R]:
    """A loop in a daemon thread that keeps one resource open from the first call to the end of the process.

    Args:
        open_: opens the resource, inside the loop.
    """

    def __init__(self, open_: Callable[[], AbstractAsyncContextManager[R]]) -> None:
        self._open = open_
        self._starting = threading.Lock()
        self._loop: _Loop[R] | None = None
        self._registered = False

    def begin(self) -> None:
        """Start to open the resource if it is not open, without waiting for it."""
        with self._starting:
            if self._loop is None or not self._loop.is_alive():
                self._new_loop()

    def start[T](self, work: Callable[[R, OnStep], Awaitable[T]]) -> Call[T]:
        """Start a call in the loop and return it; it gets the resource and a function that passes on progress.

        Raises:
            BaseException: the error with which the resource failed to open.
        """
        with self._starting:
            # A forked child has no threads, and a loop whose resource failed has ended or is about to.
            if self._loop is not None and self._loop.is_alive():
                with suppress(trio.RunFinishedError):
                    return self._loop.start(work)
            return self._new_loop().start(work)

    def _new_loop(self) -> "_Loop[R]":
        if not self._registered:
            self._registered = True
            # Exit functions run last to first, and the first finalizer of a process registers the one that removes
            # temporary folders: before ours, so that the resource is closed while its folder is there.
            weakref.finalize(self, int).detach()
            atexit.register(self.close)
        self._loop = _Loop(self._open)
        self._loop.begin()
        return self._loop

    def close(self) -> None:
        """End the loop and close the resource; the next call opens it again."""
        with self._starting:
            loop, self._loop = self._loop, None
        if loop is not None and loop.is_alive():
            loop.close()


class _Loop[R]:
    """One loop with its thread."""

    def __init__(self, open_: Callable[[], AbstractAsyncContextManager[R]]) -> None:
        self._open = open_
        self._pid = os.getpid()
        self._opened: Future[tuple[R, trio.lowlevel.TrioToken, Callable[..., None]]] = Future()
        self._end: trio.Event | None = None
        self._calls: set[Call[Any]] = set()
        self._thread = threading.Thread(target=self._serve, name="cqox", daemon=True)

    def is_alive(self) -> bool:
        return self._thread.is_alive() and self._pid == os.getpid()

    def begin(self) -> None:
        """Start the thread, which opens the resource."""
        self._thread.start()

    def start[T](self, work: Callable[[R, OnStep], Awaitable[T]]) -> Call[T]:
        resource, token, start_soon = self._opened.result()
        call = Call[T](token)
        self._calls.add(call)

        async def run() -> None:
            await call.run(resource, work)
            self._calls.discard(call)

        token.run_sync_soon(start_soon, run)
        return call

    def close(self) -> None:
        # A loop whose resource could not be opened ends by itself; its error belongs to the call that started it.
        if self._opened.exception() is None:
            _, token, _ = self._opened.result()
            assert self._end is not None
            with suppress(trio.RunFinishedError):
                token.run_sync_soon(self._end.set)
        self._thread.join(_END_SECONDS)

    def _serve(self) -> None:
        ended: BaseException = CancelledError()
        try:
            trio.run(self._hold, strict_exception_groups=True)
        except BaseException as error:  # noqa: BLE001 - it belongs to the callers that wait
            ended = _single(error)
        if not self._opened.done():
            self._opened.set_exception(ended)
        for call in list(self._calls):
            call.end(ended)

    async def _hold(self) -> None:
        self._end = trio.Event()
        async with self._open() as resource, open_task_group("calls") as group:
            self._opened.set_result((resource, trio.lowlevel.current_trio_token(), group.start_soon))
            await self._end.wait()
            group.cancel_scope.cancel()


def _single(error: BaseException) -> BaseException:
    """Return the only exception of nested groups."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
