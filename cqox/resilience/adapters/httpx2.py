"""Transports of httpx2 that send every request through a policy."""

from collections.abc import Awaitable, Callable, Collection
from types import TracebackType
from typing import Any, Self, cast

import httpx2

from cqox.resilience.adapters.host_policies import PolicySource
from cqox.resilience.adapters.http_call import FAILURE_STATUSES, HttpSettings
from cqox.resilience.adapters.httpx_calls import Library, send, send_sync

__all__ = ["FailedResponse", "ResilientSyncTransport", "ResilientTransport"]


class FailedResponse(httpx2.HTTPStatusError):
    """A response whose status counts as a failure, as the parts of the policy see it; the caller gets the response."""


# The annotations of what both share name the classes of httpx.
_LIBRARY = Library(
    request=cast("Any", httpx2.Request),
    byte_stream=cast("Any", httpx2.ByteStream),
    timeout=cast("Any", httpx2.TimeoutException),
    transports=(httpx2.AsyncHTTPTransport, httpx2.HTTPTransport),
    failed=cast("Any", FailedResponse),
)
type _Settings = HttpSettings[httpx2.Request]
_send = cast(
    "Callable[[httpx2.AsyncBaseTransport, httpx2.Request, Library, _Settings], Awaitable[httpx2.Response]]", send
)
_send_sync = cast("Callable[[httpx2.BaseTransport, httpx2.Request, Library, _Settings], httpx2.Response]", send_sync)


class ResilientTransport(httpx2.AsyncBaseTransport):
    """The transport of `cqox.resilience.adapters.httpx` for httpx2; all of its rules apply.

    `httpx2.AsyncClient(transport=ResilientTransport(policy))`
    """

    def __init__(
        self,
        policies: PolicySource,
        transport: httpx2.AsyncBaseTransport | None = None,
        *,
        failure_statuses: Collection[int] = FAILURE_STATUSES,
        idempotent: Callable[[httpx2.Request], bool] | None = None,
    ) -> None:
        """Wrap a transport.

        Args:
            policies: one policy for all hosts, or a function that returns the policy of a host (`host`, or `host:port`
                where the port is not that of the scheme), such as `policy.for_key`.
            transport: the transport that sends; `httpx2.AsyncHTTPTransport()` by default. A client ignores its own
                `verify`, `http2`, `limits` and the like where it is given a transport.
            failure_statuses: statuses that the policy sees as a failure, from 100 to 599.
            idempotent: returns whether a request may be executed twice; None goes by its method and its
                `Idempotency-Key`.

        Raises:
            ValueError: a setting is out of its range.
        """
        self._inner = transport or httpx2.AsyncHTTPTransport()
        self._settings = HttpSettings(policies, failure_statuses=failure_statuses, idempotent=idempotent)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request through its policy. A cancellation closes the connection in use.

        Raises:
            Rejected: the policy sent nothing.
            AttemptTimeout: the last attempt took too long.
            DeadlineExceeded: the deadline has passed.
            httpx2.TransportError: the last attempt failed.
        """
        return await _send(self._inner, request, _LIBRARY, self._settings)

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self._inner.__aexit__(exc_type, exc_value, traceback)

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self._inner.aclose()


class ResilientSyncTransport(httpx2.BaseTransport):
    """Synchronous twin of `ResilientTransport`: `httpx2.Client(transport=ResilientSyncTransport(policy))`."""

    def __init__(
        self,
        policies: PolicySource,
        transport: httpx2.BaseTransport | None = None,
        *,
        failure_statuses: Collection[int] = FAILURE_STATUSES,
        idempotent: Callable[[httpx2.Request], bool] | None = None,
    ) -> None:
        """Wrap a transport; see `ResilientTransport`.

        Raises:
            ValueError: a setting is out of its range.
        """
        self._inner = transport or httpx2.HTTPTransport()
        self._settings = HttpSettings(policies, failure_statuses=failure_statuses, idempotent=idempotent)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request through its policy; it raises as `ResilientTransport.handle_async_request`."""
        return _send_sync(self._inner, request, _LIBRARY, self._settings)

    def __enter__(self) -> Self:
        self._inner.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self._inner.__exit__(exc_type, exc_value, traceback)

    def close(self) -> None:
        """Close the inner transport."""
        self._inner.close()
