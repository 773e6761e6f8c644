"""ASGI middleware that applies the propagated deadline, attempt number and criticality to each request.

It works with any ASGI app on asyncio or Trio. The header fields are defined in `http`; work is rejected in
`load_shedding` and `drain`.
"""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from typing import cast

from cqox.errors import DeadlineExceeded
from cqox.resilience.deadlines.deadline import deadline
from cqox.resilience.propagation.http import attempt_from_headers, criticality_from_headers, deadline_from_headers
from cqox.resilience.runtime.call_context import attempt_made, attempt_served, call_key
from cqox.resilience.runtime.criticality import Criticality, criticality

__all__ = ["ASGIApp", "DeadlineMiddleware", "Receive", "Scope", "Send"]

type Scope = MutableMapping[str, object]
type Receive = Callable[[], Awaitable[MutableMapping[str, object]]]
type Send = Callable[[MutableMapping[str, object]], Awaitable[None]]
type ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_EXPIRED = {
    "type": "about:blank",
    "title": "Gateway Timeout",
    "status": 504,
    "detail": "The time for this request has passed.",
}


async def answer_expired(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 504 as problem+json (RFC 9457)."""
    import json

    body = json.dumps(_EXPIRED).encode()
    fields = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 504, "headers": fields})
    await send({"type": "http.response.body", "body": body})


class DeadlineMiddleware:
    """Runs each request under the deadline, attempt number and criticality of its header fields.

    A request whose deadline has passed is answered 504 without calling the app. When the deadline passes while the app
    runs, the app is cancelled and the response is 504 too, unless the response has started: then `DeadlineExceeded` is
    raised, so that the server aborts the connection and the client does not accept a truncated response.

    The deadline covers the response. Work after the complete response, such as a framework's background tasks, has no
    deadline.

    A WebSocket gets attempt and criticality and no deadline.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_seconds: float | Callable[[str], float],
        probe_paths: Sequence[str] = ("/health",),
        ceiling: Criticality = Criticality.CRITICAL,
        expired: ASGIApp = answer_expired,
    ) -> None:
        """Wrap `app`.

        Args:
            app: the application.
            max_seconds: maximum time of a request, in seconds, above 0; or a function of the path, where some routes
                stream for longer. It may be infinite.
            probe_paths: requests to these paths and below are health probes, which are never shed.
            ceiling: the highest criticality that a client can claim.
            expired: ASGI app that answers a request whose deadline has passed.

        Raises:
            ValueError: `max_seconds` is not above 0.
        """
        if not callable(max_seconds) and not max_seconds > 0:
            raise ValueError(f"max_seconds must be above 0, not {max_seconds!r}")
        self._app = app
        self._max_seconds = max_seconds
        self._probe_paths = tuple(path.rstrip("/") for path in probe_paths)
        self._ceiling = ceiling
        self._expired = expired

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection; a cancellation propagates to the app."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = list(cast("Iterable[tuple[bytes, bytes]]", scope["headers"]))
        # A caller in the same process shares this context; its attempt number and key do not apply here.
        made, served, key = attempt_made.set(0), attempt_served.set(attempt_from_headers(headers)), call_key.set(None)
        try:
            with criticality(self._level(str(scope["path"]), headers)):
                if scope["type"] == "http":
                    await self._within_deadline(headers, scope, receive, send)
                else:
                    await self._app(scope, receive, send)
        finally:
            attempt_made.reset(made)
            attempt_served.reset(served)
            call_key.reset(key)

    async def _within_deadline(
        self, headers: list[tuple[bytes, bytes]], scope: Scope, receive: Receive, send: Send
    ) -> None:
        limit = self._max_seconds(str(scope["path"])) if callable(self._max_seconds) else self._max_seconds
        seconds = deadline_from_headers(headers, max_seconds=limit)
        begun = False
        bound = deadline(seconds)
        answer = _ResponseProgress()

        async def watch(message: MutableMapping[str, object]) -> None:
            nonlocal begun
            begun = True
            await send(message)
            if answer.ends_with(message):
                # Work that the framework runs after the response has no deadline.
                bound.disarm()

        if seconds > 0:
            try:
                with bound:
                    await self._app(scope, receive, watch)
                return
            except DeadlineExceeded:
                # Once the response has started, only the server can signal that it is truncated.
                if begun:
                    raise
        await self._expired(scope, receive, send)

    def _level(self, path: str, headers: list[tuple[bytes, bytes]]) -> Criticality:
        if any(path == probe or path.startswith(f"{probe}/") for probe in self._probe_paths):
            return Criticality.PROBE
        return criticality_from_headers(headers, ceiling=self._ceiling)


class _ResponseProgress:
    """Progress of the messages of one response."""

    __slots__ = ("_trailers_follow",)

    def __init__(self) -> None:
        self._trailers_follow = False

    def ends_with(self, message: MutableMapping[str, object]) -> bool:
        """Return whether `message` is the last of the response."""
        more = False
        match message["type"]:
            case "http.response.start":
                self._trailers_follow = bool(message.get("trailers", False))
                return False
            case "http.response.body" | "http.response.zerocopysend":
                more = bool(message.get("more_body", False)) or self._trailers_follow
            case "http.response.pathsend":
                more = self._trailers_follow
            case "http.response.trailers":
                more = bool(message.get("more_trailers", False))
            case _:
                return False
        return not more
