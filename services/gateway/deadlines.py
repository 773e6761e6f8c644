"""The deadline granted to a request, and the error detail that its client receives once it has passed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from structlog.contextvars import bind_contextvars

from cqox import clock
from cqox.contract.messages import Language, Message, collect_messages, joined
from cqox.errors import DeadlineExceeded
from cqox.resilience.propagation.http import REQUEST_TIMEOUT_MS, deadline_from_headers
from services.gateway.engine_client import Reply
from services.http.request.digests import CONTENT_DIGEST
from services.http.request.propagation import DEADLINE_OF, is_client_deadline
from services.http.request.proxied import AnyRequest
from services.http.response.error_details import ServiceDeadlineExceeded

__all__ = ["Granted", "granted"]

_DEADLINE_OF = DEADLINE_OF.lower().encode()
_DIGEST = CONTENT_DIGEST.lower().encode()
_FIELD = REQUEST_TIMEOUT_MS.lower().encode()
_SHOWN = 40
_MOST_OF_IT = 0.9
"""Share of the granted time after which an engine's 504 is attributed to the request's own deadline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """The time granted to a request.

    Attributes:
        seconds: from now.
        most: the longest time that a request of this kind is granted, in seconds.
        ignored: the value of `X-Request-Timeout-Ms` that is no whole number of milliseconds, empty where it is valid.
        otherwise: a sentence on how to get the same result without this deadline; None where there is no other way.
        by_client: whether the client chose it itself, shorter than `most`.
        since: when the time was granted, on the monotonic clock.
        request: marked where its own deadline has passed; None for none.
    """

    seconds: float
    most: float
    ignored: str = ""
    otherwise: Message | None = None
    by_client: bool = False
    since: float = field(default_factory=clock.monotonic)
    request: AnyRequest | None = None

    @property
    def left(self) -> float:
        """Time that is left, in seconds."""
        return max(0.0, self.seconds - (clock.monotonic() - self.since))

    @property
    def field(self) -> tuple[bytes, bytes]:
        """The header field that says to an engine whose deadline it is."""
        return _DEADLINE_OF, b"client" if self.by_client else b"service"

    @property
    def detail(self) -> Message:
        """The `detail` of the problem sent once the deadline has passed."""
        header, milliseconds = REQUEST_TIMEOUT_MS, self.most * 1000
        if self.seconds < self.most:
            passed = Message("problems.deadline-asked", header=header, seconds=self.seconds, milliseconds=milliseconds)
        else:
            passed = Message(
                "problems.deadline-granted", header=header, seconds=self.seconds, milliseconds=milliseconds
            )
        sentences = [passed]
        if self.ignored:
            sentences.append(Message("problems.timeout-ignored", header=header, given=self.ignored))
        if self.otherwise is not None:
            sentences.append(self.otherwise)
        return passed if len(sentences) == 1 else joined(sentences)

    @contextmanager
    def translate(self) -> Iterator[None]:
        """Raise `ServiceDeadlineExceeded` with this detail in place of a `DeadlineExceeded` from the block."""
        try:
            yield
        except DeadlineExceeded as error:
            self._note()
            raise ServiceDeadlineExceeded(self.seconds, self.detail) from error

    def annotate(self, reply: Reply, language: Language) -> Reply:
        """Return the reply, with this detail in a language where it is a 504 problem caused by this deadline."""
        if reply.status != HTTPStatus.GATEWAY_TIMEOUT or not self._is_nearly_over:
            return reply
        self._note()
        try:
            problem = json.loads(reply.body)
        except ValueError:
            return reply
        if not isinstance(problem, dict) or problem.get("type") != "deadline-exceeded":
            return reply
        given = problem.get("messages")
        messages = {**(given if isinstance(given, Mapping) else {}), **collect_messages({"detail": self.detail})}
        problem |= {"detail": self.detail.in_language(language), "messages": messages}
        body = json.dumps(problem, ensure_ascii=False).encode("utf-8", "backslashreplace")
        headers = tuple((name, value) for name, value in reply.headers if name != _DIGEST)
        return replace(reply, body=body, headers=headers)

    @property
    def _is_nearly_over(self) -> bool:
        return clock.monotonic() - self.since >= _MOST_OF_IT * self.seconds

    def _note(self) -> None:
        if self.by_client and self._is_nearly_over and self.request is not None:
            self.request.client_deadline_passed = True


def granted(
    fields: Sequence[tuple[bytes, bytes]],
    *,
    most: float,
    otherwise: Message | None = None,
    spent: float = 0.0,
    request: AnyRequest | None = None,
) -> Granted:
    """Return the time granted to the request with these header fields; an invalid value is bound to its log lines.

    Args:
        fields: names in lower case with their values.
        most: the longest time that is granted, in seconds.
        otherwise: a sentence on how to get the same result without this deadline.
        spent: seconds of it that the request has already waited.
        request: the request, to be marked where its own deadline passes.
    """
    ignored = _unreadable(fields)
    if ignored:
        bind_contextvars(ignored_timeout=ignored)
    seconds = deadline_from_headers(fields, max_seconds=most)
    by_client = is_client_deadline(fields, most=most)
    since = clock.monotonic() - spent
    return Granted(
        seconds=seconds,
        most=most,
        ignored=ignored,
        otherwise=otherwise,
        by_client=by_client,
        since=since,
        request=request,
    )


def _unreadable(fields: Sequence[tuple[bytes, bytes]]) -> str:
    values = (part.strip() for name, value in fields if name == _FIELD for part in value.decode("latin1").split(","))
    found = next((value for value in values if not (value.isascii() and value.isdigit())), None)
    return "" if found is None else found[:_SHOWN] or "nothing"
