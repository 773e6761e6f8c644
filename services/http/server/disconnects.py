"""Detection of clients that leave while their requests are handled, by one task for all requests of an app.

A task for each request that waits for its client would cost more than the policies around its call. Here one task waits
for all connections at once, with an epoll of its own. Only where something arrives on one of them does a task start
that receives it for that request: usually the end of the connection, otherwise bytes of the next request.
"""

import select
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

import trio
from hypercorn.typing import ASGIReceiveCallable

from cqox import telemetry
from cqox.tasks import TaskGroup, open_task_group

__all__ = ["DisconnectWatch", "Watched"]


class DisconnectWatch:
    """The connections of an app whose requests are handled; it detects nothing unless it is opened."""

    def __init__(self) -> None:
        self._epoll: select.epoll | None = None
        self._group: TaskGroup | None = None
        self._watched: dict[int, Watched] = {}

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Wait for the connections while the block runs; where the system has no epoll, detect nothing.

        The block is cancelled should the waiting fail, and its exception leaves the block in a group.
        """
        if not hasattr(select, "epoll"):
            yield
            return
        with select.epoll() as epoll:
            async with open_task_group("disconnects", detached=True) as group:
                self._epoll, self._group = epoll, group
                # What is received there belongs to no trace of a request.
                with telemetry.untraced("disconnects"):
                    group.start_soon(self._wait, epoll, group, name="disconnects")
                try:
                    yield
                finally:
                    self._epoll = self._group = None
                    self._watched.clear()
                group.cancel_scope.cancel()

    def watch(self, descriptor: int, receive: ASGIReceiveCallable, handling: trio.CancelScope) -> "Watched | None":
        """Watch a connection from now to the end of the block of the result; None where it cannot be watched.

        Args:
            descriptor: of the socket, of which nothing is unread.
            receive: of the request, whose body was received completely.
            handling: scope that is cancelled when the client leaves.
        """
        if self._epoll is None:
            return None
        try:
            # Once: the task that it starts sees whatever follows.
            self._epoll.register(descriptor, select.EPOLLIN | select.EPOLLONESHOT)
        except (OSError, ValueError):
            # The kernel bounds what a user may register, and a socket may be closed meanwhile.
            return None
        watched = self._watched[descriptor] = Watched(self, descriptor, receive, handling)
        return watched

    def forget(self, descriptor: int, watched: "Watched") -> None:
        """Stop to watch a connection; its socket may be closed already, and its descriptor be that of another one."""
        if self._watched.get(descriptor) is not watched:
            return
        del self._watched[descriptor]
        if self._epoll is not None:
            try:
                self._epoll.unregister(descriptor)
            except (OSError, ValueError):
                return

    async def _wait(self, epoll: select.epoll, group: TaskGroup) -> None:
        while True:
            await trio.lowlevel.wait_readable(epoll.fileno())
            for descriptor, _ in epoll.poll(0):
                watched = self._watched.get(descriptor)
                if watched is not None:
                    watched.start(group)


class Watched:
    """The connection of one request; its block is the time for which it is watched.

    Leaving the block raises the exception with which receiving has failed, if it has. It waits until no task receives
    for this request any more, also in a cancelled scope.

    Attributes:
        left: whether nobody waits for the response: the client has disconnected, or receiving has failed.
    """

    __slots__ = ("_descriptor", "_ended", "_error", "_handling", "_receive", "_receiving", "_watch", "left")

    def __init__(
        self, watch: DisconnectWatch, descriptor: int, receive: ASGIReceiveCallable, handling: trio.CancelScope
    ) -> None:
        self._watch = watch
        self._descriptor = descriptor
        self._receive = receive
        self._handling = handling
        self._receiving: trio.CancelScope | None = None
        self._ended: trio.Event | None = None
        self._error: Exception | None = None
        self.left = False

    def start(self, group: TaskGroup) -> None:
        """Receive in a task until the client has left, or the block ends; a second call has no effect."""
        if self._receiving is not None:
            # A process that is just being started still holds a socket that was closed here: its events have the
            # descriptor that the socket had.
            return
        self._receiving, self._ended = trio.CancelScope(), trio.Event()
        group.start_soon(self._run, self._receiving, self._ended, name="disconnect")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.end()

    async def end(self) -> None:
        """End it before the end of the block, which raises and waits as that does."""
        self._watch.forget(self._descriptor, self)
        if self._receiving is not None and self._ended is not None:
            self._receiving.cancel()
            # The next request of the connection must be its only reader.
            with trio.CancelScope(shield=True):
                await self._ended.wait()
        if self._error is not None:
            raise self._error

    async def _run(self, receiving: trio.CancelScope, ended: trio.Event) -> None:
        try:
            with receiving:
                # A body that came with its head is received once more.
                while (await self._receive())["type"] != "http.disconnect":
                    pass
                self._leave()
        except Exception as error:  # noqa: BLE001 - it belongs to the request, whose block raises it
            self._error = error
            self._leave()
        finally:
            ended.set()

    def _leave(self) -> None:
        self.left = True
        self._handling.cancel()
