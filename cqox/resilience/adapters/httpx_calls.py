"""One request of httpx or httpx2, whose interfaces are the same, through a policy: its attempts and their responses.

The policy ends when the header fields of the response are there: its time limits do not cover the body, and a slot is
free again. A response whose status counts as a failure is an exception for the parts of the policy alone.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from cqox.resilience.adapters.http_call import HttpCall, HttpSettings, is_short, runs_alone
from cqox.resilience.adapters.spent_deadline import expired_deadline
from cqox.resilience.composition.policy import Policy
from cqox.resilience.deadlines.deadline import remaining
from cqox.resilience.propagation.http import attempt_headers, shorten_timeouts
from cqox.resilience.retry.classification import never_sent
from cqox.resilience.retry.unsent import note_request

if TYPE_CHECKING:
    import httpx

__all__ = ["Library", "send", "send_sync"]

_CLOSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """The classes of httpx or httpx2.

    Attributes:
        request: the request.
        byte_stream: a body in memory.
        timeout: base class of its timeouts.
        own_async: its transport, whose connection errors prove that nothing was sent.
        own_sync: the synchronous one.
        failed: exception of a response whose status counts as a failure.
    """

    request: "type[httpx.Request]"
    byte_stream: "type[httpx.ByteStream]"
    timeout: "type[httpx.TimeoutException]"
    own_async: "type[httpx.AsyncHTTPTransport]"
    own_sync: "type[httpx.HTTPTransport]"
    failed: "type[httpx.HTTPStatusError]"


async def send(
    transport: "httpx.AsyncBaseTransport",
    request: "httpx.Request",
    library: Library,
    settings: "HttpSettings[httpx.Request]",
) -> "httpx.Response":
    """Send a request through the policy of its host. A cancellation closes every response that was received."""
    policy = settings.hosts.policy_of(_host(request))
    call = _AsyncCall(transport, request, library, settings, policy)
    try:
        with call.guarded():
            returned = await policy.call(call.attempt)
    except library.failed as failed:
        returned = failed.response
    except BaseException:
        await call.close_all_but(None)
        raise
    await call.close_all_but(returned)
    return returned


def send_sync(
    transport: "httpx.BaseTransport",
    request: "httpx.Request",
    library: Library,
    settings: "HttpSettings[httpx.Request]",
) -> "httpx.Response":
    """Synchronous twin of `send`."""
    policy = settings.hosts.policy_of(_host(request))
    call = _SyncCall(transport, request, library, settings, policy)
    try:
        with call.guarded():
            returned = policy.call(call.attempt)
    except library.failed as failed:
        returned = failed.response
    except BaseException:
        call.close_all_but(None)
        raise
    call.close_all_but(returned)
    return returned


class _Call(HttpCall):
    __slots__ = ("_alone", "_library", "_open", "_request", "_statuses")

    def __init__(
        self,
        transport: object,
        request: "httpx.Request",
        library: Library,
        settings: "HttpSettings[httpx.Request]",
        policy: Policy,
    ) -> None:
        knows = isinstance(transport, (library.own_async, library.own_sync))
        super().__init__(
            request.method,
            request.headers,
            said_idempotent=settings.said_idempotent(request),
            repeatable=isinstance(request.stream, library.byte_stream),
            is_unsent=lambda error: knows and never_sent(error),
        )
        self._request = request
        self._library = library
        self._statuses = settings.failure_statuses
        self._alone = runs_alone(policy)
        self._open: list[httpx.Response] = []

    def next_request(self) -> "httpx.Request":
        """Return the request of the next attempt; what it carries of its own never reaches a redirect."""
        request, seconds = self._request, remaining()
        fields = attempt_headers(self.method, seconds, has_key=self.has_key)
        # A retry further out finds its mark on the request that an exception belongs to, which is the client's.
        note_request(request.extensions)
        extensions = dict(request.extensions)
        shorten_timeouts(extensions, seconds)
        headers = request.headers.copy()
        headers.update(fields)
        return self._library.request(
            request.method, request.url, headers=headers, stream=request.stream, extensions=extensions
        )

    def superseded(self) -> "list[httpx.Response]":
        """Take the responses that a further attempt replaces."""
        if not self._alone:
            return []
        replaced, self._open = self._open, []
        return replaced

    def discarded(self, returned: "httpx.Response | None") -> "list[httpx.Response]":
        """Take the responses that the caller does not get."""
        discarded, self._open = [response for response in self._open if response is not returned], []
        return discarded

    def is_failure(self, response: "httpx.Response") -> bool:
        return response.status_code in self._statuses

    def failure(self, response: "httpx.Response") -> "httpx.HTTPStatusError":
        request = self._request
        message = f"{request.method} {request.url}: {response.status_code}"
        return self._library.failed(message, request=request, response=response)

    def is_buffered(self, response: "httpx.Response") -> bool:
        return self.may_repeat(None) and is_short(response.headers.get("content-length"))


class _AsyncCall(_Call):
    __slots__ = ("_transport",)

    def __init__(
        self,
        transport: "httpx.AsyncBaseTransport",
        request: "httpx.Request",
        library: Library,
        settings: "HttpSettings[httpx.Request]",
        policy: Policy,
    ) -> None:
        super().__init__(transport, request, library, settings, policy)
        self._transport = transport

    async def attempt(self) -> "httpx.Response":
        for replaced in self.superseded():
            await _close(replaced)
        request = self.next_request()
        with self.sending():
            try:
                response = await self._transport.handle_async_request(request)
            except self._library.timeout as error:
                if (expired := expired_deadline()) is not None:
                    raise expired from error
                raise
            self._open.append(response)
            if not self.is_failure(response):
                return response
            if self.is_buffered(response):
                await self._buffer(response)
        raise self.failure(response)

    async def close_all_but(self, returned: "httpx.Response | None") -> None:
        for response in self.discarded(returned):
            await _close(response)

    async def _buffer(self, response: "httpx.Response") -> None:
        stream = response.stream
        body = b"".join([chunk async for chunk in stream])  # type: ignore[union-attr]
        await stream.aclose()  # type: ignore[union-attr]
        response.stream = self._library.byte_stream(body)


class _SyncCall(_Call):
    __slots__ = ("_transport",)

    def __init__(
        self,
        transport: "httpx.BaseTransport",
        request: "httpx.Request",
        library: Library,
        settings: "HttpSettings[httpx.Request]",
        policy: Policy,
    ) -> None:
        super().__init__(transport, request, library, settings, policy)
        self._transport = transport

    def attempt(self) -> "httpx.Response":
        for replaced in self.superseded():
            _close_sync(replaced)
        request = self.next_request()
        with self.sending():
            try:
                response = self._transport.handle_request(request)
            except self._library.timeout as error:
                if (expired := expired_deadline()) is not None:
                    raise expired from error
                raise
            self._open.append(response)
            if not self.is_failure(response):
                return response
            if self.is_buffered(response):
                self._buffer(response)
        raise self.failure(response)

    def close_all_but(self, returned: "httpx.Response | None") -> None:
        for response in self.discarded(returned):
            _close_sync(response)

    def _buffer(self, response: "httpx.Response") -> None:
        stream = response.stream
        body = b"".join(stream)  # type: ignore[arg-type]
        stream.close()  # type: ignore[union-attr]
        response.stream = self._library.byte_stream(body)


async def _close(response: "httpx.Response") -> None:
    # Shielded, as a cancelled call would leave the connection in the pool as one in use; its failure says nothing new.
    with anyio.move_on_after(_CLOSE_SECONDS, shield=True), suppress(Exception):
        await response.aclose()


def _close_sync(response: "httpx.Response") -> None:
    with suppress(Exception):
        response.close()


def _host(request: "httpx.Request") -> str:
    return request.url.netloc.decode("ascii")
