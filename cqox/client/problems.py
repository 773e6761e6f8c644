"""Problem details (RFC 9457) of a server as the exceptions that a local call raises."""

from collections.abc import Callable, Mapping
from http import HTTPStatus

from pydantic import JsonValue

from cqox.contract.messages import Message, restore_messages
from cqox.errors import (
    AttemptTimeout,
    BodyCorrupted,
    BulkheadFull,
    CircuitOpen,
    CqoxError,
    DeadlineExceeded,
    Draining,
    EngineUnavailable,
    IdentityProviderUnavailable,
    InputError,
    InvalidRequest,
    KeyReused,
    LimitExceeded,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    PermissionMissing,
    PreconditionFailed,
    QuotaExceeded,
    RateLimited,
    Rejected,
    RunsElsewhere,
    ServiceError,
    Shed,
    SourceDown,
    SourceUnavailable,
    StorageFull,
    StoreUnavailable,
    TooManyListeners,
    UnreadableFile,
    UnusableData,
    UploadConflict,
    WorkerLost,
    WorkersUnavailable,
)

__all__ = ["is_problem", "is_retryable_problem", "problem_error"]

_INPUT_ERRORS: Mapping[str, type[InputError]] = {
    "invalid-request": InvalidRequest,
    "not-found": NotFound,
    "not-allowed": NotAllowed,
    "not-authenticated": NotAuthenticated,
    "permission-missing": PermissionMissing,
    "precondition-failed": PreconditionFailed,
    "runs-elsewhere": RunsElsewhere,
    "upload-conflict": UploadConflict,
    "content-digest-mismatch": BodyCorrupted,
    "limit-exceeded": LimitExceeded,
    "source-unavailable": SourceUnavailable,
    "unreadable-file": UnreadableFile,
    "unusable-data": UnusableData,
    "idempotency-key-reused": KeyReused,
}
_SERVICE_ERRORS: Mapping[str, type[ServiceError]] = {
    "worker-lost": WorkerLost,
    "workers-unavailable": WorkersUnavailable,
    "store-unavailable": StoreUnavailable,
    "insufficient-storage": StorageFull,
    "engine-unavailable": EngineUnavailable,
    "identity-provider-unavailable": IdentityProviderUnavailable,
}
_REJECTIONS: Mapping[str, type[Rejected]] = {
    "bulkhead-full": BulkheadFull,
    "rate-limited": RateLimited,
    "shed": Shed,
    "circuit-open": CircuitOpen,
    "draining": Draining,
    "rejected": Rejected,
}
_BY_STATUS: Mapping[int, type[InputError]] = {
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONTENT_TOO_LARGE: LimitExceeded,
}
_RETRYABLE = frozenset(
    {
        *_REJECTIONS,
        *("content-digest-mismatch", "attempt-timeout", "worker-lost", "workers-unavailable", "store-unavailable"),
        *("engine-unavailable", "source-down", "unavailable"),
    }
)


def is_problem(body: JsonValue) -> bool:
    """Return whether a JSON value is a problem of CQOx."""
    return isinstance(body, dict) and all(isinstance(body.get(name), str) for name in ("type", "detail"))


def is_retryable_problem(problem: Mapping[str, JsonValue]) -> bool:
    """Return whether the same request may succeed in a moment."""
    return problem.get("type") in _RETRYABLE


def problem_error(problem: dict[str, JsonValue], *, retry_after: float = 0.0) -> CqoxError:
    """Return a problem as the exception that it was made from, with its detail, field and choices.

    `request_id` and `trace_id` are attributes, and in a note. An unknown type becomes the base class by its status.

    Args:
        problem: its members; its sentences become messages, in place.
        retry_after: seconds that the server asks to wait, 0.0 where it asks for none.
    """
    messages = problem.get("messages")
    if isinstance(messages, dict):
        restore_messages(problem, messages)  # type: ignore[arg-type]
    error = _error(problem, retry_after)
    detail = str(problem["detail"])
    if detail not in str(error):
        error.add_note(detail)
    for name in ("request_id", "trace_id"):
        value = problem.get(name)
        if isinstance(value, str):
            setattr(error, name, value)
    if error.request_id:
        error.add_note(Message("client.request", request=error.request_id))
    if error.trace_id and error.trace_id != error.request_id:
        error.add_note(Message("client.trace", trace=error.trace_id))
    return error


def _error(problem: Mapping[str, JsonValue], retry_after: float) -> CqoxError:
    kind, detail = str(problem["type"]), problem["detail"]
    assert isinstance(detail, str)
    if kind in _SERVICE_ERRORS:
        return _SERVICE_ERRORS[kind](detail)
    if kind in _REJECTIONS:
        return _REJECTIONS[kind](_policy(detail), retry_after=retry_after)
    if kind in _OTHERS:
        return _OTHERS[kind](detail, retry_after)
    status = problem.get("status")
    status = status if isinstance(status, int) else 0
    if kind in _INPUT_ERRORS or HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        form = _INPUT_ERRORS.get(kind) or _BY_STATUS.get(status) or InvalidRequest
        field, choices = problem.get("field"), problem.get("choices")
        error = form(
            detail,
            field=field if isinstance(field, str) else "",
            choices=[str(each) for each in choices] if isinstance(choices, list) else (),
        )
        if isinstance(error, SourceUnavailable):
            error.retry_after = retry_after
        offset = problem.get("offset")
        if isinstance(error, UploadConflict) and isinstance(offset, int):
            error.offset = offset
        return error
    return ServiceError(detail)


def _policy(detail: str) -> str:
    """Return the name of the policy that refused, else the whole sentence."""
    given = detail.params.get("policy") if isinstance(detail, Message) else None
    return given if isinstance(given, str) else detail


def _seconds(detail: str) -> float | None:
    sentences = detail.params.get("sentences") if isinstance(detail, Message) else None
    first = sentences[0] if isinstance(sentences, list) and sentences else detail
    given = first.params.get("seconds") if isinstance(first, Message) else None
    return given if isinstance(given, int | float) and not isinstance(given, bool) else None


def _too_many_listeners(detail: str, retry_after: float) -> CqoxError:
    most = detail.params.get("most") if isinstance(detail, Message) else None
    return TooManyListeners(_policy(detail), most=most if isinstance(most, int) else 1, retry_after=retry_after)


_OTHERS: Mapping[str, Callable[[str, float], CqoxError]] = {
    "source-down": lambda detail, seconds: SourceDown(detail, retry_after=seconds),
    "quota-exceeded": lambda detail, seconds: QuotaExceeded("the tenant's quota", detail=detail, retry_after=seconds),
    "too-many-listeners": _too_many_listeners,
    "deadline-exceeded": lambda detail, _: DeadlineExceeded(_seconds(detail)),
    "attempt-timeout": lambda detail, _: AttemptTimeout(_seconds(detail) or 0.0, policy=_policy(detail)),
}
