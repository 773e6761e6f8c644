"""Spans, metrics and trace context propagation for outgoing httpx requests."""

import time
from collections.abc import AsyncIterator, Callable, Mapping, MutableMapping
from typing import Self

import httpx

from cqox.telemetry import metric_definitions, metrics, propagation
from cqox.telemetry.outcome import Outcome, error_type, outcome_of
from cqox.telemetry.spans import Attributes, Span, current, is_recording, span

__all__ = ["ClientExchange", "TracedTransport", "is_probe"]

_PROBES = ("/health", "/api/health")
_RETRY_ATTEMPT = "x-retry-attempt"


class TracedTransport(httpx.AsyncBaseTransport):
    """Transport that records each request as a CLIENT span, from its first byte to the end of the response body.

    Args:
        inner: transport that sends the requests.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; a cancellation propagates and marks the span."""
        if is_probe(request.url.path):
            return await self._inner.handle_async_request(request)
        url = request.url
        exchange = ClientExchange(
            request.method,
            host=url.host,
            port=url.port or (443 if url.scheme == "https" else 80),
            url=lambda: str(url.copy_with(userinfo=b"", query=None, fragment=None)),
            headers=request.headers,
        )
        try:
            response = await self._inner.handle_async_request(request)
        except BaseException as error:
            exchange.end(error)
            raise
        exchange.answered(response.status_code)
        if response.is_closed:
            exchange.end()
            return response
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _Body(response.stream, exchange)
        return response

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self._inner.aclose()


class ClientExchange:
    """The CLIENT span and the duration of one request, from its first byte to the end of the response body.

    Args:
        method: the HTTP method.
        host: name or address of the server.
        port: its port.
        url: returns the URL without credentials and query; called only where spans are recorded.
        headers: the fields of the request; the context of the span is written to them.
    """

    __slots__ = ("_began", "_ended", "_labels", "_span")

    def __init__(
        self, method: str, *, host: str, port: int, url: Callable[[], str], headers: MutableMapping[str, str]
    ) -> None:
        self._began = time.perf_counter()
        self._ended = False
        self._labels: dict[str, str | int] = {
            "http.request.method": method,
            "server.address": host,
            "server.port": port,
        }
        recording = is_recording()
        self._span: Span = span(method, self._described(url(), headers) if recording else None, kind="client")
        propagation.inject(headers, (self._span.context or current()) if recording else None)

    def _described(self, url: str, headers: Mapping[str, str]) -> Attributes:
        described: dict[str, str | int] = {**self._labels, "url.full": url}
        attempt = headers.get(_RETRY_ATTEMPT, "")
        if attempt.isdecimal() and int(attempt):
            described["http.request.resend_count"] = int(attempt)
        return described

    def answered(self, status: int) -> None:
        """Record the status of the response."""
        self._labels["http.response.status_code"] = status
        self._span.add({"http.response.status_code": status})
        if status >= 400:
            self._labels["error.type"] = str(status)
            self._span.fail(str(status))

    def end(self, error: BaseException | None = None) -> None:
        """Record the end of the response, or what ended it early; a second call has no effect."""
        if self._ended:
            return
        self._ended = True
        if error is not None:
            self._labels["error.type"] = error_type(error)
        metrics.record(metric_definitions.HTTP_CLIENT_DURATION, time.perf_counter() - self._began, self._labels)
        if error is not None and outcome_of(error) is Outcome.CANCELLED:
            # The caller left, or a time limit passed: no failure of the engine, and no success either.
            self._span.cancel()
            self._span.fail(error_type(error), "cut off before the end of the answer")
        self._span.__exit__(None if error is None else type(error), error, None)


def is_probe(path: str) -> bool:
    """Return whether a path is requested too often to record each request."""
    return path.startswith(_PROBES)


class _Body(httpx.AsyncByteStream):
    # Not a generator: an abandoned one would be finalised by the garbage collector, which Trio warns about.
    def __init__(self, inner: httpx.AsyncByteStream, exchange: ClientExchange) -> None:
        self._inner = inner
        self._exchange = exchange
        self._chunks: AsyncIterator[bytes] | None = None

    def __aiter__(self) -> Self:
        self._chunks = aiter(self._inner)
        return self

    async def __anext__(self) -> bytes:
        assert self._chunks is not None
        try:
            return await anext(self._chunks)
        except StopAsyncIteration:
            raise
        except BaseException as error:
            self._exchange.end(error)
            raise

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            self._exchange.end()
