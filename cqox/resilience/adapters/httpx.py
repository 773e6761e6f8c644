"""Transports of httpx that send every request through a policy."""

from collections.abc import Callable, Collection
from types import TracebackType
from typing import Self

import httpx

from cqox.resilience.adapters.host_policies import PolicySource
from cqox.resilience.adapters.http_call import FAILURE_STATUSES, HttpSettings
from cqox.resilience.adapters.httpx_calls import Library, send, send_sync

__all__ = ["FailedResponse", "ResilientSyncTransport", "ResilientTransport"]


class FailedResponse(httpx.HTTPStatusError):
    """A response whose status counts as a failure, as the parts of the policy see it; the caller gets the response."""


_LIBRARY = Library(
    request=httpx.Request,
    byte_stream=httpx.ByteStream,
    timeout=httpx.TimeoutException,
    transports=(httpx.AsyncHTTPTransport, httpx.HTTPTransport),
    failed=FailedResponse,
)


class ResilientTransport(httpx.AsyncBaseTransport):
    """A transport that sends through a policy: `httpx.AsyncClient(transport=ResilientTransport(policy))`.

    The caller gets the response of the last attempt, whatever its status, or the exception of the last attempt. Each
    request is a call of its own: also that of a redirect, and of an authentication that takes two.

    GET, HEAD, OPTIONS, PUT, DELETE and TRACE are repeated, and others only with an `Idempotency-Key` or where
    `idempotent` says so; `Retry.idempotent` has no say. Any request is repeated that httpx's own transport has never
    sent. A request whose body is a stream or has files is sent once. Each attempt carries its remaining time and its
    number, and the timeouts of httpx are shortened to that time.

    The policy ends when the header fields of the response are there: reading the body is up to the caller, outside of
    its time limits, slots and retries. A short body of a failed response is read, so that its connection serves others
    during the pause; another is closed when the next attempt begins.
    """

    def __init__(
        self,
        policies: PolicySource,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        failure_statuses: Collection[int] = FAILURE_STATUSES,
        idempotent: Callable[[httpx.Request], bool] | None = None,
    ) -> None:
        """Wrap a transport.

        Args:
            policies: one policy for all hosts, or a function that returns the policy of a host (`host`, or `host:port`
                where the port is not that of the scheme), such as `policy.for_key`.
            transport: the transport that sends; `httpx.AsyncHTTPTransport()` by default. A client ignores its own
                `verify`, `http2`, `limits` and the like where it is given a transport.
            failure_statuses: statuses that the policy sees as a failure, from 100 to 599.
            idempotent: returns whether a request may be executed twice; None goes by its method and its
                `Idempotency-Key`.

        Raises:
            ValueError: a setting is out of its range.
        """
        self._inner = transport or httpx.AsyncHTTPTransport()
        self._settings = HttpSettings(policies, failure_statuses=failure_statuses, idempotent=idempotent)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request through its policy. A cancellation closes the connection in use.

        Raises:
            Rejected: the policy sent nothing.
            AttemptTimeout: the last attempt took too long.
            DeadlineExceeded: the deadline has passed.
            httpx.TransportError: the last attempt failed.
        """
        return await send(self._inner, request, _LIBRARY, self._settings)

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


class ResilientSyncTransport(httpx.BaseTransport):
    """Synchronous twin of `ResilientTransport`: `httpx.Client(transport=ResilientSyncTransport(policy))`.

    No thread can be interrupted: a time limit shortens the timeouts of httpx, each of which bounds one wait.
    """

    def __init__(
        self,
        policies: PolicySource,
        transport: httpx.BaseTransport | None = None,
        *,
        failure_statuses: Collection[int] = FAILURE_STATUSES,
        idempotent: Callable[[httpx.Request], bool] | None = None,
    ) -> None:
        """Wrap a transport; see `ResilientTransport`.

        Raises:
            ValueError: a setting is out of its range.
        """
        self._inner = transport or httpx.HTTPTransport()
        self._settings = HttpSettings(policies, failure_statuses=failure_statuses, idempotent=idempotent)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request through its policy; it raises as `ResilientTransport.handle_async_request`."""
        return send_sync(self._inner, request, _LIBRARY, self._settings)

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
