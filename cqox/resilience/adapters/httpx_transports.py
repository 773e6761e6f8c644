"""Transports that send every request through a policy, over the classes of httpx or of httpx2.

It imports neither: the interfaces of both libraries are the same, and their adapters fill in the classes.
"""

from collections.abc import Callable, Collection
from types import TracebackType
from typing import Any, ClassVar, Self, cast

from cqox.resilience.adapters.host_policies import PolicySource
from cqox.resilience.adapters.http_call import FAILURE_STATUSES, HttpSettings
from cqox.resilience.adapters.httpx_calls import Library, send, send_sync

__all__ = ["AsyncPolicyTransport", "SyncPolicyTransport"]


class _PolicyTransport[Q, T]:
    """The settings of either kind, for requests of class `Q` and a transport of class `T` that sends them."""

    _library: ClassVar[Library]
    _inner: Any

    def __init__(
        self,
        policies: PolicySource,
        transport: T | None = None,
        *,
        failure_statuses: Collection[int] = FAILURE_STATUSES,
        idempotent: Callable[[Q], bool] | None = None,
    ) -> None:
        """Wrap a transport.

        Args:
            policies: one policy for all hosts, also by its name (`registry.policy(name)`), or a function that returns
                the policy of a host (`host`, or `host:port` where the port is not that of the
                scheme), such as `policy.for_key`.
            transport: the transport that sends; by default the library's own. A client ignores its own `verify`,
                `http2`, `limits` and the like where it is given a transport.
            failure_statuses: statuses that the policy sees as a failure, from 100 to 599.
            idempotent: returns whether a request may be executed twice; None goes by its method and its
                `Idempotency-Key`.

        Raises:
            ValueError: a setting is out of its range.
        """
        self._settings = HttpSettings(policies, failure_statuses=failure_statuses, idempotent=idempotent)
        self._inner = self._own() if transport is None else transport

    def _own(self) -> object:
        raise NotImplementedError


class AsyncPolicyTransport[Q, R, T](_PolicyTransport[Q, T]):
    """The asynchronous transport; `R` is the class of its responses."""

    async def handle_async_request(self, request: Q) -> R:
        """Send a request through its policy. A cancellation closes the connection in use.

        Raises:
            Rejected: the policy sent nothing.
            AttemptTimeout: the last attempt took too long.
            DeadlineExceeded: the deadline has passed.
            TransportError: the last attempt failed, of the library.
        """
        settings = cast("HttpSettings[Any]", self._settings)
        return cast("R", await send(self._inner, cast("Any", request), self._library, settings))

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

    def _own(self) -> object:
        return self._library.own_async()


class SyncPolicyTransport[Q, R, T](_PolicyTransport[Q, T]):
    """Synchronous twin of `AsyncPolicyTransport`."""

    def handle_request(self, request: Q) -> R:
        """Send a request through its policy; it raises as `AsyncPolicyTransport.handle_async_request`."""
        settings = cast("HttpSettings[Any]", self._settings)
        return cast("R", send_sync(self._inner, cast("Any", request), self._library, settings))

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

    def _own(self) -> object:
        return self._library.own_sync()
