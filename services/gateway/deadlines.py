"""How long a request may take, and what its client is told of that once the time is up."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from structlog.contextvars import bind_contextvars

from cqox.errors import DeadlineExceeded
from cqox.resilience.propagation.http import REQUEST_TIMEOUT_MS, deadline_from_headers
from services.gateway.engine_client import Reply
from services.http.request.digests import CONTENT_DIGEST

__all__ = ["Granted", "TimeUp", "granted"]

_DIGEST = CONTENT_DIGEST.lower().encode()
_FIELD = REQUEST_TIMEOUT_MS.lower().encode()
_TIME_UP = 504
_SHOWN = 40
_MOST_OF_IT = 0.9
"""Share of the time from which on a deadline that an engine tells of is the request's and none of its own."""


class TimeUp(DeadlineExceeded):
    """The deadline of a request has passed, told so that its client can do better.

    Attributes:
        words: when that was, and how more time can be had.
    """

    def __init__(self, seconds: float, words: str) -> None:
        super().__init__(seconds)
        self.words = words

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """The time that a request has.

    Attributes:
        seconds: from now.
        most: the longest that a request of this kind is granted, in seconds.
        ignored: what `X-Request-Timeout-Ms` said that is no whole number of milliseconds, empty where it did not.
        otherwise: how the same can be had without this deadline, a sentence; empty where it cannot.
        since: when that was, on the monotonic clock.
    """

    seconds: float
    most: float
    ignored: str = ""
    otherwise: str = ""
    since: float = field(default_factory=time.monotonic)

    @property
    def words(self) -> str:
        """The `detail` of the problem that the end of the time is."""
        milliseconds = f"{self.most * 1000:.0f}"
        if self.seconds < self.most:
            whose = f"The request asked for no more: {REQUEST_TIMEOUT_MS} may say up to {milliseconds} here."
        else:
            whose = f"No request of this kind is granted more: {REQUEST_TIMEOUT_MS} may say up to {milliseconds} here."
        sentences = [f"The deadline of {self.seconds:g} s has passed.", whose]
        if self.ignored:
            sentences.append(
                f"What {REQUEST_TIMEOUT_MS} said, '{self.ignored}', is no whole number of milliseconds and was ignored."
            )
        return " ".join([*sentences, *([self.otherwise] if self.otherwise else [])])

    @contextmanager
    def told(self) -> Iterator[None]:
        """Tell the client of a deadline that passes inside the block in these words."""
        try:
            yield
        except DeadlineExceeded as error:
            raise TimeUp(self.seconds, self.words) from error

    def explained(self, reply: Reply) -> Reply:
        """The engine's answer, in these words where it says that the deadline has passed, and it is this one."""
        if reply.status != _TIME_UP or time.monotonic() - self.since < _MOST_OF_IT * self.seconds:
            return reply
        try:
            problem = json.loads(reply.body)
        except ValueError:
            return reply
        if not isinstance(problem, dict) or problem.get("type") != "deadline-exceeded":
            return reply
        body = json.dumps({**problem, "detail": self.words}, ensure_ascii=False).encode("utf-8", "backslashreplace")
        headers = tuple((name, value) for name, value in reply.headers if name != _DIGEST)
        return replace(reply, body=body, headers=headers)


def granted(fields: Sequence[tuple[bytes, bytes]], *, most: float, otherwise: str = "") -> Granted:
    """How long the request with these header fields may take; a value that cannot be read is on its log lines.

    Args:
        fields: names in lower case with their values.
        most: the longest that is granted, in seconds.
        otherwise: how the same can be had without this deadline, a sentence.
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
