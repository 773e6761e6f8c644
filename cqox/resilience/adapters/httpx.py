"""Transports of httpx that send every request through a policy."""

import httpx

from cqox.resilience.adapters.httpx_calls import Library
from cqox.resilience.adapters.httpx_transports import AsyncPolicyTransport, SyncPolicyTransport

__all__ = ["FailedResponse", "ResilientSyncTransport", "ResilientTransport"]


class FailedResponse(httpx.HTTPStatusError):
    """A response whose status counts as a failure, as the parts of the policy see it; the caller gets the response."""


_LIBRARY = Library(
    request=httpx.Request,
    byte_stream=httpx.ByteStream,
    timeout=httpx.TimeoutException,
    own_async=httpx.AsyncHTTPTransport,
    own_sync=httpx.HTTPTransport,
    failed=FailedResponse,
)


class ResilientTransport(
    AsyncPolicyTransport[httpx.Request, httpx.Response, httpx.AsyncBaseTransport], httpx.AsyncBaseTransport
):
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

    _library = _LIBRARY


class ResilientSyncTransport(
    SyncPolicyTransport[httpx.Request, httpx.Response, httpx.BaseTransport], httpx.BaseTransport
):
    """Synchronous twin of `ResilientTransport`: `httpx.Client(transport=ResilientSyncTransport(policy))`.

    No thread can be interrupted: a time limit shortens the timeouts of httpx, each of which bounds one wait.
    """

    _library = _LIBRARY
