"""Classification of engine responses for the resilience policies: success, failure, or neutral."""

from collections.abc import Mapping
from http import HTTPStatus

import httpx

from cqox.contract.messages import Message, of
from cqox.errors import CqoxError, EngineUnavailable, ServiceError
from cqox.resilience.retry.retry_after import retry_after_of
from services.gateway.engine_client import Reply, ResponseContract
from services.gateway.foreign_answers import ForeignAnswer
from services.gateway.response_contract import problem_of, violation
from services.http.response.error_details import detail_of
from services.http.statuses import is_client_error, is_server_error, is_success

__all__ = [
    "FAIR_SHARE_SECONDS",
    "AnswerUnusable",
    "EngineBusy",
    "EngineFailed",
    "EngineLost",
    "EngineMisdirected",
    "EngineOutOfTime",
    "EngineSilent",
    "EngineStalled",
    "EngineUnasked",
    "EngineUnreached",
    "ResponseHead",
    "checked",
    "is_retryable",
    "translate",
]

_DRAINING = "draining"
_NOTHING_TRIED = "workers-unavailable"
_CORRUPTED = "content-digest-mismatch"
_NOT_HTTP = "bad-request"
"""Problem type of a malformed request, which the gateway never sends."""
_OF_ONE_CALLER = frozenset({"too-many-listeners", "quota-exceeded"})
"""Problem types of a 429 that does not reflect the engine's load: a retry in a moment would be rejected too."""

_BEHIND_THE_ENGINE = frozenset(
    {"store-unavailable", "source-down", "worker-lost", "circuit-open", "rejected", "unavailable"}
)
"""Problem types of a 503 from a live engine one of whose dependencies is unavailable."""
_NO_ROOM = "insufficient-storage"
"""Problem type of a 507: the engine is healthy, and its client or operator has to free storage."""

FAIR_SHARE_SECONDS = 1.0
"""Shortest time limit whose expiry counts as a failure of the engine."""


class ResponseHead:
    """The response headers, in the form that the retry policy reads.

    Attributes:
        headers: values by lower-case name; the first value of a repeated field.
    """

    __slots__ = ("headers",)

    def __init__(self, reply: Reply) -> None:
        self.headers: Mapping[str, str] = {
            name.decode("latin1"): value.decode("latin1") for name, value in reversed(reply.headers)
        }


class EngineFailed(EngineUnavailable):
    """The engine answered with a server error.

    Attributes:
        reply: its response.
        response: the headers, from which the retry policy reads `Retry-After`.
        retry_after: seconds of `Retry-After`, 0.0 where it is absent.
    """

    def __init__(self, reply: Reply) -> None:
        request_id = reply.header(b"x-request-id")
        super().__init__(
            Message("problems.engine-failed", request_id=request_id, status=reply.status)
            if request_id
            else Message("problems.engine-failed-without-id", status=reply.status)
        )
        self.reply = reply
        self.response = ResponseHead(reply)
        self.retry_after = retry_after_of(self) or 0.0


class AnswerUnusable(EngineUnavailable):
    """The engine, or another server on its port, sent a response that does not fit the request."""

    def __init__(self, why: Message) -> None:
        super().__init__(Message("problems.answer-unusable", why=why))


class EngineLost(EngineUnavailable):
    """The connection to the engine broke before its response was complete."""


class EngineUnreached(EngineLost):
    """No connection to the engine could be opened, so nothing was sent."""


class EngineStalled(EngineUnavailable):
    """The engine stopped answering its liveness probe while a request was in flight."""


class EngineUnasked(ServiceError):
    """An engine that might hold the resource could not be queried. Not counted by circuits: the others are healthy."""

    def __init__(self, error: Exception) -> None:
        super().__init__(Message("problems.engine-unasked", reason=detail_of(error, of(str(error)))))


class EngineMisdirected(ServiceError):
    """The engine does not accept the host name in the gateway's URL. Not counted by circuits: it is healthy."""

    def __init__(self, host: str) -> None:
        super().__init__(Message("problems.engine-misdirected", host=host))


class EngineBusy(CqoxError):
    """The engine is healthy but did not accept the request: it sheds load, has no workers, or is shutting down.

    Not counted by circuits.

    Attributes:
        reply: its response, which goes to the client if no other engine accepts the request.
        response: the headers, from which the retry policy reads `Retry-After`.
        draining: whether it is shutting down.
    """

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"The engine answered {reply.status} and took nothing.")
        self.reply = reply
        self.response = ResponseHead(reply)
        self.draining = problem_of(reply).get("type") == _DRAINING


