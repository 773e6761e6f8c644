"""What a service was told about a request, put in force while the request is handled: an ASGI middleware.

What lives here: the deadline, the attempt and the criticality of the request in hand, for any ASGI app on asyncio or
Trio. What does not: the header fields themselves (`http`), and the refusal of work (`shed`, `drain`).
"""

import json
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
    body = json.dumps(_EXPIRED).encode()
    fields = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 504, "headers": fields})
    await send({"type": "http.response.body", "body": body})


class DeadlineMiddleware:
    """Runs each request under the deadline, attempt number and criticality that its header fields say.

    A request whose time has passed is answered 504 without the app being called. When the time runs out while the app
    is at work, the app is cancelled and the answer is 504 too, unless the response has begun: then `DeadlineExceeded`
    is raised, so that the server cuts the response and no half of one is taken for the whole.

    What is bounded is the answer. What the app runs when the answer is complete, such as a framework's background
    tasks, is under no deadline.

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
            max_seconds: the longest that a request gets, in seconds, above 0; or what tells it from the path, where
                some routes stream for longer. It may be infinite.
            probe_paths: requests to these paths and below are health probes, which are never shed.
            ceiling: the highest criticality that a client can claim.
            expired: answers a request whose time has passed.

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
        """Handle one connection; a cancellation goes through to the app."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = list(cast("Iterable[tuple[bytes, bytes]]", scope["headers"]))
        # A caller in the same process shares this context: the number and key of its attempt are not those of ours.
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
                # What the framework runs after its answer is no part of it, and has no deadline.
                bound.disarm()

        if seconds > 0:
            try:
                with bound:
                    await self._app(scope, receive, watch)
                return
            except DeadlineExceeded:
                # After the answer has begun, nothing but the server can say that something has ended too early.
                if begun:
                    raise
        await self._expired(scope, receive, send)

    def _level(self, path: str, headers: list[tuple[bytes, bytes]]) -> Criticality:
        if any(path == probe or path.startswith(f"{probe}/") for probe in self._probe_paths):
            return Criticality.PROBE
        return criticality_from_headers(headers, ceiling=self._ceiling)


class _ResponseProgress:
    """How far the messages of one response have come."""

    __slots__ = ("_trailers_follow",)

    def __init__(self) -> None:
        self._trailers_follow = False

    def ends_with(self, message: MutableMapping[str, object]) -> bool:
        """True where `message` is the last of the response."""
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
