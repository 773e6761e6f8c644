"""Transports of httpx2 that send every request through a policy."""

from typing import Any, cast

import httpx2

from cqox.resilience.adapters.httpx_calls import Library
from cqox.resilience.adapters.httpx_transports import AsyncPolicyTransport, SyncPolicyTransport

__all__ = ["FailedResponse", "ResilientSyncTransport", "ResilientTransport"]


class FailedResponse(httpx2.HTTPStatusError):
    """A response whose status counts as a failure, as the parts of the policy see it; the caller gets the response."""


# The annotations of what both share name the classes of httpx.
_LIBRARY = Library(
    request=cast("Any", httpx2.Request),
    byte_stream=cast("Any", httpx2.ByteStream),
    timeout=cast("Any", httpx2.TimeoutException),
    own_async=cast("Any", httpx2.AsyncHTTPTransport),
    own_sync=cast("Any", httpx2.HTTPTransport),
    failed=cast("Any", FailedResponse),
)


class ResilientTransport(
    AsyncPolicyTransport[httpx2.Request, httpx2.Response, httpx2.AsyncBaseTransport], httpx2.AsyncBaseTransport
):
    """The transport of `cqox.resilience.adapters.httpx` for httpx2; all of its rules apply.

    `httpx2.AsyncClient(transport=ResilientTransport(policy))`
    """

    _library = _LIBRARY


class ResilientSyncTransport(
    SyncPolicyTransport[httpx2.Request, httpx2.Response, httpx2.BaseTransport], httpx2.BaseTransport
):
    """Synchronous twin of `ResilientTransport`: `httpx2.Client(transport=ResilientSyncTransport(policy))`."""

    _library = _LIBRARY