class EngineOutOfTime(CqoxError):
    """The deadline passed without evidence against the engine: the time was too short, or it answered other requests.

    Attributes:
        reply: its response, if there is one.
    """

    def __init__(self, reply: Reply | None = None) -> None:
        super().__init__("The time was up.")
        self.reply = reply


class EngineSilent(EngineUnavailable):
    """The deadline passed, and the engine answered no request in the meantime."""


def checked(
    reply: Reply,
    *,
    seconds: float,
    answers_others: bool = False,
    contract: ResponseContract | None = None,
    host: str = "",
) -> Reply:
    """Return the reply where it is a valid response to the request; raise its failure otherwise.

    Args:
        reply: the engine's response.
        seconds: the time that remained when the request was sent.
        answers_others: whether the engine has answered another request since.
        contract: the success responses that are allowed; None to skip the check.
        host: the host name sent to the engine.

    Raises:
        EngineMisdirected: 421, which concerns the gateway's request and not the client's.
        EngineBusy: 429, or 503 because the engine is shutting down or has no workers.
        EngineOutOfTime: 504, and the time was below `FAIR_SHARE_SECONDS`, or the engine answered other requests.
        EngineFailed: another 5xx, except a 503 that names an unavailable dependency and a 507 of a full store.
        AnswerUnusable: an invalid status, a violated contract, or a response to a different body.
    """
    status = reply.status
    if status == HTTPStatus.TOO_MANY_REQUESTS and problem_of(reply).get("type") not in _OF_ONE_CALLER:
        raise EngineBusy(reply)
    if status == HTTPStatus.MISDIRECTED_REQUEST:
        raise EngineMisdirected(host)
    if status == HTTPStatus.BAD_REQUEST and problem_of(reply).get("type") in (_CORRUPTED, _NOT_HTTP):
        # The gateway verified the client's body, so it was changed between gateway and engine.
        raise AnswerUnusable(Message("problems.engine-received-other-body"))
    if is_client_error(status):
        return reply
    if is_server_error(status):
        return _excused(reply, seconds=seconds, answers_others=answers_others)
    if not is_success(status):
        raise AnswerUnusable(Message("problems.answer-of-status", status=status))
    why = "" if contract is None else violation(reply, contract)
    if why:
        raise AnswerUnusable(why)
    return reply


def _excused(reply: Reply, *, seconds: float, answers_others: bool) -> Reply:
    kind = problem_of(reply).get("type")
    if reply.status == HTTPStatus.SERVICE_UNAVAILABLE and kind in (_DRAINING, _NOTHING_TRIED):
        raise EngineBusy(reply)
    if reply.status == HTTPStatus.SERVICE_UNAVAILABLE and kind in _BEHIND_THE_ENGINE:
        return reply
    if reply.status == HTTPStatus.INSUFFICIENT_STORAGE and kind == _NO_ROOM:
        return reply
    if reply.status == HTTPStatus.GATEWAY_TIMEOUT and (seconds < FAIR_SHARE_SECONDS or answers_others):
        raise EngineOutOfTime(reply)
    raise EngineFailed(reply)


def translate(error: httpx.TransportError) -> EngineUnavailable:
    """Translate an httpx transport error into an error of the gateway."""
    if isinstance(error, ForeignAnswer):
        return AnswerUnusable(error.why)
    if isinstance(error, httpx.ConnectTimeout):
        return EngineUnreached(Message("problems.engine-unreached-in-time"))
    if isinstance(error, httpx.ConnectError):
        return EngineUnreached(Message("problems.engine-unreached", reason=_reason(error)))
    return EngineLost(Message("problems.engine-lost", reason=_reason(error)))


def _reason(error: httpx.TransportError) -> str:
    return str(error) or type(error).__name__


def is_retryable(error: Exception) -> bool:
    """Return whether the request may succeed on a retry, later or at another engine.

    A 504 is not retried: the time is used up.
    """
    if isinstance(error, EngineFailed):
        return error.reply.status != HTTPStatus.GATEWAY_TIMEOUT
    return isinstance(error, AnswerUnusable | EngineBusy | EngineLost | EngineStalled | EngineUnasked)
