"""HTTP responses to errors of this library: status, `Retry-After` and a problem body (RFC 9457).

Bodies are generic: the messages of these errors name parts and limits of the service, which clients need not know.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, cast

from cqox.errors import AttemptTimeout, DeadlineExceeded, RateLimited, Rejected
from cqox.resilience.propagation.asgi import Receive, Scope, Send

__all__ = ["HANDLED", "ProblemResponse", "answer_expired", "problem_response"]

HANDLED: Final = (Rejected, DeadlineExceeded, AttemptTimeout, ExceptionGroup)
"""Exceptions to register a handler for. Of groups, `problem_response` covers those that hold nothing else."""

# (title, detail) by status.
_TEXTS = {
    429: ("Too Many Requests", "There are too many requests. Send this one again later."),
    503: ("Service Unavailable", "The service cannot take this request now. Send it again later."),
    504: ("Gateway Timeout", "The time for this request has passed."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemResponse:
    """One response; it is itself an ASGI app.

    Attributes:
        status: 429, 503 or 504.
        retry_after: seconds for `Retry-After`, at least 1; None where they are unknown.
    """

    status: int
    retry_after: int | None = None

    @property
    def headers(self) -> dict[str, str]:
        """Its header fields, without `Content-Length`."""
        fields = {"content-type": "application/problem+json"}
        return fields if self.retry_after is None else fields | {"retry-after": str(self.retry_after)}

    @property
    def body(self) -> bytes:
        """The problem as JSON."""
        title, detail = _TEXTS[self.status]
        return json.dumps({"type": "about:blank", "title": title, "status": self.status, "detail": detail}).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        body = self.body
        headers = [(name.encode(), value.encode()) for name, value in self.headers.items()]
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


answer_expired: Final = ProblemResponse(status=504)
"""The response to a request whose deadline has passed, for `DeadlineMiddleware(expired=...)`."""


def problem_response(error: BaseException) -> ProblemResponse | None:
    """Return the response to `error`; None for errors that are not of this library.

    429 for `RateLimited`, 503 for every other `Rejected`, 504 for `DeadlineExceeded` and `AttemptTimeout`. A group has
    a response if each of its leaves has: the highest status, and the longest wait that is known.
    """
    leaves = list(_leaves(error))
    statuses = [_status(leaf) for leaf in leaves]
    if not leaves or None in statuses:
        return None
    status = max(cast("list[int]", statuses))
    # No wait makes up for a deadline that was too short.
    waits = [leaf.retry_after for leaf in leaves if isinstance(leaf, Rejected)] if status != 504 else []
    return ProblemResponse(status=status, retry_after=_whole_seconds(max(waits, default=0.0)))


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in cast("BaseExceptionGroup[BaseException]", error).exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _status(error: BaseException) -> int | None:
    match error:
        case RateLimited():
            return 429
        case Rejected():
            return 503
        case DeadlineExceeded() | AttemptTimeout():
            return 504
        case _:
            return None


def _whole_seconds(seconds: float) -> int | None:
    """Round up; 0 says that the wait is unknown, and so does infinity."""
    return math.ceil(seconds) if 0 < seconds < math.inf else None
