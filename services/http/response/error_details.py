"""Sentences of problem responses: the detail of an error that is not the client's, and the titles of HTTP statuses."""

from collections.abc import Mapping
from http import HTTPStatus

from cqox.contract.messages import Message, of
from cqox.errors import (
    AttemptTimeout,
    CircuitOpen,
    DeadlineExceeded,
    Draining,
    InputError,
    QuotaExceeded,
    Rejected,
    TooManyListeners,
)

__all__ = ["ServiceDeadlineExceeded", "detail_of", "title_of"]

_TITLES: Mapping[HTTPStatus, Message] = {
    HTTPStatus.BAD_REQUEST: Message("problems.status-400"),
    HTTPStatus.NOT_FOUND: Message("problems.status-404"),
    HTTPStatus.METHOD_NOT_ALLOWED: Message("problems.status-405"),
    HTTPStatus.REQUEST_TIMEOUT: Message("problems.status-408"),
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: Message("problems.status-431"),
    HTTPStatus.INTERNAL_SERVER_ERROR: Message("problems.status-500"),
    HTTPStatus.NOT_IMPLEMENTED: Message("problems.status-501"),
    HTTPStatus.SERVICE_UNAVAILABLE: Message("problems.status-503"),
}
"""Titles of the statuses that the services send without an error of CQOx."""


class ServiceDeadlineExceeded(DeadlineExceeded):
    """The deadline that a service granted has passed.

    Attributes:
        detail: when it passed, and how more time can be granted.
    """

    seconds: float

    def __init__(self, seconds: float, detail: Message) -> None:
        super().__init__(seconds)
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


def title_of(status: HTTPStatus) -> Message:
    """Return the reason phrase of a status."""
    return _TITLES.get(status) or of(status.phrase)


def detail_of(error: Exception, default: Message) -> Message:
    """Return the sentence of an error, by its class where `cqox.errors` writes it; the default where it has none."""
    match error:
        case InputError():
            return of(error.detail)
        case CircuitOpen() if error.retry_after > 0:
            return Message("problems.circuit-open-until-probe", policy=error.policy, seconds=error.retry_after)
        case CircuitOpen():
            return Message("problems.circuit-open", policy=error.policy)
        case TooManyListeners():
            return Message("problems.too-many-listeners", most=error.most, policy=error.policy)
        case QuotaExceeded():
            return of(error.detail)
        case Draining():
            return Message("problems.draining", policy=error.policy)
        case Rejected():
            return Message("problems.rejected", error=type(error).__name__, policy=error.policy)
        case AttemptTimeout() if error.policy:
            return Message("problems.attempt-timeout-in-policy", policy=error.policy, seconds=error.seconds)
        case AttemptTimeout():
            return Message("problems.attempt-timeout", seconds=error.seconds)
        case ServiceDeadlineExceeded():
            return error.detail
        case DeadlineExceeded() if error.seconds is not None:
            return Message("problems.deadline-of-seconds-exceeded", seconds=error.seconds)
        case DeadlineExceeded():
            return Message("problems.deadline-exceeded")
        case _:
            return _sentence_of(error) or default


def _sentence_of(error: Exception) -> Message | None:
    """Return the message that an error was raised with; `str` of the error would lose its code."""
    if len(error.args) == 1 and isinstance(error.args[0], Message):
        return error.args[0]
    text = str(error)
    return of(text) if text else None
