"""The ASGI handling of one HTTP request by Quart, and the lifespan of the app.

It replaces Quart-Trio's own classes for measured defects:
- The request body is an unbounded queue, and a response before the end of the body is lost in a reset.
- Background tasks delay the shutdown by five seconds, and closing hooks run inside the scope that is cancelled.
"""

import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, cast

import structlog
import trio
from hypercorn.typing import (
    ASGIReceiveCallable,
    ASGISendCallable,
    HTTPResponseBodyEvent,
    HTTPResponseStartEvent,
    HTTPScope,
    LifespanScope,
)
from quart.wrappers.base import ClientDisconnectedError
from quart.wrappers.response import DataBody
from quart_trio.asgi import TrioASGIHTTPConnection
from structlog.contextvars import bound_contextvars, clear_contextvars
from werkzeug.wrappers import Response as WerkzeugResponse

from cqox.errors import CqoxError
from cqox.tasks import TaskGroup, open_task_group
from services.config.configuration import SettingsError
from services.http.observability.tracing import Exchange
from services.http.request.proxied import AnyRequest
from services.http.request.request import IncomingRequest
from services.http.response.headers import decorate, log_access
from services.http.response.plain import AnyResponse, PlainResponse, encoded_fields
from services.http.response.problems import select_error
from services.http.server.disconnects import Watched
from services.http.server.extensions import ARRIVED_BODY, HELD, SOCKET
from services.http.server.lifecycle import Ticket

if TYPE_CHECKING:
    from services.http.server.app import App

__all__ = ["Connection", "Lifespan", "RefusedConnection"]

_log = structlog.stdlib.get_logger("cqox.http")

_LINGER_SECONDS = 30.0
_LINGER_PAUSE_SECONDS = 2.0
_REST_OF_BODY_SECONDS = 0.05


