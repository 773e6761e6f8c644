"""A client middleware of aiohttp that sends every request through a policy."""

from collections.abc import Callable, Collection

import aiohttp
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse
from aiohttp.payload import BytesPayload

from cqox.resilience.adapters.host_policies import PolicySource
from cqox.resilience.adapters.http_call import FAILURE_STATUSES, HttpCall, HttpSettings
from cqox.resilience.deadlines.deadline import remaining
from cqox.resilience.propagation.http import attempt_headers
from cqox.resilience.retry.classification import never_sent

__all__ = ["FailedResponse", "ResilientMiddleware"]


class FailedResponse(aiohttp.ClientResponseError):
    """A response whose status counts as a failure, as the parts of the policy see it; the caller gets the response.

    Attributes:
        response: the response.
    """

    def __init__(self, response: ClientResponse) -> None:
        super().__init__(
            response.request_info,
            response.history,
            status=response.status,
            message=response.reason or "",
            headers=response.headers,
        )
        self.response = response


class ResilientMiddleware:
    """A middleware that sends through a policy: `aiohttp.ClientSession(middlewares=[ResilientMiddleware(policy)])`.

    It has the rules of `cqox.resilience.adapters.httpx.ResilientTransport`: which requests are repeated, what each
    attempt carries, what the caller gets. Time limits are scopes of the event loop; the timeouts of aiohttp stay as
    they are, and its `total` includes all attempts and pauses.

    A `Hedge` makes one attempt, as aiohttp cannot send one request object twice at once. Where a session has several
    middlewares, this one comes last: what the others send by themselves would be part of its attempts.

    aiohttp itself repeats an idempotent request once when its connection breaks, and calls the middleware again: the
    policy then sees two calls.
    """

    def __init__(
        self,
        policies: PolicySource,
        *,
        failure_statuses: Collection[int] = FAILURE_STATUSES,
        idempotent: Callable[[ClientRequest], bool] | None = None,
    ) -> None:
        """Make a middleware.

        Args:
            policies: one policy for all hosts, also by its name (`registry.policy(name)`), or a function that returns
                the policy of a host (`host`, or `host:port` where the port is not that of the
                scheme), such as `policy.for_key`.
            failure_statuses: statuses that the policy sees as a failure, from 100 to 599.
            idempotent: returns whether a request may be executed twice; None goes by its method and its
                `Idempotency-Key`.

        Raises:
            ValueError: a setting is out of its range.
        """
        self._settings = HttpSettings(policies, failure_statuses=failure_statuses, idempotent=idempotent)

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Send a request through its policy. A cancellation closes the connection in use.

        Raises:
            Rejected: the policy sent nothing.
            AttemptTimeout: the last attempt took too long.
            DeadlineExceeded: the deadline has passed.
            aiohttp.ClientError: the last attempt failed.
        """
        policy = self._settings.hosts.policy_of(request.url.host_port_subcomponent or "")
        call = _Call(request, handler, self._settings)
        try:
            with call.guarded():
                returned = await policy.call(call.attempt)
        except FailedResponse as failed:
            returned = failed.response
        except BaseException:
            call.release_all_but(None)
            raise
        call.release_all_but(returned)
        return returned


class _Call(HttpCall):
    __slots__ = ("_handler", "_open", "_request", "_statuses")

    def __init__(
        self, request: ClientRequest, handler: ClientHandlerType, settings: HttpSettings[ClientRequest]
    ) -> None:
        super().__init__(
            request.method,
            request.headers,
            said_idempotent=settings.said_idempotent(request),
            # Bytes in memory, or none: a form with files and an iterator are read only once.
            repeatable=not request.body or isinstance(request.body, BytesPayload),
            is_unsent=never_sent,
        )
        self._request = request
        self._handler = handler
        self._statuses = settings.failure_statuses
        self._open: list[ClientResponse] = []

    def may_repeat(self, error: Exception | None) -> bool:
        """See `CallSafety.may_repeat`: no hedge, as a request of aiohttp cannot be on two connections at once."""
        return error is not None and super().may_repeat(error)

    async def attempt(self) -> ClientResponse:
        self.release_all_but(None)
        # aiohttp makes another request for a redirect, with the fields of its caller.
        self._request.headers.update(attempt_headers(self.method, remaining(), has_key=self.has_key))
        with self.sending():
            response = await self._handler(self._request)
        self._open.append(response)
        if response.status in self._statuses:
            raise FailedResponse(response)
        return response

    def release_all_but(self, returned: ClientResponse | None) -> None:
        """Give back connections; that of a response which has not arrived completely is closed."""
        others, self._open = [response for response in self._open if response is not returned], []
        for response in others:
            response.release()
