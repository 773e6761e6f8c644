"""The deadline granted to a request, and the error detail that its client receives once it has passed."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from structlog.contextvars import bind_contextvars

from cqox.errors import DeadlineExceeded
from cqox.resilience.propagation.http import REQUEST_TIMEOUT_MS, deadline_from_headers
from services.gateway.engine_client import Reply
from services.http.request.digests import CONTENT_DIGEST

__all__ = ["Granted", "TimeUp", "granted"]

_DIGEST = CONTENT_DIGEST.lower().encode()
_FIELD = REQUEST_TIMEOUT_MS.lower().encode()
_SHOWN = 40
_MOST_OF_IT = 0.9
"""Share of the granted time after which an engine's 504 is attributed to the request's own deadline."""


class TimeUp(DeadlineExceeded):
    """The deadline of a request has passed; the message says how to get more time.

    Attributes:
        detail: when it passed, and how more time can be granted.
    """

    def __init__(self, seconds: float, detail: str) -> None:
        super().__init__(seconds)
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """The time granted to a request.

    Attributes:
        seconds: from now.
        most: the longest time that a request of this kind is granted, in seconds.
        ignored: the value of `X-Request-Timeout-Ms` that is no whole number of milliseconds, empty where it is valid.
        otherwise: a sentence on how to get the same result without this deadline; empty where there is no other way.
        since: when the time was granted, on the monotonic clock.
    """

    seconds: float
    most: float
    ignored: str = ""
    otherwise: str = ""
    since: float = field(default_factory=time.monotonic)

    @property
    def detail(self) -> str:
        """The `detail` of the problem sent once the deadline has passed."""
        milliseconds = f"{self.most * 1000:.0f}"
        if self.seconds < self.most:
            whose = f"The request asked for no more: {REQUEST_TIMEOUT_MS} may say up to {milliseconds} here."
        else:
            whose = f"No request of this kind is granted more: {REQUEST_TIMEOUT_MS} may say up to {milliseconds} here."
        sentences = [f"The deadline of {self.seconds:g} s has passed.", whose]
        if self.ignored:
            sentences.append(
                f"{REQUEST_TIMEOUT_MS} was '{self.ignored}', which is no whole number of milliseconds, and was ignored."
            )
        return " ".join([*sentences, *([self.otherwise] if self.otherwise else [])])

    @contextmanager
    def translate(self) -> Iterator[None]:
        """Raise `TimeUp` with this detail in place of a `DeadlineExceeded` from the block."""
        try:
            yield
        except DeadlineExceeded as error:
            raise TimeUp(self.seconds, self.detail) from error

    def annotate(self, reply: Reply) -> Reply:
        """Return the reply, with this detail where it is a 504 problem caused by this deadline."""
        if reply.status != HTTPStatus.GATEWAY_TIMEOUT or time.monotonic() - self.since < _MOST_OF_IT * self.seconds:
            return reply
        try:
            problem = json.loads(reply.body)
        except ValueError:
            return reply
        if not isinstance(problem, dict) or problem.get("type") != "deadline-exceeded":
            return reply
        body = json.dumps({**problem, "detail": self.detail}, ensure_ascii=False).encode("utf-8", "backslashreplace")
        headers = tuple((name, value) for name, value in reply.headers if name != _DIGEST)
        return replace(reply, body=body, headers=headers)


def granted(fields: Sequence[tuple[bytes, bytes]], *, most: float, otherwise: str = "") -> Granted:
    """Return the time granted to the request with these header fields; an invalid value is bound to its log lines.

    Args:
        fields: names in lower case with their values.
        most: the longest time that is granted, in seconds.
        otherwise: a sentence on how to get the same result without this deadline.
    """
    ignored = _unreadable(fields)
    if ignored:
        bind_contextvars(ignored_timeout=ignored)
    seconds = deadline_from_headers(fields, max_seconds=most)
    return Granted(seconds=seconds, most=most, ignored=ignored, otherwise=otherwise)


def _unreadable(fields: Sequence[tuple[bytes, bytes]]) -> str:
    values = (part.strip() for name, value in fields if name == _FIELD for part in value.decode("latin1").split(","))
    found = next((value for value in values if not (value.isascii() and value.isdigit())), None)
    return "" if found is None else found[:_SHOWN] or "nothing"