class Connection(TrioASGIHTTPConnection):
    """The handling of one request; a client's disconnect cancels the handler at once."""

    app: "App"
    _watched: Watched | None = None

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Handle the request with the app and send the response."""
        request = self._request(send)
        # Shared with the connection, which may have to reject the rest of the body.
        request.request_id = str(self._facts.setdefault("request_id", request.request_id))
        extensions = cast("dict[str, object]", self.scope["extensions"])
        body = extensions.get(ARRIVED_BODY)
        if body is not None:
            request.body.set_result(cast("bytes", body))
        # One task serves all requests of a connection: clear the context variables of the previous request.
        clear_contextvars()
        # Bound to every log line during the request.
        with bound_contextvars(request_id=request.request_id), Exchange(request) as exchange:
            with self.app.in_flight.admit(f"{request.method} {request.path}") as ticket:
                if body is not None and SOCKET in extensions:
                    descriptor = cast("int", extensions[SOCKET])
                    self._watched = self.app.disconnects.watch(descriptor, receive, ticket.scope)
                if self._watched is not None:
                    async with self._watched:
                        await self._answer(request, ticket, exchange, send)
                    return
                async with open_task_group("request") as group:
                    group.start_soon(self._receive, group, request, receive, name="request body")
                    await self._answer(request, ticket, exchange, send)
                    group.cancel_scope.cancel()

    def _request(self, send: ASGISendCallable) -> AnyRequest:
        return cast("IncomingRequest", self._create_request_from_scope(send))

    @property
    def _facts(self) -> dict[str, object]:
        return cast("dict[str, dict[str, object]]", self.scope).setdefault("state", {})

    async def _receive(self, group: TaskGroup, request: AnyRequest, receive: ASGIReceiveCallable) -> None:
        while True:
            message = await receive()
            if message["type"] == "http.request":
                if request.body.ended:
                    continue
                await request.body.put(message.get("body", b""))
                if not message.get("more_body", False):
                    request.body.set_complete()
            elif message["type"] == "http.disconnect":
                self._disconnected = True
                request.body.disconnect()
                group.cancel_scope.cancel()
                return

    async def _answer(self, request: AnyRequest, ticket: Ticket, exchange: Exchange, send: ASGISendCallable) -> None:
        began, reply = time.perf_counter(), _Reply(send, self.app.lifecycle.draining)
        try:
            with ticket.scope:
                response = await self._response_to(request)
                if self._watched is not None and _is_complete(response):
                    # A client that has all of it sends its next request before this task runs again.
                    await self._watched.end()
                await reply.give(request, response)
            left = self._watched is not None and self._watched.left
            if ticket.scope.cancelled_caught and reply.status is None and not left:
                await reply.give(request, self.app.refusal(request))
        finally:
            status = cast("int | None", self._facts.get("refused", reply.status))
            exchange.answered(status, complete=reply.complete, size_bytes=reply.size_bytes)
            log_access(request, status, reply.complete, reply.size_bytes, time.perf_counter() - began)
        # Without the final message the connection is closed, so that a truncated body cannot be read as complete.
        if reply.complete:
            await self._linger(request)
            await reply.end()

    async def _response_to(self, request: AnyRequest) -> AnyResponse:
        assert isinstance(request, IncomingRequest)
        return await self.app.handle_request(request)

    async def _linger(self, request: AnyRequest) -> None:
        if request.body.ended:
            return
        # Closing a socket with unread data resets it, and the client would lose the response.
        with trio.move_on_after(_LINGER_SECONDS):
            while not request.body.ended and not self.app.lifecycle.draining.is_set():
                with trio.move_on_after(_LINGER_PAUSE_SECONDS) as pause:
                    await request.body.wait_moved()
                if pause.cancelled_caught:
                    return


class RefusedConnection(Connection):
    """The handling of one request that is refused before it is routed; it is logged and traced as every other.

    Args:
        app: the app.
        scope: of the request.
        error: what refuses it.
    """

    def __init__(self, app: "App", scope: HTTPScope, error: Exception) -> None:
        super().__init__(app, scope)
        self._error = error

    async def _response_to(self, request: AnyRequest) -> AnyResponse:
        return self.app.refuse(request, self._error)


class _Reply:
    """The response to one request, and the number of bytes sent."""

    __slots__ = ("_draining", "_send", "complete", "size_bytes", "status")

    def __init__(self, send: ASGISendCallable, draining: trio.Event) -> None:
        self._send = send
        self._draining = draining
        self.status: int | None = None
        self.complete = False
        self.size_bytes = 0

    async def give(self, request: AnyRequest, response: AnyResponse) -> None:
        decorate(request, response)
        unfinished = not await self._is_whole(request)
        # HTTP/2 forbids the header; it has a frame of its own for that.
        if (unfinished or self._draining.is_set()) and request.http_version.startswith("1"):
            response.headers["Connection"] = "close"
        self.status = response.status_code
        start = HTTPResponseStartEvent(
            type="http.response.start",
            status=response.status_code,
            headers=encoded_fields(response.headers),
        )
        if _is_complete(response):
            start[HELD] = True  # type: ignore[literal-required]
        await self._send(start)
        try:
            if isinstance(response, PlainResponse):
                await self._body(response.body)
            elif isinstance(response, WerkzeugResponse):
                for data in response.response:
                    await self._body(data)
            else:
                async with response.response as body:
                    async for data in body:
                        await self._body(data)
        except ClientDisconnectedError:
            return
        except Exception as error:  # noqa: BLE001 - the status is sent: only the connection can be closed
            why = str(error) if isinstance(error, CqoxError) else repr(error)
            _log.error("response cut", request_id=request.request_id, path=request.path, error=why)
            return
        self.complete = True

    async def _is_whole(self, request: AnyRequest) -> bool:
        if not request.body.ended:
            request.body.discard()
            with trio.move_on_after(_REST_OF_BODY_SECONDS):
                await request.body.wait_ended()
        return request.body.ended

    async def end(self) -> None:
        await self._send(HTTPResponseBodyEvent(type="http.response.body", body=b"", more_body=False))

    async def _body(self, data: str | bytes) -> None:
        body = data.encode() if isinstance(data, str) else data
        if body:
            await self._send(HTTPResponseBodyEvent(type="http.response.body", body=body, more_body=True))
            self.size_bytes += len(body)


def _is_complete(response: AnyResponse) -> bool:
    return isinstance(response, PlainResponse | WerkzeugResponse) or isinstance(response.response, DataBody)


class Lifespan:
    """The lifespan of the app: opens its resources, runs its background tasks, and closes all in reverse order."""

    def __init__(self, app: "App", scope: LifespanScope) -> None:
        self.app = app
        self._asked_to_end = False

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Serve the lifespan protocol."""
        cause: Exception | None = None
        started = False
        await receive()
        try:
            async with AsyncExitStack() as stack:
                try:
                    for opened in self.app.resources:
                        await stack.enter_async_context(opened())
                except Exception as error:
                    # Read before the task groups of other resources wrap it.
                    cause = error
                    raise
                started = True
                await send({"type": "lifespan.startup.complete"})
                await self._run_tasks(receive)
        except* Exception as errors:  # noqa: BLE001 - the root of the tasks of every resource
            if started:
                self.app.lifecycle.fail(errors)
                _log.exception("a resource of the app failed")
            else:
                _log.exception("the app could not start")
                cause = cause or errors
        if not started:
            # Hypercorn ends the process with this message.
            await send({"type": "lifespan.startup.failed", "message": str(cause)})
            return
        await self._wait_end(receive)
        await send({"type": "lifespan.shutdown.complete"})

    async def _run_tasks(self, receive: ASGIReceiveCallable) -> None:
        app = self.app
        try:
            async with open_task_group("app", detached=True) as group:
                app.tasks = group
                group.start_soon(self._warm)
                await self._wait_end(receive)
                if app.lifecycle.draining.is_set():
                    await app.lifecycle.drained.wait()
                group.cancel_scope.cancel()
        except* SettingsError as errors:
            # A setting that only a running app could check, such as the role of the database.
            app.lifecycle.fail(errors)
            _log.error("%s", select_error(errors))
            await self._wait_end(receive)
        except* Exception as errors:  # noqa: BLE001 - the root of every task that outlives a request
            # The app has lost its tasks: report the failure to the server, which ends the process.
            app.lifecycle.fail(errors)
            _log.exception("a task of the app failed")
            await self._wait_end(receive)

    async def _wait_end(self, receive: ASGIReceiveCallable) -> None:
        if not self._asked_to_end:
            await receive()
            self._asked_to_end = True

    async def _warm(self) -> None:
        for warm in self.app.warm_ups:
            await warm()
        self.app.lifecycle.warmed()
